"""Stability stopping: ends an attack once its surrogates stop moving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Attack, AttackRef, LinearSurrogate, Oracle, Surrogate, hookimpl

Floats = NDArray[np.float64]


class StabilityStop(Attack):
    """Stability stopping: ends the attack inside after N rounds in a row without much change.

    A round lies between two surrogates that the attack inside proposes with queries in between; it
    is asked for one whenever it can give one. A round is stable if the unit normals w_i and w_(i+1)
    are within tau. Surrogates that are no halfspaces are never stable.
    """

    name: ClassVar[str] = "stability-stop"
    reference: ClassVar[str] = (
        "Chandrasekaran et al., USENIX Security 2020, appendix A.3.1 and Table 5"
    )
    families: ClassVar[frozenset[str]] = frozenset({"halfspace", "homogeneous-halfspace"})

    attack: AttackRef = Field(description="the attack that is ended")
    tau: float = Field(
        default=1e-3, gt=0, lt=2, description="the change of the unit normal that counts as none"
    )
    rounds: int = Field(default=10, ge=1, description="stable rounds in a row at which to end, N")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield what the attack inside yields where a surrogate is wanted, and the last."""
        stable, asked, passed_on = 0, -1, True
        w: Floats | None = None
        for surrogate in self.attack.extract(Eager(oracle), rng):
            if oracle.spent > asked:
                before, w, asked = w, _normal(surrogate), oracle.spent
                stable = stable + 1 if _change(before, w) <= self.tau else 0
            passed_on = oracle.checkpoint_due
            if passed_on:
                yield surrogate
            if stable == self.rounds:
                break
        if not passed_on:
            yield surrogate


class Eager(Oracle):
    """An oracle that passes everything on to another one, and always wants a surrogate."""

    def __init__(self, oracle: Oracle) -> None:
        self.knowledge = oracle.knowledge
        self._oracle = oracle

    def ask(self, X: Floats) -> Answer:
        """Ask raw rows X (n, d); raises what the other one does."""
        return self._oracle.ask(X)

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return self._oracle.spent

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._oracle.remaining

    @property
    def checkpoint_due(self) -> bool:
        """Whether a surrogate is wanted: always."""
        return True


def _normal(surrogate: Surrogate) -> Floats | None:
    """Return the unit normal of a halfspace, its intercept a weight; None where it has none."""
    if not isinstance(surrogate, LinearSurrogate) or len(surrogate.coef_) != 1:
        return None
    w: Floats = np.append(surrogate.coef_[0], surrogate.intercept_)
    return w / np.linalg.norm(w) if w.any() else None


def _change(before: Floats | None, w: Floats | None) -> float:
    """Return the distance of two normals, infinite where there are not two."""
    return np.inf if before is None or w is None else float(np.linalg.norm(w - before))


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register stability stopping."""
    register(StabilityStop)
