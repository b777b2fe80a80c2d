"""Active probit regression and Algorithm 1 against fresh models: queries, and what C does.

    python benchmarks/random_model.py [--seeds 60] [--level 0.1]
    python benchmarks/random_model.py --utility

The first prints, for answers by a fresh w ~ N(mu, sigma^2 I) in R^d, the queries until the unit
normal is within the level: the median over seeds, each a target, a defence and an attack of its
own. Algorithm 1 is read in two ways: its running mean v, looked at after every query, which
flatters it, and as published, one v after m queries with the constant in m cut so that the expected
queries to a success are least. ``bound`` is what unbiased estimates need on average at least,
(pi/2) (d-1)^2 (sigma/level)^2. The second prints what the separation C leaves of natural labels,
and how often the label of a uniform query flips.
"""

from __future__ import annotations

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from arena import Dataset, Domain, Knowledge, Natural, Target
from arena.oracle import Door
from arena_plugins.attacks.active_probit import ActiveProbit
from arena_plugins.defenses.random_model import RandomModel
from arena_plugins.targets.halfspace import Halfspace, HalfspaceVictim

Floats = NDArray[np.float64]

CASES = [(14, 14**-0.5), (30, 30**-0.5), (14, 0.1), (30, 0.1)]
SETS = ("breast_cancer", "wine", "digits", "adult", "mushroom")
LABEL = frozenset({"label"})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--level", type=float, default=0.1)
    parser.add_argument("--utility", action="store_true")
    options = parser.parse_args()
    if options.utility:
        rows = [row for name in SETS for row in utilities(name)]
        print(tabulate(rows, headers=("set", "C", "Sigma", "natural labels kept %", "flips %")))
        return
    rows = [queries(d, sigma, options.level, options.seeds) for d, sigma in CASES]
    headers = ("d", "sigma", "active", "running", "ratio", "95 %", "one-shot", "ratio", "bound")
    print(tabulate(rows, headers=headers, floatfmt=".4g"))


def victim(d: int, seed: int) -> HalfspaceVictim:
    w = np.random.default_rng([seed, 0]).standard_normal(d)
    w /= np.linalg.norm(w)
    domain = Domain.euclidean([f"x{j}" for j in range(d)])
    return HalfspaceVictim(
        domain=domain,
        classes=("no", "yes"),
        family="halfspace",
        reveals=LABEL,
        natural=Natural(np.zeros((1, d)), np.zeros(1, np.int64), np.zeros(1, np.bool_)),
        parameters={"coef": w, "intercept": np.zeros(())},
        w=w[None],
        b=np.zeros(1),
    )


def door(d: int, sigma: float, seed: int, budget: int, role: int) -> Door:
    target = victim(d, seed)
    session = RandomModel(sigma=sigma).protect(target, np.random.default_rng([seed, role]))
    knowledge = Knowledge(target.domain, target.classes, LABEL, "halfspace")
    return Door(target, [session], knowledge, budget, 1.0)


def errors(normals: Floats, d: int, seed: int) -> Floats:
    """Return the geometric error of normals (n, d), float64 (n,)."""
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    distance: Floats = np.linalg.norm(unit - victim(d, seed).w, axis=1)
    return distance


def active(d: int, sigma: float, level: float, seed: int, budget: int) -> float:
    oracle = door(d, sigma, seed, budget, 1)
    for surrogate in ActiveProbit().extract(oracle, np.random.default_rng([seed, 2])):
        oracle.keep()
        if errors(surrogate.coef_, d, seed)[0] <= level:  # type: ignore[attr-defined]
            return oracle.spent
    return np.inf


def averaging(d: int, sigma: float, seed: int, budget: int) -> Floats:
    """Return the error of Algorithm 1's mean after every query, float64 (budget,)."""
    oracle = door(d, sigma, seed, budget, 3)
    X = oracle.knowledge.domain.sample(budget, np.random.default_rng([seed, 4]))
    labels = oracle.ask(X).label
    assert labels is not None
    return errors(np.cumsum((2.0 * labels - 1)[:, None] * X, axis=0), d, seed)


def queries(d: int, sigma: float, level: float, seeds: int) -> list[float | str]:
    # Four times what the mean of unit vectors needs on average when sigma^2 d = 1.
    budget = int(4 * np.pi * d * max(1.0, d * sigma**2) / level**2)
    found = np.array([active(d, sigma, level, seed, budget) for seed in range(seeds)])
    curves = np.array([averaging(d, sigma, seed, budget) for seed in range(seeds)])
    within = curves <= level
    running = np.where(within.any(axis=1), within.argmax(axis=1) + 1.0, np.inf)
    # Runs of m queries until one succeeds; m is chosen on these very runs, in its favour.
    share = within.mean(axis=0)
    one_shot = (np.arange(1, budget + 1) / np.where(share > 0, share, np.nan))[share > 0].min()
    rng = np.random.default_rng(0)
    draws = rng.integers(seeds, size=(2, 2000, seeds))
    ratios = np.median(found[draws[0]], axis=1) / np.median(running[draws[1]], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    ours, theirs = float(np.median(found)), float(np.median(running))
    bound = np.pi / 2 * (d - 1) ** 2 * (sigma / level) ** 2
    interval = f"{low:.2f}..{high:.2f}"
    ratio = ours / theirs
    return [d, sigma, ours, theirs, ratio, interval, one_shot, ours / one_shot, bound]


def utilities(name: str) -> list[tuple[str, float, str, float, float]]:
    target: Target = Halfspace(dataset=Dataset.model_validate(name))
    model = target.train(np.random.default_rng(0))
    natural = np.repeat(model.natural.X[model.natural.held_out], 10, axis=0)
    uniform = model.domain.sample(10_000, np.random.default_rng(1))
    rows = []
    for C in (1.0, 10.0, 100.0, 1000.0):
        for shape in ("diagonal", "full"):
            defense = RandomModel.model_validate({"C": C, "covariance": shape})
            session = defense.protect(model, np.random.default_rng(2))
            kept = [
                float(np.mean(session.answer(X, answer).label == answer.label))
                for X in (natural, uniform)
                for answer in [model.answer(X)]
            ]
            rows.append((name, C, shape, 100 * kept[0], 100 - 100 * kept[1]))
    return rows


if __name__ == "__main__":
    main()
