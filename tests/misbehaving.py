"""Attacks, defences and targets that do what they must not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from playground import Fitter, Guess, LinearVictim, Open, Toy

from arena import (
    Answer,
    Attack,
    Defense,
    LinearSurrogate,
    Natural,
    Oracle,
    OracleClosed,
    Session,
    Surrogate,
    Target,
    Victim,
)

Floats = NDArray[np.float64]

RAISED: dict[str, BaseException] = {
    "error": ValueError("no luck at 0x7f0123456789"),
    "exit": SystemExit(3),
    "memory": MemoryError(),
    "recursion": RecursionError("too deep"),
    "generator-exit": GeneratorExit(),
    "unsayable": type("Unsayable", (Exception,), {"__str__": lambda self: 1 / 0})(),
    "surrogates": ValueError("\ud800"),
    "long": ValueError("x" * 100_000),
}


class Raises(Attack):
    """Asks some rows, proposes a constant, then raises."""

    name = "raises"
    what: str
    after: int = 5

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        oracle.ask(oracle.knowledge.domain.sample(self.after, rng))
        yield Guess(0)
        raise RAISED[self.what]


class Interrupts(Attack):
    """Raises what Ctrl-C raises."""

    name = "interrupts"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        raise KeyboardInterrupt


class Dies(Attack):
    """Ends its process."""

    name = "dies"
    how: str = "exit"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        oracle.ask(oracle.knowledge.domain.sample(1, rng))
        if self.how == "exit":
            os._exit(7)
        os.kill(os.getpid(), signal.SIGKILL)
        yield Guess(0)


class YieldsNothing(Attack):
    """Ends at once."""

    name = "yields-nothing"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield from ()


class Returns(Attack):
    """Returns instead of yielding."""

    name = "returns"
    what: str

    def extract(self, oracle: Oracle, rng: Generator) -> Any:
        return {"none": None, "number": 3, "list": [Guess(1)]}[self.what]


class YieldsForEver(Attack):
    """Never asks and never ends."""

    name = "yields-for-ever"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        while True:
            yield Guess(0)


class AsksTooMuch(Attack):
    """Spends all but one query, then asks two."""

    name = "asks-too-much"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield Guess(0)
        oracle.ask(oracle.knowledge.domain.sample(oracle.remaining - 1, rng))
        yield Guess(1)
        yield Guess(0)
        oracle.ask(oracle.knowledge.domain.sample(2, rng))


class Yields(Attack):
    """Proposes a good constant at 0 queries, then something else at 10."""

    name = "yields"
    what: str

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Any]:
        yield Guess(0)
        oracle.ask(oracle.knowledge.domain.sample(10, rng))
        width = oracle.knowledge.domain.width
        yield {
            "nothing": None,
            "number": 3,
            "local": type("Local", (), {"predict": lambda self, X: X})(),
            "oracle": Holds(oracle),
            "large": Holds(np.zeros(10_000_000)),
            "infinite": LinearSurrogate(
                oracle.knowledge.domain, np.full((1, width), np.nan), np.zeros(1)
            ),
        }.get(self.what, Odd(self.what))


@dataclass(frozen=True)
class Holds:
    """Keeps something it should not, to predict by it."""

    kept: Any

    def predict(self, X: Floats) -> Any:
        return self.kept.ask(X).label


@dataclass(frozen=True)
class Odd:
    """Predicts something that is no label."""

    how: str

    def predict(self, X: Floats) -> Any:
        n = len(X)
        if self.how == "raising":
            raise RuntimeError("out of order")
        if self.how == "exiting":
            sys.exit(0)
        return {
            "shape": np.zeros((n, 2)),
            "short": np.zeros(n - 1),
            "nan": np.full(n, np.nan),
            "fractions": np.full(n, 0.5),
            "huge": np.full(n, 1e300),
            "strings": np.full(n, "c0"),
            "objects": np.full(n, None),
            "signs": np.where(np.arange(n) % 2, 1, -1),
            "scalar": 0,
        }[self.how]


@dataclass
class AsksWhenPickled:
    """Learns while it is pickled, to be credited with fewer queries."""

    oracle: Oracle | None
    label: int = 0

    def __reduce__(self) -> Any:
        assert self.oracle is not None
        self.oracle.ask(self.oracle.knowledge.domain.sample(10, np.random.default_rng(0)))
        return Guess, (0,)

    def predict(self, X: Floats) -> NDArray[np.int64]:
        return np.zeros(len(X), dtype=np.int64)


class AsksInPickles(Attack):
    """Proposes a surrogate that asks when it is taken."""

    name = "asks-in-pickles"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield AsksWhenPickled(oracle)


class Vandal(Fitter):
    """Writes into everything it is given; otherwise a fitter."""

    name = "vandal"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        knowledge = oracle.knowledge
        for array in (knowledge.domain.low, knowledge.domain.high):
            try:
                array[:] = 0.0
            except ValueError:
                continue
        if knowledge.hyperparameters:
            knowledge.hyperparameters["nested"].append("mine")  # type: ignore[index]
        if knowledge.pool is not None:
            knowledge.pool[:] = 0.0
        yield from super().extract(oracle, rng)


class Lingers(Attack):
    """Keeps its oracle, and asks it when the match is long over."""

    name = "lingers"
    kept: ClassVar[list[Oracle]] = []

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        self.kept.append(oracle)
        yield Cheat(0)


@dataclass(frozen=True)
class Cheat(Guess):
    """Tries the oracles that its attack has kept."""

    def predict(self, X: Floats) -> NDArray[np.int64]:
        for oracle in Lingers.kept:
            try:
                oracle.ask(X)
            except OracleClosed:
                continue
            raise AssertionError("an oracle answered during scoring")
        return super().predict(X)


class Catches(Attack):
    """Goes on when the oracle fails."""

    name = "catches"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        try:
            oracle.ask(oracle.knowledge.domain.sample(3, rng))
        except OracleClosed:
            yield Guess(0)
        yield Guess(1)


class Scribbles(Defense):
    """Writes into its victim."""

    name = "scribbles"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        victim.natural.X[:] = 0.0
        for value in vars(victim).values():
            if isinstance(value, np.ndarray):
                value[:] = 1
        return Open().protect(victim, rng)


class Flips(Defense):
    """Says that its flip rate is what none can be."""

    name = "flips"
    rate: Any = None

    def flip_rate(self) -> Any:
        if self.rate == "float32":
            return np.float32(0.25)
        return 1 / 0 if self.rate == "raises" else self.rate

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return Open().protect(victim, rng)


class BadDefense(Defense):
    """Answers wrongly from its n-th call on, the call for its utility not counted."""

    name = "bad-defense"
    how: str
    alters: ClassVar[frozenset[str]] = frozenset({"label"})

    def protect(self, victim: Victim, rng: Generator) -> Session:
        if self.how == "protect":
            raise OSError("no such model")
        if self.how == "none":
            return None  # type: ignore[return-value]
        return _Bad(self.how)


@dataclass
class _Bad:
    how: str

    def answer(self, X: Floats, answer: Answer) -> Answer:
        label = answer.label
        assert label is not None
        n = len(X)
        if n == 200 and self.how.startswith("later-"):
            return answer
        how = self.how.removeprefix("later-")
        if how == "raises":
            raise KeyError("state")
        if how == "exits":
            raise SystemExit
        if how == "writes":
            label[:] = 1 - label
            return answer
        wrong: dict[str, Any] = {
            "nothing": None,
            "no-label": Answer(probabilities=answer.probabilities),
            "shape": replace(answer, label=label[:, None]),
            "short": replace(answer, label=label[:-1]),
            "float": replace(answer, label=label.astype(float)),
            "bool": replace(answer, label=label > 0),
            "list": replace(answer, label=label.tolist()),
            "range": replace(answer, label=label + 5),
            "below": replace(answer, label=label - 2),
        }
        return wrong[how]  # type: ignore[no-any-return]


class HidesLabel(Defense):
    """Gives probabilities only."""

    name = "hides-label"
    hides: ClassVar[frozenset[str]] = frozenset({"label"})

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return _HidesLabel()


class _HidesLabel:
    def answer(self, X: Floats, answer: Answer) -> Answer:
        return replace(answer, label=None)


class Caches(Defense):
    """Gives one and the same array again and again."""

    name = "caches"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return _Caches({})


@dataclass
class _Caches:
    seen: dict[bytes, Answer]

    def answer(self, X: Floats, answer: Answer) -> Answer:
        return self.seen.setdefault(X.tobytes(), answer)


class BadTarget(Target):
    """Trains something that is no victim, or a bad one."""

    name = "bad-target"
    how: str

    def train(self, rng: Generator) -> Victim:
        good = Toy().train(rng)
        if self.how == "raises":
            raise ArithmeticError("it diverges")
        if self.how == "exits":
            sys.exit(1)
        if self.how == "dies":
            os._exit(3)
        changed: dict[str, Any] = {
            "nothing": None,
            "one-class": replace(good, classes=("only",)),
            "nan": replace(good, parameters={"coef": np.full(good.domain.width, np.nan)}),
            "nan-weights": replace(good, W=good.W * np.nan, reveals=frozenset({"score"})),
            "no-rows": replace(good, natural=Natural(good.natural.X[:0], *[np.empty(0)] * 2)),  # type: ignore[arg-type]
            "nan-rows": replace(good, natural=replace(good.natural, X=good.natural.X * np.nan)),
            "width": replace(good, natural=replace(good.natural, X=good.natural.X[:, :1])),
            "held-out": replace(good, natural=replace(good.natural, held_out=good.natural.y)),
            "family": replace(good, family="unheard-of"),
            "range": Shifted(**vars(good)),
            "unpicklable": replace(good, hyperparameters={"f": lambda: 0}),
        }
        return changed[self.how]  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class Shifted(LinearVictim):
    """Counts its classes from 1."""

    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        assert answer.label is not None
        return replace(answer, label=answer.label + 1)


class Fragile(Toy):
    """Trains a victim that fails on large first values, which natural rows do not hold."""

    name = "fragile"

    def train(self, rng: Generator) -> LinearVictim:
        return FragileVictim(**vars(super().train(rng)))


@dataclass(frozen=True, kw_only=True)
class FragileVictim(LinearVictim):
    """Answers single rows only when it likes."""

    def answer(self, X: Floats) -> Answer:
        if len(X) < 20:
            raise ZeroDivisionError("too few")
        return super().answer(X)
