"""Tables 6 and 7: how far synthesised queries lie from natural rows, by Hotelling's T^2.

    python benchmarks/table6_7.py [--seed 0]

An attack on a halfspace asks as many queries as the paper counts, n, and a t test compares their
T^2 with that of the natural training rows (``arena_plugins.defenses.hotelling.student``): t, n - 1
and p, and beside them the published figures. ``refused`` is the share of the queries that the
defence `hotelling` refuses at its usual alpha, ``natural`` that of held-out natural rows.
"""

from __future__ import annotations

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from arena import REFUSED, Answer, Attack, BudgetExhausted, Dataset, Knowledge, Victim
from arena.oracle import Door
from arena_plugins.attacks.dimension_coupling import DimensionCoupling
from arena_plugins.attacks.version_space import VersionSpace
from arena_plugins.defenses.hotelling import Hotelling, student
from arena_plugins.targets.halfspace import Halfspace

Floats = NDArray[np.float64]

LABEL = frozenset({"label"})
ATTACKS: dict[str, Attack] = {
    "version-space": VersionSpace(),
    "dimension-coupling": DimensionCoupling(rho=0.1),
}
PUBLISHED = {
    ("version-space", "breast_cancer"): (14.24, 198, 3.70e-32),
    ("version-space", "adult"): (9.71, 92, 9.22e-16),
    ("version-space", "mushroom"): (22.16, 599, 5.92e-80),
    ("dimension-coupling", "breast_cancer"): (319.27, 322, 0.0),
    ("dimension-coupling", "adult"): (467.43, 133, 9.64e-216),
    ("dimension-coupling", "mushroom"): (65.74, 222, 1.58e-147),
}
"""t, n - 1 and p of Chandrasekaran et al., USENIX Security 2020, Tables 6 and 7."""


class Recorder(Door):
    """A door that keeps the rows it was asked."""

    def __init__(self, victim: Victim, budget: int) -> None:
        super().__init__(
            victim, (), Knowledge(victim.domain, victim.classes, LABEL, victim.family), budget, 1.0
        )
        self.rows: list[Floats] = []

    def ask(self, X: Floats) -> Answer:
        """Keep what is answered."""
        answer = super().ask(X)
        self.rows.append(np.array(X))
        return answer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    rows = []
    for (attack, name), published in PUBLISHED.items():
        victim = Halfspace(dataset=Dataset(name=name)).train(np.random.default_rng([seed, 0]))
        queries = asked(ATTACKS[attack], victim, published[1] + 1, seed)
        t, dof, p = student(queries, trained_on(victim))
        refused = share_refused(victim, queries)
        natural = share_refused(victim, victim.natural.X[victim.natural.held_out])
        rows.append((attack, name, t, dof, p, *published, refused, natural))
    headers = ("attack", "set", "t", "n-1", "p", "published t", "n-1", "p", "refused", "natural")
    print(tabulate(rows, headers=headers, floatfmt=".4g"))


def asked(attack: Attack, victim: Victim, n: int, seed: int) -> Floats:
    """Return the first n queries of an attack, float64 (n, d); fewer where it ends before."""
    door = Recorder(victim, n)
    try:
        for _ in attack.extract(door, np.random.default_rng([seed, 1])):
            pass
    except BudgetExhausted:
        # It asked in batches; what it was answered counts.
        pass
    return np.concatenate(door.rows)


def trained_on(victim: Victim) -> Floats:
    return victim.domain.encode(victim.natural.X[~victim.natural.held_out])


def share_refused(victim: Victim, X: Floats) -> float:
    session = Hotelling().protect(victim, np.random.default_rng(0))
    label = session.answer(X, victim.answer(np.ascontiguousarray(X))).label
    assert label is not None
    return float(np.mean(label == REFUSED))


if __name__ == "__main__":
    main()
