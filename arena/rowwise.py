"""Prediction kernels whose result for a row does not depend on the batch it stands in.

BLAS picks another summation order for another batch size, so that ``X @ w`` by batch and by row
differ in the last bit; queries found by bisection sit exactly there. These kernels reduce every row
along contiguous memory, in one order, whatever the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 1 << 19
"""How many float64 a temporary may hold, so that large batches stay in cache."""


def affine(X: Floats, W: Floats, b: Floats) -> Floats:
    """Compute ``X @ W.T + b``.

    Args:
        X: float64 (n, d).
        W: float64 (k, d), C-contiguous.
        b: float64 (k,).

    Returns:
        float64 (n, k), each row the same bits in any batch.
    """
    if len(X) == 1:
        single: Floats = (W * X).sum(axis=1) + b
        return single[None, :]
    return _by_block(X, W, lambda rows: (rows[:, None, :] * W).sum(axis=2) + b)


def squared_distances(X: Floats, S: Floats) -> Floats:
    """Compute the squared Euclidean distances of every row of X to every row of S.

    Args:
        X: float64 (n, d).
        S: float64 (m, d), C-contiguous.

    Returns:
        float64 (n, m), each row the same bits in any batch.
    """
    if len(X) == 1:
        D = S - X
        D *= D
        single: Floats = D.sum(axis=1)
        return single[None, :]
    return _by_block(X, S, lambda rows: np.square(S - rows[:, None, :]).sum(axis=2))


def _by_block(X: Floats, other: Floats, kernel: Callable[[Floats], Floats]) -> Floats:
    X = np.ascontiguousarray(X)
    step = max(1, _BLOCK // max(1, other.size))
    out = np.empty((len(X), len(other)))
    for start in range(0, len(X), step):
        out[start : start + step] = kernel(X[start : start + step])
    return out
