"""The JSON Schema of tournament files takes what the loader takes, and refuses what it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import toys
from test_tournament_fuzz import SAMPLE

from arena.registry import Registered, Registry, installed
from arena.schema import tournament_schema
from arena.yamlmarks import parse

ROOT = Path(__file__).parent.parent
SCHEMA = tournament_schema(toys.registry())


def validator(schema: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def valid(data: Any) -> bool:
    return bool(validator(SCHEMA).is_valid(data))


def changed(**keys: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SAMPLE), **keys}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tournaments").rglob("*.yaml")), ids=lambda p: p.stem
)
def test_the_tournaments_of_the_repository_are_valid(file: Path) -> None:
    check = validator(tournament_schema(installed()))
    assert not list(check.iter_errors(parse(file.read_text(encoding="utf-8"), file.name).data))


GOOD: list[dict[str, Any]] = [
    {"requires": ["arena-pack>=0.1"]},
    {"attacks": ["toys/probe"]},
    {"attacks": [{"toys/probe": {"size": 2}}]},
    {"attacks": [{"probe": None}]},
    {"attacks": [{"probe": {}, "label": "x"}]},
    {"attacks": [{"repeat": {"attack": {"repeat": {"attack": "probe"}}}}]},
    {"attacks": [{"mixed": {"spare": None, "attacks": []}}]},
    {"attacks": [{"probe": {"step": 0.25, "rows": [1, 2], "many": "all", "inner": {"y": 1}}}]},
    {"targets": [{"table": {"dataset": "wine"}}]},
    {"targets": [{"table": {"dataset": {"csv": "a.csv", "label": 3}}}]},
    {"targets": [{"table": {"dataset": {"openml": 3}, "depth": None}}]},
    {"defenses": [["none", {"noise": {"rate": 0.1}, "label": "n"}]]},
    {"seed": "secret"},
    {"utility_floor": None},
]
BAD: list[dict[str, Any]] = [
    {"budgets": 3},
    {"requires": "arena-pack"},
    {"requires": [3]},
    {"budget": 0},
    {"budget": "3"},
    {"repetitions": 0},
    {"price": -1},
    {"checkpoints": 0.5},
    {"seed": "secrets"},
    {"name": "a/b"},
    {"retrain": "no"},
    {"goal": {"metric": "fidelty"}},
    {"goal": {"reach": []}},
    {"goal": {"reach": [0]}},
    {"goal": {"size": 41}},
    {"goal": {"levels": [0.5]}},
    {"knowledge": {"pool": -1}},
    {"knowledge": {"defence": True}},
    {"targets": []},
    {"attacks": "probe"},
    {"attacks": ["prob"]},
    {"attacks": [3]},
    {"attacks": [None]},
    {"attacks": [["probe"]]},
    {"attacks": ["box"]},
    {"attacks": ["repeat"]},
    {"attacks": [{"repeat": None}]},
    {"attacks": [{"repeat": {}}]},
    {"attacks": [{"repeat": {"attack": "nope"}}]},
    {"attacks": [{"repeat": {"attack": "noise"}}]},
    {"attacks": [{"repeat": {"attack": {"probe": {"size": 0}}}}]},
    {"attacks": [{"repeat": {"attack": {"probe": {}, "label": "x"}}}]},
    {"attacks": [{"mixed": {"attacks": ["prob"]}}]},
    {"attacks": [{"probe": {"size": 0}}]},
    {"attacks": [{"probe": {"size": True}}]},
    {"attacks": [{"probe": {"sise": 3}}]},
    {"attacks": [{"probe": {"mode": "fats"}}]},
    {"attacks": [{"probe": {"inner": {"x": 1}}}]},
    {"attacks": [{"probe": {}, "base": {}}]},
    {"attacks": [{"probe": {}, "label": 3}]},
    {"attacks": [{"probe": {}, "label": " "}]},
    {"attacks": [{"label": "x"}]},
    {"attacks": [{}]},
    {"defenses": [[]]},
    {"defenses": [["none", ["none"]]]},
    {"defenses": ["noise"]},
    {"targets": ["table"]},
    {"targets": [{"table": {"dataset": "wne"}}]},
    {"targets": [{"table": {"dataset": {"csv": "a.csv"}}}]},
    {"targets": [{"table": {"dataset": {"csv": "a.csv", "label": "y", "sep": ";"}}}]},
]


def test_the_sample_is_valid() -> None:
    assert valid(SAMPLE)


@pytest.mark.parametrize("keys", GOOD, ids=json.dumps)
def test_what_the_loader_takes_is_taken(keys: dict[str, Any]) -> None:
    assert valid(changed(**keys))


@pytest.mark.parametrize("keys", BAD, ids=json.dumps)
def test_what_the_loader_refuses_is_refused(keys: dict[str, Any]) -> None:
    assert not valid(changed(**keys))


@pytest.mark.parametrize("key", ["targets", "attacks"])
def test_what_a_tournament_needs(key: str) -> None:
    assert not valid({name: value for name, value in SAMPLE.items() if name != key})


def test_a_name_that_two_distributions_use_must_be_written_in_full() -> None:
    class Probe(toys._Attacks):
        """Another probe."""

        name = "probe"

    registry = toys.registry()
    both = Registry((*registry.plugins, Registered(Probe, "theirs", "2", "m")))
    schema = validator(tournament_schema(both))
    assert not schema.is_valid(changed(attacks=["probe"]))
    assert schema.is_valid(changed(attacks=["toys/probe", {"theirs/probe": {}}]))


def test_references_are_whole_and_plugins_described() -> None:
    # Holds without jsonschema too.
    def references(node: Any) -> set[str]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = {node["$ref"]} if isinstance(node, dict) and "$ref" in node else set()
        return own.union(*(references(part) for part in inner))

    names = {reference.removeprefix("#/$defs/") for reference in references(SCHEMA)}
    assert names <= SCHEMA["$defs"].keys()
    assert "x-arena-plugin" not in json.dumps(SCHEMA)
    probe = SCHEMA["$defs"]["attack.toys.probe"]
    assert probe["description"] == "An attack with a parameter of every type."
    assert probe["properties"]["size"]["default"] == 3
    repeat = SCHEMA["$defs"]["attack.toys.repeat"]["properties"]["attack"]
    assert repeat == {"$ref": "#/$defs/attack"}
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
