"""Surrogates as arrays: they predict what they stand for, and no arrays do any harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from arena import Domain, Feature, Knowledge, kernel_svm, recipes
from arena.learners.arrays import ArraySurrogate, Kernel, Linear, Trees
from arena.snapshots import Pickled, capture, loaded

Floats = NDArray[np.float64]

DOMAIN = Domain(
    (
        Feature("x", "continuous", -2.0, 3.0),
        Feature("y", "continuous", 0.0, 1.0),
        Feature("c", "categorical", 0, 2, ("a", "b", "c")),
    )
)
WIDTH = 5


def learned(family: str, labels: list[int], seed: int) -> tuple[ArraySurrogate, Floats]:
    """Learn labels of random rows, as many as there are in a list; return also other rows."""
    rng = np.random.default_rng(seed)
    X = DOMAIN.sample(40 + 30 * len(labels), rng)
    score = X[:, 0] + 3 * X[:, 1] * X[:, 2] + rng.normal(0, 0.3, len(X))
    y = np.array(labels)[np.digitize(score, np.quantile(score, np.arange(1, len(labels)) / 3))]
    if family == "one against the rest":
        model = kernel_svm.KernelSVC(0.7, 10.0)
        model.add(DOMAIN.encode(X), y)
        return kernel_svm.KernelSurrogate(DOMAIN, model.snapshot()), DOMAIN.sample(500, rng)
    classes = tuple("abcd")
    knowledge = Knowledge(DOMAIN, classes, frozenset({"label"}), family, {"trees": 7})
    found = recipes.fit(knowledge, X, y, rng)
    assert isinstance(found, ArraySurrogate)
    return found, DOMAIN.sample(500, rng)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["kernel-svm", "one against the rest", "tree", "forest"]),
    st.sampled_from([[2], [0, 1], [1, 3], [0, 1, 2], [0, 3, 1, 2]]),
    st.integers(0, 1000),
)
def test_the_arrays_of_a_surrogate_predict_what_it_predicts(
    family: str, labels: list[int], seed: int
) -> None:
    surrogate, X = learned(family, labels, seed)
    snapshot = capture(surrogate, DOMAIN, 4)
    assert isinstance(snapshot, Kernel if len(labels) > 1 and family[0] in "ko" else Trees)
    found = loaded(snapshot, 4).labels(X, DOMAIN.encode(X))
    np.testing.assert_array_equal(found, surrogate.predict(X))
    assert found.dtype == np.int64
    again = type(snapshot).of(snapshot.matrices(), WIDTH, 4)
    np.testing.assert_array_equal(again.labels(X, DOMAIN.encode(X)), found)


def test_a_tree_compares_in_single_precision_as_scikit_learn_does() -> None:
    X = np.array([[0.5, 0.5, 0.0], [1.75, 0.5, 0.0]])
    knowledge = Knowledge(DOMAIN, ("a", "b"), frozenset({"label"}), "tree")
    tree = recipes.fit(knowledge, X, np.array([0, 1]), np.random.default_rng(0))
    near = np.repeat([[1.125, 0.5, 0.0]], 3, axis=0)
    near[:, 0] += [0.0, 1e-12, 1e-3]
    found = loaded(capture(tree, DOMAIN, 2), 2).labels(near, DOMAIN.encode(near))
    np.testing.assert_array_equal(found, tree.predict(near))
    np.testing.assert_array_equal(found, [0, 0, 1])


def test_what_has_no_arrays_or_too_many_is_scored_by_its_predict() -> None:
    network, X = learned("network", [0, 1], 0)
    assert isinstance(capture(network, DOMAIN, 4), Pickled)
    tree, _ = learned("tree", [0, 1, 2], 0)
    other = Domain(DOMAIN.features[:2])
    assert isinstance(capture(tree, DOMAIN, 4), Trees)
    assert isinstance(capture(tree, other, 4), Pickled)
    assert isinstance(capture(Contrary(0), DOMAIN, 4), Pickled)
    assert isinstance(capture(recipes.Constant(0), DOMAIN, 0), Pickled), "of values"
    knowledge = Knowledge(DOMAIN, ("a", "b"), frozenset({"label"}), "forest", {"trees": 600})
    y = (X[:, 0] > 0).astype(np.int64)
    forest = recipes.fit(knowledge, X[:50], y[:50], np.random.default_rng(0))
    assert isinstance(capture(forest, DOMAIN, 2), Pickled)


@dataclass(frozen=True)
class Contrary(recipes.Constant):
    """Predicts another class than its arrays do."""

    def predict(self, X: Floats) -> Any:
        """Predict the next class."""
        return super().predict(X) + 1


MET = np.array([[0.0], [1.0]])
KERNEL = (np.array([[0.5, 0.0]]), np.ones((3, WIDTH + 1)), np.ones((1, 4)), MET)
LEAVES = ([0, 0.5, 1, 2], [0, 0, 1, 1], [0, 0, 2, 2])
TREES = (np.array(LEAVES), np.eye(3)[:, :2], np.zeros((1, 1)), MET)


@pytest.mark.parametrize(
    ("kind", "which", "matrix"),
    [
        (Kernel, 0, [[0.0, 0.0]]),
        (Kernel, 0, [[np.nan, 0.0]]),
        (Kernel, 0, [[0.5, 0.0, 0.0]]),
        (Kernel, 1, np.ones((3, WIDTH))),
        (Kernel, 1, np.full((3, WIDTH + 1), np.inf)),
        (Kernel, 1, np.ones((1 << 16, WIDTH + 1))),
        (Kernel, 2, np.ones((2, 4))),
        (Kernel, 3, [[0.0], [2.0]]),
        (Kernel, 3, [[0.0], [0.5]]),
        (Kernel, 3, [[1.0]]),
        (Kernel, 3, np.zeros((3000, 1))),
        (Trees, 2, np.zeros((600, 1))),
        (Trees, 0, np.zeros((0, 4))),
        (Trees, 0, [[WIDTH, 0.5, 1, 2], *LEAVES[1:]]),
        (Trees, 0, [[-1, 0.5, 1, 2], *LEAVES[1:]]),
        (Trees, 0, [[0, np.nan, 1, 2], *LEAVES[1:]]),
        (Trees, 0, [[0, 0.5, 1, 3], *LEAVES[1:]]),
        (Trees, 0, [[0, 0.5, 1, 1e300], *LEAVES[1:]]),
        (Trees, 0, [LEAVES[0], [0, 0, 0, 2], LEAVES[2]]),
        (Trees, 0, [LEAVES[0], [0, 0, 1, 2], LEAVES[2]]),
        (Trees, 1, np.eye(3)),
        (Trees, 1, np.full((3, 2), np.nan)),
        (Trees, 2, np.zeros((0, 1))),
        (Trees, 2, np.zeros((1 << 20, 1))),
        (Trees, 2, [[3.0]]),
        (Trees, 3, [[0.0], [-1.0]]),
        (Linear, 0, np.full((2, WIDTH + 1), np.nan)),
        (Linear, 0, np.ones((3, WIDTH + 1))),
        (Linear, 0, np.ones((2, WIDTH))),
    ],
)
def test_arrays_that_do_not_fit_are_refused(kind: Any, which: int, matrix: Any) -> None:
    given = {Kernel: KERNEL, Trees: TREES, Linear: (np.ones((2, WIDTH + 1)),)}[kind]
    kind.of(given, WIDTH, 2)
    with pytest.raises(ValueError, match="do not fit"):
        kind.of((*given[:which], np.array(matrix, dtype=float), *given[which + 1 :]), WIDTH, 2)


def test_a_tree_of_more_steps_than_a_referee_takes_is_refused() -> None:
    n = 1 << 15
    own = np.arange(n)
    chain = np.c_[np.zeros(n), np.zeros(n), np.minimum(own + 1, n - 1), np.full(n, n - 1)]
    with pytest.raises(ValueError, match="many steps"):
        Trees.of((chain, np.ones((n, 1)), np.zeros((1, 1)), np.zeros((1, 1))), WIDTH, 2)


def test_a_machine_for_each_pair_of_many_classes_is_refused_before_its_votes_are_laid_out() -> None:
    k = 700
    dual, met = np.zeros((k * (k - 1) // 2, 1)), np.arange(k, dtype=np.float64)[:, None]
    head, vectors = np.array([[1.0, 0.0]]), np.zeros((0, WIDTH + 1))
    with pytest.raises(ValueError, match="many classes"):
        Kernel.of((head, vectors, dual, met), WIDTH, k)


@pytest.mark.filterwarnings("error")
def test_numbers_as_large_as_floats_go_overflow_in_silence() -> None:
    nodes, _, _, met = TREES
    trees = Trees.of((nodes, np.full((3, 2), 1e308), np.zeros((2, 1)), met), WIDTH, 2)
    head, vectors, dual, _ = KERNEL
    kernel = Kernel.of((head, 1e308 * vectors, 1e308 * dual, met), WIDTH, 2)
    Z = np.linspace(-1e300, 1e300, 4 * WIDTH).reshape(4, WIDTH)
    for found in (trees, kernel):
        assert set(found.labels(Z, Z)) <= {0, 1}
