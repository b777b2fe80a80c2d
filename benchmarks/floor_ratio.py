"""Queries of nested bisection to an error of 1e-4, against the information floor.

    python benchmarks/floor_ratio.py [--seeds 50] [--dims 13 14 30] [--rhos 0 0.1] [--first 0]

Prints, for every dimension d and flip rate rho, known to the attack or not, the median over seeds
(each a uniform normal, a server and an attack of its own) of the queries after which the unit
normals are first within ``--level``, its 95 % interval by order statistics, the ratio to the floor
of both, how many seeds took more than ``--patience`` times the floor, and the microseconds a query
in the attack alone: the server's and the referee's are left out, a surrogate after every query is
not. The default takes two minutes; noise costs a millisecond a query, and 1/(1 - H(rho)) times as
many queries.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binom
from tabulate import tabulate

from arena import Answer, Domain, Knowledge, Oracle
from arena.floors import label_floor
from arena_plugins.attacks.nested_bisection import NestedBisection

Floats = NDArray[np.float64]


class Server(Oracle):
    """Answers labels by a unit normal, flips them with chance rho, and times itself.

    Attributes:
        w: float64 (d,), the normal.
        seconds: spent in answers.
    """

    checkpoint_due = True

    def __init__(self, w: Floats, rho: float, budget: int, rng: Generator) -> None:
        domain = Domain.euclidean([f"x{j}" for j in range(len(w))])
        self.knowledge = Knowledge(domain, ("no", "yes"), frozenset({"label"}), "halfspace")
        self.w, self.seconds = w, 0.0
        self._rho, self._budget, self._rng = rho, budget, rng
        self._spent = 0

    def ask(self, X: Floats) -> Answer:
        """Answer rows X (n, d) by their labels."""
        started = time.perf_counter()
        self._spent += len(X)
        labels = (X @ self.w > 0) ^ (self._rng.random(len(X)) < self._rho)
        answer = Answer(label=labels.astype(np.int64))
        self.seconds += time.perf_counter() - started
        return answer

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return self._spent

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._budget - self._spent


def crossing(
    d: int, rho: float, known: bool, level: float, budget: int, seed: int
) -> tuple[float, float]:
    """Return the queries to the level, infinite if never, and microseconds a query."""
    rng = np.random.default_rng([d, round(1000 * rho), seed])
    w = rng.standard_normal(d)
    server = Server(w / np.linalg.norm(w), rho, budget, rng.spawn(1)[0])
    attack = NestedBisection(rho=rho if known else None)
    refereed, queries = 0.0, np.inf
    begun = time.perf_counter()
    for surrogate in attack.extract(server, rng.spawn(1)[0]):
        started = time.perf_counter()
        normal = surrogate.coef_[0]
        distance = np.linalg.norm(normal / (np.linalg.norm(normal) or 1.0) - server.w)
        refereed += time.perf_counter() - started
        if distance <= level:
            queries = server.spent
            break
    seconds = time.perf_counter() - begun - server.seconds - refereed
    return queries, 1e6 * seconds / server.spent


def line(d: int, rho: float, known: bool, level: float, seeds: range, patience: float) -> list[str]:
    floor = label_floor(d, level, rho)
    assert floor is not None
    budget = int(patience * floor)
    found = np.array([crossing(d, rho, known, level, budget, seed) for seed in seeds])
    queries = np.sort(found[:, 0])
    # The median lies between two order statistics as often as a fair coin's tally does.
    k = max(int(binom.ppf(0.025, len(queries), 0.5)), 1)
    values = np.array([np.median(queries), queries[k - 1], queries[-k]])
    return [
        str(d),
        f"{rho:g}",
        "yes" if known else "no",
        f"{floor:.0f}",
        "{:.0f} [{:.0f}, {:.0f}]".format(*values),
        "{:.3f} [{:.3f}, {:.3f}]".format(*values / floor),
        str(int(np.isinf(queries).sum())),
        f"{np.median(found[:, 1]):.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--dims", type=int, nargs="+", default=[13, 14, 30, 64, 128])
    parser.add_argument("--rhos", type=float, nargs="+", default=[0.0])
    parser.add_argument("--only", choices=("known", "unknown"), help="half of the lines")
    parser.add_argument("--level", type=float, default=1e-4)
    parser.add_argument("--patience", type=float, default=4.0)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    told = [known for known in (True, False) if options.only != ("unknown" if known else "known")]
    rows = [
        line(d, rho, known, options.level, seeds, options.patience)
        for rho in options.rhos
        for d in options.dims
        for known in told
    ]
    headers = ["d", "rho", "known", "floor", "queries [95 %]", "ratio", "missed", "µs a query"]
    print(tabulate(rows, headers=headers, disable_numparse=True))


if __name__ == "__main__":
    main()
