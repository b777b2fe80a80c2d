"""One attack against one defended target: the learning curve."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arena.answers import fault
from arena.api import Defense, Knowledge, Session, Victim
from arena.errors import BudgetExhausted
from arena.oracle import Door
from arena.pairing import MatchSpec
from arena.records import Checkpoint, Diagnostics, FloorTerms, Record, Status
from arena.scoring import final_metrics, goal_values
from arena.seeds import digest, generator
from arena.snapshots import RuleBroken, Snapshot, capture
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
    blank = Record(spec.key, spec.terms, build, Status.VOID, seeds=spec.seeds)
    try:
        door, utility = _open(spec, stage)
    except Exception as error:
        reason = f"the defence raises {_one_line(error)}"
        record = replace(blank, reason=reason)
        return record, _diagnostics(started, traceback.format_exc())
    kept: list[_Kept] = []
    ending = _extract(spec, stage, door, kept)
    door.close()
    record = replace(
        blank,
        status=ending.status,
        reason=ending.reason,
        queries=door.spent,
        calls=door.calls,
        utility=utility,
        floor=_floor_terms(spec, stage.victim),
    )
    try:
        record = replace(record, **_scores(spec, stage, kept))
    except RuleBroken as error:
        record = replace(record, status=Status.BROKE_A_RULE, reason=_about(spec, str(error)))
        return record, _diagnostics(started, traceback.format_exc())
    return record, _diagnostics(started, ending.traceback)


def _open(spec: MatchSpec, stage: Stage) -> tuple[Door, float | None]:
    victim, seed = stage.victim, spec.seeds["defense"]
    utility = _utility(_sessions(spec, victim, digest("utility", seed)), stage)
    sessions = _sessions(spec, victim, seed)
    door = Door(victim, sessions, _knowledge(spec, stage), spec.budget, spec.checkpoints)
    return door, utility


def _sessions(spec: MatchSpec, victim: Victim, seed: str) -> list[Session]:
    return [
        link.protect(victim, generator(digest("link", seed, i)))
        for i, link in enumerate(spec.defense.plugins)
    ]


def _knowledge(spec: MatchSpec, stage: Stage) -> Knowledge:
    victim, grants = stage.victim, spec.knowledge
    knowledge = Knowledge(
        domain=victim.domain,
        classes=victim.classes,
        fields=spec.revealed,
        family=victim.family,
        hyperparameters=dict(victim.hyperparameters) if grants.hyperparameters else None,
        pool=stage.pool.copy() if grants.pool else None,
        defense=spec.chain if grants.defense else None,
    )
    if not spec.attack.plugin.baseline:
        return knowledge
    natural = victim.natural
    rows = training_rows(natural.y, generator(spec.seeds["public"]))
    return replace(
        knowledge,
        public_X=natural.X[rows],
        public_y=natural.y[rows],
        hyperparameters=dict(victim.hyperparameters),
    )


def _utility(sessions: list[Session], stage: Stage) -> float | None:
    """Return the share of natural inputs whose label the defence leaves alone."""
    natural, answer = stage.inputs["natural"], stage.natural_answer
    if natural is None:
        return None
    for session in sessions:
        answer = session.answer(natural.X, answer)
    if wrong := fault(answer, len(natural.X), len(stage.victim.classes), {"label"}):
        raise ValueError(wrong)
    return float(np.mean(answer.label == natural.labels))


def _extract(spec: MatchSpec, stage: Stage, door: Door, kept: list[_Kept]) -> _Ending:
    """Run the attack, keeping snapshots; its end is a status, whatever it raises."""
    try:
        _propose(spec, stage, door, kept)
    except BudgetExhausted:
        return _void_or(door, _Ending(Status.EXHAUSTED))
    except RuleBroken as error:
        text = traceback.format_exc()
        return _void_or(door, _Ending(Status.BROKE_A_RULE, _about(spec, str(error)), text))
    except MemoryError:
        text = traceback.format_exc()
        reason = _about(spec, "ran out of memory")
        return _void_or(door, _Ending(Status.OUT_OF_MEMORY, reason, text))
    except (Exception, SystemExit) as error:
        text = traceback.format_exc()
        return _void_or(door, _Ending(Status.FAILED, _about(spec, _one_line(error)), text))
    return _void_or(door, _Ending(Status.FINISHED if door.remaining else Status.EXHAUSTED))


def _propose(spec: MatchSpec, stage: Stage, door: Door, kept: list[_Kept]) -> None:
    domain, classes = stage.victim.domain, len(stage.victim.classes)
    last: Any = None
    idle, seen = 0, -1
    try:
        for surrogate in _surrogates(spec, door):
            last = surrogate
            idle = idle + 1 if door.spent == seen else 0
            seen = door.spent
            if idle > _MOST_IDLE_YIELDS:
                raise RuleBroken("yields for ever without asking; end, or ask")
            if door.checkpoint_due:
                kept.append(_Kept(door.spent, door.calls, capture(surrogate, domain, classes)))
                door.keep()
                last = None
            elif not callable(getattr(surrogate, "predict", None)):
                capture(surrogate, domain, classes)
    finally:
        # The last surrogate proposed counts, at what it has cost by the time it is taken.
        if last is not None and callable(getattr(last, "predict", None)):
            kept.append(_Kept(door.spent, door.calls, capture(last, domain, classes)))
    if not kept:
        raise RuleBroken("ends without proposing a surrogate; yield at least one")


def _surrogates(spec: MatchSpec, door: Door) -> Iterator[Any]:
    proposals = spec.attack.plugin.extract(door, generator(spec.seeds["attack"]))
    if not hasattr(proposals, "__iter__"):
        what = type(proposals).__name__
        raise RuleBroken(f"its extract returns {what}; yield surrogates from it")
    return iter(proposals)


def _scores(spec: MatchSpec, stage: Stage, kept: list[_Kept]) -> dict[str, Any]:
    curve = tuple(
        Checkpoint(k.queries, k.calls, goal_values(stage, spec.goal, k.snapshot)) for k in kept
    )
    return {"curve": curve, "final": final_metrics(stage, kept[-1].snapshot) if kept else {}}


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


def _void_or(door: Door, ending: _Ending) -> _Ending:
    if door.fault:
        return _Ending(Status.VOID, door.fault, door.fault_traceback)
    return ending


def _about(spec: MatchSpec, sentence: str) -> str:
    return f"{spec.attack.plugin.name}: {sentence}"


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _diagnostics(started: float, text: str) -> Diagnostics:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Diagnostics(time.perf_counter() - started, peak / unit, text)
