"""What a check is, how one is run, and where in the author's code it failed."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from arena.answers import Answer
from arena.api import Plugin
from arena.errors import LONGEST_REASON, in_one_line, is_interrupt, one_line
from arena.vetting import word

Outcome = Literal["passed", "failed", "waived", "skipped"]
Rule = Callable[[Any], None]
"""Takes a plugin; raises `Violation` where it breaks the rule, `NotApplicable` where none is due.

Its docstring states the rule in one sentence. An exception of the plugin's own code passes through
it, so that a debugger opens there.
"""

_SEED = 2_718_281_828
"""Unlikely to be anyone else's."""


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
        traceback: where in the plugin's own package it was raised, no other frames; else ''.
        plugin: the kind and title of the plugin.
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
            outcome, reason, text = "failed", said(error), authors_traceback(error, plugin)
    return Result(check.name, outcome, reason, text, titled(plugin), check.states)


def titled(plugin: Plugin) -> str:
    """Return the kind and title of a plugin, or its class's name where it fails to tell one."""
    try:
        title = plugin.title()
    except Exception:
        title = type(plugin).__name__
    return f"{word(plugin.kind)} {title}"


def said(error: BaseException) -> str:
    """Say in one sentence what a failed check saw."""
    what = str(error) if isinstance(error, Violation) else f"raises {one_line(error)}"
    notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
    return in_one_line(what + notes, LONGEST_REASON)


def authors_traceback(error: BaseException, plugin: Plugin) -> str:
    """Format an error, or its cause, with the frames of the plugin's own package alone.

    Returns:
        '' where none of its frames is there.
    """
    ours = {type(part).__module__.split(".")[0] for part in plugin.parts()} - {"arena"}
    cause: BaseException | None = error
    while cause is not None:
        frames = [
            traceback.FrameSummary(*place)
            for frame, line in traceback.walk_tb(cause.__traceback__)
            if str(frame.f_globals.get("__name__")).split(".")[0] in ours
            and (place := (frame.f_code.co_filename, line, frame.f_code.co_name))
        ]
        if frames:
            return "".join([*traceback.format_list(frames), f"{one_line(cause)}\n"])
        cause = cause.__cause__
    return ""


def same_bits(a: Answer, b: Answer) -> bool:
    """Whether two answers have the same fields, of the same types and bits (NaN is NaN)."""
    mine, theirs = a.arrays(), b.arrays()
    return mine.keys() == theirs.keys() and all(map(_equal, mine.values(), theirs.values()))


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


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
    theirs, numpys = random.getstate(), _numpy_state()
    try:
        # A state of our own: one who seeds would otherwise restore the state of an earlier match.
        random.seed(_SEED)
        np.random.seed(_SEED)  # noqa: NPY002
        before, ours = random.getstate(), _numpy_state()
        yield
        drawn = "random" if random.getstate() != before else ""
        drawn = "numpy.random" if _differs(_numpy_state(), ours) else drawn
    finally:
        random.setstate(theirs)
        np.random.set_state(numpys)  # noqa: NPY002
    if drawn:
        raise Violation(
            f"draws from or seeds the global generator of {drawn}; draw from the rng it is given, "
            "and give libraries a random_state drawn from it"
        )


def _numpy_state() -> Any:
    return np.random.get_state()  # noqa: NPY002


def _differs(now: Any, before: Any) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(now, before, strict=True))
