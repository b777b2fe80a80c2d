"""The posterior of a direction on a sphere of a few dimensions, held by particles.

Sequential Monte Carlo (Del Moral, Doucet, Jasra, JRSS B 2006): an answer multiplies the weights of
the particles; as soon as half of them are worth nothing they are resampled, and moved by the mixed
preconditioned Crank-Nicolson kernel (Kamatani, Bernoulli 2018), whose heavy tails find what the
cloud has missed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.learners.particles import normalised, resampled

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
FlipLikelihood = Callable[[int, Counts], Floats]
"""Logarithm of the likelihood of n answers, of which so many (k,) were flipped; float64 (k,)."""

PARTICLES = 300

MOVED = 2.0
"""How often a particle is moved, on average, whenever the cloud is refreshed."""

MOST_MOVES = 40
"""Proposals a particle gets at most for that."""

STEP = 0.7
"""The share of a proposal that is drawn afresh."""

REACH = 10.0
"""Queries whose boundary is further from the cloud, in standard deviations, move no particle."""

RATES = np.square((np.arange(64) + 0.5) / 64) / 2
"""An unknown rho is integrated over these rates, denser towards 0."""

DECAY = 4.0
"""The prior of an unknown rho is proportional to exp(-DECAY rho).

Answers that halve the posterior say nothing of rho: the odds of all that is larger than rho, for
which w is hardly known, stay at what the prior gives them. The steeper it falls, the sooner w is
known where rho is small, and the more particles settle on chance patterns where it is large.
"""


class Block:
    """Particles s on a sphere of dimension m, and what they were asked.

    Attributes:
        frame: float64 (m + 1, d), orthonormal rows; the first is u_b.
        behind: how many axes are behind u_b.
        m: the dimension.
        weight: what the deviation counts for in the error of w.
        direction: float64 (m + 1,), the particles' mean, of length 1.
        deviation: the particles' standard deviation along an axis, in radians.
        answers: how many there were.
        violations: those that a particle goes against, on average.
        frozen: float64 (m + 1,), what s was taken for when the next block was opened.
    """

    def __init__(self, frame: Floats, behind: int, weight: float, rng: Generator) -> None:
        self.frame, self.behind, self.weight = frame, behind, weight
        self.m = len(frame) - 1
        self.answers, self.violations = 0, 0.0
        self._rng = rng
        # The first block has the whole sphere, any other the half where s_0 is positive.
        self._power = behind - 1
        S = rng.standard_normal((PARTICLES, self.m + 1))
        if self._power:
            S[:, 0] = np.sqrt(rng.chisquare(behind, PARTICLES))
        self._S = S / np.sqrt(np.square(S).sum(axis=1))[:, None]
        self._rows = np.empty((64, self.m + 1))
        self._wrong: Counts = np.zeros(PARTICLES, dtype=np.int64)
        self._restart()
        self.frozen = self.direction

    def query(self) -> Floats:
        """Return a row that halves the posterior, orthogonal to the mean but for that."""
        S, mean = self._S, self.direction
        if self._length < 0.3:
            a = self._rng.standard_normal(self.m + 1)
            x: Floats = a / sqrt(a @ a)
            return x
        i, j = self._rng.integers(PARTICLES, size=2)
        a = S[i] - S[j] + 1e-3 * self.deviation * self._rng.standard_normal(self.m + 1)
        a -= (a @ mean) * mean
        t = _median(S @ a / (S @ mean), self._weights)
        x = a - t * mean
        x /= sqrt(x @ x)
        return x

    def learn(self, row: Floats, likelihood: FlipLikelihood) -> None:
        """Learn that <s, row> is positive, unless that answer was flipped.

        Args:
            row: float64 (m + 1,).
            likelihood: of the answers, from how many there were and how many were flipped.
        """
        if self.answers == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self.answers] = row
        before = likelihood(self.answers, self._wrong)
        self.answers += 1
        self._wrong = self._wrong + (self._S @ row < 0)
        self._log_weights += likelihood(self.answers, self._wrong) - before
        self._weigh()
        if PARTICLES * (self._weights @ self._weights) > 2:
            self._refresh(likelihood)

    def chance(self, u: Floats, length: float) -> float:
        """Return the chance that <s, u> is more than ``length``."""
        return float(self._weights @ (self._S @ u > length))

    def _restart(self) -> None:
        self._log_weights = np.zeros(PARTICLES)
        self._weigh()

    def _weigh(self) -> None:
        self._weights = normalised(self._log_weights)
        self.violations = float(self._weights @ self._wrong)
        mean = self._weights @ self._S
        self._length = sqrt(mean @ mean)
        self.direction = mean / max(self._length, 1e-300)
        self.deviation = sqrt(self._weights @ np.square(self._S - mean).sum(axis=1) / self.m)

    def _refresh(self, likelihood: FlipLikelihood) -> None:
        """Resample the particles, and move them within the posterior.

        They are moved in the plane that touches the sphere at their mean, as long as they are all
        near it, else in R^(m+1) where every direction gets a length of its own.
        """
        P, rng, weights = PARTICLES, self._rng, self._weights
        near = self._S @ self.direction
        touching = self._length > 0.9 and near.min() > 0.05
        if touching:
            basis = np.linalg.svd(self.direction[None])[2][1:]
            Z, origin = self._S @ basis.T / near[:, None], self.direction
        else:
            lengths = np.sqrt(rng.chisquare(self.m + self.behind, P))
            basis = np.eye(self.m + 1)
            Z, origin = self._S * lengths[:, None], np.zeros(self.m + 1)
        centre = weights @ Z
        Z -= centre
        spread = (Z * weights[:, None]).T @ Z
        spread[np.diag_indices_from(spread)] *= 1 + 1e-9
        L = np.linalg.cholesky(spread)
        Y = np.linalg.solve(L, Z[resampled(weights, rng)].T).T
        origin, basis = origin + centre @ basis, L.T @ basis

        rows = self._rows[: self.answers]
        offsets, slopes = rows @ origin, rows @ basis.T
        distant = np.abs(offsets) > REACH * np.sqrt(np.square(slopes).sum(axis=1))
        settled = int((offsets[distant] < 0).sum())
        offsets, slopes = -offsets[~distant], np.ascontiguousarray(slopes[~distant].T)

        def posterior(Y: Floats) -> tuple[Floats, Counts, Floats]:
            """Return density over the kernel's, violations and particles, from whitened Y."""
            X = origin + Y @ basis
            violations = settled + (Y @ slopes < offsets).sum(axis=1)
            squares = np.square(X).sum(axis=1)
            if touching:
                density = -0.5 * (self.m + self.behind) * np.log(squares)
            else:
                density = -0.5 * squares
            if self._power:
                density += np.where(X[:, 0] > 0, self._power * np.log(np.abs(X[:, 0])), -np.inf)
            density += 0.5 * Y.shape[1] * np.log(np.square(Y).sum(axis=1))
            return density + likelihood(self.answers, violations), violations, X

        density, violations, X = posterior(Y)
        moved = 0.0
        for _ in range(MOST_MOVES):
            size = np.sqrt(np.square(Y).sum(axis=1) / rng.chisquare(Y.shape[1], P))
            noise = rng.standard_normal(Y.shape) * size[:, None]
            proposed = sqrt(1 - STEP**2) * Y + STEP * noise
            there = posterior(proposed)
            accepted = there[0] - density > -rng.standard_exponential(P)
            Y[accepted] = proposed[accepted]
            density[accepted] = there[0][accepted]
            violations[accepted] = there[1][accepted]
            X[accepted] = there[2][accepted]
            moved += accepted.mean()
            if moved > MOVED:
                break
        self._S = X / np.sqrt(np.square(X).sum(axis=1))[:, None]
        self._wrong = violations
        self._restart()


