"""Weighted particles: what every sequential Monte Carlo sampler does with its weights."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def normalised(log_weights: Floats) -> Floats:
    """Return weights that sum to 1, float64 (n,), from their logarithms up to a constant."""
    weights = np.exp(log_weights - log_weights.max())
    shares: Floats = weights / weights.sum()
    return shares


def resampled(weights: Floats, rng: Generator) -> NDArray[np.intp]:
    """Draw as many particles as there are weights (n,), systematically; return their places."""
    n = len(weights)
    chosen = np.searchsorted(weights.cumsum(), (rng.random() + np.arange(n)) / n)
    return np.minimum(chosen, n - 1)
