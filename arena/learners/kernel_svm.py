"""Incremental kernel SVM: one label more, one exact refit, from the previous solution.

The surrogate learner of query-by-query extraction such as adaptive retraining and EAT (Tramer et
al., "Stealing machine learning models via prediction APIs", USENIX Security 2016; Chandrasekaran et
al., "Exploring connections between active learning and model extraction", USENIX Security 2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arena.domain import Domain
from arena.learners.arrays import Arrays, ArraySurrogate, Kernel, Trees
from arena.learners.dual_active_set import DualActiveSet, enlarge
from arena.learners.pairwise_svm import Machines, sides

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scalar = TypeVar("Scalar", np.float64, np.int64)


class RBFKernelMatrix:
    """Rows and their kernel matrix ``exp(-gamma ||x - z||^2)``, in buffers that double.

    Attributes:
        gamma: Kernel coefficient.
        size: Number n of rows.
        values: (N, N) float64 buffer, N >= n; the leading (n, n) block is the kernel matrix.
    """

    def __init__(self, gamma: float) -> None:
        """Start without rows."""
        self.gamma = gamma
        self.size = 0
        self.values: Floats = np.zeros((0, 0))
        self._rows: Floats = np.zeros((0, 0))

    @property
    def rows(self) -> Floats:
        """(n, d) float64 view of the rows."""
        return self._rows[: self.size]

    def append(self, X: Floats) -> None:
        """Append the rows X (k, d) and their kernels with all rows."""
        old, new = self.size, self.size + len(X)
        if new > len(self.values):
            capacity = max(64, new, 2 * old)
            self.values = enlarge(self.values, (capacity, capacity))
            self._rows = enlarge(self._rows.reshape(-1, X.shape[1]), (capacity, X.shape[1]))
        self._rows[old:new] = X
        self.size = new
        block = rbf_kernel(X, self.rows, self.gamma)
        self.values[old:new, :new] = block
        self.values[:new, old:new] = block.T
        # Batches of another size round otherwise; the matrix must stay symmetric to the last bit.
        self.values[old:new, old:new] = 0.5 * (block[:, old:] + block[:, old:].T)
        np.fill_diagonal(self.values[old:new, old:new], 1.0)


def rbf_kernel(X: Floats, Z: Floats, gamma: float) -> Floats:
    """Return the kernel ``exp(-gamma ||x - z||^2)`` of X (n, d) and Z (m, d), float64 (n, m)."""
    exponent: Floats = X @ Z.T
    exponent *= 2.0
    exponent -= np.einsum("ij,ij->i", X, X)[:, None]
    exponent -= np.einsum("ij,ij->i", Z, Z)
    np.minimum(exponent, 0.0, out=exponent)
    exponent *= gamma
    return np.exp(exponent, out=exponent)


@dataclass(frozen=True, eq=False)
class KernelExpansion:
    """A fitted kernel SVM as plain arrays: what is needed to predict, and nothing more.

    Attributes:
        support_vectors: (s, d) float64.
        coefficients: (k, s) float64, signed dual coefficients y_i alpha_i of k machines: none for
            fewer than two classes, one for two, otherwise one per class against the rest.
        intercepts: (k,) float64.
        gamma: Kernel coefficient.
        classes: (c,) int64, ascending.
    """

    support_vectors: Floats
    coefficients: Floats
    intercepts: Floats
    gamma: float
    classes: Ints

    def decision(self, Z: ArrayLike) -> Floats:
        """Return decision values of the rows Z (m, d).

        Returns:
            float64: (m,) for two classes, positive for the larger label; (m, k) one-vs-rest values
            in the order of ``classes`` for k > 2; (m,) zeros for fewer than two classes.

        Raises:
            ValueError: If Z is not (m, d).
        """
        rows = _as_rows(Z, self.support_vectors.shape[1] if len(self.classes) else None)
        if len(self.classes) < 2:
            return np.zeros(len(rows))
        kernel = rbf_kernel(rows, self.support_vectors, self.gamma)
        if len(self.classes) == 2:
            values: Floats = kernel @ self.coefficients[0] + self.intercepts[0]
        else:
            values = kernel @ self.coefficients.T + self.intercepts
        return values

    def margin(self, Z: ArrayLike) -> Floats:
        """Return how far the rows Z (m, d) are from the decision boundary, in decision values.

        Returns:
            (m,) float64 >= 0: |f| for two classes, the difference between the two largest
            one-vs-rest values for more, zeros for fewer.

        Raises:
            ValueError: If Z is not (m, d).
        """
        values = self.decision(Z)
        if values.ndim == 1:
            return np.abs(values)
        top: Floats = np.partition(values, -2, axis=1)[:, -2:]
        return top[:, 1] - top[:, 0]

    def predict(self, Z: ArrayLike) -> Ints:
        """Return the labels (m,) int64 of the rows Z (m, d).

        Raises:
            ValueError: If Z is not (m, d), or no class is known.
        """
        if not len(self.classes):
            raise ValueError("no class is known before the first labelled row")
        values = self.decision(Z)
        picked = values.argmax(axis=1) if values.ndim == 2 else (values > 0.0).astype(np.int64)
        labels: Ints = self.classes[picked]
        return labels


@dataclass(frozen=True)
class KernelSurrogate(ArraySurrogate):
    """A kernel SVM over encoded rows.

    Attributes:
        domain: encodes the raw rows.
        expansion: the decision function.
    """

    domain: Domain
    expansion: KernelExpansion

    def predict(self, X: Floats) -> Ints:
        """Predict the labels of raw rows X (n, d)."""
        return self.expansion.predict(self.domain.encode(X))

    def arrays(self, domain: Domain) -> Arrays | None:
        """Return what predicts the same over a domain; None where it is another one."""
        if domain != self.domain:
            return None
        found = self.expansion
        if len(found.classes) < 2:
            return Trees.constant(int(found.classes[0]))
        pair = len(found.classes) == 2
        machines = Machines(
            gamma=found.gamma,
            support=2 * found.gamma * found.support_vectors,
            shift=-found.gamma * np.square(found.support_vectors).sum(axis=1),
            dual=found.coefficients,
            b=found.intercepts,
            sides=sides(2 if pair else 0),
        )
        return Kernel(machines, found.classes, against_rest=not pair)


class KernelSVM:
    """Binary soft-margin SVM (C-SVC) with an RBF kernel, re-solved exactly after each addition.

    Rows should be scaled: distances come from inner products and lose digits far from the origin.
    Memory is 8 N^2 bytes for the kernel matrix of N < 2n rows, and up to twice that in the solver.
    """

    def __init__(self, gamma: float, C: float, *, tol: float = 1e-5) -> None:
        """Start without rows.

        Args:
            gamma: Kernel coefficient, > 0.
            C: Upper bound of alpha, > 0; 1e5 makes a nearly hard margin.
            tol: Largest violation of the KKT conditions, in decision values; libsvm's is 1e-3.

        Raises:
            ValueError: If a parameter is not positive and finite.
        """
        _check_positive(gamma=gamma, C=C, tol=tol)
        self._kernel = RBFKernelMatrix(gamma)
        self._solver = DualActiveSet(C, tol)

    @property
    def converged(self) -> bool:
        """Whether the last refit met the tolerance; see `DualActiveSet`."""
        return self._solver.converged

    @property
    def coef(self) -> Floats:
        """(n,) float64 copy of the signed dual coefficients y_i alpha_i, in order of addition."""
        return self._solver.coef.copy()

    @property
    def intercept(self) -> float:
        """Bias of the decision function."""
        return self._solver.intercept

    def add(self, X: ArrayLike, y: ArrayLike) -> None:
        """Append the rows X (k, d) with labels y (k,), -1 or +1, and refit.

        Raises:
            ValueError: If a shape does not fit, a value is not finite or a label is not -1 or +1.
        """
        rows, labels = _as_labelled_rows(X, y, self._kernel)
        if (np.abs(labels) != 1).any():
            raise ValueError("labels must be -1 or +1")
        if len(rows):
            self._kernel.append(rows)
            self._solver.extend(self._kernel.values, labels.astype(np.float64))

    def decision(self, Z: ArrayLike) -> Floats:
        """Return the decision values (m,) of the rows Z (m, d); the class's sign if there is one.

        Raises:
            ValueError: If Z is not (m, d).
        """
        rows = _as_rows(Z, self._kernel.rows.shape[1] if self._kernel.size else None)
        support = np.flatnonzero(self._solver.coef)
        if not len(support):
            return np.full(len(rows), self._solver.intercept)
        kernel = rbf_kernel(rows, self._kernel.rows[support], self._kernel.gamma)
        values: Floats = kernel @ self._solver.coef[support] + self._solver.intercept
        return values


class KernelSVC:
    """Incremental SVM classifier: one `KernelSVM` for two classes, one-vs-rest for more.

    All machines share one kernel matrix. Labels may appear late: the machines are then solved anew.
    """

    def __init__(self, gamma: float, C: float, *, tol: float = 1e-5) -> None:
        """Start without rows; parameters and errors as in `KernelSVM`."""
        _check_positive(gamma=gamma, C=C, tol=tol)
        self._C = C
        self._tol = tol
        self._kernel = RBFKernelMatrix(gamma)
        self._labels: Ints = np.zeros(0, dtype=np.int64)
        self._classes: Ints = np.zeros(0, dtype=np.int64)
        self._solvers: list[DualActiveSet] = []
        self._expansion: KernelExpansion | None = None

    @property
    def classes(self) -> tuple[int, ...]:
        """The labels seen so far, ascending."""
        return tuple(int(label) for label in self._classes)

    @property
    def converged(self) -> bool:
        """Whether the last refit of every machine met the tolerance; see `DualActiveSet`."""
        return all(solver.converged for solver in self._solvers)

    def add(self, X: ArrayLike, labels: ArrayLike) -> None:
        """Append the rows X (k, d) with labels (k,), non-negative integers, and refit.

        Raises:
            ValueError: If a shape does not fit, a value is not finite or a label is not a
                non-negative integer.
        """
        rows, added = _as_labelled_rows(X, labels, self._kernel)
        if (added < 0).any():
            raise ValueError("labels must be non-negative integers")
        if not len(rows):
            return
        self._kernel.append(rows)
        self._labels = np.concatenate([self._labels, added])
        self._expansion = None
        classes = np.union1d(self._classes, added)
        if len(classes) > len(self._classes):
            self._classes = classes
            machines = 0 if len(classes) < 2 else 1 if len(classes) == 2 else len(classes)
            self._solvers = [DualActiveSet(self._C, self._tol) for _ in range(machines)]
        for solver, positive in zip(self._solvers, self._positives(), strict=True):
            y = np.where(self._labels[solver.size :] == positive, 1.0, -1.0)
            solver.extend(self._kernel.values, y)

    def snapshot(self) -> KernelExpansion:
        """Return the present model, which later additions do not change."""
        if self._expansion is None:
            coefficients = np.zeros((len(self._solvers), self._kernel.size))
            for solver, row in zip(self._solvers, coefficients, strict=True):
                row[:] = solver.coef
            support = np.flatnonzero(coefficients.any(axis=0))
            self._expansion = KernelExpansion(
                support_vectors=_frozen(self._kernel.rows[support]),
                coefficients=_frozen(coefficients[:, support]),
                intercepts=_frozen(np.array([solver.intercept for solver in self._solvers])),
                gamma=self._kernel.gamma,
                classes=_frozen(self._classes),
            )
        return self._expansion

    def decision(self, Z: ArrayLike) -> Floats:
        """Return decision values of the rows Z; see `KernelExpansion.decision`."""
        return self.snapshot().decision(Z)

    def margin(self, Z: ArrayLike) -> Floats:
        """Return how far the rows Z are from the boundary; see `KernelExpansion.margin`."""
        return self.snapshot().margin(Z)

    def predict(self, Z: ArrayLike) -> Ints:
        """Return the labels of the rows Z; see `KernelExpansion.predict`."""
        return self.snapshot().predict(Z)

    def _positives(self) -> Iterable[int]:
        return self.classes[1:] if len(self._solvers) == 1 else self.classes[: len(self._solvers)]


def _frozen(array: NDArray[Scalar]) -> NDArray[Scalar]:
    array.flags.writeable = False
    return array


def _check_positive(**parameters: float) -> None:
    for name, value in parameters.items():
        if not (0.0 < value < np.inf):
            raise ValueError(f"{name} must be positive and finite, not {value!r}")


def _as_rows(X: ArrayLike, d: int | None) -> Floats:
    rows: Floats = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or d not in (None, rows.shape[1]):
        raise ValueError(f"rows must have shape (n, {'d' if d is None else d}), not {rows.shape}")
    return rows


def _as_labelled_rows(X: ArrayLike, y: ArrayLike, kernel: RBFKernelMatrix) -> tuple[Floats, Ints]:
    rows = _as_rows(X, kernel.rows.shape[1] if kernel.size else None)
    labels = np.asarray(y)
    if labels.shape != (len(rows),):
        raise ValueError(f"labels must have shape ({len(rows)},), not {labels.shape}")
    integers: Ints = labels.astype(np.int64)
    if not np.isfinite(rows).all() or (integers != labels).any():
        raise ValueError("rows must be finite and labels integers")
    return rows, integers
