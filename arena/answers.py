"""`Answer`: what a server can reveal about a batch of inputs, arrays only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIELDS = ("label", "probabilities", "score", "leaf", "value")
"""The fields an answer can carry, in the order in which they are listed."""

REFUSED = -1
"""The label of a row that the server (or its defence) refuses to answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers to ``n`` queries; a field is None where it is not revealed.

    Attributes:
        label: int64 (n,), index into the classes, ``REFUSED`` where refused.
        probabilities: float64 (n, k), one column a class.
        score: float64 (n,) for two classes (positive: class 1) or (n, k), the decision value.
        leaf: int64 (n,), identifier of the leaf of a tree.
        value: float64 (n,), the prediction of a regression.
    """

    label: NDArray[np.int64] | None = None
    probabilities: NDArray[np.float64] | None = None
    score: NDArray[np.float64] | None = None
    leaf: NDArray[np.int64] | None = None
    value: NDArray[np.float64] | None = None

    def field(self, name: str) -> NDArray[Any] | None:
        """Return the array of one field, None where it is not revealed."""
        array: NDArray[Any] | None = getattr(self, name)
        return array

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that are revealed."""
        return frozenset(name for name in FIELDS if self.field(name) is not None)

    def only(self, fields: Collection[str]) -> Answer:
        """Keep the named fields, hide the others."""
        return Answer(*[self.field(name) if name in fields else None for name in FIELDS])

    def rows(self, index: NDArray[Any] | slice) -> Answer:
        """Select rows by numpy index, in every field."""
        return Answer(*[None if a is None else a[index] for a in map(self.field, FIELDS)])


def fault(answer: object, rows: int, classes: int, fields: Collection[str]) -> str | None:
    """Say what is wrong with an answer to ``rows`` queries, None if nothing is.

    Args:
        answer: what a victim or a defence gave.
        rows: how many queries were asked.
        classes: the number of the victim's classes.
        fields: the fields it must carry.
    """
    if not isinstance(answer, Answer):
        return f"gave {type(answer).__name__} where an arena.Answer is expected"
    for name in fields:
        array = answer.field(name)
        if array is None:
            return f"gave no {name}"
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "if":
            return f"gave a {name} that is not a numeric array"
        if not _shape_fits(name, array.shape, rows, classes):
            return f"gave {name} of shape {array.shape} to {rows} queries"
    return _label_fault(answer.label, classes) if "label" in fields else None


def _shape_fits(name: str, shape: tuple[int, ...], rows: int, classes: int) -> bool:
    if name == "probabilities":
        return shape == (rows, classes)
    if name == "score":
        return shape == (rows,) or shape == (rows, classes)
    return shape == (rows,)


def _label_fault(label: NDArray[np.int64] | None, classes: int) -> str | None:
    if label is None or not label.size:
        return None
    low, high = label.min(), label.max()
    if low < REFUSED or high >= classes:
        return f"gave label {int(low if low < REFUSED else high)}, the classes are 0..{classes - 1}"
    return None
