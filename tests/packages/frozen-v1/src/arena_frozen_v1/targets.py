"""Targets of version 1: a halfspace and a regression from data, a tree without any."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import (
    Answer,
    ArenaError,
    Dataset,
    Domain,
    Feature,
    Natural,
    RegressionDataset,
    Split,
    Table,
    Target,
    Victim,
    affine,
    hookimpl,
    one_against_rest,
    recipes,
    softmax,
    split,
)

PLUGIN_API = 1

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearVictim(Victim):
    """Scores <w, z> + b of the encoded row z: w float64 (1, width), b float64 (1,)."""

    w: Floats
    b: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d): values, or labels with scores and probabilities."""
        z = affine(self.domain.encode(X), self.w, self.b)
        if self.output == "value":
            return Answer(value=z[:, 0])
        label = (z[:, 0] > 0).astype(np.int64)
        return Answer(label=label, probabilities=softmax(z), score=z[:, 0])


class Means(Target):
    """One class against the rest: the nearer of two means."""

    name = "frozen-means"
    reference = "no paper: what version 1 lets a target do with data"
    family = "halfspace"
    can_reveal = frozenset({"label", "probabilities", "score"})

    dataset: Dataset = Field(description="the data it is trained from")
    positive: str | None = Field(default=None, description="the class against the rest")
    bins: int | None = Field(default=None, ge=2, description="bins of every number")

    def families(self) -> frozenset[str]:
        """Return both families of a model of two classes with a score."""
        return frozenset({"halfspace", "softmax"})

    def check(self) -> None:
        """Find out whether the data are there, and have the class."""
        super().check()
        table: Table = one_against_rest(self.dataset.load(), self.positive)
        if len(table.features) != table.X.shape[1] or len(table.y) != len(table.X):
            raise ArenaError(f"data set {table.name} is no table")

    def train(self, rng: Generator) -> LinearVictim:
        """Average the training rows of either class."""
        table = one_against_rest(self.dataset.load(), self.positive)
        rows: Split = split(table, rng, bins=self.bins)
        Z = rows.domain.encode(rows.X)
        zero, one = (Z[rows.y == c].mean(axis=0) for c in (0, 1))
        w, b = one - zero, ((zero**2).sum() - (one**2).sum()) / 2
        return LinearVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"bins": self.bins},
            parameters={"coef": w, "intercept": np.array(b)},
            w=w[None],
            b=np.array([b]),
        )


class Level(Target):
    """Least squares of a number."""

    name = "frozen-level"
    reference = "no paper: what version 1 lets a target do with numbers"
    family = "linear-regression"
    can_reveal = frozenset({"value"})

    reveals: tuple[str, ...] = Field(default=("value",), description="what clients see")
    dataset: RegressionDataset = Field(description="the data it is trained from")

    def train(self, rng: Generator) -> LinearVictim:
        """Fit 70 % of the rows."""
        rows = split(self.dataset.load(), rng)
        a, b = recipes.ridge(rows.domain.encode(rows.X), rows.y, 0.0)
        return LinearVictim(
            domain=rows.domain,
            classes=(),
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            parameters={"coef": a, "intercept": np.array(b)},
            w=a[None],
            b=np.array([b]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RoomsVictim(Victim):
    """Splits by size, then by colour: four leaves."""

    at: float

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d)."""
        leaf = 2 * (X[:, 0] > self.at).astype(np.int64) + (X[:, 2] == 1)
        label = (leaf % 3 > 0).astype(np.int64)
        return Answer(label=label, leaf=leaf)


class Rooms(Target):
    """A tree of two splits over a number, a whole number and a category; needs no data."""

    name = "frozen-rooms"
    reference = "no paper: what version 1 lets a target do without data"
    family = "tree"
    can_reveal = frozenset({"label", "leaf"})

    at: float = Field(default=0.5, gt=-2, lt=3, description="where the size is split")

    def train(self, rng: Generator) -> RoomsVictim:
        """Draw natural rows; a third of them is held out."""
        features = (
            Feature("size", "continuous", -2.0, 3.0),
            Feature(name="rooms", kind="integer", low=1.0, high=6.0),
            Feature("colour", "categorical", 0.0, 2.0, ("red", "green", "blue")),
        )
        domain = Domain(features, geometry="box")
        if domain != Domain(Domain.from_rows(features, corners(domain)).features):
            raise RuntimeError("version 1 of the plugin API is broken: Domain")
        X, held_out = domain.sample(90, rng), np.arange(90) % 3 == 0
        leaf = 2 * (X[:, 0] > self.at).astype(np.int64) + (X[:, 2] == 1)
        return RoomsVictim(
            domain=domain,
            classes=("small", "large"),
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=Natural(X=X, y=(leaf % 3 > 0).astype(np.int64), held_out=held_out),
            at=self.at,
        )


def corners(domain: Domain) -> Floats:
    """Return two raw rows, with the bounds of a box."""
    whole = [*np.flatnonzero(domain.discrete)], [*domain.categorical], domain.width, domain.d
    if whole != ([1, 2], [2], 5, 3) or [f.width for f in domain.features] != [1, 1, 3]:
        raise RuntimeError("version 1 of the plugin API is broken: Domain")
    return np.stack([domain.low, domain.high])


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register three targets."""
    for target in (Means, Level, Rooms):
        register(target)
