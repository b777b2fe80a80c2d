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
"""The label of a row that the server (or its defence) refuses to answer.

Its leaf is ``REFUSED`` too and its numbers are NaN: a zero could be taken for an answer.
"""

_INTEGER, _FLOAT = np.dtype(np.int64), np.dtype(np.float64)
_DTYPES = dict.fromkeys(FIELDS, _FLOAT) | {"label": _INTEGER, "leaf": _INTEGER}
_KINDS = {name: "iu" if dtype == _INTEGER else "iuf" for name, dtype in _DTYPES.items()}


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

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the fields that are revealed, by name."""
        return {name: array for name in FIELDS if (array := self.field(name)) is not None}

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that are revealed."""
        return frozenset(self.arrays())

    def only(self, fields: Collection[str]) -> Answer:
        """Keep the named fields, hide the others."""
        return Answer(*[self.field(name) if name in fields else None for name in FIELDS])

    def copy(self) -> Answer:
        """Copy every field, so that whoever changes the copy changes nothing here."""
        arrays: tuple[Any, ...] = (
            self.label,
            self.probabilities,
            self.score,
            self.leaf,
            self.value,
        )
        return Answer(*[None if a is None else a.copy() for a in arrays])

    def rows(self, index: NDArray[Any] | slice) -> Answer:
        """Select rows by numpy index, in every field."""
        return Answer(*[None if a is None else a[index] for a in map(self.field, FIELDS)])

    def refused(self, rows: NDArray[np.bool_]) -> Answer:
        """Refuse the marked rows, bool (n,), in every field; the others stay as they are."""
        if not rows.any():
            return self
        answer = self.copy()
        for array in answer.arrays().values():
            array[rows] = np.nan if array.dtype.kind == "f" else REFUSED
        return answer

    def rescored(self, own: NDArray[np.float64], score: NDArray[np.float64]) -> Answer:
        """Answer two classes by another decision value than the model's own.

        A label that an earlier defence turned against the model's stays turned, and its score with
        it; a refused row stays refused. Probabilities, leaf and value are left out.

        Args:
            own: float64 (n,), the model's decision values, positive for class 1.
            score: float64 (n,), those to answer by.

        Raises:
            ValueError: there is no label.
        """
        if self.label is None:
            raise ValueError("it answers labels anew; put it before what hides the label")
        refused, turned = self.label == REFUSED, (self.label == 1) != (own > 0)
        label = np.where(refused, REFUSED, (score > 0) != turned)
        if self.score is None:
            return Answer(label=label)
        return Answer(label, score=np.where(refused, np.nan, np.where(turned, -score, score)))


class Unanswerable(Exception):
    """What a victim or a defence gave is no answer; the message ends a sentence about it."""


def delivered(answer: object, rows: int, classes: int, fields: Collection[str]) -> Answer:
    """Check an answer to ``rows`` queries, and copy what of it is to be delivered.

    Args:
        answer: what a victim or a defence gave.
        rows: how many queries were asked.
        classes: the number of the victim's classes.
        fields: the fields it must carry; the others are left out.

    Raises:
        Unanswerable: a field is missing, of another type or shape, or a label is out of range.
    """
    if not isinstance(answer, Answer):
        what = type(answer).__name__
        raise Unanswerable(f"gave {what} where an arena.Answer is expected")
    given: dict[str, Any] = {}
    for name in fields:
        array = getattr(answer, name)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in _KINDS[name]:
            raise Unanswerable(_type_fault(name, array))
        if not _shape_fits(name, array.shape, rows, classes):
            raise Unanswerable(f"gave {name} of shape {array.shape} to {rows} queries")
        given[name] = array.astype(_DTYPES[name])
    if "label" in given and rows:
        _check_range(given["label"], classes)
    return Answer(**given)


def _type_fault(name: str, array: object) -> str:
    if array is None:
        return f"gave no {name}"
    what = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
    return f"gave {name} as {what}; give an array of {_DTYPES[name]}"


def _shape_fits(name: str, shape: tuple[int, ...], rows: int, classes: int) -> bool:
    if shape == (rows,):
        return name != "probabilities"
    return name in ("probabilities", "score") and shape == (rows, classes)


def _check_range(label: NDArray[np.int64], classes: int) -> None:
    low, high = (label[0], label[0]) if len(label) == 1 else (label.min(), label.max())
    if low < REFUSED or high >= classes:
        wrong = int(low if low < REFUSED else high)
        raise Unanswerable(f"gave label {wrong}, the classes are 0..{classes - 1}")
