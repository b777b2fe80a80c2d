"""Outlier refusal: what cannot be natural is not answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import solve_triangular

from arena import FIELDS, Answer, Defense, Domain, Session, Victim, affine, hookimpl

Floats = NDArray[np.float64]

RIDGE = 1e-6
"""Added to the covariance, in parts of its mean variance: what no natural row does stands out."""

FOLDS = 10
"""Every natural row is measured against the others without its fold."""


class Hotelling(Defense):
    """Refuses a query that lies farther from the natural rows than honest ones do.

    The distance is Hotelling's T^2 of the single encoded row against the natural training rows,
    (z - m)' S^-1 (z - m). Its limit is calibrated on these rows and not by the F distribution, as
    natural rows are hardly ever normal: each is measured against the rows of the other folds, and
    the limit is the (1 - alpha) quantile of that. An attacker can keep within it: a halfspace
    through the origin of R^d answers x and x / 1000 alike, and x / 1000 is beside the mean.
    """

    name = "hotelling"
    reference = "Chandrasekaran et al., USENIX Security 2020, appendix A.3.2"
    alters: ClassVar[frozenset[str]] = frozenset(FIELDS)

    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="the share of honest queries that is refused"
    )

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session that refuses outliers; it draws nothing."""
        natural = victim.natural
        rows = victim.domain.encode(natural.X[~natural.held_out])
        mean, whitener, squares = _distances(rows.tobytes(), rows.shape[1])
        rank = ceil((1 - self.alpha) * (len(squares) + 1))
        limit = squares[rank - 1] if rank <= len(squares) else np.inf
        return _Refusing(victim.domain, mean, whitener, float(limit))


@dataclass(frozen=True)
class _Refusing:
    domain: Domain
    mean: Floats
    whitener: Floats
    limit: float

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer, with the rows of X (n, d) beyond the limit refused in every field."""
        Z = self.domain.encode(X)
        return answer.refused(_squares(Z, self.mean, self.whitener) > self.limit)


@lru_cache(maxsize=8)
def _distances(rows: bytes, p: int) -> tuple[Floats, Floats, Floats]:
    """Return the mean, the whitener and the sorted T^2 of encoded rows (n, p), given as bytes."""
    Z = np.frombuffer(rows).reshape(-1, p)
    fold = np.arange(len(Z)) % FOLDS
    parts = [_squares(Z[fold == k], *_normal(Z[fold != k])) for k in range(min(FOLDS, len(Z)))]
    return *_normal(Z), np.sort(np.concatenate(parts))


def _normal(Z: Floats) -> tuple[Floats, Floats]:
    """Return the mean of rows (n, p), and W (p, p) with W'W the inverse of their covariance."""
    mean = Z.mean(axis=0)
    S = (Z - mean).T @ (Z - mean) / max(1, len(Z) - 1)
    S.flat[:: len(S) + 1] += RIDGE * (np.trace(S) / len(S) or 1.0)
    L = np.linalg.cholesky(S)
    return mean, np.ascontiguousarray(solve_triangular(L, np.eye(len(L)), lower=True))


def _squares(Z: Floats, mean: Floats, whitener: Floats) -> Floats:
    """Return T^2 of each of the rows (n, p), float64 (n,)."""
    squares: Floats = np.square(affine(Z - mean, whitener, np.zeros(len(mean)))).sum(axis=1)
    return squares


class TwoSample(NamedTuple):
    """Hotelling's two-sample test of equal means.

    Attributes:
        t2: the statistic T^2.
        f: T^2 scaled to an F statistic.
        dof: its degrees of freedom, (r, n + m - 1 - r) with r the rank of the pooled covariance.
        p: the chance of a larger one if both samples are normal with one mean and covariance.
    """

    t2: float
    f: float
    dof: tuple[int, int]
    p: float


def two_sample(X: Floats, Y: Floats) -> TwoSample:
    """Test whether rows X (n, p) and Y (m, p) have one mean.

    Directions in which neither sample varies are left out; one in which only their means differ
    makes T^2 infinite.

    Raises:
        ValueError: there are too few rows to know in which directions they vary.
    """
    from scipy.stats import f as f_law

    n, m = len(X), len(Y)
    gap = X.mean(axis=0) - Y.mean(axis=0)
    centred = np.concatenate([X - X.mean(axis=0), Y - Y.mean(axis=0)])
    _, values, V = np.linalg.svd(centred, full_matrices=False)
    kept = values > values.max(initial=0.0) * 1e-10
    r = int(kept.sum())
    if r == n + m - 2 < X.shape[1]:
        raise ValueError(f"{n} and {m} rows are too few for a T^2 in {X.shape[1]} dimensions")
    along = V[kept] @ gap
    z = along / values[kept] * np.sqrt(n + m - 2)
    beyond = gap - along @ V[kept]
    outside = np.linalg.norm(beyond) > 1e-8 * max(1.0, float(np.linalg.norm(gap)))
    t2 = np.inf if outside else n * m / (n + m) * float(z @ z)
    dof = (r, n + m - 1 - r)
    f = t2 * dof[1] / (r * (n + m - 2)) if r else t2
    return TwoSample(t2, f, dof, float(f_law.sf(f, *dof)))


def student(queries: Floats, natural: Floats) -> tuple[float, int, float]:
    """Test whether queries lie as far from the natural rows as these do: ``[t, n - 1, p]``.

    One sample's t test of the T^2 of the n queries (n, p) against the mean T^2 of the natural rows
    (m, p) of which mean and covariance are taken. This is the form of Tables 6 and 7, whose p is
    that of Student's t with n - 1 degrees of freedom, on both sides; that the t is of these
    distances is our reading. Two-sample T^2 itself does not tell queries around the origin from
    standardised rows: it compares means, and both are 0.

    Raises:
        ValueError: there are fewer than two queries.
    """
    from scipy.stats import t as t_law

    if len(queries) < 2:
        raise ValueError("a t test needs at least two queries")
    normal = _normal(natural)
    squares, expected = _squares(queries, *normal), _squares(natural, *normal).mean()
    t = float((squares.mean() - expected) / squares.std(ddof=1) * np.sqrt(len(squares)))
    return t, len(squares) - 1, float(2 * t_law.sf(abs(t), len(squares) - 1))


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register outlier refusal."""
    register(Hotelling)
