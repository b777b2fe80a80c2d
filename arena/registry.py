"""Finds plugins by entry point, attributes each to its distribution, validates, explains failures.

Entry points are loaded one by one: pluggy's own loader stops at the first broken plugin, and
silently skips a second distribution whose entry point has the same name. What is disabled by the
name of its entry point is not imported; a plugin under another name is left out once it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from shlex import quote
from typing import Any

from pydantic import ValidationError

from arena import disabling
from arena.api import PLUGIN_API, Attack, Defense, Kind, Plugin, Target
from arena.disabling import Disabled
from arena.errors import ArenaError, closest, is_interrupt, one_line
from arena.points import distribution_of, file_of, import_fault, owns, uncollected, version_of
from arena.seeds import digest
from arena.traces import failure, place
from arena.vetting import article, registered_by, word, written_for

GROUP = "arena"
OURS = "extraction-arena"
"""The distribution that this module is of."""


@dataclass(frozen=True)
class Registered:
    """A working plugin class.

    Attributes:
        plugin: the class.
        distribution: what installed it.
        version: of that distribution.
        module: where its code is.
        api: the version of the plugin API that it is written for.
    """

    plugin: type[Plugin]
    distribution: str
    version: str
    module: str
    api: int = PLUGIN_API

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
    """An entry point that could not be used, and why.

    Attributes:
        entry_point: its name.
        distribution: what installed it.
        version: of that distribution.
        reason: one sentence.
        traceback: as `arena.traces.failure` says it, empty where nothing was raised.
        place: the author's file, and its line where one raised; empty where there is no file.
    """

    entry_point: str
    distribution: str
    version: str
    reason: str
    traceback: str = ""
    place: str = ""

    @property
    def told(self) -> str:
        """The reason, with its place where there is one."""
        return f"{self.reason} ({self.place})" if self.place else self.reason


@dataclass(frozen=True)
class Registry:
    """Every plugin that is installed: working, broken or disabled.

    Attributes:
        plugins: those that work.
        broken: what cannot be used, and why.
        disabled: what the user has disabled.
        unmatched: disabled names that are no plugin's.
        absent: what a tournament file requires, as pip reads it, and is not installed.
    """

    plugins: tuple[Registered, ...]
    broken: tuple[Broken, ...] = ()
    disabled: tuple[Disabled, ...] = ()
    unmatched: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[Registered, ...]:
        """Return the working plugins of one kind, by name."""
        return tuple(p for p in self.plugins if p.kind == kind)

    def find(self, kind: Kind, name: str) -> Registered:
        """Return the plugin that a tournament file calls ``name`` or ``distribution/name``.

        Raises:
            ArenaError: unknown (with what comes close, or what to install), broken (with the
                reason), disabled (with how to enable it), or ambiguous.
        """
        found = [p for p in self.of_kind(kind) if name in (p.name, p.full_name)]
        if len(found) == 1:
            return found[0]
        if found:
            both = " and ".join(f"'{p.full_name}'" for p in found)
            raise ArenaError(
                f"{len(found)} {word(kind)}s are called '{name}'; write one in full: {both}"
            )
        raise ArenaError(self._why_not(kind, name))

    def _why_not(self, kind: Kind, name: str) -> str:
        if reason := self._unavailable(word(kind), name, kind):
            return reason
        elsewhere = [p.kind for p in self.plugins if name in (p.name, p.full_name)]
        if elsewhere:
            return f"'{name}' is not {article(kind)}, it is {article(elsewhere[0])}"
        if self.absent:
            return f"unknown {word(kind)} '{name}'; {self.to_install}"
        near = _closest(name, self.of_kind(kind))
        more = {"broken": len(self.broken), "disabled": len(self.disabled)}
        counts = " and ".join(f"{n} more are {state}" for state, n in more.items() if n)
        beside = f" ({counts}: arena plugins says why)" if counts else ""
        return f"unknown {word(kind)} '{name}'; {near}{beside}"

    @property
    def to_install(self) -> str:
        """What is absent and how to install it, as a sentence; for a registry that lacks some."""
        listed, verb = " and ".join(self.absent), "are" if len(self.absent) > 1 else "is"
        words = " ".join(map(quote, self.absent))
        return f"this file requires {listed}, which {verb} not installed: arena install {words}"

    def _unavailable(self, what: str, name: str, kind: Kind | None = None) -> str:
        for d in self.disabled:
            known = d.kind is None or kind is None or d.kind == kind
            if known and name in (d.name, f"{d.distribution}/{d.name}"):
                return f"{what} '{name}' of {d.distribution} {d.version} is disabled; {d.mend}"
        for b in self.broken:
            if name in (b.entry_point, f"{b.distribution}/{b.entry_point}"):
                return f"{what} '{name}' of {b.distribution} {b.version} is broken: {b.told}"
        return ""

    def called(self, name: str) -> tuple[Registered, ...]:
        """Return the plugins of any kind called ``name`` or ``distribution/name``, at least one.

        Raises:
            ArenaError: unknown (with what comes close), broken (with the reason), or disabled.
        """
        found = tuple(p for p in self.plugins if name in (p.name, p.full_name))
        if not found:
            near = _closest(name, self.plugins)
            reason = self._unavailable("plugin", name)
            raise ArenaError(reason or f"unknown plugin '{name}'; {near}")
        return found

    def baselines(self) -> tuple[Registered, ...]:
        """Return the attacks that are on every board."""
        return tuple(
            p for p in self.of_kind("attack") if issubclass(p.plugin, Attack) and p.plugin.baseline
        )

    def disabled_baselines(self) -> tuple[Disabled, ...]:
        """Return which of arena's own baselines are disabled; those of others may well be.

        What is disabled of arena's own plugins is imported to find out.
        """
        return tuple(d for d in self.disabled if d.distribution == OURS and _is_baseline(d))


def _closest(name: str, plugins: Iterable[Registered]) -> str:
    return closest(name.rpartition("/")[2], [p.name for p in plugins])


def _is_baseline(disabled: Disabled) -> bool:
    found = _load(disabled.point) if disabled.point else []
    classes = [] if isinstance(found, Broken) else [p.plugin for p in found]
    return any(issubclass(cls, Attack) and cls.baseline for cls in classes)


def installed() -> Registry:
    """Load and check every plugin of this environment that is not disabled, once a process."""
    return _installed(disabling.names(disabling.wanted()))


@cache
def _installed(disabled: tuple[str, ...]) -> Registry:
    with uncollected():
        return load_entry_points(entry_points(group=GROUP), disabled)


def load_entry_points(points: Iterable[EntryPoint], disabled: tuple[str, ...] = ()) -> Registry:
    """Load entry points one by one; a broken one is listed with its reason, the others work.

    Args:
        points: the entry points.
        disabled: names of plugins, or of entry points, to leave out.
    """
    plugins: list[Registered] = []
    broken: list[Broken] = []
    off: list[Disabled] = []
    loaded: list[tuple[EntryPoint, list[Registered] | Broken]] = []
    for point in sorted(points, key=lambda p: (distribution_of(p), p.name)):
        if by := disabling.naming(disabled, distribution_of(point), point.name):
            named = (point.name, distribution_of(point), version_of(point))
            off.append(Disabled(*named, by, point=point))
            continue
        loaded.append((point, _load(point)))
    # A class is its author's, whoever else registers it and comes first by name.
    for point, found in sorted(loaded, key=_borrows):
        if isinstance(found, list):
            those = [(p, disabling.naming(disabled, p.distribution, p.name)) for p in found]
            off += [
                Disabled(p.name, p.distribution, p.version, by, p.kind) for p, by in those if by
            ]
            found = [p for p, by in those if not by]
        if isinstance(found, list) and (fault := _conflict(point, found, plugins)):
            found = _broken(point, fault)
        if isinstance(found, Broken):
            broken.append(found)
            continue
        for registered in found:
            registered.plugin.distribution = registered.distribution
        plugins.extend(found)
    plugins.sort(key=lambda p: (p.kind, p.name, p.distribution))
    broken.sort(key=lambda b: (b.distribution, b.entry_point))
    known = {name for d in off for name in (d.name, f"{d.distribution}/{d.name}")}
    unmatched = tuple(name for name in disabled if name not in known)
    return Registry(tuple(plugins), tuple(broken), tuple(off), unmatched)


def _borrows(loaded: tuple[EntryPoint, list[Registered] | Broken]) -> bool:
    point, found = loaded
    return isinstance(found, list) and not all(owns(point, p.module) for p in found)


def _load(point: EntryPoint) -> list[Registered] | Broken:
    try:
        # What a plugin prints when it is imported must not end up in `--json`.
        with redirect_stdout(sys.stderr):
            module = point.load()
    except BaseException as error:
        if is_interrupt(error):
            raise
        return _broken(point, import_fault(point, error), error)
    try:
        api = written_for(module)
        # What a hook prints must not end up there, either.
        with redirect_stdout(sys.stderr):
            classes = registered_by(module)
    except ArenaError as error:
        return _broken(point, str(error), error)
    except BaseException as error:
        if is_interrupt(error):
            raise
        return _broken(point, f"its hook raises {one_line(error)}", error)
    if not classes:
        return _broken(point, "it registers nothing; implement one of arena's hooks with @hookimpl")
    distribution, version = distribution_of(point), version_of(point)
    return [Registered(cls, distribution, version, cls.__module__, api) for cls in classes]


def _conflict(point: EntryPoint, found: list[Registered], earlier: list[Registered]) -> str:
    names = {(p.kind, p.full_name) for p in earlier}
    owners = {p.plugin: p.distribution for p in earlier}
    for p in found:
        owner = owners.get(p.plugin, p.distribution)
        if owner != p.distribution:
            return f"its {word(p.kind)} '{p.name}' is that of {owner}; subclass it and rename it"
        if (p.kind, p.full_name) in names:
            return f"its {word(p.kind)} '{p.name}' is registered twice"
        names.add((p.kind, p.full_name))
    return ""


def _broken(point: EntryPoint, reason: str, error: BaseException | None = None) -> Broken:
    text, where = (failure(error), place(error)) if error else ("", "")
    named = distribution_of(point), version_of(point)
    return Broken(point.name, *named, reason, text, where or file_of(point))


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
        ArenaError: no such plugin, or its own code fails.
        pydantic.ValidationError: a parameter is wrong.
    """
    found = registry.find(kind, name)

    def inner(inner_kind: Kind, value: Any) -> Plugin:
        inner_name, inner_parameters = named(value)
        try:
            return build(registry, inner_kind, inner_name, inner_parameters, base)
        except ArenaError as error:
            raise ValueError(str(error)) from None

    # As JSON, strict means: a list may be a tuple or a set, but neither "3" nor true is a number.
    text = json.dumps(dict(parameters))
    context = {"build": inner, "base": base}
    try:
        plugin = found.plugin.model_validate_json(text, strict=True, context=context)
        _question(plugin)
    except (ArenaError, ValidationError):
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise ArenaError(
            f"{word(kind)} '{name}' of {found.distribution} fails to take its parameters "
            f"({one_line(error)}); report it there"
        ) from error
    return plugin


