"""Animals that use more than is theirs, end in ugly ways, and lay hands on others."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from enclosure import Animal, call, libc, tell

from arena import Attack, Oracle, hookimpl

# ------------------------------------------------------------------------------- time and memory


def loops(oracle: Oracle) -> None:
    while True:
        pass


def loops_deaf(oracle: Oracle) -> None:
    """Loop, deaf to the signal that its processor time is over."""
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    loops(oracle)


def sleeps(oracle: Oracle) -> None:
    time.sleep(60)


def stops(oracle: Oracle) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hogs(oracle: Oracle) -> None:
    kept = []
    while True:
        kept.append(np.ones(1 << 22))


def hogs_shared(oracle: Oracle) -> None:
    """Take memory that a limit of private memory does not count."""
    kept = []
    for _ in range(100):
        shared = mmap.mmap(-1, 64 << 20)
        ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(shared)), 1, 64 << 20)
        kept.append(shared)
    print("GOT", len(kept) * 64, "MiB")


def mapped(size: int, protection: int, flags: int, fd: int = -1) -> int:
    """Map memory as Python's own does not."""
    mmap_ = libc().mmap
    mmap_.restype = ctypes.c_void_p
    mmap_.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    at = mmap_(None, size, protection, flags, fd, 0)
    if at in (None, ctypes.c_void_p(-1).value):
        raise MemoryError
    return int(at)


def hogs_stack(oracle: Oracle) -> None:
    """Take memory that the kernel counts as a stack."""
    for _ in range(100):
        ctypes.memset(mapped(64 << 20, 3, 0x2 | 0x20 | 0x100), 1, 64 << 20)
    print("GOT 6400 MiB")


def hogs_tables(oracle: Oracle) -> None:
    """Take memory for the tables of pages that hold nothing."""
    for _ in range(1 << 6):
        at = mapped(1 << 40, 1, 0x2 | 0x20)
        for page in range(at, at + (1 << 35), 1 << 21):
            ctypes.string_at(page, 1)
    print("GOT tables")


def hogs_file(oracle: Oracle) -> None:
    """Take memory in files without a name."""
    kept = []
    for _ in range(200):
        kept.append(os.memfd_create("hog"))
        os.write(kept[-1], bytes(1 << 20))
    print("GOT", len(kept), "MiB")


def recurses(oracle: Oracle, ballast: bytes = b"") -> None:
    sys.setrecursionlimit(1 << 30)
    recurses(oracle, bytes(1 << 16))


def recurses_in_c(oracle: Oracle) -> None:
    sys.setrecursionlimit(1 << 30)

    class Deep:
        def __repr__(self) -> str:
            return repr([self])

    repr(Deep())


# ---------------------------------------------------------------------------------------- endings


def exits(oracle: Oracle) -> None:
    os._exit(0)


def exits_as_if_killed(oracle: Oracle) -> None:
    os._exit(137)


def leaves(oracle: Oracle) -> None:
    """Exit from another thread."""
    threading.Thread(target=lambda: os._exit(9)).start()
    time.sleep(60)


def segfaults(oracle: Oracle) -> None:
    ctypes.string_at(0)


def aborts(oracle: Oracle) -> None:
    os.abort()


