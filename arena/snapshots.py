"""What crosses from an attack to the referee: arrays of a linear surrogate, or opaque bytes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from arena.api import Floats, Labels, LinearSurrogate, linear_labels
from arena.domain import Domain
from arena.metrics import labels_fault

MOST_BYTES = 64 << 20
"""A surrogate may pickle to this many bytes."""


class RuleBroken(Exception):
    """An attack proposed something that is no surrogate; the message is one sentence."""


@dataclass(frozen=True)
class Linear:
    """A linear surrogate over encoded rows: coef float64 (1 or k, width), intercept (1 or k,)."""

    coef: Floats
    intercept: Floats

    @property
    def normal(self) -> tuple[Floats, float] | None:
        """The halfspace (weights (width,), intercept) of a two-class surrogate, else None."""
        if len(self.coef) == 1:
            return self.coef[0], float(self.intercept[0])
        if len(self.coef) == 2:
            return self.coef[1] - self.coef[0], float(self.intercept[1] - self.intercept[0])
        return None


@dataclass(frozen=True)
class Pickled:
    """Any other surrogate, as its pickle."""

    data: bytes


Snapshot = Linear | Pickled


def capture(surrogate: Any, domain: Domain, classes: int) -> Snapshot:
    """Take a snapshot of a surrogate that an attack yielded.

    Raises:
        RuleBroken: it has no ``predict``, does not pickle, is too large, or is not finite.
    """
    if not callable(getattr(surrogate, "predict", None)):
        what = type(surrogate).__name__
        raise RuleBroken(f"proposes {what}, which has no predict(X); yield a surrogate")
    if _is_linear(surrogate, domain, classes):
        return _linear(surrogate, domain, classes)
    try:
        data = pickle.dumps(surrogate, protocol=5)
    except Exception as error:
        raise RuleBroken(f"its surrogate does not pickle: {error}") from error
    if len(data) > MOST_BYTES:
        raise RuleBroken(f"its surrogate pickles to {len(data)} bytes, over {MOST_BYTES}")
    return Pickled(data)


def predict(snapshot: Snapshot, X: Floats, Z: Floats, classes: int) -> Labels:
    """Predict the labels of raw rows X (n, d), which encode to Z (n, width); int64 (n,).

    Raises:
        RuleBroken: a pickled surrogate fails, or gives something that is no labels.
    """
    if isinstance(snapshot, Linear):
        return linear_labels(Z, snapshot.coef, snapshot.intercept)
    try:
        labels = np.asarray(pickle.loads(snapshot.data).predict(X.copy()))
    except Exception as error:
        raise RuleBroken(
            f"its surrogate fails to predict: {type(error).__name__}: {error}"
        ) from error
    if wrong := labels_fault(labels, len(X), classes):
        raise RuleBroken(wrong)
    return labels.astype(np.int64)


def _is_linear(surrogate: Any, domain: Domain, classes: int) -> bool:
    if isinstance(surrogate, LinearSurrogate):
        return True
    if not domain.identity_encoded or not (
        hasattr(surrogate, "coef_") and hasattr(surrogate, "intercept_")
    ):
        return False
    return np.array_equal(getattr(surrogate, "classes_", range(classes)), range(classes))


def _linear(surrogate: Any, domain: Domain, classes: int) -> Linear:
    try:
        coef = np.array(surrogate.coef_, dtype=np.float64, ndmin=2)
        intercept = np.array(surrogate.intercept_, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise RuleBroken(f"its coef_ and intercept_ are not numbers: {error}") from None
    rows = 1 if len(coef) == 1 and classes <= 2 else classes
    if coef.shape != (rows, domain.width) or intercept.shape not in ((rows,), (1,)):
        raise RuleBroken(
            f"its coef_ has shape {coef.shape} and intercept_ {intercept.shape}; "
            f"give ({rows}, {domain.width}) and ({rows},)"
        )
    if not np.isfinite(coef).all() or np.isnan(intercept).any():
        raise RuleBroken("its coef_ or intercept_ is not finite")
    return Linear(coef, np.broadcast_to(intercept, (rows,)).copy())
