"""What to learn from answers: for every target family its learner, from raw rows and labels.

The surrogates tell how close a row is to their boundary, so that active attacks can ask there.
scikit-learn is imported on first use, so that listing plugins is quick.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena.answers import REFUSED
from arena.api import Knowledge, LinearSurrogate, Oracle, Surrogate
from arena.domain import Domain
from arena.learners.arrays import Arrays, ArraySurrogate, Kernel, Trees
from arena.learners.logistic import logistic
from arena.learners.pairwise_svm import Machines
from arena.tables import Outcomes

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

LINEAR = frozenset({"halfspace", "softmax"})
"""The families that are linear in the encoded rows."""

WEAK = 1e6
"""Inverse regularisation of linear surrogates: an oracle without noise wants hardly any."""

_NEWTON = 200
"""Up to how many coefficients Newton's method is quicker than L-BFGS (measured at n = 500)."""


class Learned(Surrogate, Protocol):
    """A surrogate that knows how sure it is."""

    def margin(self, X: Floats) -> Floats:
        """Return the closeness of raw rows X (n, d) to the boundary, float64 (n,), 0: on it."""


@dataclass(frozen=True)
class Constant(ArraySurrogate):
    """The guess of one class everywhere.

    Attributes:
        label: index of the class.
    """

    label: int

    def predict(self, X: Floats) -> Labels:
        """Predict the labels of raw rows X (n, d)."""
        return np.full(len(X), self.label, dtype=np.int64)

    def margin(self, X: Floats) -> Floats:
        """Return 0 for each of the raw rows X (n, d): no row is known better than another."""
        return np.zeros(len(X))

    def arrays(self, domain: Domain) -> Arrays:
        """Return what predicts the same over any domain."""
        return Trees.constant(self.label)


class Regression(LinearSurrogate):
    """A linear surrogate of values, which knows no boundary."""

    def margin(self, X: Floats) -> Floats:
        """Return 0 for each of the raw rows X (n, d)."""
        return np.zeros(len(X))


class Linear(LinearSurrogate):
    """A linear surrogate over encoded rows that knows its margin."""

    def margin(self, X: Floats) -> Floats:
        """Return |score|, or the lead of the best class over the second, float64 (n,)."""
        scores = self.domain.encode(X) @ self.coef_.T + self.intercept_
        return np.abs(scores[:, 0]) if scores.shape[1] == 1 else _lead(scores)


