"""Noise on the decision value of a halfspace, before its sign is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import FIELDS, Answer, Defense, Domain, Session, Victim, affine, hookimpl

Floats = NDArray[np.float64]


class ScoreNoise(Defense):
    """The label is sign(<w, x> + eta) with a fresh uniform eta for every row.

    The weights are as the model has them and x as it is asked (and encoded), so a query that is
    scaled up drowns the noise. A revealed score is the noisy one.
    """

    name = "score-noise"
    reference = "Chandrasekaran et al., USENIX Security 2020, Example 6 (c)"
    hides: ClassVar[frozenset[str]] = frozenset(FIELDS) - {"label", "score"}
    alters: ClassVar[frozenset[str]] = frozenset({"label", "score"})
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    amplitude: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="eta lies in [-amplitude, amplitude]"
    )

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that draws eta from ``rng``, one a row.

        The decision value is taken from the victim's parameters: its answers hold one only where
        clients are to see it.

        Raises:
            ValueError: the victim is no halfspace with ``coef`` and ``intercept``.
        """
        if not {"coef", "intercept"} <= victim.parameters.keys():
            raise ValueError("score-noise needs a victim with the parameters coef and intercept")
        coef, intercept = victim.parameters["coef"], victim.parameters["intercept"]
        return _Noisy(victim.domain, coef.reshape(1, -1), intercept.reshape(1), self.amplitude, rng)


@dataclass(frozen=True)
class _Noisy:
    domain: Domain
    w: Floats
    b: Floats
    amplitude: float
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer by the noisy decision values of raw rows X (n, d)."""
        score = affine(self.domain.encode(X), self.w, self.b)[:, 0]
        eta = self.rng.uniform(-self.amplitude, self.amplitude, size=len(X))
        return answer.rescored(score, score + eta)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register noise on scores."""
    register(ScoreNoise)
