"""One attack against one defended target: the learning curve."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arena.answers import Unanswerable, delivered
from arena.api import Defense, Knowledge, Session, Victim
from arena.errors import BudgetExhausted, one_line
from arena.oracle import Door
from arena.pairing import MatchSpec
from arena.records import Checkpoint, Diagnostics, FloorTerms, Record, Status
from arena.scoring import final_metrics, goal_values
from arena.seeds import digest, generator
from arena.snapshots import RuleBroken, Snapshot, capture, must_predict
from arena.splits import training_rows
from arena.stage import Stage

_MOST_IDLE_YIELDS = 100_000
"""An attack that yields this often in a row without a query is not going to end."""


@dataclass(frozen=True)
class _Kept:
    queries: int
    calls: int
    snapshot: Snapshot


@dataclass(frozen=True)
class _Ending:
    status: Status
    reason: str = ""
    traceback: str = ""


def play(spec: MatchSpec, stage: Stage, build: str) -> tuple[Record, Diagnostics]:
    """Play one match to its end, then score what the attack proposed.

    Every exception of the attack, the target or the defence becomes the record's status; the
    attack is dead and the oracle closed before anything is scored.
    """
    started = time.perf_counter()
    record = Record(spec.key, spec.terms, build, Status.VOID, seeds=spec.seeds)
    try:
        utility = _utility(spec, stage, digest("utility", record.seeds["defense"]))
        sessions = _sessions(spec, stage.victim, record.seeds["defense"])
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = str(error) if isinstance(error, Unanswerable) else f"raises {one_line(error)}"
        record = replace(record, reason=f"the defence {what}")
        return record, _diagnostics(started, traceback.format_exc())
    knowledge = _knowledge(spec, stage, record.seeds["public"])
    door = Door(stage.victim, sessions, knowledge, spec.budget, spec.checkpoints)
    kept: list[_Kept] = []
    ending = _extract(spec, stage, record.seeds["attack"], door, kept)
    door.close()
    curve, final, broken = _scores(spec, stage, kept)
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
        floor=_floor_terms(spec, stage.victim),
    )
    return record, _diagnostics(started, ending.traceback)


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
    """Return the share of natural inputs whose label the defence leaves alone; None if hidden."""
    natural = stage.inputs["natural"]
    if natural is None or "label" not in spec.revealed:
        return None
    # Copies: a defence may write into what it is given.
    answer = stage.natural_answer.copy()
    for session in _sessions(spec, stage.victim, seed):
        answer = session.answer(natural.X.copy(), answer)
    n, k = len(natural.X), len(stage.victim.classes)
    return float(np.mean(delivered(answer, n, k, spec.revealed).label == natural.labels))


def _extract(spec: MatchSpec, stage: Stage, seed: str, door: Door, kept: list[_Kept]) -> _Ending:
    """Run the attack, keeping snapshots; its end is a status, whatever it raises."""
    try:
        _propose(spec, stage, seed, door, kept)
        ending = _Ending(Status.FINISHED if door.remaining else Status.EXHAUSTED)
    except KeyboardInterrupt:
        raise
    except BudgetExhausted:
        ending = _Ending(Status.EXHAUSTED)
    except BaseException as error:
        ending = _blamed(spec, error)
    if door.fault:
        return _Ending(Status.VOID, door.fault, door.fault_traceback)
    return ending


def _blamed(spec: MatchSpec, error: BaseException) -> _Ending:
    """Say how an attack failed; called while its exception is handled."""
    status, what = Status.FAILED, one_line(error)
    if isinstance(error, RuleBroken):
        status, what = Status.BROKE_A_RULE, str(error)
    elif isinstance(error, MemoryError):
        status, what = Status.OUT_OF_MEMORY, "ran out of memory"
    return _Ending(status, f"{spec.attack.plugin.name}: {what}", traceback.format_exc())


def _propose(spec: MatchSpec, stage: Stage, seed: str, door: Door, kept: list[_Kept]) -> None:
    """Keep the surrogates that are due, and the last one, if it was not."""

    def keep(surrogate: Any) -> None:
        # Taken before the meter is read: making a pickle may ask.
        snapshot = capture(surrogate, stage.victim.domain, len(stage.victim.classes))
        kept.append(_Kept(door.spent, door.calls, snapshot))
        door.keep()

    pending: Any = None
    idle, seen = 0, -1
    try:
        for surrogate in _surrogates(spec, seed, door):
            idle = idle + 1 if door.spent == seen else 0
            seen = door.spent
            if idle > _MOST_IDLE_YIELDS:
                raise RuleBroken("yields for ever without asking; end, or ask")
            must_predict(surrogate)
            pending = None if door.checkpoint_due else surrogate
            if pending is None:
                keep(surrogate)
    finally:
        # The last surrogate proposed counts, at what has been spent by the time it is taken.
        if pending is not None:
            keep(pending)
    if not kept:
        raise RuleBroken("ends without proposing a surrogate; yield at least one")


def _surrogates(spec: MatchSpec, seed: str, door: Door) -> Iterator[Any]:
    proposals = spec.attack.plugin.extract(door, generator(seed))
    if not hasattr(proposals, "__iter__"):
        what = type(proposals).__name__
        raise RuleBroken(f"its extract returns {what}; yield surrogates from it")
    return iter(proposals)


def _scores(
    spec: MatchSpec, stage: Stage, kept: list[_Kept]
) -> tuple[tuple[Checkpoint, ...], dict[str, float | None], _Ending | None]:
    """Score snapshots in order, up to one that breaks a rule: what came before it counts."""
    curve: list[Checkpoint] = []
    final: dict[str, float | None] = {}
    try:
        for k in kept:
            values = goal_values(stage, spec.goal, k.snapshot)
            curve.append(Checkpoint(k.queries, k.calls, values))
        if kept:
            final = final_metrics(stage, kept[-1].snapshot)
    except RuleBroken as error:
        return tuple(curve), final, _blamed(spec, error)
    return tuple(curve), final, None


def _floor_terms(spec: MatchSpec, victim: Victim) -> FloorTerms:
    return FloorTerms(
        family=victim.family,
        width=victim.domain.width,
        homogeneous=victim.domain.identity_encoded,
        rho=_flip_rate(spec.defense.plugins),
        fields=tuple(sorted(spec.revealed - _distorted(spec.defense.plugins))),
    )


def _distorted(chain: tuple[Defense, ...]) -> frozenset[str]:
    """Return the fields no equation can be solved by; labels stay, their floor knows rho."""
    return frozenset[str]().union(*(link.alters for link in chain)) - {"label"}


def _flip_rate(chain: tuple[Defense, ...]) -> float | None:
    rho = 0.0
    for link in chain:
        rate = link.flip_rate()
        if rate is None:
            return None
        rho = rho * (1 - rate) + rate * (1 - rho)
    return rho


def _diagnostics(started: float, text: str) -> Diagnostics:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Diagnostics(time.perf_counter() - started, peak / unit, text)
