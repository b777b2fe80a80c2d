"""ERT, the expected queries to a goal (Rule 4): the runs of a pair in, the rows of a board out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena.floors import information_floor
from arena.records import BoardTerms, Entry, Goal, Record, Status
from arena.seeds import digest, generator

RESAMPLES = 2000
"""Bootstrap resamples behind an interval."""

COVERAGE = 0.95
"""The share of resamples inside an interval."""

SERIOUSNESS = (
    Status.VOID,
    Status.CRASHED,
    Status.BROKE_A_RULE,
    Status.FAILED,
    Status.OUT_OF_MEMORY,
    Status.TIMED_OUT,
    Status.INTERRUPTED,
    Status.EXHAUSTED,
    Status.FINISHED,
    Status.SKIPPED,
)
"""The statuses, the most serious first: the first one met among a pair's runs is its row's."""


@dataclass(frozen=True)
class Row:
    """One attack against one defended target at one level: a row of the board.

    Attributes:
        target, defense, attack: names on the board.
        metric, inputs: of the goal.
        goal: the level.
        ert: expected queries to the goal; None when never reached.
        ci_low: lower end of the bootstrap interval of ``ert``, in queries.
        ci_high: its upper end; None when unbounded.
        successes: runs that reached the goal.
        runs: runs that count; void, skipped, interrupted and unplayed ones do not.
        best: median over the runs of the best value each was scored at any of its checkpoints, the
            worse half taken; runs that were never scored are left out; None if none was.
        price: dollars of ``ert``; None when never reached, or when nothing was asked.
        floor_ratio: ``ert`` over the information floor; None where there is none, or when nothing
            was asked.
        status: the most serious among its runs.
        reason: of the first run with that status.
        published: queries to the goal as published elsewhere; None where there is no such figure.
        rank: among the attacks on this target, defence and level; None where not ranked.
        tied: whether another row has the same rank.
        baseline: whether the attack is a baseline.
        given_away: the baseline that reaches this goal without a query, else empty.
        end: medians over the runs of what each spent in all, and of its last value.
    """

    target: str
    defense: str
    attack: str
    metric: str
    inputs: str
    goal: float
    ert: float | None
    ci_low: float | None
    ci_high: float | None
    successes: int
    runs: int
    best: float | None
    price: float | None
    floor_ratio: float | None
    status: Status
    reason: str
    published: float | None = None
    rank: int | None = None
    tied: bool = False
    baseline: bool = False
    given_away: str = ""
    end: tuple[float, float] | None = None

    def columns(self) -> dict[str, Any]:
        """Return the columns that are published, in order, as JSON-able values."""
        return {name: getattr(self, name) for name in COLUMNS} | {"status": self.status.value}


COLUMNS = tuple(f.name for f in fields(Row))[:16]
"""The published columns of a row, in order."""


@dataclass(frozen=True)
class Pair:
    """An attack against a defended target: its runs, and what each of them cost.

    Attributes:
        target, defense, attack: names on the board.
        baseline: whether the attack is a baseline.
        records: of the runs that count, by repetition.
        costs: int64 (runs, levels), queries charged: up to the goal, the whole budget for a miss.
        hits: bool (runs, levels), whether the goal was reached.
        best: as in ``Row``.
        status: as in ``Row``.
        reason: as in ``Row``.
        end: as in ``Row``.
    """

    target: str
    defense: str
    attack: str
    baseline: bool
    records: tuple[Record, ...]
    costs: NDArray[np.int64]
    hits: NDArray[np.bool_]
    best: float | None
    status: Status
    reason: str
    end: tuple[float, float] | None


def pairs(entries: Iterable[Entry], terms: BoardTerms) -> list[Pair]:
    """Gather the pairs that were played or cannot meet, by name."""
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.skipped or entry.record is not None:
            groups[entry.target, entry.defense, entry.attack].append(entry)
    return [_pair(key, groups[key], terms) for key in sorted(groups)]


def outcome(entry: Entry) -> tuple[Status, str] | None:
    """Return how a match ended and the reason; None when it is not played yet."""
    if entry.skipped:
        return (Status.SKIPPED, entry.skipped)
    return None if entry.record is None else (entry.record.status, entry.record.reason)


def given_away(played: Iterable[Pair], terms: BoardTerms) -> dict[tuple[str, float], str]:
    """Name the baseline that reaches a (target, level) without a query (Rule 7).

    In at least half of its runs against any one defence; the first by name.
    """
    given: dict[tuple[str, float], str] = {}
    for pair in sorted((p for p in played if p.baseline and p.records), key=lambda p: p.attack):
        free = (pair.hits & (pair.costs == 0)).mean(axis=0) >= 0.5
        for level, is_free in zip(terms.goal.reach, free, strict=True):
            if is_free:
                given.setdefault((pair.target, level), pair.attack)
    return dict(sorted(given.items()))


def rows(pair: Pair, terms: BoardTerms, given: Mapping[tuple[str, float], str]) -> list[Row]:
    """Make a pair's rows, one a level, not ranked yet."""
    successes = [int(s) for s in pair.hits.sum(axis=0)]
    spent = [int(q) for q in pair.costs.sum(axis=0)]
    lows, highs = _intervals(pair)
    free = not any(r.queries or any(c.queries for c in r.curve) for r in pair.records)
    made = []
    for j, level in enumerate(terms.goal.reach):
        ert = spent[j] / successes[j] if successes[j] else None
        made.append(
            Row(
                target=pair.target,
                defense=pair.defense,
                attack=pair.attack,
                metric=terms.goal.metric,
                inputs=terms.goal.inputs,
                goal=level,
                ert=ert,
                ci_low=_finite(lows[j]),
                ci_high=_finite(highs[j]),
                successes=successes[j],
                runs=len(pair.records),
                best=pair.best,
                price=None if ert is None or free else ert * terms.price,
                floor_ratio=None if free else _floor_ratio(pair, terms.goal, level, ert),
                status=pair.status,
                reason=pair.reason,
                published=_published(pair, terms, level),
                baseline=pair.baseline,
                given_away=given.get((pair.target, level), ""),
                end=pair.end,
            )
        )
    return made


