"""The input space an attacker may know: features, bounds, encoding, uniform samples.

An input is a *raw row*: one float64 a feature, categories as codes 0..k-1. Models and learners work
on *encoded* rows, ``domain.encode(X)``; whatever is asked is raw, so every query is realisable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.errors import InvalidQuery

Floats = NDArray[np.float64]
Kind = Literal["continuous", "integer", "categorical"]
Geometry = Literal["box", "sphere"]


@dataclass(frozen=True)
class Feature:
    """One column of the input.

    Attributes:
        name: the column's name.
        kind: continuous, integer or categorical.
        low: least value, from training rows; 0 for a category.
        high: largest value, from training rows; k - 1 for a category.
        categories: the k category names, in the order of their codes.
        edges: inner edges of the bins of a numeric feature; when given, it is encoded one-hot by
            bin instead of scaled.
    """

    name: str
    kind: Kind
    low: float
    high: float
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many encoded columns this feature takes."""
        if self.kind == "categorical":
            return len(self.categories)
        return len(self.edges) + 1 if self.edges else 1

    @property
    def discrete(self) -> bool:
        """Whether only whole numbers are realisable."""
        return self.kind != "continuous"


@dataclass(frozen=True)
class Domain:
    """The inputs a target accepts.

    Attributes:
        features: the columns, in order.
        geometry: ``box``: bounded features, encoded to [-1, 1] and one-hot in -1/+1;
            ``sphere``: R^d, encoded as it is, sampled uniformly on the unit sphere.
    """

    features: tuple[Feature, ...]
    geometry: Geometry = "box"

    @classmethod
    def from_rows(cls, features: Sequence[Feature], X: Floats, bins: int | None = None) -> Domain:
        """Take bounds (and the quantile edges of ``bins``) from training rows X (n, d)."""
        low, high = X.min(axis=0), X.max(axis=0)
        return cls(
            tuple(
                f
                if f.kind == "categorical"
                else replace(
                    f,
                    low=float(low[j]),
                    high=float(high[j]),
                    edges=_quantile_edges(X[:, j], bins) if bins else (),
                )
                for j, f in enumerate(features)
            )
        )

    @classmethod
    def euclidean(cls, names: Sequence[str]) -> Domain:
        """R^d: one unbounded continuous feature a name."""
        return cls(
            tuple(Feature(name, "continuous", -np.inf, np.inf) for name in names), geometry="sphere"
        )

    @property
    def d(self) -> int:
        """The number of features: the width of a raw row."""
        return len(self.features)

    @property
    def width(self) -> int:
        """The width of an encoded row."""
        return sum(f.width for f in self.features)

    @cached_property
    def low(self) -> Floats:
        """Least value of every feature, float64 (d,)."""
        return np.array([f.low for f in self.features])

    @cached_property
    def high(self) -> Floats:
        """Largest value of every feature, float64 (d,)."""
        return np.array([f.high for f in self.features])

    @cached_property
    def discrete(self) -> NDArray[np.bool_]:
        """Which features take whole numbers only, bool (d,)."""
        return np.array([f.discrete for f in self.features], dtype=bool)

    @cached_property
    def categorical(self) -> NDArray[np.intp]:
        """The indices of the categorical features."""
        return np.flatnonzero([f.kind == "categorical" for f in self.features])

    @property
    def identity_encoded(self) -> bool:
        """Whether ``encode`` returns its rows as they are."""
        return self.geometry == "sphere"

    def sample(self, n: int, rng: Generator) -> Floats:
        """Draw ``n`` realisable raw rows, uniform over the domain; float64 (n, d)."""
        if self.geometry == "sphere":
            X = rng.standard_normal((n, self.d))
            X /= np.linalg.norm(X, axis=1, keepdims=True)
            return X
        U = rng.random((n, self.d))
        span = self.high - self.low
        X = self.low + U * np.where(self.discrete, span + 1, span)
        X[:, self.discrete] = np.floor(X[:, self.discrete])
        return self.clip(X)

    def clip(self, X: Floats) -> Floats:
        """Bring every value within its feature's bounds; float64 (n, d)."""
        return np.clip(X, self.low, self.high)

    def project(self, X: Floats) -> Floats:
        """Return the nearest realisable rows: clipped, integers and categories rounded."""
        return self.clip(np.where(self.discrete, np.rint(X), X))

    def between(self, A: Floats, B: Floats, t: Floats, switch: Floats) -> Floats:
        """Walk from the rows of A to those of B over realisable rows.

        Args:
            A: float64 (n, d), where the walk starts.
            B: float64 (n, d), where it ends.
            t: float64 (n,), how far along, in [0, 1].
            switch: float64 (n, d), when each category turns from A's to B's, in (0, 1).

        Returns:
            float64 (n, d); continuous features move evenly, integers are rounded.
        """
        X = A + t[:, None] * (B - A)
        X = np.where(self.discrete, np.rint(X), X)
        c = self.categorical
        X[:, c] = np.where(t[:, None] >= switch[:, c], B[:, c], A[:, c])
        return X

    def encode(self, X: Floats) -> Floats:
        """Encode raw rows (n, d) for models and learners; float64 (n, width).

        Numbers are scaled to [-1, 1] over the bounds (a constant feature to 0), categories and bins
        are one-hot in -1/+1. Every row's result is the same bits in any batch.
        """
        if self.geometry == "sphere":
            return X
        layout = self._layout
        if layout.onehot_start.size == 0:
            return (X - layout.center) * layout.scale
        Z = np.full((len(X), self.width), -1.0)
        Z[:, layout.scaled_to] = (X[:, layout.scaled] - layout.center) * layout.scale
        rows = np.arange(len(X))[:, None]
        Z[rows, layout.onehot_start + self._codes(X)] = 1.0
        return Z

    def validate(self, X: Floats) -> None:
        """Check that rows can be asked.

        Raises:
            InvalidQuery: a value is not finite, or a category's code is unknown.
        """
        # The sum of finite values may overflow, hence the second, exact look.
        if not np.isfinite(X.sum()) and not np.isfinite(X).all():
            raise InvalidQuery("a query holds NaN or an infinity; ask finite values only")
        c = self.categorical
        if c.size:
            V = X[:, c]
            if (np.rint(V) != V).any() or (V < 0).any() or (self.high[c] < V).any():
                raise InvalidQuery(
                    "a query holds a category code that does not exist; "
                    "ask whole numbers from 0 to the number of categories - 1 (domain.project does)"
                )

    def _codes(self, X: Floats) -> NDArray[np.intp]:
        columns = [
            np.searchsorted(f.edges, X[:, j], side="right") if f.edges else X[:, j].astype(np.intp)
            for j, f in enumerate(self.features)
            if f.width > 1 or f.kind == "categorical"
        ]
        return np.stack(columns, axis=1)

    @cached_property
    def _layout(self) -> _Layout:
        starts = [0, *accumulate(f.width for f in self.features)][:-1]
        onehot = np.array([f.kind == "categorical" or bool(f.edges) for f in self.features])
        scaled = np.flatnonzero(~onehot)
        low, high = self.low[scaled], self.high[scaled]
        span = high - low
        return _Layout(
            scaled=scaled,
            scaled_to=np.array(starts)[scaled],
            center=(low + high) / 2,
            scale=np.divide(2.0, span, out=np.zeros_like(span), where=span > 0),
            onehot_start=np.array(starts)[onehot],
        )


@dataclass(frozen=True)
class _Layout:
    scaled: NDArray[np.intp]
    scaled_to: NDArray[np.intp]
    center: Floats
    scale: Floats
    onehot_start: NDArray[np.intp]


def _quantile_edges(x: Floats, bins: int) -> tuple[float, ...]:
    inner = np.quantile(x, np.arange(1, bins) / bins)
    return tuple(float(e) for e in np.unique(inner) if e > x.min())
