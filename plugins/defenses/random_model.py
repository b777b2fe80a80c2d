"""Random models: every answer by a halfspace drawn afresh from a learned Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtri

from arena import FIELDS, Answer, ArenaError, Defense, Domain, Session, Victim, affine, hookimpl

Floats = NDArray[np.float64]

Covariance = Literal["full", "diagonal"]
Mean = Literal["model", "learned"]

MOST_STEPS = 20_000
"""Steps of L-BFGS; at most 2,000 were ever needed (C up to 1e4, five data sets)."""


class RandomModel(Defense):
    """Each query is answered by a fresh halfspace w ~ N(mu, Sigma), all of which predict well.

    Learned by convex optimisation on the target's natural training rows x_i, labelled y_i by the
    target itself: with Sigma = L L' and kappa the quantile of ``reliability``, minimise over mu and
    a lower-triangular L

        E||w||^2 / 2 - log det L + C mean_i max(0, 1 + kappa ||L' x_i|| - y_i <mu, x_i>)^2.

    That is the largest entropy and the smallest weights for which a draw labels a row as the target
    does, a unit clear of its boundary, with the chance ``reliability``; C is the price of falling
    short of it. A large C separates natural rows well and leaves less noise. The publication's own
    programme is a semidefinite one with the same ingredients; this one is ours. ``mean: model``
    keeps mu at the target's direction, so that what is defended is what is measured; ``learned``
    moves it too, as published. ``sigma`` sets Sigma = (sigma ||mu||)^2 I instead.
    """

    name = "random-model"
    reference = (
        "Alabdulmohsin, Gao, Zhang, CIKM 2014; Chandrasekaran et al., USENIX Security 2020, "
        "Example 6 and section 6.1"
    )
    hides: ClassVar[frozenset[str]] = frozenset(FIELDS) - {"label", "score"}
    alters: ClassVar[frozenset[str]] = frozenset({"label", "score"})
    families: ClassVar[frozenset[str]] = frozenset({"halfspace"})

    C: float = Field(
        default=100.0,
        gt=0,
        le=1e6,
        description="separation: the price of natural rows that draws disagree on",
    )
    covariance: Covariance = Field(default="full", description="the shape of a learned Sigma")
    mean: Mean = Field(default="model", description="mu: the target's direction, or learned")
    reliability: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="the chance with which a draw is to label a natural row as the target does",
    )
    sigma: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="the standard deviation of every weight, in parts of ||mu||; null: learned",
    )
    draw: Literal["query", "match"] = Field(
        default="query", description="a fresh w for every query, or one for the whole match"
    )

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that draws from ``rng``, one number a row.

        Raises:
            ValueError: the victim is no halfspace with ``coef`` and ``intercept``.
            ArenaError: the optimisation failed.
        """
        if not {"coef", "intercept"} <= victim.parameters.keys():
            raise ValueError("random-model needs a victim with the parameters coef and intercept")
        own = _weights(victim)
        if not own.any():
            raise ValueError("random-model needs weights that are not all 0")
        mu, L = self._gaussian(victim, own)
        if self.draw == "match":
            mu, L = mu + L @ rng.standard_normal(len(mu)), np.zeros_like(L)
        return _Drawn(victim.domain, own[None], mu[None], np.ascontiguousarray(L.T), rng)

    def _gaussian(self, victim: Victim, own: Floats) -> tuple[Floats, Floats]:
        """Return mu (p,) and L (p, p), scaled so that mu is as long as the target's weights."""
        length = float(np.linalg.norm(own))
        if self.sigma is not None:
            return own, self.sigma * length * np.eye(len(own))
        natural = victim.natural
        rows = _augmented(victim.domain, natural.X[~natural.held_out])
        mu, L = _learned(
            rows.tobytes(), own.tobytes(), self.C, float(ndtri(self.reliability)),
            self.covariance, self.mean,
        )  # fmt: skip
        scale = length / float(np.linalg.norm(mu))
        return mu * scale, L * scale


@dataclass(frozen=True)
class _Drawn:
    """Answers by draws.

    Attributes:
        domain: encodes the rows.
        own: the target's weights, float64 (1, p).
        mu: float64 (1, p).
        Lt: L', float64 (p, p).
        rng: of the draws.
    """

    domain: Domain
    own: Floats
    mu: Floats
    Lt: Floats
    rng: Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Answer raw rows X (n, d), each by a draw of its own.

        <w, x> is drawn as N(<mu, x>, ||L' x||^2), which is its law for a fresh w.
        """
        x = _augmented(self.domain, X)
        spread = np.sqrt(np.square(affine(x, self.Lt, np.zeros(len(self.Lt)))).sum(axis=1))
        score = _product(x, self.mu) + spread * self.rng.standard_normal(len(x))
        return answer.rescored(_product(x, self.own), score)


def _product(x: Floats, w: Floats) -> Floats:
    return affine(x, w, np.zeros(1))[:, 0]


def _weights(victim: Victim) -> Floats:
    """Return the target's weights over augmented rows, float64 (p,)."""
    coef, intercept = victim.parameters["coef"], victim.parameters["intercept"]
    if victim.domain.identity_encoded:
        return np.array(coef)
    return np.append(coef, intercept)


def _augmented(domain: Domain, X: Floats) -> Floats:
    """Encode raw rows (n, d); outside R^d a column of ones is added for the intercept."""
    Z = domain.encode(X)
    return Z if domain.identity_encoded else np.column_stack([Z, np.ones(len(Z))])


@lru_cache(maxsize=8)
def _learned(
    rows: bytes, weights: bytes, C: float, kappa: float, covariance: Covariance, mean: Mean
) -> tuple[Floats, Floats]:
    """Learn mu (p,) and L (p, p) on rows (n, p), given as bytes so that a result is kept.

    Every match on a target opens two sessions, and the optimum is the same for all.
    """
    from scipy.optimize import minimize

    w = np.frombuffer(weights) / np.linalg.norm(np.frombuffer(weights))
    x = np.frombuffer(rows).reshape(-1, len(w))
    direction = w[:, None] if mean == "model" else np.eye(len(w))
    problem = _Problem(x, np.where(x @ w > 0, 1.0, -1.0), direction, C, kappa, covariance)
    best = minimize(
        problem.loss,
        problem.start(w),
        jac=True,
        method="L-BFGS-B",
        bounds=problem.bounds,
        options={"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS},
    )
    mu, L = problem.unpacked(best.x)
    if best.nit >= MOST_STEPS or not np.linalg.norm(direction @ mu) > 0:
        raise ArenaError(f"random-model found no distribution of halfspaces: {best.message}")
    return direction @ mu, L


class _Problem:
    """The convex programme over the coordinates of mu, then the free entries of L."""

    def __init__(
        self, x: Floats, y: Floats, direction: Floats, C: float, kappa: float, shape: Covariance
    ) -> None:
        self._x, self._C, self._kappa = x, C, kappa
        self._margins: Floats = (y[:, None] * x) @ direction
        p = x.shape[1]
        self._k = direction.shape[1]
        self._entries = np.tril_indices(p) if shape == "full" else np.diag_indices(p)
        self._diagonal = self._entries[0] == self._entries[1]

    @property
    def bounds(self) -> list[tuple[float | None, None]]:
        """Keep the diagonal of L positive."""
        entries = [(1e-9 if d else None, None) for d in self._diagonal]
        return [(None, None)] * self._k + entries

    def start(self, w: Floats) -> Floats:
        """Start at the target's own direction with little noise."""
        mu = np.ones(1) if self._k == 1 else w
        return np.append(mu, np.where(self._diagonal, 0.1, 0.0))

    def unpacked(self, v: Floats) -> tuple[Floats, Floats]:
        """Split variables into the coordinates of mu (k,) and L (p, p)."""
        L = np.zeros((self._x.shape[1],) * 2)
        L[self._entries] = v[self._k :]
        return v[: self._k], L

    def loss(self, v: Floats) -> tuple[float, Floats]:
        """Return the loss at v, and its gradient."""
        m, L = self.unpacked(v)
        entries, n = v[self._k :], len(self._x)
        Y = self._x @ L
        spread = np.sqrt(np.square(Y).sum(axis=1) + 1e-18)
        short = np.maximum(0.0, 1.0 + self._kappa * spread - self._margins @ m)
        pull = 2 * self._C / n * short
        value = (m @ m + entries @ entries) / 2 - np.log(entries[self._diagonal]).sum()
        to_L = self._kappa * (self._x * (pull / spread)[:, None]).T @ Y
        by_entry = to_L[self._entries] + entries
        by_entry[self._diagonal] -= 1 / entries[self._diagonal]
        gradient = np.append(m - self._margins.T @ pull, by_entry)
        return float(value + self._C / n * (short @ short)), gradient


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register random models."""
    register(RandomModel)
