"""`Table`: real rows as arrays, and how the cells of a CSV file become one.

A CSV file is comma separated UTF-8 (a byte-order mark is tolerated) with a header row; spaces
around cells are dropped, blank lines skipped. What a column holds is read from how it is written:

* integer: every present cell is a whole number written without point or exponent (``3``), none
  beyond 2**53, where float64 starts to skip some;
* continuous: every present cell is a number, so ``3.0`` makes a column continuous;
* categorical: anything else, at most 100 distinct values, coded in their sorted order.

A cell is missing when it is empty, ``?``, ``NA`` or ``NaN`` in any case. It becomes the median of
the column's present cells (rounded half to even in an integer column) or the category ``missing``
(shared with cells that say just that). A row with a missing label is dropped before anything else.
Classes are sorted as text, or as numbers when all are written as whole numbers. A constant column
is kept, with low == high, so that a set has its published number of attributes. For a regression
every label is a number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.domain import Feature, Kind
from arena.errors import ArenaError, closest

Floats = NDArray[np.float64]
Outcomes = NDArray[np.int64 | np.float64]

MOST_VALUES = 100
"""The distinct values a text column, and the classes a label, may have."""

MOST_DECIMALS = 20
"""The classes a label may have that is written in decimals."""

LARGEST = 1e100
"""Numbers beyond this are refused: their squares would overflow in kernels and scalers."""

_MISSING = frozenset({"", "?", "na", "nan"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows to train and measure on; the arrays are made read-only.

    Attributes:
        name: the set's short name, for boards.
        features: the d columns, with bounds from all n rows.
        X: float64 (n, d), raw values, categories as codes.
        y: int64 (n,), indices into ``classes``; float64 (n,), the values, for a regression.
        classes: the names of the k classes; none for a regression.
    """

    name: str
    features: tuple[Feature, ...]
    X: Floats
    y: Outcomes
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        self.X.setflags(write=False)
        self.y.setflags(write=False)


def from_csv(content: bytes, label: str, title: str, where: str, regression: bool = False) -> Table:
    """Read a CSV file by the rules at the top of this module.

    Args:
        content: the file.
        label: the name of the label column.
        title: the table's name.
        where: how errors name the file.
        regression: whether the labels are numbers to predict.

    Raises:
        ArenaError: the file breaks a rule.
    """
    header, rows, lines = _records(content, where)
    _check_header(header, label, where)
    if not rows:
        raise ArenaError(f"{where} has no data rows: add rows below the header")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    labels = columns.pop(label)
    return from_cells(columns, labels, lines, title, where, regression)


def from_cells(
    columns: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    lines: Sequence[int],
    title: str,
    where: str,
    regression: bool = False,
) -> Table:
    """Turn text into numbers by the rules at the top of this module.

    Args:
        columns: of each feature its n cells, stripped.
        labels: the n labels, stripped.
        lines: the n line numbers, for errors.
        title: the table's name.
        where: how errors name the source.
        regression: whether the labels are numbers to predict.

    Raises:
        ArenaError: a column or the label breaks a rule.
    """
    if not columns:
        raise ArenaError(f"{where} has no feature columns: add one besides the label")
    kept = [i for i, label in enumerate(labels) if label.lower() not in _MISSING]
    lines = [lines[i] for i in kept]
    present = [labels[i] for i in kept]
    y: Outcomes
    y, classes = (_values(present, lines, where), ()) if regression else _classes(present, where)
    made = [_column(n, [cells[i] for i in kept], lines, where) for n, cells in columns.items()]
    X = np.stack([values for _, values in made], axis=1)
    return Table(title, tuple(feature for feature, _ in made), X, y, classes)


def numeric(name: str, values: Floats, whole: bool) -> tuple[Feature, Floats]:
    """Make a numeric feature of float64 (n,) values; NaN becomes the median, rounded if whole."""
    absent = np.isnan(values)
    if absent.any():
        median = np.median(values[~absent])
        values = np.where(absent, np.rint(median) if whole else median, values)
    kind: Kind = "integer" if whole else "continuous"
    return Feature(name, kind, float(values.min()), float(values.max())), values


