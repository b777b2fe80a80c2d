"""What is wrong in a tournament file: a sentence a mistake, at its line and column."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from arena.errors import ArenaError, closest
from arena.registry import Registry, named
from arena.vetting import KINDS
from arena.yamlmarks import Document, Mark, Path

_TYPES = {
    "be a whole number": ("int_type", "int_parsing", "int_from_float"),
    "be a number": ("float_type", "float_parsing"),
    "be a finite number": ("finite_number",),
    "be true or false": ("bool_type", "bool_parsing"),
    "be a text": ("string_type", "path_type"),
    "be a list": ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
    "be a mapping": ("dict_type", "mapping_type", "model_type", "model_attributes_type"),
    "be at least {ge}": ("greater_than_equal",),
    "be more than {gt}": ("greater_than",),
    "be at most {le}": ("less_than_equal",),
    "be less than {lt}": ("less_than",),
    "be a multiple of {multiple_of}": ("multiple_of",),
    "be {expected}": ("literal_error", "enum"),
    "match {pattern}": ("string_pattern_mismatch",),
    "have at least {min_length} items": ("too_short",),
    "have at most {max_length} items": ("too_long",),
    "have at least {min_length} characters": ("string_too_short",),
    "have at most {max_length} characters": ("string_too_long",),
}
_WANTED = {name: phrase for phrase, names in _TYPES.items() for name in names}
"""What a value should do, by the type of pydantic's finding."""


@dataclass(frozen=True)
class _Place:
    """Where a finding of pydantic stands.

    Attributes:
        path: in the file; of the mapping that lacks it for a missing key.
        field: in words; empty for the whole of what was validated.
        models: whose fields may stand there as keys.
        union: where pydantic tried several types, None when it did not.
    """

    path: Path
    field: str
    models: tuple[type[BaseModel], ...]
    union: Path | None


