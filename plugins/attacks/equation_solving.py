"""Equation solving: as many independent queries as unknowns, where answers are real numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    REFUSED,
    Attack,
    Domain,
    Knowledge,
    LinearSurrogate,
    Oracle,
    Surrogate,
    hookimpl,
    recipes,
)

Floats = NDArray[np.float64]

_PART = 64
"""A later batch is this part of what is spent, so that none leaps past a checkpoint by over 2 %."""

_CANDIDATES = 8
"""Independent rows are chosen among this many times as many as there can be."""

_DEPENDENT = 1e-8
"""A row whose part orthogonal to the rows before it is this small adds no equation."""


class EquationSolving(Attack):
    """Equation solving: d + 1 independent queries, and the linear system of their answers.

    Values and scores are linear in the encoded row as they are, probabilities after a logarithm:
    log p_1 / p_0 for two classes, log p_c against the mean of the logarithms for more. One-hot
    columns depend on each other, so that fewer than width + 1 rows may do; the solution of least
    norm then agrees on every row that can be asked. One more query checks the solution. Where it
    does not hold, as where answers were rounded, the attack asks on at random and fits all answers:
    values and scores by least squares, probabilities by the least log loss, which takes those
    rounded to 0 or 1 for what they are worth.
    """

    name: ClassVar[str] = "equation-solving"
    reference: ClassVar[str] = "Tramèr et al., USENIX Security 2016, section 4.1"
    needs: ClassVar[tuple[frozenset[str], ...]] = (
        frozenset({"value"}),
        frozenset({"score"}),
        frozenset({"probabilities"}),
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace", "softmax", "linear-regression"})

    tolerance: float = Field(
        default=1e-6,
        gt=0,
        lt=1,
        description="the error of the check, in parts of the largest answer, at which it holds",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint.

        Raises:
            ValueError: the oracle reveals no values, scores or probabilities.
        """
        queries, fits = rng.spawn(2)
        domain, system = oracle.knowledge.domain, _System(oracle.knowledge)
        if oracle.checkpoint_due:
            yield system.solution()
        X = _independent_rows(domain, queries)
        unknowns, checked = len(X), False
        while oracle.remaining:
            system.ask(oracle, X[: oracle.remaining])
            if system.answered > unknowns and not checked:
                checked = True
                if system.error() <= self.tolerance:
                    yield system.solution()
                    return
            if oracle.checkpoint_due:
                yield system.fit(fits) if checked else system.solution()
            X = _varied_rows(domain, 1 + oracle.spent // _PART if checked else 1, queries)


class _System:
    """The linear equations that answers make."""

    def __init__(self, knowledge: Knowledge) -> None:
        usable = [name for name in ("value", "score", "probabilities") if name in knowledge.fields]
        if not usable:
            raise ValueError(
                "equation-solving needs values, scores or probabilities; the oracle reveals none"
            )
        self._knowledge = knowledge
        self._field = usable[0]
        self._X = np.empty((0, knowledge.domain.d))
        self._answers: list[Floats] = []

    @property
    def answered(self) -> int:
        """The number of rows that were not refused."""
        return len(self._X)

    def ask(self, oracle: Oracle, X: Floats) -> None:
        """Ask raw rows X (n, d), and keep what was not refused."""
        answer = oracle.ask(X)
        numbers = answer.field(self._field)
        if numbers is None:
            raise ValueError(f"the oracle was to reveal {self._field}, and does not")
        kept = ~np.isnan(numbers.reshape(len(X), -1)).any(axis=1)
        if answer.label is not None:
            kept &= answer.label != REFUSED
        self._X = np.concatenate([self._X, X[kept]])
        self._answers.append(numbers[kept])

    def solution(self) -> LinearSurrogate:
        """Solve by least squares, and for the least norm where that leaves a choice."""
        A, Y = self._equations()
        finite = np.isfinite(Y).all(axis=1)
        W = np.asarray(np.linalg.lstsq(A[finite], Y[finite], rcond=_DEPENDENT)[0].T)
        domain = self._knowledge.domain
        intercept = np.zeros(len(W)) if domain.geometry == "sphere" else W[:, -1].copy()
        coef, regression = W[:, : domain.width].copy(), not self._knowledge.classes
        return LinearSurrogate(domain, coef, intercept, regression)

    def error(self) -> float:
        """Return the largest error of the solution, in parts of the largest number."""
        A, Y = self._equations()
        if not np.isfinite(Y).all():
            return np.inf
        W = np.linalg.lstsq(A, Y, rcond=_DEPENDENT)[0]
        return float(np.abs(A @ W - Y).max() / (np.abs(Y).max() or 1.0))

    def fit(self, rng: Generator) -> Surrogate:
        """Fit answers that no solution agrees with."""
        if self._field != "probabilities":
            return self.solution()
        X, y, weights = recipes.soft(self._X, np.concatenate(self._answers))
        return recipes.fit(self._knowledge, X, y, rng, weights)

    def _equations(self) -> tuple[Floats, Floats]:
        """Return A (n, p) and Y (n, 1), or (n, k) for more than two classes, such that A W = Y."""
        k = len(self._knowledge.classes)
        empty = np.empty((0, k if k > 2 else 1))
        return _with_one(self._knowledge.domain, self._X), np.concatenate(
            [empty, *(_linear(self._field, numbers) for numbers in self._answers)]
        )


def _linear(field: str, numbers: Floats) -> Floats:
    """Make answers (n,) or (n, k) linear in the row: (n, 1), or (n, k) for over two classes."""
    if numbers.ndim == 1:
        return numbers[:, None]
    if field == "probabilities":
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = np.log(numbers)
            numbers = numbers - numbers.mean(axis=1, keepdims=True)
    return numbers[:, 1:] - numbers[:, :1] if numbers.shape[1] == 2 else numbers


def _with_one(domain: Domain, X: Floats) -> Floats:
    """Encode rows X (n, d), with a column of ones where models have an intercept."""
    Z = domain.encode(X)
    return Z if domain.geometry == "sphere" else np.column_stack([Z, np.ones(len(Z))])


def _independent_rows(domain: Domain, rng: Generator) -> Floats:
    """Choose as many raw rows as can be independent once encoded, far from dependent."""
    from scipy.linalg import qr  # slow to import, and rarely needed

    X = _varied_rows(domain, _CANDIDATES * (domain.width + 1), rng)
    R, order = qr(_with_one(domain, X).T, mode="r", pivoting=True)
    size = np.abs(np.diag(R))
    rows: Floats = X[order[: int((size > _DEPENDENT * size[0]).sum())]]
    return rows


def _varied_rows(domain: Domain, n: int, rng: Generator) -> Floats:
    """Draw n realisable raw rows, uniform but for binned features: all their bins are as likely."""
    X = domain.sample(n, rng)
    for j, feature in enumerate(domain.features):
        if feature.edges:
            ends = np.array([feature.low, *feature.edges, feature.high])
            chosen = rng.integers(feature.width, size=n)
            X[:, j] = ends[chosen] + rng.random(n) * (ends[chosen + 1] - ends[chosen])
    return domain.project(X)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register equation solving."""
    register(EquationSolving)
