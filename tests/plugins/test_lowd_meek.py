"""Lowd and Meek: every weight to its relative error, in R^d and in boxes; Table 2."""

from __future__ import annotations

import numpy as np
import pytest
from normals import Recorder, error, halfspace, play, random_box, random_normal, sphere
from numpy.typing import NDArray
from pydantic import ValidationError

from arena import Domain, Feature
from arena_plugins.attacks.lowd_meek import LowdMeek

Floats = NDArray[np.float64]


def relative(w: Floats, f: int) -> Floats:
    return w / abs(w[f])


@pytest.mark.parametrize("epsilon", [0.3, 0.01, 1e-5])
def test_every_weight_is_within_epsilon_of_its_own(epsilon: float) -> None:
    for seed in range(10):
        victim = random_normal(7, seed)
        door = Recorder(victim, 5000, growth=1e9)
        found = play(LowdMeek(epsilon=epsilon), door, seed)[-1][1].coef_[0]
        f = int(np.flatnonzero(np.abs(found) == 1)[0])
        true = relative(victim.w[0], f)
        np.testing.assert_allclose(found, true, rtol=epsilon)
        assert door.remaining


def test_a_weight_below_delta_counts_as_zero() -> None:
    w = np.array([1.0, 1e-3, 1e-5, 0.0, -1e-3])
    victim = sphere(w)
    for delta, zeros in ((1e-2, [1, 2, 3, 4]), (1e-4, [2, 3]), (1e-6, [3])):
        curve = play(LowdMeek(delta=delta), Recorder(victim, 5000, growth=1e9))
        found = curve[-1][1].coef_[0]
        assert np.flatnonzero(found == 0).tolist() == zeros


@pytest.mark.parametrize("d", [1, 2, 9])
def test_affine_in_a_box(d: int) -> None:
    for seed in range(8):
        victim = random_box(d, seed)
        door = Recorder(victim, 50_000, growth=1e9)
        assert error(victim, play(LowdMeek(), door, seed)[-1][1]) < 0.01
        X = door.X
        assert (victim.domain.low <= X).all()
        assert (victim.domain.high >= X).all()
        assert door.spent < 120 + 40 * d or seed


def test_a_constant_feature_of_a_box_costs_nothing() -> None:
    features = [Feature(f"x{i}", "continuous", 0.0, 1.0) for i in range(4)]
    varying = Domain(tuple(features))
    features[2] = Feature("x2", "continuous", 0.5, 0.5)
    w = np.array([1.0, -2, 0, 1])
    counts = []
    for domain in (varying, Domain(tuple(features))):
        victim = halfspace(domain, w)
        door = Recorder(victim, 5000, growth=1e9)
        assert error(victim, play(LowdMeek(), door)[-1][1]) < 0.01
        counts.append(door.spent)
    assert counts[1] < counts[0]


@pytest.mark.parametrize(
    ("feature", "kind"),
    [
        (Feature("size", "integer", 0.0, 9.0), "integer"),
        (Feature("size", "categorical", 0.0, 1.0, ("a", "b")), "categorical"),
        (Feature("size", "continuous", 0.0, 1.0, (), (0.5,)), "binned"),
    ],
)
def test_what_is_not_continuous_is_refused_in_one_sentence(feature: Feature, kind: str) -> None:
    domain = Domain((feature,))
    victim = halfspace(domain, np.ones(domain.width))
    sentence = f"lowd-meek needs continuous features, and 'size' is {kind}"
    with pytest.raises(ValueError, match=sentence):
        play(LowdMeek(), Recorder(victim, 10))


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({"epsilon": 0}, {"epsilon": 1}, {"delta": 0}, {"delta": 1}):
        with pytest.raises(ValidationError):
            LowdMeek.model_validate(parameters)


@pytest.mark.parametrize(
    ("d", "queries", "reached"), [(13, 189, 0.071), (30, 940, 0.162), (64, 1879, 0.665)]
)
def test_table_2_is_not_exceeded(d: int, queries: int, reached: float) -> None:
    counts, errors = [], []
    for seed in range(20):
        victim = random_normal(d, seed)
        door = Recorder(victim, 5000, growth=1e9)
        errors.append(error(victim, play(LowdMeek(), door, seed)[-1][1]))
        counts.append(door.spent)
    assert np.median(counts) <= queries
    assert max(errors) <= reached
