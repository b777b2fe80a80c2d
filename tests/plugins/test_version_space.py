"""Version space approximation against its definition, an independent optimiser and Figure 3."""

from __future__ import annotations

import numpy as np
import pytest
from normals import Recorder, crossings, error, play, random_normal
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.optimize import minimize

from arena_plugins.attacks.version_space import LargestEllipsoid, VersionSpace

Floats = NDArray[np.float64]


def test_it_asks_unit_rows_orthogonal_to_what_it_proposes() -> None:
    d, door = 6, Recorder(random_normal(6, 0), 60)
    curve = play(VersionSpace(), door)
    np.testing.assert_allclose(door.X[:d] @ door.X[:d].T, np.eye(d), atol=1e-12)
    for x, (_, surrogate) in zip(door.X[d:], curve[d:], strict=False):
        assert abs(x @ surrogate.coef_[0]) < 1e-12
        assert np.linalg.norm(x) == pytest.approx(1)


def test_what_it_proposes_agrees_with_all_answers() -> None:
    victim = random_normal(8, 1)
    door = Recorder(victim, 120)
    for n, surrogate in play(VersionSpace(), door)[1:]:
        X = door.X[:n]
        np.testing.assert_array_equal(surrogate.predict(X), victim.answer(X).label)


def cut_at_random(d: int, cuts: int, seed: int) -> tuple[LargestEllipsoid, Floats]:
    """Cut an ellipsoid as the attack does, by a random target; return also the constraints."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(d)
    ellipsoid = LargestEllipsoid(np.linalg.qr(rng.standard_normal((d, d)))[0].T, 1e-3)
    A = []
    for _ in range(cuts):
        x, _ = ellipsoid.longest_axis()
        A.append(np.sign(x @ w) * x)
        ellipsoid.cut(A[-1])
    return ellipsoid, np.array(A)


def largest(A: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Maximise log det S subject to |S a_i| <= <a_i, mu>, |mu| <= 1, by sequential programming."""
    d = A.shape[1]

    def parts(v: Floats) -> tuple[Floats, Floats]:
        L = np.zeros((d, d))
        L[np.tril_indices(d)] = v[d:]
        return v[:d], L

    def slack(v: Floats) -> Floats:
        mu, L = parts(v)
        return np.append(A @ mu - np.linalg.norm(A @ L, axis=1), 1 - mu @ mu)

    small = (A @ start).min() / 2 * np.eye(d)[np.tril_indices(d)]
    found = minimize(
        lambda v: -np.log(np.abs(np.diag(parts(v)[1]))).sum(),
        np.append(start, small),
        constraints={"type": "ineq", "fun": slack},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert found.success
    mu, L = parts(found.x)
    return mu, L @ L.T


@pytest.mark.parametrize(("d", "cuts"), [(2, 4), (3, 7), (4, 10), (5, 14)])
def test_the_ellipsoid_is_the_largest_in_the_cone(d: int, cuts: int) -> None:
    ellipsoid, A = cut_at_random(d, cuts, seed=d)
    mu, Sigma = largest(A, ellipsoid.mu)
    across = np.eye(d) - np.outer(mu, mu)
    squares, axes = np.linalg.eigh(across @ Sigma @ across)
    axis, half_length = ellipsoid.longest_axis()
    np.testing.assert_allclose(ellipsoid.mu, mu, atol=2e-3)
    assert half_length == pytest.approx(np.sqrt(squares[-1]), rel=0.01)
    assert squares[-2] > 0.9 * squares[-1] or abs(axis @ axes[:, -1]) > 0.99


def test_no_constraint_is_forgotten() -> None:
    ellipsoid, A = cut_at_random(10, 140, seed=0)
    axis, half_length = ellipsoid.longest_axis()
    for end in (axis, -axis):
        # A hundredth for the tolerance.
        assert (A @ (ellipsoid.mu + 0.99 * half_length * end) > 0).all()


def test_it_ends_at_its_precision() -> None:
    victim = random_normal(9, 0)
    for precision in (1e-3, 1e-6, 1e-12):
        door = Recorder(victim, 5000, growth=1e9)
        last = play(VersionSpace(precision=precision), door)[-1][1]
        assert error(victim, last) < 3 * precision + 1e-12
        assert door.remaining


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({"tolerance": 0}, {"precision": 0}, {"precision": 1}, {"extra": 1}):
        with pytest.raises(ValidationError):
            VersionSpace.model_validate(parameters)


def test_figure_3_at_thirteen_dimensions() -> None:
    # Published: 135 queries to 1e-3 on wine; theory asks 123 there and 163 at 1e-4.
    rough, fine = np.median(crossings(VersionSpace(), 13, 5, 250, 1e-3, 1e-4), axis=0)
    assert 118 <= rough <= 135
    assert 155 <= fine <= 180


@pytest.mark.slow
@pytest.mark.parametrize(
    ("d", "seeds", "rough", "fine"), [(14, 20, 138, 190), (30, 10, 318, 410), (64, 4, 700, 900)]
)
def test_figure_3(d: int, seeds: int, rough: int, fine: int) -> None:
    # Published: 135 for d = 14 at 1e-3; 300 and 400 for d = 30; 700 and 900 for d = 64.
    found = np.median(crossings(VersionSpace(), d, seeds, 1000, 1e-3, 1e-4), axis=0)
    assert found[0] <= rough
    assert found[1] <= fine
