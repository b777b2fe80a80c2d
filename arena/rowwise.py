"""Prediction kernels whose result for a row does not depend on the batch it stands in.

BLAS picks another summation order for another batch size, so that ``X @ w`` by batch and by row
differ in the last bit; queries found by bisection sit exactly there. These kernels reduce every row
along contiguous memory, in one order, whatever the batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HALVES = np.array([-0.5, 0.5])
_BLOCK = 4096
"""Columns summed at a time: beyond its buffer of 8192, einsum's order depends on the batch."""


def affine(X: Floats, W: Floats, b: Floats) -> Floats:
    """Compute ``X @ W.T + b``.

    Args:
        X: float64 (n, d).
        W: float64 (k, d), C-contiguous.
        b: float64 (k,).

    Returns:
        float64 (n, k), each row the same bits in any batch.
    """
    X = np.ascontiguousarray(X)
    out: Floats = np.zeros((len(X), len(W)))
    for start in range(0, X.shape[1], _BLOCK):
        columns = slice(start, start + _BLOCK)
        # Unoptimised einsum never calls BLAS.
        out += np.einsum("ij,kj->ik", X[:, columns], W[:, columns])
    out += b
    return out


def softmax(z: Floats) -> Floats:
    """Turn scores into probabilities, the smallest ones to full relative precision.

    Args:
        z: float64 (n, k), or (n, 1): the score of class 1 against class 0.

    Returns:
        float64 (n, k), or (n, 2), each row the same bits in any batch.
    """
    if z.shape[1] == 1:
        z = z * _HALVES
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p: Floats = e / e.sum(axis=1, keepdims=True)
    return p
