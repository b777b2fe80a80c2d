"""The joint posterior of an affine halfspace over the realisable rows of a box.

Weights and intercept are normal a priori; an answer multiplies the density by 1 - rho or rho. The
posterior is held by particles (sequential Monte Carlo; Del Moral, Doucet, Jasra, JRSS B 2006) that
are moved by slice sampling (Neal, Annals of Statistics 2003) along differences of other particles,
so that a move costs no product with the queries. The next query is a row on the mean's boundary
that the particles disagree on most: with rho = 0 each answer halves the version space (query by
committee; Gilad-Bachrach, Navot, Tishby, NIPS 2005). Only realisable rows are asked, whatever the
features are.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.domain import Domain
from arena.learners.particles import normalised, resampled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PARTICLES = 400

MOVES, MOST_MOVES = 3, 100
"""How often a particle is moved a weight, and at most, whenever the cloud is refreshed.

A cloud that is moved less shrinks faster than what it stands for. With 20 moves 64 weights were
never learned, and 20 weights took a third more queries.
"""

DEPLETED = 0.2
"""The cloud is refreshed when its effective size is below this share."""

BRACKET = 4.0
"""First length of a slice, in root mean squares of a particle's coordinates along it."""

SHRINKS = 12
"""How often a slice is shrunk at most."""

REACH = 8.0
"""Queries whose boundary is further from the cloud, in standard deviations, move no particle."""

CANDIDATES = 16

DEPTH = 12
"""Halvings of the way between a candidate's ends; only where categories or integers are on it."""

FLIPS, ANSWERS = 1.0, 10.0
"""An unknown rho starts as if so many of so many answers had been flipped."""

SURE = 700.0
"""What a particle loses by an answer against it where labels are never flipped."""

FINEST = 1e-12
"""Halfspaces are not told apart further than this."""


