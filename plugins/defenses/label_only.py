"""Hide everything but the label."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena import FIELDS, Answer, Defense, Session, Victim, hookimpl


class LabelOnly(Defense):
    """The server answers the predicted label and nothing else."""

    name = "label-only"
    reference = "Tramèr et al., USENIX Security 2016, section 6"
    hides: ClassVar[frozenset[str]] = frozenset(FIELDS) - {"label"}

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that keeps the label."""
        return _KeepLabel()


class _KeepLabel:
    def answer(self, X: NDArray[np.float64], answer: Answer) -> Answer:
        """Return the label alone."""
        return Answer(label=answer.label)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register the label-only server."""
    register(LabelOnly)
