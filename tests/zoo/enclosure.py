"""What the zoo's animals are shown, who is at home there, and how an animal tells what it got.

An animal prints a line for everything it tries; one that begins with ``GOT`` is a hole.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from playground import Fitter, Guess, LinearVictim, Open, Still, Toy

from arena import Attack, Defense, Oracle, Surrogate, Target, hookimpl

Attempt = tuple[str, Callable[[], Any]]


def tell(attempts: Iterable[Attempt]) -> None:
    """Try everything, and print what came of it."""
    for what, attempt in attempts:
        try:
            got = attempt()
        except BaseException as error:
            print(f"    {what}: {type(error).__name__}", flush=True)
        else:
            print(f"GOT {what}: {got!r:.300}" if got else f"    {what}: nothing", flush=True)


def libc() -> ctypes.CDLL:
    """Return the C library, for calls that Python does not have."""
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: Any) -> bool:
    """Make a system call of x86-64; True if the kernel does it."""
    return int(libc().syscall(number, *arguments)) >= 0


class Animal(Attack):
    """Does something that it must not, then goes on as an attack: ten queries, two guesses.

    How it does it is a function of the oracle, one of ``ways``.
    """

    how: str
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {}

    def title(self) -> str:
        """Return its name on boards."""
        return f"{self.name} {self.how}"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Propose a guess, do it, propose what it returns or another guess."""
        yield Guess(0)
        made = self.ways[self.how](oracle)
        oracle.ask(oracle.knowledge.domain.sample(10, rng))
        yield Guess(1) if made is None else made


@dataclass(frozen=True, kw_only=True)
class GuardedVictim(LinearVictim):
    """A victim with something to find."""

    secret: str


class Guarded(Toy):
    """A toy whose victim keeps a secret that reads the same nowhere else."""

    name = "guarded"

    def train(self, rng: Generator) -> GuardedVictim:
        victim = super().train(rng)
        return GuardedVictim(**vars(victim), secret="canary-" + rng.bytes(16).hex())


def predicted(n: int) -> np.ndarray[Any, Any]:
    """Return labels that are in order."""
    return np.zeros(n, dtype=np.int64)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    for attack in (Fitter, Still):
        register(attack)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    register(Open)


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    register(Guarded)
