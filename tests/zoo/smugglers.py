"""Animals that leave something for a later match, or for one that plays at the same time."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from enclosure import Animal, call, libc, tell
from numpy.random import Generator
from playground import Guess

import arena
from arena import Attack, Oracle, Surrogate, hookimpl

PLACES = (
    *("/dev/shm", "/tmp", "/var/tmp", "/run", "/run/lock", "/dev/mqueue", "/proc/self"),
    *(tempfile.gettempdir(), str(Path.home()), str(Path(__file__).parent)),
    *(str(Path(arena.__file__).parent), str(Path(np.__file__).parent)),
)
KEY = 0x200
NOTE = "the scoring inputs"


def hide(note: bytes) -> None:
    """Leave a note wherever one could be found later."""
    tell(
        [
            *((f"in {place}", lambda place=place: hidden(place, note)) for place in PLACES),
            ("in this folder", lambda: Path("note").write_bytes(note) and False),
            ("in a module", lambda: setattr(np, "note", note)),
            ("in the environment", lambda: os.environ.update(NOTE=NOTE)),
            ("in shared memory", lambda: call(29, KEY, 4096, 0o1600)),
            ("in a message queue", lambda: call(68, KEY, 0o1600)),
            ("in a semaphore", lambda: call(64, KEY, 1, 0o1600)),
            ("in a POSIX queue", lambda: call(240, b"note", 0o102, 0o600, None)),
            ("in the keyring", lambda: call(248, b"user", b"note", note, 9, -3)),
            ("in the size of this folder", lambda: fill_folder()),
            ("in the host's name", lambda: socket.sethostname("note") is None),
            ("in the log", lambda: call(103, 3, None, 0)),
        ]
    )


def hidden(place: str, note: bytes) -> int:
    path = Path(place, "zoo-note")
    if path.resolve().is_relative_to(Path.cwd()):
        return path.write_bytes(note) and 0
    return path.write_bytes(note)


def fill_folder() -> None:
    for i in range(100):
        Path(f"{i:0200}").touch()


def find() -> None:
    """Look for a note wherever one could be."""
    here = Path.cwd().stat()
    tell(
        [
            *((f"in {p}", lambda p=p: Path(p, "zoo-note").read_bytes()) for p in PLACES),
            ("in this folder", lambda: os.listdir()),
            ("in a module", lambda: getattr(np, "note", None)),
            ("in the environment", lambda: os.environ.get("NOTE")),
            ("in shared memory", lambda: call(29, KEY, 0, 0)),
            ("in a message queue", lambda: call(68, KEY, 0)),
            ("in a semaphore", lambda: call(64, KEY, 0, 0)),
            ("in a POSIX queue", lambda: call(240, b"note", 0, 0, None)),
            ("in the keyring", lambda: call(249, b"user", b"note", None, 0)),
            ("in the size of this folder", lambda: here.st_size > 4096 and here.st_size),
            ("in the age of this folder", lambda: time.time() - here.st_ctime > 1.0),
        ]
    )


@dataclass(frozen=True)
class Tells:
    """Hides the inputs that it is scored on."""

    def predict(self, X: Any) -> Any:
        hide(X.tobytes()[:4096])
        return np.zeros(len(X), dtype=np.int64)


class Squirrel(Attack):
    """Hides what it has seen on its first visit, and looks for it on its second."""

    name = "squirrel"
    visit: int

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        if self.visit == 1:
            hide(b"the answers")
        else:
            find()
        oracle.ask(oracle.knowledge.domain.sample(10, rng))
        yield Tells() if self.visit == 1 else Guess(1)


def locks(oracle: Oracle) -> None:
    """Use what two processes that live at once could speak through."""
    null = os.open("/dev/null", os.O_RDWR)
    code = os.open(np.__file__, os.O_RDONLY)
    page = ctypes.create_string_buffer(4096)
    tell(
        [
            ("a lock of a device", lambda: fcntl.lockf(null, fcntl.LOCK_EX, 5) is None),
            ("a lock of a module", lambda: fcntl.lockf(code, fcntl.LOCK_SH, 5) is None),
            ("flock", lambda: fcntl.flock(code, fcntl.LOCK_SH) is None),
            ("a lease", lambda: fcntl.fcntl(code, fcntl.F_SETLEASE, fcntl.F_RDLCK) == 0),
            ("a watch", lambda: call(294, 0)),
            ("a watch of old", lambda: call(253)),
            ("a size of a pipe", lambda: fcntl.fcntl(os.pipe()[0], 1031, 1 << 16)),
            ("what is cached", lambda: call(27, page, 4096, page)),
            ("what is cached, of a file", lambda: call(451, code, page, page, 0)),
            ("reading what is cached", lambda: os.preadv(code, [bytearray(9)], 0, 8)),
            ("dropping what is cached", lambda: os.posix_fadvise(code, 0, 0, 4) is None),
            ("all of the disk", lambda: os.sync() is None and call(162)),
            ("a socket's name", lambda: socket.socketpair(type=socket.SOCK_DGRAM) and True),
            ("a file without a name", lambda: os.memfd_create("x")),
            ("memory to share", lambda: __import__("mmap").mmap(-1, 4096) and True),
            ("a mount", lambda: libc().mount(b"none", b".", b"tmpfs", 0, None) == 0),
            ("a name space", lambda: call(272, 0x10000000)),
            ("io_uring", lambda: call(425, 1, page)),
            ("old asynchronous files", lambda: call(206, 1, page)),
            ("a user's own page faults", lambda: call(323, 0)),
            ("handles of files", lambda: call(303, -100, b".", page, page, 0)),
            ("a fanotify group", lambda: call(300, 0, 0)),
            ("a bpf program", lambda: call(321, 0, page, 64)),
            ("the terminal", lambda: call(16, 0, 0x5412, b"x")),
            ("a quota", lambda: call(179, 0, None, 0, page)),
        ]
    )
    os.close(null)


class Whisperer(Animal):
    """Speaks to a match that is played at the same time."""

    name = "whisperer"
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {"locks": locks}


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Squirrel)
    register(Whisperer)
