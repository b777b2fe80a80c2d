"""A match watched from another process while it is played: queries, then what is scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

from arena.records import Checkpoint

_EVERY = 0.1
"""Seconds from one look at the meter to the next."""


class Counter(Protocol):
    """What bills queries."""

    calls: int

    @property
    def spent(self) -> int:
        """Queries billed so far."""


@dataclass(frozen=True)
class Journal:
    """Notes in a file how a match goes on; it may be written in another process than it is read.

    The attack learns nothing of it: scores are noted when it is dead.

    Attributes:
        path: the file.
    """

    path: Path

    @contextmanager
    def following(self, counter: Counter) -> Iterator[None]:
        """Note, from time to time and at the end, what a counter has billed.

        Its queries are not slowed down: a thread looks at it.
        """
        over = Event()

        def follow() -> None:
            while not over.wait(_EVERY):
                self._note(spent=counter.spent, calls=counter.calls)

        thread = Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._note(spent=counter.spent, calls=counter.calls)

    def scored(self, checkpoint: Checkpoint, of: int) -> None:
        """Note what one of so many surrogates was scored at."""
        self._note(
            queries=checkpoint.queries, calls=checkpoint.calls, values=checkpoint.values, of=of
        )

    def _note(self, **what: Any) -> None:
        # It is only looked at: a full disk is no reason to lose the match.
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


@dataclass
class Reading:
    """What a journal says by now.

    Attributes:
        journal: which.
        spent: queries billed.
        calls: in so many calls.
        curve: what has been scored.
        snapshots: how many are scored in all; 0 while the attack is alive.
    """

    journal: Journal
    spent: int = 0
    calls: int = 0
    curve: list[Checkpoint] = field(default_factory=list)
    snapshots: int = 0
    _offset: int = 0

    def refresh(self) -> None:
        """Read what has been noted since."""
        try:
            with self.journal.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        # The last line may be half written.
        lines = data[: data.rfind(b"\n") + 1]
        self._offset += len(lines)
        for line in lines.splitlines():
            self._take(json.loads(line))

    def _take(self, note: dict[str, Any]) -> None:
        if "of" in note:
            self.snapshots = note["of"]
            values = tuple(note["values"])
            self.curve.append(Checkpoint(note["queries"], note["calls"], values))
        else:
            # A match whose cell was killed begins anew.
            self.spent, self.calls, self.snapshots = note["spent"], note["calls"], 0
            self.curve.clear()
