"""Closes a cell off: limits, files, calls; says what this machine cannot enforce."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from arena.isolation import landlock, seccomp
from arena.isolation.libc import libc
from arena.settings import Limits
from arena.traces import packages

_MIB, _RESERVED = 1 << 20, 1 << 14
"""Bytes; and MiB of addresses that may be reserved beside memory: allocators reserve many."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CAPABILITIES = struct.pack("II", 0x20080522, 0)

_LINKED = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_SYSTEM = (
    *("/etc/ld.so.cache", "/usr/share/zoneinfo", "/etc/localtime", "/usr/lib/locale"),
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

LINUX = platform.system() == "Linux"


@dataclass(frozen=True)
class Confinement:
    """What cells of one server are held to.

    Attributes:
        scratch: where each finds the one folder it may write in.
        ruleset: the descriptor of Landlock's rules of reading, None where there is no Landlock.
        unenforced: what cannot be enforced here, in words.
        filtered: whether system calls are filtered.
    """

    scratch: Path
    ruleset: int | None
    unenforced: tuple[str, ...] = ()
    filtered: bool = field(default_factory=seccomp.available)

    @classmethod
    def prepare(cls, scratch: Path, hidden: Iterable[Path] = ()) -> Confinement:
        """Find out what this machine can enforce, and make its rules ready.

        Args:
            scratch: where cells find their folders.
            hidden: what they must not read, wherever it lies.
        """
        have, filtered = landlock.version(), seccomp.available()
        lacking = []
        if not have:
            lacking.append("files: an attack can read and write what this user can")
        if not filtered:
            lacking.append("processes, signals and sockets: an attack can use them")
        if have and have < 6 and not filtered:
            lacking.append("signals: an attack can send them")
        if not LINUX:
            lacking.append("memory: an attack can use what there is")
        ruleset = None
        if have:
            readable, listable = _readable([path.resolve() for path in hidden])
            ruleset = landlock.reading(readable, listable, scratch)
        return cls(scratch, ruleset, tuple(lacking), filtered)

    def enter(self, limits: Limits, folder: Path) -> None:
        """Hold this process, which has one thread, to limits and rules for good.

        Args:
            limits: what it may use.
            folder: where it may write; nothing has been in it.
        """
        self._limit(limits)
        os.chdir(folder)
        os.environ.update(HOME=str(folder), TMPDIR=str(folder))
        if LINUX:
            die_with_parent()
            _prctl(_PR_SET_NO_NEW_PRIVS, 1)
            _drop_capabilities()
            if self.ruleset is not None:
                for ruleset in (self.ruleset, landlock.writing([folder, *map(Path, _DEVICES)])):
                    landlock.restrict(ruleset)
                    os.close(ruleset)
        if self.filtered:
            seccomp.install()

    @staticmethod
    def _limit(limits: Limits) -> None:
        # Not 0: a kernel that pipes cores to a program asks for more than 1 byte only.
        _cap(resource.RLIMIT_CORE, 1)
        _cap(resource.RLIMIT_CPU, limits.cpu, limits.cpu + 2)
        _cap(resource.RLIMIT_NOFILE, limits.files)
        _cap(resource.RLIMIT_FSIZE, limits.output * _MIB)
        if LINUX:
            size, data = _memory_now()
            _cap(resource.RLIMIT_DATA, data + limits.memory * _MIB)
            # Tables of pages that hold nothing are memory too.
            _cap(resource.RLIMIT_AS, size + (limits.memory + _RESERVED) * _MIB)


def hide_memory() -> None:
    """Keep other processes of this user from reading this one's memory and descriptors."""
    if LINUX:
        _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """End this process when the thread that made it ends."""
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own has ended."""
    if LINUX:
        _prctl(_PR_SET_SUBREAPER, 1)


def _readable(hidden: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return what a cell may read and list: Python, its packages, no data of ours."""
    paths = sysconfig.get_paths()
    standard = {Path(paths[name]) for name in ("stdlib", "platstdlib")}
    packages = {Path(paths[name]) for name in ("purelib", "platlib")}
    packages |= {Path(entry) for entry in sys.path if Path(entry).name.endswith("-packages")}
    others = {Path(entry).absolute() for entry in sys.path} - standard - packages
    hidden = [*hidden, *_data_folders()]
    readable = [*map(Path, (*_SYSTEM, *_DEVICES)), *_shared_libraries()]
    for folder in standard:
        # Other packages than ours may be installed in it, with data of their own.
        for path in _children(folder):
            if not path.name.endswith("-packages"):
                readable += _without(path, hidden)
    for folder in packages:
        readable += _without(folder, hidden)
    for entry in others:
        # An archive is one file.
        for path in [entry] if entry.is_file() else _importable(entry):
            readable += _without(path, hidden)
    for folder in _plugin_folders():
        readable += _without(folder, hidden)
    return readable, [*standard, *packages, *others, *_plugin_folders()]


def _shared_libraries() -> set[Path]:
    """Return what the linker may load, and no other file of its folders."""
    several = sysconfig.get_config_var("MULTIARCH") or "."
    folders = {Path(folder) / below for folder in _LINKED for below in (".", several)}
    folders |= {Path(prefix) / "lib" for prefix in (sys.prefix, sys.base_prefix)}
    named = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    folders |= {Path(folder) for folder in named if folder}
    files = [path for folder in folders for path in _children(folder) if ".so" in path.name]
    return {path.resolve() for path in files}


def _data_folders() -> Iterator[Path]:
    """Yield the folders of data sets that targets are trained from."""
    for package, folder in (("arena", "bundled"), ("sklearn", "datasets/data")):
        for place in _places(package):
            yield (place / folder).resolve()


def _plugin_folders() -> Iterator[Path]:
    """Yield the packages that plugins are in, wherever they are installed."""
    yield from _places("arena")
    for name in packages():
        yield from _places(name)


def _places(package: str) -> Iterator[Path]:
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(package)
        if spec is not None:
            origin = [spec.origin] if spec.origin and not spec.submodule_search_locations else []
            yield from (
                Path(place) for place in (*(spec.submodule_search_locations or ()), *origin)
            )


def _without(path: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield what covers a path, but for what is hidden in it; ``hidden`` are real paths."""
    real = path.resolve()
    if any(real.is_relative_to(away) for away in hidden):
        return
    if not any(away.is_relative_to(real) for away in hidden):
        yield path
        return
    for child in _children(path):
        yield from _without(child, hidden)


def _importable(folder: Path) -> Iterator[Path]:
    """Yield the modules and packages of a folder that may hold anything else."""
    for child in _children(folder):
        module = child.suffix in (".py", ".so", ".pyc") or child.name == "__pycache__"
        if module or (child / "__init__.py").is_file():
            yield child


def _children(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _cap(what: int, soft: int, hard: int | None = None) -> None:
    _, most = resource.getrlimit(what)
    hard = soft if hard is None else hard
    hard = hard if most == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(what, (min(soft, hard), hard))


def _memory_now() -> tuple[int, int]:
    """Return the addresses and the private memory that this process has, in bytes."""
    # Not by a Path: its code is not warm in a cell that has just been forked.
    file = os.open("/proc/self/statm", os.O_RDONLY)
    pages = os.read(file, 256).split()
    os.close(file)
    return int(pages[0]) * resource.getpagesize(), int(pages[5]) * resource.getpagesize()


def _drop_capabilities() -> None:
    if libc().capset(_CAPABILITIES, bytes(24)):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _prctl(option: int, value: int) -> None:
    if libc().prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} fails")
