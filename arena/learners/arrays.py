"""Surrogates as plain arrays: what a referee scores by itself, running nothing that made them.

Every class here checks arrays of any origin in ``of``, and gives them back in ``matrices``. What
one predicts takes bounded time and memory, so that nobody's arrays hold up a referee.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena.domain import Domain
from arena.learners.pairwise_svm import Machines, sides
from arena.linear import linear_labels, linear_values
from arena.tables import Outcomes

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Matrices = tuple[Floats, ...]

_MOST_NUMBERS = 1 << 18
"""A kernel machine or the trees of a surrogate may have so many; larger ones are none of these."""

_MOST_CLASSES = 32
"""Of a kernel machine with one machine a pair; their votes take the cube of them."""

_MOST_STEPS = 512
"""Trees times depth, at most: C does better than numpy where there are more."""

_BLOCK = 1 << 21
"""Numbers of a row times rows, looked at together."""


@dataclass(frozen=True)
class Linear:
    """A linear surrogate over encoded rows.

    Attributes:
        coef: float64 (1 or k, width).
        intercept: float64 (1 or k,).
        regression: whether it predicts values.
    """

    coef: Floats
    intercept: Floats
    regression: bool = False

    @classmethod
    def of(cls, matrices: Matrices, width: int, classes: int) -> Linear:
        """Take [coef, intercept] (1 or k, width + 1) for a target of so many classes, or none.

        Raises:
            ValueError: they do not fit.
        """
        (weights,) = matrices
        _check(weights.shape[1] == width + 1 and len(weights) in {1, classes} - {0}, "weights")
        _check(np.isfinite(weights).all(), "weights")
        return cls(np.ascontiguousarray(weights[:, :-1]), weights[:, -1].copy(), not classes)

    def matrices(self) -> Matrices:
        """Return what ``of`` takes."""
        return (np.c_[self.coef, self.intercept],)

    @property
    def normal(self) -> tuple[Floats, float] | None:
        """The halfspace (weights (width,), intercept) of a two-class surrogate, else None."""
        if len(self.coef) == 1:
            return self.coef[0], float(self.intercept[0])
        if len(self.coef) == 2:
            with np.errstate(over="ignore"):
                coef, intercept = self.coef[1] - self.coef[0], self.intercept[1] - self.intercept[0]
            return coef, float(intercept)
        return None

    def labels(self, X: Floats, Z: Floats) -> Outcomes:
        """Predict the labels, or the values, of encoded rows Z (n, width)."""
        predict = linear_values if self.regression else linear_labels
        # Weights may be as large as floats go.
        with np.errstate(over="ignore", invalid="ignore"):
            return predict(Z, self.coef, self.intercept)


@dataclass(frozen=True, eq=False)
class Kernel:
    """A support vector classifier over encoded rows, its kernel RBF.

    Attributes:
        machines: one for each pair of classes; or one for each class, whose largest wins.
        met: int64 (k,), the labels of its classes.
        against_rest: whether there is a machine for each class.
    """

    machines: Machines
    met: Labels
    against_rest: bool = False

    @classmethod
    def of(cls, matrices: Matrices, width: int, classes: int) -> Kernel:
        """Take what ``matrices`` gives, for a target of so many classes.

        Raises:
            ValueError: they do not fit, or are too large.
        """
        head, vectors, dual, met = matrices
        _check(head.shape == (1, 2) and head[0, 0] > 0, "parameters")
        rest, k, m = bool(head[0, 1]), len(met), len(vectors)
        labels = _classes(met, classes)
        _check(all(np.isfinite(matrix).all() for matrix in matrices), "numbers")
        _check(2 <= k <= classes and vectors.shape[1] == width + 1, "support vectors")
        _check(dual.shape == (k if rest else k * (k - 1) // 2, m + 1), "multipliers")
        _check(vectors.size + dual.size <= _MOST_NUMBERS, "many numbers")
        _check(rest or k <= _MOST_CLASSES, "many classes")
        return cls(
            Machines(
                gamma=float(head[0, 0]),
                support=np.ascontiguousarray(vectors[:, :-1]),
                shift=vectors[:, -1].copy(),
                dual=np.ascontiguousarray(dual[:, :-1]),
                b=dual[:, -1].copy(),
                sides=sides(0 if rest else k),
            ),
            labels,
            rest,
        )

    def matrices(self) -> Matrices:
        """Return what ``of`` takes."""
        machines = self.machines
        return (
            np.array([[machines.gamma, float(self.against_rest)]]),
            np.c_[machines.support, machines.shift],
            np.c_[machines.dual, machines.b],
            self.met[:, None].astype(np.float64),
        )

    def labels(self, X: Floats, Z: Floats) -> Outcomes:
        """Predict the labels of encoded rows Z (n, width)."""
        return self.met[_by_blocks(self._winners, Z, sum(self.machines.dual.shape))]

    def _winners(self, Z: Floats) -> Labels:
        with np.errstate(over="ignore", invalid="ignore"):
            decision = self.machines.fast_decision(Z)
            if not self.against_rest:
                return self.machines.winners(decision)
        winners: Labels = decision.argmax(axis=1)
        return winners


@dataclass(frozen=True, eq=False)
class Trees:
    """One decision tree, or the mean of some, over encoded rows.

    Attributes:
        feature: int64 (N,), what each of the N nodes of all trees looks at.
        threshold: float64 (N,), up to what, in single precision, a row goes left.
        left, right: int64 (N,), the nodes a row goes on to; a leaf leads to itself.
        values: float64 (N, k), the shares of the classes in a node.
        roots: int64 (T,).
        met: int64 (k,), the labels of its classes.
    """

    feature: Labels
    threshold: Floats
    left: Labels
    right: Labels
    values: Floats
    roots: Labels
    met: Labels

    @classmethod
    def constant(cls, label: int) -> Trees:
        """Return the guess of one class everywhere: a tree of one leaf."""
        root = np.zeros(1, dtype=np.int64)
        return cls(root, np.zeros(1), root, root, np.ones((1, 1)), root, np.array([label]))

    @classmethod
    def fitted(cls, estimators: list[Any], met: Labels) -> Trees:
        """Unpack fitted ``sklearn.tree.DecisionTreeClassifier`` s of the same k classes."""
        trees = [estimator.tree_ for estimator in estimators]
        roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        nodes = np.arange(sum(tree.node_count for tree in trees))
        leaf = np.concatenate([tree.children_left for tree in trees]) < 0

        def joined(children: str) -> Labels:
            parts = [
                getattr(tree, children) + root for tree, root in zip(trees, roots, strict=True)
            ]
            return np.where(leaf, nodes, np.concatenate(parts))

        return cls(
            feature=np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])),
            threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
            left=joined("children_left"),
            right=joined("children_right"),
            values=np.concatenate([tree.value[:, 0] for tree in trees]),
            roots=roots,
            met=met,
        )

    @classmethod
    def of(cls, matrices: Matrices, width: int, classes: int) -> Trees:
        """Take what ``matrices`` gives, for a target of so many classes.

        Raises:
            ValueError: they do not fit, or are too large.
        """
        nodes, values, roots, met = matrices
        n, own = len(nodes), np.arange(len(nodes))
        _check(nodes.shape[1] == 4 and n > 0 and np.isfinite(nodes).all(), "nodes")
        _check(values.shape == (n, len(met)) and np.isfinite(values).all(), "values")
        _check(roots.shape[1] == 1 and len(roots) > 0, "roots")
        left, right = _indices(nodes[:, 2], n), _indices(nodes[:, 3], n)
        # No row walks in a circle.
        leaf, inner = (left == own) & (right == own), (left > own) & (right > own)
        _check((leaf | inner).all(), "children")
        trees = cls(
            feature=_indices(nodes[:, 0], width),
            threshold=nodes[:, 1].copy(),
            left=left,
            right=right,
            values=np.ascontiguousarray(values),
            roots=_indices(roots[:, 0], n),
            met=_classes(met, classes),
        )
        _check(nodes.size + values.size <= _MOST_NUMBERS, "many numbers")
        _check(len(roots) * (trees.depth + 1) <= _MOST_STEPS, "many steps")
        return trees

    def matrices(self) -> Matrices:
        """Return what ``of`` takes."""
        return (
            np.c_[self.feature, self.threshold, self.left, self.right],
            self.values,
            self.roots[:, None].astype(np.float64),
            self.met[:, None].astype(np.float64),
        )

    @cached_property
    def depth(self) -> int:
        """Steps from a root to the furthest leaf; one more than are looked at where it is deep."""
        nodes, depth = np.unique(self.roots), 0
        while depth <= _MOST_STEPS:
            nodes = nodes[self.left[nodes] != nodes]
            if not len(nodes):
                break
            nodes, depth = np.unique([self.left[nodes], self.right[nodes]]), depth + 1
        return depth

    def labels(self, X: Floats, Z: Floats) -> Outcomes:
        """Predict the labels of encoded rows Z (n, width)."""
        return self.met[_by_blocks(self._winners, Z, len(self.roots))]

    def _winners(self, Z: Floats) -> Labels:
        with np.errstate(over="ignore"):
            single = Z.astype(np.float32)
        rows = np.arange(len(Z))[:, None]
        at = np.broadcast_to(self.roots, (len(Z), len(self.roots)))
        for _ in range(self.depth):
            stays = single[rows, self.feature[at]] <= self.threshold[at]
            at = np.where(stays, self.left[at], self.right[at])
        total = np.zeros((len(Z), len(self.met)))
        # One by one, as scikit-learn does: of equal means the first class wins.
        with np.errstate(over="ignore", invalid="ignore"):
            for leaves in at.T:
                total += self.values[leaves]
        winners: Labels = (total / len(self.roots)).argmax(axis=1)
        return winners


Arrays = Linear | Kernel | Trees


class ArraySurrogate(ABC):
    """A surrogate that a referee can score without running it."""

    @abstractmethod
    def predict(self, X: Floats) -> Labels:
        """Predict the labels of raw rows X (n, d)."""

    @abstractmethod
    def arrays(self, domain: Domain) -> Arrays | None:
        """Return what predicts the same over a domain; None where nothing does."""


def _by_blocks(winners: Callable[[Floats], Labels], Z: Floats, numbers: int) -> Labels:
    """Find the winners of encoded rows Z (n, width), each of which takes so many numbers."""
    step = max(1, _BLOCK // max(1, numbers))
    blocks = [winners(Z[start : start + step]) for start in range(0, len(Z), step)]
    return np.concatenate([np.empty(0, dtype=np.int64), *blocks])


def _check(fits: bool | np.bool_, what: str) -> None:
    if not fits:
        raise ValueError(f"its {what} do not fit")


def _indices(column: Floats, below: int) -> Labels:
    """Return whole numbers (n,) from 0 to below ``below`` as such.

    Raises:
        ValueError: some are none.
    """
    # Compared as floats: a cast of what is too large is undefined.
    _check(((column >= 0) & (column < below) & (column == np.floor(column))).all(), "indices")
    return column.astype(np.int64)


def _classes(met: Floats, classes: int) -> Labels:
    _check(met.shape[1] == 1 and len(met) > 0, "classes")
    return _indices(met[:, 0], classes)