class Mistakes:
    """Collects the mistakes of one document."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self._document = document
        self._registry = registry
        self._found: dict[tuple[Mark, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def tell(self, part: str) -> bool:
        """Whether a sentence noted so far has this part."""
        return any(part in sentence for _, sentence in self._found)

    def add(self, path: Path, sentence: str, key: bool = False) -> None:
        """Note a mistake in the value at a path, or in its key."""
        self._found[self._document.mark(path, key), sentence] = None

    def add_findings(self, error: ValidationError, at: Path, model: type[BaseModel]) -> None:
        """Note what pydantic found in the value at a path, which should have been a ``model``."""
        unions: dict[Path, list[tuple[_Place, Any]]] = {}
        for finding in error.errors(include_url=False):
            place = self._place(at, model, finding)
            if finding["type"] == "extra_forbidden":
                self._add_unknown(place)
            elif finding["type"] == "missing":
                self.add(place.path, f"'{finding['loc'][-1]}' is missing; add it")
            elif place.union is not None:
                unions.setdefault(place.union, []).append((place, finding))
            else:
                self.add(place.path, _sentence(place.field, [finding]))
        for branches in unions.values():
            deepest = max((place for place, _ in branches), key=lambda place: len(place.path))
            findings = [f for place, f in branches if place.path == deepest.path]
            self.add(deepest.path, _sentence(deepest.field, findings))

    def raise_if_any(self) -> None:
        """Raise every mistake noted, a line each, in the order of the file.

        Raises:
            ArenaError: there is one.
        """
        if self._found:
            located = self._document.located
            raise ArenaError("\n".join(located(*found) for found in sorted(self._found)))

    def _add_unknown(self, place: _Place) -> None:
        key = str(place.path[-1])
        names = [name for model in place.models for name in model.model_fields]
        mend = closest(key, names) if names else "it takes none; remove it"
        self.add(place.path, f"unknown key '{key}'; {mend}", key=True)

    def _place(self, at: Path, model: type[BaseModel], finding: Any) -> _Place:
        """Follow pydantic's location through the file.

        It differs from a path: it has no names of plugins inside parameters, but names of the
        types of a union.
        """
        loc = finding["loc"][:-1] if finding["type"] == "missing" else finding["loc"]
        path, union = at, None
        holders: tuple[type[BaseModel], ...] = (model,)
        models = holders
        for part in loc:
            path, models = self._inside_plugin(path, models)
            inner = (*path, part if isinstance(part, int) else str(part))
            if inner in self._document.values:
                path, holders, models = inner, models, _models_of_field(models, part)
            elif union is None:
                union = path
        extra = finding["type"] == "extra_forbidden"
        if finding["type"] == "missing":
            path, models = self._inside_plugin(path, models)
        return _Place(path, _words(path[len(at) :]), holders if extra else models, union)

    def _inside_plugin(
        self, path: Path, models: tuple[type[BaseModel], ...]
    ) -> tuple[Path, tuple[type[BaseModel], ...]]:
        """Step from ``{name: {...}}``, where a plugin is a parameter, to its own parameters."""
        value = self._document.at(path)
        for kind, base in KINDS.items():
            if base in models and isinstance(value, dict) and len(value) == 1:
                name, _ = named(value)
                return (*path, name), (self._registry.find(kind, name).plugin,)
        return path, models


def _models_of_field(
    models: Iterable[type[BaseModel]], part: str | int
) -> tuple[type[BaseModel], ...]:
    if isinstance(part, int):
        return tuple(models)
    fields = [m.model_fields[part] for m in models if part in m.model_fields]
    return tuple(found for field in fields for found in _models(field.annotation))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Find the models in an annotation such as ``list[Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _words(path: Path) -> str:
    name = ".".join(part for part in path if isinstance(part, str))
    return f"an item of {name}" if name and isinstance(path[-1], int) else name


def _sentence(field: str, findings: list[Any]) -> str:
    """Say what is wrong with one value, which every branch of a union found something in."""
    value, start = findings[0]["input"], f"{field} " if field else ""
    for finding in findings:
        if finding["type"] == "value_error":
            text = str(finding["msg"]).removeprefix("Value error, ")
            return f"{field}: {text}" if field else text
    if value is None:
        return f"{start}has no value; write one"
    phrases = list(dict.fromkeys(_phrase(finding) for finding in findings))
    wanted = " or ".join([phrases[0], *(phrase.removeprefix("be ") for phrase in phrases[1:])])
    return f"{start}should {wanted}, not {shown(value)}{_hint(value, findings)}"


def _phrase(finding: Any) -> str:
    context: Mapping[str, Any] = finding.get("ctx", {})
    if phrase := _WANTED.get(finding["type"]):
        text = phrase.format(**{name: _number(value) for name, value in context.items()})
        return text[:-1] if text.endswith(" 1 items") or text.endswith(" 1 characters") else text
    return str(finding["msg"]).removeprefix("Input should ").rstrip(".")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 1e15)
    return f"{value:,.0f}" if whole else f"{value:g}"


def _hint(value: Any, findings: list[Any]) -> str:
    kinds = {finding["type"] for finding in findings}
    if isinstance(value, str) and "literal_error" in kinds:
        text = " ".join(f["ctx"]["expected"] for f in findings if f["type"] == "literal_error")
        near = get_close_matches(value, text.split("'")[1::2], n=1)
        return f"; did you mean '{near[0]}'?" if near else ""
    if kinds == {"int_type"} and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    if kinds & {"int_type", "float_type"} and isinstance(value, str) and value.isdigit():
        return "; remove the quotes"
    if kinds == {"string_type"} and not isinstance(value, dict | list):
        return "; put it in quotes"
    if kinds & set(_TYPES["be a list"]) and not isinstance(value, dict):
        return "; put it in [ ]"
    return ""


def shown(value: Any) -> str:
    """Write a value for a sentence, as YAML would."""
    if isinstance(value, dict | list):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[str(value)]
    text = repr(value) if isinstance(value, str | int | float) else str(value)
    text = json.dumps(value) if value is None or isinstance(value, bool) else text
    return text if len(text) <= 60 else f"{text[:57]}..."
