"""Active probit: queries on the estimated boundary, a Bayesian probit fit to all answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import log_ndtr

from arena import REFUSED, Attack, Domain, LinearSurrogate, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

PART = 128
"""A batch is about this part of what is spent: fits cost less than a query, and none leaps far."""

LEAST = 1e-10
"""The least precision of the prior: answers without noise would bring it to 0."""

PRECISION = 1e-3
"""Newton steps end when the next would raise the log posterior by less than this."""

CANDIDATES = 16
"""In a box, rows drawn for every row that is asked; free of charge."""


class ActiveProbit(Attack):
    """Active probit regression: asks where the estimate is undecided, whatever the noise.

    Against answers by a fresh w ~ N(mu, Sigma), Pr[y = 1 | x] = Phi(<mu, x> / sqrt(x' Sigma x)). A
    row tells most of the direction of mu where that is 1/2, which is on <mu, x> = 0 whatever Sigma:
    asked there, a model Phi(<theta, x>) of another Sigma is consistent. In R^d every batch is an
    orthonormal basis of the hyperplane <theta, x> = 0, so that all directions are learned alike; in
    a box it is rows between random ones of opposite predicted labels. theta is the mode under a
    prior N(0, I / alpha), alpha by its evidence. Against flips at a constant rate, and against
    noise on scores, it is a sound learner too, if not the best: the boundary is where it was.
    """

    name: ClassVar[str] = "active-probit"
    reference: ClassVar[str] = (
        "this arena, against Chandrasekaran et al., USENIX Security 2020, Example 6; evidence: "
        "MacKay, Neural Computation 4(5), 1992"
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield the estimate at every checkpoint."""
        domain = oracle.knowledge.domain
        fit = Probit(domain.width if domain.identity_encoded else domain.width + 1)
        if oracle.checkpoint_due:
            yield surrogate(domain, fit.theta)
        while oracle.remaining:
            X = on_boundary(domain, fit.theta, max(1, oracle.spent // PART), rng)
            X = X[: oracle.remaining]
            fit.learn(_augmented(domain, X), _labels(oracle, X))
            if oracle.checkpoint_due:
                yield surrogate(domain, fit.theta)


class Probit:
    """The mode of theta under Pr[y = 1 | x] = Phi(<theta, x>) and theta ~ N(0, I / alpha).

    Attributes:
        theta: float64 (p,); 0 before the first answer.
        alpha: the prior's precision.
    """

    def __init__(self, p: int) -> None:
        self.theta: Floats = np.zeros(p)
        self.alpha = 1.0
        self._rows: Floats = np.empty((0, p))
        self._n = 0

    def learn(self, X: Floats, y: Labels) -> None:
        """Add rows X (n, p) and their labels y (n,), refit, and update alpha.

        Refused rows are left out.
        """
        answered = y != REFUSED
        self._append(np.where(y[answered, None] == 1, 1.0, -1.0) * X[answered])
        inverse = np.linalg.inv(self._refit())
        # MacKay's fixed point with a Gamma(1/2, 1/2) prior, which keeps it finite at theta = 0.
        determined = len(self.theta) - self.alpha * float(np.trace(inverse))
        alpha = (1 + determined) / (1 + float(self.theta @ self.theta))
        self.alpha = max(alpha, LEAST)

    def _append(self, rows: Floats) -> None:
        need = self._n + len(rows)
        if need > len(self._rows):
            grown = np.empty((max(need, 2 * len(self._rows)), len(self.theta)))
            grown[: self._n] = self._rows[: self._n]
            self._rows = grown
        self._rows[self._n : need] = rows
        self._n = need

    def _refit(self) -> Floats:
        """Climb to the mode by Newton's method from where theta is; return the Hessian."""
        A, theta = self._rows[: self._n], self.theta
        value, gradient, H = self._posterior(A, theta)
        while True:
            step = np.linalg.solve(H, gradient)
            gain = float(gradient @ step)
            if gain < PRECISION:
                self.theta = theta + step
                return H
            new = self._posterior(A, theta + step)
            while not new[0] > value:
                step /= 2
                if (theta + step == theta).all():
                    # Separable labels: floating point tells no better from worse.
                    self.theta = theta
                    return H
                new = self._posterior(A, theta + step)
            theta = theta + step
            value, gradient, H = new

    def _posterior(self, A: Floats, theta: Floats) -> tuple[float, Floats, Floats]:
        """Return the log posterior, its gradient and its negative Hessian; rows A carry signs."""
        t = A @ theta
        log_p = log_ndtr(t)
        hazard = np.exp(-t * t / 2 - log_p) / np.sqrt(2 * np.pi)
        curvature = hazard * (hazard + t)
        H = (A * curvature[:, None]).T @ A
        H.flat[:: len(theta) + 1] += self.alpha
        value = float(log_p.sum()) - self.alpha / 2 * float(theta @ theta)
        return value, hazard @ A - self.alpha * theta, H


def on_boundary(domain: Domain, theta: Floats, least: int, rng: Generator) -> Floats:
    """Draw raw rows on or near <theta, x> = 0, at least ``least`` of them, float64 (n, d)."""
    d = domain.d
    if domain.identity_encoded:
        bases = [_basis(theta, rng) for _ in range(-(-least // max(1, d - 1)))]
        return np.concatenate(bases)
    return _between(domain, theta, max(least, d), rng)


def _basis(theta: Floats, rng: Generator) -> Floats:
    """Draw an orthonormal basis of what is orthogonal to theta (d,): all of R^d if that is 0."""
    M = rng.standard_normal((len(theta), len(theta)))
    if len(theta) == 1 or not theta.any():
        return np.linalg.qr(M)[0]
    M[:, 0] = theta
    return np.ascontiguousarray(np.linalg.qr(M)[0][:, 1:].T)


def _between(domain: Domain, theta: Floats, n: int, rng: Generator) -> Floats:
    """Draw n rows where the prediction changes between random rows of the box."""
    X = domain.sample(CANDIDATES * n, rng)
    score = _augmented(domain, X) @ theta
    ahead, behind = X[score > 0], X[score <= 0]
    if not len(ahead) or not len(behind):
        return X[np.argsort(np.abs(score))[:n]]
    A = ahead[rng.integers(len(ahead), size=n)]
    B = behind[rng.integers(len(behind), size=n)]
    switch = rng.random(A.shape)
    low, high = np.zeros(n), np.ones(n)
    for _ in range(20):
        t = (low + high) / 2
        before = _augmented(domain, domain.between(A, B, t, switch)) @ theta > 0
        low, high = np.where(before, t, low), np.where(before, high, t)
    return domain.between(A, B, high, switch)


def _augmented(domain: Domain, X: Floats) -> Floats:
    """Encode raw rows (n, d); outside R^d a column of ones is added for the intercept."""
    Z = domain.encode(X)
    return Z if domain.identity_encoded else np.column_stack([Z, np.ones(len(Z))])


def _labels(oracle: Oracle, X: Floats) -> Labels:
    labels = oracle.ask(X).label
    if labels is None:
        raise ValueError("active-probit learns from labels, and the oracle reveals none")
    return labels


def surrogate(domain: Domain, theta: Floats) -> LinearSurrogate:
    """Make the halfspace of theta, over the encoded rows and, outside R^d, a one."""
    coef = theta[None, : domain.width].copy()
    return LinearSurrogate(domain, coef, np.append(theta, 0.0)[[domain.width]])


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register active probit regression."""
    register(ActiveProbit)
