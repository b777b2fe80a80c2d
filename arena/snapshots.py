"""What crosses from an attack to the referee: a surrogate's arrays, or opaque bytes."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from arena.api import Floats, LinearSurrogate
from arena.domain import Domain
from arena.errors import is_interrupt, one_line
from arena.learners.arrays import Arrays, ArraySurrogate, Linear
from arena.metrics import labels_fault
from arena.tables import Outcomes

MOST_BYTES = 64 << 20
"""A surrogate may pickle to this many bytes."""

_PROBES = 64
"""Rows on which an object with ``coef_`` shows whether its ``predict`` is that of its arrays."""


class RuleBroken(Exception):
    """An attack proposed something that is no surrogate; the message is one sentence."""


class Predictor(Protocol):
    """A snapshot made ready to predict."""

    def labels(self, X: Floats, Z: Floats) -> Outcomes:
        """Predict the labels of raw rows X (n, d), which encode to Z (n, width); int64 (n,).

        Of a regression it predicts the values, float64 (n,).

        Raises:
            RuleBroken: the surrogate fails, or gives something that is no labels.
        """


@dataclass(frozen=True)
class Pickled:
    """Any other surrogate, as its pickle."""

    data: bytes


@dataclass(frozen=True)
class _Loaded:
    surrogate: Any
    classes: int

    def labels(self, X: Floats, Z: Floats) -> Outcomes:
        """Predict the labels, or the values, of raw rows X (n, d)."""
        try:
            labels = np.asarray(self.surrogate.predict(X.copy()))
            wrong = labels_fault(labels, len(X), self.classes)
        except BaseException as error:
            if is_interrupt(error):
                raise
            raise RuleBroken(f"its surrogate fails to predict: {one_line(error)}") from error
        if wrong:
            raise RuleBroken(wrong)
        return labels.astype(np.int64 if self.classes else np.float64)


Snapshot = Arrays | Pickled


def must_predict(surrogate: Any) -> None:
    """Check that what an attack yielded is a surrogate.

    Raises:
        RuleBroken: it has no ``predict``.
    """
    if not callable(getattr(surrogate, "predict", None)):
        what = type(surrogate).__name__
        raise RuleBroken(f"proposes {what}, which has no predict(X); yield a surrogate")


def capture(surrogate: Any, domain: Domain, classes: int) -> Snapshot:
    """Take a snapshot of a surrogate.

    Raises:
        RuleBroken: it does not pickle, is too large, or is not finite.
    """
    if _predicts_by_arrays(surrogate, domain):
        return _linear(surrogate, domain, classes)
    if arrays := _arrays(surrogate, domain, classes) or _as_linear(surrogate, domain, classes):
        return arrays
    file = _Capped()
    try:
        pickle.Pickler(file, protocol=5).dump(surrogate)
    except RuleBroken:
        raise
    except Exception as error:
        raise RuleBroken(f"its surrogate does not pickle: {one_line(error)}") from error
    return Pickled(file.getvalue())


def _predicts_by_arrays(surrogate: Any, domain: Domain) -> bool:
    """Whether a surrogate is linear over this domain, and no subclass predicts in another way."""
    if not isinstance(surrogate, LinearSurrogate) or surrogate.domain != domain:
        return False
    return type(surrogate).predict is LinearSurrogate.predict


def _arrays(surrogate: Any, domain: Domain, classes: int) -> Arrays | None:
    """Take what a surrogate of labels gives as arrays, if no subclass predicts in another way."""
    if not (classes and isinstance(surrogate, ArraySurrogate)):
        return None
    if _origin(surrogate, "arrays") is not _origin(surrogate, "predict"):
        return None
    arrays = surrogate.arrays(domain)
    if arrays is None:
        return None
    try:
        # As a referee does, so that isolated or not the same is scored.
        return type(arrays).of(arrays.matrices(), domain.width, classes)
    except ValueError:
        return None


def _origin(surrogate: ArraySurrogate, name: str) -> type:
    """Return the class that a method is defined in."""
    return next(c for c in type(surrogate).__mro__ if name in vars(c))


def loaded(snapshot: Snapshot, classes: int) -> Predictor:
    """Make a snapshot ready to predict labels 0..classes - 1, or values if there are no classes.

    Raises:
        RuleBroken: its pickle cannot be loaded.
    """
    if not isinstance(snapshot, Pickled):
        return snapshot
    try:
        return _Loaded(pickle.loads(snapshot.data), classes)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise RuleBroken(f"its surrogate cannot be unpickled: {one_line(error)}") from error


class _Capped(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > MOST_BYTES:
            raise RuleBroken(f"its surrogate pickles to more than {MOST_BYTES >> 20} MiB")
        return super().write(data)


def _as_linear(surrogate: Any, domain: Domain, classes: int) -> Linear | None:
    """Take the arrays of an object of another class, if its ``predict`` is what they give.

    Only where rows are encoded as they are: elsewhere nothing tells what its ``coef_`` is over.
    """
    if not (domain.identity_encoded and hasattr(surrogate, "coef_")):
        return None
    try:
        linear = _linear(surrogate, domain, classes)
        X = domain.sample(_PROBES, np.random.default_rng(0))
        predicted, expected = surrogate.predict(X.copy()), linear.labels(X, domain.encode(X))
        same = (np.array_equal if classes else np.allclose)(predicted, expected)
    except Exception:
        # It may still be a surrogate of another kind; scoring tells.
        return None
    return linear if same else None


def _linear(surrogate: Any, domain: Domain, classes: int) -> Linear:
    try:
        coef = np.array(surrogate.coef_, dtype=np.float64, ndmin=2)
        intercept = np.array(surrogate.intercept_, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise RuleBroken(f"its coef_ and intercept_ are not numbers: {error}") from None
    rows = 1 if not classes or (len(coef) == 1 and classes == 2) else classes
    if coef.shape != (rows, domain.width) or intercept.shape not in ((rows,), (1,)):
        raise RuleBroken(
            f"its coef_ has shape {coef.shape} and intercept_ {intercept.shape}; "
            f"give ({rows}, {domain.width}) and ({rows},)"
        )
    if not np.isfinite(coef).all() or not np.isfinite(intercept).all():
        raise RuleBroken("its coef_ or intercept_ is not finite")
    return Linear(coef, np.broadcast_to(intercept, (rows,)).copy(), not classes)
