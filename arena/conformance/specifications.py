"""What every plugin is held to, as the specification that it is."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from arena.api import Kind, Plugin
from arena.conformance.instances import parameters
from arena.conformance.rules import Check, Violation
from arena.errors import ArenaError, one_line
from arena.registry import named
from arena.vetting import vetted


def well_declared(plugin: Plugin) -> None:
    """Its class would be registered: a name, a docstring, its one method, traits of known words."""
    try:
        vetted(plugin.kind, type(plugin))
    except ArenaError as error:
        raise Violation(f"would not be registered: {error}") from error


def summary_present(plugin: Plugin) -> None:
    """Its docstring's first line says in a few words what it does."""
    summary = type(plugin).summary() if type(plugin).__dict__.get("__doc__") else ""
    if len(summary.split()) < 2:
        raise Violation(
            f"has the summary {summary!r}; say what it does in its docstring's first line"
        )


def reference_present(plugin: Plugin) -> None:
    """Its class attribute `reference` names the paper and section it follows, or its source."""
    if not plugin.reference.strip():
        raise Violation("has no reference; set reference to the paper and section it follows")


def parameters_round_trip(plugin: Plugin) -> None:
    """Its parameters, written as in a tournament file and read again, make an equal plugin."""
    text = json.dumps(parameters(plugin))
    context = {"build": _reader(plugin), "base": Path()}
    try:
        again = type(plugin).model_validate_json(text, strict=True, context=context)
    except ValidationError as error:
        raise Violation(
            f"refuses its own parameters {text} when they are read again ({one_line(error)}); "
            "let every type and validator take what it gives"
        ) from error
    if again != plugin or again.identity() != plugin.identity():
        raise Violation(
            f"has other parameters when {text} is read again: {json.dumps(parameters(again))}; "
            "let validators leave alone what they have given before"
        )


def pickles(plugin: Plugin) -> None:
    """It pickles, and what comes out is equal to it, identity and all."""
    try:
        again = pickle.loads(pickle.dumps(plugin))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise Violation(
            f"does not pickle ({one_line(error)}); define its class at the top of a module, and "
            "give it only parameters that pickle"
        ) from error
    if again != plugin or again.identity() != plugin.identity():
        raise Violation("is another plugin once pickled; keep nothing but parameters in it")


def hashes(plugin: Plugin) -> None:
    """It can be hashed, and an equal plugin hashes alike."""
    try:
        same = hash(plugin) == hash(plugin.model_copy())
    except TypeError as error:
        raise Violation(
            f"cannot be hashed ({one_line(error)}); use tuples and frozensets for parameters"
        ) from error
    if not same:
        raise Violation("and its equal copy have different hashes; do not override __hash__")


def parameters_described(plugin: Plugin) -> None:
    """Every parameter has a description, which `arena plugins show` prints."""
    own = {n: f for n, f in type(plugin).model_fields.items() if n != "reveals"}
    if missing := [name for name, info in own.items() if not (info.description or "").strip()]:
        raise Violation(
            f"does not say what its parameter '{missing[0]}' is; "
            "write Field(description='...') for it"
        )


CHECKS = tuple(
    map(
        Check.of,
        (
            *(well_declared, summary_present, reference_present, parameters_described),
            *(parameters_round_trip, pickles, hashes),
        ),
    )
)


def _reader(plugin: Plugin) -> Any:
    """Read the plugins inside as a tournament file's reader does, by class instead of by name."""
    inside = {part.identity()[0]: type(part) for part in plugin.parts()}

    def read(kind: Kind, value: Any) -> Plugin:
        name, values = named(value)
        return _read(inside[name], values)

    def _read(cls: type[Plugin], values: Mapping[str, Any]) -> Plugin:
        context = {"build": read, "base": Path()}
        return cls.model_validate_json(json.dumps(values), strict=True, context=context)

    return read
