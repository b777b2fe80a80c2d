"""Queries that attacks on kernel SVMs need, beside the figures of prototypes and of the paper.

    python benchmarks/eat_counts.py [--seeds 10] [--long]

Prints, for every target and attack, the median over seeds (each a fresh split, target and attack)
of the queries to 95, 98 and 99 % agreement on 4,000 uniform inputs (the first checkpoint where both
halves are there), the agreement at the end, and the seconds of a match. ``--long`` adds the match
of 11,301 queries, which takes minutes a seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from arena import Attack, Dataset, Knowledge, Surrogate, Victim
from arena.oracle import Door
from arena_plugins.attacks.adaptive_retraining import AdaptiveRetraining
from arena_plugins.attacks.eat import ExtendedAdaptiveTraining
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.attacks.random import Random
from arena_plugins.targets.svm_rbf import SvmRbf

GOALS = (0.95, 0.98, 0.99)
INPUTS = 4000
GROWTH = 1.01


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        target: what is attacked.
        attack: by what.
        budget: queries of a match.
        before: the figures to compare with.
    """

    target: SvmRbf
    attack: Attack
    budget: int
    before: str


def _svm(name: str, gamma: float, C: float) -> SvmRbf:
    return SvmRbf(dataset=Dataset.model_validate(name), gamma=gamma, C=C)


PIMA = _svm("pima", 0.125, 1.0)
MUSHROOM = _svm("mushroom", 0.0078, 32.0)
HARD = ExtendedAdaptiveTraining(C=1e5)

CASES = (
    Case(PIMA, ExtendedAdaptiveTraining(), 1500, "prototype 171 / 626 / >1500"),
    Case(PIMA, HARD, 400, "prototype 81 / 191 / >400; paper 166: 94.8 %"),
    Case(MUSHROOM, ExtendedAdaptiveTraining(), 1001, "prototype >1000; paper 1001: 94.5 %"),
    Case(MUSHROOM, HARD, 1001, "prototype >800"),
    Case(PIMA, AdaptiveRetraining(), 901, "paper 901: 98.5 %"),
    Case(MUSHROOM, AdaptiveRetraining(), 1001, ""),
    Case(PIMA, LineSearch(), 901, ""),
    Case(PIMA, Random(), 901, ""),
    Case(MUSHROOM, Random(), 1001, ""),
)
LONG = (Case(MUSHROOM, AdaptiveRetraining(), 11301, "paper 11301: 98.5 %"),)


@dataclass(frozen=True)
class Played:
    """The curve of one match: queries (n,), fidelity on both halves (n, 2), and its seconds."""

    queries: NDArray[np.int64]
    fidelity: NDArray[np.float64]
    seconds: float

    def first(self, goal: float) -> float:
        """Return the queries at which both halves reach the goal, infinity if never."""
        reached = self.fidelity.min(axis=1) >= goal
        return float(self.queries[reached.argmax()]) if reached.any() else np.inf


def play(case: Case, seed: int) -> Played:
    victim = case.target.train(np.random.default_rng([seed, 0]))
    started = time.perf_counter()
    kept = list(_extract(case, victim, seed))
    seconds = time.perf_counter() - started
    X = victim.domain.sample(INPUTS, np.random.default_rng([seed, 1]))
    truth = victim.answer(X).label
    agreement = [
        (surrogate.predict(X) == truth).reshape(2, -1).mean(axis=1) for _, surrogate in kept
    ]
    return Played(np.array([spent for spent, _ in kept]), np.array(agreement), seconds)


def _extract(case: Case, victim: Victim, seed: int) -> Iterator[tuple[int, Surrogate]]:
    knowledge = Knowledge(
        domain=victim.domain,
        classes=victim.classes,
        fields=frozenset({"label"}),
        family=victim.family,
        hyperparameters=victim.hyperparameters,
    )
    door = Door(victim, [], knowledge, case.budget, GROWTH)
    for surrogate in case.attack.extract(door, np.random.default_rng([seed, 2])):
        if door.checkpoint_due:
            door.keep()
            yield door.spent, surrogate


def line(case: Case, seeds: int) -> list[str]:
    played = [play(case, seed) for seed in range(seeds)]
    medians = [float(np.median([p.first(goal) for p in played])) for goal in GOALS]
    counts = " / ".join(f">{case.budget}" if np.isinf(m) else f"{m:.0f}" for m in medians)
    final = float(np.median([p.fidelity[-1].mean() for p in played]))
    seconds = float(np.median([p.seconds for p in played]))
    target = case.target.dataset.title
    return [target, case.attack.title(), counts, case.before, f"{final:.2%}", f"{seconds:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    headers = ["target", "attack", "queries to 95 / 98 / 99 %", "before", "at the end", "seconds"]
    with threadpool_limits(1):
        rows = [line(case, options.seeds) for case in CASES + LONG * options.long]
    print(tabulate(rows, headers=headers, disable_numparse=True))


if __name__ == "__main__":
    main()
