"""Every plugin plays in a tournament, in cells, and every row that ART asks is on the record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import Play

HEAD = """
name: test
seed: 11
repetitions: {repetitions}
budget: {budget}
checkpoints: 10
goal: {{metric: fidelity, inputs: balanced, reach: [0.8, 0.95], size: 500}}
"""

THIEVES = ("art-copycat", "bandit", "knockoff")

WINE = """
targets: [logistic: {{dataset: wine, reveals: [label, probabilities]}}]
attacks:
  - art-copycat: {{nb_epochs: {epochs}}}
    label: art-copycat
  - art-knockoff: {{use_probability: true, nb_epochs: {epochs}}}
    label: knockoff
  - art-knockoff: {{sampling_strategy: adaptive, reward: cert, nb_epochs: {epochs}}}
    label: bandit
"""

NETWORK = """
targets: [art-relu-network: {dataset: wine, hidden: 4, reveals: [label, score]}]
attacks: [art-functionally-equivalent]
"""

POSTPROCESSORS = (
    "art-class-labels",
    "art-gaussian-noise",
    "art-high-confidence",
    "art-reverse-sigmoid",
    "art-rounded",
)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Where ``counting`` writes; named relatively, since a match's seeds depend on parameters."""
    path = tmp_path / "sessions"
    path.mkdir()
    return path


def asserts_all_rows_recorded(matches: list[dict[str, Any]], sessions: Path) -> None:
    """Hold the queries on the record against the rows that reached the target, by session."""
    recorded = Counter(m["record"]["queries"] for m in matches)
    asked = Counter(sum(map(int, path.read_text().split())) for path in sessions.iterdir())
    assert recorded <= asked
    # The sessions that are left asked the natural rows, to see what a defence costs.
    assert len(asked - recorded) <= 1


def test_every_row_of_a_thieving_attack_is_on_the_record(play: Play, sessions: Path) -> None:
    counting = f"counting: {{folder: {sessions.name}}}"
    defenses = [counting, *(f"[{counting}, {name}]" for name in POSTPROCESSORS)]
    lines = "".join(f"  - {defense}\n" for defense in defenses)
    matches = play(
        f"{HEAD.format(repetitions=1, budget=61)}{WINE.format(epochs=2)}defenses:\n{lines}"
    )

    played = [m["record"] for m in matches if m["names"][2] in THIEVES]
    assert len(played) == len(THIEVES) * len(defenses)
    assert {record["queries"] for record in played} == {61}
    assert {record["status"] for record in played} <= {"finished", "exhausted"}
    asserts_all_rows_recorded(matches, sessions)


def test_thieving_attacks_learn(play: Play) -> None:
    text = f"{HEAD.format(repetitions=1, budget=250)}{WINE.format(epochs=50)}defenses: [none]\n"
    matches = play(text)
    fidelity = {m["names"][2]: m["record"]["final"]["fidelity balanced"] for m in matches}
    assert min(fidelity[name] for name in THIEVES) > 0.7 > fidelity["constant"]


def test_every_row_of_functionally_equivalent_extraction_is_on_the_record(
    play: Play, sessions: Path
) -> None:
    defenses = f"defenses: [counting: {{folder: {sessions.name}}}]\n"
    matches = play(f"{HEAD.format(repetitions=3, budget=5000)}{NETWORK}{defenses}")
    played = [m["record"] for m in matches if m["names"][2] == "art-functionally-equivalent"]
    assert max(record["final"]["fidelity uniform"] for record in played) > 0.95
    asserts_all_rows_recorded(matches, sessions)


def test_a_budget_that_does_not_suffice_ends_the_match(play: Play, sessions: Path) -> None:
    defenses = f"defenses: [counting: {{folder: {sessions.name}}}]\n"
    matches = play(f"{HEAD.format(repetitions=1, budget=300)}{NETWORK}{defenses}")
    (record,) = [m["record"] for m in matches if m["names"][2] == "art-functionally-equivalent"]
    assert (record["status"], record["queries"]) == ("exhausted", 300)
    asserts_all_rows_recorded(matches, sessions)


def test_scores_that_a_postprocessor_hides_are_not_played_for(play: Play) -> None:
    matches = play(f"{HEAD.format(repetitions=1, budget=300)}{NETWORK}defenses: [art-rounded]\n")
    (skipped,) = [m["skipped"] for m in matches if m["names"][2] == "art-functionally-equivalent"]
    assert "needs score" in skipped
