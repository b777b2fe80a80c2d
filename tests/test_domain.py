"""The input space: encoding, sampling, projecting, walking."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from playground import MIXED

from arena import Domain, Feature, InvalidQuery

Floats = NDArray[np.float64]

numbers = st.floats(-1e12, 1e12, allow_subnormal=False)


@st.composite
def features(draw: st.DrawFn) -> Feature:
    kind = draw(st.sampled_from(["continuous", "integer", "categorical", "binned", "constant"]))
    if kind == "categorical":
        k = draw(st.integers(1, 5))
        return Feature("f", "categorical", 0.0, k - 1.0, tuple("abcde"[:k]))
    if kind == "integer":
        low = draw(st.integers(-1000, 1000))
        return Feature("f", "integer", float(low), float(low + draw(st.integers(0, 50))))
    low, high = sorted(draw(st.tuples(numbers, numbers)))
    if kind == "constant":
        return Feature("f", "continuous", low, low)
    edges = ()
    if kind == "binned":
        inner = draw(st.lists(st.floats(low, high), max_size=4, unique=True))
        edges = tuple(sorted(e for e in inner if e > low))
    return Feature("f", "continuous", low, high, edges=edges)


domains = st.lists(features(), min_size=1, max_size=6).map(lambda fs: Domain(tuple(fs)))
seeds = st.integers(0, 2**32)


@given(domains, seeds)
def test_samples_are_realisable(domain: Domain, seed: int) -> None:
    X = domain.sample(40, np.random.default_rng(seed))
    np.testing.assert_array_equal(domain.project(X), X)
    assert ((domain.low <= X) & (domain.high >= X)).all()
    domain.validate(X)
    domain.validate(X[:1])


@given(domains, seeds)
def test_encoded_rows_are_within_one(domain: Domain, seed: int) -> None:
    X = domain.sample(40, np.random.default_rng(seed))
    X[0], X[1] = domain.low, domain.high
    Z = domain.encode(X)
    assert Z.shape == (40, domain.width)
    assert np.abs(Z).max() <= 1.0


@given(domains, seeds)
def test_what_is_one_hot_has_exactly_one_hot(domain: Domain, seed: int) -> None:
    X = domain.sample(40, np.random.default_rng(seed))
    for j, feature in enumerate(domain.features):
        X[: len(feature.edges), j] = feature.edges
    Z, start = domain.encode(X), 0
    for j, feature in enumerate(domain.features):
        part = Z[:, start : start + feature.width]
        start += feature.width
        if feature.kind == "categorical" or feature.edges:
            np.testing.assert_array_equal(np.sort(part)[:, :-1], -1.0)
            np.testing.assert_array_equal(part.max(axis=1), 1.0)
        if feature.kind == "categorical":
            np.testing.assert_array_equal(part.argmax(axis=1), X[:, j])
        elif feature.edges:
            bins = np.searchsorted(feature.edges, X[:, j], side="right")
            np.testing.assert_array_equal(part.argmax(axis=1), bins)
        elif feature.low == feature.high:
            np.testing.assert_array_equal(part, 0.0)


@given(domains, seeds)
def test_a_row_encodes_to_the_same_bits_in_any_batch(domain: Domain, seed: int) -> None:
    X = domain.sample(9, np.random.default_rng(seed))
    Z = domain.encode(X)
    for i in range(9):
        assert domain.encode(X[i : i + 1]).tobytes() == Z[i].tobytes()
    assert domain.encode(np.asfortranarray(X)[2:5]).tobytes() == Z[2:5].tobytes()


@given(domains, seeds)
def test_walks_are_realisable_and_meet_both_ends(domain: Domain, seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, B = domain.sample(20, rng), domain.sample(20, rng)
    switch = rng.uniform(0.01, 0.99, A.shape)
    np.testing.assert_array_equal(domain.between(A, B, np.zeros(20), switch), A)
    np.testing.assert_array_equal(domain.between(A, B, np.ones(20), switch), B)
    X = domain.between(A, B, rng.random(20), switch)
    np.testing.assert_array_equal(domain.project(X), X)
    assert ((np.minimum(A, B) <= X) & (np.maximum(A, B) >= X)).all()
    np.testing.assert_array_equal(domain.between(A, A, rng.random(20), switch), A)


@given(domains, seeds, st.floats(0.01, 1e6))
def test_projecting_gives_a_row_that_can_be_asked(domain: Domain, seed: int, far: float) -> None:
    X = np.random.default_rng(seed).standard_normal((20, domain.d)) * far
    P = domain.project(X)
    domain.validate(P)
    np.testing.assert_array_equal(domain.project(P), P)


def test_walking_moves_evenly_and_switches_categories_once() -> None:
    A, B = np.array([[0.0, 1.0, 0.0]]), np.array([[2.0, 6.0, 2.0]])
    switch = np.full((1, 3), 0.6)
    half = MIXED.between(A, B, np.array([0.5]), switch)
    np.testing.assert_allclose(half, [[1.0, 4.0, 0.0]])
    late = MIXED.between(A, B, np.array([0.6]), switch)
    assert late[0, 2] == 2.0


def test_samples_are_uniform() -> None:
    X = MIXED.sample(60_000, np.random.default_rng(0))
    assert abs(X[:, 0].mean() - 0.5) < 0.02
    assert abs(X[:, 0].std() - 5 / math.sqrt(12)) < 0.02
    for j, values in ((1, range(1, 7)), (2, range(3))):
        shares = [(X[:, j] == v).mean() for v in values]
        np.testing.assert_allclose(shares, 1 / len(values), atol=0.01)


def test_the_sphere() -> None:
    sphere = Domain.euclidean(["a", "b", "c"])
    X = sphere.sample(5000, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0)
    assert np.abs(X.mean(axis=0)).max() < 0.05
    far = X * 1e9
    assert sphere.encode(far) is far
    sphere.validate(far)
    np.testing.assert_array_equal(sphere.project(far), far)
    assert sphere.identity_encoded
    assert not MIXED.identity_encoded


def test_one_feature() -> None:
    line = Domain((Feature("x", "continuous", 2.0, 4.0),))
    np.testing.assert_array_equal(line.encode(np.array([[2.0], [3.0], [4.0]])), [[-1], [0], [1]])
    assert Domain.euclidean("x").sample(4, np.random.default_rng(0)).shape == (4, 1)


def test_bounds_and_bins_come_from_rows() -> None:
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=200), np.full(200, 3.0), rng.integers(0, 2, 200)]
    known = [
        Feature("a", "continuous", 0, 0),
        Feature("b", "integer", 0, 0),
        Feature("c", "categorical", 0.0, 2.0, ("x", "y", "z")),
    ]
    domain = Domain.from_rows(known, X, bins=4)
    assert (domain.features[0].low, domain.features[0].high) == (X[:, 0].min(), X[:, 0].max())
    assert domain.features[1].edges == ()
    assert domain.features[2].high == 2.0
    counts = (domain.encode(X)[:, :4] == 1).sum(axis=0)
    np.testing.assert_array_equal(counts, 50)
    assert domain.width == 4 + 1 + 3


@given(domains, seeds)
@settings(max_examples=50)
def test_every_bad_value_is_refused(domain: Domain, seed: int) -> None:
    rng = np.random.default_rng(seed)
    j = int(rng.integers(domain.d))
    for n in (1, 3):
        for bad in (np.nan, np.inf, -np.inf):
            X = domain.sample(n, rng)
            X[-1, j] = bad
            with pytest.raises(InvalidQuery):
                domain.validate(X)
        if domain.features[j].kind == "categorical":
            for bad in (-1.0, 0.5, float(len(domain.features[j].categories)), 1e300):
                X = domain.sample(n, rng)
                X[-1, j] = bad
                with pytest.raises(InvalidQuery):
                    domain.validate(X)


def test_negative_zero_is_a_category() -> None:
    for n in (1, 2):
        MIXED.validate(np.array([[0.0, 1.0, -0.0]] * n))


def test_a_pickled_domain_is_equal() -> None:
    MIXED.encode(MIXED.sample(2, np.random.default_rng(0)))
    again = pickle.loads(pickle.dumps(MIXED))
    assert again == MIXED
    assert hash(again) == hash(MIXED)
    assert vars(again).keys() == {"features", "geometry"}
