"""Softmax regression with hardly any regularisation, by Newton's method.

Answers without noise can be separated, queries lie close to the boundary, and the optimum is far
out: there L-BFGS stops too early or takes a thousand iterations, while Newton's method takes 10 to
20 steps, 1 ms for two classes at n = 500, d = 30 (measured).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_STEPS = 100
_PRECISION = 1e-12
"""Newton steps end when the next would lower the loss by less than this part of it."""


def logistic(Z: Floats, y: Labels, k: int, weights: Floats | None, C: float) -> Floats:
    """Minimise ``-sum_i weights_i log p(y_i | z_i) + |W|^2 / (2 C)``; class 0 has the scores 0.

    Args:
        Z: float64 (n, p), encoded rows; a column of ones makes an intercept.
        y: int64 (n,), 0..k-1.
        k: the number of classes.
        weights: float64 (n,), how much each row counts; 1 by default.
        C: inverse regularisation.

    Returns:
        The coefficients W of classes 1..k-1, float64 (k - 1, p).
    """
    count = np.ones(len(Z)) if weights is None else weights
    chosen = y[:, None] == np.arange(1, k)
    W, scores = np.zeros((k - 1, Z.shape[1])), np.zeros((len(Z), k - 1))
    loss, P = _loss(W, scores, chosen, count, C)
    for _ in range(_STEPS):
        gradient = W / C + ((P - chosen) * count[:, None]).T @ Z
        step = np.linalg.solve(_hessian(Z, P, count, C), gradient.ravel()).reshape(W.shape)
        decrease, slope, length = float((gradient * step).sum()), Z @ step.T, 1.0
        while True:
            new, P = _loss(W - length * step, scores - length * slope, chosen, count, C)
            if new <= loss:
                break
            length /= 2
            if length < _PRECISION:
                return W
        W, scores, loss = W - length * step, scores - length * slope, new
        if decrease < _PRECISION * loss:
            break
    return W


def _loss(
    W: Floats, scores: Floats, chosen: NDArray[np.bool_], count: Floats, C: float
) -> tuple[float, Floats]:
    """Return the loss, and the probabilities of classes 1..k-1, float64 (n, k - 1)."""
    top = np.maximum(scores.max(axis=1), 0.0)
    E = np.exp(scores - top[:, None])
    total = np.exp(-top) + E.sum(axis=1)
    loss = top + np.log(total) - np.where(chosen, scores, 0.0).sum(axis=1)
    return float(count @ loss + (W * W).sum() / (2.0 * C)), E / total[:, None]


def _hessian(Z: Floats, P: Floats, count: Floats, C: float) -> Floats:
    """Return sum_i count_i (diag(P_i) - P_i P_i') x (z_i z_i') + I / C."""
    n, p = Z.shape
    m = P.shape[1]
    outer = ((np.sqrt(count)[:, None] * P)[:, :, None] * Z[:, None, :]).reshape(n, m * p)
    H = -outer.T @ outer
    for a in range(m):
        block = slice(a * p, (a + 1) * p)
        H[block, block] += (Z.T * (count * P[:, a])) @ Z
    H.flat[:: m * p + 1] += 1.0 / C
    return H
