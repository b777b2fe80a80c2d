"""Where real data comes from: scikit-learn, the bundled files, OpenML, any CSV file.

How the cells of a CSV file are read is told in ``arena.tables``; OpenML's sets follow those rules.
"""

from __future__ import annotations

import hashlib
import lzma
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from arena.errors import ArenaError, closest
from arena.tables import Outcomes, Table, from_cells, from_csv, numeric

__all__ = ["BUNDLED", "NAMES", "REGRESSION", "SKLEARN", "Dataset", "RegressionDataset", "Table"]

SKLEARN = ("breast_cancer", "digits", "iris", "wine")
"""Sets that come with scikit-learn."""

BUNDLED = {"adult": "income", "mushroom": "class", "pima": "class"}
"""Sets that come with arena, each with its label column."""

NAMES = tuple(sorted((*SKLEARN, *BUNDLED)))
"""Every name a tournament may write where classes are predicted."""

REGRESSION = ("diabetes",)
"""Sets that come with scikit-learn, written where numbers are predicted."""


def _as_in_yaml(schema: dict[str, Any], cls: type[Dataset]) -> None:
    """Describe what a user writes instead of the model's fields."""
    forms: list[dict[str, Any]] = [
        {"type": "object", "properties": fields, "required": [*fields]}
        for fields in (
            {"openml": {"type": "integer", "minimum": 1}},
            {"csv": {"type": "string"}, "label": {"type": ["string", "number"]}},
        )
    ]
    for form in forms:
        form["additionalProperties"] = False
    kept = {key: schema[key] for key in ("title", "description")}
    schema.clear()
    schema |= {**kept, "anyOf": [{"enum": list(cls.names)}, *forms]}


class Dataset(BaseModel):
    """A data set: a name, ``{openml: ID}`` or ``{csv: PATH, label: COLUMN}``.

    A relative path is taken from ``context["base"]`` of the validation, else from the working
    directory, and is absolute afterwards. A data set is dumped in the form it is written in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_as_in_yaml)

    names: ClassVar[tuple[str, ...]] = NAMES
    regression: ClassVar[bool] = False

    name: str | None = None
    openml: int | None = Field(default=None, strict=True, gt=0)
    csv: Path | None = None
    label: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping):
            return value
        raise ValueError(
            f"a data set is a name ({', '.join(cls.names)}), {{openml: ID}} or "
            f"{{csv: PATH, label: COLUMN}}, not {str(value)[:40]}"
        )

    @field_validator("csv")
    @classmethod
    def _anchored(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        base = (info.context or {}).get("base", "")
        return None if path is None else Path(base, path).absolute()

    @field_validator("label", mode="before")
    @classmethod
    def _named(cls, label: object) -> object:
        if isinstance(label, int | float) and not isinstance(label, bool):
            return str(label)
        return label.strip() if isinstance(label, str) else label

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if [self.name, self.openml, self.csv].count(None) != 2:
            raise ValueError("a data set has one source: a name, openml or csv")
        if (self.csv is None) != (self.label is None):
            raise ValueError("csv and label go together: write {csv: PATH, label: COLUMN}")
        if self.name is not None and self.name not in self.names:
            raise ValueError(_unknown(self.name, self.names))
        return self

    @model_serializer
    def _as_written(self) -> str | dict[str, str | int]:
        if self.csv is not None:
            return {"csv": str(self.csv), "label": str(self.label)}
        return str(self.name) if self.openml is None else {"openml": self.openml}

    @property
    def title(self) -> str:
        """The short name for boards: the name, ``openml-ID`` or the file's stem."""
        if self.csv is not None:
            return self.csv.stem
        return str(self.name) if self.openml is None else f"openml-{self.openml}"

    def load(self) -> Table:
        """Return the data, read once per process.

        Raises:
            ArenaError: a file or a download is missing or breaks the rules of ``arena.tables``.
        """
        return _load(self)[0]

    def identity(self) -> dict[str, object]:
        """Return what results depend on, fit for JSON: a file's content and not its place.

        Raises:
            ArenaError: as ``load``, for a CSV file; its hash is of the very bytes that were loaded.
        """
        if self.csv is not None:
            return {"csv_sha256": _load(self)[1], "label": self.label}
        return {"name": self.name} if self.openml is None else {"openml": self.openml}


