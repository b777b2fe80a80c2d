"""A Linux system call filter: no process, no socket, no hand on another process.

Landlock guards files; what it does not know of (signals before Linux 6.12, System V shared memory,
kernel keys, permissions and times of files, ...) is refused here, each call with EPERM, whatever
the kernel's version. Linux, x86-64 and arm64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from typing import NamedTuple

from arena.isolation.libc import libc

_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Processes: an attack is one.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    # Connections of any family, names for the one it has, descriptors passed over it.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "connect": (42, 203),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425),
    # The memory, descriptors and signals of other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    # What outlives a process and others may find, or one that lives meanwhile.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "flock": (73, 32),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    # What the kernel keeps in memory of files.
    "mincore": (27, 232),
    "cachestat": (451, 451),
    "preadv2": (327, 286),
    "fadvise64": (221, 223),
    "readahead": (187, 213),
    "sync": (162, 81),
    "syncfs": (306, 267),
    # Memory and disk past the limits: what is written is counted where ``write`` is called.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "fallocate": (285, 47),
    "splice": (275, 76),
    "tee": (276, 77),
    "vmsplice": (278, 75),
    "io_setup": (206, 0),
    # Ends that look as if somebody else had caused them: such a match is played again.
    "timer_create": (222, 107),
    "setrlimit": (160, 164),
    # Contents, permissions, owners, times and attributes of files.
    "truncate": (76, 45),
    "umask": (95, 166),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "mount": (165, 40),
    "umount2": (166, 39),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # The machine.
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "swapon": (167, 224),
    "acct": (163, 89),
    "syslog": (103, 116),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
}
"""Call numbers on x86-64 and on arm64, None where a machine has no such call."""

_UNKNOWN: dict[str, tuple[int, int]] = {"clone3": (435, 435), "openat2": (437, 437)}
"""Calls whose arguments a filter cannot see; libraries fall back to older ones from ENOSYS."""

_ALL = 0xFFFFFFFF
_FCNTL = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, descriptors' and files' flags, F_DUPFD_CLOEXEC: no lock, lease, owner or size."""

_IOCTL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, how wide, how much is there to read, and descriptors' flags."""

_THREAD, _OWNER_ALL = 0x00010000, 0o700
_SHARED_OR_STACK, _TRUNCATES, _WRITES = 0x101, 0o1000, 0o3
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SUBREAPER = 1, 4, 36
_KILLS = (9, 15)
"""Signals by which cells are ended from outside."""


class _If(NamedTuple):
    """A condition on 32 bits of an argument: whether, masked, they are one of some values."""

    argument: int
    values: tuple[int, ...]
    mask: int = _ALL
    one_of: bool = True
    high: bool = False


def _conditions(pid: int) -> dict[tuple[int | None, int | None], tuple[_If, ...]]:
    """Return calls that are allowed where all conditions hold, to a process by its number."""
    itself = _If(0, (pid,))
    changes_no_limit = (_If(0, (0, pid)), _If(2, (0,)), _If(2, (0,), high=True))
    opens_openly = (_If(2, (_TRUNCATES,), _TRUNCATES | _WRITES, one_of=False),)
    return {
        # kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo
        (62, 129): (itself, _If(1, _KILLS, one_of=False)),
        (234, 131): (itself, _If(2, _KILLS, one_of=False)),
        (129, 138): (itself, _If(1, _KILLS, one_of=False)),
        (297, 240): (itself, _If(2, _KILLS, one_of=False)),
        # prlimit64, prctl, clone
        (302, 261): changes_no_limit,
        (157, 167): (_If(0, (_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SUBREAPER), one_of=False),),
        (56, 220): (_If(0, (_THREAD,), _THREAD),),
        # fcntl, ioctl
        (72, 25): (_If(1, _FCNTL),),
        (16, 29): (_If(1, _IOCTL),),
        # mmap: no memory that the limit of private memory does not count
        (9, 222): (_If(3, (0,), _SHARED_OR_STACK),),
        # mkdir, mkdirat: no folder whose contents cannot be counted
        (83, None): (_If(1, (_OWNER_ALL,), _OWNER_ALL),),
        (258, 34): (_If(2, (_OWNER_ALL,), _OWNER_ALL),),
        # open, openat: Landlock before Linux 6.2 takes this for reading
        (2, None): (_If(1, (_TRUNCATES,), _TRUNCATES | _WRITES, one_of=False),),
        (257, 56): opens_openly,
    }


_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables, and the kernel's name of the architecture."""

_X32 = 0x40000000
_LOAD, _AND, _SKIP, _JUMP, _JUMP_GE, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_ERROR = 0x00050000
_NUMBER_AT, _MACHINE_AT, _ARGUMENT_AT = 0, 4, 16
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def available() -> bool:
    """Whether the calls of this machine can be filtered."""
    if platform.system() != "Linux" or platform.machine() not in _MACHINES:
        return False
    # Asking for a filter that is not there fails with EFAULT where filters are known.
    libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def install() -> None:
    """Filter the calls of this process for good; it must have set ``no_new_privs``.

    Raises:
        OSError: the kernel refuses the filter.
    """
    column, machine = _MACHINES[platform.machine()]
    code = b"".join(_instructions(column, machine, os.getpid()))
    program = _Program(len(code) // 8, code)
    if libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refuses the system call filter")


def _instructions(column: int, machine: int, pid: int) -> Iterator[bytes]:
    refuse = _step(_RETURN, _ERROR | errno.EPERM)
    yield _step(_LOAD, _MACHINE_AT)
    yield _step(_JUMP, machine, 1, 0)
    yield _step(_RETURN, _KILL)
    yield _step(_LOAD, _NUMBER_AT)
    yield _step(_JUMP_GE, _X32, 0, 1)
    yield refuse
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            yield _step(_JUMP, number, 0, 1)
            yield refuse
    for numbers in _UNKNOWN.values():
        yield _step(_JUMP, numbers[column], 0, 1)
        yield _step(_RETURN, _ERROR | errno.ENOSYS)
    for either, conditions in _conditions(pid).items():
        number = either[column]
        if number is not None:
            checks = [step for condition in conditions for step in _checks(condition)]
            yield _step(_JUMP, number, 0, len(checks) + 1)
            yield from checks
            yield _step(_RETURN, _ALLOW)
    yield _step(_RETURN, _ALLOW)


def _checks(condition: _If) -> Iterator[bytes]:
    """Yield what refuses a call unless a condition on it holds."""
    yield _step(_LOAD, _ARGUMENT_AT + 8 * condition.argument + 4 * condition.high)
    if condition.mask != _ALL:
        yield _step(_AND, condition.mask)
    for i, value in enumerate(condition.values):
        # Past the comparisons that are left and one step more: the refusal, or the step over it.
        yield _step(_JUMP, value, len(condition.values) - i)
    if not condition.one_of:
        yield _step(_SKIP, 1)
    yield _step(_RETURN, _ERROR | errno.EPERM)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
