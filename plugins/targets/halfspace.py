"""Halfspaces learned by scikit-learn: through the origin of R^d, or affine in a box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    Answer,
    Dataset,
    Domain,
    Feature,
    Split,
    Target,
    Victim,
    affine,
    hookimpl,
    one_against_rest,
    softmax,
    split,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HalfspaceVictim(Victim):
    """Label 1 where ``<w, z> + b > 0`` for the encoded row z.

    Attributes:
        w: float64 (1, width).
        b: float64 (1,).
    """

    w: Floats
    b: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d); the score is the decision value, float64 (n,)."""
        score = affine(self.domain.encode(X), self.w, self.b)[:, 0]
        return Answer(
            label=(score > 0).astype(np.int64),
            probabilities=softmax(score[:, None]) if "probabilities" in self.reveals else None,
            score=score if "score" in self.reveals else None,
        )


class Halfspace(Target):
    """A linear classifier of two classes, learned by logistic regression.

    Data of more than two classes becomes one class against the rest. In the ``sphere`` the features
    are standardised (categories by their codes), inputs are all of R^d and the halfspace passes
    through the origin; in the ``box`` numbers are scaled to [-1, 1], categories are one-hot.
    """

    name = "halfspace"
    reference = "Chandrasekaran et al., USENIX Security 2020, section 6.1"
    family: ClassVar[str] = "halfspace"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities", "score"})

    dataset: Dataset = Field(description="the data it is trained from")
    space: Literal["sphere", "box"] = Field(
        default="sphere", description="R^d without an intercept, or the data's box with one"
    )
    positive: str | None = Field(
        default=None,
        description="the class that is set against the rest; of more than two, the most frequent",
    )
    C: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="inverse strength of the L2 penalty"
    )

    def families(self) -> frozenset[str]:
        """Say that it goes through the origin, too, where it does."""
        homogeneous = {"homogeneous-halfspace"} if self.space == "sphere" else set()
        return frozenset({self.family, *homogeneous})

    def known_features(self) -> tuple[Feature, ...]:
        """Return those of the data, unbounded numbers in the sphere.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        features = self.dataset.load().features
        if self.space == "box":
            return features
        return Domain.euclidean([feature.name for feature in features]).features

    def check(self) -> None:
        """Load the data and look for the class ``positive``."""
        one_against_rest(self.dataset.load(), self.positive)

    def train(self, rng: Generator) -> HalfspaceVictim:
        """Fit on 70 % of the rows.

        Raises:
            ArenaError: the data has no class ``positive``.
        """
        from sklearn.linear_model import LogisticRegression

        rows = split(one_against_rest(self.dataset.load(), self.positive), rng)
        if self.space == "sphere":
            rows = _standardised(rows)
        model = LogisticRegression(C=self.C, fit_intercept=self.space == "box", max_iter=10_000)
        model.fit(rows.domain.encode(rows.X), rows.y)
        w, b = np.array(model.coef_), np.zeros(1) + model.intercept_
        return HalfspaceVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"C": self.C, "space": self.space},
            parameters={"coef": w[0], "intercept": b[0, ...]},
            w=w,
            b=b,
        )


def _standardised(rows: Split) -> Split:
    scale = _standardiser(rows.X)
    names = [feature.name for feature in rows.domain.features]
    natural = replace(rows.natural, X=scale(rows.natural.X))
    return replace(rows, domain=Domain.euclidean(names), X=scale(rows.X), natural=natural)


def _standardiser(X: Floats) -> Callable[[Floats], Floats]:
    """Scale to mean 0 and variance 1 over X (n, d); what is constant there becomes 0."""
    low, high = X.min(axis=0), X.max(axis=0)
    varies = low < high
    # By the range first: the squares of small numbers are 0.
    span = np.where(varies, high - low, 1.0)
    shares = (X - low) / span
    mean, deviation = shares.mean(axis=0), np.where(varies, shares.std(axis=0), 1.0)
    return lambda rows: np.where(varies, ((rows - low) / span - mean) / deviation, 0.0)


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the halfspace."""
    register(Halfspace)
