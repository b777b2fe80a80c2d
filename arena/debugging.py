"""The debugger at the line of a plugin that raised, as soon as it has."""

from __future__ import annotations

import sys
from bdb import BdbQuit
from collections.abc import Callable
from pdb import Pdb
from types import FrameType, TracebackType
from typing import Any

from arena.errors import OracleClosed
from arena.traces import frames, innermost, raised

_DEBUGGERS = frozenset({"builtins.breakpoint", "pdb.Pdb"})


def post_mortem(error: BaseException) -> None:
    """Debug what a plugin has raised, from the last frame of its own; say so where there is none.

    What arena raised because of it is left out, in an attack too; so is what ended a debugger.
    """
    found = raised(error)
    own = innermost(found)
    if isinstance(found, BdbQuit | OracleClosed):
        return
    if own is None:
        print("arena: no line of a plugin raised this; there is nothing to debug", file=sys.stderr)
        return
    print(f"arena: {type(found).__name__}: {found}", file=sys.stderr)
    debugger = _AtFrame(own.tb_frame)
    debugger.reset()
    debugger.interaction(None, frames(found)[0])


def before_any_debugger(call: Callable[[], None]) -> None:
    """Have a function called before a debugger opens in this process, by whatever it is opened."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _DEBUGGERS:
            call()

    sys.addaudithook(hook)


class _AtFrame(Pdb):
    """A debugger that begins at one frame of a traceback; the others are up and down."""

    def __init__(self, frame: FrameType) -> None:
        super().__init__()
        self._first = frame

    def get_stack(
        self, f: FrameType | None, t: TracebackType | None
    ) -> tuple[list[tuple[FrameType, int]], int]:
        """Return the frames of a traceback, and the number of ours."""
        stack, last = super().get_stack(f, t)
        own = [i for i, (frame, _) in enumerate(stack) if frame is self._first]
        return stack, own[-1] if own else last
