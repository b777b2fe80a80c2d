"""One match, played as a tournament plays it, for the author of a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tabulate import tabulate

from arena import engine
from arena.inspection import exported, trace_lines
from arena.layout import clean
from arena.pools import process_pool
from arena.records import BoardTerms, Diagnostics, Entry, Record
from arena.settings import Isolation
from arena.sketch import sketch, worse
from arena.store import Store, key_of
from arena.tournament import Tournament
from arena.traces import authors, whole
from arena.watching import Journal
from arena.wording import level, measure, number, plural, score

_ROWS = 12
"""Checkpoints that a summary lists, about."""


@dataclass(frozen=True)
class Played:
    """A match that was played.

    Attributes:
        entry: its names.
        record: its record.
        diagnostics: what differs from one playing to the next.
        terms: its goal, budget and price.
        line: what ``arena export`` prints of it.
    """

    entry: Entry
    record: Record
    diagnostics: Diagnostics
    terms: BoardTerms
    line: dict[str, Any]

    @property
    def reached(self) -> dict[float, int | None]:
        """The queries to each level of the goal, None where it was not reached."""
        goal, curve = self.terms.goal, self.record.curve
        return {
            reach: next((c.queries for c in curve if goal.reached(c.values, reach)), None)
            for reach in goal.reach
        }


@contextmanager
def workplace(out: Path | None) -> Iterator[tuple[Path, Journal]]:
    """Yield a folder for results, removed afterwards unless it is given, and a journal."""
    with TemporaryDirectory(prefix="arena-play-") as scratch:
        yield out or Path(scratch) / "results", Journal(Path(scratch) / "journal")


def play(
    tournament: Tournament,
    folder: Path,
    journal: Journal,
    isolation: Isolation,
    progress: engine.Progress,
) -> Played:
    """Play the one match of a tournament anew.

    Args:
        tournament: from `arena.arguments.one_match`.
        folder: for its results.
        journal: is told how it goes on.
        isolation: ``cell``: by a worker process; ``none``: in this thread.
        progress: is told how it goes on, too.

    Raises:
        ArenaError: the folder cannot be written, or another run holds it.
        KeyboardInterrupt: it was interrupted.
    """
    results = engine.play(
        replace(tournament, isolation=isolation),
        folder,
        workers=1,
        fresh=True,
        progress=progress,
        executor=process_pool if isolation == "cell" else None,
        journal=journal,
    )
    (entry,) = results.entries
    if entry.record is None:
        raise ValueError("the engine has not played its one match")
    with Store.open(folder) as store:
        (line,) = exported(store)
        diagnostics = store.diagnostics(key_of(entry.record)) or Diagnostics()
    return Played(entry, entry.record, diagnostics, results.terms, line)


def as_json(played: Played, debug: bool) -> dict[str, Any]:
    """Return a match as ``arena export`` prints it, with what it cost and where it failed.

    Beside the keys of ``arena export``: ``reached`` {level: queries or null}, ``dollars``,
    ``seconds``, ``peak_memory`` (MiB), ``output`` and ``traceback``.
    """
    diagnostics = played.diagnostics
    return {
        **played.line,
        "reached": {f"{reach:g}": queries for reach, queries in played.reached.items()},
        "dollars": played.record.queries * played.terms.price,
        "seconds": diagnostics.seconds,
        "peak_memory": diagnostics.peak_memory,
        "output": diagnostics.output,
        "traceback": (whole if debug else authors)(diagnostics.traceback),
    }


def summary(played: Played, debug: bool) -> str:
    """Render a match: how it ended, what it reached and cost, its curve; at last where it failed.

    Args:
        played: the match.
        debug: whether a traceback has the frames of arena, too.
    """
    record, diagnostics, terms = played.record, played.diagnostics, played.terms
    entry = played.entry
    cost = f", {number(record.queries * terms.price)} dollars" if terms.price else ""
    calls = plural(record.calls, "call")
    memory = f"{diagnostics.peak_memory:.0f} MiB"
    lines = [
        f"{entry.attack} against {entry.defense} on {entry.target}",
        "",
        f"status   {record.status.value}",
        *([f"reason   {clean(record.reason)}"] if record.reason else []),
        f"queries  {record.queries:,} of {terms.budget:,} in {calls}{cost}",
        f"took     {diagnostics.seconds:.3f} s, {memory} at most in its process",
    ]
    if any(checkpoint.values for checkpoint in record.curve):
        lines += ["", f"{measure(terms.goal)}; of two halves, the worse", ""]
        lines += [_reached(played), "", _checkpoints(record, terms), ""]
        lines += sketch(record.curve, terms.goal)
    if diagnostics.output:
        lines += ["", "it printed:", *map(clean, diagnostics.output.splitlines())]
    if diagnostics.traceback:
        lines += ["", *trace_lines(diagnostics.traceback, debug)]
    return "\n".join(lines) + "\n"


def _reached(played: Played) -> str:
    terms, scored = played.terms, [c for c in played.record.curve if c.values]
    best = (min if terms.goal.is_error else max)(worse(c, terms.goal) for c in scored)
    never = f"never (best {score(best, terms.goal)})"
    rows = [
        (level(terms.goal, reach), never if queries is None else f"{queries:,}")
        for reach, queries in played.reached.items()
    ]
    return tabulate(rows, ("goal", "queries to it"), tablefmt="simple", disable_numparse=True)


def _checkpoints(record: Record, terms: BoardTerms) -> str:
    """List a few checkpoints from the first to the last, evenly."""
    scored = [c for c in record.curve if c.values]
    step = max(1, -(-len(scored) // _ROWS))
    # From the end: the last surrogate is the one that the attack ends with.
    chosen = scored[::-1][::step][::-1]
    rows = [
        (f"{c.queries:,}", f"{c.calls:,}", score(worse(c, terms.goal), terms.goal)) for c in chosen
    ]
    headers = ("queries", "calls", terms.goal.metric)
    right = ["right"] * len(headers)
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=right)
