"""No defence at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena import Answer, Defense, Session, Victim, hookimpl


class NoDefense(Defense):
    """Answers leave the server as the model gives them."""

    name = "none"
    reference = "baseline of this arena"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that passes answers on."""
        return _PassOn()


class _PassOn:
    def answer(self, X: NDArray[np.float64], answer: Answer) -> Answer:
        """Return the answer itself."""
        return answer


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register the absence of a defence."""
    register(NoDefense)