class BoxPosterior:
    """Particles of (weights, intercept) over encoded rows, each of length 1.

    Attributes:
        rho: the chance that a label is flipped, as known or as estimated so far.
    """

    def __init__(self, domain: Domain, rng: Generator, rho: float | None) -> None:
        """Draw the prior.

        Args:
            domain: a box.
            rng: moves the particles, and draws the candidates.
            rho: the chance that a label is flipped, in [0, 1/2); None: learned.
        """
        self.rho = FLIPS / ANSWERS if rho is None else rho
        self._learned = rho is None
        self._domain, self._rng = domain, rng
        # The boundary meets the box, at about its side times sqrt(width) from the centre.
        self._scale = np.append(np.ones(domain.width), sqrt(domain.width))
        self._moves = min(MOVES * (domain.width + 1), MOST_MOVES)
        W = rng.standard_normal((PARTICLES, domain.width + 1)) * self._scale
        self._W = W / np.sqrt(np.square(W).sum(axis=1))[:, None]
        self._rows, self._n = np.empty((64, domain.width + 1)), 0
        self._violations = 0.0
        self._restart()

    @property
    def exact(self) -> bool:
        """Whether the halfspace is known as well as floating point can tell."""
        return 1 - float(self.mean @ self.mean) < FINEST**2

    def query(self) -> Floats:
        """Return the raw row to ask next, float64 (1, d)."""
        X = self._boundary_rows()
        rows = _homogeneous(self._domain.encode(X))
        margins = rows @ self._W.T
        centre = margins @ self._weights
        variance = np.square(margins) @ self._weights - np.square(centre)
        positive = (margins > 0) @ self._weights
        worth = variance / np.square(rows).sum(axis=1) * np.minimum(positive, 1 - positive)
        best: Floats = X[[worth.argmax()]]
        return best

    def extreme(self, positive: bool) -> Floats:
        """Return the raw row, float64 (1, d), that a particle is surest to be of a label."""
        weights = self._W[self._rng.choice(PARTICLES, p=self._weights), :-1]
        return extremes(self._domain, weights)[int(positive)][None]

    def learn(self, X: Floats, positive: bool) -> None:
        """Learn the label of the raw row X (1, d)."""
        row = _homogeneous(self._domain.encode(X))[0]
        if self._n == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._n] = row if positive else -row
        wrong = self._W @ self._rows[self._n] < 0
        self._n += 1
        self._log_weights -= self._penalty * wrong
        self._weigh()
        self._violations += float(self._weights @ wrong)
        if PARTICLES * (self._weights @ self._weights) > 1 / DEPLETED:
            self._refresh()
        if self._learned:
            self.rho = min(max((FLIPS + self._violations) / (ANSWERS + self._n), 1e-4), 0.49)

    @property
    def _penalty(self) -> float:
        return log((1 - self.rho) / self.rho) if self.rho else SURE

    def _restart(self) -> None:
        self._log_weights = np.zeros(PARTICLES)
        self._weigh()

    def _weigh(self) -> None:
        self._weights = normalised(self._log_weights)
        self.mean: Floats = self._weights @ self._W
        """The estimate of weights and intercept, float64 (width + 1,)."""

    def _boundary_rows(self) -> Floats:
        """Draw realisable rows where the mean's margin is about 0, float64 (CANDIDATES, d)."""
        domain, rng = self._domain, self._rng
        weights, intercept = self.mean[:-1], self.mean[-1]

        def margin(X: Floats) -> Floats:
            margins: Floats = domain.encode(X) @ weights + intercept
            return margins

        low, high = extremes(domain, weights)
        if margin(low[None])[0] > 0 or margin(high[None])[0] < 0:
            # No row is on it. A flipped label may be why, and any corner may tell.
            return corners(domain, rng.random(CANDIDATES), rng)
        ends = []
        for extreme, sign in ((low, -1.0), (high, 1.0)):
            X = domain.sample(CANDIDATES, rng)
            X = np.where(rng.random(X.shape) < rng.random((CANDIDATES, 1)), extreme, X)
            ends.append(np.where((sign * margin(X) > 0)[:, None], X, extreme))
        A, B = ends
        a, b = margin(A), margin(B)
        if not domain.discrete.any():
            t = np.clip(a / np.minimum(a - b, -1e-300), 0.0, 1.0)
            return domain.clip(A + t[:, None] * (B - A))
        switch = rng.random(A.shape)
        lower, upper = np.zeros(CANDIDATES), np.ones(CANDIDATES)
        for _ in range(DEPTH):
            t = (lower + upper) / 2
            below = margin(domain.between(A, B, t, switch)) < 0
            lower, upper = np.where(below, t, lower), np.where(below, upper, t)
        return domain.between(A, B, upper, switch)

    def _refresh(self) -> None:
        """Resample the particles, and move them within the posterior."""
        P, rng, scale = PARTICLES, self._rng, self._scale
        others = self._W
        margins = others @ self._rows[: self._n].T
        centre = self._weights @ margins
        spread = np.sqrt(np.maximum(self._weights @ np.square(margins) - np.square(centre), 0.0))
        close = np.abs(centre) <= REACH * spread
        settled = int((centre[~close] < 0).sum())
        penalty = self._penalty
        chosen = resampled(self._weights, rng)
        # A direction's length is free: drawn from the prior, and given to directions of moves too.
        lengths = sqrt(self._W.shape[1]) / np.sqrt(np.square(others / scale).sum(axis=1))
        others, around = others * lengths[:, None], margins[:, close] * lengths[:, None]
        drawn = np.sqrt(rng.chisquare(self._W.shape[1], P) / self._W.shape[1])[:, None]
        W, M = others[chosen] * drawn, around[chosen] * drawn

        def density(W: Floats, M: Floats) -> Floats:
            log: Floats = -0.5 * np.square(W / scale).sum(axis=1) - penalty * (M < 0).sum(axis=1)
            return log

        now = density(W, M)
        for _ in range(self._moves):
            a, b, c, e = rng.integers(P, size=(4, P))
            dW = others[a] - others[b] + others[c] - others[e]
            dM = around[a] - around[b] + around[c] - around[e]
            level = now - rng.standard_exponential(P)
            upper = BRACKET / sqrt(4 * W.shape[1]) * rng.random(P)
            lower = upper - BRACKET / sqrt(4 * W.shape[1])
            left = np.arange(P)
            for _ in range(SHRINKS):
                t = lower + (upper - lower) * rng.random(len(left))
                proposed = W[left] + t[:, None] * dW, M[left] + t[:, None] * dM
                there = density(*proposed)
                inside = there > level
                rows = left[inside]
                W[rows], M[rows] = proposed[0][inside], proposed[1][inside]
                now[rows] = there[inside]
                lower, upper = np.where(t < 0, t, lower), np.where(t < 0, upper, t)
                out = ~inside
                left, lower, upper, level = left[out], lower[out], upper[out], level[out]
                dW, dM = dW[out], dM[out]
                if not left.size:
                    break
        self._violations = float((M < 0).sum(axis=1).mean()) + settled
        self._W = W / np.sqrt(np.square(W).sum(axis=1))[:, None]
        self._restart()


def corners(domain: Domain, shares: Floats, rng: Generator) -> Floats:
    """Draw raw rows whose numbers are at bounds of the box, float64 (n, d).

    Args:
        domain: the box.
        shares: float64 (n,), of the numbers that are at their upper bound, on average.
        rng: draws.
    """
    X = domain.sample(len(shares), rng)
    numbers = np.setdiff1d(np.arange(domain.d), domain.categorical)
    up = rng.random((len(shares), len(numbers))) < shares[:, None]
    X[:, numbers] = np.where(up, domain.high[numbers], domain.low[numbers])
    return X


def extremes(domain: Domain, weights: Floats) -> tuple[Floats, Floats]:
    """Return the rows of least and of largest margin for weights (width,), float64 (d,) each."""
    low, high = np.empty(domain.d), np.empty(domain.d)
    start = 0
    for j, feature in enumerate(domain.features):
        w = weights[start : start + feature.width]
        start += feature.width
        if feature.kind == "categorical":
            low[j], high[j] = w.argmin(), w.argmax()
        elif feature.edges:
            bounds = (feature.low, *feature.edges)
            low[j], high[j] = bounds[w.argmin()], bounds[w.argmax()]
        else:
            ends = (feature.low, feature.high)
            low[j], high[j] = ends if w[0] > 0 else ends[::-1]
    if domain.discrete.any():
        return domain.project(low), domain.project(high)
    return low, high


def _homogeneous(Z: Floats) -> Floats:
    """Append the intercept's column to encoded rows (n, width)."""
    return np.column_stack([Z, np.ones(len(Z))])
