"""Noise on the value that a regression predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import FIELDS, Answer, Defense, Session, Victim, hookimpl

Floats = NDArray[np.float64]

Law = Literal["gaussian", "uniform"]


class ValueNoise(Defense):
    """Fresh noise of standard deviation ``sigma`` is added to every predicted value."""

    name = "value-noise"
    reference = "Chandrasekaran et al., USENIX Security 2020, appendix A.2"
    hides: ClassVar[frozenset[str]] = frozenset(FIELDS) - {"value"}
    alters: ClassVar[frozenset[str]] = frozenset({"value"})
    families: ClassVar[frozenset[str]] = frozenset({"linear-regression"})

    sigma: float = Field(
        gt=0,
        allow_inf_nan=False,
        examples=[0.1],
        description="standard deviation, in units of the value",
    )
    law: Law = Field(default="gaussian", description="the distribution of the noise")

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that draws its noise from ``rng``, one number a row."""
        return _Noisy(self.sigma, self.law, rng)


@dataclass(frozen=True)
class _Noisy:
    sigma: float
    law: Law
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the value alone, with noise.

        Raises:
            ValueError: the answer has no value.
        """
        if answer.value is None:
            raise ValueError("value-noise needs a value; put it before what hides the value")
        if self.law == "gaussian":
            noise = self.rng.standard_normal(len(X))
        else:
            noise = self.rng.uniform(-np.sqrt(3), np.sqrt(3), size=len(X))
        return Answer(value=answer.value + self.sigma * noise)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register noise on values."""
    register(ValueNoise)
