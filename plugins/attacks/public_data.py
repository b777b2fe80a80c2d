"""A refit on public data: what can be had without a single query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from numpy.random import Generator

from arena import Attack, Oracle, Surrogate, hookimpl, recipes


class PublicData(Attack):
    """Asks nothing; trains by the target's recipe on another random 70 % of the public rows.

    A goal that it reaches is no achievement of an attack.
    """

    name: ClassVar[str] = "public-data"
    reference: ClassVar[str] = "baseline of this arena"
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset(),)
    baseline: ClassVar[bool] = True

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield the one refit.

        Raises:
            ValueError: the oracle tells no public rows.
        """
        knowledge = oracle.knowledge
        if knowledge.public_X is None or knowledge.public_y is None:
            raise ValueError("public-data is a baseline: its oracle must tell the public rows")
        yield recipes.refit(knowledge, knowledge.public_X, knowledge.public_y, rng)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the refit on public data."""
    register(PublicData)
