"""The modified perceptron: its band, its reflections, its phases."""

from __future__ import annotations

from math import ceil, log2, pi, sqrt

import numpy as np
import pytest
from normals import Flipping, Recorder, error, play, random_normal
from pydantic import ValidationError

from arena_plugins.attacks.active_perceptron import ActivePerceptron


def test_queries_lie_in_the_band_and_mistakes_reflect() -> None:
    d, victim = 6, random_normal(6, 0)
    attack = ActivePerceptron(length=4, band=0.5)
    door = Recorder(victim, 200)
    normals = [surrogate.coef_[0] for _, surrogate in play(attack, door)]
    labels = victim.answer(door.X).label
    assert labels is not None
    np.testing.assert_allclose(door.X[0], normals[0])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    for n, (x, w, after) in enumerate(zip(door.X[1:], normals[1:], normals[2:], strict=False)):
        b = 0.5 * pi / 2 / 2 ** ((n + 1) // (4 * d)) / sqrt(d)
        assert b / 2 <= x @ w <= b
        expected = w if labels[n + 1] == 1 else w - 2 * (w @ x) * x
        np.testing.assert_allclose(after, expected, atol=1e-12)


@pytest.mark.parametrize("d", [2, 5, 13, 40])
def test_it_halves_the_angle_every_phase(d: int) -> None:
    attack = ActivePerceptron(epsilon=1e-3)
    for seed in range(5):
        victim = random_normal(d, seed)
        door = Recorder(victim, 100_000, growth=1e9)
        last = play(attack, door, seed)[-1][1]
        assert door.spent == ceil(log2(pi / 2 / 1e-3)) * 6 * d
        assert error(victim, last) < 3e-3


@pytest.mark.parametrize("eta", [0.1, 0.3])
def test_bounded_noise_is_tolerated(eta: float) -> None:
    errors = []
    for seed in range(4):
        victim = random_normal(8, seed)
        noise = [Flipping(eta, np.random.default_rng([seed, 1]))]
        door = Recorder(victim, 1_000_000, noise, growth=1e9)
        errors.append(error(victim, play(ActivePerceptron(eta=eta, epsilon=0.01), door)[-1][1]))
        assert door.spent == ceil(log2(pi / 2 / 0.01)) * ceil(6 * 8 / (1 - 2 * eta) ** 2)
    assert np.median(errors) < 0.03


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({"eta": 0.5}, {"epsilon": 0}, {"length": 0}, {"band": 0}, {"band": 1.1}):
        with pytest.raises(ValidationError):
            ActivePerceptron.model_validate(parameters)
