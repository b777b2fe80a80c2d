"""What the thieving attacks propose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from arena import Domain

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A trained network over encoded rows, without ART, so that scoring need not import it.

    Attributes:
        domain: encodes the raw rows.
        model: the network; its classes are labels.
    """

    domain: Domain
    model: MLPClassifier

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        """Predict the labels of raw rows X (n, d)."""
        return np.asarray(self.model.predict(self.domain.encode(X)), dtype=np.int64)
