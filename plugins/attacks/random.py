"""Passive learning: independent uniform queries, empirical risk minimisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena import REFUSED, Answer, Attack, Oracle, Surrogate, hookimpl, recipes

Examples = tuple[NDArray[np.float64], NDArray[np.int64 | np.float64], NDArray[np.float64]]

PART = 64
"""A batch is this part of what is spent, so that none leaps past a checkpoint by more than 2 %."""


class Random(Attack):
    """Passive learning: asks uniform inputs, fits the target's family to the answers.

    Where probabilities are revealed it learns from them: each row enters once a class, weighted;
    from the values of a regression by least squares.
    """

    name: ClassVar[str] = "random"
    reference: ClassVar[str] = "Chandrasekaran et al., USENIX Security 2020, Remark 3"
    needs: ClassVar[tuple[frozenset[str], ...]] = (
        frozenset({"label"}),
        frozenset({"probabilities"}),
        frozenset({"value"}),
    )
    baseline: ClassVar[bool] = True

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint."""
        # Fits draw from a stream of their own: checkpoints do not change what is asked.
        queries, fits = rng.spawn(2)
        knowledge = oracle.knowledge
        soft = "probabilities" in knowledge.fields
        answered: list[Examples] = []
        while True:
            if oracle.checkpoint_due:
                X, y, weights = _joined(answered, knowledge.domain.d)
                yield recipes.fit(knowledge, X, y, fits, weights if soft else None)
            if not oracle.remaining:
                return
            n = min(1 + oracle.spent // PART, oracle.remaining)
            X = knowledge.domain.sample(n, queries)
            answered.append(_examples(X, oracle.ask(X)))


def _examples(X: NDArray[np.float64], answer: Answer) -> Examples:
    """Return rows, labels (or values) and weights to learn from; refused rows are left out."""
    if answer.value is not None:
        kept = np.isfinite(answer.value)
        return X[kept], answer.value[kept], np.ones(kept.sum())
    if answer.label is not None:
        kept = answer.label != REFUSED
        X, answer = X[kept], answer.rows(kept)
    if answer.probabilities is not None:
        return recipes.soft(X, answer.probabilities)
    if answer.label is None:
        raise ValueError("random learns from labels, probabilities or values; it is told none")
    return X, answer.label, np.ones(len(X))


def _joined(parts: list[Examples], d: int) -> Examples:
    empty = np.empty((0, d)), np.empty(0, dtype=np.int64), np.empty(0)
    X, y, weights = zip(empty, *parts, strict=True)
    return np.concatenate(X), np.concatenate(y), np.concatenate(weights)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register passive learning."""
    register(Random)
