"""Defences and targets that take their worker down, or hold it up."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from playground import LinearVictim, Toy

from arena import Answer, Defense, Session, Target, Victim, hookimpl

End = Literal["segfaults", "exits", "raises", "hangs"]

ENDS: dict[End, Callable[[], object]] = {
    "segfaults": lambda: ctypes.string_at(0),
    "exits": lambda: os._exit(0),
    "raises": lambda: (_ for _ in ()).throw(SystemExit("no")),
    "hangs": lambda: time.sleep(10**6),
}


class Rotten(Defense):
    """Ends its process when a match begins, or at its third answer."""

    name = "rotten"
    when: Literal["protect", "answer"]
    how: End
    alters: ClassVar[frozenset[str]] = frozenset({"label"})

    def title(self) -> str:
        """Return its name on boards."""
        return f"rotten {self.when} {self.how}"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        if self.when == "protect":
            ENDS[self.how]()
        return _Rotting(self.how)


@dataclass
class _Rotting:
    how: End
    calls: int = 0

    def answer(self, X: NDArray[np.float64], answer: Answer) -> Answer:
        self.calls += 1
        if self.calls == 3:
            ENDS[self.how]()
        return answer


class Sick(Toy):
    """Ends its process when it is trained."""

    name = "sick"
    how: End

    def title(self) -> str:
        """Return its name on boards."""
        return f"sick {self.how}"

    def train(self, rng: Generator) -> LinearVictim:
        ENDS[self.how]()
        return super().train(rng)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    register(Rotten)


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    register(Sick)
