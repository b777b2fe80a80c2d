"""Defences of version 1: one that flips labels, one that remembers and refuses, one on scores."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import ANY, FIELDS, REFUSED, Answer, Defense, Session, Victim, affine, hookimpl

PLUGIN_API = 1

Floats = NDArray[np.float64]


class Flip(Defense):
    """Flips a label with a chance; only labels leave it."""

    name = "frozen-flip"
    reference = "no paper: what version 1 lets a defence do with labels"
    hides = frozenset(FIELDS) - {"label"}
    alters = frozenset({"label"})
    families = ANY - {"linear-regression"}

    rate: float = Field(default=0.05, ge=0, lt=0.5, description="the chance", examples=[0.1])

    def flip_rate(self) -> float | None:
        """Return the chance."""
        return self.rate

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that draws from ``rng``."""
        return Flipping(self.rate, len(victim.classes), rng)


@dataclass(frozen=True)
class Flipping:
    """Turns labels into the next one of k classes."""

    rate: float
    classes: int
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the labels, some of them turned; a refused row stays refused."""
        if answer.label is None:
            raise ValueError("frozen-flip needs a label; put it before what hides the label")
        turned = self.rng.random(len(X)) < self.rate
        label = np.where(turned, (answer.label + 1) % self.classes, answer.label)
        return Answer(label=np.where(answer.label == REFUSED, REFUSED, label))


class Once(Defense):
    """Answers a row once, and refuses it whenever it comes again."""

    name = "frozen-once"
    reference = "no paper: what version 1 lets a defence remember"
    alters = frozenset(FIELDS) - {"value"}
    families = frozenset({"halfspace", "softmax", "tree"})
    stateful = True

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that has seen nothing."""
        return Remembering()


@dataclass
class Remembering:
    """What was asked, as bytes."""

    seen: set[bytes] = field(default_factory=set)

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Refuse the rows that were seen before, in every field."""
        again = np.zeros(len(X), dtype=bool)
        for i, row in enumerate(X):
            again[i] = row.tobytes() in self.seen
            self.seen.add(row.tobytes())
        return answer.copy().refused(again)


class Shift(Defense):
    """Answers a halfspace by its score and a normal number; probabilities are hidden."""

    name = "frozen-shift"
    reference = "no paper: what version 1 lets a defence do with scores"
    hides = frozenset({"probabilities", "leaf", "value"})
    alters = frozenset({"label", "score"})
    families = frozenset({"halfspace"})

    scale: float = Field(default=0.1, gt=0, allow_inf_nan=False, description="its deviation")

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that draws from ``rng``."""
        return Shifting(victim, self.scale, rng)


@dataclass(frozen=True)
class Shifting:
    """Noise of a scale on the scores of a victim."""

    victim: Victim
    scale: float
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer by the shifted score."""
        w, b = self.victim.parameters["coef"], self.victim.parameters["intercept"]
        own = affine(self.victim.domain.encode(X), w.reshape(1, -1), b.reshape(1))[:, 0]
        return answer.rescored(own, own + self.scale * self.rng.standard_normal(len(X)))


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register three defences."""
    for defense in (Flip, Once, Shift):
        register(defense)