class RegressionDataset(Dataset):
    """A data set whose label is a number: a name, ``{openml: ID}`` or a CSV file, as `Dataset`."""

    names: ClassVar[tuple[str, ...]] = REGRESSION
    regression: ClassVar[bool] = True


def _unknown(name: str, names: tuple[str, ...]) -> str:
    if name.lower().endswith(".csv"):
        return f"'{name}' is a file: write {{csv: {name}, label: COLUMN}}"
    known, near = f"known are: {', '.join(names)}", closest(name, names)
    if name in NAMES or name in REGRESSION:
        labels = "classes" if name in NAMES else "numbers"
        return f"data set '{name}' has {labels} for labels, which this does not predict; {known}"
    return f"no data set is called '{name}'; {known if near == known else f'{known}; {near}'}"


@cache
def _load(dataset: Dataset) -> tuple[Table, str]:
    """Return the table and the SHA-256 of the user's file it was read from ("" without one)."""
    title = dataset.title
    if dataset.csv is not None:
        content = _read(dataset.csv)
        where = f"'{dataset.csv}'"
        table = from_csv(content, str(dataset.label), title, where, dataset.regression)
        return table, hashlib.sha256(content).hexdigest()
    if dataset.openml is not None:
        return _from_openml(dataset.openml, title, dataset.regression), ""
    if title in (*SKLEARN, *REGRESSION):
        return _from_sklearn(title, dataset.regression), ""
    packed = resources.files("arena.bundled").joinpath(f"{title}.csv.xz").read_bytes()
    return from_csv(lzma.decompress(packed), BUNDLED[title], title, f"bundled '{title}'"), ""


def _read(path: Path) -> bytes:
    try:
        if path.is_file():
            return path.read_bytes()
        reason = "is a directory" if path.is_dir() else "is not a file"
        reason = reason if path.exists() else "does not exist"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    raise ArenaError(f"'{path}' {reason}: give the path of a readable CSV file")


def _from_sklearn(name: str, regression: bool) -> Table:
    """Load one of its sets; the pixels of digits are integers, all else is continuous."""
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    X = np.array(bunch.data, np.float64)
    y: Outcomes = np.array(bunch.target, np.float64)
    if not regression:
        y = y.astype(np.int64)
    columns = zip(bunch.feature_names, X.T, strict=True)
    features = tuple(numeric(str(n), x, whole=name == "digits")[0] for n, x in columns)
    classes = () if regression else tuple(map(str, bunch.target_names))
    return Table(name, features, X, y, classes)


def _from_openml(number: int, title: str, regression: bool) -> Table:
    """Fetch a set through scikit-learn's cache, with the one parser that works without pandas."""
    from sklearn.datasets import fetch_openml

    where = f"OpenML data set {number}"
    try:
        # It warns before it fails, and what fails is said below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bunch = fetch_openml(data_id=number, as_frame=False, parser="liac-arff")
    except (OSError, HTTPException) as error:
        raise ArenaError(
            f"{where} could not be downloaded ({_one_line(error)}): check the network, or name a "
            "bundled set or a CSV file"
        ) from error
    except Exception as error:  # the ARFF parser has its own exceptions and leaks IndexErrors
        raise ArenaError(
            f"{where} cannot be used ({_one_line(error)}): choose another one"
        ) from error
    if not isinstance(bunch.data, np.ndarray) or np.ndim(bunch.target) != 1:
        raise ArenaError(f"{where} is sparse or has not exactly one label: choose another one")
    columns = {
        name: _as_cells(values, bunch.categories.get(name))
        for name, values in zip(bunch.feature_names, bunch.data.T, strict=True)
    }
    labels = _as_cells(bunch.target, None)
    return from_cells(columns, labels, range(1, len(labels) + 1), title, where, regression)


def _as_cells(values: NDArray[Any], categories: Sequence[str] | None) -> list[str]:
    """Write a column as a CSV file would, so that one set of rules serves both.

    ARFF does not say which numbers are whole: a column of nothing but whole values counts so.
    """
    if values.dtype == object:
        return ["" if value is None else str(value).strip() for value in values]
    absent = np.isnan(values)
    if categories is not None:
        names = [str(category).strip() for category in categories]
        return ["" if gone else names[int(v)] for v, gone in zip(values, absent, strict=True)]
    present = values[~absent]
    whole = np.isfinite(present).all() and (present == np.rint(present)).all()
    write = int if whole else float
    return ["" if gone else str(write(v)) for v, gone in zip(values, absent, strict=True)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