def _pair(key: tuple[str, str, str], entries: list[Entry], terms: BoardTerms) -> Pair:
    entries = sorted(entries, key=lambda e: e.repetition)
    records = tuple(
        e.record for e in entries if e.record and not e.skipped and e.record.status.counts
    )
    runs = [_scores(record, terms) for record in records]
    first = [[_crossing(run, terms.goal, level) for level in terms.goal.reach] for run in runs]
    shape = (len(runs), len(terms.goal.reach))
    charged = [[terms.budget if q is None else q for q in run] for run in first]
    best = min if terms.goal.is_error else max
    bests = [best(value for _, value in run) for run in runs if run]
    outcomes = [o for e in entries if (o := outcome(e)) is not None]
    status, reason = min(outcomes, key=lambda o: SERIOUSNESS.index(o[0]))
    return Pair(
        *key,
        baseline=any(e.baseline for e in entries),
        records=records,
        costs=np.array(charged, dtype=np.int64).reshape(shape),
        hits=np.array([[q is not None for q in run] for run in first], dtype=bool).reshape(shape),
        best=_finite(median(bests)) if bests else None,
        status=status,
        reason=reason,
        end=_end(records, runs),
    )


def _end(
    records: tuple[Record, ...], runs: list[list[tuple[int, float]]]
) -> tuple[float, float] | None:
    ends = [(r.queries, run[-1][1]) for r, run in zip(records, runs, strict=True) if run]
    if not ends:
        return None
    value = _finite(median(value for _, value in ends))
    return None if value is None else (float(median(q for q, _ in ends)), value)


def _scores(record: Record, terms: BoardTerms) -> list[tuple[int, float]]:
    """Return (queries, value of the worse half) of every scored checkpoint within the budget."""
    worse = max if terms.goal.is_error else min
    return [
        (c.queries, worse(c.values))
        for c in record.curve
        if c.values and c.queries <= terms.budget and all(map(math.isfinite, c.values))
    ]


def _crossing(run: list[tuple[int, float]], goal: Goal, level: float) -> int | None:
    """Return the queries of the first checkpoint that meets the level, None if none does."""
    if goal.is_error:
        return next((q for q, value in run if value <= level), None)
    return next((q for q, value in run if value >= level), None)


def _intervals(pair: Pair) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bootstrap the ERT of every level over the runs, from a seed of the pair's own.

    The ends are order statistics, not interpolated: a resample without success is infinite.
    """
    n, levels = pair.costs.shape
    if n == 0:
        return np.full(levels, np.inf), np.full(levels, np.inf)
    rng = generator(digest("bootstrap", pair.target, pair.defense, pair.attack))
    drawn = rng.integers(n, size=(n, RESAMPLES))
    successes = pair.hits.T[:, drawn].sum(axis=1)
    queries = pair.costs.T[:, drawn].sum(axis=1).astype(np.float64)
    erts = np.divide(queries, successes, out=np.full(queries.shape, np.inf), where=successes > 0)
    erts.sort(axis=1)
    outside = math.floor((1 - COVERAGE) / 2 * (RESAMPLES - 1))
    return erts[:, outside], erts[:, RESAMPLES - 1 - outside]


def _published(pair: Pair, terms: BoardTerms, level: float) -> float | None:
    for figure in terms.published:
        here = (figure.target, figure.attack) == (pair.target, pair.attack)
        if here and figure.defense in (None, pair.defense) and figure.goal == level:
            return figure.queries
    return None


def _floor_ratio(pair: Pair, goal: Goal, level: float, ert: float | None) -> float | None:
    terms = next((r.floor for r in pair.records if r.floor is not None), None)
    if ert is None or terms is None:
        return None
    floor = information_floor(terms, goal, level)
    return _finite(ert / floor) if floor else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
