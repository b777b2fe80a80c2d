"""Nested planes and spheres: thresholds on one angle, the floor, contradictions, floating point."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import kstest

from arena.floors import label_floor
from arena.learners.direction_particles import flip_likelihood
from arena.learners.nested_planes import NestedPlanes, prior_edges, rotation
from arena.learners.nested_spheres import NestedSpheres

Floats = NDArray[np.float64]
Learner = NestedPlanes | NestedSpheres


def random_normal(d: int, rng: Generator) -> Floats:
    w = rng.standard_normal(d)
    unit: Floats = w / np.linalg.norm(w)
    return unit


def distance(learner: Learner, w: Floats) -> float:
    normal = learner.normal()
    return float(np.linalg.norm(normal / (np.linalg.norm(normal) or 1.0) - w))


def ask(learner: Learner, w: Floats, rho: float, rng: Generator) -> None:
    label = bool(learner.query() @ w > 0)
    learner.tell(label != (rng.random() < rho))


def queries(learner: Learner, w: Floats, rho: float, rng: Generator, epsilon: float = 1e-4) -> int:
    """Return how many queries it takes to the error epsilon."""
    for asked in range(1, 10_000):
        ask(learner, w, rho, rng)
        if distance(learner, w) <= epsilon:
            return asked
    raise AssertionError("the error was never reached")


@pytest.mark.parametrize("d", [5, 13, 40])
def test_without_flips_it_is_at_the_floor(d: int) -> None:
    ratios = []
    for seed in range(20):
        rng = np.random.default_rng([d, seed])
        w = random_normal(d, rng)
        ratios.append(queries(NestedPlanes(d, rng, wary=False), w, 0.0, rng))
    floor = label_floor(d, 1e-4, 0.0)
    assert floor is not None
    # Queries are whole ones.
    assert 0.97 * floor - 1 < np.median(ratios) < 1.03 * floor + 1


@pytest.mark.parametrize("wary", [False, True])
def test_every_query_halves_what_is_left(wary: bool) -> None:
    ups = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        w = random_normal(9, rng)
        learner = NestedPlanes(9, rng, wary)
        for _ in range(100):
            ask(learner, w, 0.0, rng)
        assert not learner.contradicted
        ups += [positive for _, _, positive in learner.history]
    assert np.mean(ups) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("d", [2, 5, 20])
def test_it_ends_when_floating_point_tells_no_more(d: int) -> None:
    rng = np.random.default_rng(d)
    w = random_normal(d, rng)
    learner = NestedPlanes(d, rng, wary=False)
    while not learner.exact:
        ask(learner, w, 0.0, rng)
    assert len(learner.history) < 60 * d
    assert distance(learner, w) < 1e-14 * d


def test_the_axes_stay_orthonormal_and_ahead_of_the_normal() -> None:
    rng = np.random.default_rng(0)
    w = random_normal(12, rng)
    learner = NestedPlanes(12, rng, wary=True)
    for _ in range(120):
        ask(learner, w, 0.0, rng)
    assert len(learner.axes) == 11
    for k, u in enumerate(learner.axes):
        assert u @ w > 0 or k == 0
        np.testing.assert_allclose(learner.frame[k + 1 :] @ u, 0, atol=1e-12)
        assert u @ u == pytest.approx(1)


@pytest.mark.parametrize("k", [0, 1, 2, 30])
def test_the_prior_of_an_angle_is_that_of_uniform_normals(k: int) -> None:
    rng = np.random.default_rng(k)
    # phi_k is the angle of one coordinate to the length of the k + 1 before.
    W = rng.standard_normal((4000, k + 2))
    before = np.linalg.norm(W[:, :-1], axis=1) if k else W[:, 0]
    phi = np.arctan2(W[:, -1], before)
    edges = prior_edges(k, 64)
    shares = np.linspace(0, 1, 65)
    assert kstest(phi, lambda x: np.interp(x, edges, shares)).pvalue > 1e-3


def test_a_rotation_is_orthonormal_and_of_either_sign() -> None:
    signs = set()
    for seed in range(20):
        Q = rotation(5, np.random.default_rng(seed))
        np.testing.assert_allclose(Q @ Q.T, np.eye(5), atol=1e-12)
        signs.add(round(np.linalg.det(Q)))
    assert signs == {-1, 1}


@pytest.mark.parametrize("rho", [0.1, 0.2, 0.3])
def test_flips_are_noticed(rho: float) -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        w = random_normal(13, rng)
        learner = NestedPlanes(13, rng, wary=True)
        for _ in range(600):
            ask(learner, w, rho, rng)
            if learner.contradicted:
                break
        assert learner.contradicted


@pytest.mark.parametrize("d", [2, 5, 9])
def test_with_known_flips_it_is_near_the_floor(d: int) -> None:
    floor = label_floor(d, 1e-4, 0.1)
    assert floor is not None
    taken = []
    for seed in range(7):
        rng = np.random.default_rng([d, seed])
        w = random_normal(d, rng)
        taken.append(queries(NestedSpheres(d, rng, 0.1), w, 0.1, rng))
    assert 0.7 < np.median(taken) / floor < 1.3


def test_it_goes_on_from_contradicted_planes() -> None:
    floor = label_floor(9, 1e-4, 0.1)
    assert floor is not None
    taken = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        w = random_normal(9, rng)
        planes = NestedPlanes(9, rng, wary=True)
        while not planes.contradicted:
            ask(planes, w, 0.1, rng)
        spheres = NestedSpheres.resume(planes, rng, None)
        taken.append(len(planes.history) + queries(spheres, w, 0.1, rng))
    assert np.median(taken) / floor < 1.6


def test_an_unknown_rate_is_measured_first_the_longer_the_more_flips() -> None:
    repeats = []
    for rho in (0.05, 0.4):
        rng = np.random.default_rng(0)
        w = random_normal(13, rng)
        learner = NestedSpheres(13, rng, None)
        first, asked = learner.query(), 0
        while np.array_equal(learner.query(), first):
            ask(learner, w, rho, rng)
            asked += 1
        repeats.append(asked)
    assert 5 < repeats[0] < 25
    assert repeats[1] > 2 * repeats[0]


@pytest.mark.parametrize("rho", [0.05, 0.4])
def test_the_likelihood_of_known_flips(rho: float) -> None:
    likelihood = flip_likelihood(rho, 0, 0.0)
    flipped = np.array([3, 4, 7])
    expected = flipped * np.log(rho) + (20 - flipped) * np.log1p(-rho)
    found = likelihood(20, flipped)
    np.testing.assert_allclose(np.diff(found), np.diff(expected))


def test_more_answers_favour_the_rate_that_explains_them() -> None:
    """With 10 % flipped elsewhere, one more flip costs about log2(9) bits."""
    likelihood = flip_likelihood(None, 10_000, 1000.0)
    fewer, more = likelihood(50, np.array([5, 6])) / np.log(2)
    assert fewer - more == pytest.approx(log2(9), abs=0.05)
