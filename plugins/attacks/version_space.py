"""Version space approximation: the largest ellipsoid of consistent normals, cut in halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import REFUSED, Attack, LinearSurrogate, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]

_SMALLEST = 2.0**-500
"""A query refused down to this length is not answered at any."""

_ALIKE = 64
"""So many equal answers to halving queries come from no halfspace, but by a chance of 2^-64."""

_SUPPORT = 1e-5
"""A constraint of less weight than this does not touch the ellipsoid."""

_RETURNED = 0.1
"""The weight of a constraint that turns out to touch it after all."""


class VersionSpace(Attack):
    """Version space approximation: cuts the largest ellipsoid of consistent normals in halves.

    The normals consistent with the answers are a cone. Each round finds the largest ellipsoid in it
    whose centre mu is in the unit ball, asks the unit x orthogonal to mu along which the ellipsoid
    is longest, and proposes mu. No answer may be wrong. Starts with a random orthonormal basis,
    along which an ellipsoid that is not yet bounded is longest; a refused query is asked again at
    half its length, which leaves its label as it is. Targets are halfspaces through the origin.

    The ellipsoid is the full one. The authors' published routine restricts it to the axes and
    hands it to a conic solver: that took as many queries in R^13 (123 to 132 at an error of 1e-3)
    and failed numerically near 3e-4. A sequential Gaussian approximation of the version space,
    which forgets the shape of earlier answers, takes a third more.
    """

    name: ClassVar[str] = "version-space"
    reference: ClassVar[str] = (
        "Alabdulmohsin, Gao, Zhang, AAAI 2015; "
        "Chandrasekaran et al., USENIX Security 2020, Example 4 and Figure 3"
    )
    families: ClassVar[frozenset[str]] = frozenset({"homogeneous-halfspace"})

    tolerance: float = Field(
        default=0.1,
        ge=1e-3,
        le=1,
        description="how far the ellipsoid may stick out of the cone, squared, in parts of itself",
    )
    precision: float = Field(
        default=1e-9,
        ge=1e-12,
        lt=1,
        description="half the length of the longest axis at which the attack ends",
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint.

        Raises:
            ValueError: the target is not a halfspace through the origin, or refuses to answer.
        """
        domain = oracle.knowledge.domain
        if domain.geometry != "sphere":
            raise ValueError("version-space learns halfspaces through the origin of R^d only")
        basis = np.linalg.qr(rng.standard_normal((domain.d, domain.d)))[0].T
        ellipsoid = LargestEllipsoid(basis, self.tolerance)
        signs: list[int] = []
        while True:
            x, half_axis = ellipsoid.longest_axis()
            ending = half_axis < self.precision or not oracle.remaining
            if ending or oracle.checkpoint_due:
                yield _surrogate(oracle, ellipsoid.mu)
            if ending:
                return
            signs.append(_sign(oracle, x))
            if abs(sum(signs)) == len(signs) == _ALIKE:
                yield LinearSurrogate(domain, np.zeros((1, domain.d)), np.array([float(signs[0])]))
                return
            ellipsoid.cut(signs[-1] * x)


