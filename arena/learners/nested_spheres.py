"""Nested spheres: a halfspace through the origin of R^d, from labels that are flipped at random.

The chart of ``arena.learners.nested_planes`` with m new axes at a time. Block b holds the direction
s of w in the span of u_b and the next m axes, on a sphere of dimension m: for w uniform its density
is proportional to s_0^(k-1), k the number of axes behind u_b. Once s is known roughly, u_(b+1) is
frozen at its mean and the next block opens; every later query still asks about one s only.

A flip within an angle's interval sends its bisection astray, and finding out costs each of the d-1
angles log(d) confirmations (Burnashev, Problems of Information Transmission 1976). A joint
posterior of a few dimensions needs none: errors of many queries in as many directions average out.
It is held by particles (``arena.learners.direction_particles``).
"""

from __future__ import annotations

from math import log2

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.learners.direction_particles import Block, flip_likelihood
from arena.learners.nested_planes import NestedPlanes, rotation

Floats = NDArray[np.float64]

BLOCK = 6
"""New axes in a block: fewer need confirmations, more need slower moves (measured from 2 to 12)."""

FROZEN = 0.1
"""The next block opens when no block's weighted standard deviation is above this, in radians."""

ALONG, SURE = 0.3, 0.99
"""A u that was frozen before is kept while w is longer than this along it, this surely."""

REPEATS = 0.5
"""Where rho is unknown a row is first repeated, so often times d over the bits of an answer.

That is about 4 % of all queries to an error of 1e-4.
"""

FINEST = 1e-13
"""Directions, in radians, are not told apart further than this."""


class NestedSpheres:
    """The posterior of a unit normal w of R^d, in blocks of a few dimensions."""

    def __init__(
        self, d: int, rng: Generator, rho: float | None, frame: Floats | None = None
    ) -> None:
        """Open the first block.

        Args:
            d: the dimension, at least 2.
            rng: rotates the space, and moves the particles.
            rho: the chance that a label is flipped, in (0, 1/2); None: learned.
            frame: float64 (d, d), orthonormal rows to use instead of a random rotation.
        """
        self._known = rho
        self._rng = rng
        self._frame = rotation(d, rng) if frame is None else frame
        self._earlier: NestedPlanes | None = None
        self._blocks: list[Block] = []
        self._open(self._frame[0])
        self._asked = (0, np.eye(self._blocks[0].m + 1)[0])
        self._repeats, self._positives = 0, 0

    @classmethod
    def resume(cls, planes: NestedPlanes, rng: Generator, rho: float | None) -> NestedSpheres:
        """Go on from what was asked before labels turned out to be noisy.

        What was asked beyond the first block is believed once the block before is known, if that
        shows w on the right side of the u that it was asked with; else it is dropped.
        """
        learner = cls(len(planes.frame), rng, rho, planes.frame)
        learner._earlier = planes
        learner._replay()
        return learner

    @property
    def exact(self) -> bool:
        """Whether w is known as well as floating point can tell."""
        last = self._blocks[-1].behind + self._blocks[-1].m
        return last == len(self._frame) and self._widest()[0] < FINEST

    def query(self) -> Floats:
        """Return the row to ask next, float64 (d,), of length 1."""
        if self._repeating:
            first: Floats = self._frame[0]
            return first
        deviation, b = self._widest()
        block = self._blocks[-1]
        if deviation < FROZEN and block.behind + block.m < len(self._frame):
            self._advance()
            b = len(self._blocks) - 1
        x = self._blocks[b].query()
        self._asked = b, x
        row: Floats = x @ self._blocks[b].frame
        return row

    def tell(self, positive: bool) -> None:
        """Learn the label of the row asked last."""
        b, x = self._asked
        if self._repeating:
            self._repeats += 1
            self._positives += positive
        self._learn(self._blocks[b], x, positive)

    def normal(self) -> Floats:
        """Return the estimate of w, float64 (d,), of any length; 0 where nothing is known yet."""
        block = self._blocks[-1]
        estimate = block.direction[1:] @ block.frame[1:]
        along = block.direction[0]
        for block in self._blocks[-2::-1]:
            # <w, u_(b+1)> is known from the later blocks.
            along /= block.direction @ block.frozen
            estimate = estimate + along * (block.direction[1:] @ block.frame[1:])
            along *= block.direction[0]
        normal: Floats = estimate + along * self._frame[0]
        return normal

    @property
    def _repeating(self) -> bool:
        """Whether the first row is still repeated, for a first idea of an unknown rho."""
        if self._known is not None:
            return False
        flips = min(self._positives, self._repeats - self._positives)
        rho = (flips + 1) / (self._repeats + 4)
        capacity = 1 + rho * log2(rho) + (1 - rho) * log2(1 - rho)
        return self._repeats < REPEATS * len(self._frame) / capacity

    def _learn(self, block: Block, x: Floats, positive: bool) -> None:
        others = [b for b in self._blocks if b is not block]
        block.learn(
            x if positive else -x,
            flip_likelihood(
                self._known, sum(b.answers for b in others), sum(b.violations for b in others)
            ),
        )

    def _widest(self) -> tuple[float, int]:
        """Return the largest weighted deviation, relative to the last block's, and its block."""
        deviations = [block.deviation * block.weight for block in self._blocks]
        b = max(range(len(deviations)), key=deviations.__getitem__)
        last = self._blocks[-1]
        scale = last.weight / (last.direction[0] if last.behind > 1 else 1.0)
        return deviations[b] / scale if b < len(deviations) - 1 else last.deviation, b

    def _advance(self) -> None:
        """Freeze the last block's direction, or that of the planes before, and open the next."""
        block = self._blocks[-1]
        u = block.direction @ block.frame
        k = len(self._blocks) * BLOCK
        if self._earlier and k < len(self._earlier.axes):
            earlier = self._earlier.axes[k]
            if block.chance(block.frame @ earlier, ALONG) >= SURE:
                u = earlier
            else:
                self._earlier = None
        self._open(u)
        self._replay()

    def _replay(self) -> None:
        """Learn what was asked before in the planes of the last block."""
        block = self._blocks[-1]
        first = (len(self._blocks) - 1) * BLOCK
        for k, x, positive in self._earlier.history if self._earlier else ():
            if first <= k < first + BLOCK:
                self._learn(block, block.frame @ x, positive)

    def _open(self, u: Floats) -> None:
        """Freeze u, and open the block of it and the next axes."""
        behind, weight = 1, 1.0
        if self._blocks:
            last = self._blocks[-1]
            last.frozen = last.frame @ u
            if last.behind > 1:
                # |w| in a block is the product of the later blocks' cosines.
                last.weight /= last.frozen[0]
            behind, weight = last.behind + last.m, last.weight
        rows = np.vstack([u, self._frame[behind : behind + BLOCK]])
        self._blocks.append(Block(rows, behind, weight, self._rng))
