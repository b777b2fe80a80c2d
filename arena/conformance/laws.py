"""Whether what was seen follows the law that was declared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena.answers import Answer

_UNLIKELY = 1e-6
"""A law that gives what was seen with less than this chance is not the law that was declared."""


def plausible(hits: int, trials: int, chance: float) -> bool:
    """Whether so many hits can come of independent trials of a chance."""
    from scipy.stats import binomtest

    return bool(binomtest(hits, trials, chance).pvalue >= _UNLIKELY)


def differing(a: Answer, b: Answer, row: NDArray[np.int64]) -> str:
    """Name the first field that two answers to the same rows, asked often, draw by two laws.

    Args:
        a: the answers to n queries.
        b: those to the same queries, asked another way.
        row: int64 (n,), which of the distinct rows a query is.

    Returns:
        '' where there is none.
    """
    theirs = b.arrays()
    for name, array in a.arrays().items():
        compare = _whole_numbers if array.dtype.kind in "iu" else _numbers
        if compare(array, theirs[name], row) < _UNLIKELY:
            return name
    return ""


def _whole_numbers(a: NDArray[Any], b: NDArray[Any], row: NDArray[np.int64]) -> float:
    """Return the chance of such a difference between draws (n,) of one law a row."""
    from scipy.stats import chi2_contingency

    kinds = np.unique(np.concatenate([a, b]), return_inverse=True)[1]
    cells = kinds * (row.max() + 1) + np.concatenate([row, row])
    most = cells.max() + 1
    table = np.array([np.bincount(half, minlength=most) for half in np.split(cells, 2)])
    return float(chi2_contingency(table[:, table.any(axis=0)]).pvalue)


def _numbers(a: NDArray[Any], b: NDArray[Any], row: NDArray[np.int64]) -> float:
    """Return the least chance of such a difference between draws (n,) or (n, k) of a row."""
    from scipy.stats import ks_2samp

    # A refusal counts as one number among the others.
    a, b = (np.nan_to_num(array.reshape(len(row), -1)) for array in (a, b))
    return min(
        float(ks_2samp(a[row == r, j], b[row == r, j]).pvalue)
        for r in range(row.max() + 1)
        for j in range(a.shape[1])
    )
