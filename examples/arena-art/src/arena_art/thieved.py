"""The classifier that ART trains: a scikit-learn network, so that no other library is needed.

Imports ART: say ``from arena_art import thieved`` within functions, after ``toolbox.load``.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from typing import Any

import numpy as np
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from arena import Domain, Surrogate, recipes
from arena_art.perceptron import Perceptron

Floats = NDArray[np.float64]


class Thieved(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A multi-layer perceptron over encoded rows; fitting goes on from the weights it has."""

    def __init__(
        self, domain: Domain, k: int, network: MLPClassifier, refused: Collection[bytes]
    ) -> None:
        """Start untrained.

        Args:
            domain: encodes the raw rows.
            k: the number of classes.
            network: the perceptron, with its learning rate, units and random state.
            refused: the bytes of rows that have no answer, from which nothing is learned.
        """
        super().__init__(model=network, clip_values=None)
        self.nb_classes = k
        self._domain = domain
        self._refused = refused
        self._trained = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of a raw row."""
        return (self._domain.d,)

    def fit(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        batch_size: int = 128,
        nb_epochs: int = 20,
        **options: Any,
    ) -> None:
        """Train for so many epochs.

        Args:
            x: raw rows (n, d).
            y: float (n, k), labels one-hot or probabilities.
            batch_size: rows in a step.
            nb_epochs: passes over the rows.
            options: what other frameworks take.
        """
        X = np.asarray(x, dtype=np.float64)
        answered = np.array([row.tobytes() not in self._refused for row in X], dtype=bool)
        X, labels, weights = recipes.soft(X[answered], np.asarray(y, np.float64)[answered])
        if not len(X):
            return
        Z, classes = self._domain.encode(X), np.arange(self.nb_classes)
        self.model.set_params(batch_size=min(batch_size, len(Z)))
        for _ in range(nb_epochs):
            self.model.partial_fit(Z, labels, sample_weight=weights, classes=classes)
        self._trained = True

    def predict(self, x: NDArray[Any], batch_size: int = 128, **options: Any) -> Floats:
        """Return the probabilities of raw rows x (n, d), float64 (n, k); even before training."""
        if not self._trained:
            return np.full((len(x), self.nb_classes), 1 / self.nb_classes)
        Z = self._domain.encode(np.asarray(x, dtype=np.float64))
        return np.asarray(self.model.predict_proba(Z))

    def surrogate(self) -> Surrogate:
        """Return what it predicts by now."""
        if not self._trained:
            return recipes.Constant(0)
        return Perceptron(self._domain, deepcopy(self.model))
