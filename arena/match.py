"""One attack against one defended target: the learning curve."""

from __future__ import annotations

import time
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np

from arena.answers import Unanswerable, delivered
from arena.api import Defense, Knowledge, Session, Victim
from arena.errors import is_interrupt, one_line
from arena.isolation.seats import Faulty, InProcess, Seat
from arena.oracle import Door
from arena.pairing import MatchSpec
from arena.proposals import blamed
from arena.records import Checkpoint, Diagnostics, Ending, FloorTerms, Record, Status
from arena.scoring import final_metrics, goal_values
from arena.seeds import digest, generator
from arena.snapshots import RuleBroken, Snapshot
from arena.splits import training_rows
from arena.stage import Stage
from arena.traces import failure
from arena.watching import Journal


@dataclass(frozen=True)
class _Kept:
    queries: int
    calls: int
    snapshot: Snapshot


def play(
    spec: MatchSpec,
    stage: Stage,
    build: str,
    seat: Seat | None = None,
    journal: Journal | None = None,
) -> tuple[Record, Diagnostics]:
    """Play one match to its end, then score what the attack proposed.

    Every exception of the attack, the target or the defence becomes the record's status; the
    attack is dead and the oracle closed before anything is scored.

    Args:
        spec: the match.
        stage: its target, trained.
        build: of what plays.
        seat: where the attack runs; this process by default.
        journal: is told how the match goes on.
    """
    seat = seat or InProcess(spec, len(stage.victim.classes))
    try:
        return _played(spec, stage, build, seat, journal)
    finally:
        seat.leave()


def _played(
    spec: MatchSpec, stage: Stage, build: str, seat: Seat, journal: Journal | None
) -> tuple[Record, Diagnostics]:
    started = time.perf_counter()
    record = Record(spec.key, spec.terms, build, Status.VOID, seeds=spec.seeds)
    try:
        utility = _utility(spec, stage, digest("utility", record.seeds["defense"]))
        sessions = _sessions(spec, stage.victim, record.seeds["defense"])
        floor = _floor_terms(spec, stage.victim)
    except BaseException as error:
        if is_interrupt(error):
            raise
        what = str(error) if isinstance(error, Unanswerable) else f"raises {one_line(error)}"
        record = replace(record, reason=f"the defence {what}")
        return record, _diagnostics(started, failure(error), seat)
    knowledge = _knowledge(spec, stage, record.seeds["public"])
    door = Door(stage.victim, sessions, knowledge, spec.budget, spec.checkpoints)
    kept: list[_Kept] = []

    def keep(snapshot: Snapshot) -> None:
        # One a price: of two, the better would be chosen by its score.
        if kept and kept[-1].queries == door.spent:
            kept.pop()
        kept.append(_Kept(door.spent, door.calls, snapshot))
        door.keep()

    with journal.following(door) if journal else nullcontext():
        ending = seat.extract(record.seeds["attack"], door, keep)
    if door.fault:
        ending = Ending(Status.VOID, door.fault, door.fault_traceback)
    door.close()
    curve, final, broken = _scores(spec, stage, kept, seat, journal)
    # Now, since what predicted has printed too.
    seat.leave()
    if broken and not ending.status.faulty:
        ending = broken
    record = replace(
        record,
        status=ending.status,
        reason=ending.reason,
        queries=door.spent,
        calls=door.calls,
        curve=curve,
        final=final,
        utility=utility,
        floor=floor,
    )
    return record, _diagnostics(started, ending.traceback, seat)


def _sessions(spec: MatchSpec, victim: Victim, seed: str) -> list[Session]:
    return [
        link.protect(victim, generator(digest("link", seed, i)))
        for i, link in enumerate(spec.defense.plugins)
    ]


