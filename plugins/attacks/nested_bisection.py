"""Nested bisection: halfspaces from labels only, about as few as information theory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    REFUSED,
    Attack,
    LinearSurrogate,
    Oracle,
    Surrogate,
    box_posterior,
    hookimpl,
    nested_planes,
    nested_spheres,
)

Floats = NDArray[np.float64]

SMALLEST = 1e-6
"""Refused rows are shrunk towards the origin, to no less than this length."""


class NestedBisection(Attack):
    """Nested bisection: every label halves what is left of a halfspace, flipped labels or not.

    In R^d: dimension coupling with all its planes kept open, the one that contributes most to the
    error asked next; once labels turn out to be flipped, joint posteriors of a few dimensions each.
    In a box: the joint posterior of weights and intercept, asked by realisable rows. A target that
    never shows a second label is searched until the budget ends, behind a constant surrogate. It
    ends by itself when the halfspace is known to floating point.
    """

    name: ClassVar[str] = "nested-bisection"
    reference: ClassVar[str] = (
        "this project; after Chen, Hassani, Krause, AAAI 2017 (dimension coupling)"
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    rho: float | None = Field(
        default=None,
        ge=0,
        lt=0.5,
        description="the chance that a label is flipped; null: learned from contradictions",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a linear surrogate at every checkpoint."""
        if oracle.knowledge.domain.geometry == "box":
            yield from self._in_box(oracle, rng)
        elif oracle.knowledge.domain.d == 1:
            yield from self._on_line(oracle)
        else:
            yield from self._on_sphere(oracle, rng)

    def _on_sphere(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        domain = oracle.knowledge.domain
        learner: nested_planes.NestedPlanes | nested_spheres.NestedSpheres
        if self.rho:
            learner = nested_spheres.NestedSpheres(domain.d, rng, self.rho)
        else:
            learner = nested_planes.NestedPlanes(domain.d, rng, wary=self.rho is None)
        length = 1.0
        while True:
            if oracle.checkpoint_due:
                yield LinearSurrogate(domain, learner.normal()[None], np.zeros(1))
            if not oracle.remaining or learner.exact:
                return
            label = _label(oracle, (length * learner.query())[None])
            if label == REFUSED:
                # A halfspace through the origin answers the same however short the row.
                length = max(length / 2, SMALLEST)
                continue
            learner.tell(label == 1)
            if isinstance(learner, nested_planes.NestedPlanes) and learner.contradicted:
                learner = nested_spheres.NestedSpheres.resume(learner, rng, self.rho)

    def _on_line(self, oracle: Oracle) -> Iterator[Surrogate]:
        """Learn the one sign there is in R^1, by the majority of the answers."""
        votes = 0
        while True:
            if oracle.checkpoint_due:
                yield LinearSurrogate(oracle.knowledge.domain, np.sign([[votes]]), np.zeros(1))
            if not oracle.remaining or (votes and self.rho == 0):
                return
            label = _label(oracle, np.ones((1, 1)))
            votes += 0 if label == REFUSED else 2 * label - 1

    def _in_box(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        domain = oracle.knowledge.domain
        posterior = box_posterior.BoxPosterior(domain, rng, self.rho)
        search = _corners(oracle, rng)
        met: set[int] = set()
        while True:
            if oracle.checkpoint_due:
                yield _surrogate(oracle, posterior, met)
            if not oracle.remaining or posterior.exact:
                return
            X = posterior.query() if len(met) == 2 else next(search)
            label = _label(oracle, X)
            if label != REFUSED:
                met.add(label)
                posterior.learn(X, label == 1)


def _label(oracle: Oracle, X: Floats) -> int:
    """Ask one row X (1, d)."""
    label = oracle.ask(X).label
    if label is None:
        raise ValueError("nested-bisection learns from labels, and the oracle reveals none")
    return int(label[0])


def _corners(oracle: Oracle, rng: Generator) -> Iterator[Floats]:
    """Draw rows that are likely to meet another label: the centre, then corners of the box."""
    domain = oracle.knowledge.domain
    yield domain.project((domain.low + domain.high)[None] / 2)
    while True:
        X = domain.sample(1, rng)
        numbers = np.setdiff1d(np.arange(domain.d), domain.categorical)
        up = rng.random(len(numbers)) < 0.5
        X[0, numbers] = np.where(up, domain.high[numbers], domain.low[numbers])
        yield X


def _surrogate(
    oracle: Oracle, posterior: box_posterior.BoxPosterior, met: set[int]
) -> LinearSurrogate:
    domain = oracle.knowledge.domain
    if len(met) == 2:
        return LinearSurrogate(domain, posterior.mean[None, :-1], posterior.mean[-1:])
    sign = 1.0 if met == {1} else -1.0
    return LinearSurrogate(domain, np.zeros((1, domain.width)), np.array([sign]))


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register nested bisection."""
    register(NestedBisection)
