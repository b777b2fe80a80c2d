"""What ART's postprocessors share as defences: a session that puts probabilities through one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena import ANY, REFUSED, Answer, Defense, Session, Victim
from arena_art import toolbox

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class PostprocessorDefense(Defense):
    """Probabilities pass a postprocessor of ART; scores, leaves and values do not leave.

    Where a class says that it alters labels, the label is the likeliest class of what leaves (the
    model's among equals), so that the two cannot contradict each other. Otherwise the postprocessor
    leaves the likeliest class among the likeliest, and the label is the model's. Refused rows, and
    answers without probabilities, pass as they are.
    """

    hides: ClassVar[frozenset[str]] = frozenset({"score", "leaf", "value"})
    families: ClassVar[frozenset[str]] = ANY - {"linear-regression"}

    def postprocessor(self) -> Any:
        """Make ART's postprocessor."""
        raise NotImplementedError

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session whose postprocessor draws from ``rng`` alone."""
        toolbox.load()
        return _Postprocessed(self.postprocessor(), "label" in self.alters, rng)


@dataclass(frozen=True, eq=False)
class _Postprocessed:
    postprocess: Callable[[Floats], Floats]
    relabels: bool
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer with its probabilities, and perhaps its labels, postprocessed."""
        label, P = answer.label, answer.probabilities
        if P is None:
            return Answer(label)
        answered = np.isfinite(P).all(axis=1)
        if label is not None:
            answered &= label != REFUSED
        out = P.copy()
        with toolbox.drawing_from(self.rng), np.errstate(divide="ignore", invalid="ignore"):
            # Row by row: some look at the whole batch, and a client's answer would then depend on
            # how the queries are batched.
            for i in np.flatnonzero(answered):
                out[i] = self.postprocess(P[i : i + 1])[0]
        # Where nothing is left, ART divides 0 by 0.
        out[answered] = np.nan_to_num(out[answered], nan=0.0)
        if label is not None and self.relabels:
            label = np.where(answered, _likeliest(out, label), label)
        return Answer(label, out)


def _likeliest(P: Floats, label: Labels) -> Labels:
    """Return the class of the largest of every row of P (n, k), ``label`` where it is one."""
    largest = P.max(axis=1, keepdims=True) == P
    kept = largest[np.arange(len(P)), label]
    return np.where(kept, label, largest.argmax(axis=1))
