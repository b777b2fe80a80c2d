"""What a check is, how one is run, and where in the author's code it failed."""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import numpy as np

from arena.api import Plugin
from arena.errors import LONGEST_REASON, in_one_line, is_interrupt, one_line

Outcome = Literal["passed", "failed", "waived", "skipped"]
Rule = Callable[[Any], None]
"""Takes a plugin; raises `Violation` where it breaks the rule, `NotApplicable` where none is due.

Its docstring states the rule in one sentence. An exception of the plugin's own code passes through
it, so that a debugger opens there.
"""

_NOT_THE_AUTHORS = sys.stdlib_module_names | {
    *("arena", "numpy", "pluggy", "pydantic", "scipy", "sklearn", "threadpoolctl", "joblib"),
}


class Violation(AssertionError):
    """A plugin breaks a rule; the message says what was seen and what is expected."""


class NotApplicable(Exception):
    """The rule says nothing about this plugin; the message says why."""


@dataclass(frozen=True)
class Check:
    """One rule, for one kind of plugin or for all.

    Attributes:
        name: lower-case words joined by ``-``.
        states: the rule, in one sentence.
        rule: tells whether a plugin keeps to it.
    """

    name: str
    states: str
    rule: Rule

    @classmethod
    def of(cls, rule: Rule) -> Check:
        """Name a check after its function, and take its docstring for what it states."""
        name: str = getattr(rule, "__name__", "").replace("_", "-")
        return cls(name, " ".join((rule.__doc__ or "").split()), rule)


@dataclass(frozen=True)
class Result:
    """What came of one check.

    Attributes:
        check: its name.
        outcome: passed, failed, waived, or skipped where it does not apply.
        reason: one sentence: what was seen and is expected, or why it was not run; '' if passed.
        traceback: from the author's file on, where the author's code raised; else ''.
        plugin: the title of the plugin.
        states: the rule, in one sentence.
    """

    check: str
    outcome: Outcome
    reason: str = ""
    traceback: str = ""
    plugin: str = ""
    states: str = ""


def run(check: Check, plugin: Plugin, waived: str | None) -> Result:
    """Run a check on a plugin, unless it is waived for a reason.

    Raises:
        KeyboardInterrupt: the user's; anything else becomes the result.
    """
    outcome: Outcome = "passed"
    reason = text = ""
    if waived is not None:
        outcome, reason = "waived", waived
    else:
        try:
            check.rule(plugin)
        except NotApplicable as error:
            outcome, reason = "skipped", str(error)
        except BaseException as error:
            if is_interrupt(error):
                raise
            outcome, reason, text = "failed", said(error), authors_traceback(error)
    return Result(check.name, outcome, reason, text, titled(plugin), check.states)


def titled(plugin: Plugin) -> str:
    """Return the title of a plugin, or its class's name where it fails to tell one."""
    try:
        return plugin.title()
    except Exception:
        return plugin.name or type(plugin).__name__


def said(error: BaseException) -> str:
    """Say in one sentence what a failed check saw."""
    what = str(error) if isinstance(error, Violation) else f"raises {one_line(error)}"
    notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
    return in_one_line(what + notes, LONGEST_REASON)


def authors_traceback(error: BaseException) -> str:
    """Format the traceback of an error, or of its cause, from the author's first frame on."""
    cause: BaseException | None = error
    while cause is not None:
        if (frames := _authors(cause.__traceback__)) is not None:
            return "".join(traceback.format_exception(type(cause), cause, frames, chain=False))
        cause = cause.__cause__
    return ""


def _authors(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None:
        module = str(frames.tb_frame.f_globals.get("__name__", ""))
        if module.split(".")[0] not in _NOT_THE_AUTHORS:
            return frames
        frames = frames.tb_next
    return None


@contextmanager
def noting(where: str) -> Iterator[None]:
    """Add to whatever is raised within where that was."""
    try:
        yield
    except NotApplicable:
        raise
    except BaseException as error:
        error.add_note(where)
        raise


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    """Watch the global generators of Python and numpy; leave them as they were.

    Raises:
        Violation: one of them was drawn from or seeded.
    """
    before, ours = random.getstate(), _numpy_state()
    try:
        yield
        drawn = "random" if random.getstate() != before else ""
        drawn = "numpy.random" if _differs(_numpy_state(), ours) else drawn
    finally:
        random.setstate(before)
        np.random.set_state(ours)  # noqa: NPY002
    if drawn:
        raise Violation(
            f"draws from or seeds the global generator of {drawn}; draw from the rng it is given, "
            "and give libraries a random_state drawn from it"
        )


def _numpy_state() -> Any:
    return np.random.get_state()  # noqa: NPY002


def _differs(now: Any, before: Any) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(now, before, strict=True))