def flip_likelihood(rho: float | None, answers: int, flips: float) -> FlipLikelihood:
    """Return the likelihood of answers that are flipped with chance rho.

    Args:
        rho: in (0, 1/2); None: it is integrated out.
        answers: how many others there were.
        flips: how many of those were flipped.
    """
    if rho is not None:
        penalty = log((1 - rho) / rho)

        def known(n: int, flipped: Counts) -> Floats:
            likelihood: Floats = -penalty * flipped.astype(np.float64)
            return likelihood

        return known
    odds = np.log(RATES / (1 - RATES))
    # A rate stands for the interval around it, whose length grows as its square root.
    base: Floats = 0.5 * np.log(RATES) - DECAY * RATES + answers * np.log1p(-RATES) + flips * odds

    def integrated(n: int, flipped: Counts) -> Floats:
        least = int(flipped.min())
        counts = np.arange(least, int(flipped.max()) + 1)
        exponents = base + n * np.log1p(-RATES) + counts[:, None] * odds
        largest: Floats = exponents.max(axis=1)
        shares: Floats = np.exp(exponents - largest[:, None]).sum(axis=1)
        return (largest + np.log(shares))[flipped - least]

    return integrated


def _median(z: Floats, weights: Floats) -> float:
    """Return the weighted median of z (n,)."""
    order = z.argsort()
    k = int(weights[order].cumsum().searchsorted(0.5))
    k = min(max(k, 1), len(z) - 1)
    return float(z[order[k - 1]] + z[order[k]]) / 2
