"""The surface of the plugin API as lines of text, read from the code.

``python tests/surface.py`` writes them to tests/packages/surface-vN.txt, N being PLUGIN_API. It
adds to what is there, and refuses to change or take away what plugins of version N rely on.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import arena
from arena import api, conformance, domain, hookspecs
from arena.api import PLUGIN_API
from arena.conformance.rules import Outcome
from arena.registry import GROUP
from arena.vetting import GRANTS, KINDS, RESERVED

PACKAGES = Path(__file__).parent / "packages"

RUNNERS = {"load", "play", "standings"}
"""Exported for those who run tournaments; no plugin needs them."""

MEMBERS = {
    "box_posterior": ("BoxPosterior", "corners"),
    "conformance": ("Result", "Violation", "check", "examples", "parametrize", "report"),
    "kernel_svm": ("KernelExpansion", "KernelSVC", "KernelSurrogate"),
    "nested_planes": ("NestedPlanes",),
    "nested_spheres": ("NestedSpheres",),
    "pairwise_svm": ("Machines",),
    "recipes": ("Constant", "Learned", "Transcript", "fit", "refit", "ridge", "soft"),
}
"""What is promised of the modules that arena exports."""

REQUIRED = " (required)"
"""Ends what whoever calls, makes or defines a thing must give it: more of it breaks plugins."""

CLOSED = ("reserved name: ", "kind of feature: ", "geometry: ")
"""Begins words of which there cannot be more without breaking plugins."""

HANDED = {"Requirements": api.Requirements, "Traits": api.Traits}
"""Classes that plugins are handed and do not import."""


def path() -> Path:
    """Return where the surface of this version is kept."""
    return PACKAGES / f"surface-v{PLUGIN_API}.txt"


def kept() -> list[str]:
    """Return the lines that are kept; none before a version has any."""
    return path().read_text(encoding="utf-8").splitlines() if path().is_file() else []


def surface() -> list[str]:
    """Return what docs/plugin-api.md promises, a line a thing."""
    lines = [f"PLUGIN_API: {PLUGIN_API}", f"entry points: group {GROUP}", *_words()]
    for name in sorted(set(arena.__all__) - RUNNERS - {"PLUGIN_API"}):
        value = getattr(arena, name)
        if isinstance(value, ModuleType):
            for member in MEMBERS[name]:
                lines += _thing(f"{name}.{member}", getattr(value, member))
        else:
            lines += _thing(name, value)
    for name, cls in HANDED.items():
        lines += _class(name, cls)
    return lines


def broken(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return what plugins that keep to ``before`` may stumble over, a line a thing, signed."""
    before, now = list(before), list(now)
    there = {_owner(line) for line in before}
    return [f"-{line}" for line in before if line not in now] + [
        f"+{line}"
        for line in now
        if line not in before and _owner(line) in there and _demands(line)
    ]


def main() -> int:
    """Add to what is kept what is new."""
    now = surface()
    if faults := broken(kept(), now):
        print(*faults, f"Not written: this breaks plugins. {MEND}", sep="\n", file=sys.stderr)
        return 1
    path().write_text("".join(f"{line}\n" for line in now), encoding="utf-8")
    return 0


MEND = (
    "Keep the old way beside the new one, or raise PLUGIN_API as docs/plugin-api.md says. Where no "
    f"plugin can notice, take the line out of {path().name} by hand and say why in the commit."
)


def _owner(line: str) -> str:
    return line.partition(": ")[0]


def _demands(line: str) -> bool:
    return line.endswith(REQUIRED) or line.startswith(CLOSED)


def _words() -> Iterator[str]:
    """Yield the names that plugins write, and that waivers, tournament files and boards know."""
    for hook in (f"register_{kind}s" for kind in KINDS):
        yield from _function(f"hook {hook}", getattr(hookspecs, hook))
    yield f"reserved name: {RESERVED}"
    yield from (f"kind of feature: {kind}" for kind in get_args(domain.Kind))
    yield from (f"geometry: {geometry}" for geometry in get_args(domain.Geometry))
    yield from (f"grant: {grant}" for grant in GRANTS)
    yield from (f"outcome of a check: {outcome}" for outcome in get_args(Outcome))
    for kind in KINDS:
        yield from (f"check, {kind}: {check.name}" for check in conformance.checks(kind))


