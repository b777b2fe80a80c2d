"""Standings: records in, boards out. Pure functions; the order of the entries does not matter."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from arena import ert
from arena.ert import COLUMNS, SERIOUSNESS, Row
from arena.records import BoardTerms, Results, Status

__all__ = ["COLUMNS", "FIRM", "Incident", "Place", "Row", "Standings", "standings"]

FIRM = 10
"""With fewer runs of some pair, a board is provisional."""

Strength = tuple[float, ...]
Utilities = Mapping[tuple[str, str], float]
G = TypeVar("G")


@dataclass(frozen=True)
class Place:
    """Where one attack or one defence stands over several goals.

    Attributes:
        name: of the attack or defence.
        rank: None where not ranked.
        tied: whether another one has the same rank.
        reached: goals reached; for a defence, by the strongest attack against it.
        goals: goals that count.
        mean: geometric mean of ERT over these goals, in queries; None without any goal.
        baseline: whether the attack is a baseline.
        utility: share of natural inputs whose label the defence leaves alone; None if not measured.
        note: why it is not ranked, else empty.
    """

    name: str
    rank: int | None
    tied: bool
    reached: int
    goals: int
    mean: float | None
    baseline: bool = False
    utility: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Incident:
    """What went wrong, or could not be, in some matches.

    Attributes:
        status: how they ended.
        reason: one sentence, the same for all of them.
        matches: how many.
    """

    status: Status
    reason: str
    matches: int


@dataclass(frozen=True)
class Standings:
    """All that a tournament's boards show.

    A goal is a level on a target; one that is given away is shown and does not count. Means are
    geometric, over every goal that counts: one reached as its ERT (at least 1), one not reached as
    ``ceiling``, as much as one that was reached can have cost, so that a miss cannot help.

    Attributes:
        terms: what the standings depend on beside the entries.
        rows: by target, defence, level, then rank.
        attacks: over all targets and defences: most goals reached, then the least mean. A pair that
            cannot meet reaches nothing; one without a run that counts leaves its goals out.
        defenses: over all targets, by the strongest attack on each goal: fewest goals reached, then
            the largest mean; not ranked below the utility floor, or if a target was not met.
        duels: the order of attacks on each (target, defence); after goals and mean, by ``best``.
        sieges: the order of defences on each target.
        ceiling: the budget times the most runs of a pair.
        given_away: the baseline that reaches a (target, level) without a query.
        counts: how many matches ended with each status.
        unplayed: how many matches of each (target, defence, attack) are not played yet.
        incidents: what did not end well, the most serious first.
        provisional: whether a pair has fewer than ``FIRM`` runs.
    """

    terms: BoardTerms
    rows: tuple[Row, ...]
    attacks: tuple[Place, ...]
    defenses: tuple[Place, ...]
    duels: Mapping[tuple[str, str], tuple[Place, ...]]
    sieges: Mapping[str, tuple[Place, ...]]
    ceiling: float
    given_away: Mapping[tuple[str, float], str]
    counts: Mapping[Status, int]
    unplayed: Mapping[tuple[str, str, str], int]
    incidents: tuple[Incident, ...]
    provisional: bool


def standings(results: Results) -> Standings:
    """Rank the attacks and the defences of a tournament.

    Args:
        results: its matches, played or not, in any order; goal, budget, price, repetitions and
            utility floor.
    """
    terms, entries = results.terms, results.entries
    pairs = ert.pairs(entries, terms)
    given = ert.given_away(pairs, terms)
    rows = _ranked_rows(row for pair in pairs for row in ert.rows(pair, terms, given))
    runs = [row.runs for row in rows if row.runs]
    ceiling = float(terms.budget * max([terms.repetitions, *runs]))
    utilities = _utilities(pairs)
    outcomes = Counter(o for e in entries if (o := ert.outcome(e)) is not None)
    unplayed = Counter((e.target, e.defense, e.attack) for e in entries if ert.outcome(e) is None)
    return Standings(
        terms=terms,
        rows=rows,
        attacks=_attack_places(rows, ceiling),
        defenses=_defense_places(rows, ceiling, utilities, terms.utility_floor),
        duels={
            pair: _attack_places(group, ceiling, one_duel=True)
            for pair, group in _by(rows, lambda r: (r.target, r.defense)).items()
        },
        sieges={
            target: _defense_places(group, ceiling, utilities, terms.utility_floor)
            for target, group in _by(rows, lambda r: r.target).items()
        },
        ceiling=ceiling,
        given_away=given,
        counts=_counts(outcomes),
        unplayed=dict(sorted(unplayed.items())),
        incidents=_incidents(outcomes),
        provisional=min([terms.repetitions, *runs]) < FIRM,
    )


def strongest(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of the strongest attacks (several when tied) among rows on one goal."""
    played = [row for row in rows if row.runs]
    least = min(map(_strength, played), default=())
    return [row for row in played if _strength(row) == least]


# --------------------------------------------------------------------------------------- ranks


def _ranked_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    ranked: list[Row] = []
    for group in _by(rows, lambda r: (r.target, r.defense, r.goal)).values():
        ordered = sorted(group, key=lambda r: (_strength(r), r.attack))
        keys = [_strength(r) if r.runs and not r.given_away else None for r in ordered]
        for row, (rank, tied) in zip(ordered, _ranks(keys), strict=True):
            ranked.append(replace(row, rank=rank, tied=tied))
    return tuple(ranked)