def _knowledge(spec: MatchSpec, stage: Stage, public_seed: str) -> Knowledge:
    victim, grants = stage.victim, spec.knowledge
    # Copies: what an attack does to them reaches no other match.
    hyperparameters = deepcopy(dict(victim.hyperparameters))
    knowledge = Knowledge(
        domain=victim.domain,
        classes=victim.classes,
        fields=spec.revealed,
        family=victim.family,
        hyperparameters=hyperparameters if grants.hyperparameters else None,
        pool=stage.pool.copy() if grants.pool else None,
        defense=spec.chain if grants.defense else None,
    )
    if not spec.attack.plugin.baseline:
        return knowledge
    natural = victim.natural
    rows = training_rows(natural.y, generator(public_seed))
    return replace(
        knowledge,
        public_X=natural.X[rows],
        public_y=natural.y[rows],
        hyperparameters=hyperparameters,
    )


def _utility(spec: MatchSpec, stage: Stage, seed: str) -> float | None:
    """Return the share of natural inputs whose label the defence leaves alone; None if hidden.

    Of a regression it is the R^2 of the values, where a refusal tells no more than their mean.
    """
    natural, output = stage.inputs["natural"], stage.victim.output
    if natural is None or output not in spec.revealed:
        return None
    # Copies: a defence may write into what it is given.
    answer = stage.natural_answer.copy()
    for session in _sessions(spec, stage.victim, seed):
        answer = session.answer(natural.X.copy(), answer)
    n, k = len(natural.X), len(stage.victim.classes)
    given = delivered(answer, n, k, spec.revealed).arrays()[output]
    if k:
        return float(np.mean(given == natural.labels))
    known = np.where(np.isfinite(given), given, natural.labels.mean())
    return max(0.0, sum(natural.r2(known)) / 2)


def _scores(
    spec: MatchSpec, stage: Stage, kept: list[_Kept], seat: Seat, journal: Journal | None
) -> tuple[tuple[Checkpoint, ...], dict[str, float | None], Ending | None]:
    """Score snapshots in order, up to one that breaks a rule: what came before it counts."""
    curve: list[Checkpoint] = []
    final: dict[str, float | None] = {}
    try:
        for k in kept:
            predictor = seat.predictor(k.snapshot)
            values = goal_values(stage, spec.goal, predictor)
            curve.append(Checkpoint(k.queries, k.calls, values))
            if journal:
                journal.scored(curve[-1], len(kept))
        if kept:
            final = final_metrics(stage, predictor)
    except RuleBroken as error:
        return tuple(curve), final, blamed(spec.attack.plugin.name, error)
    except Faulty as fault:
        return tuple(curve), final, fault.ending
    return tuple(curve), final, None


def _floor_terms(spec: MatchSpec, victim: Victim) -> FloorTerms:
    return FloorTerms(
        family=victim.family,
        width=victim.domain.width,
        homogeneous=victim.domain.identity_encoded,
        rho=_flip_rate(spec.defense.plugins),
        fields=tuple(sorted(spec.revealed - _distorted(spec.defense.plugins))),
        distorted=tuple(sorted(spec.revealed & _distorted(spec.defense.plugins))),
    )


def _distorted(chain: tuple[Defense, ...]) -> frozenset[str]:
    """Return the fields no equation can be solved by; labels stay, their floor knows rho."""
    return frozenset[str]().union(*(link.traits.alters for link in chain)) - {"label"}


def _flip_rate(chain: tuple[Defense, ...]) -> float | None:
    rho = 0.0
    for link in chain:
        rate: object = link.flip_rate()
        if rate is None:
            return None
        if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 <= float(rate) <= 1:
            raise Unanswerable(f"{link.name} has a flip rate of {rate!r}; return 0 to 1, or None")
        rate = float(rate)
        rho = rho * (1 - rate) + rate * (1 - rho)
    return rho


def _diagnostics(started: float, text: str, seat: Seat) -> Diagnostics:
    seconds = time.perf_counter() - started
    return Diagnostics(seconds, seat.peak_memory, text, seat.output, seat.unenforced)
