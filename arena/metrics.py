"""How close a surrogate comes: fidelity on three kinds of inputs, R^2, accuracy, weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.api import Floats, Labels, Natural, Victim
from arena.domain import Domain
from arena.tables import Outcomes

JITTER = 0.1
"""Natural inputs: continuous and integer features move by this many standard deviations."""

RESAMPLED = 0.1
"""Natural inputs: the chance that a category is replaced by another row's."""

BALANCED_DRAWS = 250
"""Balanced inputs are drawn from at most this many times ``size`` uniform ones."""

Predict = Callable[[Floats], Labels]


@dataclass(frozen=True)
class Inputs:
    """Scoring inputs of one kind, in two disjoint halves.

    Attributes:
        X: float64 (n, d), raw rows.
        labels: int64 (n,), what counts as right; the values, float64 (n,), of a regression.
        halves: int64 (n,), 0 or 1.
        by_class: whether agreement is the mean of every class's.
    """

    X: Floats
    labels: Outcomes
    halves: NDArray[np.int64]
    by_class: bool = False

    def agreement(self, predicted: Outcomes) -> tuple[float, float]:
        """Return the share of predicted labels (n,) that are right, in each half."""
        group, sizes = self._groups
        right = np.bincount(group, weights=predicted == self.labels, minlength=len(sizes))
        first, second = (right / sizes).reshape(2, -1).mean(axis=1)
        return float(first), float(second)

    def r2(self, predicted: Outcomes) -> tuple[float, float]:
        """Return 1 - (sum of squared errors) / (that of the mean) of values (n,), in each half.

        Where the right values do not vary: 1 if all are met, else 0, as in scikit-learn. What
        overflows, to an infinity or to no number, is the least float.
        """
        first, second = (self._r2(predicted, self.halves == half) for half in (0, 1))
        return first, second

    def _r2(self, predicted: Outcomes, rows: NDArray[np.bool_]) -> float:
        right = self.labels[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            errors = np.square(right - predicted[rows]).sum()
        spread = np.square(right - right.mean()).sum()
        if not spread:
            return float(not errors)
        with np.errstate(over="ignore"):
            likeness = 1 - errors / spread
        return float(likeness if np.isfinite(likeness) else np.finfo(np.float64).min)

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What agreement is a mean over: every row's group (n,), and the groups' sizes."""
        if not self.by_class:
            return self.halves, np.bincount(self.halves)
        labels = self.labels.astype(np.int64)
        group = self.halves * (int(labels.max()) + 1) + labels
        return group, np.bincount(group)


def natural_inputs(victim: Victim, size: int, rng: Generator, usable: NDArray[np.bool_]) -> Inputs:
    """Smooth a bootstrap of natural rows (Rule 2): jittered numbers, resampled categories.

    Args:
        victim: labels them.
        size: how many.
        rng: the scoring role's.
        usable: bool (m,), which of the natural rows may be used: those outside the pool.
    """
    X = smoothed(victim.natural.X[usable], victim.domain, size, rng)
    return _halved(X, _outputs(victim, X))


def smoothed(rows: Floats, domain: Domain, size: int, rng: Generator) -> Floats:
    """Draw ``size`` rows from a smoothed bootstrap of raw rows (m, d); float64 (size, d)."""
    X = rows[rng.integers(len(rows), size=size)]
    noise = rng.standard_normal(X.shape) * (JITTER * _deviations(rows))
    others = rows[rng.integers(len(rows), size=X.shape), np.arange(rows.shape[1])]
    swap = rng.random(X.shape) < RESAMPLED
    moved: Floats = X + noise
    moved[:, domain.discrete] = np.rint(moved[:, domain.discrete])
    c = domain.categorical
    moved[:, c] = np.where(swap[:, c], others[:, c], X[:, c])
    return moved


def _deviations(X: Floats) -> Floats:
    """Return the standard deviations of the columns of X, float64 (d,), however small they are."""
    span = np.ptp(X, axis=0)
    scale = np.where(span > 0, span, 1.0)
    deviations: Floats = ((X - X.min(axis=0)) / scale).std(axis=0) * scale
    return deviations


def uniform_inputs(victim: Victim, size: int, rng: Generator) -> Inputs:
    """Draw uniform inputs from the domain."""
    X = victim.domain.sample(size, rng)
    return _halved(X, _outputs(victim, X))


def balanced_inputs(victim: Victim, size: int, rng: Generator) -> Inputs | None:
    """Draw uniform inputs until each class has its share; None if one is not met under the cap.

    Gives up as soon as a class is too rare to be met even at three standard deviations more than
    what was seen of it. None also for a regression, which has no classes.
    """
    k = len(victim.classes)
    if not k:
        return None
    share = max(1, size // (2 * k)) * 2
    kept: list[list[Floats]] = [[] for _ in range(k)]
    missing = np.full(k, share)
    for draws in range(1, BALANCED_DRAWS + 1):
        X = victim.domain.sample(size, rng)
        labels = _outputs(victim, X)
        for c in np.flatnonzero(missing):
            rows = X[labels == c][: missing[c]]
            kept[c].append(rows)
            missing[c] -= len(rows)
        if not missing.any():
            X = np.concatenate([row for rows in kept for row in rows])
            labels, halves = np.repeat(np.arange(k), share), np.tile([0, 1], len(X) // 2)
            # In no order: a surrogate that is scored must not tell a row's class by its place.
            order = rng.permutation(len(X))
            return Inputs(X[order], labels[order], halves[order], by_class=True)
        met = share - missing
        likely = (met + 3 * np.sqrt(met) + 3) / draws * BALANCED_DRAWS
        if (likely < share).any():
            return None
    return None


def held_out_inputs(natural: Natural) -> Inputs | None:
    """Take the real rows the target was not trained on, with their true classes or values."""
    X, y = natural.X[natural.held_out], natural.y[natural.held_out]
    return _halved(X, y) if len(X) >= 2 else None


def geometric_error(
    coef: Floats, intercept: float, true_coef: Floats, true_intercept: float, affine: bool
) -> float:
    """Return the distance of the unit normals ``||w* - w||_2`` of two halfspaces.

    An affine halfspace is compared with its intercept as one more weight.

    Args:
        coef: float64 (width,).
        intercept: of the surrogate.
        true_coef: float64 (width,).
        true_intercept: of the target.
        affine: whether the intercept counts.
    """
    w, v = _unit(coef, intercept, affine), _unit(true_coef, true_intercept, affine)
    return 2.0 if w is None or v is None else float(np.linalg.norm(w - v))


def parameter_error(
    coef: Floats, intercept: float, true_coef: Floats, true_intercept: float
) -> float:
    """Return ``||a* - a||_1`` over weights and intercept; what overflows is the largest float."""
    with np.errstate(over="ignore"):
        error = np.abs(coef - true_coef).sum() + abs(intercept - true_intercept)
    return float(min(error, np.finfo(np.float64).max))


def labels_fault(labels: Any, n: int, classes: int) -> str:
    """Say what is wrong with a surrogate's prediction of n rows; empty if nothing is.

    Without classes it is to be the values of a regression.
    """
    array = np.asarray(labels)
    if array.shape != (n,):
        return f"its predict gives shape {array.shape} for {n} rows; give ({n},)"
    if array.dtype.kind not in "iubf":
        return f"its predict gives {array.dtype}; give {'whole ' if classes else ''}numbers"
    if not classes:
        return "" if np.isfinite(array).all() else "its predict gives a value that is not finite"
    outside = array[~((array >= 0) & (array < classes))]
    if outside.size:
        return f"its predict gives {outside[0]}; the classes are 0..{classes - 1}"
    return "" if (np.rint(array) == array).all() else "its predict gives fractions; give labels"


def _unit(coef: Floats, intercept: float, affine: bool) -> Floats | None:
    """Return the normal of a halfspace, scaled to length 1; None where it is 0 or infinite."""
    w = np.append(coef, intercept) if affine else coef
    largest = np.abs(w).max()
    if not largest or not np.isfinite(largest):
        return None
    # Scaled first, so that no square overflows or vanishes.
    w = w / largest
    unit: Floats = w / np.linalg.norm(w)
    return unit


def _outputs(victim: Victim, X: Floats) -> Outcomes:
    output = victim.answer(np.ascontiguousarray(X)).field(victim.output)
    if output is None:
        raise ValueError(f"the victim's answer holds no {victim.output}")
    return output


def _halved(X: Floats, labels: Outcomes) -> Inputs:
    return Inputs(X, labels, np.arange(len(X)) % 2)
