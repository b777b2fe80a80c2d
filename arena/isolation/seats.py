"""Where an attack sits during one match: the referee's handle on it."""

from __future__ import annotations

import pickle
import resource
import sys
from collections.abc import Callable
from typing import Protocol

from arena.api import Attack
from arena.oracle import Door
from arena.pairing import MatchSpec, Sealed
from arena.proposals import extract
from arena.records import Ending
from arena.snapshots import Predictor, Snapshot, capture, loaded

Keep = Callable[[Snapshot], None]
"""Notes a snapshot at what the door has billed by now."""


class Faulty(Exception):
    """An attack's process, or one of its surrogates, did what ends the match.

    Attributes:
        ending: the match's.
    """

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class Seat(Protocol):
    """One match's attack: first it extracts, then, when it is dead, its surrogates predict."""

    @property
    def output(self) -> str:
        """What it printed, the end of it."""

    @property
    def peak_memory(self) -> float:
        """The largest resident size of its process, in MiB."""

    @property
    def unenforced(self) -> str:
        """What its isolation should have stopped, and this machine cannot."""

    def extract(self, seed: str, door: Door, keep: Keep) -> Ending:
        """Run the attack to its end; whatever it does becomes the ending."""

    def predictor(self, snapshot: Snapshot) -> Predictor:
        """Make a snapshot of this match ready to predict.

        Raises:
            RuleBroken: its pickle cannot be loaded; its ``labels`` may raise it too.
            Faulty: its process failed.
        """

    def leave(self) -> None:
        """End what is left of the attack."""


class InProcess:
    """A seat in the referee's own process, for debugging: nothing is closed off."""

    output = ""
    unenforced = "everything: attacks run in the referee's own process"

    def __init__(self, spec: MatchSpec, classes: int) -> None:
        """Seat the attack of a match against a target of so many classes."""
        self._plugin = spec.attack.plugin
        self._classes = classes

    @property
    def peak_memory(self) -> float:
        """The largest resident size of this process so far, in MiB."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)

    def extract(self, seed: str, door: Door, keep: Keep) -> Ending:
        """Run the attack here."""
        domain = door.knowledge.domain
        # Taken before the meter is read: making a pickle may ask.
        return extract(
            self._attack(), door, seed, lambda s: keep(capture(s, domain, self._classes))
        )

    def predictor(self, snapshot: Snapshot) -> Predictor:
        """Load a snapshot here."""
        return loaded(snapshot, self._classes)

    def leave(self) -> None:
        """Do nothing: there is no process to end."""

    def _attack(self) -> Attack:
        if not isinstance(self._plugin, Sealed):
            return self._plugin
        attack: Attack = pickle.loads(self._plugin.data)
        return attack
