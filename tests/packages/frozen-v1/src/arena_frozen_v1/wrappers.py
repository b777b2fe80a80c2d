"""Wrappers of version 1: an attack around attacks, a defence around a defence."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    Answer,
    Attack,
    AttackRef,
    Defense,
    DefenseRef,
    Oracle,
    Plugin,
    Session,
    Surrogate,
    Victim,
    hookimpl,
)

PLUGIN_API = 1

Floats = NDArray[np.float64]


class Halves(Attack):
    """Asks every row in two batches, as the attack inside asks it."""

    name = "frozen-halves"
    reference = "no paper: what version 1 lets a wrapper do"

    attack: AttackRef = Field(description="the attack inside")
    others: tuple[AttackRef, ...] = Field(default=(), description="attacks that come after it")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield what the attacks inside do, one after the other."""
        inside: list[Plugin] = [*self.parts()][1:]
        if not {self.attack, *self.others} <= set(inside):
            raise RuntimeError("version 1 of the plugin API is broken: parts")
        for attack in (self.attack, *self.others):
            yield from attack.extract(Halved(oracle), rng)


class Halved(Oracle):
    """An oracle that asks another one in two batches."""

    def __init__(self, oracle: Oracle) -> None:
        self.knowledge = replace(oracle.knowledge, pool=oracle.knowledge.pool)
        self._oracle = oracle

    def ask(self, X: Floats) -> Answer:
        """Ask raw rows X (n, d)."""
        half = len(X) // 2
        if not half or len(X) > self.remaining:
            return self._oracle.ask(X)
        first, second = self._oracle.ask(X[:half]), self._oracle.ask(X[half:])
        both = second.arrays()
        return Answer(**{n: np.concatenate([a, both[n]]) for n, a in first.arrays().items()})

    @property
    def spent(self) -> int:
        """Rows asked so far."""
        return self._oracle.spent

    @property
    def remaining(self) -> int:
        """Rows left."""
        return self._oracle.remaining

    @property
    def checkpoint_due(self) -> bool:
        """Whether the other one wants a surrogate."""
        return self._oracle.checkpoint_due


class Around(Defense):
    """Lets the defence inside answer; its traits and flip rate are those of what is inside."""

    name = "frozen-around"
    reference = "no paper: what version 1 lets a wrapper do"

    defense: DefenseRef = Field(description="the defence inside")

    def flip_rate(self) -> float | None:
        """Return that of the defence inside."""
        return self.defense.flip_rate()

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session of the defence inside."""
        mine, theirs = self.traits, self.defense.traits
        if (mine.hides, mine.alters, mine.stateful) != (
            theirs.hides,
            theirs.alters,
            theirs.stateful,
        ):
            raise RuntimeError("version 1 of the plugin API is broken: traits")
        return self.defense.protect(victim, rng)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the attack."""
    register(Halves)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register the defence."""
    register(Around)
