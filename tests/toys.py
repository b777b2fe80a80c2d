"""Plugins for tests: quick to load, one parameter of every type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field, field_validator

from arena import Attack, AttackRef, Dataset, Defense, DefenseRef, Oracle, Session, Target, Victim
from arena.api import Plugin
from arena.registry import Registered, Registry


class Box(Target):
    """A target without data."""

    name = "box"
    family: ClassVar[str] = "halfspace"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "score"})
    width: int = Field(default=2, ge=1)

    def train(self, rng: Generator) -> Victim:
        raise NotImplementedError


class Table(Target):
    """A target trained from data."""

    name = "table"
    family: ClassVar[str] = "tree"
    dataset: Dataset
    depth: int | None = Field(default=None, ge=1)

    def train(self, rng: Generator) -> Victim:
        raise NotImplementedError


class Fussy(Target):
    """A target whose check fails."""

    name = "fussy"

    def check(self) -> None:
        raise KeyError("surprise")

    def train(self, rng: Generator) -> Victim:
        raise NotImplementedError


class _Defends(Defense):
    def protect(self, victim: Victim, rng: Generator) -> Session:
        raise NotImplementedError


class NoDefense(_Defends):
    """Nothing."""

    name = "none"


class Noise(_Defends):
    """Flips labels."""

    name = "noise"
    alters: ClassVar[frozenset[str]] = frozenset({"label"})
    rate: float = Field(ge=0, lt=0.5)


class Mute(_Defends):
    """Hides all but the score."""

    name = "mute"
    hides: ClassVar[frozenset[str]] = frozenset({"label"})


class Treeguard(_Defends):
    """Protects trees, and remembers."""

    name = "tree-guard"
    families: ClassVar[frozenset[str]] = frozenset({"tree", "forest"})
    stateful: ClassVar[bool] = True


class Twice(_Defends):
    """A wrapper."""

    name = "twice"
    defense: DefenseRef


class _Attacks(Attack):
    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Any]:
        yield from ()


class Base(_Attacks):
    """A baseline."""

    name = "base"
    baseline: ClassVar[bool] = True
    start: int = 1


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    x: int = 0
    y: float


class Probe(_Attacks):
    """An attack with a parameter of every type."""

    name = "probe"
    size: int = Field(default=3, ge=1, le=9)
    step: float = Field(default=0.5, gt=0, lt=1, allow_inf_nan=False)
    mode: Literal["fast", "slow"] = "fast"
    flag: bool = False
    title_: str | None = None
    many: int | Literal["all"] = "all"
    rows: tuple[int, ...] = Field(default=(), max_length=2)
    tags: frozenset[str] = frozenset()
    inner: Inner | None = None
    either: Inner | tuple[float, ...] = ()
    path: Path | None = None
    even: int = Field(default=2, multiple_of=2)
    short: str = Field(default="a", min_length=1, max_length=2, pattern="^[a-z]+$")

    @field_validator("size")
    @classmethod
    def _lucky(cls, size: int) -> int:
        if size == 7:
            raise ValueError("7 is not allowed; take another")
        if size == 8:
            raise KeyError("bug")
        return size


class Scorer(_Attacks):
    """Needs scores."""

    name = "scorer"
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"score"}),)


class Insider(_Attacks):
    """Must be told the defence and the pool."""

    name = "insider"
    families: ClassVar[frozenset[str]] = frozenset({"halfspace", "tree"})
    requires_knowledge: ClassVar[frozenset[str]] = frozenset({"defense", "pool"})


class TreeOnly(_Attacks):
    """Learns trees."""

    name = "tree-only"
    families: ClassVar[frozenset[str]] = frozenset({"tree"})


class Repeat(_Attacks):
    """A wrapper."""

    name = "repeat"
    attack: AttackRef
    times: int = Field(default=2, ge=1)


class Mixed(_Attacks):
    """A wrapper of several."""

    name = "mixed"
    attacks: tuple[AttackRef, ...] = ()
    spare: AttackRef | None = None


PLUGINS: tuple[type[Plugin], ...] = (
    *(Box, Table, Fussy, NoDefense, Noise, Mute, Treeguard, Twice),
    *(Base, Probe, Scorer, Insider, TreeOnly, Repeat, Mixed),
)


def registry(*more: type[Plugin]) -> Registry:
    """Return the toys (and more) as if a distribution ``toys`` had installed them."""
    for cls in (*PLUGINS, *more):
        cls.distribution = "toys"
    return Registry(tuple(Registered(cls, "toys", "1.0", __name__) for cls in (*PLUGINS, *more)))
