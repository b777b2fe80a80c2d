"""Averaging: Algorithm 1 to the letter, and against fresh random models."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
from normals import FreshModel, Recorder, Refusing, crossing, error, play, random_normal
from pydantic import ValidationError

from arena_plugins.attacks.averaging import Averaging


def m(d: int, s: float, epsilon: float, delta: float, cut: float) -> float:
    return (15 * pi) ** 2 / epsilon**2 * d * max(1, d * s * s) * log(2 * d / delta) / cut


@pytest.mark.parametrize(("s", "cut"), [(0.1, 1e5), (1.0, 1e5), (0.5, 3e5)])
def test_it_asks_m_unit_rows_and_proposes_their_mean(s: float, cut: float) -> None:
    victim = random_normal(5, 0)
    door = Recorder(victim, 100_000, growth=1.5)
    attack = Averaging(s=s, cut=cut, epsilon=0.2, delta=0.3)
    last = play(attack, door)[-1][1]
    assert door.spent == np.ceil(m(5, s, 0.2, 0.3, cut))
    X = door.X
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1)
    y = np.where(victim.answer(X).label == 1, 1, -1)
    v = (y[:, None] * X).mean(axis=0)
    np.testing.assert_allclose(last.coef_[0], v / np.linalg.norm(v))


def fresh(d: int, sigma: float, seed: int) -> tuple[FreshModel, Recorder]:
    victim = random_normal(d, seed)
    session = FreshModel(victim.w[0], sigma, np.random.default_rng([seed, 1]))
    return session, Recorder(victim, 200_000, [session], growth=1.02)


def test_a_mean_too_short_doubles_s_and_goes_on() -> None:
    d, sigma = 14, 3.0
    _, door = fresh(d, sigma, 0)
    play(Averaging(s=0.05, cut=1000), door)
    # |v| is about sqrt(2 / pi) / (d sigma), and must reach 1 / (12 d s).
    s = 0.05
    while np.sqrt(2 / pi) / (d * sigma) < 1 / (12 * d * s):
        s *= 2
    assert s == 0.4
    assert door.spent == np.ceil(m(d, s, 0.1, 0.1, 1000))


@pytest.mark.parametrize("sigma", [14**-0.5, 0.1])
def test_a_fresh_model_a_query_is_learned_as_published(sigma: float) -> None:
    # Published: at most 10,000 queries to 0.1.
    found, last = [], []
    for seed in range(8):
        _, door = fresh(14, sigma, seed)
        victim = random_normal(14, seed)
        curve = play(Averaging(cut=1000, s=sigma), door, seed)
        found.append(crossing(curve, victim, 0.1))
        last.append(error(victim, curve[-1][1]))
    assert np.median(found) < 5000
    assert max(found) < 10_000
    assert max(last) < 0.1


def test_it_needs_no_more_rounds_than_checkpoints() -> None:
    door = Recorder(random_normal(5, 0), 100_000, growth=1.1)
    play(Averaging(), door)
    sizes = [len(batch) for batch in door.batches]
    assert all(n <= 1 + sum(sizes[:i]) / 64 for i, n in enumerate(sizes))
    assert len(sizes) < 900


def test_refused_rows_are_left_out() -> None:
    victim = random_normal(5, 0)
    refusing = [Refusing(np.random.default_rng(0), rate=0.5)]
    door = Recorder(victim, 100_000, refusing, growth=1.5)
    last = play(Averaging(s=0.1, cut=1e4), door)[-1][1]
    expected = np.ceil(m(5, 0.1, 0.1, 0.1, 1e4))
    assert 1.8 * expected < door.spent < 2.2 * expected
    assert error(victim, last) < 0.2


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({"epsilon": 0}, {"delta": 1}, {"s": 0}, {"cut": 0.5}, {"s": float("inf")}):
        with pytest.raises(ValidationError):
            Averaging.model_validate(parameters)
