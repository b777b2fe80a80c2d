"""Round what is numeric in an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Defense, Session, Victim, hookimpl

Floats = NDArray[np.float64]


class Rounding(Defense):
    """Probabilities and scores are rounded to a few decimal digits.

    Rounded probabilities are not made to sum to 1 again. The label is the model's, not that of the
    rounded probabilities.
    """

    name = "rounding"
    reference = "Tramèr et al., USENIX Security 2016, section 7"
    alters: ClassVar[frozenset[str]] = frozenset({"probabilities", "score"})

    digits: int = Field(default=2, ge=0, le=10, description="decimal digits that are kept")

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that rounds."""
        return _Rounded(self.digits)


@dataclass(frozen=True)
class _Rounded:
    digits: int

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer with its probabilities and score rounded half to even."""
        return Answer(
            label=answer.label,
            probabilities=self._round(answer.probabilities),
            score=self._round(answer.score),
            leaf=answer.leaf,
            value=answer.value,
        )

    def _round(self, array: Floats | None) -> Floats | None:
        return None if array is None else array.round(self.digits)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register rounding."""
    register(Rounding)
