"""Nested bisection: the floor, flips noticed, boxes, defences in chains; see also its siblings'."""

from __future__ import annotations

import numpy as np
import pytest
from normals import (
    Flipping,
    Recorder,
    Refusing,
    crossing,
    crossings,
    error,
    halfspace,
    play,
    random_box,
    random_normal,
    sphere,
)
from pydantic import ValidationError

from arena import Attack, Dataset, Domain, Feature
from arena.floors import label_floor
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.attacks.nested_bisection import NestedBisection
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.score_noise import ScoreNoise
from arena_plugins.targets.halfspace import Halfspace


@pytest.mark.parametrize("rho", [0.0, None])
def test_without_flips_it_is_at_the_floor(rho: float | None) -> None:
    found = crossings(NestedBisection(rho=rho), 13, 15, 400, 1e-2, 1e-4)
    for taken, level in zip(found.T, (1e-2, 1e-4), strict=True):
        floor = label_floor(13, level, 0.0)
        assert floor is not None
        assert 0.97 < np.median(taken) / floor < 1.05


def test_flips_cost_what_the_channel_takes() -> None:
    floor = label_floor(4, 1e-3, 0.2)
    assert floor is not None
    known = crossings(NestedBisection(rho=0.2), 4, 5, 200, 1e-3, rate=0.2)
    assert np.median(known) / floor < 1.3
    unknown = crossings(NestedBisection(), 4, 5, 250, 1e-3, rate=0.2)
    assert np.median(unknown) / floor < 2.0


def test_labels_taken_for_true_are_believed() -> None:
    """Told that none is flipped, it does not look for contradictions."""
    victim = random_normal(6, 0)
    noise = [Flipping(0.2, np.random.default_rng(0))]
    curve = play(NestedBisection(rho=0.0), Recorder(victim, 500, noise), 0)
    assert error(victim, curve[-1][1]) > 0.01


@pytest.mark.parametrize("d", [1, 2, 6])
def test_it_ends_at_floating_point(d: int) -> None:
    victim = random_normal(d, 1)
    door = Recorder(victim, 5000, growth=1.5)
    curve = play(NestedBisection(), door)
    assert error(victim, curve[-1][1]) < 1e-13
    assert door.spent <= max(64, 60 * d)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_box(d: int) -> None:
    reached = []
    for seed in range(3):
        victim = random_box(d, seed)
        door = Recorder(victim, 20 * (d + 1))
        reached.append(crossing(play(NestedBisection(), door, seed), victim, 1e-2))
        assert (victim.domain.low <= door.X).all()
        assert (victim.domain.high >= door.X).all()
    assert np.median(reached) < 14 * (d + 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_flips_in_a_box(seed: int) -> None:
    victim = random_box(2, seed)
    noise = [Flipping(0.1, np.random.default_rng(0))]
    for attack in (NestedBisection(rho=0.1), NestedBisection()):
        curve = play(attack, Recorder(victim, 150, noise, growth=1.5), 1)
        assert error(victim, curve[-1][1]) < 0.05


def test_rows_of_a_discrete_box_are_realisable() -> None:
    domain = Domain(
        (
            Feature("colour", "categorical", 0.0, 2.0, ("red", "green", "blue")),
            Feature("rooms", "integer", 0.0, 5.0),
            Feature("size", "continuous", 0.0, 1.0),
        )
    )
    victim = halfspace(domain, np.array([1.0, -1.0, 0.3, 0.8, 0.6]), 0.1)
    door = Recorder(victim, 150, growth=1.5)
    curve = play(NestedBisection(), door)
    np.testing.assert_array_equal(door.X, domain.project(door.X))
    X = domain.sample(2000, np.random.default_rng(0))
    assert (curve[-1][1].predict(X) == victim.answer(X).label).mean() > 0.99


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_constant_box_is_searched_to_the_end(sign: float) -> None:
    domain = Domain((Feature("a", "continuous", 0.0, 1.0), Feature("b", "integer", 0.0, 3.0)))
    victim = halfspace(domain, np.zeros(2), sign)
    door = Recorder(victim, 100, growth=1.5)
    X = domain.sample(50, np.random.default_rng(0))
    labels = play(NestedBisection(), door)[-1][1].predict(X)
    assert set(labels) == {int(sign > 0)}
    assert door.spent == 100


def test_a_refusal_in_a_box_costs_a_query_only() -> None:
    victim = random_box(3, 0)
    refusing = [Refusing(np.random.default_rng(0), rate=0.3)]
    curve = play(NestedBisection(), Recorder(victim, 200, refusing, growth=1.5))
    assert error(victim, curve[-1][1]) < 0.01


def test_one_dimension_under_flips() -> None:
    victim = sphere(np.array([-1.0]))
    noise = [Flipping(0.3, np.random.default_rng(0))]
    door = Recorder(victim, 1000, noise)
    assert error(victim, play(NestedBisection(), door)[-1][1]) == 0
    assert door.spent < 300


@pytest.mark.parametrize("rho", [-0.1, 0.5, 1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rho: float) -> None:
    with pytest.raises(ValidationError, match="rho"):
        NestedBisection(rho=rho)


@pytest.mark.parametrize(
    ("space", "rho"),
    [
        ("sphere", None),
        ("sphere", 0.1),
        pytest.param("box", None, marks=pytest.mark.slow),
    ],
)
def test_a_chain_of_defences_is_survived(space: str, rho: float | None) -> None:
    target = Halfspace.model_validate({"dataset": "wine", "space": space})
    victim = target.train(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    chain = [
        ScoreNoise(amplitude=0.05).protect(victim, rng),
        LabelFlip(rate=0.1).protect(victim, rng),
    ]
    door = Recorder(victim, 400, chain, growth=1.5, fields=frozenset({"label"}))
    curve = play(NestedBisection(rho=rho), door)
    assert door.spent == 400
    assert error(victim, curve[-1][1]) < 0.5


def test_a_box_takes_a_fraction_of_line_search() -> None:
    target = Halfspace(dataset=Dataset.model_validate("wine"), space="box")
    victim = target.train(np.random.default_rng(0))
    X = victim.natural.X

    def queries(attack: Attack, budget: int) -> float:
        truth = victim.answer(X).label
        curve = play(attack, Recorder(victim, budget, growth=1.1), 0)
        return next((n for n, s in curve if (s.predict(X) == truth).mean() >= 0.98), np.inf)

    assert queries(NestedBisection(), 100) < queries(LineSearch(), 400) / 2
