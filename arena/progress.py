"""Live progress on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from arena.records import Goal, Record
from arena.sketch import sketch
from arena.watching import Journal, Reading

_WIDTH = 60
"""Characters of the bar of one match."""


class LiveProgress:
    """Shows matches, queries and the time left; nothing where standard error is no terminal."""

    def __init__(self, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[queries]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._queries = 0

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()

    def training(self, done: int, total: int) -> None:
        """``done`` of ``total`` targets are trained."""
        if total:
            self._show("targets", done, total, "")

    def playing(self, done: int, total: int, record: Record | None) -> None:
        """``done`` of ``total`` matches are played, ``record`` the last of them."""
        self._queries += record.queries if record else 0
        self._show("matches", done, total, f"{self._queries:,} queries")

    def unenforced(self, what: str) -> None:
        """Say, whether or not the rest is shown, what cells are not closed off from."""
        _say_unenforced(self._bars.console, what)

    def _show(self, what: str, done: int, total: int, queries: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, queries=queries)
        self._bars.update(self._tasks[what], completed=done, total=total, queries=queries)


class LiveMatch:
    """Shows one match: its queries, then its curve as it is scored.

    An attack's surrogates are scored when it is dead, so its fidelity is not known before.
    """

    def __init__(self, title: str, budget: int, goal: Goal, journal: Journal, quiet: bool) -> None:
        """Show a match that a journal tells of; nothing where standard error is no terminal."""
        self._console = Console(stderr=True)
        self._shown = self._console.is_terminal and not quiet
        self._title, self._budget, self._goal = title, budget, goal
        self._reading = Reading(journal)
        self._state = ""
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            transient=True,
            refresh_per_second=8,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._shown:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self.stop()

    def stop(self) -> None:
        """Show nothing any more: the terminal is somebody else's."""
        self._live.stop()

    def training(self, done: int, total: int) -> None:
        """``done`` of ``total`` targets are trained."""
        self._state = "training the target" if done < total else ""

    def playing(self, done: int, total: int, record: Record | None) -> None:
        """``done`` of ``total`` matches are played, ``record`` the last of them."""
        self._state = ""

    def unenforced(self, what: str) -> None:
        """Say, whether or not the rest is shown, what cells are not closed off from."""
        _say_unenforced(self._console, what)

    def _picture(self) -> Group:
        read = self._reading
        read.refresh()
        told = f"{read.spent:,} of {self._budget:,} queries in {read.calls:,} calls"
        lines: list[RenderableType] = [Text(self._title, overflow="ellipsis", no_wrap=True)]
        if self._state:
            lines += [Text(self._state)]
        elif read.snapshots:
            lines += [Text(f"{told}; scored: {len(read.curve)} of {read.snapshots} surrogates")]
            lines += [Text(line, no_wrap=True) for line in sketch(read.curve, self._goal)]
        else:
            done = _WIDTH * read.spent // self._budget
            left = ("━" * (_WIDTH - done), "bright_black")
            lines += [Text.assemble(("━" * done, "cyan"), left)]
            lines += [Text(f"{told}; surrogates are scored when the attack has ended")]
        return Group(*lines)


def _say_unenforced(console: Console, what: str) -> None:
    sentence = f"arena: this machine does not enforce: {what} (docs/trust.md says more)"
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)
