"""Support vector machines with a Gaussian kernel."""

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
    Dataset,
    Domain,
    Feature,
    Target,
    Victim,
    affine,
    hookimpl,
    pairwise_svm,
    split,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SvmVictim(Victim):
    """A support vector classifier, decided one class against one.

    Attributes:
        machines: its arrays.
    """

    machines: pairwise_svm.Machines

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d); the score is float64 (n, k), (n,) for two classes."""
        decision = self.machines.decision(np.ascontiguousarray(self.domain.encode(X)))
        label = self.machines.winners(decision)
        if "score" not in self.reveals:
            return Answer(label=label)
        two = decision.shape[1] == 1
        return Answer(
            label=label, score=decision[:, 0] if two else _scores(self.machines, decision, label)
        )


class SvmRbf(Target):
    """A support vector machine with a Gaussian (RBF) kernel.

    More than two classes are decided one against one, by votes; of equal votes the first class has
    it, as in libsvm. The score is scikit-learn's, votes and confidence (below 1/3), but where the
    confidence is for another class of equal votes the two change places: the label's score is
    always the largest.
    """

    name = "svm-rbf"
    reference = "Tramèr et al., USENIX Security 2016, section 6.2"
    family: ClassVar[str] = "kernel-svm"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "score"})

    dataset: Dataset = Field(description="the data it is trained from")
    gamma: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="exp(-gamma ||x - s||^2); null: 1 / the number of encoded columns",
    )
    C: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="price of a margin violation"
    )
    bins: int | None = Field(
        default=None, ge=2, description="quantile bins of every numeric feature; null: none"
    )

    def known_features(self) -> tuple[Feature, ...]:
        """Return those of the data, binned as all of its rows would have them.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        table = self.dataset.load()
        return Domain.from_rows(table.features, table.X, self.bins).features

    def train(self, rng: Generator) -> SvmVictim:
        """Fit on 70 % of the rows."""
        from sklearn.svm import SVC

        rows = split(self.dataset.load(), rng, self.bins)
        gamma = 1 / rows.domain.width if self.gamma is None else self.gamma
        # Without a random_state it draws from numpy's global generator, for nothing.
        model = SVC(kernel="rbf", gamma=gamma, C=self.C, cache_size=500, random_state=0)
        model.fit(rows.domain.encode(rows.X), rows.y)
        return SvmVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"kernel": "rbf", "gamma": gamma, "C": self.C},
            machines=pairwise_svm.Machines.of(model),
        )


def _scores(machines: pairwise_svm.Machines, decision: Floats, label: NDArray[np.int64]) -> Floats:
    """Add confidence to the votes, so that the label (n,) has the largest score."""
    confidence = affine(decision, machines.sides, np.zeros(len(machines.sides)))
    score: Floats = machines.votes(decision) + confidence / (3 * (np.abs(confidence) + 1))
    best = score.argmax(axis=1)
    rows = (best != label).nonzero()[0]
    first, best = label[rows], best[rows]
    score[rows, first], score[rows, best] = score[rows, best], score[rows, first]
    return score


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the support vector machine."""
    register(SvmRbf)
