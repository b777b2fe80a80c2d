"""Live progress on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from arena.records import Record


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
        sentence = f"arena: this machine does not enforce: {what} (docs/trust.md says more)"
        self._bars.console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def _show(self, what: str, done: int, total: int, queries: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, queries=queries)
        self._bars.update(self._tasks[what], completed=done, total=total, queries=queries)
