"""Linear regression: continuous answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    Answer,
    Feature,
    RegressionDataset,
    Target,
    Victim,
    affine,
    hookimpl,
    recipes,
    split,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegressionVictim(Victim):
    """The value ``<a, z> + b`` of the encoded row z.

    Attributes:
        a: float64 (1, width).
        b: float64 (1,).
    """

    a: Floats
    b: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d) with their values, and no label."""
        return Answer(value=affine(self.domain.encode(X), self.a, self.b)[:, 0])


class LinearRegression(Target):
    """A linear model of a number, over scaled numbers and one-hot categories."""

    name = "linear-regression"
    reference = "Chandrasekaran et al., USENIX Security 2020, Example 2 and appendix A.2"
    family: ClassVar[str] = "linear-regression"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"value"})

    reveals: tuple[str, ...] = Field(
        default=("value",), description="the answer fields that clients see"
    )
    dataset: RegressionDataset = Field(description="the data it is trained from")
    alpha: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="strength of the L2 penalty"
    )

    def known_features(self) -> tuple[Feature, ...]:
        """Return those of the data.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        return self.dataset.load().features

    def train(self, rng: Generator) -> RegressionVictim:
        """Fit least squares on 70 % of the rows; of several best weights the shortest."""
        rows = split(self.dataset.load(), rng)
        a, b = recipes.ridge(rows.domain.encode(rows.X), rows.y, self.alpha)
        return RegressionVictim(
            domain=rows.domain,
            classes=(),
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"alpha": self.alpha},
            parameters={"coef": a, "intercept": np.array(b)},
            a=a[None],
            b=np.array([b]),
        )


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register linear regression."""
    register(LinearRegression)
