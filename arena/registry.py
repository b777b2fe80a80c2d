"""Finds plugins by entry point, attributes each to its distribution, validates, explains failures.

Entry points are loaded one by one: pluggy's own loader stops at the first broken plugin, and
silently skips a second distribution whose entry point has the same name.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pluggy import PluginManager, PluginValidationError

from arena import hookspecs
from arena.answers import FIELDS
from arena.api import FAMILIES, PLUGIN_API, Attack, Defense, Kind, Plugin, Target
from arena.errors import ArenaError, closest

GROUP = "arena"
KINDS: dict[Kind, type[Plugin]] = {"attack": Attack, "defense": Defense, "target": Target}
_METHODS = {"attack": "extract", "defense": "protect", "target": "train"}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Registered:
    """A working plugin class.

    Attributes:
        plugin: the class.
        distribution: what installed it.
        version: of that distribution.
        module: where its code is.
    """

    plugin: type[Plugin]
    distribution: str
    version: str
    module: str

    @property
    def kind(self) -> Kind:
        """Attack, defense or target."""
        return self.plugin.kind

    @property
    def name(self) -> str:
        """What tournament files call it."""
        return self.plugin.name

    @property
    def full_name(self) -> str:
        """``distribution/name``, which tells two plugins of one name apart."""
        return f"{self.distribution}/{self.name}"


@dataclass(frozen=True)
class Broken:
    """An entry point that could not be used, and why."""

    entry_point: str
    distribution: str
    version: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Registry:
    """Every plugin that is installed, working or broken."""

    plugins: tuple[Registered, ...]
    broken: tuple[Broken, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[Registered, ...]:
        """Return the working plugins of one kind, by name."""
        return tuple(p for p in self.plugins if p.kind == kind)

    def find(self, kind: Kind, name: str) -> Registered:
        """Return the plugin that a tournament file calls ``name`` or ``distribution/name``.

        Raises:
            ArenaError: unknown (with what comes close), broken (with the reason), or ambiguous.
        """
        found = [p for p in self.of_kind(kind) if name in (p.name, p.full_name)]
        if len(found) == 1:
            return found[0]
        if found:
            both = " and ".join(f"'{p.full_name}'" for p in found)
            raise ArenaError(f"two {_plural(kind)} are called '{name}': write {both} in full")
        for b in self.broken:
            if name in (b.entry_point, f"{b.distribution}/{b.entry_point}"):
                raise ArenaError(
                    f"{_word(kind)} '{name}' of {b.distribution} {b.version} is broken: {b.reason}"
                )
        elsewhere = [p for p in self.plugins if name in (p.name, p.full_name)]
        if elsewhere:
            raise ArenaError(
                f"'{name}' is not {_article(kind)}, it is {_article(elsewhere[0].kind)}"
            )
        names = [p.name for p in self.of_kind(kind)]
        raise ArenaError(f"unknown {_word(kind)} '{name}'; {closest(name, names)}")

    def baselines(self) -> tuple[Registered, ...]:
        """Return the attacks that are on every board."""
        return tuple(
            p for p in self.of_kind("attack") if issubclass(p.plugin, Attack) and p.plugin.baseline
        )


@cache
def installed() -> Registry:
    """Load and check every plugin of this environment, once a process."""
    return load_entry_points(entry_points(group=GROUP))


def load_entry_points(points: Iterable[EntryPoint]) -> Registry:
    """Load entry points one by one; a broken one is listed with its reason, the others work."""
    plugins: list[Registered] = []
    broken: list[Broken] = []
    for point in sorted(points, key=lambda p: (_distribution(p), p.name)):
        found = _load(point)
        if isinstance(found, list):
            found = _refuse_duplicates(point, found, plugins)
        if isinstance(found, Broken):
            broken.append(found)
        else:
            plugins.extend(found)
    plugins.sort(key=lambda p: (p.kind, p.name, p.distribution))
    return Registry(tuple(plugins), tuple(broken))


def _load(point: EntryPoint) -> list[Registered] | Broken:
    try:
        module = point.load()
    except (Exception, SystemExit) as error:
        return _broken(point, f"import fails with {_one_line(error)}", error)
    wanted = getattr(module, "PLUGIN_API", PLUGIN_API)
    if wanted != PLUGIN_API:
        return _broken(point, f"it is written for plugin API {wanted}, this is {PLUGIN_API}")
    classes: list[type[Plugin]] = []
    manager = PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except PluginValidationError as error:
        return _broken(point, _hook_fault(error))
    try:
        for kind in KINDS:
            hook = getattr(manager.hook, f"register_{_plural(kind)}")
            hook(register=lambda cls, kind=kind: classes.append(_checked(kind, cls)))
    except (Exception, SystemExit) as error:
        reason = (
            str(error) if isinstance(error, ArenaError) else f"its hook raises {_one_line(error)}"
        )
        return _broken(point, reason, error)
    if not classes:
        return _broken(point, "it registers nothing; implement one of arena's hooks with @hookimpl")
    distribution, version = _distribution(point), _version(point)
    for cls in classes:
        cls.distribution = distribution
    return [Registered(cls, distribution, version, cls.__module__) for cls in classes]


def _checked(kind: Kind, cls: Any) -> type[Plugin]:
    base = KINDS[kind]
    if not (isinstance(cls, type) and issubclass(cls, base)):
        what = getattr(cls, "__name__", repr(cls))
        raise ArenaError(f"it registers {what}, which is no subclass of arena.{base.__name__}")
    method = _METHODS[kind]
    fault = (
        f"its name {cls.name!r} is not lower-case words joined by '-'"
        if not _NAME.fullmatch(cls.name)
        else "it has no docstring, whose first line is its summary"
        if not cls.__dict__.get("__doc__")
        else f"it does not define {method}"
        if getattr(cls, method) is getattr(base, method)
        else "its parameters are not frozen"
        if not cls.model_config.get("frozen")
        else _traits_fault(cls)
    )
    if fault:
        raise ArenaError(f"{_word(kind)} {cls.__name__}: {fault}")
    return cls


def _traits_fault(cls: type[Plugin]) -> str:
    if issubclass(cls, Attack):
        if not isinstance(cls.needs, tuple) or not all(
            isinstance(n, set | frozenset) for n in cls.needs
        ):
            return "its needs must be a tuple of sets of answer fields"
        fields, families = set().union(*cls.needs), set(cls.families)
    elif issubclass(cls, Defense):
        fields, families = set(cls.hides | cls.alters), set()
    else:
        fields, families = set(getattr(cls, "can_reveal", ())), {getattr(cls, "family", "other")}
    if unknown := fields - set(FIELDS):
        return f"there is no answer field {min(unknown)!r}; {closest(min(unknown), FIELDS)}"
    if unknown := families - FAMILIES:
        return f"there is no family {min(unknown)!r}; {closest(min(unknown), FAMILIES)}"
    return ""


def _refuse_duplicates(
    point: EntryPoint, found: list[Registered], earlier: list[Registered]
) -> list[Registered] | Broken:
    taken = [(p.kind, p.full_name) for p in earlier]
    for p in found:
        if (p.kind, p.full_name) in taken:
            return _broken(point, f"its {_word(p.kind)} '{p.name}' is registered twice")
        taken.append((p.kind, p.full_name))
    return found


def _hook_fault(error: PluginValidationError) -> str:
    text = " ".join(str(error).split())
    unknown = re.search(r"unknown hook '(\w+)'", text)
    if unknown:
        hooks = [n for n in vars(hookspecs) if n.startswith("register_")]
        return f"it implements an unknown hook '{unknown[1]}'; {closest(unknown[1], hooks)}"
    definition = re.search(r"hookimpl definition: (\w+)\s*(\([^)]*\))", text)
    if definition:
        return f"its hook {definition[1]}{definition[2]} has the wrong signature; take (register)"
    return text


def _broken(point: EntryPoint, reason: str, error: BaseException | None = None) -> Broken:
    text = "".join(traceback.format_exception(error)) if error else ""
    return Broken(point.name, _distribution(point), _version(point), reason, text)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist else "?"


def _plural(kind: str) -> str:
    return f"{kind}s"


def _word(kind: str) -> str:
    return "defence" if kind == "defense" else kind


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "attack" else f"a {_word(kind)}"


def source_file(module: str) -> str | None:
    """Return the path of a loaded module's source, None when it has none."""
    return getattr(sys.modules.get(module), "__file__", None)


