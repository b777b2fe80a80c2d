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
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from arena.isolation import landlock, seccomp
from arena.settings import Limits

_MIB = 1 << 20
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CAPABILITIES = struct.pack("II", 0x20080522, 0)

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/localtime")
_LIBRARIES = ("/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

LINUX = platform.system() == "Linux"


@dataclass(frozen=True)
class Confinement:
    """What cells of one server are held to.

    Attributes:
        scratch: the one folder they may write in.
        ruleset: a Landlock ruleset's descriptor, None where there is no Landlock.
        filtered: whether system calls are filtered.
        unenforced: what cannot be enforced here, in words.
    """

    scratch: Path
    ruleset: int | None
    filtered: bool
    unenforced: tuple[str, ...]

    @classmethod
    def prepare(cls, scratch: Path) -> Confinement:
        """Find out what this machine can enforce, and make its rules ready."""
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
            readable, listable = _readable()
            writable = [scratch, *map(Path, _DEVICES)]
            ruleset = landlock.ruleset(readable, listable, writable)
        return cls(scratch, ruleset, filtered, tuple(lacking))

    def enter(self, limits: Limits) -> None:
        """Hold this process, which has one thread, to limits and rules for good."""
        self._limit(limits)
        os.chdir(self.scratch)
        os.environ.update(HOME=str(self.scratch), TMPDIR=str(self.scratch))
        if LINUX:
            die_with_parent()
            _prctl(_PR_SET_NO_NEW_PRIVS, 1)
            _drop_capabilities()
            if self.ruleset is not None:
                landlock.restrict(self.ruleset)
                os.close(self.ruleset)
        if self.filtered:
            seccomp.install()

    @staticmethod
    def _limit(limits: Limits) -> None:
        _cap(resource.RLIMIT_CORE, 0)
        _cap(resource.RLIMIT_CPU, limits.cpu, limits.cpu + 2)
        _cap(resource.RLIMIT_NOFILE, limits.files)
        _cap(resource.RLIMIT_FSIZE, limits.output * _MIB)
        if LINUX:
            _cap(resource.RLIMIT_DATA, _data_now() + limits.memory * _MIB)


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


def _readable() -> tuple[list[Path], list[Path]]:
    """Return what a cell may read and list: Python, its packages, no data of ours."""
    paths = sysconfig.get_paths()
    standard = {Path(paths[name]) for name in ("stdlib", "platstdlib")}
    packages = {Path(paths[name]) for name in ("purelib", "platlib")}
    packages |= {Path(entry) for entry in sys.path if Path(entry).name.endswith("-packages")}
    others = {Path(p) for p in sys.path if p} - standard - packages
    hidden = list(_data_folders())
    readable = [Path(path) for path in _LIBRARIES]
    for folder in map(Path, _SYSTEM):
        readable += _without(folder, hidden)
    for folder in standard:
        readable += _without(folder, [*packages, *hidden])
    for folder in packages:
        readable += _without(folder, hidden)
    for folder in others:
        readable += [path for path in _importable(folder) if path not in hidden]
    for folder in _plugin_folders():
        readable += _without(folder, hidden)
    return readable, [*standard, *packages, *others, *_plugin_folders()]


def _data_folders() -> Iterator[Path]:
    """Yield the folders of data sets that targets are trained from."""
    for package, folder in (("arena", "bundled"), ("sklearn", "datasets/data")):
        for place in _places(package):
            yield (place / folder).resolve()


def _plugin_folders() -> Iterator[Path]:
    """Yield the packages that plugins are in, wherever they are installed."""
    yield from _places("arena")
    for name in {point.module.partition(".")[0] for point in entry_points(group="arena")}:
        yield from _places(name)


def _places(package: str) -> Iterator[Path]:
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(package)
        if spec is not None:
            origin = [spec.origin] if spec.origin and not spec.submodule_search_locations else []
            yield from (
                Path(place) for place in (*(spec.submodule_search_locations or ()), *origin)
            )


def _without(folder: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield what covers a folder, but for what is hidden in it."""
    real = folder.resolve()
    if not any(path.resolve().is_relative_to(real) for path in hidden):
        yield folder
        return
    for child in _children(folder):
        if not any(child.resolve() == path.resolve() for path in hidden):
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


def _data_now() -> int:
    """Return the private memory of this process, in bytes."""
    text = Path("/proc/self/statm").read_text(encoding="ascii")
    return int(text.split()[5]) * resource.getpagesize()


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(_CAPABILITIES, bytes(24)):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} fails")
