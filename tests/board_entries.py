"""Makes matches for the tests of standings and boards."""

from __future__ import annotations

from collections.abc import Sequence

from arena import standings as ranked
from arena.records import BoardTerms, Checkpoint, Entry, FloorTerms, Goal, Record, Results, Status
from arena.standings import Standings

Curve = Sequence[tuple[int, float]]


def standings(entries: Sequence[Entry], terms: BoardTerms) -> Standings:
    return ranked(Results(terms, tuple(entries)))


def terms(
    reach: tuple[float, ...] = (0.9,),
    metric: str = "fidelity",
    budget: int = 100,
    repetitions: int = 2,
    price: float = 0.5,
    utility_floor: float | None = None,
) -> BoardTerms:
    goal = Goal(metric, "natural", reach)
    return BoardTerms("cup", goal, budget, price, repetitions, utility_floor)


def record(
    curve: Curve = (),
    status: Status = Status.EXHAUSTED,
    reason: str = "",
    utility: float | None = None,
    floor: FloorTerms | None = None,
) -> Record:
    points = tuple(Checkpoint(q, i, (v, v)) for i, (q, v) in enumerate(curve))
    return Record("m", "t", "b", status, reason, curve=points, utility=utility, floor=floor)


def runs(
    attack: str,
    *records: Record | None,
    target: str = "wine",
    defense: str = "none",
    baseline: bool = False,
) -> list[Entry]:
    return [
        Entry(target, defense, attack, i, record=r, baseline=baseline)
        for i, r in enumerate(records)
    ]


def skipped(attack: str, reason: str, target: str = "wine", defense: str = "none") -> list[Entry]:
    return [Entry(target, defense, attack, i, skipped=reason) for i in range(2)]


def reaching(queries: int, value: float = 0.95) -> Record:
    return record([(1, 0.5), (queries, value)])


def missing(best: float = 0.7) -> Record:
    return record([(1, 0.5), (50, best)])
