"""Logistic regression: multinomial for more than two classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Dataset, Domain, Feature, Target, Victim, affine, hookimpl, softmax, split

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class LogisticVictim(Victim):
    """The softmax of k affine scores of the encoded row; for two classes the logistic of one.

    Attributes:
        W: float64 (k, width), (1, width) for two classes.
        b: float64 (k,), (1,) for two classes.
    """

    W: Floats
    b: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d); the score is float64 (n, k), (n,) for two classes."""
        z = affine(self.domain.encode(X), self.W, self.b)
        binary = len(self.b) == 1
        return Answer(
            label=(z[:, 0] > 0).astype(np.int64) if binary else z.argmax(axis=1),
            probabilities=softmax(z) if "probabilities" in self.reveals else None,
            score=(z[:, 0] if binary else z) if "score" in self.reveals else None,
        )


class Logistic(Target):
    """Logistic regression over scaled numbers and one-hot categories."""

    name = "logistic"
    reference = "Tramèr et al., USENIX Security 2016, section 4.1"
    family: ClassVar[str] = "softmax"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities", "score"})

    dataset: Dataset = Field(description="the data it is trained from")
    C: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="inverse strength of the L2 penalty"
    )
    bins: int | None = Field(
        default=None, ge=2, description="quantile bins of every numeric feature; null: none"
    )

    def families(self) -> frozenset[str]:
        """Return softmax, and halfspace where the data has two classes.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        binary = len(self.dataset.load().classes) == 2
        return frozenset({self.family, "halfspace"} if binary else {self.family})

    def known_features(self) -> tuple[Feature, ...]:
        """Return those of the data, binned as all of its rows would have them.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        table = self.dataset.load()
        return Domain.from_rows(table.features, table.X, self.bins).features

    def train(self, rng: Generator) -> LogisticVictim:
        """Fit on 70 % of the rows."""
        from sklearn.linear_model import LogisticRegression

        rows = split(self.dataset.load(), rng, self.bins)
        model = LogisticRegression(C=self.C, max_iter=10_000)
        model.fit(rows.domain.encode(rows.X), rows.y)
        W, b = np.ascontiguousarray(model.coef_), np.array(model.intercept_)
        row = (0, ...) if len(b) == 1 else (...,)
        return LogisticVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"C": self.C},
            parameters={"coef": W[row], "intercept": b[row]},
            W=W,
            b=b,
        )


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register logistic regression."""
    register(Logistic)
