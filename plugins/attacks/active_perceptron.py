"""The modified perceptron: reflections at queries inside a shrinking band."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, pi, sqrt
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import REFUSED, Attack, LinearSurrogate, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]

_ALIKE = 64
"""So many equal answers in a row from the first come from no halfspace, or hardly ever."""


class ActivePerceptron(Attack):
    """Active perceptron: reflects w at every mistake among queries inside a shrinking band.

    A phase supposes an angle of at most theta between w and w*, asks x with b/2 <= <w, x> <= b, and
    halves theta; where the answer is negative, w becomes w - 2 <w, x> x. The paper's constants are
    made for proofs (a phase of some 10^12 d queries): here b = ``band`` (1 - 2 eta) theta / sqrt(d)
    and a phase asks ``length`` d / (1 - 2 eta)^2 queries. The paper waits for x to fall into the
    band; here it is synthesised there, <w, x> uniform. Targets are halfspaces through the origin.
    Refused queries are left out.
    """

    name: ClassVar[str] = "active-perceptron"
    reference: ClassVar[str] = "Yan, Zhang, NeurIPS 2017, Algorithms 1 and 2"
    families: ClassVar[frozenset[str]] = frozenset({"homogeneous-halfspace"})

    eta: float = Field(
        default=0.0, ge=0, lt=0.5, description="the most with which any label is flipped"
    )
    epsilon: float = Field(default=1e-4, gt=0, lt=1, description="the angle to end at")
    length: float = Field(
        default=6.0,
        gt=0,
        allow_inf_nan=False,
        description="queries of a phase, in parts of d / (1 - 2 eta)^2",
    )
    band: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="the band's upper end, in parts of (1 - 2 eta) theta / sqrt(d)",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint.

        Raises:
            ValueError: the target is not a halfspace through the origin, or reveals no labels.
        """
        domain = oracle.knowledge.domain
        if domain.geometry != "sphere":
            raise ValueError("active-perceptron learns halfspaces through the origin of R^d only")
        d = domain.d
        w = domain.sample(1, rng)[0]
        answers: list[int] = []
        phase = ceil(self.length * d / (1 - 2 * self.eta) ** 2)
        theta = pi / 2
        while True:
            ending = theta <= self.epsilon or (d == 1 and bool(answers))
            if ending or oracle.checkpoint_due:
                yield LinearSurrogate(domain, w[None].copy(), np.zeros(1))
            if ending or not oracle.remaining:
                return
            b = min(1.0, self.band * (1 - 2 * self.eta) * theta / sqrt(d))
            x = _inside(w, rng.uniform(b / 2, b), rng) if answers else w
            y = _sign(oracle, x)
            if not y:
                continue
            answers.append(y)
            if abs(sum(answers[:_ALIKE])) == len(answers) == _ALIKE:
                yield LinearSurrogate(domain, np.zeros((1, d)), np.array([float(y)]))
                return
            if y < 0:
                # The first answer is to w itself: a reflection there turns it round.
                w = w - 2 * (w @ x) * x
                w /= np.linalg.norm(w)
            if len(answers) % phase == 0:
                theta /= 2


def _inside(w: Floats, c: float, rng: Generator) -> Floats:
    """Draw a unit x (d,) with ``<w, x> = c``."""
    across = rng.standard_normal(len(w))
    across -= (across @ w) * w
    x: Floats = c * w + sqrt(1 - c * c) / np.linalg.norm(across) * across
    return x


def _sign(oracle: Oracle, x: Floats) -> int:
    """Ask x (d,); return +1 for class 1, 0 where refused, else -1."""
    labels = oracle.ask(x[None]).label
    if labels is None:
        raise ValueError("active-perceptron learns from labels, and the oracle reveals none")
    return 0 if labels[0] == REFUSED else 1 if labels[0] == 1 else -1


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the modified perceptron."""
    register(ActivePerceptron)
