"""Averaging: the mean of labelled random queries, against answers by a fresh random model each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, log, pi
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import REFUSED, Attack, LinearSurrogate, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]

_PART = 64
"""A batch is this part of what is spent, so that none leaps past a checkpoint by more than 2 %."""

_LARGEST = 1 << 14
"""Rows of a batch at most, so that memory stays small."""

_ALIKE = 64
"""So many equal answers to random queries come from no halfspace, but by a chance of 2^-64."""


class Averaging(Attack):
    """Averaging: the mean v of y x over random unit vectors x points along the mean model.

    Asks m = ((15 pi)^2 / epsilon^2) d max(1, d s^2) log(2 d / delta) / cut queries, where s bounds
    the standard deviation of the random model in any direction. A |v| of less than 1 / (12 d s)
    says that the bound is wrong: s is doubled, and the mean goes on over the larger m. (The paper
    retries with a lower s, which would raise what |v| must reach and fail again.) Proposes the
    mean so far while it asks. Targets are halfspaces through the origin; under an anisotropic
    covariance v is biased. Refused queries are left out.
    """

    name: ClassVar[str] = "averaging"
    reference: ClassVar[str] = (
        "Chandrasekaran et al., USENIX Security 2020, section 6.1, Algorithm 1"
    )
    families: ClassVar[frozenset[str]] = frozenset({"homogeneous-halfspace"})

    epsilon: float = Field(
        default=0.1, gt=0, lt=1, description="the geometric error that is aimed at"
    )
    delta: float = Field(
        default=0.1, gt=0, lt=1, description="the chance that is taken of missing epsilon"
    )
    s: float = Field(
        default=1.0,
        gt=0,
        le=1e6,
        description="the bound on the standard deviation of the random model to begin with",
    )
    cut: float = Field(
        default=100.0,
        ge=1,
        allow_inf_nan=False,
        description="what the number of queries is divided by; the paper tried 100 to 1000",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint.

        Raises:
            ValueError: the target is not a halfspace through the origin, or reveals no labels.
        """
        domain = oracle.knowledge.domain
        if domain.geometry != "sphere":
            raise ValueError("averaging learns halfspaces through the origin of R^d only")
        mean = _Mean(domain.d)
        s = self.s
        while True:
            ending = mean.count >= self._m(domain.d, s)
            if ending and np.linalg.norm(mean.v) < 1 / (12 * domain.d * s):
                s *= 2
                continue
            if ending or oracle.checkpoint_due:
                yield LinearSurrogate(domain, *mean.halfspace())
            if ending or not oracle.remaining:
                return
            wanted = min(self._m(domain.d, s) - mean.count, 1 + oracle.spent // _PART, _LARGEST)
            mean.add(oracle, domain.sample(min(wanted, oracle.remaining), rng))

    def _m(self, d: int, s: float) -> int:
        m = (15 * pi / self.epsilon) ** 2 * d * max(1.0, d * s * s) * log(2 * d / self.delta)
        return ceil(m / self.cut)


class _Mean:
    """The mean v, float64 (d,), of y x over the queries that were answered, and their number."""

    def __init__(self, d: int) -> None:
        self.v = np.zeros(d)
        self.count = 0
        self._tally = 0

    def add(self, oracle: Oracle, X: Floats) -> None:
        labels = oracle.ask(X).label
        if labels is None:
            raise ValueError("averaging learns from labels, and the oracle reveals none")
        answered = labels != REFUSED
        y = np.where(labels[answered] == 1, 1, -1)
        self.count += len(y)
        self._tally += int(y.sum())
        self.v += (y @ X[answered] - len(y) * self.v) / max(self.count, 1)

    def halfspace(self) -> tuple[Floats, Floats]:
        """Return weights (1, d) and intercept (1,); a constant where all answers are alike."""
        if abs(self._tally) == self.count >= _ALIKE:
            return np.zeros((1, len(self.v))), np.array([float(np.sign(self._tally))])
        length = np.linalg.norm(self.v)
        return (self.v / length if length else self.v)[None].copy(), np.zeros(1)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register averaging."""
    register(Averaging)
