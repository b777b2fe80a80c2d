"""Line-search retraining: queries close to the server's boundary, found by bisection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, log2
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import ANY, REFUSED, Attack, Oracle, Surrogate, hookimpl, recipes

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class LineSearch(Attack):
    """Line-search retraining: bisects between rows of opposite labels to the server's boundary.

    Every answer on the way is learned from. The paper leaves the ends and the depth of a search
    open: here a fresh uniform row is joined to a random earlier one of another label.
    """

    name: ClassVar[str] = "line-search"
    reference: ClassVar[str] = "Tramèr et al., USENIX Security 2016, section 6"
    families: ClassVar[frozenset[str]] = ANY - {"linear-regression"}

    tolerance: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="length at which a search ends, in parts of the distance between its ends",
    )
    lines: int = Field(default=8, ge=1, description="searches that share every batch of queries")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint."""
        # Fits draw from a stream of their own: checkpoints do not change what is asked.
        queries, fits = rng.spawn(2)
        transcript = recipes.Transcript(oracle)
        for _ in self._search(transcript, queries):
            if oracle.checkpoint_due:
                yield transcript.fit(fits)

    def _search(self, transcript: recipes.Transcript, rng: Generator) -> Iterator[None]:
        """Ask along lines until the budget ends; pause whenever a checkpoint may be due."""
        oracle, domain = transcript.oracle, transcript.oracle.knowledge.domain
        ends, labels = np.empty((0, domain.d)), np.empty(0, dtype=np.int64)
        yield
        while oracle.remaining:
            A = domain.sample(min(self.lines, oracle.remaining), rng)
            a = transcript.ask(A)
            yield
            A, a = A[a != REFUSED], a[a != REFUSED]
            ends, labels = np.concatenate([ends, A]), np.concatenate([labels, a])
            if oracle.remaining and (labels != labels[:1]).any():
                B = ends[_of_another_label(a, labels, rng)]
                yield from self._bisect(transcript, A, a, B, rng)

    def _bisect(
        self, transcript: recipes.Transcript, A: Floats, a: Labels, B: Floats, rng: Generator
    ) -> Iterator[None]:
        """Narrow the lines from the rows of A (n, d), labelled a, to B (n, d), all at once."""
        oracle, domain = transcript.oracle, transcript.oracle.knowledge.domain
        switch = rng.random(A.shape)
        near, far = A, B
        low, high = np.zeros(len(A)), np.ones(len(A))
        for _ in range(ceil(log2(1 / self.tolerance))):
            t = (low + high) / 2
            M = domain.between(A, B, t, switch)
            # In a discrete domain the middle may be an end, whose label is known.
            same = (near == M).all(axis=1)
            new = ~same & (far != M).any(axis=1)
            if new.any():
                answers = transcript.ask(M[new])
                yield
                if not oracle.remaining:
                    return
                same[new] = answers == a[new]
            near, far = np.where(same[:, None], M, near), np.where(same[:, None], far, M)
            low, high = np.where(same, t, low), np.where(same, high, t)


def _of_another_label(a: Labels, labels: Labels, rng: Generator) -> NDArray[np.intp]:
    """Draw for every label of a (n,) the index of one of the labels (m,) that differs from it."""
    lottery = np.where(labels != a[:, None], rng.random((len(a), len(labels))), -1.0)
    drawn: NDArray[np.intp] = lottery.argmax(axis=1)
    return drawn


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register line-search retraining."""
    register(LineSearch)
