"""The victim that ART attacks: a black box whose predictions are bought from the oracle.

Imports ART: say ``from arena_art import victim`` within functions, after ``toolbox.load``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from art.estimators.classification import BlackBoxClassifier
from art.estimators.classification.blackbox import BlackBoxClassifierNeuralNetwork
from numpy.typing import NDArray

from arena import REFUSED, Answer, Oracle

Floats = NDArray[np.float64]


class Purchases:
    """What was bought of an oracle, in order; a run that asks the same again is told from here.

    ART trains once, at its end. To get a curve, an attack is run again with more queries, from the
    same random numbers: it then asks first what it has asked before, and that was paid for.

    Attributes:
        oracle: whom it asks.
        refused: the bytes of the rows that were refused.
    """

    def __init__(self, oracle: Oracle) -> None:
        knowledge = oracle.knowledge
        self.oracle = oracle
        self.refused: set[bytes] = set()
        self._X = np.empty((0, knowledge.domain.d))
        self._P = np.empty((0, len(knowledge.classes)))
        self._next = 0

    def rewind(self) -> None:
        """Begin a run: its first query is looked for where the first run began."""
        self._next = 0

    def predict(self, x: NDArray[Any]) -> Floats:
        """Return probabilities, or labels one-hot, of raw rows x (n, d); float64 (n, k).

        A refused row is 0 throughout.
        """
        X = np.asarray(x, dtype=np.float64)
        told = self._X[self._next : self._next + len(X)]
        if not np.array_equal(told, X[: len(told)]):
            # The run has left the way of the one before: from here on it pays.
            self._X, self._P = self._X[: self._next], self._P[: self._next]
            told = told[:0]
        if len(told) < len(X):
            self._buy(X[len(told) :])
        self._next += len(X)
        return self._P[self._next - len(X) : self._next]

    def _buy(self, X: Floats) -> None:
        P = outputs(self.oracle.ask(X), self._P.shape[1])
        unanswered: NDArray[np.bool_] = np.asarray(np.isnan(P).any(axis=1))
        self.refused.update(row.tobytes() for row in X[unanswered])
        self._X = np.concatenate([self._X, X])
        self._P = np.concatenate([self._P, np.where(unanswered[:, None], 0.0, P)])


def outputs(answer: Answer, k: int) -> Floats:
    """Return an answer as ART has predictions, float64 (n, k): NaN where a row was refused.

    Raises:
        ValueError: the oracle reveals neither probabilities nor labels.
    """
    if answer.probabilities is not None:
        return answer.probabilities
    if answer.label is None:
        raise ValueError("this attack learns from probabilities or labels; it is told none")
    one_hot: Floats = np.eye(k)[answer.label]
    one_hot[answer.label == REFUSED] = np.nan
    return one_hot


def black_box(purchases: Purchases) -> BlackBoxClassifier:
    """Make the victim of attacks that train a thieved classifier on its predictions."""
    knowledge = purchases.oracle.knowledge
    return BlackBoxClassifier(
        purchases.predict, (knowledge.domain.d,), nb_classes=len(knowledge.classes)
    )


class Logits(BlackBoxClassifierNeuralNetwork):  # type: ignore[misc]
    """A network whose logits are bought from the oracle, over encoded rows, in full precision.

    ART's own black box keeps predictions in 32 bits, where no second difference survives. Every
    feature must be one encoded number, so that an encoded row tells its raw one.
    """

    def __init__(self, oracle: Oracle) -> None:
        domain = oracle.knowledge.domain
        super().__init__(self._ask, (domain.width,), nb_classes=len(oracle.knowledge.classes))
        self._oracle = oracle
        sphere = domain.identity_encoded
        self._low = np.zeros(domain.d) if sphere else domain.low
        self._half = np.ones(domain.d) if sphere else (domain.high - domain.low) / 2
        self._one = 0.0 if sphere else 1.0

    def predict(self, x: NDArray[Any], batch_size: int = 128, **options: Any) -> Floats:
        """Return the logits of encoded rows x (n, width), float64 (n, k); asked as one batch.

        Raises:
            ValueError: x is not finite, after a division by 0 of ART's; nothing was asked.
        """
        return self._ask(x)

    def _ask(self, x: NDArray[Any]) -> Floats:
        Z = np.asarray(x, dtype=np.float64)
        if not np.isfinite(Z).all():
            raise ValueError("the row to ask is not finite")
        score = self._oracle.ask(self._low + (Z + self._one) * self._half).score
        if score is None:
            raise ValueError("this attack learns from scores, and the oracle reveals none")
        return np.column_stack([-score, score]) / 2 if score.ndim == 1 else score
