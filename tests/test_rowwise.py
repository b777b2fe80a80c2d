"""Prediction kernels: a row's bits do not depend on its batch."""

from __future__ import annotations

import numpy as np
import pytest

from arena import affine


@pytest.mark.parametrize("d", [1, 4096, 4097, 8192, 8193, 20_000])
@pytest.mark.parametrize("k", [1, 3])
def test_a_row_has_the_same_bits_in_any_batch(d: int, k: int) -> None:
    rng = np.random.default_rng(d + k)
    X, W, b = rng.standard_normal((40, d)), rng.standard_normal((k, d)), rng.standard_normal(k)
    whole = affine(X, W, b)
    for size in (1, 7):
        parts = [affine(X[i : i + size], W, b) for i in range(0, len(X), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_allclose(whole, X @ W.T + b, atol=1e-9)
