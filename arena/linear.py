"""What a linear surrogate predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def linear_values(Z: Floats, coef: Floats, intercept: Floats) -> Floats:
    """Predict the values of encoded rows Z (n, width) by coef (1, width) and intercept (1,)."""
    values: Floats = Z @ coef[0] + intercept[0]
    return values


def linear_labels(Z: Floats, coef: Floats, intercept: Floats) -> Labels:
    """Label encoded rows Z (n, width) by coef (1 or k, width) and intercept (1 or k,)."""
    scores = Z @ coef.T + intercept
    if scores.shape[1] == 1:
        return (scores[:, 0] > 0).astype(np.int64)
    labels: Labels = scores.argmax(axis=1).astype(np.int64)
    return labels
