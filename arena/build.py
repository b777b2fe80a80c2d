"""The build of a match: what source code played, and which libraries lay under it."""

from __future__ import annotations

import ast
import hashlib
import platform
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import ModuleType

from arena.api import Plugin
from arena.pairing import MatchSpec, TargetSpec
from arena.registry import OURS
from arena.seeds import digest

_LIBRARIES = ("numpy", "scipy", "scikit-learn")
_REFEREE = ("arena.match", "arena.stage")
_NOT_PLAYING = frozenset({"arena", "arena.tournament"})
"""Names only, and the reader of files: what it reads is in the match's identity."""

_FOUNDATIONS = sys.stdlib_module_names | {"pydantic"}
"""Packages whose classes have no part in how a plugin plays."""


def match_build(spec: MatchSpec) -> str:
    """Hash the sources of the referee and of the plugins of a match, and the library versions.

    The libraries are those under all plugins, and what the distributions of these require directly.
    """
    parts = _parts(spec)
    return _hash(_modules(parts), _distributions(parts))


def training_build(spec: TargetSpec) -> str:
    """Hash the sources that train a target, and the library versions."""
    parts = list(spec.target.parts())
    return _hash(_modules(parts), _distributions(parts))


def versions(spec: MatchSpec) -> dict[str, str]:
    """Return the versions of all that plays a match, by distribution.

    Of arena and of the distribution of every plugin, those in parameters included, of what these
    require directly, and of Python and the libraries under all; ``?`` where one is not installed.
    """
    distributions = _distributions(_parts(spec))
    own = {name: _version(name) or "?" for name in (OURS, *distributions)}
    return {**_libraries_under(distributions), **own}


def _parts(spec: MatchSpec) -> list[Plugin]:
    plugins = (spec.target.plugin, *spec.defense.plugins, spec.attack.plugin)
    return [part for plugin in plugins for part in plugin.parts()]


def _distributions(plugins: Iterable[Plugin]) -> tuple[str, ...]:
    return tuple(sorted({plugin.distribution for plugin in plugins}))


def _modules(plugins: Iterable[Plugin]) -> tuple[str, ...]:
    """Return where plugins are defined, and the classes they inherit from."""
    classes = (cls for plugin in plugins for cls in type(plugin).__mro__)
    modules = dict.fromkeys(cls.__module__ for cls in classes)
    return tuple(name for name in modules if name.partition(".")[0] not in _FOUNDATIONS)


def forget_sources() -> None:
    """Read the sources again: a long session may have edited its plugins since."""
    for function in (_hash, _source, _imports, _version, _required_by):
        function.cache_clear()


@cache
def _hash(modules: tuple[str, ...], distributions: tuple[str, ...]) -> str:
    sources: dict[str, bytes] = {}
    for module in (*_REFEREE, *modules):
        sources |= _sources(module)
    hashes = {name: hashlib.sha256(source).hexdigest() for name, source in sources.items()}
    return digest("build", platform.machine(), _libraries_under(distributions), hashes)


@cache
def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    versions = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **versions}


def _libraries_under(distributions: Iterable[str]) -> dict[str, str]:
    """Return those versions, and the versions of what distributions of plugins require."""
    required: dict[str, str] = {}
    for name in distributions:
        required |= _required_by(name) if name != OURS else {}
    return required | libraries()


@cache
def _required_by(distribution: str) -> dict[str, str]:
    """Return the versions of what a distribution requires directly, where it is installed."""
    # Most matches are played by built-ins alone.
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    try:
        listed = [Requirement(text) for text in requires(distribution) or ()]
    except (PackageNotFoundError, ValueError):
        return {}
    here = [r for r in listed if r.marker is None or r.marker.evaluate()]
    names = {canonicalize_name(r.name) for r in here} - {OURS}
    found = {name: _version(name) for name in names}
    return {name: known for name, known in found.items() if known}


@cache
def _version(distribution: str) -> str:
    """Return the version of a distribution; empty where it is not installed."""
    try:
        return str(version(distribution))
    except (PackageNotFoundError, ValueError):
        return ""


def _sources(module: str) -> dict[str, bytes]:
    """Return the content of a module and of all it imports from arena and its package, by name."""
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in _NOT_PLAYING:
            continue
        source = _source(name)
        if source is not None:
            found[name] = source
            waiting += _imports(name)
    return found


@cache
def _source(module: str) -> bytes | None:
    """Return the content of a module's file, source or compiled; None where it has none."""
    spec = _spec(module)
    if spec is None or not spec.has_location or spec.origin is None:
        file = getattr(sys.modules.get(module), "__file__", None)
        return None if file is None else Path(file).read_bytes()
    # A loader's own: the file may be in an archive.
    read = getattr(spec.loader, "get_data", None)
    content: bytes = read(spec.origin) if read else Path(spec.origin).read_bytes()
    return content


@cache
def _imports(module: str) -> frozenset[str]:
    """Return what a module imports from arena and its own package, in its functions too."""
    ours = ("arena", module.partition(".")[0])
    try:
        tree = ast.parse(_source(module) or b"")
    except (SyntaxError, ValueError):
        # It is compiled.
        return frozenset()
    spec = _spec(module)
    package = (spec.parent if spec else module.rpartition(".")[0]) or ""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base.partition(".")[0] in ours:
                names.add(base)
                names.update(_origin(base, alias.name) for alias in node.names)
    return frozenset(name for name in names if name.partition(".")[0] in ours)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    with suppress(ImportError):
        return resolve_name("." * node.level + (node.module or ""), package)
    # It is relative beyond the top, so it is never imported.
    return ""


def _origin(base: str, name: str) -> str:
    """Return the module that ``name`` of the module ``base`` is, or in which it was defined."""
    if not hasattr(sys.modules.get(base), name):
        return f"{base}.{name}" if _spec(f"{base}.{name}") else base
    value = getattr(sys.modules[base], name)
    if isinstance(value, ModuleType):
        return value.__name__
    origin = getattr(value, "__module__", None)
    return origin if isinstance(origin, str) else base


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without running it: what is not imported here need not be importable here."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return loaded.__spec__
    try:
        return find_spec(module)
    except Exception:
        # A package around it does not import, so neither would it.
        return None
