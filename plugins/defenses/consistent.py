"""Equal inputs get equal answers, whatever the defence inside draws."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Defense, DefenseRef, Session, Victim, hookimpl

Floats = NDArray[np.float64]


class Consistent(Defense):
    """The defence inside answers a row once; whoever asks it again gets the same answer.

    Repetition and majority votes learn nothing more. Rows are equal when all their numbers are; one
    that differs in its last bit is another row, so this does not stop queries beside each other,
    nor x and 2x against a halfspace through the origin.
    What is remembered is a digest of the row and its answer, about 200 bytes for every distinct row
    of the match, so that the budget bounds it: a bounded memory could be flushed by asking.
    """

    name = "consistent"
    reference = "Chandrasekaran et al., USENIX Security 2020, Proposition 1 (against it)"
    stateful: ClassVar[bool] = True

    defense: DefenseRef = Field(description="the defence that answers a row the first time")

    def flip_rate(self) -> float | None:
        """Return that of the defence inside: over distinct rows labels flip as often."""
        return self.defense.flip_rate()

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session of the defence inside, and remember what it answers."""
        return _Remembering(self.defense.protect(victim, rng))


class _Remembering:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._places: dict[bytes, int] = {}
        self._kept: dict[str, NDArray[Any]] = {}

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Answer raw rows X (n, d): those not met before by the defence inside."""
        keys, new = [_digest(row) for row in _positive_zeros(X)], []
        for i, key in enumerate(keys):
            if key not in self._places:
                self._places[key] = len(self._places)
                new.append(i)
        if new:
            self._keep(self._session.answer(X[new], answer.rows(np.array(new))), len(new))
        places = np.array([self._places[key] for key in keys])
        return Answer(**{name: kept[places] for name, kept in self._kept.items()})

    def _keep(self, answer: Answer, n: int) -> None:
        """Keep the answers to the n rows placed last."""
        end = len(self._places)
        for name, array in answer.arrays().items():
            kept = self._kept.get(name)
            if kept is None or end > len(kept):
                grown = np.empty((2 * end, *array.shape[1:]), array.dtype)
                if kept is not None:
                    grown[: end - n] = kept[: end - n]
                self._kept[name] = kept = grown
            kept[end - n : end] = array


def _positive_zeros(X: Floats) -> Floats:
    """Copy X with -0.0 as 0.0: equal numbers, so that they must be equal bytes."""
    return np.ascontiguousarray(X + 0.0)


def _digest(row: Floats) -> bytes:
    return blake2b(row.tobytes(), digest_size=16).digest()


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register consistent answers."""
    register(Consistent)
