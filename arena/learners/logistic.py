"""Logistic regression of two classes with hardly any regularisation, by Newton's method.

On answers without noise the classes can be separated, queries lie close to the boundary, and the
optimum is far out: there lbfgs stops too early (or warns after 1000 iterations), while Newton's
method takes 10 to 20 steps, 1 ms at n = 500, d = 30 (measured).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 100
_PRECISION = 1e-12
"""Newton steps end when the next would lower the loss by less than this part of it."""


def logistic(Z: Floats, y: NDArray[np.int64], weights: Floats | None, C: float) -> Floats:
    """Minimise ``sum_i weights_i log(1 + exp(-s_i <w, z_i>)) + |w|^2 / (2 C)``, s_i = +1 or -1.

    Args:
        Z: float64 (n, p), encoded rows; a column of ones makes an intercept.
        y: int64 (n,), 0 or 1.
        weights: float64 (n,), how much each row counts; 1 by default.
        C: inverse regularisation.

    Returns:
        The coefficients w, float64 (p,).
    """
    A = np.where(y > 0, 1.0, -1.0)[:, None] * Z
    count = np.ones(len(A)) if weights is None else weights
    w = np.zeros(A.shape[1])
    margin = A @ w
    loss = _loss(w, margin, count, C)
    for _ in range(_STEPS):
        wrong = np.exp(-np.logaddexp(0.0, margin))
        gradient = w / C - (count * wrong) @ A
        hessian = (A.T * (count * wrong * (1.0 - wrong))) @ A
        hessian[np.diag_indices_from(hessian)] += 1.0 / C
        step = np.linalg.solve(hessian, gradient)
        decrease = float(gradient @ step)
        slope, length = A @ step, 1.0
        while (new := _loss(w - length * step, margin - length * slope, count, C)) > loss:
            length /= 2
            if length < _PRECISION:
                return w
        w, margin, loss = w - length * step, margin - length * slope, new
        if decrease < _PRECISION * loss:
            break
    return w


def _loss(w: Floats, margin: Floats, count: Floats, C: float) -> float:
    return float(count @ np.logaddexp(0.0, -margin) + w @ w / (2.0 * C))