def _question(plugin: Plugin) -> None:
    """Ask a plugin what the engine will ask it, so that what fails is known to be its own code.

    Raises:
        BaseException: whatever it raises.
    """
    plugin.title()
    # That a file is missing is told elsewhere, with its place.
    with suppress(ArenaError):
        digest(plugin.identity())
    if isinstance(plugin, Target):
        plugin.families()
    elif isinstance(plugin, Defense):
        plugin.traits  # noqa: B018
    elif isinstance(plugin, Attack):
        plugin.requirements  # noqa: B018


def named(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Split ``name`` or ``{name: {parameter: value}}`` into name and parameters.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(
            f"write a plugin as 'name' or '{{name: {{parameter: value}}}}'{_hint(value)}"
        )
    name, parameters = next(iter(value.items()))
    if parameters is not None and not isinstance(parameters, Mapping):
        raise ValueError(f"the parameters of '{name}' must be a mapping, like {{{name}: {{...}}}}")
    return name, parameters or {}


def _hint(value: Any) -> str:
    if isinstance(value, Mapping) and len(value) > 1:
        keys = ", ".join(f"'{key}'" for key in value)
        return f"; here are {len(value)} keys: {keys}"
    return "; chains are for defences, and hold no chains" if isinstance(value, list) else ""
