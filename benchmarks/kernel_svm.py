"""Time one refit of the incremental kernel SVM against sklearn's SVC, along runs of EAT.

Each run adds, one by one, the candidate nearest to the surrogate's boundary out of 200 uniform
ones, labelled by an RBF SVM. BLAS is held to one thread. Run: ``python benchmarks/kernel_svm.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.svm import SVC
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from arena.learners.kernel_svm import KernelSVM

Floats = NDArray[np.float64]
Draw = Callable[[Generator, int], Floats]

SIZES = (50, 100, 250, 500, 1000, 2000)
CANDIDATES = 200
WINDOW = 50
"""Refits that a row of the table sums up: the last ones before each size."""

ONE_HOT = (2, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9, 10, 12, 12, 15)
"""Levels of the categorical features, 110 columns in all, as many as mushroom's."""


def numeric(rng: Generator, size: int) -> Floats:
    """Eight features in [-1, 1], as many as pima's."""
    return rng.uniform(-1, 1, (size, 8))


def one_hot(rng: Generator, size: int) -> Floats:
    """Categorical features, one-hot in -1 and +1."""
    blocks = [np.where(rng.integers(k, size=(size, 1)) == np.arange(k), 1.0, -1.0) for k in ONE_HOT]
    return np.hstack(blocks)


def rbf_target(draw: Draw, gamma: float) -> SVC:
    """An RBF SVM fitted to a noisy quadratic rule, so that its boundary is curved."""
    rng = np.random.default_rng(1)
    X = draw(rng, 400)
    score = X @ rng.normal(size=X.shape[1]) + (X[:, :4] ** 2 @ rng.normal(size=4))
    score += rng.normal(scale=score.std() / 2, size=400)
    return SVC(gamma=gamma, C=1.0).fit(X, np.where(score > np.median(score), 1, -1))


def svc_milliseconds(X: Floats, y: Floats, gamma: float, C: float) -> float:
    """Median of three fits, of one where a fit takes seconds."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < 1.0:
        start = perf_counter()
        SVC(gamma=gamma, C=C, cache_size=500).fit(X, y)
        times.append(perf_counter() - start)
    return 1e3 * float(np.median(times))


def run(draw: Draw, gamma: float, C: float, sizes: tuple[int, ...]) -> list[list[float]]:
    """Return one table row per size: n, refit median and mean, SVC, ratios, seconds so far."""
    rng = np.random.default_rng(0)
    target = rbf_target(draw, gamma)
    X = draw(rng, 20)
    y = target.predict(X).astype(np.float64)
    svm = KernelSVM(gamma, C)
    svm.add(X, y)
    refits: list[float] = []
    total = 0.0
    table = []
    while len(X) < max(sizes):
        candidates = draw(rng, CANDIDATES)
        drawn = perf_counter()
        picked = candidates[[np.abs(svm.decision(candidates)).argmin()]]
        scored = perf_counter()
        label = target.predict(picked).astype(np.float64)
        answered = perf_counter()
        svm.add(picked, label)
        refits.append(perf_counter() - answered)
        total += scored - drawn + refits[-1]
        X, y = np.vstack([X, picked]), np.append(y, label)
        if len(X) in sizes:
            window = 1e3 * np.array(refits[-WINDOW:])
            median, mean = float(np.median(window)), float(window.mean())
            svc = svc_milliseconds(X, y, gamma, C)
            table.append([len(X), median, mean, svc, svc / median, svc / mean, total])
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=max(SIZES), help="stop at so many labels")
    largest = parser.parse_args().largest
    sizes = tuple(size for size in SIZES if size <= largest)
    runs: list[tuple[str, Draw, float]] = [("numeric d=8", numeric, 1 / 8)]
    runs.append(("one-hot d=110", one_hot, 1 / 110))
    rows: list[list[str | float]] = []
    with threadpool_limits(1):
        for name, draw, gamma in runs:
            for C in (1.0, 1e5):
                rows += [[name, f"{C:g}", *row] for row in run(draw, gamma, C, sizes)]
    headers = ["data", "C", "n", "median ms", "mean ms", "SVC ms", "ratio", "by mean", "loop s"]
    print(tabulate(rows, headers, floatfmt=".3g"))


if __name__ == "__main__":
    main()
