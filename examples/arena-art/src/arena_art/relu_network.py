"""A network of one hidden layer that can tell its logits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Dataset, Target, Victim, affine, hookimpl, softmax, split

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReluVictim(Victim):
    """One hidden layer of rectified linear units over encoded rows, then logits.

    Attributes:
        W0: float64 (h, width).
        b0: float64 (h,).
        W1: float64 (k, h), or (1, h) for two classes.
        b1: float64 (k,) or (1,).
    """

    W0: Floats
    b0: Floats
    W1: Floats
    b1: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d)."""
        hidden = np.maximum(affine(self.domain.encode(X), self.W0, self.b0), 0.0)
        z = affine(hidden, self.W1, self.b1)
        binary = z.shape[1] == 1
        return Answer(
            label=(z[:, 0] > 0).astype(np.int64) if binary else z.argmax(axis=1),
            probabilities=softmax(z) if "probabilities" in self.reveals else None,
            score=(z[:, 0] if binary else z) if "score" in self.reveals else None,
        )


class ReluNetworkTarget(Target):
    """A network of one hidden layer of rectified linear units, which can reveal its logits."""

    name: ClassVar[str] = "art-relu-network"
    reference: ClassVar[str] = "Jagielski et al., USENIX Security 2020, a network of two layers"
    family: ClassVar[str] = "network"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities", "score"})

    dataset: Dataset = Field(description="the data it is trained from")
    hidden: int = Field(default=4, ge=1, le=10_000, description="units of the hidden layer")
    alpha: float = Field(
        default=1e-4, ge=0, allow_inf_nan=False, description="strength of the L2 penalty"
    )

    def train(self, rng: Generator) -> ReluVictim:
        """Fit on 70 % of the rows, by at most 500 iterations of L-BFGS."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        rows = split(self.dataset.load(), rng)
        model = MLPClassifier(
            (self.hidden,),
            solver="lbfgs",
            alpha=self.alpha,
            max_iter=500,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():
            # Stopping early is part of the recipe: a network need not converge to be a target.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows.domain.encode(rows.X), rows.y)
        W0, W1 = (np.ascontiguousarray(W.T) for W in model.coefs_)
        return ReluVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"hidden": [self.hidden], "alpha": self.alpha},
            W0=W0,
            b0=model.intercepts_[0],
            W1=W1,
            b1=model.intercepts_[1],
        )


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the network."""
    register(ReluNetworkTarget)
