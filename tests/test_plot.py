"""Learning curves: what is drawn is what was scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_entries import record, runs, terms
from conftest import Runner

from arena.plot import curves, draw
from arena.records import Figure, Results

RESULTS = Results(
    replace(
        terms((0.1,), "geometric-error"),
        published=(Figure("wine", "eat", None, 30, goal=0.1),),
    ),
    tuple(
        [
            *runs("eat", record([(1, 1.0), (10, 0.5), (50, 0.05)]), record([(1, 0.8), (20, 0.1)])),
            *runs("never", record([]), None),
        ]
    ),
)


def test_a_curve_holds_every_run_at_what_it_was_scored_last() -> None:
    (curve,) = curves(RESULTS)
    at = {int(q): i for i, q in enumerate(curve.queries)}
    assert (curve.attack, curve.queries[0], curve.queries[-1]) == ("eat", 1, 100)
    assert curve.middle[at[1]] == pytest.approx(0.9)
    assert curve.middle[at[10]] == pytest.approx((0.5 + 0.8) / 2)
    assert curve.middle[-1] == pytest.approx((0.05 + 0.1) / 2)
    assert curve.low[-1] == pytest.approx(np.quantile([0.05, 0.1], 0.1))
    assert (curve.low <= curve.high).all()


def test_the_same_results_draw_the_same_picture(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in draw(RESULTS, tmp_path / "a")]
    again = [path.read_bytes() for path in draw(RESULTS, tmp_path / "b")]
    assert first == again
    assert first[0].startswith(b"\x89PNG")
    assert b"published: eat" in first[1] or b"<svg" in first[1]


def test_the_command_says_where_the_pictures_are(run_arena: Runner, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        "repetitions: 1\nbudget: 20\ntargets: [logistic: {dataset: iris}]\n"
        "goal: {size: 400, reach: [0.9]}\nattacks: [line-search]\nisolation: none\n"
    )
    assert run_arena("run", "t.yaml", "--workers", 1).returncode == 0
    done = run_arena("plot", "runs/t")
    assert (done.returncode, done.stderr) == (0, "")
    assert all((tmp_path / line).is_file() for line in done.stdout.split())
    assert len(done.stdout.split()) == 2


def test_nothing_to_draw_is_said(run_arena: Runner, tmp_path: Path) -> None:
    done = run_arena("plot", "nowhere")
    assert done.returncode == 2
    assert "holds no results" in done.stderr
