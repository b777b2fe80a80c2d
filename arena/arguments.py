"""One match as words of a command line: entries of a tournament file, or ``name:key=value,...``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from arena.errors import ArenaError, closest
from arena.registry import Registry
from arena.settings import Settings
from arena.tournament import Tournament, validated
from arena.yamlmarks import Document, Mark, one_printable_line, parse

_SHORT = re.compile(r"([A-Za-z0-9._/-]+):(\S.*)", re.DOTALL)
_PARAMETER = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_NEXT_PARAMETER = re.compile(r",(?=[A-Za-z_]\w*=)")

_FIXED = frozenset(
    {"name", "requires", "repetitions", "targets", "defenses", "attacks", "published"}
)
"""Keys of a tournament file that mean nothing for one match."""

TERMS = tuple(name for name in Settings.model_fields if name not in _FIXED)
"""Keys of a tournament file that may be set for one match."""


@dataclass(frozen=True)
class _Words(Document):
    """A tournament whose every part was an argument; a line of it is the number of one.

    Attributes:
        places: what the arguments are called.
    """

    places: tuple[str, ...] = ()

    def located(self, mark: Mark, sentence: str) -> str:
        """Name the argument that a sentence is about."""
        return f"{self.places[mark[0] - 1]}: {one_printable_line(sentence)}"


def one_match(
    attack: str,
    target: str,
    defense: str,
    terms: Mapping[str, str],
    registry: Registry | None = None,
) -> Tournament:
    """Make the tournament of one match; relative paths start from the working directory.

    Args:
        attack: its entry: a name, YAML as in a tournament file, or ``name:key=value,key=value``
            with values in YAML.
        target: so, too.
        defense: so, too; a chain is a list in YAML.
        terms: what other keys of a tournament file hold, by the name of their argument, which ends
            with the key: ``{"--budget": "100", "--set checkpoints": "1.5"}``.
        registry: the plugins it may name; those installed by default.

    Raises:
        ArenaError: everything that is wrong, a line each, with the argument's name.
    """
    places = ["arena play", "ATTACK", "TARGET", "DEFENSE"]
    data: dict[str, Any] = {
        "name": "play",
        "attacks": [_entry(attack, "ATTACK")],
        "targets": [_entry(target, "TARGET")],
        "defenses": [_entry(defense, "DEFENSE")],
    }
    lines = {"attacks": 2, "targets": 3, "defenses": 4}
    for place, text in terms.items():
        key = place.split()[-1].removeprefix("--")
        if key not in TERMS:
            raise ArenaError(f"{place}: no term of a match; {closest(key, TERMS)}")
        data[key] = _mapping_or_yaml(text, place)
        places.append(place)
        lines[key] = len(places)
    marks = {path: (lines.get(str(path[0]), 1) if path else 1, 1) for path in _paths(data)}
    document = _Words("arena play", data, marks, marks, tuple(places))
    tournament = validated(document, Path("play"), registry)
    # The baselines that every board has are no part of one match.
    one = replace(tournament, attacks=tournament.attacks[:1], file=None)
    return one.with_(repetitions=1)


def _entry(text: str, place: str) -> Any:
    short = _SHORT.fullmatch(text.strip())
    if not short:
        return parse(text, place).data
    return {short[1]: _parameters(short[2], place)}


def _mapping_or_yaml(text: str, place: str) -> Any:
    if _PARAMETER.fullmatch(text.strip()):
        return _parameters(text.strip(), place)
    return parse(text, place).data


def _parameters(text: str, place: str) -> dict[str, Any]:
    """Read ``key=value,key=value``; a comma that no ``key=`` follows belongs to the value."""
    found: dict[str, Any] = {}
    for part in _NEXT_PARAMETER.split(text):
        pair = _PARAMETER.fullmatch(part)
        if not pair:
            raise ArenaError(f"{place}: '{part}' is no parameter; write key=value,key=value")
        if pair[1] in found:
            raise ArenaError(f"{place}: '{pair[1]}' stands twice; keep one of them")
        found[pair[1]] = parse(pair[2], f"{place} {pair[1]}").data
    return found


def _paths(data: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield above
    inner = data.items() if isinstance(data, dict) else ()
    for key, value in enumerate(data) if isinstance(data, list) else inner:
        yield from _paths(value, (*above, key))
