"""Multi-layer perceptrons."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Dataset, Feature, Target, Victim, affine, hookimpl, softmax, split

Floats = NDArray[np.float64]
Units = Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, kw_only=True, eq=False)
class MlpVictim(Victim):
    """Layers of rectified linear units over encoded rows, then a softmax.

    Attributes:
        W: for every layer, float64 (units out, units in); one unit out of the last for two classes.
        b: for every layer, float64 (units out,).
    """

    W: tuple[Floats, ...]
    b: tuple[Floats, ...]

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d)."""
        z = affine(self.domain.encode(X), self.W[0], self.b[0])
        for W, b in zip(self.W[1:], self.b[1:], strict=True):
            np.maximum(z, 0.0, out=z)
            z = affine(z, W, b)
        return Answer(
            label=(z[:, 0] > 0).astype(np.int64) if z.shape[1] == 1 else z.argmax(axis=1),
            probabilities=softmax(z) if "probabilities" in self.reveals else None,
        )


class Mlp(Target):
    """A multi-layer perceptron over scaled numbers and one-hot categories."""

    name = "mlp"
    reference = "Tramèr et al., USENIX Security 2016, section 4.1"
    family: ClassVar[str] = "network"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities"})

    dataset: Dataset = Field(description="the data it is trained from")
    hidden: tuple[Units, ...] = Field(
        default=(16,), min_length=1, description="the number of units of every hidden layer"
    )
    alpha: float = Field(
        default=1e-4, ge=0, allow_inf_nan=False, description="strength of the L2 penalty"
    )

    def known_features(self) -> tuple[Feature, ...]:
        """Return those of the data.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        return self.dataset.load().features

    def train(self, rng: Generator) -> MlpVictim:
        """Fit on 70 % of the rows, by at most 500 iterations of L-BFGS."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        rows = split(self.dataset.load(), rng)
        model = MLPClassifier(
            self.hidden,
            solver="lbfgs",
            alpha=self.alpha,
            max_iter=500,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():
            # Stopping early is part of the recipe: a network need not converge to be a target.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows.domain.encode(rows.X), rows.y)
        return MlpVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"hidden": list(self.hidden), "alpha": self.alpha},
            W=tuple(np.ascontiguousarray(W.T) for W in model.coefs_),
            b=tuple(model.intercepts_),
        )


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the multi-layer perceptron."""
    register(Mlp)
