"""Nested-plane bisection: a halfspace through the origin of R^d, from labels without noise.

The space is rotated at random, to rows e_0 .. e_(d-1), and u_0 = e_0. In the plane of u_k and
e_(k+1) the angle phi_k = atan2(<w, e_(k+1)>, <w, u_k>) is bisected: the label of the query
x = cos t e_(k+1) - sin t u_k says whether phi_k > t. For w uniform on the sphere the density of
phi_k is proportional to cos^k, on the full circle for k = 0. Once phi_k is known roughly, u_(k+1) =
cos t u_k + sin t e_(k+1) is frozen and the next plane opens; since <w, u_(k+1)> stays positive,
every later query is still an exact threshold on one angle, so that the planes can be refined in any
order: always the one that contributes most to the error of w. This is dimension coupling (Chen,
Hassani, Krause, AAAI 2017) with all its planes kept open.
"""

from __future__ import annotations

from heapq import heappush, heapreplace
from math import cos, pi, sin, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FROZEN = 0.1
"""The next plane opens when no angle's weighted standard deviation is above this, in radians."""

CELLS = 64
"""An angle is bisected along its prior to one of so many cells of equal mass, then evenly."""

RATE = 0.1
"""What is held against labels without flips: that so many are flipped."""

SUSPECT = 0.25
"""A bound is checked when an angle lies beyond it with this chance, flips as likely as none."""

EVERY = 150
"""So many answers after a check comes another: those that halve what is left tell nothing of flips.

Neither do their runs where flips are frequent: these break them.
"""

CONFIRMED = 30
"""Checks passed before labels are believed to the end."""

CLEAR = 1e-9
"""A check keeps this far from a bound, in radians, so that it is no matter of rounding."""

FINEST = 1e-15
"""Angles, in radians, are not told apart further than this."""


class NestedPlanes:
    """The angles of a unit normal w of R^d, each known to an interval.

    Attributes:
        contradicted: whether an answer went against earlier ones, so that labels are noisy; only
            a wary learner finds out.
        history: what was asked and answered: the plane, the unit row float64 (d,), the label.
        frame: float64 (d, d), the orthonormal rows e_k.
        axes: the unit rows u_k, float64 (d,) each, of the planes that are open.
    """

    def __init__(self, d: int, rng: Generator, wary: bool) -> None:
        """Open the first plane.

        Args:
            d: the dimension, at least 2.
            rng: rotates the space.
            wary: whether to look for contradictions, for some 1 % of the queries.
        """
        self.contradicted = False
        self.history: list[tuple[int, Floats, bool]] = []
        self.frame = rotation(d, rng)
        self.axes = [self.frame[0]]
        self._wary = wary
        # Of the likelihoods of all answers, flips at ``RATE`` over none.
        self._odds = 1.0
        self._confirmed, self._checked = 0, 0
        self._open = [_Angle(0)]
        self._scale = 1.0
        # phi_k of the planes before the last, by how much they contribute to the error.
        self._queue: list[tuple[float, int]] = []
        # Of every plane cos phi and sin phi over cos(phi - t), t its frozen angle.
        self._along, self._across = np.ones(d - 1), np.zeros(d - 1)
        self._asked: tuple[int, float, bool] = (0, 0.0, False)
        self._x = self.axes[0]

    @property
    def exact(self) -> bool:
        """Whether every angle is known as well as floating point can tell."""
        if self._wary and self._confirmed < CONFIRMED:
            return False
        return len(self._open) == len(self._along) and self._widest()[0] < FINEST

    def query(self) -> Floats:
        """Return the row to ask next, float64 (d,), of length 1."""
        width, k = self._widest()
        if width < FROZEN * sqrt(12) and len(self._open) < len(self._along):
            self._freeze()
            k = len(self._open) - 1
        angle = self._open[k]
        check = self._wary and self._suspects(angle)
        t = angle.beyond if check else angle.middle
        self._asked = k, t, check
        x: Floats = cos(t) * self.frame[k + 1] - sin(t) * self.axes[k]
        self._x = x
        return x

    def tell(self, positive: bool) -> None:
        """Learn the label of the row asked last."""
        k, t, check = self._asked
        self.history.append((k, self._x, positive))
        angle = self._open[k]
        if check:
            self.contradicted |= positive != (angle.below > angle.above)
            self._confirmed += 1
            self._checked = len(self.history)
            self._odds *= angle.confirm()
            return
        self._odds *= angle.cut(t, positive)
        if k < len(self._open) - 1:
            self._note(k)
            heapreplace(self._queue, (-angle.width * angle.weight, k))

    def normal(self) -> Floats:
        """Return the estimate of w, float64 (d,), of any length; 0 where nothing is known yet."""
        n = len(self._open)
        last = self._open[-1].middle
        self._along[n - 1], self._across[n - 1] = cos(last), sin(last)
        # <w, u_(k+1)>, from the last plane back.
        lengths = np.ones(n + 1)
        self._along[n - 1 :: -1].cumprod(out=lengths[n - 1 :: -1])
        lengths[1:] *= self._across[:n]
        estimate: Floats = lengths @ self.frame[: n + 1]
        return estimate

    def _widest(self) -> tuple[float, int]:
        """Return the largest weighted width, relative to the last plane's, and its plane."""
        n = len(self._open) - 1
        last = self._open[n]
        if not self._queue:
            return last.width, n
        scale = self._scale / cos(last.middle)
        width, k = -self._queue[0][0] / scale, self._queue[0][1]
        return (width, k) if width > last.width else (last.width, n)

    def _freeze(self) -> None:
        """Fix the last plane's estimate as the next u, and open the next plane."""
        k = len(self._open) - 1
        angle = self._open[k]
        t = angle.frozen = angle.middle
        self.axes.append(cos(t) * self.axes[k] + sin(t) * self.frame[k + 1])
        # |w| in plane k is the product of the later cosines; the first has no part in any.
        self._scale /= cos(t) if k else 1.0
        angle.weight = self._scale
        self._note(k)
        heappush(self._queue, (-angle.width * angle.weight, k))
        self._open.append(_Angle(k + 1))

    def _suspects(self, angle: _Angle) -> bool:
        beyond = max(angle.below, angle.above)
        due = len(self.history) >= self._checked + EVERY or angle.width < FINEST
        return self._odds * (beyond - SUSPECT) > SUSPECT or (due and beyond > 0)

    def _note(self, k: int) -> None:
        angle = self._open[k]
        phi = angle.middle
        c = cos(phi - angle.frozen)
        self._along[k], self._across[k] = cos(phi) / c, sin(phi) / c


