"""Instances to check: defaults where there are, sensible values where something is required."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from numpy.random import Generator
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from arena.answers import Answer
from arena.api import (
    Attack,
    Defense,
    Floats,
    Oracle,
    P,
    Plugin,
    Session,
    Surrogate,
    Target,
    Victim,
)
from arena.datasets import REGRESSION, Dataset
from arena.errors import ArenaError, one_line
from arena.learners import recipes
from arena.mistakes import Mistakes
from arena.registry import Registered, Registry, build, installed
from arena.vetting import word
from arena.yamlmarks import parse

_SETS = ("iris", "pima", "wine")
"""Data sets with classes that come with the wheel or scikit-learn; the first that fits is taken."""

_OURS = "conformance"
"""What installed the simple plugins below, so that no other's name is taken for theirs."""


class Uniform(Attack):
    """Asks uniform rows one by one, and fits the target's family."""

    name = "uniform"
    reference = "a stand-in of arena.conformance"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate whenever one is due."""
        answered = recipes.Transcript(oracle)
        while True:
            if oracle.checkpoint_due:
                yield answered.fit(rng)
            if not oracle.remaining:
                return
            answered.ask(oracle.knowledge.domain.sample(1, rng))


class PassOn(Defense):
    """Leaves answers as they are."""

    name = "pass-on"
    reference = "a stand-in of arena.conformance"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that passes answers on."""
        return _PassOn()


@dataclass(frozen=True)
class _PassOn:
    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer itself."""
        return answer


def examples(
    plugin: str | type[Plugin],
    parameters: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> tuple[Plugin, ...]:
    """Make an instance of a plugin to check, or one of every kind that has this name.

    What is required and not given is found: a data set that comes with arena, a simple attack or
    defence to wrap, or the first of the ``examples`` of a pydantic field.

    Args:
        plugin: its class, or its name as a tournament file writes it.
        parameters: as a tournament file writes them; what is left out takes its default.
        registry: where names are looked up; what is installed by default.

    Raises:
        ArenaError: no such plugin, a parameter is wrong, or none is found for one.
    """
    known = registry or installed()
    if isinstance(plugin, str):
        found = known.called(plugin)
    else:
        found = tuple(p for p in known.plugins if p.plugin is plugin)
        found = found or (Registered(plugin, plugin.distribution, "?", plugin.__module__),)
    ours = (Registered(cls, _OURS, "?", __name__) for cls in (Uniform, PassOn))
    others = [p for p in known.plugins if p not in found]
    everything = Registry((*found, *others, *ours), known.broken)
    return tuple(_example(registered, dict(parameters or {}), everything) for registered in found)


def remade(plugin: P, **others: Any) -> P:
    """Make a plugin anew from its parameters, some of them others; none is validated again."""
    values = {name: getattr(plugin, name) for name in type(plugin).model_fields}
    cls: Any = type(plugin)
    again: P = cls.model_construct(**values | others)
    return again


def written(value: Any) -> Any:
    """Write a parameter as a tournament file does: JSON-able, plugins by full name."""
    if isinstance(value, Plugin):
        return {value.identity()[0]: parameters(value)}
    if isinstance(value, (list, tuple)):
        return [written(v) for v in value]
    return value


def parameters(plugin: Plugin) -> dict[str, Any]:
    """Write the parameters of a plugin as a tournament file does."""
    dumped = plugin.model_dump(mode="json", exclude=set(_wrapped(plugin)))
    return dumped | _wrapped(plugin)


def _wrapped(plugin: Plugin) -> dict[str, Any]:
    """Write those parameters that are plugins, or hold some."""
    values = {name: getattr(plugin, name) for name in type(plugin).model_fields}
    return {name: written(value) for name, value in values.items() if _holds_plugin(value)}


def _holds_plugin(value: Any) -> bool:
    values = value if isinstance(value, (list, tuple)) else (value,)
    return any(isinstance(v, Plugin) for v in values)


def _example(registered: Registered, given: dict[str, Any], registry: Registry) -> Plugin:
    fields = registered.plugin.model_fields
    required = {n: f for n, f in fields.items() if f.is_required() and n not in given}
    choices = {name: _choices(info) for name, info in required.items()}
    for name, found in choices.items():
        if not found:
            about = required[name].description
            raise ArenaError(
                f"{word(registered.kind)} '{registered.name}' needs a value for its parameter "
                f"'{name}'{f' ({about})' if about else ''}; give one, with arena check -p "
                f"{name}=VALUE or in Python, or give its Field examples=[VALUE]"
            )
    faults: list[ArenaError] = []
    for i in range(max(map(len, choices.values()), default=1)):
        values = {name: choice[min(i, len(choice) - 1)] for name, choice in choices.items()}
        try:
            return _built(registered, given | values, registry)
        except ArenaError as error:
            faults.append(error)
    raise faults[0]


def _built(registered: Registered, values: dict[str, Any], registry: Registry) -> Plugin:
    try:
        plugin = build(registry, registered.kind, registered.full_name, values, Path())
    except ValidationError as error:
        raise ArenaError(_said(error, registered, values, registry)) from None
    if isinstance(plugin, Target):
        plugin.check()
    return plugin


def _said(
    error: ValidationError, registered: Registered, values: dict[str, Any], registry: Registry
) -> str:
    """Say what is wrong with parameters as for a tournament file, but for the place in a file."""
    title = f"{word(registered.kind)} {registered.name}"
    mistakes = Mistakes(parse(json.dumps(values), title), registry)
    mistakes.add_findings(error, (), registered.plugin)
    try:
        mistakes.raise_if_any()
    except ArenaError as sentences:
        return re.sub(
            rf"^({re.escape(title)}):\d+:\d+: ", r"\1: ", str(sentences), flags=re.MULTILINE
        )
    return f"{title}: {one_line(error)}"


def _choices(info: FieldInfo) -> tuple[Any, ...]:
    """Return what may be written for a required parameter, what is simplest first."""
    if info.examples:
        return tuple(info.examples)
    for cls in _classes(info.annotation):
        if issubclass(cls, Dataset):
            return tuple(REGRESSION if cls.regression else _SETS)
        if issubclass(Uniform, cls):
            return (f"{_OURS}/{Uniform.name}",)
        if issubclass(PassOn, cls):
            return (f"{_OURS}/{PassOn.name}",)
    return ()


def _classes(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation names and that may be found a value for."""
    if isinstance(annotation, type) and issubclass(annotation, (Dataset, Attack, Defense)):
        yield annotation
    # A tuple of plugins is written as a list, which holds no more than a user asks for.
    if get_origin(annotation) in (Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from _classes(part)
