"""Active probit regression: the fit, where it asks, and what it reaches."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from linear_victims import halfspace, trained, unit
from numpy.typing import NDArray
from playground import MIXED, door, match, tournament
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

from arena import (
    REFUSED,
    Answer,
    Dataset,
    Defense,
    Domain,
    LinearSurrogate,
    Session,
    Surrogate,
    Victim,
)
from arena.metrics import geometric_error
from arena.pairing import plan
from arena.records import Goal, Status
from arena_plugins.attacks.active_probit import ActiveProbit, Probit, on_boundary
from arena_plugins.defenses.hotelling import Hotelling
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.random_model import RandomModel
from arena_plugins.defenses.score_noise import ScoreNoise
from arena_plugins.targets.decision_tree import DecisionTree
from arena_plugins.targets.halfspace import Halfspace
from arena_plugins.targets.logistic import Logistic

Floats = NDArray[np.float64]


def error(victim: Victim, surrogate: Surrogate) -> float:
    assert isinstance(surrogate, LinearSurrogate)
    own, affine = victim.parameters, not victim.domain.identity_encoded
    return geometric_error(
        surrogate.coef_[0],
        float(surrogate.intercept_[0]),
        own["coef"],
        float(own["intercept"]),
        affine,
    )


def curve(
    victim: Victim, budget: int, sessions: Sequence[Session] = (), seed: int = 0, growth: float = 1
) -> Floats:
    """Attack; return (queries, geometric error) at every checkpoint, float64 (n, 2)."""
    oracle = door(victim, budget, growth, fields=frozenset({"label"}), sessions=sessions)
    found = []
    for surrogate in ActiveProbit().extract(oracle, np.random.default_rng([seed, 1])):
        found.append((oracle.spent, error(victim, surrogate)))
        oracle.keep()
    assert oracle.spent == budget
    return np.array(found)


def first(points: Floats, level: float) -> float:
    """Return the queries at which the error is first within a level."""
    reached = points[points[:, 1] <= level, 0]
    return float(reached[0]) if len(reached) else np.inf


def defended(defense: Defense, d: int, seed: int) -> tuple[Victim, list[Session]]:
    victim = halfspace(unit(np.random.default_rng([seed, 2]).standard_normal(d)))
    return victim, [defense.protect(victim, np.random.default_rng([seed, 3]))]


class Skewed:
    """Answers by a fresh w ~ N(mu, Sigma), Sigma with random axes and uneven variances."""

    def __init__(self, victim: Any, variances: Floats, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 4])
        Q = np.linalg.qr(self.rng.standard_normal((len(variances),) * 2))[0]
        self.mu, self.L = victim.w[0], Q * np.sqrt(variances)

    def answer(self, X: Floats, answer: Answer) -> Answer:
        spread = np.linalg.norm(X @ self.L, axis=1)
        score = X @ self.mu + spread * self.rng.standard_normal(len(X))
        return Answer(label=(score > 0).astype(np.int64))


# ------------------------------------------------------------------------------------------ the fit


def test_the_fit_is_the_mode_of_the_posterior() -> None:
    rng = np.random.default_rng(0)
    X, theta = rng.standard_normal((200, 4)), np.array([2.0, -1.0, 0.0, 0.5])
    y = (X @ theta + rng.standard_normal(200) > 0).astype(np.int64)
    A = np.where(y == 1, 1.0, -1.0)[:, None] * X
    whole, parts = Probit(4), Probit(4)
    whole.learn(X, y)

    def loss(t: Floats) -> float:
        return float(-log_ndtr(A @ t).sum() + t @ t / 2)

    np.testing.assert_allclose(whole.theta, minimize(loss, np.zeros(4)).x, atol=2e-3)
    for i in range(0, 200, 7):
        parts.learn(X[i : i + 7], y[i : i + 7])
    np.testing.assert_allclose(parts.theta, whole.theta, atol=0.1)


def test_the_evidence_finds_how_strong_weights_are() -> None:
    rng = np.random.default_rng(1)
    for scale in (0.3, 3.0):
        theta = scale * rng.standard_normal(30)
        X = rng.standard_normal((3000, 30)) / 3
        fit = Probit(30)
        for rows in np.split(X, 10):
            fit.learn(rows, (rng.random(300) < ndtr(rows @ theta)).astype(np.int64))
        assert 0.5 < fit.alpha * scale**2 < 2
        assert np.linalg.norm(fit.theta - theta) < 0.4 * np.linalg.norm(theta)


def test_the_fit_lives_with_anything() -> None:
    fit = Probit(2)
    fit.learn(np.eye(2), np.full(2, REFUSED))
    assert (fit.theta == 0).all()
    for _ in range(50):
        fit.learn(np.eye(2) * 1e3, np.ones(2, dtype=np.int64))
        fit.learn(np.array([[1.0, 0.0]]), np.array([REFUSED]))
    assert np.isfinite(fit.theta).all()
    assert (fit.theta > 0).all()
    assert 0 < fit.alpha < np.inf
    for label in (0, 1):
        fit.learn(1e6 * np.ones((40, 2)), np.full(40, label))
    assert np.isfinite(fit.theta).all()


# ------------------------------------------------------------------------------------ where it asks


@pytest.mark.parametrize("d", [2, 14])
def test_in_space_a_batch_is_orthonormal_bases_of_the_estimated_hyperplane(d: int) -> None:
    rng = np.random.default_rng(0)
    domain, theta = Domain.euclidean("x" * d), 5 * rng.standard_normal(d)
    X = on_boundary(domain, theta, 1, rng)
    assert X.shape == (d - 1, d)
    np.testing.assert_allclose(X @ X.T, np.eye(d - 1), atol=1e-12)
    np.testing.assert_allclose(X @ theta, 0, atol=1e-12)
    assert len(on_boundary(domain, theta, 3 * (d - 1), rng)) == 3 * (d - 1)
    start = on_boundary(domain, np.zeros(d), 1, rng)
    np.testing.assert_allclose(start @ start.T, np.eye(d), atol=1e-12)


def test_in_a_box_rows_are_realisable_and_between_both_labels() -> None:
    rng = np.random.default_rng(0)
    box = trained("breast_cancer", "box").domain
    for domain, near in ((box, 1e-3), (MIXED, 0.8)):
        theta = rng.standard_normal(domain.width + 1)
        theta[-1] = -np.median(domain.encode(domain.sample(500, rng)) @ theta[:-1])
        X = on_boundary(domain, theta, 40, rng)
        assert X.shape == (40, domain.d)
        assert np.array_equal(domain.project(X), X)
        score = domain.encode(X) @ theta[:-1] + theta[-1]
        typical = domain.encode(domain.sample(500, rng)) @ theta[:-1] + theta[-1]
        assert np.abs(score).mean() < near * np.abs(typical).mean()
    theta[-1] = 1e6
    assert on_boundary(MIXED, theta, 7, rng).shape == (7, 3)


# ------------------------------------------------------------------------------- what it reaches


def test_without_noise() -> None:
    found = [first(curve(trained("wine", seed=s), 300, seed=s), 0.01) for s in range(5)]
    assert np.median(found) < 220


def test_against_fresh_models_it_needs_a_fraction_of_averaging() -> None:
    d, ratio = 14, []
    for seed in range(7):
        victim, sessions = defended(RandomModel(sigma=0.1), d, seed)
        active = first(curve(victim, 700, sessions, seed), 0.1)
        victim, sessions = defended(RandomModel(sigma=0.1), d, seed)
        oracle = door(victim, 6000, fields=frozenset({"label"}), sessions=sessions)
        X = victim.domain.sample(6000, np.random.default_rng(seed))
        labels = oracle.ask(X).label
        assert labels is not None
        sums = np.cumsum((2 * labels - 1)[:, None] * X, axis=0)
        own = unit(victim.parameters["coef"])
        errors = np.linalg.norm(sums / np.linalg.norm(sums, axis=1)[:, None] - own, axis=1)
        ratio.append(active / (1 + np.argmax(errors <= 0.1)))
    assert np.median(ratio) < 0.25


def test_it_stays_consistent_whatever_the_covariance() -> None:
    d, variances = 5, np.geomspace(1, 100, 5)
    for seed in range(3):
        victim, _ = defended(RandomModel(), d, seed)
        session = Skewed(victim, variances / variances.sum(), seed)
        assert first(curve(victim, 20_000, [session], seed), 0.03) < np.inf


@pytest.mark.parametrize(
    ("defense", "level", "budget"),
    [
        (LabelFlip(rate=0.1), 0.02, 900),
        (LabelFlip(rate=0.3), 0.05, 1500),
        (ScoreNoise(), 0.25, 3000),
    ],
)
def test_against_other_noise(defense: Defense, level: float, budget: int) -> None:
    found = []
    for seed in range(5):
        victim, sessions = defended(defense, 10, seed)
        found.append(first(curve(victim, budget, sessions, seed, growth=1.02), level))
    assert np.median(found) < np.inf


@pytest.mark.parametrize("name", ["wine", "pima"])
def test_in_a_box(name: str) -> None:
    target = Logistic(dataset=Dataset.model_validate(name))
    if name == "wine":
        target = Halfspace(dataset=Dataset.model_validate(name), space="box")  # type: ignore[assignment]
    goal = Goal("fidelity", "natural", (0.95,), 400)
    for defense, least in ((LabelFlip(rate=0.0), 0.98), (RandomModel(), 0.94)):
        record = match(ActiveProbit(), defense, target, budget=600, goal=goal)
        assert (record.status, record.queries) == (Status.EXHAUSTED, 600)
        assert min(record.curve[-1].values) > least


def test_refused_rows_are_left_out() -> None:
    target = Halfspace(dataset=Dataset.model_validate("wine"), space="box")
    goal = Goal("fidelity", "natural", (0.9,), 400)
    record = match(ActiveProbit(), Hotelling(alpha=0.05), target, budget=400, goal=goal)
    assert record.status is Status.EXHAUSTED
    assert min(record.curve[-1].values) > 0.9


def test_what_is_asked_does_not_depend_on_checkpoints() -> None:
    victim, _ = defended(RandomModel(), 6, 0)
    fine, coarse = (curve(victim, 150, growth=growth) for growth in (1.0, 2.0))
    assert len(coarse) < len(fine)
    for queries, value in coarse:
        assert value == fine[fine[:, 0] == queries, 1][0]


@pytest.mark.parametrize("budget", [1, 5, 37])
@pytest.mark.parametrize("w", [[1.0], [-2.0], [1.0, 0.0], [0.0, 3.0, -1.0]])
def test_small_dimensions_and_budgets(w: list[float], budget: int) -> None:
    points = curve(halfspace(w), budget)
    assert points[-1, 0] == budget
    assert np.isfinite(points).all()
    if len(w) == 1:
        assert points[-1, 1] == 0


def test_a_target_with_one_label_ends_with_the_budget() -> None:
    points = curve(halfspace([1.0, 0.0, 0.0, 0.0, 0.0], 1e9, MIXED), 60)
    assert points[-1, 0] == 60


def test_it_meets_halfspaces_only() -> None:
    data = Dataset.model_validate("iris")
    targets = [DecisionTree(dataset=data), Logistic(dataset=data), Halfspace(dataset=data)]
    reasons = [spec.skipped for spec in plan(tournament([ActiveProbit()], targets=targets))]
    assert reasons == [
        "active-probit learns halfspace, the target is tree",
        "active-probit learns halfspace, the target is softmax",
        "",
    ]
    assert pickle.loads(pickle.dumps(ActiveProbit())) == ActiveProbit()
    oracle = door(halfspace([1.0, 2.0]), fields=frozenset({"score"}))
    with pytest.raises(ValueError, match="learns from labels"):
        list(ActiveProbit().extract(oracle, np.random.default_rng(0)))


# --------------------------------------------------------------------------------------- the bars


@pytest.mark.slow
@pytest.mark.parametrize("d", [14, 30])
def test_at_the_published_noise_it_needs_what_information_asks(d: int) -> None:
    # Every row tells 2/pi of theta at most: (pi/2)(d-1)^2/(d eps^2) rows make E err^2 = eps^2.
    excess = []
    n = round(np.pi / 2 * (d - 1) ** 2 / d / 0.1**2)
    for seed in range(50):
        victim, sessions = defended(RandomModel(sigma=d**-0.5), d, seed)
        points = curve(victim, n, sessions, seed)
        excess.append(points[-1, 1] ** 2 / 0.1**2)
    assert np.mean(excess) < 1.05 + 2.5 * np.sqrt(2 / (d - 1) / 50)


@pytest.mark.slow
@pytest.mark.parametrize("condition", [10.0, 100.0, 1000.0])
def test_no_miss_under_an_uneven_covariance(condition: float) -> None:
    variances = np.geomspace(1, condition, 14)
    for seed in range(20):
        victim, _ = defended(RandomModel(), 14, seed)
        session = Skewed(victim, variances / variances.sum(), seed)
        assert first(curve(victim, 50_000, [session], seed), 0.03) < np.inf


def test_answers_without_noise_are_learned_as_far_as_the_prior_reaches() -> None:
    victim = halfspace(unit(np.random.default_rng(3).standard_normal(30)))
    points = curve(victim, 4000, seed=0, growth=1.2)
    assert points[-1, 1] < 1e-6