class _Angle:
    """What is known of phi_k.

    Attributes:
        low, high: its bounds, in radians.
        middle: its median.
        frozen: what it was taken for when the next plane was opened.
        weight: what the width counts for in the error of w.
        below, above: the chances that it is beyond its bounds, if labels are flipped at ``RATE``.
    """

    __slots__ = (
        "_cell",
        "_cells",
        "_edges",
        "above",
        "below",
        "frozen",
        "high",
        "low",
        "middle",
        "weight",
    )

    def __init__(self, k: int) -> None:
        self._edges: list[float] = prior_edges(k, CELLS).tolist()
        self._cell, self._cells = 0, CELLS
        self.low: float = self._edges[0]
        self.high: float = self._edges[-1]
        self.middle: float = self._edges[CELLS // 2]
        self.frozen, self.weight = 0.0, 1.0
        self.below, self.above = 0.0, 0.0

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def beyond(self) -> float:
        """An angle outside the bound that phi_k is more likely to be beyond."""
        margin = max(self.width, CLEAR)
        return self.low - margin if self.below > self.above else self.high + margin

    def cut(self, t: float, positive: bool) -> float:
        """Learn whether phi_k > t, its middle; return the answer's odds of flips over none."""
        if positive:
            self.low = t
        else:
            self.high = t
        if self._cells > 1:
            self._cells //= 2
            self._cell += self._cells if positive else 0
        if self._cells > 1:
            self.middle = self._edges[self._cell + self._cells // 2]
        else:
            self.middle = (self.low + self.high) / 2
        half = (1 - self.below - self.above) / 2
        if positive:
            below, above = RATE * (self.below + half), (1 - RATE) * self.above
        else:
            below, above = (1 - RATE) * self.below, RATE * (self.above + half)
        chance = below + above + (1 - RATE) * half
        self.below, self.above = below / chance, above / chance
        return 2 * chance

    def confirm(self) -> float:
        """Learn that phi_k is not ``beyond``; return the answer's odds of flips over none."""
        if self.below > self.above:
            below, above = RATE * self.below, (1 - RATE) * self.above
        else:
            below, above = (1 - RATE) * self.below, RATE * self.above
        chance = below + above + (1 - RATE) * (1 - self.below - self.above)
        self.below, self.above = below / chance, above / chance
        return chance


def rotation(d: int, rng: Generator) -> Floats:
    """Draw d orthonormal rows, uniform over all rotations and reflections; float64 (d, d)."""
    Q, R = np.linalg.qr(rng.standard_normal((d, d)))
    signed: Floats = np.ascontiguousarray((Q * np.sign(R.diagonal())).T)
    return signed


def prior_edges(k: int, cells: int) -> Floats:
    """Cut the prior of phi_k, proportional to cos^k, into cells of equal mass.

    Args:
        k: the plane; 0 has the full circle.
        cells: how many.

    Returns:
        float64 (cells + 1,), in radians.
    """
    shares = np.linspace(0.0, 1.0, cells + 1)
    if k == 0:
        return (2 * shares - 1) * pi
    from scipy.special import betaincinv  # slow to import

    # (1 + sin phi) / 2 has a beta distribution.
    x = betaincinv((k + 1) / 2, (k + 1) / 2, shares)
    edges: Floats = np.arcsin(np.clip(2 * x - 1, -1.0, 1.0))
    return edges
