"""Disagreement-based active learning: asks only where hypotheses that fit all answers differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import REFUSED, Attack, Domain, LinearSurrogate, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]

_BATCH = 256
"""Inputs that are drawn at once in search of one to ask."""


class Disagreement(Attack):
    """Disagreement-based active learning: asks where surviving hypotheses disagree.

    Draws uniform inputs, passes over those that a finite sample of hypotheses labels alike, asks
    the others, and drops the hypotheses that an answer contradicts. What is left is filled up
    to the sample's size by hit-and-run moves within the version space, so that it does not run dry
    before the target is found. Proposes the mean of the survivors. Ends when so many inputs in a
    row find no disagreement. No answer may be wrong: a wrong one excludes the target for good.
    """

    name: ClassVar[str] = "disagreement"
    reference: ClassVar[str] = (
        "Chandrasekaran et al., USENIX Security 2020, Remark 4; "
        "Hanneke, Foundations and Trends in Machine Learning 2014, section 5.1"
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    hypotheses: int = Field(default=100, ge=2, description="the size of the sample")
    moves: int = Field(
        default=8, ge=1, description="hit-and-run moves of every hypothesis after an answer"
    )
    draws: int = Field(
        default=20_000, ge=1, description="inputs without disagreement at which the attack ends"
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint.

        Raises:
            ValueError: the oracle reveals no labels.
        """
        domain = oracle.knowledge.domain
        space = VersionSpace(_prior(domain, self.hypotheses, rng))
        x: Floats | None = None
        while True:
            if oracle.remaining:
                x = self._disputed(domain, space.W, rng)
            if oracle.checkpoint_due or x is None:
                yield _surrogate(domain, space.W.mean(axis=0))
            if x is None or not oracle.remaining:
                return
            labels = oracle.ask(x[None]).label
            if labels is None:
                raise ValueError("disagreement learns from labels, and the oracle reveals none")
            if labels[0] != REFUSED:
                sign = 1.0 if labels[0] == 1 else -1.0
                space.demand(sign * _with_one(domain, x[None])[0], self.moves, rng)

    def _disputed(self, domain: Domain, W: Floats, rng: Generator) -> Floats | None:
        """Draw inputs until hypotheses W differ on one, x (d,); None where they never do."""
        for _ in range(0, self.draws, _BATCH):
            X = domain.sample(_BATCH, rng)
            votes = (_with_one(domain, X) @ W.T > 0).mean(axis=1)
            disputed = np.flatnonzero((votes > 0) & (votes < 1))
            if disputed.size:
                return np.asarray(X[disputed[0]])
        return None


class VersionSpace:
    """A finite sample of the halfspaces <w, z> > 0 in the unit ball that agree with all answers.

    Attributes:
        W: float64 (n, p), the hypotheses.
    """

    def __init__(self, W: Floats) -> None:
        self.W = W
        self._A = np.empty((0, W.shape[1]))

    def demand(self, a: Floats, moves: int, rng: Generator) -> None:
        """Drop the hypotheses with ``<w, a> <= 0``; replace them by moves of the others."""
        self._A = np.vstack([self._A, a])
        # Along the sample as it was: that of few survivors may be flat.
        spread = self.W - self.W.mean(axis=0)
        survivors = self.W[self.W @ a > 0]
        self.W = survivors[rng.integers(len(survivors), size=len(self.W))]
        slack = self.W @ self._A.T
        for move in range(moves):
            # Every other move in any direction, lest the sample stays flat.
            U = rng.standard_normal(self.W.shape)
            if move % 2:
                U = rng.standard_normal((len(U), len(U))) @ spread
            U /= np.linalg.norm(U, axis=1, keepdims=True)
            rates = U @ self._A.T
            t = rng.uniform(*self._chord(U, slack, rates))[:, None]
            self.W, slack = self.W + t * U, slack + t * rates

    def _chord(self, U: Floats, slack: Floats, rates: Floats) -> tuple[Floats, Floats]:
        """Return between which t, both (n,), every w + t u stays in the version space."""
        with np.errstate(divide="ignore"):
            ends = -slack / np.where(rates, rates, np.inf)
        low = np.where(rates > 0, ends, -np.inf).max(axis=1)
        high = np.where(rates < 0, ends, np.inf).min(axis=1)
        # The unit ball: |w|^2 + 2 t <w, u> + t^2 <= 1.
        half = np.einsum("ij,ij->i", self.W, U)
        root = np.sqrt(np.maximum(half**2 + 1 - (self.W**2).sum(axis=1), 0.0))
        low, high = np.maximum(low, -half - root), np.minimum(high, root - half)
        return np.minimum(low, 0.0), np.maximum(high, 0.0)


def _prior(domain: Domain, n: int, rng: Generator) -> Floats:
    """Draw n halfspaces: through the origin, or through random rows of the box."""
    W = rng.standard_normal((n, domain.width))
    if domain.geometry == "box":
        W = np.column_stack([W, -np.einsum("ij,ij->i", W, domain.encode(domain.sample(n, rng)))])
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    return W


def _with_one(domain: Domain, X: Floats) -> Floats:
    """Encode rows X (n, d), with a column of ones where halfspaces have an intercept."""
    Z = domain.encode(X)
    return Z if domain.geometry == "sphere" else np.column_stack([Z, np.ones(len(Z))])


def _surrogate(domain: Domain, w: Floats) -> LinearSurrogate:
    return LinearSurrogate(
        domain,
        w[None, : domain.width].copy(),
        w[domain.width :] if len(w) > domain.width else np.zeros(1),
    )


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register disagreement-based active learning."""
    register(Disagreement)
