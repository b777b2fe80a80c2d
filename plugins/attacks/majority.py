"""Repeated queries: ask every row several times, keep the modal answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import REFUSED, Answer, Attack, AttackRef, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Majority(Attack):
    """Repeated queries: the attack inside gets the modal answer of several.

    Beats every defence that flips a label with probability rho < 1/2 afresh, at a price of
    8/(1 - 2 rho)^2 ln(q/delta) queries for each of the q that the attack inside asks.
    """

    name: ClassVar[str] = "majority"
    reference: ClassVar[str] = "Chandrasekaran et al., USENIX Security 2020, Proposition 1"

    attack: AttackRef = Field(description="the attack that gets the modal answers")
    repeats: int = Field(ge=1, examples=[3], description="how often every row is asked")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield what the attack inside yields."""
        yield from self.attack.extract(Repeated(oracle, self.repeats), rng)


class Repeated(Oracle):
    """An oracle that asks another one each row ``repeats`` times, and counts that as one query.

    What remains is rounded down; the queries left over are never asked.
    """

    def __init__(self, oracle: Oracle, repeats: int) -> None:
        self.knowledge = oracle.knowledge
        self._oracle = oracle
        self._repeats = repeats

    def ask(self, X: Floats) -> Answer:
        """Ask raw rows X (n, d) in one batch of ``repeats`` n; raises what the other one does."""
        answer = self._oracle.ask(np.repeat(X, self._repeats, axis=0))
        return merged(answer, self._repeats, len(X))

    @property
    def spent(self) -> int:
        """Rows asked so far."""
        return self._oracle.spent // self._repeats

    @property
    def remaining(self) -> int:
        """Rows left."""
        return self._oracle.remaining // self._repeats

    @property
    def checkpoint_due(self) -> bool:
        """Whether the other one wants a surrogate, or no row is left."""
        return self._oracle.checkpoint_due or not self.remaining


def merged(answer: Answer, repeats: int, rows: int) -> Answer:
    """Make an answer to ``rows`` queries of one whose every ``repeats`` rows ask the same.

    Labels and leaves: the modal one, the smallest of equals; probabilities, scores and values: the
    mean. Refused repeats do not count, unless all are.
    """
    counted = np.ones((rows, repeats), dtype=bool)
    if answer.label is not None:
        counted = (answer.label != REFUSED).reshape(rows, repeats)
    return Answer(
        label=_modal(answer.label, counted),
        probabilities=_mean(answer.probabilities, counted),
        score=_mean(answer.score, counted),
        leaf=_modal(answer.leaf, counted),
        value=_mean(answer.value, counted),
    )


def _modal(votes: Integers | None, counted: NDArray[np.bool_]) -> Integers | None:
    """Return the most frequent of the votes (n * repeats,) on every row, int64 (n,)."""
    if votes is None or not votes.size:
        return votes
    values, codes = np.unique(votes, return_inverse=True)
    counts = np.zeros((len(counted), len(values)), dtype=np.int64)
    np.add.at(counts, (np.arange(len(counted))[:, None], codes.reshape(counted.shape)), counted)
    # Where nothing counts the first value wins: REFUSED, the smallest there is.
    modal: Integers = values[counts.argmax(axis=1)]
    return modal


def _mean(array: Floats | None, counted: NDArray[np.bool_]) -> Floats | None:
    """Average an array (n * repeats, ...) over the repeats that count; 0 where none does."""
    if array is None:
        return None
    repeated = array.reshape(*counted.shape, *array.shape[1:])
    mask = counted.reshape(*counted.shape, *[1] * (array.ndim - 1))
    mean: Floats = np.where(mask, repeated, 0.0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    return mean


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register repeated queries."""
    register(Majority)
