"""Support vector machines with a Gaussian kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Dataset, Target, Victim, affine, hookimpl, split

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SvmVictim(Victim):
    """One machine for each pair of classes (one-vs-one) over shared support vectors.

    Attributes:
        gamma: the kernel of encoded rows is ``exp(-gamma ||z - s||^2)``.
        support: float64 (m, width), ``2 gamma s`` for every support vector s.
        shift: float64 (m,), ``-gamma ||s||^2``.
        dual: float64 (p, m), the signed multipliers of each of the p pairs of classes.
        b: float64 (p,), the intercepts.
        sides: float64 (k, p), what a machine's positive value speaks for (1) and against (-1).
    """

    gamma: float
    support: Floats
    shift: Floats
    dual: Floats
    b: Floats
    sides: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d); the score is float64 (n, k), (n,) for two classes."""
        Z = np.ascontiguousarray(self.domain.encode(X))
        K = affine(Z, self.support, self.shift)
        K -= self.gamma * np.square(Z).sum(axis=1, keepdims=True)
        np.exp(K, out=K)
        decision = affine(K, self.dual, self.b)
        scored = "score" in self.reveals
        if len(self.b) == 1:
            score = decision[:, 0]
            return Answer(label=(score > 0).astype(np.int64), score=score if scored else None)
        votes = _votes(decision, self.sides)
        label = votes.argmax(axis=1)
        return Answer(
            label=label, score=_scores(decision, self.sides, votes, label) if scored else None
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

    def train(self, rng: Generator) -> SvmVictim:
        """Fit on 70 % of the rows."""
        from sklearn.svm import SVC

        rows = split(self.dataset.load(), rng, self.bins)
        gamma = 1 / rows.domain.width if self.gamma is None else self.gamma
        model = SVC(kernel="rbf", gamma=gamma, C=self.C, cache_size=500)
        model.fit(rows.domain.encode(rows.X), rows.y)
        dual, b, sides = _machines(model)
        support = np.ascontiguousarray(model.support_vectors_)
        return SvmVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"kernel": "rbf", "gamma": gamma, "C": self.C},
            gamma=gamma,
            support=2 * gamma * support,
            shift=-gamma * np.square(support).sum(axis=1),
            dual=dual,
            b=b,
            sides=sides,
        )


def _machines(model: Any) -> tuple[Floats, Floats, Floats]:
    """Unpack a fitted SVC into dual (p, m), intercepts (p,) and sides (k, p).

    Row j - 1 (or j, for a later class) of libsvm's coefficients of a class's support vectors
    belongs to its machine against class j. The machine of a pair speaks for its second class.
    """
    k = len(model.classes_)
    pairs = list(combinations(range(k), 2))
    of_class = np.split(np.arange(len(model.support_)), np.cumsum(model.n_support_)[:-1])
    # scikit-learn turns the sign round for two classes only, so that positive means class 1.
    sign = 1.0 if k == 2 else -1.0
    dual, sides = np.zeros((len(pairs), len(model.support_))), np.zeros((k, len(pairs)))
    for p, (i, j) in enumerate(pairs):
        dual[p, of_class[i]] = sign * model.dual_coef_[j - 1, of_class[i]]
        dual[p, of_class[j]] = sign * model.dual_coef_[i, of_class[j]]
        sides[i, p], sides[j, p] = -1.0, 1.0
    return dual, sign * model.intercept_, sides


def _votes(decision: Floats, sides: Floats) -> Floats:
    """Count the votes of the pairs' machines, decision (n, p), for every class; float64 (n, k)."""
    k = len(sides)
    return (affine(np.where(decision >= 0, 1.0, -1.0), sides, np.zeros(k)) + (k - 1)) / 2


def _scores(decision: Floats, sides: Floats, votes: Floats, label: NDArray[np.int64]) -> Floats:
    """Add confidence to votes (n, k), so that the label (n,) has the largest score."""
    confidence = affine(decision, sides, np.zeros(len(sides)))
    score: Floats = votes + confidence / (3 * (np.abs(confidence) + 1))
    best = score.argmax(axis=1)
    rows = (best != label).nonzero()[0]
    first, best = label[rows], best[rows]
    score[rows, first], score[rows, best] = score[rows, best], score[rows, first]
    return score


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the support vector machine."""
    register(SvmRbf)