def _thing(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif inspect.isfunction(value):
        yield from _function(name, value)
    elif isinstance(value, frozenset):
        yield from (f"{name}: holds {word!r}" for word in sorted(value))
    elif isinstance(value, tuple):
        yield from (f"{name}: {i}, {word!r}" for i, word in enumerate(value))
    elif isinstance(value, int | str):
        yield f"{name}: {value!r}"
    else:
        # A marker of pluggy, or an annotated type: what it is of its own says nothing stable.
        yield f"{name}: there"


def _class(name: str, cls: type) -> Iterator[str]:
    yield f"{name}: class"
    yield from (f"{name}: is a {base.__name__}" for base in cls.__bases__ if base is not object)
    is_data = dataclasses.is_dataclass(cls)
    own = inspect.get_annotations(cls)
    if is_data:
        yield from _dataclass_fields(name, cls, own)
    for attribute, annotation in own.items():
        if attribute.startswith("_") or (is_data and attribute in _names_of_fields(cls)):
            continue
        if attribute == "names":
            yield from (f"{name}: names hold {word!r}" for word in getattr(cls, attribute))
        else:
            yield f"{name}: attribute {attribute}: {annotation}{_default_of(cls, attribute)}"
    is_protocol = getattr(cls, "_is_protocol", False)
    asked = frozenset(vars(cls)) if is_protocol else getattr(cls, "__abstractmethods__", ())
    made_by_python = is_data or is_protocol or issubclass(cls, BaseModel)
    for member, value in vars(cls).items():
        if member == "__init__" and not made_by_python:
            yield from _function(name, value, bound=True, returns=False)
        elif not member.startswith(("_", "model_")):
            yield from _member(name, member, value, REQUIRED if member in asked else "")


def _dataclass_fields(name: str, cls: Any, own: dict[str, str]) -> Iterator[str]:
    for i, f in enumerate(dataclasses.fields(cls)):
        if f.name not in own or f.name.startswith("_"):
            continue
        default = f" = {_written(f.default)}"
        if f.default is dataclasses.MISSING:
            made: Any = f.default_factory
            default = REQUIRED if made is dataclasses.MISSING else f" = {made.__name__}()"
        place = "by name" if f.kw_only else i
        yield f"{name}: field {place}, {f.name}: {f.type}{default}"


def _names_of_fields(cls: Any) -> set[str]:
    return {f.name for f in dataclasses.fields(cls)}


def _default_of(cls: type, attribute: str) -> str:
    """Write the default of a class attribute, or of a parameter of a pydantic model."""
    if issubclass(cls, BaseModel) and attribute in cls.model_fields:
        default = cls.model_fields[attribute].default
        return REQUIRED if default is PydanticUndefined else f" = {_written(default)}"
    value = vars(cls).get(attribute, dataclasses.MISSING)
    return "" if value is dataclasses.MISSING else f" = {_written(value)}"


def _member(name: str, member: str, value: Any, asked: str) -> Iterator[str]:
    if isinstance(value, property | cached_property):
        get: Any = value.fget if isinstance(value, property) else value.func
        yield f"{name}: property {member} -> {inspect.signature(get).return_annotation}{asked}"
    elif isinstance(value, classmethod | staticmethod):
        yield f"{name}: class method {member}"
        yield from _function(f"{name}.{member}", value.__func__, isinstance(value, classmethod))
    elif inspect.isfunction(value):
        yield f"{name}: method {member}{asked}"
        yield from _function(f"{name}.{member}", value, bound=True)


_STARS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}


def _function(
    name: str, function: Callable[..., Any], bound: bool = False, returns: bool = True
) -> Iterator[str]:
    signature = inspect.signature(function)
    for i, parameter in enumerate([*signature.parameters.values()][bound:]):
        place = "by name" if parameter.kind is parameter.KEYWORD_ONLY else i
        stars = _STARS.get(parameter.kind.name, "")
        what = f"{stars}{parameter.name}: {parameter.annotation}"
        if parameter.default is not parameter.empty:
            what += f" = {_written(parameter.default)}"
        elif not stars:
            what += REQUIRED
        yield f"{name}: parameter {place}, {what}"
    if returns:
        yield f"{name}: returns {signature.return_annotation}"


def _written(value: Any) -> str:
    """Write a value the same on every Python: sets in order; all families by their name."""
    if value == arena.ANY:
        return "ANY"
    if isinstance(value, frozenset | set):
        return f"{{{', '.join(map(_written, sorted(value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))})"
    return repr(value)


if __name__ == "__main__":
    sys.exit(main())