@dataclass(frozen=True, eq=False)
class Fitted(ArraySurrogate):
    """A fitted scikit-learn classifier over encoded rows.

    Attributes:
        domain: encodes the raw rows.
        model: the classifier; its classes are labels.
    """

    domain: Domain
    model: Any

    def predict(self, X: Floats) -> Labels:
        """Predict the labels of raw rows X (n, d)."""
        return np.asarray(self.model.predict(self.domain.encode(X)), dtype=np.int64)

    def margin(self, X: Floats) -> Floats:
        """Return the lead of the predicted class over the second in probability, float64 (n,)."""
        return _lead(self.model.predict_proba(self.domain.encode(X)))

    def arrays(self, domain: Domain) -> Arrays | None:
        """Return the trees that predict the same over a domain; None where there are none."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.tree import DecisionTreeClassifier

        if domain != self.domain:
            return None
        if type(self.model) is DecisionTreeClassifier:
            return Trees.fitted([self.model], self.model.classes_)
        if type(self.model) is RandomForestClassifier:
            return Trees.fitted(self.model.estimators_, self.model.classes_)
        return None


@dataclass(frozen=True, eq=False)
class KernelMachine(ArraySurrogate):
    """A fitted RBF support vector classifier over encoded rows.

    Attributes:
        domain: encodes the raw rows.
        machines: its arrays.
        labels: int64 (k,), the labels of its classes.
    """

    domain: Domain
    machines: Machines
    labels: Labels

    def predict(self, X: Floats) -> Labels:
        """Predict the labels of raw rows X (n, d)."""
        decision = self.machines.fast_decision(self.domain.encode(X))
        predicted: Labels = self.labels[self.machines.winners(decision)]
        return predicted

    def margin(self, X: Floats) -> Floats:
        """Return the least |decision value| of the predicted class against another, (n,)."""
        decision = self.machines.fast_decision(self.domain.encode(X))
        concerned = self.machines.sides[self.machines.winners(decision)] != 0
        nearest: Floats = np.where(concerned, np.abs(decision), np.inf).min(axis=1)
        return nearest

    def arrays(self, domain: Domain) -> Arrays | None:
        """Return what predicts the same over a domain; None where it is another one."""
        return Kernel(self.machines, self.labels) if domain == self.domain else None


def fit(
    knowledge: Knowledge,
    X: Floats,
    y: Outcomes,
    rng: Generator,
    weights: Floats | None = None,
) -> Learned:
    """Fit the passive learner of the target's family to answers.

    Linear families: logistic regression, hardly regularised. Linear regression: least squares.
    Trees, forests, networks: the target's recipe as far as its hyperparameters are granted.
    Anything else: a support vector machine with an RBF kernel, gamma and C the target's where
    granted, else 1/width and 1.

    Args:
        knowledge: what the attack was told.
        X: float64 (n, d), raw rows; n may be 0.
        y: int64 (n,), their labels, none of them refused; their values, float64 (n,), for a
            regression.
        rng: for learners that draw.
        weights: float64 (n,), how much each row counts; 1 by default.

    Returns:
        A surrogate; a constant one unless two classes were met.
    """
    if knowledge.family == "linear-regression":
        return _regression(knowledge, X, y, weights, 0.0)
    return _learn(knowledge, X, y.astype(np.int64), rng, weights, C=None)


def refit(knowledge: Knowledge, X: Floats, y: Outcomes, rng: Generator) -> Learned:
    """Train by the target's own recipe, as far as its hyperparameters are granted.

    Differs from ``fit`` for linear families, which keep the target's regularisation (C, else 1;
    alpha, else 0, of a regression). Arguments and result are those of ``fit``.
    """
    granted = _granted(knowledge)
    if knowledge.family == "linear-regression":
        return _regression(knowledge, X, y, None, float(granted.get("alpha", 0.0)))
    return _learn(knowledge, X, y.astype(np.int64), rng, None, C=float(granted.get("C", 1.0)))


def ridge(
    Z: Floats, y: Outcomes, alpha: float, weights: Floats | None = None
) -> tuple[Floats, float]:
    """Minimise ``sum_i weights_i (y_i - <a, z_i> - b)^2 + alpha |a|^2``, by the shortest such a.

    Args:
        Z: float64 (n, width), encoded rows; n may be 0.
        y: float64 (n,), their values.
        alpha: strength of the penalty, at least 0.
        weights: float64 (n,), how much each row counts; 1 by default.

    Returns:
        a, float64 (width,), and b; 0 without rows.
    """
    width = Z.shape[1]
    if not len(Z):
        return np.zeros(width), 0.0
    counts = np.ones(len(Z)) if weights is None else weights
    mean, level = np.average(Z, axis=0, weights=counts), float(np.average(y, weights=counts))
    root = np.sqrt(counts)
    A = np.vstack([root[:, None] * (Z - mean), np.sqrt(alpha) * np.eye(width)])
    a = np.linalg.lstsq(A, np.append(root * (y - level), np.zeros(width)), rcond=None)[0]
    return a, level - float(mean @ a)


def _regression(
    knowledge: Knowledge, X: Floats, y: Outcomes, weights: Floats | None, alpha: float
) -> Regression:
    a, b = ridge(knowledge.domain.encode(X), y, alpha, weights)
    return Regression(knowledge.domain, a[None], np.array([b]), regression=True)


def soft(X: Floats, probabilities: Floats) -> tuple[Floats, Labels, Floats]:
    """Turn class probabilities into weighted labels: each row enters once a class.

    The weighted log loss is then least where a model's probabilities are the answers.

    Args:
        X: float64 (n, d), raw rows.
        probabilities: float64 (n, k); rows that are not finite are left out, negatives are 0.

    Returns:
        Rows (m, d), labels int64 (m,) and weights float64 (m,), of the positive probabilities.
    """
    finite = np.isfinite(probabilities).all(axis=1, keepdims=True)
    P = np.where(finite, probabilities, 0.0)
    rows, labels = np.nonzero(P > 0)
    return X[rows], labels.astype(np.int64), P[rows, labels]


class Transcript:
    """What an attack asked and was answered by label; refused rows are left out.

    Attributes:
        oracle: whom it asks.
    """

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self._X: list[Floats] = [np.empty((0, oracle.knowledge.domain.d))]
        self._y: list[Labels] = [np.empty(0, dtype=np.int64)]

    def ask(self, X: Floats) -> Labels:
        """Ask raw rows X (n, d), as many as the budget allows; return their labels int64 (<= n,).

        Raises:
            ValueError: the oracle reveals no labels.
        """
        X = X[: self.oracle.remaining]
        labels = self.oracle.ask(X).label
        if labels is None:
            raise ValueError("this attack learns from labels, and the oracle reveals none")
        answered = labels != REFUSED
        self._X.append(X[answered])
        self._y.append(labels[answered])
        return labels

    @property
    def X(self) -> Floats:
        """All rows answered, float64 (n, d)."""
        self._X = [np.concatenate(self._X)]
        return self._X[0]

    @property
    def y(self) -> Labels:
        """Their labels, int64 (n,)."""
        self._y = [np.concatenate(self._y)]
        return self._y[0]

    def fit(self, rng: Generator) -> Learned:
        """Fit the passive learner of the target's family to all answers."""
        return fit(self.oracle.knowledge, self.X, self.y, rng)


