"""Halfspaces of random normals, noisy servers before them, and matches against both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena import (
    REFUSED,
    Answer,
    Attack,
    BudgetExhausted,
    Domain,
    Feature,
    Knowledge,
    Natural,
    Session,
    Surrogate,
    Victim,
)
from arena.oracle import Door
from arena_plugins.targets.halfspace import HalfspaceVictim

Floats = NDArray[np.float64]
Curve = list[tuple[int, Any]]


def halfspace(domain: Domain, w: Floats, b: float = 0.0) -> HalfspaceVictim:
    """Make a victim of weights w (width,)."""
    none = Natural(np.empty((0, domain.d)), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    return HalfspaceVictim(
        domain=domain,
        classes=("no", "yes"),
        family="halfspace",
        reveals=frozenset({"label", "score"}),
        natural=none,
        parameters={"coef": w, "intercept": np.array(b)},
        w=w[None],
        b=np.array([b]),
    )


def sphere(w: Floats) -> HalfspaceVictim:
    """Make a victim in R^d through the origin."""
    return halfspace(Domain.euclidean([f"x{i}" for i in range(len(w))]), w)


def random_normal(d: int, seed: int) -> HalfspaceVictim:
    """Make a victim in R^d whose normal is uniform on the sphere."""
    w = np.random.default_rng([d, seed]).standard_normal(d)
    return sphere(w / np.linalg.norm(w))


def random_box(d: int, seed: int) -> HalfspaceVictim:
    """Make an affine victim in a box of continuous features, met by its boundary."""
    rng = np.random.default_rng([d, seed])
    low = rng.normal(size=d)
    high = low + rng.uniform(0.1, 100.0, d)
    domain = Domain(
        tuple(Feature(f"x{i}", "continuous", low[i], high[i]) for i in range(d)),
    )
    w = rng.standard_normal(d)
    return halfspace(domain, w, float(-w @ rng.uniform(-0.4, 0.4, d)))


def error(victim: HalfspaceVictim, surrogate: Any) -> float:
    """Return the distance of the unit normals; the intercept of a box is one more weight."""
    ends = 0 if victim.domain.geometry == "sphere" else 1
    v = np.append(victim.w[0], victim.b[:ends])
    w = np.append(surrogate.coef_[0], surrogate.intercept_[:ends])
    return float(np.linalg.norm(w / (np.linalg.norm(w) or 1.0) - v / np.linalg.norm(v)))


@dataclass
class Flipping:
    """Flips labels with one chance."""

    rate: float
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        assert answer.label is not None
        flipped = self.rng.random(len(X)) < self.rate
        return Answer(label=np.where(flipped, 1 - answer.label, answer.label))


@dataclass
class FreshModel:
    """Answers every row by its own draw of w ~ N(mu, sigma^2 I)."""

    mu: Floats
    sigma: float
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        noise = self.sigma * np.linalg.norm(X, axis=1) * self.rng.standard_normal(len(X))
        return Answer(label=(X @ self.mu + noise > 0).astype(np.int64))


@dataclass
class Refusing:
    """Refuses rows longer than a length, and any other with a chance."""

    rng: Generator
    longest: float = np.inf
    rate: float = 0.0

    def answer(self, X: Floats, answer: Answer) -> Answer:
        assert answer.label is not None
        refused = np.linalg.norm(X, axis=1) > self.longest
        refused |= self.rng.random(len(X)) < self.rate
        return Answer(label=np.where(refused, REFUSED, answer.label))


class Recorder(Door):
    """A door that remembers what it was asked."""

    def __init__(
        self,
        victim: Victim,
        budget: int,
        sessions: Sequence[Session] = (),
        growth: float = 1.0,
        fields: frozenset[str] = frozenset({"label"}),
    ) -> None:
        knowledge = Knowledge(victim.domain, victim.classes, fields, victim.family)
        super().__init__(victim, sessions, knowledge, budget, growth)
        self.batches: list[Floats] = []

    def ask(self, X: Floats) -> Answer:
        self.batches.append(np.array(X))
        return super().ask(X)

    @property
    def X(self) -> Floats:
        return np.concatenate(self.batches)


def play(attack: Attack, door: Door, seed: int = 0) -> Curve:
    """Play a match; return what is kept, the last proposal included."""
    curve: Curve = []
    pending: Surrogate | None = None
    try:
        for surrogate in attack.extract(door, np.random.default_rng(seed)):
            pending = None if door.checkpoint_due else surrogate
            if pending is None:
                curve.append((door.spent, surrogate))
                door.keep()
    except BudgetExhausted:
        pass
    return curve if pending is None else [*curve, (door.spent, pending)]


def crossing(curve: Curve, victim: HalfspaceVictim, epsilon: float) -> float:
    """Return the queries at which the error first is at most epsilon; infinite if never."""
    return next((n for n, surrogate in curve if error(victim, surrogate) <= epsilon), np.inf)


def crossings(
    attack: Attack, d: int, seeds: int, budget: int, *levels: float, rate: float = 0.0
) -> Floats:
    """Return the crossing of every level for random normals, float64 (seeds, levels)."""
    found = []
    for seed in range(seeds):
        victim = random_normal(d, seed)
        noise = [Flipping(rate, np.random.default_rng([seed, 1]))] if rate else []
        curve = play(attack, Recorder(victim, budget, noise), seed)
        found.append([crossing(curve, victim, level) for level in levels])
    return np.array(found)
