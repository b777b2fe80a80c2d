"""Where a plugin's code failed: tracebacks that begin in its author's file, not in ours."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import entry_points
from types import TracebackType

_HOSTS = frozenset(
    {
        *("arena", "pluggy", "pydantic"),
        *("importlib", "_frozen_importlib", "_frozen_importlib_external"),
    }
)
"""Packages that stand between the command and a plugin's code."""

_DOORS = ("arena.oracle", "arena.isolation")
"""What refuses a query: the line that asked is the one to look at."""

_WHOLE = "\nWith the frames of arena:\n\n"

Listener = Callable[[BaseException], None]
"""Is shown a plugin's exception while its frames are alive."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have a debugger shown what plugins raise in this thread, as soon as it is caught."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def failure(error: BaseException) -> str:
    """Say where a plugin failed; called once, where its exception is caught.

    Returns:
        The traceback from the author's first frame on, then the whole of it: `authors` and `whole`
        take them apart.
    """
    listener = _listener.get()
    if listener is not None:
        listener(error)
    if isinstance(error, MemoryError):
        # What its frames hold may be all there was, and to say so takes some.
        traceback.clear_frames(error.__traceback__)
    found = raised(error)
    shown = _without_doors(frames(found))
    told = traceback.TracebackException(type(found), found, _chained(shown))
    return "".join((*told.format(), _WHOLE, *traceback.format_exception(error)))


def authors(text: str) -> str:
    """Return the part of what `failure` said that begins in the author's file."""
    return text.partition(_WHOLE)[0]


def whole(text: str) -> str:
    """Return the part of what `failure` said that has the frames of arena, too."""
    return text.partition(_WHOLE)[2] or text


def place(error: BaseException) -> str:
    """Say in which file and line of the author's an exception was raised; empty if in none."""
    found = raised(error)
    if isinstance(found, SyntaxError) and found.filename:
        return f"{found.filename}:{found.lineno}"
    last = innermost(found)
    return f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""


def raised(error: BaseException) -> BaseException:
    """Return what a plugin raised, where arena has raised an exception of its own from it."""
    seen = [error]
    while not frames(seen[-1]):
        cause = seen[-1].__cause__
        if cause is None or cause in seen:
            break
        seen.append(cause)
    return seen[-1]


def frames(error: BaseException) -> list[TracebackType]:
    """Return the entries of an exception's traceback from the first in a plugin's code on."""
    entries = list(_entries(error.__traceback__))
    first = next((i for i, e in enumerate(entries) if _package(e) not in _HOSTS), len(entries))
    return entries[first:]


def innermost(error: BaseException) -> TracebackType | None:
    """Return the last entry of a traceback in a plugin's package, not in what that calls."""
    entries = [entry for entry in frames(error) if _package(entry) not in _HOSTS]
    # The first is what arena called, wherever it is installed.
    plugins = {_package(entry) for entry in entries[:1]}
    if entries and _package(entries[-1]) not in plugins:
        # All that is installed is read to know them, so only where the last is of another package.
        plugins |= packages()
    return next((entry for entry in reversed(entries) if _package(entry) in plugins), None)


def packages() -> set[str]:
    """Return the outermost packages that the entry points of plugins name, well written or not."""
    return {re.split(r"\W", point.value, maxsplit=1)[0] for point in entry_points(group="arena")}


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _module(entry: TracebackType) -> str:
    return str(entry.tb_frame.f_globals.get("__name__", ""))


def _package(entry: TracebackType) -> str:
    return _module(entry).partition(".")[0]


def _without_doors(entries: list[TracebackType]) -> list[TracebackType]:
    while entries and _module(entries[-1]).startswith(_DOORS):
        entries = entries[:-1]
    return entries


def _chained(entries: list[TracebackType]) -> TracebackType | None:
    chain: TracebackType | None = None
    for entry in reversed(entries):
        chain = TracebackType(chain, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return chain
