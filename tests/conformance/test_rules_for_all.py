"""Every check of plugins of any kind, on ones that break it alone."""

from __future__ import annotations

from typing import Any

from expecting import Fails, cases, must_fail_alone, never_failed
from numpy.random import Generator
from pydantic import Field, field_validator

from arena import Answer, Defense, Session, Victim
from arena.api import Floats, Plugin
from arena.conformance import attacks


class Quiet(Defense):
    """Leaves answers alone."""

    name = "quiet"
    reference = "none"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return _Quiet()


class _Quiet:
    def answer(self, X: Floats, answer: Answer) -> Answer:
        return answer


class Shouting(Quiet):
    """Has a name that no file can write."""

    name = "SHOUTING"


class Curt(Quiet):
    """Quiet."""


class Unfounded(Quiet):
    """Follows no paper."""

    reference = " "


class Undescribed(Quiet):
    """Has a parameter that it says nothing of."""

    size: int = 3


class Growing(Quiet):
    """Has a parameter that grows whenever it is read."""

    size: int = Field(default=1, description="how large")

    @field_validator("size")
    @classmethod
    def _grow(cls, value: int) -> int:
        return value + 1


class OneWay(Quiet):
    """Has a parameter that is read from a text, and is none."""

    sizes: tuple[int, ...] = Field(default=(1, 2), description="how large, as '1-2'")

    @field_validator("sizes", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("write sizes as '1-2'")
        return tuple(map(int, value.split("-")))


class Shifting(Quiet):
    """Has another parameter once pickled."""

    size: int = Field(default=1, description="how large")

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self.__dict__["size"] += 1


class Listing(Quiet):
    """Has a list for a parameter."""

    sizes: list[int] = Field(default=[1], description="how large")


class Individual(Quiet):
    """Hashes as itself alone."""

    def __hash__(self) -> int:
        return id(self)


def local() -> Defense:
    class Local(Quiet):
        """Is defined where no pickle finds it."""

    return Local()


FAILS = (
    Fails(Shouting(), "well-declared", "would not be registered: .* 'SHOUTING'"),
    Fails(Curt(), "summary-present", "has the summary 'Quiet.'"),
    Fails(Unfounded(), "reference-present", "has no reference"),
    Fails(Undescribed(), "parameters-described", "what its parameter 'size' is"),
    Fails(Growing(size=1), "parameters-round-trip", r'other parameters when .*: \{"size": 3\}'),
    Fails(OneWay(sizes="1-2"), "parameters-round-trip", "refuses its own parameters"),
    Fails(local(), "pickles", "does not pickle"),
    Fails(Shifting(), "pickles", "is another plugin once pickled"),
    Fails(Listing(), "hashes", "cannot be hashed"),
    Fails(Individual(), "hashes", "have different hashes"),
)


@cases(*FAILS)
def test_one_that_breaks_a_rule_fails_its_check_alone(
    plugin: Plugin, check: str, reason: str
) -> None:
    must_fail_alone(plugin, check, reason)


def test_every_check_of_plugins_is_seen_to_fail() -> None:
    assert never_failed("attack", FAILS) == {c.name for c in attacks.CHECKS}