class LargestEllipsoid:
    """The largest ellipsoid {mu + S v: |v| <= 1} in a cone {w: <a_i, w> >= 0 for all i}, |mu| = 1.

    At the optimum there are weights lambda_i >= 0 of sum d, positive only where a constraint
    touches, such that with z_i = a_i / <a_i, mu> and Sigma = S S'

        Sigma^-1 = sum lambda_i z_i z_i',   <z_i, Sigma z_i> <= 1,   d mu = sum lambda_i z_i.

    The last says that mu is the analytic centre of the weighted constraints, found by Newton's
    method; in turn lambda_i is multiplied by <z_i, Sigma z_i>, as for D-optimal designs. Warm from
    the ellipsoid before, that takes about 7 sweeps at d = 64. Along mu, Sigma is 1/d; the rest is
    computed in coordinates across mu, well-conditioned however narrow the cone is.

    Attributes:
        mu: float64 (d,), the centre.
    """

    def __init__(self, basis: Floats, tolerance: float) -> None:
        """Start unbounded along every row of an orthonormal basis (d, d)."""
        self._d = len(basis)
        self._basis = basis
        self._A = np.empty((0, self._d))
        self._weights = np.empty(0)
        self._tolerance = tolerance
        self._Sigma = np.eye(self._d - 1) / self._d
        self.mu: Floats = basis[0].copy()

    def longest_axis(self) -> tuple[Floats, float]:
        """Return the unit x (d,) orthogonal to mu that is longest, and half its length."""
        cuts = len(self._A)
        if cuts < self._d:
            return self._basis[cuts], np.inf
        if self._d == 1:
            return self.mu, 0.0
        squares, axes = np.linalg.eigh(self._Sigma)
        return _across(self.mu) @ axes[:, -1], float(np.sqrt(squares[-1]))

    def cut(self, a: Floats) -> None:
        """Demand ``<a, w> >= 0`` of all w in the cone; a (d,) is a longest axis, or opposite."""
        bounded = len(self._A) >= self._d
        self._A = np.vstack([self._A, a])
        self._weights = np.append(self._weights, 1.0)
        if bounded:
            N = _across(self.mu)
            toward = self._Sigma @ (a @ N)
            self._move(N @ toward / (2 * np.sqrt(a @ N @ toward)))
            self._fit()
        else:
            # Orthonormal constraints: their analytic centre is their mean.
            self.mu = self._A.sum(axis=0) / np.sqrt(len(self._A))

    def _fit(self) -> None:
        touching = np.ones(1, dtype=bool)
        while touching.any():
            active = self._weights > 0
            weights = self._sweep(self._A[active], self._weights[active])
            self._weights[active] = np.where(weights > _SUPPORT, weights, 0.0)
            # A constraint that was left out may touch the ellipsoid after all.
            touching = self._reach(self._slopes(self._A)) > 1 + 2 * self._tolerance
            self._weights[touching] = _RETURNED

    def _sweep(self, A: Floats, weights: Floats) -> Floats:
        """Improve the weights of the rows of A until no row sticks out; set mu and Sigma."""
        while True:
            weights = weights * (self._d / weights.sum())
            T = self._centre(A, weights)
            self._Sigma[:] = np.linalg.inv((T.T * weights) @ T)
            reach = self._reach(T)
            if reach.max() <= 1 + self._tolerance:
                return weights
            weights = weights * reach

    def _centre(self, A: Floats, weights: Floats) -> Floats:
        """Move mu to the analytic centre of the weighted rows of A; return their slopes there.

        Minimises ``d log |mu| - sum weights_i log <a_i, mu>``.
        """
        while True:
            T = self._slopes(A)
            gradient = -(weights @ T)
            step = np.linalg.solve((T.T * weights) @ T + self._d * np.eye(self._d - 1), gradient)
            # The reach is then off by about two thirds of the tolerance.
            if gradient @ step < self._tolerance**2 / 10:
                return T
            # No row loses more than nine tenths of its slack.
            step *= min(1.0, 0.9 / np.abs(T @ step).max())
            self._move(-_across(self.mu) @ step)

    def _slopes(self, A: Floats) -> Floats:
        """Return the z_i of the rows of A across mu, float64 (n, d - 1)."""
        slopes: Floats = A @ _across(self.mu) / (A @ self.mu)[:, None]
        return slopes

    def _reach(self, T: Floats) -> Floats:
        """Return ``<z_i, Sigma z_i>`` by slope, float64 (n,): above 1, the ellipsoid sticks out."""
        reach: Floats = 1 / self._d + np.einsum("ij,ij->i", T @ self._Sigma, T)
        return reach

    def _move(self, step: Floats) -> None:
        moved: Floats = self.mu + step
        moved /= np.linalg.norm(moved)
        self.mu = moved


def _across(mu: Floats) -> Floats:
    """Return an orthonormal basis of what is orthogonal to the unit mu (d,), float64 (d, d - 1)."""
    v = mu.copy()
    v[0] += np.copysign(1.0, v[0])
    return (np.eye(len(mu)) - np.outer(v, v * (2 / (v @ v))))[:, 1:]


def _sign(oracle: Oracle, x: Floats) -> int:
    """Ask x (d,) until it is answered, shorter and shorter; return +1 for class 1, else -1.

    Raises:
        ValueError: the oracle reveals no labels, or refuses x at any length.
    """
    while np.abs(x).max() > _SMALLEST:
        labels = oracle.ask(x[None]).label
        if labels is None:
            raise ValueError("version-space learns from labels, and the oracle reveals none")
        if labels[0] != REFUSED:
            return 1 if labels[0] == 1 else -1
        x = x / 2
    raise ValueError("the server refuses a query of version-space at any length")


def _surrogate(oracle: Oracle, mu: Floats) -> LinearSurrogate:
    return LinearSurrogate(oracle.knowledge.domain, mu[None].copy(), np.zeros(1))


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the version space approximation."""
    register(VersionSpace)
