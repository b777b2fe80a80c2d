"""A table's rows split once per target: training rows, and the natural rows of its problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.api import Natural
from arena.datasets import Table
from arena.domain import Domain
from arena.errors import ArenaError
from arena.tables import Outcomes

TRAINED_ON = 0.7
"""The share of the rows a target is trained on."""


@dataclass(frozen=True)
class Split:
    """Rows for training a target.

    Attributes:
        domain: bounds and bins from the training rows.
        classes: the names of the classes, by label; none for a regression.
        X: float64 (n, d), raw training rows.
        y: int64 (n,), their classes; float64 (n,), their values, for a regression.
        natural: all rows, with those held out marked.
    """

    domain: Domain
    classes: tuple[str, ...]
    X: NDArray[np.float64]
    y: Outcomes
    natural: Natural


def split(table: Table, rng: Generator, bins: int | None = None) -> Split:
    """Draw 70 % of every class for training; every class keeps at least one row there.

    Of a regression, 70 % of all rows.
    """
    trained = training_rows(table.y, rng)
    X, y = table.X[trained], table.y[trained]
    return Split(
        domain=Domain.from_rows(table.features, X, bins),
        classes=table.classes,
        X=X,
        y=y,
        natural=Natural(table.X, table.y, ~trained),
    )


def training_rows(y: Outcomes, rng: Generator) -> NDArray[np.bool_]:
    """Mark a random 70 % of the rows of every class of y (m,), or of all for values; bool (m,)."""
    trained = np.zeros(len(y), dtype=bool)
    group = np.zeros(len(y)) if y.dtype.kind == "f" else y
    for c in np.unique(group):
        rows = rng.permutation(np.flatnonzero(group == c))
        trained[rows[: max(1, round(TRAINED_ON * len(rows)))]] = True
    return trained


def one_against_rest(table: Table, positive: str | None) -> Table:
    """Make a binary table: class 1 is ``positive``, by default the most frequent (first) class.

    A table of two classes keeps its order unless ``positive`` is named.

    Raises:
        ArenaError: no such class.
    """
    if positive is None and len(table.classes) == 2:
        return table
    if positive is not None and positive not in table.classes:
        known = ", ".join(table.classes)
        raise ArenaError(f"data set {table.name} has no class '{positive}'; choose from: {known}")
    c = (
        table.classes.index(positive)
        if positive is not None
        else int(np.bincount(table.y).argmax())
    )
    name = table.classes[c]
    y = (table.y == c).astype(np.int64)
    return Table(table.name, table.features, table.X, y, (f"not {name}", name))
