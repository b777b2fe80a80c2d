"""The guess of one class, or of one value: what a surrogate must beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from arena import Attack, LinearSurrogate, Oracle, Surrogate, hookimpl, recipes


class Constant(Attack):
    """Asks nothing; guesses the most frequent class of the public rows, or their mean value.

    A goal that it reaches says nothing about extraction: on some domains one class fills 99.9 %.
    """

    name: ClassVar[str] = "constant"
    reference: ClassVar[str] = "baseline of this arena"
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset(),)
    baseline: ClassVar[bool] = True

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield the one guess.

        Raises:
            ValueError: the oracle tells no public rows.
        """
        domain, y = oracle.knowledge.domain, oracle.knowledge.public_y
        if y is None:
            raise ValueError("constant is a baseline: its oracle must tell the public rows")
        if not oracle.knowledge.classes:
            nothing, mean = np.zeros((1, domain.width)), np.array([y.mean()])
            yield LinearSurrogate(domain, nothing, mean, regression=True)
            return
        yield recipes.Constant(int(np.bincount(y).argmax()))


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the constant guess."""
    register(Constant)
