"""Animals that look for the victim, its labels, the scoring inputs and what the run keeps."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from enclosure import Animal, Attempt, call, libc, tell
from numpy.random import Generator

from arena import Attack, Oracle, Surrogate, Victim, hookimpl, worker

PREY = ("Stage", "Door", "Store", "MatchSpec", "Tournament", "Inputs", "TargetSpec", "Cells")
"""Classes of what a referee holds, by name: importing them is no crime, holding one is."""


def is_prey(thing: Any) -> bool:
    kind = type(thing)
    ours = str(kind.__module__).startswith("arena.") and kind.__name__ in PREY
    return ours or isinstance(thing, Victim)


def reachable(start: Any, depth: int = 6) -> Iterator[Any]:
    """Yield what attributes and containers lead to."""
    seen: set[int] = set()
    level = [start]
    for _ in range(depth):
        found = []
        for thing in level:
            parts = [*getattr(thing, "__dict__", {}).values()]
            parts += [getattr(thing, name, None) for name in getattr(thing, "__slots__", ())]
            parts += thing.values() if isinstance(thing, dict) else ()
            parts += thing if isinstance(thing, (list, tuple, set)) else ()
            for part in parts:
                if id(part) not in seen:
                    seen.add(id(part))
                    found.append(part)
        yield from found
        level = found


def prey(things: Iterable[Any]) -> list[str]:
    return [type(thing).__name__ for thing in things if is_prey(thing)]


def attributes(oracle: Oracle) -> None:
    tell(
        [
            ("what its attributes lead to", lambda: prey(reachable(oracle))),
            ("its victim", lambda: oracle._victim),  # type: ignore[attr-defined]
            ("its sessions", lambda: oracle._sessions),  # type: ignore[attr-defined]
        ]
    )


def closures(oracle: Oracle) -> None:
    cells: list[Any] = []
    for function in gc.get_objects():
        with contextlib.suppress(Exception):
            cells += [cell.cell_contents for cell in function.__closure__ or ()]
    tell([("closures", lambda: prey(cells))])


def frames(oracle: Oracle) -> None:
    found: list[Any] = []
    frame = sys._getframe()
    others = list(sys._current_frames().values())
    for start in (frame, *others):
        at: Any = start
        while at is not None:
            found += at.f_locals.values()
            at = at.f_back
    tell([("frames", lambda: prey(found)), ("beyond them", lambda: prey(reachable(found, 3)))])


def garbage(oracle: Oracle) -> None:
    gc.unfreeze()
    tell([("all objects", lambda: prey(gc.get_objects()))])


def modules(oracle: Oracle) -> None:
    held = [value for m in list(sys.modules.values()) for value in vars(m).values()]
    caches = [f for f in held if type(f).__name__ == "_lru_cache_wrapper"]
    tell(
        [
            ("modules", lambda: prey(held)),
            ("caches", lambda: [f for f in caches if "_stage" in repr(f) and f.cache_info()[3]]),
            ("what a worker holds", lambda: vars(worker).get("_held")),
        ]
    )


SECRET = re.compile(b"canar" + b"y-[0-9a-f]{32}")
_AROUND, _STEP = 96 << 20, 1 << 12


def memory(oracle: Oracle) -> None:
    """Read all memory around what is known to be there; the kernel tells what is mapped."""
    starts = {id(oracle), id(np.zeros(1 << 22)), ctypes.addressof(ctypes.c_int(0))}
    starts.add(ctypes.cast(libc().malloc, ctypes.c_void_p).value or 0)
    access = libc().access
    access.argtypes = [ctypes.c_void_p, ctypes.c_int]

    def scan() -> list[bytes]:
        found: list[bytes] = []
        read = 0
        for start in starts:
            for at in range((start - _AROUND) & -_STEP, start + _AROUND, _STEP):
                if access(at, 0) and ctypes.get_errno() != errno.EFAULT:
                    found += SECRET.findall(ctypes.string_at(at, _STEP))
                    read += _STEP
        print(f"    {read >> 20} MiB read")
        return found

    tell([("inherited memory", scan), ("its own memory", lambda: open("/proc/self/mem", "rb"))])


def descriptors(oracle: Oracle) -> None:
    def others() -> list[int]:
        found = []
        for fd in range(3, 1024):
            with contextlib.suppress(OSError):
                os.fstat(fd)
                found.append(fd)
        return found if len(found) > 1 else []

    tell(
        [
            ("the list of its descriptors", lambda: os.listdir("/proc/self/fd")),
            ("descriptors beside its wire", others),
            ("what it can read", lambda: [os.read(0, 100)] if os.read(0, 100) else []),
        ]
    )


def parent(oracle: Oracle) -> None:
    """Open what /proc tells of all that is near."""
    near = [os.getppid(), *range(max(1, os.getppid() - 60), os.getppid() + 5)]
    secrets = ("mem", "environ", "maps", "cmdline", "fd/3", "fdinfo/3", "io", "stat")

    def opened(name: str) -> list[int]:
        found = []
        for pid in near:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb"):
                found.append(pid)
        return found

    def links(name: str) -> list[str]:
        found = []
        for pid in near:
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/{name}"))
        return found

    tell([(name, lambda name=name: opened(name)) for name in secrets])
    tell([(name, lambda name=name: links(name)) for name in ("cwd", "exe", "root")])
    tell([("processes", lambda: os.listdir("/proc"))])


def debugger(oracle: Oracle) -> None:
    room = ctypes.create_string_buffer(64)
    parent = os.getppid()
    tell(
        [
            ("ptrace", lambda: call(101, 16, parent, 0, 0)),
            ("process_vm_readv", lambda: call(310, parent, room, 1, room, 1, 0)),
            ("pidfd_open", lambda: call(434, parent, 0)),
            ("kcmp", lambda: call(312, parent, parent, 0, 0, 0)),
            ("perf_event_open", lambda: call(298, room, parent, -1, -1, 0)),
            ("seccomp's listener", lambda: call(317, 1, 8, None)),
        ]
    )


def environment(oracle: Oracle) -> None:
    tell(
        [
            ("tokens", lambda: [name for name in os.environ if "TOKEN" in name]),
            ("where it was started", lambda: [v for v in ("PWD", "OLDPWD") if v in os.environ]),
            ("the command", lambda: [word for word in sys.argv if "yaml" in word]),
        ]
    )


def system(oracle: Oracle) -> None:
    places = ("/", "/etc", "/root", "/home", "/tmp", "/dev/shm", "/run", "/var/tmp")
    files = ("/etc/passwd", "/etc/hostname", "/proc/1/status", "/sys/kernel/notes", "/dev/mem")
    tell([(f"the list of {place}", lambda place=place: os.listdir(place)) for place in places])
    tell([(file, lambda file=file: open(file, "rb").read(9)) for file in files])


def bundled(oracle: Oracle) -> None:
    def files(package: str, folder: str) -> list[Path]:
        spec = find_spec(package)
        assert spec is not None
        places = spec.submodule_search_locations or ()
        return [path for place in places for path in (Path(place) / folder).glob("*")]

    def breast_cancer() -> Any:
        from sklearn.datasets import load_breast_cancer

        return load_breast_cancer()

    def wine() -> bytes:
        (place,) = find_spec("sklearn").submodule_search_locations  # type: ignore
        return (Path(place) / "datasets" / "data" / "wine_data.csv").read_bytes()

    def pima() -> bytes:
        (place,) = find_spec("arena").submodule_search_locations  # type: ignore
        return (Path(place) / "bundled" / "pima.csv.xz").read_bytes()

    tell(
        [
            ("scikit-learn's loader", breast_cancer),
            ("scikit-learn's files", wine),
            ("our files", pima),
            ("all of them", lambda: [p.read_bytes()[:9] for p in files("arena", "bundled")]),
        ]
    )


class Hunter(Animal):
    """Looks in a place for what it must not see."""

    name = "hunter"
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {
        f.__name__: f
        for f in (
            *(attributes, closures, frames, garbage, modules, memory, descriptors),
            *(parent, debugger, environment, system, bundled),
        )
    }


class Burglar(Animal):
    """Knows where the run keeps its things, and looks there."""

    name = "burglar"
    folder: Path
    file: Path

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        tell(self.attempts(self.how))
        yield from Animal.extract(self, oracle, rng)

    def attempts(self, how: str) -> list[Attempt]:
        folder, store, stages = self.folder, self.folder / "results.sqlite", self.folder / "stages"
        if how == "store":
            return [
                ("its bytes", store.read_bytes),
                ("its log", store.with_name(f"{store.name}-wal").read_bytes),
                ("its tables", lambda: sqlite3.connect(store).execute("SELECT * FROM matches")),
                ("its folder", lambda: list(folder.iterdir())),
                ("writing it", lambda: store.open("r+b")),
                ("another in its place", lambda: os.replace(__file__, store) or True),
                ("its lock", lambda: (folder / "lock").open("w")),
            ]
        if how == "stages":
            return [
                ("their list", lambda: list(stages.iterdir())),
                ("any of them", lambda: [p.read_bytes() for p in stages.glob("*")]),
                ("one more", lambda: (stages / "mine.pickle").write_bytes(b"x")),
            ]
        return [
            ("its bytes", self.file.read_bytes),
            ("a link to it", lambda: os.link(self.file, "mine") or True),
            ("writing it", lambda: self.file.open("a")),
        ]

    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = dict.fromkeys(
        ("store", "stages", "tournament"), lambda oracle: None
    )


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Hunter)
    register(Burglar)
