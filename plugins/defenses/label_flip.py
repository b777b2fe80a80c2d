"""Flip labels at a constant rate, independently of the query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import REFUSED, Answer, Defense, Session, Victim, hookimpl

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class LabelFlip(Defense):
    """Every label is wrong with one and the same chance, by a fresh coin for every row.

    A wrong label is uniform among the other classes. The other fields follow it, so that none of
    them betrays the flip: where class a becomes b, their probabilities and scores change places.
    """

    name = "label-flip"
    reference = "Chandrasekaran et al., USENIX Security 2020, section 5.1"
    hides: ClassVar[frozenset[str]] = frozenset({"leaf", "value"})
    alters: ClassVar[frozenset[str]] = frozenset({"label", "probabilities", "score"})

    rate: float = Field(
        ge=0, lt=0.5, examples=[0.1], description="the chance that a label is wrong"
    )

    def flip_rate(self) -> float:
        """Return the rate."""
        return self.rate

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that draws its coins from ``rng``, one a row."""
        return _Flipped(self.rate, len(victim.classes), rng)


@dataclass(frozen=True)
class _Flipped:
    rate: float
    k: int
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer with some rows flipped; refused rows stay refused.

        Raises:
            ValueError: the answer has no label to flip.
        """
        if answer.label is None:
            raise ValueError("label-flip needs a label; put it before what hides the label")
        u = self.rng.random(len(X))
        rows = ((u < self.rate) & (answer.label != REFUSED)).nonzero()[0]
        if not rows.size:
            return Answer(answer.label, answer.probabilities, answer.score)
        a = answer.label[rows]
        b = self._other(a, u[rows])
        label = answer.label.copy()
        label[rows] = b
        return Answer(
            label, _swapped(answer.probabilities, rows, a, b), _swapped(answer.score, rows, a, b)
        )

    def _other(self, a: Labels, u: Floats) -> Labels:
        """Draw one of the k - 1 other classes from coins u that are uniform below the rate."""
        steps = np.minimum((u / self.rate * (self.k - 1)).astype(np.int64), self.k - 2)
        return (a + 1 + steps) % self.k


def _swapped(array: Floats | None, rows: Labels, a: Labels, b: Labels) -> Floats | None:
    """Swap columns a and b in ``rows`` of (n, k); negate those of (n,), a score of two classes."""
    if array is None:
        return None
    array = array.copy()
    if array.ndim == 1:
        array[rows] *= -1
    else:
        array[rows, a], array[rows, b] = array[rows, b], array[rows, a]
    return array


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register label flipping."""
    register(LabelFlip)
