"""The build of a match: what source code played, and which libraries lay under it."""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from arena.pairing import MatchSpec, TargetSpec
from arena.seeds import digest

_LIBRARIES = ("numpy", "scipy", "scikit-learn")
_REFEREE = ("arena.match", "arena.stage")


def match_build(spec: MatchSpec) -> str:
    """Hash the sources of the referee and of the plugins of a match, and the library versions."""
    plugins = (spec.target.plugin, *spec.defense.plugins, spec.attack.plugin)
    return _hash(tuple(type(plugin).__module__ for plugin in plugins))


def training_build(spec: TargetSpec) -> str:
    """Hash the sources that train a target, and the library versions."""
    return _hash((type(spec.target).__module__,))


@cache
def _hash(modules: tuple[str, ...]) -> str:
    sources = sorted({file for module in (*_REFEREE, *modules) for file in _sources(module)})
    return digest("build", libraries(), [_file_hash(file) for file in sources])


@cache
def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    versions = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}


@cache
def _file_hash(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


@cache
def _sources(module: str) -> tuple[str, ...]:
    """Collect the files of a module and of all it imports from arena and its own package."""
    __import__(module)
    packages = ("arena", module.partition(".")[0])
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        loaded = sys.modules.get(name)
        file = getattr(loaded, "__file__", None)
        if loaded is None or file is None or name in found:
            continue
        found[name] = file
        waiting += [n for n in _named_in(loaded) if n.partition(".")[0] in packages]
    return tuple(found.values())


def _named_in(module: ModuleType) -> set[str]:
    return {
        value.__name__ if isinstance(value, ModuleType) else str(getattr(value, "__module__", ""))
        for value in vars(module).values()
    }
