"""A fitted RBF support vector classifier as plain arrays: a machine for each pair of classes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena.rowwise import affine

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Machines:
    """One machine for each pair of classes (one-vs-one) over m shared support vectors.

    Attributes:
        gamma: the kernel of encoded rows is ``exp(-gamma ||z - s||^2)``.
        support: float64 (m, width), ``2 gamma s`` for every support vector s.
        shift: float64 (m,), ``-gamma ||s||^2``.
        dual: float64 (p, m), the signed multipliers of each of the p pairs of classes.
        b: float64 (p,), the intercepts.
        sides: float64 (k, p), what a machine's positive value speaks for (1) and against (-1).
    """

    gamma: float
    support: Floats
    shift: Floats
    dual: Floats
    b: Floats
    sides: Floats

    @classmethod
    def of(cls, model: Any) -> Machines:
        """Unpack a fitted ``sklearn.svm.SVC`` with an RBF kernel and a numeric gamma.

        Row j - 1 (or j, for a later class) of libsvm's coefficients of a class's support vectors
        belongs to its machine against class j. The machine of a pair speaks for its second class.
        """
        k = len(model.classes_)
        pairs = list(combinations(range(k), 2))
        of_class = np.split(np.arange(len(model.support_)), np.cumsum(model.n_support_)[:-1])
        # scikit-learn turns the sign round for two classes only, so that positive means class 1.
        sign = 1.0 if k == 2 else -1.0
        dual = np.zeros((len(pairs), len(model.support_)))
        for p, (i, j) in enumerate(pairs):
            dual[p, of_class[i]] = sign * model.dual_coef_[j - 1, of_class[i]]
            dual[p, of_class[j]] = sign * model.dual_coef_[i, of_class[j]]
        support = np.ascontiguousarray(model.support_vectors_)
        return cls(
            gamma=model.gamma,
            support=2 * model.gamma * support,
            shift=-model.gamma * np.square(support).sum(axis=1),
            dual=dual,
            b=sign * model.intercept_,
            sides=sides(k),
        )

    def decision(self, Z: Floats) -> Floats:
        """Return the pairs' decision values of encoded rows Z (n, width), float64 (n, p).

        A row's values are the same bits in any batch.
        """
        K = affine(Z, self.support, self.shift)
        return affine(self._kernel(K, Z), self.dual, self.b)

    def fast_decision(self, Z: Floats) -> Floats:
        """Return what ``decision`` does by BLAS, whose last bits depend on the batch."""
        K = Z @ self.support.T + self.shift
        fast: Floats = self._kernel(K, Z) @ self.dual.T + self.b
        return fast

    def votes(self, decision: Floats) -> Floats:
        """Count the votes of decision values (n, p) for every class; float64 (n, k)."""
        k = len(self.sides)
        return (affine(np.where(decision >= 0, 1.0, -1.0), self.sides, np.zeros(k)) + (k - 1)) / 2

    def winners(self, decision: Floats) -> Labels:
        """Return the classes with most votes, of equal votes the first; int64 (n,)."""
        if len(self.b) == 1:
            return (decision[:, 0] > 0).astype(np.int64)
        winners: Labels = self.votes(decision).argmax(axis=1)
        return winners

    def _kernel(self, K: Floats, Z: Floats) -> Floats:
        K -= self.gamma * np.square(Z).sum(axis=1, keepdims=True)
        kernel: Floats = np.exp(K, out=K)
        return kernel


def sides(k: int) -> Floats:
    """Return what the machine of each pair of k classes speaks for and against; see `Machines`."""
    pairs = list(combinations(range(k), 2))
    signs = np.zeros((k, len(pairs)))
    for p, (i, j) in enumerate(pairs):
        signs[i, p], signs[j, p] = -1.0, 1.0
    return signs
