"""Nested bisection: halfspaces from labels only, about as few as information theory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
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

_SHORTEST = 1e-6
"""Refused rows are shrunk towards the origin, to no less than about this length."""

_ALIKE = 64
"""So many equal answers to halving queries come from no halfspace, but by a chance of 2^-64."""

Learner = nested_planes.NestedPlanes | nested_spheres.NestedSpheres


class NestedBisection(Attack):
    """Nested bisection: every label halves what is left of a halfspace, flipped labels or not.

    In R^d this is dimension coupling with all its planes kept open: w is written by its angles in
    the planes of u_k and e_(k+1), where u_(k+1) is frozen inside plane k once its angle is roughly
    known, and every query is a threshold on one angle, the one that adds most to the error (see
    ``nested_planes``). An answer that contradicts earlier ones shows that labels are flipped. From
    then on several axes together make a block whose direction has a joint posterior, held by
    particles, and rho is integrated out unless it is given (``nested_spheres``). In a box the
    particles are of all weights and the intercept, and the rows asked are realisable ones
    (``box_posterior``). A refused row is asked shorter in R^d, and replaced in a box. In R^d, 64
    equal answers are taken for a constant target; in a box, where a label may be rare, the other
    one is searched until the budget ends. The attack ends when floating point tells no more.
    """

    name: ClassVar[str] = "nested-bisection"
    reference: ClassVar[str] = (
        "this project; after Chen, Hassani, Karbasi, AAAI 2017 (dimension coupling); "
        "Del Moral, Doucet, Jasra, JRSS B 2006 (particles)"
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    rho: float | None = Field(
        default=None,
        ge=0,
        lt=0.5,
        description="the chance that a label is flipped; null: learned from contradictions",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a linear surrogate at every checkpoint, and at the end.

        Raises:
            ValueError: no labels are revealed, or every query in R^d is refused.
        """
        if oracle.knowledge.domain.geometry == "box":
            yield from self._in_box(oracle, rng)
        elif oracle.knowledge.domain.d == 1:
            yield from self._on_line(oracle)
        else:
            yield from self._on_sphere(oracle, rng)

    def _on_sphere(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        domain = oracle.knowledge.domain
        learner: Learner
        if self.rho:
            learner = nested_spheres.NestedSpheres(domain.d, rng, self.rho)
        else:
            learner = nested_planes.NestedPlanes(domain.d, rng, wary=self.rho is None)
        server = _Server(oracle)
        while True:
            ending = not oracle.remaining or learner.exact
            if ending or oracle.checkpoint_due:
                yield LinearSurrogate(domain, learner.normal()[None], np.zeros(1))
            if ending:
                return
            label = server.label(learner.query())
            if label == REFUSED:
                continue
            learner.tell(label == 1)
            if server.constant:
                sign = np.array([float(server.tally)])
                yield LinearSurrogate(domain, np.zeros((1, domain.d)), sign)
                return
            if isinstance(learner, nested_planes.NestedPlanes) and learner.contradicted:
                learner = nested_spheres.NestedSpheres.resume(learner, rng, None)

    def _on_line(self, oracle: Oracle) -> Iterator[Surrogate]:
        """Learn the one sign there is in R^1, by the majority of the answers."""
        server = _Server(oracle)
        while True:
            lead = abs(server.tally)
            ending = not oracle.remaining or lead == (1 if self.rho == 0 else _ALIKE)
            if ending or oracle.checkpoint_due:
                yield LinearSurrogate(
                    oracle.knowledge.domain, np.sign([[float(server.tally)]]), np.zeros(1)
                )
            if ending:
                return
            server.label(np.ones(1))

    def _in_box(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        domain = oracle.knowledge.domain
        posterior = box_posterior.BoxPosterior(domain, rng, self.rho)
        search = _corners(oracle, rng)
        met: set[int] = set()
        tries = 0
        while True:
            ending = not oracle.remaining or posterior.exact
            if ending or oracle.checkpoint_due:
                yield _surrogate(oracle, posterior, met)
            if ending:
                return
            if len(met) == 2:
                X = posterior.query()
            else:
                X = posterior.extreme(positive=0 in met) if met and tries % 2 else next(search)
                tries += 1
            label = _label(oracle, X)
            if label != REFUSED:
                met.add(label)
                posterior.learn(X, label == 1)


@dataclass
class _Server:
    """Whom the attack asks in R^d: the length of rows it takes, and what it has answered.

    Attributes:
        oracle: the way to it.
        answers, tally: how many, and the sum of their signs.
        length: of the rows that are asked; a halfspace through the origin does not mind.
        refusals: how many there were in a row.
    """

    oracle: Oracle
    answers: int = 0
    tally: int = 0
    length: float = 1.0
    refusals: int = 0

    @property
    def constant(self) -> bool:
        """Whether it only ever gave one answer."""
        return abs(self.tally) == self.answers >= _ALIKE

    def label(self, x: Floats) -> int:
        """Ask the direction x (d,).

        Raises:
            ValueError: no labels are revealed, or it refused again and again.
        """
        label = _label(self.oracle, (self.length * x)[None])
        if label == REFUSED:
            self.refusals += 1
            self.length = max(self.length / 2, _SHORTEST)
            if self.refusals == _ALIKE:
                raise ValueError("the server refuses a query of nested-bisection at any length")
        else:
            self.refusals = 0
            self.answers += 1
            self.tally += 1 if label == 1 else -1
        return label


def _label(oracle: Oracle, X: Floats) -> int:
    """Ask one row X (1, d).

    Raises:
        ValueError: no labels are revealed.
    """
    label = oracle.ask(X).label
    if label is None:
        raise ValueError("nested-bisection learns from labels, and the oracle reveals none")
    return int(label[0])


def _corners(oracle: Oracle, rng: Generator) -> Iterator[Floats]:
    """Draw rows that are likely to meet another label: the centre, and corners of the box.

    The share of features that are high is uniform: labels often go by how many are.
    """
    domain = oracle.knowledge.domain
    yield domain.project((domain.low + domain.high)[None] / 2)
    for share in chain((0.0, 1.0), iter(rng.random, None)):
        yield box_posterior.corners(domain, np.array([share]), rng)


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
