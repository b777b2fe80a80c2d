"""What a cell costs: its start, a query of one row, a batch of a thousand; beside in-process.

Usage: python benchmarks/cell_cost.py

This process and its cells share a core, as a worker and its cells do. In-process and cell take
turns; of each the least of many short bursts counts, since a shared machine only adds to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from statistics import median
from time import perf_counter

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.random import Generator
from tabulate import tabulate

from arena import Attack, Dataset, Knowledge, Oracle, Surrogate, Target, Victim, recipes
from arena.isolation.cells import CellSeat
from arena.isolation.seats import InProcess
from arena.isolation.warm import Cells
from arena.oracle import Door
from arena.pairing import MatchSpec, plan
from arena.records import Goal
from arena.settings import USUAL_LIMITS, Grants
from arena.tournament import Entrant, Tournament
from arena_plugins.attacks.random import Random
from arena_plugins.defenses.none import NoDefense
from arena_plugins.targets.halfspace import Halfspace
from arena_plugins.targets.svm_rbf import SvmRbf

ROUNDS, BURSTS = 8, 60


class Asks(Attack):
    """Asks the same rows over and over, and learns nothing."""

    name = "asks"
    rows: int
    calls: int
    bursts: int

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Print the least seconds that a call took, on average over a burst."""
        X = oracle.knowledge.domain.sample(self.rows, rng)
        least = float("inf")
        for _ in range(self.bursts):
            started = perf_counter()
            for _ in range(self.calls):
                oracle.ask(X)
            least = min(least, (perf_counter() - started) / self.calls)
        print(least)
        yield recipes.Constant(0)


def spec(attack: Attack, target: Target, budget: int = 10**8) -> MatchSpec:
    t = Tournament(
        name="cost",
        seed=0,
        repetitions=1,
        budget=budget,
        price=0.0,
        checkpoints=10.0,
        goal=Goal(),
        knowledge=Grants(),
        targets=(Entrant("target", (target,)),),
        defenses=(Entrant("none", (NoDefense(),)),),
        attacks=(Entrant("asks", (attack,)),),
        limits=USUAL_LIMITS,
    )
    return plan(t)[0].sealed()


def door(victim: Victim) -> Door:
    knowledge = Knowledge(victim.domain, victim.classes, victim.reveals, victim.family)
    return Door(victim, [], knowledge, 10**8, 10.0)


def microseconds(cells: Cells | None, match: MatchSpec, victim: Victim) -> float:
    """Return what a call costs the attack, in-process or in a cell."""
    shape = victim.domain.d, len(victim.classes)
    seat = CellSeat(cells, match, *shape) if cells else InProcess(match, shape[1])
    with redirect_stdout(StringIO()) as printed:
        ending = seat.extract("0", door(victim), lambda snapshot: None)
    assert not ending.reason, ending.reason
    return float(seat.output or printed.getvalue()) * 1e6


def starts(cells: Cells, victim: Victim) -> list[float]:
    """Return the milliseconds of a whole extraction by one query, start and end of its cell."""
    match = spec(Random(), Halfspace(dataset=Dataset(name="wine")), budget=1)
    found = []
    for _ in range(100):
        seat = CellSeat(cells, match, victim.domain.d, 2)
        started = perf_counter()
        seat.extract("0", door(victim), lambda snapshot: None)
        found.append((perf_counter() - started) * 1e3)
    return found


def main() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cells = Cells()
    rows = []
    for name, target in (
        ("halfspace wine", Halfspace(dataset=Dataset(name="wine"))),
        ("halfspace digits", Halfspace(dataset=Dataset(name="digits"))),
        ("svm-rbf pima", SvmRbf(dataset=Dataset(name="pima"))),
    ):
        victim = target.train(np.random.default_rng(0))
        for size, calls in ((1, 50), (1000, 4)):
            match = spec(Asks(rows=size, calls=calls, bursts=BURSTS), target)
            pairs = [
                (microseconds(None, match, victim), microseconds(cells, match, victim))
                for _ in range(ROUNDS)
            ]
            here, there = (min(side) for side in zip(*pairs, strict=True))
            rows.append((name, size, here, there, there - here, 100 * (there / here - 1)))
    headers = ("target", "rows", "in-process us", "cell us", "more us", "more %")
    print(tabulate(rows, headers=headers, floatfmt=".1f"))
    found = starts(cells, Halfspace(dataset=Dataset(name="wine")).train(np.random.default_rng(0)))
    print(f"a cell from start to end: least {min(found):.1f} ms, median {median(found):.1f} ms")
    cells.close()


if __name__ == "__main__":
    import cell_cost

    cell_cost.main()