def _strength(row: Row) -> Strength:
    """Order attacks on one goal, the strongest first; those without a run come last."""
    if row.ert is not None:
        return (0, row.ert)
    if row.runs:
        return (1, _shortfall(row))
    return (3 if row.status is Status.SKIPPED else 2, 0)


def _shortfall(row: Row) -> float:
    """Order misses by the best value that was scored, the best first."""
    if row.best is None:
        return math.inf
    return row.best if row.metric.endswith("error") else -row.best


def _ranks(keys: Sequence[Strength | None]) -> list[tuple[int | None, bool]]:
    """Return every key's rank, from 1, and whether it is tied; None is not ranked."""
    ordered = sorted(key for key in keys if key is not None)
    ranks: list[tuple[int | None, bool]] = []
    for key in keys:
        if key is None:
            ranks.append((None, False))
        else:
            ahead = bisect_left(ordered, key)
            ranks.append((ahead + 1, bisect_right(ordered, key) - ahead > 1))
    return ranks


def _placed(places: Iterable[tuple[Place, Strength]]) -> tuple[Place, ...]:
    """Rank and order places by their keys; those with a note are not ranked and come last."""
    ordered = sorted(places, key=lambda p: (bool(p[0].note), p[1], p[0].name))
    ranks = _ranks([None if place.note else key for place, key in ordered])
    return tuple(
        replace(place, rank=rank, tied=tied)
        for (place, _), (rank, tied) in zip(ordered, ranks, strict=True)
    )


# -------------------------------------------------------------------- orders over several goals


def _attack_places(
    rows: Iterable[Row], ceiling: float, one_duel: bool = False
) -> tuple[Place, ...]:
    places = []
    for name, group in _by(rows, lambda r: r.attack).items():
        eligible = [r for r in group if r.runs or r.status is Status.SKIPPED]
        counted = [r for r in eligible if not r.given_away]
        note = _attack_note(eligible, counted)
        place = replace(_summary(name, counted, ceiling, note), baseline=group[0].baseline)
        shown = _summary(name, eligible if note else counted, ceiling)
        shortfall = _shortfall(group[0]) if one_duel else 0.0
        places.append((place, (-shown.reached, shown.mean or math.inf, shortfall)))
    return _placed(places)


def _defense_places(
    rows: Sequence[Row], ceiling: float, utilities: Utilities, floor: float | None
) -> tuple[Place, ...]:
    goals = {(r.target, r.goal) for r in rows if r.runs and not r.given_away}
    places = []
    for name, group in _by(rows, lambda r: r.defense).items():
        counted = [r for r in group if r.runs and not r.given_away]
        met = [strongest(c)[0] for c in _by(counted, lambda r: (r.target, r.goal)).values()]
        known = [
            utilities[key] for t in {r.target for r in group} if (key := (t, name)) in utilities
        ]
        utility = math.fsum(known) / len(known) if known else None
        missing = {target for target, _ in goals} - {r.target for r in met}
        place = _summary(name, met, ceiling, _defense_note(goals, missing, utility, floor))
        order = (place.reached, -(place.mean or math.inf))
        places.append((replace(place, utility=utility), order))
    return _placed(places)


def _summary(name: str, rows: Sequence[Row], ceiling: float, note: str = "") -> Place:
    """Count the goals reached and average ERT over rows, one a goal; not ranked yet."""
    queries = [ceiling if r.ert is None else max(r.ert, 1.0) for r in rows]
    mean = math.exp(math.fsum(map(math.log, queries)) / len(queries)) if queries else None
    reached = sum(r.ert is not None for r in rows)
    return Place(name, None, False, reached, len(rows), mean, note=note)


def _attack_note(eligible: Sequence[Row], counted: Sequence[Row]) -> str:
    if any(r.runs for r in counted):
        return ""
    if any(r.runs for r in eligible):
        return "every goal it was played for is given away"
    return "cannot meet" if eligible else "no match that counts"


def _defense_note(
    goals: set[tuple[str, float]], missing: set[str], utility: float | None, floor: float | None
) -> str:
    if floor is not None and utility is not None and utility < floor:
        return f"below the utility floor of {floor:g}"
    if not goals:
        return "no goal that counts"
    return "no match that counts on " + ", ".join(sorted(missing)) if missing else ""


def _utilities(pairs: Iterable[ert.Pair]) -> Utilities:
    """Average what each defence leaves alone on each target over the runs that count."""
    measured: dict[tuple[str, str], list[float]] = {}
    for pair in pairs:
        known = [r.utility for r in pair.records if r.utility is not None]
        measured.setdefault((pair.target, pair.defense), []).extend(known)
    return {key: math.fsum(known) / len(known) for key, known in measured.items() if known}


# -------------------------------------------------------------------------------------- counts


def _counts(outcomes: Counter[tuple[Status, str]]) -> dict[Status, int]:
    counts: Counter[Status] = Counter()
    for (status, _), matches in outcomes.items():
        counts[status] += matches
    return {status: counts[status] for status in Status if counts[status]}


def _incidents(outcomes: Counter[tuple[Status, str]]) -> tuple[Incident, ...]:
    incidents = [
        Incident(status, reason, matches)
        for (status, reason), matches in outcomes.items()
        if status not in (Status.FINISHED, Status.EXHAUSTED)
    ]
    return tuple(sorted(incidents, key=lambda i: (SERIOUSNESS.index(i.status), i.reason)))


def _by(rows: Iterable[Row], key: Callable[[Row], G]) -> dict[G, list[Row]]:
    groups: dict[G, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
