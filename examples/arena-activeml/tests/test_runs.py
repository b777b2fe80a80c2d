"""Matches as users play them: ``arena run`` as a process, attacks in cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arena_activeml.attack import ActiveML
from conftest import Recorder, Runner
from listed import PLAYABLE, parameters

FILE = """
name: small
seed: 4
repetitions: 1
budget: 25
goal: {metric: fidelity, inputs: uniform, reach: [0.8], size: 400}
targets: [halfspace: {dataset: breast_cancer}]
attacks:
  - activeml: {strategy: QueryByCommittee, start: 7, batch: 3, growth: 0}
  - activeml: {strategy: TypiClust, start: 7, batch: 3, growth: 0}
  - activeml: {strategy: ContrastiveAL, learner: RandomForestClassifier, start: 20}
"""


def records(run_arena: Runner, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a run, by the attack's name on boards."""
    exported = run_arena("export", folder)
    rows = [json.loads(line) for line in exported.stdout.splitlines()]
    return {row["names"][2]: row["record"] for row in rows if "activeml" in row["names"][2]}


def test_queries_on_record_are_those_asked(run_arena: Runner, tmp_path: Path) -> None:
    """No row of a pool is a query until it is asked, and every one asked is; in rounds."""
    (tmp_path / "small.yaml").write_text(FILE, encoding="utf-8")
    played = run_arena("run", "small.yaml", "--quiet")
    assert played.returncode == 0, played.stderr + played.stdout
    found = records(run_arena, tmp_path / "runs" / "small")
    assert len(found) == 3
    for name, record in found.items():
        assert (record["status"], record["queries"]) == ("exhausted", 25), record["reason"]
        if "batch=3" in name:
            oracle = Recorder(25)
            plugin = ActiveML(strategy="TypiClust", start=7, batch=3, growth=0)
            list(plugin.extract(oracle, np.random.default_rng(0)))
            assert record["calls"] == len(oracle.asked) == 7
            assert record["queries"] == oracle.spent


@pytest.mark.parametrize(
    ("attack", "target", "metric"),
    [
        ("activeml", {"logistic": {"dataset": "pima"}}, "fidelity"),
        ("activeml-regression", {"linear-regression": {"dataset": "diabetes"}}, "r2"),
    ],
)
def test_every_strategy_plays_in_a_cell(
    attack: str, target: dict[str, Any], metric: str, run_arena: Runner, tmp_path: Path
) -> None:
    """Closed off as cells are, every one that plays spends its budget."""
    playable = [strategy for name, strategy in PLAYABLE if name == attack]
    entries = [{attack: parameters(attack, name), "label": f"activeml {name}"} for name in playable]
    terms = {"budget": 24, "repetitions": 1, "targets": [target], "attacks": entries}
    goal = {"metric": metric, "reach": [0.8], "size": 400}
    (tmp_path / "every.yaml").write_text(json.dumps(terms | {"goal": goal}), encoding="utf-8")
    run_arena("run", "every.yaml", "--quiet")
    found = records(run_arena, tmp_path / "runs" / "every")
    ends = {name: (record["queries"], record["reason"]) for name, record in found.items()}
    assert ends == {f"activeml {name}": (24, "") for name in playable}


def test_the_same_file_gives_the_same_records(run_arena: Runner, tmp_path: Path) -> None:
    """Curves and all, in another folder."""
    (tmp_path / "small.yaml").write_text(FILE, encoding="utf-8")
    for folder in ("one", "two"):
        run_arena("run", "small.yaml", "--quiet", "--out", folder)
    one, two = (records(run_arena, tmp_path / folder) for folder in ("one", "two"))
    assert one
    assert one == two


def test_a_bad_strategy_is_one_sentence_with_its_place(run_arena: Runner, tmp_path: Path) -> None:
    """Nothing is played, and no traceback shown."""
    text = FILE.replace("TypiClust", "TipyClust")
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    refused = run_arena("run", "bad.yaml")
    assert refused.returncode == 2
    said = (refused.stdout + refused.stderr).strip()
    assert "bad.yaml:10:" in said
    assert "unknown strategy 'TipyClust'; did you mean 'TypiClust'?" in " ".join(said.split())
    assert "Traceback" not in said


@pytest.mark.parametrize("attack", ["activeml", "activeml-regression"])
def test_arena_lists_the_attacks(run_arena: Runner, attack: str) -> None:
    """With their parameters, from this distribution."""
    shown = run_arena("plugins", "show", attack)
    assert "arena-activeml" in shown.stdout
    assert "strategy" in shown.stdout