def build(
    registry: Registry, kind: Kind, name: str, parameters: Mapping[str, Any], base: Any
) -> Plugin:
    """Make a plugin from its name and parameters as a tournament file writes them.

    Args:
        registry: where to look it up, and the plugins in its parameters.
        kind: attack, defense or target.
        name: ``name`` or ``distribution/name``.
        parameters: by name; what is left out takes its default.
        base: the folder that relative paths in parameters start from.

    Raises:
        ArenaError: no such plugin.
        pydantic.ValidationError: a parameter is wrong.
    """
    cls = registry.find(kind, name).plugin

    def inner(inner_kind: Kind, value: Any) -> Plugin:
        inner_name, inner_parameters = named(value)
        try:
            return build(registry, inner_kind, inner_name, inner_parameters, base)
        except ArenaError as error:
            raise ValueError(str(error)) from None

    return cls.model_validate(dict(parameters), context={"build": inner, "base": base})


def named(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Split ``name`` or ``{name: {parameter: value}}`` into name and parameters.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and len(value) == 1:
        name, parameters = next(iter(value.items()))
        if parameters is None:
            return name, {}
        if isinstance(parameters, Mapping):
            return name, parameters
        raise ValueError(f"the parameters of '{name}' must be a mapping, like {{{name}: {{...}}}}")
    raise ValueError("write a plugin as 'name' or '{name: {parameter: value}}'")
