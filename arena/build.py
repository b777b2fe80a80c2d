"""The build of a match: what source code played, and which libraries lay under it."""

from __future__ import annotations

import ast
import hashlib
import platform
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType

from arena.pairing import MatchSpec, TargetSpec
from arena.seeds import digest

_LIBRARIES = ("numpy", "scipy", "scikit-learn")
_REFEREE = ("arena.match", "arena.stage")
_NOT_PLAYING = frozenset({"arena", "arena.tournament"})
"""Names only, and the reader of files: what it reads is in the match's identity."""


def match_build(spec: MatchSpec) -> str:
    """Hash the sources of the referee and of the plugins of a match, and the library versions."""
    plugins = (spec.target.plugin, *spec.defense.plugins, spec.attack.plugin)
    parts = (part for plugin in plugins for part in plugin.parts())
    return _hash(tuple(type(part).__module__ for part in parts))


def training_build(spec: TargetSpec) -> str:
    """Hash the sources that train a target, and the library versions."""
    return _hash(tuple(type(part).__module__ for part in spec.target.parts()))


def forget_sources() -> None:
    """Read the sources again: a long session may have edited its plugins since."""
    for function in (_hash, _file_hash, _imports):
        function.cache_clear()


@cache
def _hash(modules: tuple[str, ...]) -> str:
    sources: dict[str, str] = {}
    for module in (*_REFEREE, *modules):
        sources |= _sources(module)
    return digest("build", libraries(), {name: _file_hash(sources[name]) for name in sources})


@cache
def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    versions = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}


@cache
def _file_hash(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _sources(module: str) -> dict[str, str]:
    """Return the files, by module, of a module and of all it imports from arena and its package."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = getattr(_loaded(name), "__file__", None)
        if name not in found and name not in _NOT_PLAYING and file is not None:
            found[name] = file
            waiting += _imports(name, file)
    return found


@cache
def _imports(module: str, file: str) -> frozenset[str]:
    """Return what a module imports from arena and its own package, in its functions too."""
    ours = ("arena", module.partition(".")[0])
    package = module if Path(file).stem == "__init__" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names.add(base)
            if base.partition(".")[0] in ours:
                names.update(_origin(base, alias.name) for alias in node.names)
    return frozenset(name for name in names if name.partition(".")[0] in ours)


def _origin(base: str, name: str) -> str:
    """Return the module that ``name`` of the module ``base`` is, or in which it was defined."""
    value = getattr(_loaded(base), name, None)
    if isinstance(value, ModuleType):
        return value.__name__
    origin = getattr(value, "__module__", None)
    return origin if isinstance(origin, str) else base


def _loaded(module: str) -> ModuleType | None:
    try:
        return sys.modules.get(module) or import_module(module)
    except ImportError:
        return None
