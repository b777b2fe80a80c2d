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

_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Processes: an attack is one, of as many threads as it likes.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    # Connections, of any family.
    "socket": (41, 198),
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
    # What outlives a process and others may find.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "flock": (73, 32),
    # Permissions, owners, times and attributes of files.
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
    "mknod": (133, None),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "mount": (165, 40),
    "umount2": (166, 39),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
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

_ONLY_ITSELF: dict[str, tuple[int, int]] = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
}
"""Calls whose first argument is a process, which must be the caller (or 0, for ``prlimit64``)."""

_CLONE, _CLONE3 = (56, 220), (435, 435)
_CLONE_THREAD = 0x00010000
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables, and the kernel's name of the architecture."""

_X32 = 0x40000000
_LOAD, _JUMP, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
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
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def install() -> None:
    """Filter the calls of this process for good; it must have set ``no_new_privs``.

    Raises:
        OSError: the kernel refuses the filter.
    """
    column, machine = _MACHINES[platform.machine()]
    code = b"".join(_instructions(column, machine, os.getpid()))
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
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
    for name, own in _ONLY_ITSELF.items():
        yield _step(_JUMP, own[column], 0, 5)
        yield _step(_LOAD, _ARGUMENT_AT)
        yield _step(_JUMP, pid, 2, 0)
        yield _step(_JUMP, 0 if name == "prlimit64" else pid, 1, 0)
        yield refuse
        yield _step(_RETURN, _ALLOW)
    # glibc falls back from clone3, whose flags are out of a filter's sight, to clone.
    yield _step(_JUMP, _CLONE3[column], 0, 1)
    yield _step(_RETURN, _ERROR | errno.ENOSYS)
    yield _step(_JUMP, _CLONE[column], 0, 3)
    yield _step(_LOAD, _ARGUMENT_AT)
    yield _step(_JUMP_SET, _CLONE_THREAD, 1, 0)
    yield refuse
    yield _step(_RETURN, _ALLOW)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
