"""What the engine costs a query: ``oracle.ask`` of one row, less the model's own answer.

Usage: python benchmarks/oracle_cost.py

Times of two runs cannot be compared on a shared machine: ask and answer take turns here, and the
least of many rounds counts. Exits 1 where the engine costs more than 10 microseconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import perf_counter

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from tabulate import tabulate

from arena import Defense, Knowledge, Target
from arena.oracle import Door
from arena.registry import build, installed

MOST = 10.0
ROUNDS, CALLS = 200, 200

TARGETS = [
    ("continuous, R^13", "halfspace", {"dataset": "wine"}),
    ("continuous, box of 13", "halfspace", {"dataset": "wine", "space": "box"}),
    ("22 categories", "logistic", {"dataset": "mushroom"}),
    ("22 categories", "decision-tree", {"dataset": "mushroom"}),
]


def main() -> int:
    rows = [row for case in TARGETS for row in measured(*case)]
    headers = ("domain", "target", "defence", "ask us", "model us", "engine us", "model %")
    print(tabulate(rows, headers=headers, floatfmt=".1f"))
    return 1 if max(row[5] for row in rows) > MOST else 0


def measured(domain: str, name: str, parameters: dict[str, str]) -> list[tuple]:
    target = build(installed(), "target", name, parameters, None)
    assert isinstance(target, Target)
    victim = target.train(np.random.default_rng(0))
    X = victim.domain.sample(1, np.random.default_rng(1))
    found = []
    for chain in ((), ("label-only",)):
        sessions = []
        for link in chain:
            defense = build(installed(), "defense", link, {}, None)
            assert isinstance(defense, Defense)
            sessions.append(defense.protect(victim, np.random.default_rng(2)))
        knowledge = Knowledge(victim.domain, victim.classes, victim.reveals, victim.family)
        oracle = Door(victim, sessions, knowledge, 10**9, 1.05)
        ask, answer = least(lambda o=oracle: o.ask(X), lambda: victim.answer(X))
        defence = " + ".join(chain) or "-"
        found.append((domain, name, defence, ask, answer, ask - answer, 100 * answer / ask))
    return found


def least(*calls: Callable[[], object]) -> list[float]:
    """Return the least microseconds of each call, over rounds in which they take turns."""
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            started = perf_counter()
            for _ in range(CALLS):
                call()
            best[i] = min(best[i], (perf_counter() - started) / CALLS * 1e6)
    return best


if __name__ == "__main__":
    sys.exit(main())