def _learn(
    knowledge: Knowledge,
    X: Floats,
    y: Labels,
    rng: Generator,
    weights: Floats | None,
    C: float | None,
) -> Learned:
    if y.size == 0 or np.all(y == y[0]):
        return Constant(int(y[0]) if y.size else 0)
    Z = knowledge.domain.encode(X)
    if knowledge.family in LINEAR:
        return _linear(knowledge, Z, y, weights, C)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    model = _classifier(knowledge, rng)
    with warnings.catch_warnings():
        # The recipe of a network is to stop after so many iterations, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(Z, y, sample_weight=weights)
    if isinstance(model, SVC):
        return KernelMachine(knowledge.domain, Machines.of(model), model.classes_)
    return Fitted(knowledge.domain, model)


def _linear(
    knowledge: Knowledge, Z: Floats, y: Labels, weights: Floats | None, C: float | None
) -> Linear:
    classes, codes = np.unique(y, return_inverse=True)
    homogeneous = knowledge.domain.geometry == "sphere"
    if C is None and Z.shape[1] * (len(classes) - 1) <= _NEWTON:
        A = Z if homogeneous else np.column_stack([Z, np.ones(len(Z))])
        W = logistic(A, codes, len(classes), weights, WEAK)
        coef, intercept = W[:, : Z.shape[1]], np.zeros(len(W)) if homogeneous else W[:, -1]
    else:
        coef, intercept = _by_lbfgs(Z, y, weights, C or WEAK, homogeneous)
    coef, intercept = _all_classes(coef, intercept, classes, len(knowledge.classes))
    return Linear(knowledge.domain, coef, intercept)


def _by_lbfgs(
    Z: Floats, y: Labels, weights: Floats | None, C: float, homogeneous: bool
) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=C,
        fit_intercept=not homogeneous,
        # Labels do not pin a model down further; probabilities do.
        tol=1e-4 if weights is None else 1e-6,
        max_iter=5000,
    ).fit(Z, y, sample_weight=weights)
    return model.coef_, np.broadcast_to(model.intercept_, len(model.coef_))


def _all_classes(coef: Floats, intercept: Floats, met: Labels, k: int) -> tuple[Floats, Floats]:
    """Spread the scores of the classes met over k classes; two of two stay one row.

    A class not met copies the row of one that was, one below it, so that it never wins.
    """
    if len(met) == k == 2:
        return coef, intercept
    if len(coef) < len(met):
        coef, intercept = np.vstack([0 * coef[:1], coef]), np.append(0.0, intercept)
    row = np.zeros(k, dtype=np.intp)
    row[met] = np.arange(len(met))
    return coef[row], intercept[row] - ~np.isin(np.arange(k), met)


def _classifier(knowledge: Knowledge, rng: Generator) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    granted = _granted(knowledge)
    seed = int(rng.integers(2**31))
    if knowledge.family == "tree":
        return DecisionTreeClassifier(**_named(granted, _TREE), random_state=seed)
    if knowledge.family == "forest":
        return RandomForestClassifier(**_named(granted, _FOREST), random_state=seed)
    if knowledge.family == "network":
        options = _named(granted, _NETWORK)
        return MLPClassifier(**options, solver="lbfgs", max_iter=500, random_state=seed)
    own = granted if knowledge.family == "kernel-svm" else {}
    gamma = own.get("gamma") or 1 / knowledge.domain.width
    # Without a random_state it draws from numpy's global generator, for nothing.
    return SVC(gamma=gamma, C=own.get("C", 1.0), cache_size=500, random_state=0)


_TREE = {name: name for name in ("max_depth", "max_leaf_nodes", "min_samples_leaf")}
_FOREST = {"n_estimators": "trees", **_TREE}
_NETWORK = {"hidden_layer_sizes": "hidden", "alpha": "alpha"}
"""What scikit-learn calls the parameters of our targets."""


def _named(granted: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Pick what was granted, by scikit-learn's names."""
    return {theirs: granted[ours] for theirs, ours in names.items() if ours in granted}


def _granted(knowledge: Knowledge) -> Mapping[str, Any]:
    return knowledge.hyperparameters or {}


def _lead(scores: Floats) -> Floats:
    """Return the lead of the best column over the second, float64 (n,)."""
    best = np.partition(scores, -2, axis=1)
    lead: Floats = best[:, -1] - best[:, -2]
    return lead
