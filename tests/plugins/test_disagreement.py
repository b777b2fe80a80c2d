"""Disagreement-based learning: it asks only what previous answers leave open, and learns."""

from __future__ import annotations

import numpy as np
import pytest
from normals import HalfspaceVictim, Recorder, crossings, error, halfspace, play, random_normal
from numpy.typing import NDArray
from playground import MIXED
from pydantic import ValidationError
from scipy.optimize import linprog

from arena_plugins.attacks.disagreement import Disagreement

Floats = NDArray[np.float64]


def open_question(A: Floats, z: Floats) -> bool:
    """Whether some w with A w >= 0 has <w, z> > 0 and some other <w, z> < 0."""
    for sign in (1, -1):
        best = linprog(-sign * z, A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1, 1))
        if not -best.fun > 1e-9:
            return False
    return True


def mixed(seed: int) -> HalfspaceVictim:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(MIXED.width)
    return halfspace(MIXED, w, -float(w @ MIXED.encode(MIXED.sample(1, rng))[0]))


@pytest.mark.parametrize("victim", [random_normal(4, 0), mixed(1)], ids=["sphere", "mixed"])
def test_it_asks_only_what_earlier_answers_leave_open(victim: HalfspaceVictim) -> None:
    door = Recorder(victim, 40)
    play(Disagreement(hypotheses=40), door)
    Z = victim.domain.encode(door.X)
    if victim.domain.geometry == "box":
        Z = np.column_stack([Z, np.ones(len(Z))])
    A = np.where(victim.answer(door.X).label == 1, 1, -1)[:, None] * Z
    assert len(Z) > 10
    assert all(open_question(A[:n], Z[n]) for n in range(len(Z)))


def test_what_it_proposes_agrees_with_all_answers() -> None:
    victim = random_normal(5, 1)
    door = Recorder(victim, 60)
    for n, surrogate in play(Disagreement(), door)[1:]:
        X = door.X[:n]
        np.testing.assert_array_equal(surrogate.predict(X), victim.answer(X).label)


def test_it_ends_where_nothing_is_disputed_any_more() -> None:
    errors = []
    for draws in (100, 10_000):
        victim = random_normal(3, 0)
        door = Recorder(victim, 5000, growth=1e9)
        errors.append(error(victim, play(Disagreement(draws=draws), door)[-1][1]))
        assert door.remaining
    assert errors[1] < errors[0] / 5
    assert errors[1] < 0.005


@pytest.mark.parametrize("seed", range(4))
def test_it_learns_mixed_features_in_a_box(seed: int) -> None:
    victim = mixed(seed)
    last = play(Disagreement(), Recorder(victim, 150, growth=1e9))[-1][1]
    X = MIXED.sample(4000, np.random.default_rng(0))
    assert (last.predict(X) == victim.answer(X).label).mean() > 0.99


def test_queries_grow_with_the_logarithm_of_precision() -> None:
    tenth, hundredth, thousandth = np.median(
        crossings(Disagreement(), 5, 5, 400, 1e-1, 1e-2, 1e-3), axis=0
    )
    assert hundredth < 2.5 * tenth
    assert thousandth - hundredth < 2.5 * (hundredth - tenth)


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({"hypotheses": 1}, {"moves": 0}, {"draws": 0}):
        with pytest.raises(ValidationError):
            Disagreement.model_validate(parameters)
