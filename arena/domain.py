"""The input space an attacker may know: features, bounds, encoding, uniform samples.

An input is a *raw row*: one float64 a feature, categories as codes 0..k-1. Models and learners work
on *encoded* rows, ``domain.encode(X)``; whatever is asked is raw, so every query is realisable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal

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

    def __getstate__(self) -> dict[str, Any]:
        # Without what is cached: it is made again, and read-only again.
        return {"features": self.features, "geometry": self.geometry}

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

    @cached_property
    def width(self) -> int:
        """The width of an encoded row."""
        return sum(f.width for f in self.features)

    @cached_property
    def low(self) -> Floats:
        """Least value of every feature, float64 (d,)."""
        return _fixed([f.low for f in self.features])

    @cached_property
    def high(self) -> Floats:
        """Largest value of every feature, float64 (d,)."""
        return _fixed([f.high for f in self.features])

    @cached_property
    def discrete(self) -> NDArray[np.bool_]:
        """Which features take whole numbers only, bool (d,)."""
        return _fixed([f.discrete for f in self.features], bool)

    @cached_property
    def categorical(self) -> NDArray[np.intp]:
        """The indices of the categorical features."""
        found = [j for j, f in enumerate(self.features) if f.kind == "categorical"]
        return _fixed(found, np.intp)

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
        t = t[:, None]
        # Both ends are met exactly, and rounding cannot step beyond them.
        X = np.clip((1 - t) * A + t * B, np.minimum(A, B), np.maximum(A, B))
        X = np.where(self.discrete, np.rint(X), X)
        c = self.categorical
        X[:, c] = np.where(t >= switch[:, c], B[:, c], A[:, c])
        return X

    def encode(self, X: Floats) -> Floats:
        """Encode raw rows (n, d) for models and learners; float64 (n, width).

        Numbers are scaled to [-1, 1] over the bounds (a constant feature to 0), categories and bins
        are one-hot in -1/+1. Every row's result is the same bits in any batch.
        """
        if self.geometry == "sphere":
            return X
        layout = self._layout
        if not layout.onehot:
            return (X - layout.low) / layout.half - layout.one
        Z = np.full((len(X), self.width), -1.0)
        numbers = layout.scaled
        if numbers.size:
            Z[:, layout.scaled_to] = (X[:, numbers] - layout.low) / layout.half - layout.one
        rows = np.arange(len(X))[:, None]
        if self.categorical.size:
            codes = X.take(self.categorical, axis=1).astype(np.intp)
            Z[rows, layout.category_to + codes] = 1.0
        if layout.binned.size:
            bins = (X[:, layout.binned, None] >= layout.edges).sum(axis=2)
            Z[rows, layout.bin_to + bins] = 1.0
        return Z

    def validate(self, X: Floats) -> None:
        """Check that rows can be asked.

        Raises:
            InvalidQuery: a value is not finite, or a category's code is unknown.
        """
        if len(X) == 1 and self.categorical.size and self._holds(X[0].tolist()):
            return
        if not np.isfinite(X).all():
            raise InvalidQuery("a query holds NaN or an infinity; ask finite values only")
        if self.categorical.size:
            codes = X[:, self.categorical]
            if (codes != np.clip(np.rint(codes), 0.0, self.high[self.categorical])).any():
                raise InvalidQuery(
                    "a query holds a category code that does not exist; "
                    "ask whole numbers from 0 to the number of categories - 1 (domain.project does)"
                )

    def _holds(self, row: list[float]) -> bool:
        # Attacks ask thousands of single rows, and on one row plain Python is faster than numpy.
        for j, codes in self._codes:
            if row[j] not in codes:
                return False
        return math.isfinite(sum(row))

    @cached_property
    def _codes(self) -> list[tuple[int, frozenset[int]]]:
        return [
            (j, frozenset(range(len(f.categories))))
            for j, f in enumerate(self.features)
            if f.kind == "categorical"
        ]

    @cached_property
    def _layout(self) -> _Layout:
        starts = np.array([0, *accumulate(f.width for f in self.features)][:-1], dtype=np.intp)
        binned = [j for j, f in enumerate(self.features) if f.edges]
        onehot = {*binned, *self.categorical.tolist()}
        scaled = [j for j in range(self.d) if j not in onehot]
        edges = np.full(
            (len(binned), max([len(self.features[j].edges) for j in binned] or [0])), np.inf
        )
        for i, j in enumerate(binned):
            edges[i, : len(self.features[j].edges)] = self.features[j].edges
        low, half = self.low[scaled], self.high[scaled] / 2 - self.low[scaled] / 2
        return _Layout(
            scaled=np.array(scaled, dtype=np.intp),
            scaled_to=starts[scaled],
            low=low,
            half=np.where(half > 0, half, np.inf),
            one=np.where(half > 0, 1.0, 0.0),
            category_to=starts[self.categorical],
            binned=np.array(binned, dtype=np.intp),
            bin_to=starts[binned],
            edges=edges,
            onehot=bool(onehot),
        )


@dataclass(frozen=True)
class _Layout:
    """Where the features go in an encoded row, and how.

    Attributes:
        scaled: the numeric features that are scaled, not binned.
        scaled_to: their encoded columns.
        low: their least values.
        half: half their spans; infinite where constant.
        one: 1, but 0 where constant: ``(x - low) / half - one`` is within [-1, 1] to the last bit.
        category_to: the first encoded column of every categorical feature.
        binned: the binned features.
        bin_to: their first encoded columns.
        edges: float64 (binned features, most edges), filled up by infinities.
        onehot: whether any feature is categorical or binned.
    """

    scaled: NDArray[np.intp]
    scaled_to: NDArray[np.intp]
    low: Floats
    half: Floats
    one: Floats
    category_to: NDArray[np.intp]
    binned: NDArray[np.intp]
    bin_to: NDArray[np.intp]
    edges: Floats
    onehot: bool


def _fixed(values: Sequence[float], dtype: Any = np.float64) -> NDArray[Any]:
    """Make an array that whoever is handed the domain cannot change by mistake."""
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array


def _quantile_edges(x: Floats, bins: int) -> tuple[float, ...]:
    inner = np.quantile(x, np.arange(1, bins) / bins)
    return tuple(float(e) for e in np.unique(inner) if e > x.min())
