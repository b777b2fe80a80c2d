"""Extended adaptive training: a kernel SVM that asks one label at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    ANY,
    REFUSED,
    Attack,
    Domain,
    Knowledge,
    Oracle,
    Surrogate,
    hookimpl,
    kernel_svm,
    recipes,
)


class ExtendedAdaptiveTraining(Attack):
    """Extended adaptive training: r uniform queries, then one a round, nearest to the boundary.

    Round t draws k uniform inputs, asks the one of least |decision value| under the model M_(t-1)
    of all labels so far, and retrains.
    """

    name: ClassVar[str] = "eat"
    reference: ClassVar[str] = (
        "Chandrasekaran et al., USENIX Security 2020, section 4.1; Bordes et al., JMLR 2005"
    )
    families: ClassVar[frozenset[str]] = ANY - {"linear-regression"}

    start: int = Field(default=10, ge=1, description="uniform queries before the first round, r")
    candidates: int = Field(default=200, ge=1, description="uniform inputs drawn a round, k")
    gamma: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="kernel coefficient; by default the target's where granted, else 1/width",
    )
    C: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="cost of a label on the wrong side; by default the target's where granted, "
        "else 1; 1e5 makes the margin nearly hard",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint."""
        domain, k = oracle.knowledge.domain, self.candidates
        model = kernel_svm.KernelSVC(*self._hyperparameters(oracle.knowledge))
        if oracle.checkpoint_due:
            yield _surrogate(domain, model)
        r = min(self.start, oracle.remaining)
        if not r:
            return
        _learn(model, oracle, domain.sample(r, rng))
        if oracle.checkpoint_due:
            yield _surrogate(domain, model)
        while oracle.remaining:
            X = domain.sample(k, rng)
            nearest = model.margin(domain.encode(X)).argmin()
            _learn(model, oracle, X[nearest : nearest + 1])
            if oracle.checkpoint_due:
                yield _surrogate(domain, model)

    def _hyperparameters(self, knowledge: Knowledge) -> tuple[float, float]:
        """Return gamma and C."""
        granted = knowledge.hyperparameters or {} if knowledge.family == "kernel-svm" else {}
        gamma = self.gamma or granted.get("gamma") or 1 / knowledge.domain.width
        return gamma, self.C or granted.get("C", 1.0)


def _learn(model: kernel_svm.KernelSVC, oracle: Oracle, X: NDArray[np.float64]) -> None:
    """Ask raw rows X (n, d), and retrain on all answers that were not refused."""
    labels = oracle.ask(X).label
    if labels is None:
        raise ValueError("eat learns from labels, and the oracle reveals none")
    kept = labels != REFUSED
    if kept.any():
        model.add(oracle.knowledge.domain.encode(X[kept]), labels[kept])


def _surrogate(domain: Domain, model: kernel_svm.KernelSVC) -> Surrogate:
    if not model.classes:
        return recipes.Constant(0)
    return kernel_svm.KernelSurrogate(domain, model.snapshot())


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register extended adaptive training."""
    register(ExtendedAdaptiveTraining)
