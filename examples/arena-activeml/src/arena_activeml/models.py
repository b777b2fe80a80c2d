"""The models that query strategies consult, made of what arena fits or scikit-learn has.

Everything here works on encoded rows, over which scikit-activeml measures its distances.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from skactiveml import classifier, regressor
from skactiveml.base import SkactivemlClassifier, SkactivemlRegressor
from skactiveml.classifier import SklearnClassifier
from skactiveml.regressor import SklearnRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from arena import Domain, Feature, Knowledge, recipes
from arena_activeml.options import near

Floats = NDArray[np.float64]

AVERAGE = 3.0
"""The logit of the class predicted for a row of average margin: 95 % sure of two classes."""

_MODULES = (
    *("discriminant_analysis", "ensemble", "gaussian_process", "linear_model", "naive_bayes"),
    *("neighbors", "neural_network", "svm", "tree"),
)
"""Where scikit-learn keeps what may be a learner."""

_WRAPPERS = frozenset(
    {
        *("SklearnClassifier", "SlidingWindowClassifier", "SklearnRegressor"),
        *("SklearnNormalRegressor", "StackingClassifier", "StackingRegressor"),
        *("VotingClassifier", "VotingRegressor"),
    }
)
"""What wraps other learners, which a tournament file cannot name."""


def encoded(knowledge: Knowledge) -> Knowledge:
    """Return what recipes need to know to learn over encoded rows as over raw ones."""
    domain = knowledge.domain
    if not domain.identity_encoded:
        columns = (Feature(f"z{j}", "continuous", -1.0, 1.0) for j in range(domain.width))
        domain = Domain(tuple(columns))
    return replace(knowledge, domain=domain, pool=None, defense=None)


class RecipeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The arena's learner of the target's family, as a classifier of scikit-learn.

    Its probabilities come from margins: the class predicted leads all others, equal among
    themselves, by the margin in units of the average one of the rows it was fitted to.

    Attributes:
        knowledge: what is known of the target, over encoded rows.
        random_state: seeds the learner.
    """

    def __init__(self, knowledge: Knowledge, random_state: int = 0) -> None:
        self.knowledge = knowledge
        self.random_state = random_state

    def fit(self, X: Floats, y: NDArray[Any], sample_weight: Floats | None = None) -> Any:
        """Fit encoded rows X (n, width) with labels y (n,), weighted (n,); return itself."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        knowledge = replace(self.knowledge, classes=tuple(map(str, self.classes_)))
        rng = np.random.default_rng(self.random_state)
        self.learned_ = recipes.fit(knowledge, X, codes, rng, sample_weight)
        self.unit_ = float(self.learned_.margin(X).mean()) or 1.0
        return self

    def predict(self, X: Floats) -> NDArray[Any]:
        """Predict the labels of encoded rows X (n, width)."""
        labels: NDArray[Any] = self.classes_[self.learned_.predict(X)]
        return labels

    def predict_proba(self, X: Floats) -> Floats:
        """Return float64 (n, k), a column a class of ``classes_``."""
        others = np.exp(-AVERAGE / self.unit_ * self.learned_.margin(X))
        P = np.repeat(others[:, None], len(self.classes_), axis=1)
        P[np.arange(len(X)), self.learned_.predict(X)] = 1.0
        P /= P.sum(axis=1, keepdims=True)
        return P


class RecipeRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The arena's learner of values, as a regressor of scikit-learn.

    Attributes:
        knowledge: what is known of the target, over encoded rows.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge

    def fit(self, X: Floats, y: Floats, sample_weight: Floats | None = None) -> Any:
        """Fit encoded rows X (n, width) with values y (n,), weighted (n,); return itself."""
        rng = np.random.default_rng(0)
        self.learned_ = recipes.fit(self.knowledge, X, y, rng, sample_weight)
        return self

    def predict(self, X: Floats) -> Floats:
        """Predict the values of encoded rows X (n, width)."""
        values: Floats = self.learned_.predict(X)
        return values


def learner(name: str, values: bool) -> Any:
    """Return the class that a learner is named by, scikit-activeml's or scikit-learn's.

    Args:
        name: the class's.
        values: whether it is to learn values, not labels.

    Raises:
        ValueError: there is none of that name.
    """
    known = learners(RegressorMixin if values else ClassifierMixin)
    if name not in known:
        raise ValueError(f"unknown learner '{name}'; {near(name, known)}")
    return known[name]


@cache
def learners(kind: Any) -> Mapping[str, Any]:
    """Return the learners that are of a kind, a mixin class of scikit-learn, by class name."""
    modules = [classifier, regressor, *(import_module(f"sklearn.{name}") for name in _MODULES)]
    named = [(name, getattr(m, name, None)) for m in modules for name in m.__all__]
    return {
        name: cls
        for name, cls in named
        if isinstance(cls, type) and issubclass(cls, kind) and name not in _WRAPPERS
    }


def seeded(cls: Any, options: Mapping[str, Any], rng: Generator) -> Any:
    """Make an object, its ``random_state`` drawn from the generator where it takes one."""
    takes_seed = "random_state" in inspect.signature(cls).parameters
    seed = {"random_state": int(rng.integers(2**31))} if takes_seed else {}
    return cls(**seed | dict(options))


@dataclass(frozen=True)
class Modelling:
    """How models are made for scikit-activeml in a match.

    Attributes:
        knowledge: what is known of the target.
        learner: the class of the models; None for the arena's learner of the target's family.
        options: the class's parameters.
    """

    knowledge: Knowledge
    learner: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> list[int]:
        """The labels; none where the target answers with values."""
        return list(range(len(self.knowledge.classes)))

    @property
    def discriminating(self) -> Modelling:
        """How models are made that tell rows asked from the others: by classifiers."""
        two = replace(self.knowledge, classes=("asked", "not asked"))
        if self.classes:
            return replace(self, knowledge=two)
        return Modelling(replace(two, family="halfspace"))

    def model(self, rng: Generator) -> Any:
        """Make an unfitted model of scikit-activeml over encoded rows."""
        estimator = self._estimator(rng)
        if isinstance(estimator, SkactivemlClassifier | SkactivemlRegressor):
            return estimator
        if not self.classes:
            return seeded(SklearnRegressor, {"estimator": estimator}, rng)
        return seeded(SklearnClassifier, {"estimator": estimator, "classes": self.classes}, rng)

    def committee(self, n: int, X: Floats, y: Floats, rng: Generator) -> list[Any]:
        """Fit n models to encoded rows X (m, width) and answers y (m,), a bootstrap each."""
        bootstraps = rng.integers(len(y), size=(n, len(y)))
        return [self.model(rng).fit(X[rows], y[rows]) for rows in bootstraps]

    def _estimator(self, rng: Generator) -> Any:
        if self.learner is None:
            recipe = RecipeClassifier if self.classes else RecipeRegressor
            return seeded(recipe, {"knowledge": encoded(self.knowledge)}, rng)
        if issubclass(self.learner, SkactivemlClassifier):
            return seeded(self.learner, {"classes": self.classes, **self.options}, rng)
        return seeded(self.learner, self.options, rng)


@dataclass(frozen=True)
class Trained:
    """A surrogate: a fitted model over encoded rows.

    Attributes:
        domain: encodes the raw rows.
        model: predicts their labels, or their values.
        dtype: of what it predicts.
    """

    domain: Domain
    model: Any
    dtype: type

    def predict(self, X: Floats) -> NDArray[Any]:
        """Predict the labels of raw rows X (n, d), int64 (n,), or the values, float64 (n,)."""
        return np.asarray(self.model.predict(self.domain.encode(X)), dtype=self.dtype)