def kills_itself(oracle: Oracle) -> None:
    """End as if somebody had killed it: such a match is played again."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminates_itself(oracle: Oracle) -> None:
    signal.raise_signal(signal.SIGTERM)


def limits_itself(oracle: Oracle) -> None:
    """Set a limit whose end is a kill."""
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    loops(oracle)


def times_itself(oracle: Oracle) -> None:
    """Have a timer kill it."""
    event = (ctypes.c_int * 16)(0, 0, signal.SIGKILL, 0)
    timer, when = ctypes.c_int(), (ctypes.c_long * 4)(0, 0, 0, 50_000_000)
    if not call(222, 1, event, ctypes.byref(timer)):
        raise PermissionError("no timer")
    call(223, timer, 0, when, None)
    time.sleep(60)


def signals_itself(oracle: Oracle) -> None:
    """Have the end of a pipe kill it."""
    import fcntl

    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(read, 10, signal.SIGKILL)
    fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC)
    os.write(write, b"x")
    time.sleep(60)


class Ugly(BaseException):
    """Catches whoever catches exceptions only."""

    def __str__(self) -> str:
        raise Ugly

    def __repr__(self) -> str:
        raise Ugly


def raises(oracle: Oracle) -> None:
    raise Ugly


class Bound(BaseException):
    """Ends the process when it is shown."""

    def __str__(self) -> str:
        os._exit(0)


def raises_and_exits(oracle: Oracle) -> None:
    raise Bound


class Dying:
    """Fails when it is deleted."""

    def __del__(self) -> None:
        raise Ugly


KEPT: list[Any] = []


def dies_badly(oracle: Oracle) -> None:
    """Leave what raises when it is deleted and when the process ends."""
    Dying()
    KEPT.append(Dying())
    atexit.register(lambda: os.write(1, b"GOT to run at exit"))
    atexit.register(loops, oracle)
    oracle.mine = Dying()  # type: ignore[attr-defined]


def closes_streams(oracle: Oracle) -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    os.closerange(0, 3)
    sys.stdout = sys.stderr = None  # type: ignore[assignment]


def prints(oracle: Oracle) -> None:
    for _ in range(1 << 10):
        print("x" * (1 << 20))


def prints_on(oracle: Oracle) -> None:
    """Print a gigabyte, whatever becomes of it, then a last line."""
    for _ in range(1 << 10):
        with contextlib.suppress(OSError):
            os.pwrite(1, b"x" * (1 << 20), 0)
    os.ftruncate(1, 0)
    os.lseek(1, 0, os.SEEK_SET)
    print("the last line")


def prints_a_while(oracle: Oracle) -> None:
    """Print what is too much in less time than lies between two looks, and end well."""
    for _ in range(65):
        os.pwrite(1, b"x" * (1 << 20), 0)


# --------------------------------------------------------------------------------- other processes


def forks(oracle: Oracle) -> None:
    while True:
        os.fork()


def spawns(oracle: Oracle) -> None:
    subprocess.run([sys.executable, "-c", "print('GOT a process')"], check=True)


def spawns_variously(oracle: Oracle) -> None:
    tell(
        [
            ("os.system", lambda: os.system("true") == 0),
            ("posix_spawn", lambda: os.posix_spawn("/bin/true", ["true"], {})),
            ("vfork", lambda: call(58)),
            ("clone", lambda: call(56, 17, 0, 0, 0, 0)),
            ("clone with memory", lambda: call(56, 0x100 | 17, 0, 0, 0, 0)),
            ("clone3", lambda: call(435, (ctypes.c_ulong * 11)(), 88)),
            ("execve", lambda: os.execv("/bin/true", ["true"])),
            ("multiprocessing", _multiprocessing),
        ]
    )


def _multiprocessing() -> Any:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1])


def threads(oracle: Oracle) -> None:
    """Start as many threads as there are process numbers."""
    threading.stack_size(1 << 15)
    done = threading.Event()
    try:
        for _ in range(1 << 17):
            threading.Thread(target=done.wait, daemon=True).start()
    except RuntimeError:
        time.sleep(60)


def signals(oracle: Oracle) -> None:
    """Signal its parent, its group, and all."""
    kill = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP, 0]
    who = [os.getppid(), os.getpgid(os.getppid()), -1, 0, -os.getpgid(os.getppid()), 1]
    tell(
        [
            (f"{number} to {pid}", lambda pid=pid, number=number: os.kill(pid, number) is None)
            for pid in who
            for number in kill
        ]
    )
    parent = os.getppid()
    tell(
        [
            ("tkill", lambda: call(200, parent, 9)),
            ("tgkill", lambda: call(234, parent, parent, 9)),
            ("rt_sigqueueinfo", lambda: call(129, parent, 9, ctypes.create_string_buffer(128))),
            ("prlimit", lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (4, 4)) or True),
            ("the parent's core", lambda: os.sched_setaffinity(parent, {0}) is None),
            ("the parent's priority", lambda: os.setpriority(os.PRIO_PROCESS, parent, 19) is None),
        ]
    )


def orphan(oracle: Oracle) -> None:
    """Outlive its parent, and hide from it."""
    tell(
        [
            ("not dying with its parent", lambda: libc().prctl(1, 0, 0, 0, 0) == 0),
            ("being hidden", lambda: libc().prctl(4, 0, 0, 0, 0) == 0),
            ("adopting", lambda: libc().prctl(36, 1, 0, 0, 0) == 0),
            ("real time", lambda: os.sched_setscheduler(0, 1, os.sched_param(1)) is None),
            ("raising a limit", lambda: resource.setrlimit(resource.RLIMIT_CPU, (99, 99)) is None),
        ]
    )


# ----------------------------------------------------------------------------- files and sockets


def fills(oracle: Oracle) -> None:
    """Fill its folder with large files."""
    for i in range(4096):
        Path(f"{i}").write_bytes(bytes(1 << 20))


def fills_hidden(oracle: Oracle) -> None:
    """Fill the disk with files that have no name."""
    for _ in range(4096):
        with Path("hidden").open("w+b") as file:
            Path("hidden").unlink()
            file.write(bytes(1 << 20))
            file.flush()
            mapped(1 << 20, 1, 0x2, file.fileno())


def fills_allocated(oracle: Oracle) -> None:
    for i in range(4096):
        with Path(f"{i}").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 1 << 20)


def litters(oracle: Oracle) -> None:
    """Make more files than there should be."""
    for i in range(1 << 20):
        os.symlink("nowhere", f"{i}")


def digs(oracle: Oracle) -> None:
    """Make folders in folders, 1500 levels deep, and end well."""
    for _ in range(1500):
        Path("d").mkdir()
        os.chdir("d")
    Path("f").touch()


def closes_folders(oracle: Oracle) -> None:
    """Leave folders that may not be entered, and end well."""
    Path("inner/deep").mkdir(parents=True)
    Path("inner/deep/file").touch(mode=0)
    Path("inner/link").symlink_to("/etc")
    Path("loop").symlink_to("loop")
    Path("\n" * 200).touch()
    Path(os.fsdecode(b"\xff\xfe")).touch()
    tell(
        [
            ("a closed folder", lambda: os.mkdir("closed", 0) is None),
            ("a folder nobody can list", lambda: os.mkdir("unlisted", 0o300) is None),
            ("closing it later", lambda: os.chmod("inner", 0) is None),
            ("masking it", lambda: os.umask(0o777) >= 0),
        ]
    )


def writes(oracle: Oracle) -> None:
    import arena

    places = (Path(arena.__file__), Path(np.__file__), Path(__file__), Path("/etc/passwd"))
    for place in places:
        tell(
            [
                (f"writing {place.name}", lambda place=place: place.open("a")),
                (f"beside {place.name}", lambda place=place: (place.parent / "x").touch() or 1),
                (f"cutting {place.name}", lambda place=place: os.truncate(place, 0) is None),
                (f"removing {place.name}", lambda place=place: place.unlink() is None),
                (f"renaming {place.name}", lambda place=place: place.rename("mine")),
                (f"linking {place.name}", lambda place=place: os.link(place, "mine") is None),
                (f"mode of {place.name}", lambda place=place: place.chmod(0o666) is None),
                (f"owner of {place.name}", lambda place=place: os.chown(place, 1, 1) is None),
                (f"times of {place.name}", lambda place=place: os.utime(place, (1, 1)) is None),
                (f"xattr of {place.name}", lambda place=place: os.setxattr(place, "user.x", b"1")),
            ]
        )
    for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", "..", "/proc/self"):
        tell([(f"a file in {folder}", lambda folder=folder: Path(folder, "zoo").write_text("x"))])


def sockets(oracle: Oracle) -> None:
    def bound(family: int, kind: int, address: Any) -> bool:
        with socket.socket(family, kind) as it:
            it.bind(address)
        return True

    inet, unix, stream, dgram = (
        socket.AF_INET,
        socket.AF_UNIX,
        socket.SOCK_STREAM,
        socket.SOCK_DGRAM,
    )
    tell(
        [
            ("tcp", lambda: socket.create_connection(("127.0.0.1", 22), 1) and True),
            ("a tcp server", lambda: bound(inet, stream, ("127.0.0.1", 0))),
            ("udp", lambda: socket.socket(inet, dgram).sendto(b"x", ("127.0.0.1", 53))),
            ("unix", lambda: bound(unix, stream, "\0zoo")),
            ("unix in a folder", lambda: bound(unix, dgram, "here")),
            ("raw", lambda: socket.socket(inet, socket.SOCK_RAW, 1) and True),
            ("netlink", lambda: socket.socket(16, socket.SOCK_RAW, 0) and True),
            ("a pair", lambda: socket.socketpair() and True),
            ("a name for the wire", lambda: _wire(oracle).bind("\0zoo") is None),
            ("names", lambda: socket.getaddrinfo("localhost", 80, proto=6) and False),
        ]
    )


def _wire(oracle: Oracle) -> Any:
    return oracle._channel._socket  # type: ignore[attr-defined]


class Brute(Animal):
    """Does it by force."""

    name = "brute"
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {
        f.__name__.replace("_", "-"): f
        for f in (
            *(loops, loops_deaf, sleeps, stops, hogs, hogs_shared, hogs_stack, hogs_tables),
            *(hogs_file, recurses, recurses_in_c, exits, exits_as_if_killed, leaves),
            *(segfaults, aborts, kills_itself, terminates_itself, limits_itself),
            *(times_itself, signals_itself, raises, raises_and_exits, dies_badly),
            *(
                closes_streams,
                prints,
                prints_on,
                prints_a_while,
                forks,
                spawns,
                spawns_variously,
                threads,
            ),
            *(signals, orphan, fills, fills_hidden, fills_allocated, litters, digs),
            *(closes_folders, writes, sockets),
        )
    }


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Brute)
