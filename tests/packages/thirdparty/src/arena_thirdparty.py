"""An attack from another distribution: one vote for every label that is answered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Attack, Oracle, Surrogate, hookimpl


class Coin(Attack):
    """Asks uniform inputs in batches; always guesses the label it has seen most."""

    name = "coin"
    reference = "no paper: the majority of what is answered"

    batch: int = Field(default=10, ge=1, description="rows asked at a time")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield the guess after every batch."""
        votes = np.zeros(len(oracle.knowledge.classes))
        while oracle.remaining:
            n = min(self.batch, oracle.remaining)
            label = oracle.ask(oracle.knowledge.domain.sample(n, rng)).label
            if label is not None:
                votes += np.bincount(label[label >= 0], minlength=len(votes))
            if oracle.checkpoint_due:
                yield Guess(int(votes.argmax()))


@dataclass(frozen=True)
class Guess:
    """One label for every row."""

    label: int

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        """Predict that label."""
        return np.full(len(X), self.label)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the coin."""
    register(Coin)
