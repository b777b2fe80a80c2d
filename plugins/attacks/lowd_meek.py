"""Lowd and Meek: a line search per feature for its weight relative to one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Steps
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    REFUSED,
    Attack,
    Feature,
    LinearSurrogate,
    Oracle,
    Surrogate,
    hookimpl,
)

Floats = NDArray[np.float64]


class LowdMeek(Attack):
    """Lowd and Meek: finds a sign witness, then every other weight relative to its by line search.

    A sign witness is a pair of points of either label that differ in one feature f. Bisected, it
    gives a point at a known distance from the boundary along f; how far the boundary is along
    another feature tells that one's weight. No answer may be wrong or refused, and all features
    must be continuous. In a box the unit of length is so small that no query leaves it.
    """

    name: ClassVar[str] = "lowd-meek"
    reference: ClassVar[str] = (
        "Lowd, Meek, KDD 2005, section 4.2; Chandrasekaran et al., USENIX Security 2020, Table 2"
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    epsilon: float = Field(
        default=0.01, gt=0, lt=1, description="the relative error of a weight that is allowed"
    )
    delta: float = Field(
        default=1e-3,
        gt=0,
        lt=1,
        description="a weight of less than this part of the witness's counts as zero",
    )

    def declines(self, features: Sequence[Feature]) -> str:
        """Say which feature is not continuous."""
        for feature in features:
            if feature.kind != "continuous" or feature.edges:
                kind = "binned" if feature.edges else feature.kind
                return f"lowd-meek needs continuous features, and {feature.name!r} is {kind}"
        return ""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint.

        Raises:
            ValueError: a feature is not continuous, or a query is refused.
        """
        if reason := self.declines(oracle.knowledge.domain.features):
            raise ValueError(reason)
        search = _Search(oracle)
        for _ in search.run(self.epsilon, self.delta, rng):
            if oracle.checkpoint_due:
                yield search.surrogate()
        yield search.surrogate()


class _Search:
    """The search and what it has found; points are encoded rows, float64 (d,).

    Its generators pause before the first query and after every one.
    """

    def __init__(self, oracle: Oracle) -> None:
        domain = oracle.knowledge.domain
        self._oracle = oracle
        self._box = domain.geometry == "box"
        self._varying = domain.low < domain.high
        self._w = np.zeros(domain.d)
        self._b = 0.0

    def surrogate(self) -> LinearSurrogate:
        """Return the weights found, that of the witness's feature being +1 or -1."""
        return LinearSurrogate(
            self._oracle.knowledge.domain, self._w[None].copy(), np.array([self._b])
        )

    def run(self, epsilon: float, delta: float, rng: Generator) -> Iterator[None]:
        """Find all weights."""
        yield
        s_minus, s_plus = yield from self._both_labels(rng)
        s_minus, s_plus, f = yield from self._witness(s_minus, s_plus)
        unit = delta * min(_room(s_minus), _room(s_plus)) if self._box else 1.0
        along = _axis(f, s_plus - s_minus)
        length = abs(s_plus[f] - s_minus[f])
        near, far = yield from self._bisect(s_minus, along, 0.0, length, unit * epsilon / 4)
        p = s_minus + (near + far) / 2 * along
        x = s_minus + (near - unit) * along
        for i in np.flatnonzero(self._varying):
            if i != f:
                self._w[i] = yield from self._weight(x, int(i), unit, epsilon, delta)
            self._w[f] = along[f]
            self._b = -float(self._w @ p) if self._box else 0.0

    def _both_labels(self, rng: Generator) -> Steps[None, None, tuple[Floats, Floats]]:
        """Sample until both labels are met; return a negative and a positive point."""
        domain = self._oracle.knowledge.domain
        found: dict[bool, Floats] = {}
        while len(found) < 2:
            point = domain.encode(domain.sample(1, rng))[0]
            positive = yield from self._positive(point)
            found[positive] = point
            if len(found) == 1:
                self._b = 1.0 if positive else -1.0
        return found[False], found[True]

    def _witness(
        self, s_minus: Floats, s_plus: Floats
    ) -> Steps[None, None, tuple[Floats, Floats, int]]:
        """Walk from s_minus to s_plus, a feature at a time, until the label changes at one, f."""
        for f in np.flatnonzero(self._varying):
            step = s_minus.copy()
            step[f] = s_plus[f]
            if (step == s_plus).all() or (yield from self._positive(step)):
                return s_minus, step, int(f)
            s_minus = step
        raise ValueError("lowd-meek met two labels at one point; it tolerates no wrong answer")

    def _weight(
        self, x: Floats, i: int, unit: float, epsilon: float, delta: float
    ) -> Steps[None, None, float]:
        """Return the weight of feature i relative to f's; x is negative, a unit off along f."""
        farthest = unit / delta
        axis = _axis(i, np.ones(len(x)))
        up = yield from self._positive(x + farthest * axis)
        down = yield from self._positive(x - farthest * axis)
        if up == down:
            return 0.0
        axis = axis if up else -axis
        near, far = 0.0, unit
        while far < farthest and not (yield from self._positive(x + far * axis)):
            near, far = far, min(2 * far, farthest)
        while near == 0.0:
            if (yield from self._positive(x + far / 2 * axis)):
                far /= 2
            else:
                near = far / 2
        near, far = yield from self._bisect(x, axis, near, far, near * epsilon / 4)
        return float(axis[i] * unit / ((near + far) / 2))

    def _bisect(
        self, x: Floats, axis: Floats, near: float, far: float, tolerance: float
    ) -> Steps[None, None, tuple[float, float]]:
        """Narrow the distances along an axis at which x is still negative, and positive."""
        while far - near > tolerance:
            middle = (near + far) / 2
            if not near < middle < far:
                break
            if (yield from self._positive(x + middle * axis)):
                far = middle
            else:
                near = middle
        return near, far

    def _positive(self, point: Floats) -> Steps[None, None, bool]:
        """Ask one point.

        Raises:
            ValueError: no label is given.
        """
        labels = self._oracle.ask(self._raw(point)[None]).label
        if labels is None:
            raise ValueError("lowd-meek learns from labels, and the oracle reveals none")
        if labels[0] == REFUSED:
            raise ValueError("the server refuses a query, and lowd-meek can do without none")
        yield
        return bool(labels[0] == 1)

    def _raw(self, point: Floats) -> Floats:
        """Undo the encoding."""
        domain = self._oracle.knowledge.domain
        if not self._box:
            return point
        return domain.clip(domain.low + (point + 1) * (domain.high / 2 - domain.low / 2))


def _axis(i: int, towards: Floats) -> Floats:
    """Return the unit vector along feature i, in the sense of ``towards`` (d,)."""
    axis = np.zeros(len(towards))
    axis[i] = np.sign(towards[i])
    return axis


def _room(point: Floats) -> float:
    """Return the least distance of a point of the encoded box from its faces."""
    return float(1 - np.abs(point).max())


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register Lowd and Meek's attack."""
    register(LowdMeek)
