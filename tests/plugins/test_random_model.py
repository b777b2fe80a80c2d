"""Random models: what is learned, how it answers, and that it defeats query synthesis."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from linear_victims import (
    content,
    halfspace,
    labels,
    protected,
    row_by_row,
    scores,
    trained,
    unit,
)
from numpy.typing import NDArray
from playground import Fitter, match
from pydantic import ValidationError
from scipy.optimize import check_grad
from scipy.special import ndtr, ndtri

from arena import REFUSED, ArenaError, Dataset, Session, Victim
from arena.records import Status
from arena_plugins.defenses import random_model
from arena_plugins.defenses.random_model import RandomModel
from arena_plugins.targets.logistic import Logistic

Floats = NDArray[np.float64]


def opened(defense: RandomModel, victim: Victim, seed: int = 0) -> Session:
    return defense.protect(victim, np.random.default_rng(seed))


def kept(defense: RandomModel, victim: Victim, X: Floats) -> float:
    share: float = (
        labels(protected(opened(defense, victim), victim, X)) == labels(victim.answer(X))
    ).mean()
    return share


def held_out(victim: Victim) -> Floats:
    return victim.natural.X[victim.natural.held_out]


def noise(defense: RandomModel, victim: Victim) -> float:
    """The flip rate on uniform queries: what the attacker meets."""
    return 1 - kept(defense, victim, victim.domain.sample(4000, np.random.default_rng(1)))


# ------------------------------------------------------------------------------ what is learned


@pytest.mark.parametrize("shape", ["full", "diagonal"])
@pytest.mark.parametrize("mean", ["model", "learned"])
def test_the_optimum_is_one(shape: Any, mean: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((60, 4)) + 0.3, unit(rng.standard_normal(4))
    y = np.where(x @ w > 0, 1.0, -1.0)
    direction = w[:, None] if mean == "model" else np.eye(4)
    problem = random_model._Problem(x, y, direction, 20.0, 1.6, shape)
    start = problem.start(w)
    v = start + 0.03 * rng.standard_normal(len(start))
    assert check_grad(lambda u: problem.loss(u)[0], lambda u: problem.loss(u)[1], v) < 1e-3

    mu, L = random_model._learned(x.tobytes(), w.tobytes(), 20.0, 1.6, shape, mean)  # type: ignore[arg-type]
    best = np.append(np.linalg.lstsq(direction, mu, rcond=None)[0], L[problem._entries])
    value, gradient = problem.loss(best)
    assert np.abs(gradient).max() < 1e-2
    for scale in (0.01, 0.3):
        for _ in range(100):
            other = best + scale * rng.standard_normal(len(best))
            if (other[problem._k :][problem._diagonal] > 0).all():
                middle = problem.loss((best + other) / 2)[0]
                assert value <= middle + 1e-9
                assert middle <= (value + problem.loss(other)[0]) / 2 + 1e-9


def test_without_a_price_weights_are_standard_normal() -> None:
    x = np.random.default_rng(0).standard_normal((50, 3))
    w = np.ones(3)
    mu, L = random_model._learned(x.tobytes(), w.tobytes(), 1e-8, 1.6, "full", "learned")
    assert np.abs(mu).max() < 1e-6
    np.testing.assert_allclose(L, np.eye(3), atol=1e-4)


@pytest.mark.parametrize("shape", ["full", "diagonal"])
def test_a_larger_separation_keeps_more_labels_and_leaves_less_noise(shape: Any) -> None:
    victim = trained("breast_cancer")
    X = np.repeat(held_out(victim), 20, axis=0)
    by_C = [RandomModel(C=C, covariance=shape) for C in (1.0, 100.0, 1e4)]
    utility, flips = (
        [measure(defense, victim) for defense in by_C]
        for measure in (lambda d, v: kept(d, v, X), noise)
    )
    assert utility[0] + 0.02 < utility[1] < utility[2]
    assert flips[0] > flips[1] + 0.03 > flips[2] + 0.06


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits", "mushroom"])
def test_honest_users_keep_their_labels(name: str) -> None:
    victim = trained(name)
    X = np.repeat(held_out(victim), 5, axis=0)
    assert kept(RandomModel(), victim, X) > 0.95
    assert noise(RandomModel(), victim) > 0.05


def test_a_full_covariance_hides_more_where_no_natural_row_lies() -> None:
    victim = trained("breast_cancer")
    full, diagonal = (noise(RandomModel(covariance=c), victim) for c in ("full", "diagonal"))
    assert full > 1.5 * diagonal


def test_the_mean_is_the_model_or_close_to_it() -> None:
    victim = trained("breast_cancer")
    own = unit(victim.parameters["coef"])
    for mean, most in (("model", 1e-9), ("learned", 1.0)):
        session: Any = opened(RandomModel.model_validate({"mean": mean}), victim)
        assert np.linalg.norm(unit(session.mu[0]) - own) <= most
        assert np.isclose(np.linalg.norm(session.mu), np.linalg.norm(victim.parameters["coef"]))
    assert np.linalg.norm(unit(session.mu[0]) - own) > 0.05
    assert kept(RandomModel(mean="learned"), victim, held_out(victim)) > 0.94


def test_an_optimisation_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_model, "MOST_STEPS", 3)
    random_model._learned.cache_clear()
    with pytest.raises(ArenaError, match="random-model found no distribution"):
        opened(RandomModel(C=77), trained("wine"))


# -------------------------------------------------------------------------------- how it answers


@pytest.mark.parametrize("affine", [False, True])
def test_labels_follow_the_law_of_a_fresh_gaussian(affine: bool) -> None:
    victim = trained("wine", "box" if affine else "sphere")
    session: Any = opened(RandomModel(C=10), victim)
    n = 4_000
    for x in victim.natural.X[:: len(victim.natural.X) // 5]:
        z = victim.domain.encode(x[None])[0]
        z = np.append(z, 1.0) if affine else z
        law = ndtr(session.mu[0] @ z / np.linalg.norm(session.Lt @ z))
        after = protected(session, victim, np.tile(x, (n, 1)))
        draws = np.random.default_rng(0).standard_normal((n, len(z)))
        drawn = (session.mu[0] + draws @ session.Lt) @ z
        for share in (labels(after).mean(), (drawn > 0).mean()):
            assert abs(share - law) <= 5 * np.sqrt(law * (1 - law) / n) + 1e-9
        assert abs(scores(after).std() / drawn.std() - 1) < 0.08
        assert np.array_equal(scores(after) > 0, labels(after) == 1)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_sigma_is_in_parts_of_the_mean(sigma: float) -> None:
    victim = halfspace([0.0, 7.0, 0.0])
    t = 0.3
    X = np.tile([np.sqrt(1 - t * t), t, 0.0], (20_000, 1))
    share = labels(protected(opened(RandomModel(sigma=sigma), victim), victim, X)).mean()
    assert abs(share - ndtr(t / sigma)) < 0.02
    assert kept(RandomModel(sigma=0), victim, victim.natural.X) == 1


def test_one_draw_a_match_is_one_halfspace() -> None:
    victim = trained("breast_cancer")
    X = victim.domain.sample(2000, np.random.default_rng(0))
    sessions = [opened(RandomModel(draw="match"), victim, seed) for seed in range(3)]
    first = [protected(session, victim, X) for session in sessions]
    assert content(protected(sessions[0], victim, X)) == content(first[0])
    assert not np.array_equal(labels(first[0]), labels(first[1]))
    fit = np.linalg.lstsq(X, scores(first[0]), rcond=None)[0]
    np.testing.assert_allclose(X @ fit, scores(first[0]), atol=1e-8)
    fresh = opened(RandomModel(), victim)
    assert content(protected(fresh, victim, X)) != content(protected(fresh, victim, X))


def test_the_stream_does_not_depend_on_batches() -> None:
    victim = trained("wine")
    X = np.ascontiguousarray(victim.natural.X[:50])
    whole, single = (opened(RandomModel(), victim, 4) for _ in range(2))
    assert content(protected(whole, victim, X)) == row_by_row(single, victim, X)


def test_refusals_stay_and_nothing_but_label_and_score_leaves() -> None:
    victim = trained("wine")
    X = victim.natural.X
    given = victim.answer(X).refused(np.arange(len(X)) < 5)
    after = opened(RandomModel(), victim).answer(X, given)
    assert (labels(after)[:5] == REFUSED).all()
    assert np.isnan(scores(after)[:5]).all()
    traits = RandomModel().traits
    assert after.fields == {"label", "score"} == traits.alters
    assert traits.hides == {"probabilities", "leaf", "value"}
    assert traits.families == {"halfspace"}
    assert RandomModel().flip_rate() is None


def test_it_plays_on_a_binary_logistic_target() -> None:
    target = Logistic(dataset=Dataset.model_validate("pima"))
    record = match(Fitter(), RandomModel(), target)
    assert record.status is Status.EXHAUSTED
    assert record.utility is not None
    assert record.utility > 0.9


# ------------------------------------------------- Figure 5: query synthesis meets a coin


def coupled(ask: Any, d: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Learn a normal by dimension coupling (Chen, Hassani, Krause, AAAI 2017), rho = .1.

    In the plane of two orthonormal vectors the circle is bisected at the median of the posterior
    over its angle; then what was found and the next axis make a plane.

    Returns:
        The normal (d,), and the later half (n, d) of the queries in every plane.
    """
    angles = np.arange(4096) * (2 * np.pi / 1024)
    half = np.abs((angles + np.pi) % (2 * np.pi) - np.pi) < np.pi / 2
    halves = np.fft.rfft(half)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0].T
    u, asked = axes[0], []
    for axis in axes[1:]:
        mass = np.full(4096, 1 / 1024)
        for step in range(80):
            ahead = np.fft.irfft(np.fft.rfft(mass) * halves, 4096)
            t = np.argmin(np.abs(ahead - 0.5) + 1e-9 * rng.random(4096))
            x = np.cos(angles[t]) * u + np.sin(angles[t]) * axis
            mass *= np.where(np.roll(half, t) == (ask(x[None])[0] == 1), 0.9, 0.1)
            mass /= mass.sum()
            if step >= 40:
                asked.append(x)
        u = unit((mass @ np.cos(angles)) * u + (mass @ np.sin(angles)) * axis)
    return u, np.array(asked)


