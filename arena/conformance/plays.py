"""One attack played against a toy by the engine's own door, and what it did there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from arena.answers import Answer
from arena.api import Attack, Floats, Knowledge, Oracle, Session, Victim
from arena.conformance.instances import PassOn
from arena.conformance.rules import NotApplicable, Violation, noting
from arena.conformance.toys import Terrain, Toy, toys
from arena.domain import Domain
from arena.errors import BudgetExhausted
from arena.oracle import Door
from arena.proposals import propose
from arena.seeds import digest
from arena.snapshots import Predictor, RuleBroken, capture, loaded
from arena.tables import Outcomes
from arena.vetting import GRANTS

BUDGET = 40
GROWTH = 2.0
LONGEST = 30.0
"""Seconds after which a match of so few queries is not going to end."""

_MOST_IDLE = 1000
"""An attack that does nothing so often in a row, or is refused so often, is not going to end."""


class _Stop(BaseException):
    """It goes on for ever; an attack that catches exceptions does not catch this."""


class Endless(Violation):
    """A match does not end."""


@dataclass(frozen=True)
class Proposal:
    """A surrogate that was due.

    Attributes:
        spent: what had been billed when it was taken.
        surrogate: as it was yielded.
        journey: what came of its journey to the referee: it, or why it was lost.
    """

    spent: int
    surrogate: Any
    journey: Predictor | RuleBroken

    def must_arrive(self) -> Predictor:
        """Return what reached the referee.

        Raises:
            Violation: it was lost.
        """
        if isinstance(self.journey, RuleBroken):
            raise Violation(str(self.journey)) from self.journey
        return self.journey

    def labels(self, X: Floats, domain: Domain) -> Outcomes:
        """Predict raw rows X (n, d), as the referee does.

        Raises:
            Violation: it was lost, fails, or predicts something that is no labels (no values).
        """
        arrived = self.must_arrive()
        try:
            return arrived.labels(X, domain.encode(X))
        except RuleBroken as error:
            raise Violation(str(error)) from error


@dataclass(frozen=True)
class Game:
    """What an attack did.

    Attributes:
        asked: its batches, in order.
        proposals: its surrogates that were due, and the last.
        knowledge: what it was told.
    """

    asked: tuple[Floats, ...]
    proposals: tuple[Proposal, ...]
    knowledge: Knowledge

    @property
    def arrived(self) -> Iterator[Proposal]:
        """Yield the proposals that reached the referee."""
        return (p for p in self.proposals if not isinstance(p.journey, RuleBroken))


class _Window(Oracle):
    """What a cell shows an attack of the door: what `arena.Oracle` promises, no more."""

    def __init__(self, door: Door) -> None:
        self.knowledge = door.knowledge
        self.asked: list[Floats] = []
        self._door = door
        self._refused = 0

    def __reduce__(self) -> NoReturn:
        raise TypeError("an oracle can be neither pickled nor copied; a surrogate must not hold it")

    def ask(self, X: Floats) -> Answer:
        """Ask the door, and remember what was asked."""
        try:
            answer = self._door.ask(X)
        except BudgetExhausted:
            self._refused += 1
            if self._refused > _MOST_IDLE:
                raise _Stop(
                    "asks more than what remains, again and again; let BudgetExhausted pass, or "
                    "end when oracle.remaining is 0"
                ) from None
            raise
        self.asked.append(np.array(X, dtype=np.float64))
        return answer

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return self._door.spent

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._door.remaining

    @property
    def checkpoint_due(self) -> bool:
        """Whether a surrogate yielded now is kept."""
        return self._door.checkpoint_due


def opponents(attack: Attack, terrain: Terrain) -> Iterator[tuple[Toy, frozenset[str]]]:
    """Yield the toys that an attack can learn, each with the fields of one of its needs.

    Raises:
        NotApplicable: there are none.
    """
    required, met = attack.requirements, False
    for toy in toys(terrain, required.families):
        fields = [need for need in required.needs if need <= toy.victim.reveals]
        if fields:
            met = True
            yield toy, fields[0] or frozenset({toy.victim.output})
    if not met:
        raise NotApplicable("no toy of its families reveals what it needs")


def play(
    attack: Attack,
    toy: Toy,
    fields: frozenset[str],
    *,
    budget: int = BUDGET,
    growth: float = GROWTH,
    knowledge: Knowledge | None = None,
    sessions: tuple[Session, ...] = (),
) -> Game:
    """Play an attack to its end, always by the same seed.

    Args:
        attack: the attack.
        toy: whom it meets.
        fields: what the oracle reveals.
        budget: queries it may spend.
        growth: of the queries from one checkpoint to the next.
        knowledge: what it is told; what it is due by default.
        sessions: the defence.

    Raises:
        Violation: it does what would end a match.
        Exception: what its own code raises.
    """
    victim = toy.revealing(fields)
    door = Door(victim, sessions, knowledge or due(attack, victim), budget, growth)
    window, kept = _Window(door), list[Proposal]()
    domain, k = victim.domain, len(victim.classes)

    def send(surrogate: Any) -> None:
        journey: Predictor | RuleBroken
        try:
            journey = loaded(capture(surrogate, domain, k), k)
        except RuleBroken as error:
            journey = error
        kept.append(Proposal(door.spent, surrogate, journey))
        door.keep()

    revealed = ", ".join(sorted(fields))
    with noting(f"against {toy.title} revealing {revealed}, with a budget of {budget}"):
        try:
            with _ending_in_time():
                propose(attack, window, digest("conformance"), send, _MOST_IDLE)
        except BudgetExhausted as error:
            if not kept:
                raise Violation(
                    "proposes no surrogate before it asks more than what remains; yield one first"
                ) from error
        except RuleBroken as error:
            raise Violation(str(error)) from error
        except _Stop as error:
            raise Endless(str(error)) from error
        finally:
            door.close()
    return Game(tuple(window.asked), tuple(kept), door.knowledge)


def due(attack: Attack, victim: Victim, everything: bool = False) -> Knowledge:
    """Tell an attack what it requires to be told, or all that a tournament can grant."""
    granted = frozenset(GRANTS) if everything else attack.requirements.knowledge
    recipe, natural = deepcopy(dict(victim.hyperparameters)), victim.natural
    knowledge = Knowledge(
        domain=victim.domain,
        classes=victim.classes,
        fields=victim.reveals,
        family=victim.family,
        hyperparameters=recipe if "hyperparameters" in granted else None,
        pool=natural.X[natural.held_out] if "pool" in granted else None,
        defense=[PassOn().identity()] if "defense" in granted else None,
    )
    if not attack.baseline:
        return knowledge
    rows = ~natural.held_out
    return replace(
        knowledge, hyperparameters=recipe, public_X=natural.X[rows], public_y=natural.y[rows]
    )


@contextmanager
def _ending_in_time() -> Iterator[None]:
    """Interrupt what takes too long, where a timer can: in the main thread, if no other is set."""
    free = threading.current_thread() is threading.main_thread()
    if not free or not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def stop(*_: Any) -> NoReturn:
        raise _Stop(f"has not ended after {LONGEST:g} seconds; let every loop of it end")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