def _records(content: bytes, where: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the rows, all cells stripped, and the line at which each row starts."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ArenaError(f"{where}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    start = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                if rows and len(cells) != len(rows[0]):
                    raise ArenaError(
                        f"{where}, line {start}: the row has {len(cells)} cells where the header "
                        f"has {len(rows[0])}; mend its commas or quotes"
                    )
                rows.append(cells)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise ArenaError(f"{where}, line {start}: {error}; mend the quotes of this row") from error
    if not rows:
        raise ArenaError(f"{where} is empty: it needs a header row and data rows")
    return rows[0], rows[1:], lines[1:]


def _check_header(header: list[str], label: str, where: str) -> None:
    for number, name in enumerate(header, start=1):
        if not name:
            raise ArenaError(f"{where}: column {number} of the header has no name; give it one")
        if name in header[: number - 1]:
            raise ArenaError(f"{where}: two columns of the header are called {name!r}; rename one")
    if len(header) == 1:
        raise ArenaError(
            f"{where} has no feature columns, only {header[0]!r}: a file needs a label column, "
            "at least one more, and commas between their cells"
        )
    if label not in header:
        raise ArenaError(
            f"{where} has no label column {label!r} in its header, the first line; "
            f"{closest(label, header)}"
        )


def _classes(labels: list[str], where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Code the labels, none missing."""
    names = sorted(set(labels))
    if all(map(_WHOLE.fullmatch, names)):
        names.sort(key=int)
    numbers = all(map(_NUMBER.fullmatch, names)) and not all(map(_WHOLE.fullmatch, names))
    if len(names) > (MOST_DECIMALS if numbers else MOST_VALUES):
        raise ArenaError(
            f"{where}: the label has {len(names)} classes, too many, and looks "
            "continuous; choose another label column, or put its values in bins"
        )
    if len(names) < 2:
        found = f"only the class {names[0]!r}" if names else "no value in any row"
        raise ArenaError(f"{where}: the label has {found}; it needs two classes or more")
    code = {name: i for i, name in enumerate(names)}
    return np.array([code[label] for label in labels], np.int64), tuple(names)


def _values(labels: list[str], lines: Sequence[int], where: str) -> Floats:
    """Read the labels of a regression, none missing."""
    words = {label for label in labels if not _NUMBER.fullmatch(label)}
    wrong = words or {label for label in labels if abs(float(label)) > LARGEST}
    if wrong:
        line = _first(wrong, labels, lines)
        raise ArenaError(
            f"{where}, line {line}: the label {labels[lines.index(line)]!r} is no number up to "
            f"{LARGEST:g}, as a regression predicts; correct it, or choose another label column"
        )
    values = np.array([float(label) for label in labels])
    if len(np.unique(values)) < 2:
        found = f"only the value {labels[0]}" if labels else "no value in any row"
        raise ArenaError(f"{where}: the label has {found}; a regression needs two or more")
    return values


def _column(
    name: str, cells: Sequence[str], lines: Sequence[int], where: str
) -> tuple[Feature, Floats]:
    """Decide what a column holds, and code it as float64 (n,)."""
    present = {cell for cell in set(cells) if cell.lower() not in _MISSING}
    if not present:
        raise ArenaError(f"{where}: column {name!r} is wholly empty; remove it")
    words = {cell for cell in present if not _NUMBER.fullmatch(cell)}
    if not words:
        number = {cell: float(cell) for cell in present}
        huge = {cell for cell in present if abs(number[cell]) > LARGEST}
        if huge:
            raise ArenaError(
                f"{where}, line {_first(huge, cells, lines)}: column {name!r} holds a number that "
                f"is infinite or beyond {LARGEST:g}; correct it, or leave the cell empty"
            )
        whole = all(_WHOLE.fullmatch(cell) and abs(number[cell]) <= 2**53 for cell in present)
        return numeric(name, np.array([number.get(cell, np.nan) for cell in cells]), whole)
    if len(present) > MOST_VALUES:
        raise ArenaError(
            f"{where}, line {_first(words, cells, lines)}: column {name!r} holds text with "
            f"{len(present)} distinct values, more than {MOST_VALUES}, like free text or an "
            "identifier; remove the column from the file, or correct cells that should be numbers"
        )
    return _categorical(name, [cell if cell in present else "missing" for cell in cells])


def _first(wanted: Collection[str], cells: Sequence[str], lines: Sequence[int]) -> int:
    return next(line for cell, line in zip(cells, lines, strict=True) if cell in wanted)


def _categorical(name: str, cells: list[str]) -> tuple[Feature, Floats]:
    categories = tuple(sorted(set(cells)))
    code = {category: float(i) for i, category in enumerate(categories)}
    feature = Feature(name, "categorical", 0.0, len(categories) - 1.0, categories)
    return feature, np.array([code[cell] for cell in cells])
