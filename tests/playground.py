"""A small target, attacks and tournaments that need no file and no data; also run as a script."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from arena import (
    Answer,
    Attack,
    Defense,
    Domain,
    Feature,
    LinearSurrogate,
    Natural,
    Oracle,
    Session,
    Surrogate,
    Target,
    Victim,
    affine,
)
from arena.engine import play
from arena.inspection import export_lines
from arena.match import play as play_match
from arena.oracle import Door
from arena.pairing import MatchSpec, plan
from arena.pools import process_pool
from arena.records import Diagnostics, Goal, Record
from arena.settings import Grants
from arena.stage import Stage, prepare
from arena.store import Store
from arena.tournament import Entrant, Tournament

Floats = NDArray[np.float64]

MIXED = Domain(
    (
        Feature("size", "continuous", -2.0, 3.0),
        Feature("rooms", "integer", 1.0, 6.0),
        Feature("colour", "categorical", 0.0, 2.0, ("red", "green", "blue")),
    )
)
"""A feature of every kind."""


@dataclass(frozen=True, kw_only=True)
class LinearVictim(Victim):
    """The class of the largest of k affine scores of the encoded row."""

    W: Floats
    b: Floats

    def answer(self, X: Floats) -> Answer:
        score = affine(self.domain.encode(X), self.W, self.b)
        e = np.exp(score - score.max(axis=1, keepdims=True))
        return Answer(score.argmax(axis=1), e / e.sum(axis=1, keepdims=True), score)


class Toy(Target):
    """A random linear model; trains at once."""

    name = "toy"
    family: ClassVar[str] = "softmax"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities", "score"})

    classes: int = 2
    sphere: bool = False
    rows: int = 60

    def train(self, rng: Generator) -> LinearVictim:
        domain = Domain.euclidean("abcd") if self.sphere else MIXED
        X = domain.sample(self.rows, rng)
        W = rng.standard_normal((self.classes, domain.width))
        b = np.zeros(self.classes)
        binary = self.classes == 2
        return LinearVictim(
            domain=domain,
            classes=tuple(f"c{i}" for i in range(self.classes)),
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=Natural(X, affine(domain.encode(X), W, b).argmax(axis=1), X[:, 0] > 0),
            hyperparameters={"C": 1.0, "nested": [1, 2]},
            parameters={"coef": W[1] - W[0], "intercept": b[0]} if binary else {},
            W=W,
            b=b,
        )


class Fitter(Attack):
    """Asks uniform rows in batches, fits least squares to the scores."""

    name = "fitter"
    batch: int = 3
    seconds: float = 0.0

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        domain, k = oracle.knowledge.domain, len(oracle.knowledge.classes)
        Z, Y = np.empty((0, domain.width)), np.empty((0, k))
        while True:
            if oracle.checkpoint_due:
                W = np.linalg.lstsq(np.c_[Z, np.ones(len(Z))], Y, rcond=1e-6)[0].T
                yield LinearSurrogate(domain, W[:, :-1].copy(), W[:, -1].copy())
            if not oracle.remaining:
                return
            X = domain.sample(min(self.batch, oracle.remaining), rng)
            label = oracle.ask(X).label
            assert label is not None
            Z, Y = np.r_[Z, domain.encode(X)], np.r_[Y, np.eye(k)[label] - 0.5]
            if self.seconds:
                _busy(self.seconds)


class Still(Attack):
    """Asks nothing and guesses class 0."""

    name = "still"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield Guess(0)


@dataclass(frozen=True)
class Guess:
    """One class for all."""

    label: int

    def predict(self, X: Floats) -> NDArray[np.int64]:
        return np.full(len(X), self.label)


class Open(Defense):
    """No defence."""

    name = "open"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return _PassOn()


class _PassOn:
    def answer(self, X: Floats, answer: Answer) -> Answer:
        return answer


def _busy(seconds: float) -> None:
    import time

    time.sleep(seconds)


def tournament(
    attacks: Sequence[Attack],
    defenses: Sequence[Defense] = (Open(),),
    targets: Sequence[Target] = (Toy(),),
    **terms: Any,
) -> Tournament:
    """Make a tournament; every entrant's label is its title."""
    goal = terms.pop("goal", Goal("fidelity", "uniform", (0.8, 0.9), 200))
    settings: dict[str, Any] = {
        "repetitions": 1,
        "budget": 30,
        "checkpoints": 1.3,
        "isolation": "none",
    } | terms
    return Tournament(
        name="playground",
        seed=7,
        price=0.1,
        goal=goal,
        knowledge=settings.pop("knowledge", Grants()),
        targets=tuple(Entrant(target.title(), (target,)) for target in targets),
        defenses=tuple(Entrant(defense.title(), (defense,)) for defense in defenses),
        attacks=tuple(Entrant(attack.title(), (attack,)) for attack in attacks),
        **settings,
    )


def match(
    attack: Attack, defense: Defense | None = None, target: Target | None = None, **terms: Any
) -> Record:
    """Play one match in this process."""
    return staged(attack, defense, target, **terms)[2]


def staged(
    attack: Attack, defense: Defense | None = None, target: Target | None = None, **terms: Any
) -> tuple[MatchSpec, Stage, Record, Diagnostics]:
    """Play one match in this process; return also what it was played on."""
    t = tournament([attack], [defense or Open()], [target or Toy()], **terms)
    spec = plan(t)[0]
    assert not spec.skipped, spec.skipped
    stage = prepare(spec.training)
    return (spec, stage, *play_match(spec, stage, "build"))


def door(victim: Victim, budget: int = 100, growth: float = 1.1, **more: Any) -> Door:
    """Open an oracle on a victim."""
    from arena import Knowledge

    fields = more.pop("fields", victim.reveals)
    knowledge = Knowledge(victim.domain, victim.classes, fields, victim.family)
    return Door(victim, more.pop("sessions", ()), knowledge, budget, growth)


def export(folder: Path) -> str:
    """Return what ``arena export`` prints of a folder."""
    with Store.open(folder) as store:
        return "\n".join(export_lines(store))


class Progress:
    """Writes a line for every finished match."""

    def training(self, done: int, total: int) -> None:
        pass

    def playing(self, done: int, total: int, record: Record | None) -> None:
        print(done, total, flush=True)

    def unenforced(self, what: str) -> None:
        pass


def main(folder: str, settings: str) -> None:
    """Play in a process of its own, for tests that kill it."""
    given = json.loads(settings)
    attacks = [Fitter(batch=batch, seconds=given["seconds"]) for batch in given["batches"]]
    t = tournament(attacks, repetitions=given["repetitions"], targets=[Toy(), Toy(classes=3)])
    executor = ThreadPoolExecutor if given.get("threads") else process_pool
    print("pid", os.getpid(), flush=True)
    play(t, folder, workers=given["workers"], progress=Progress(), executor=executor)


if __name__ == "__main__":
    # Under its own name, so that workers find the plugins where the parent has them.
    import playground

    playground.main(*sys.argv[1:])