@pytest.mark.parametrize("C", [1.0, 30.0, 1000.0])
def test_synthesised_queries_meet_a_coin(C: float) -> None:
    victim = trained("wine")
    rates, errors = {}, {}
    for draw in ("query", "match"):
        session: Any = opened(RandomModel.model_validate({"C": C, "draw": draw}), victim)
        ask = partial(_labels_of, session, victim)
        w, X = coupled(ask, victim.domain.d, np.random.default_rng(0))
        errors[draw] = np.linalg.norm(w - unit(session.mu[0]))
        flipped = ask(np.repeat(X, 5, axis=0)) != np.repeat(labels(victim.answer(X)), 5)
        rates[draw] = flipped.mean()
    assert 0.37 < rates["query"] < 0.6
    assert errors["query"] > 5 * errors["match"]


def _labels_of(session: Session, victim: Victim, X: Floats) -> NDArray[np.int64]:
    return labels(protected(session, victim, X))


# ---------------------------------------------------------------------------------------- mistakes


def test_mistakes() -> None:
    wrong: list[dict[str, Any]] = [{"C": C} for C in (0, -1, float("inf"), float("nan"))]
    wrong += [{"sigma": s} for s in (-0.1, float("inf"))]
    wrong += [{"reliability": r} for r in (0.5, 1)]
    wrong += [{"covariance": "round"}, {"draw": "day"}, {"mean": "median"}]
    for parameters in wrong:
        with pytest.raises(ValidationError):
            RandomModel.model_validate(parameters)
    victim = halfspace([1.0])
    object.__setattr__(victim, "parameters", {})
    with pytest.raises(ValueError, match="needs a victim with the parameters coef and intercept"):
        opened(RandomModel(), victim)
    assert np.isclose(ndtri(RandomModel().reliability), 1.6449, atol=1e-4)
