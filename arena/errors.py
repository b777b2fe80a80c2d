"""Every mistake a user or a plugin can make, one sentence each: what, where and the mend."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST, LONGEST_REASON = 300, 1000
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


class ArenaError(Exception):
    """What the user wrote, or the machine it runs on, is wrong; exit code 2, no traceback.

    The message is one sentence that says what is wrong, where, and the mend.
    """


class BudgetExhausted(Exception):
    """A batch is larger than what remains of the budget; nothing of it was billed or answered."""


class InvalidQuery(ValueError):
    """The oracle refuses a batch: wrong shape, a value that is not finite, an unknown category."""


class OracleClosed(RuntimeError):
    """The match is over, or the server behind the oracle has failed; no answer will come."""


def one_line(error: BaseException) -> str:
    """Say an exception in one line, the same in every process: without addresses of objects."""
    try:
        text = str(error)
    except BaseException as failure:
        text = f"its __str__ raises {type(failure).__name__}"
    return in_one_line(f"{type(error).__name__}: {text}")


def is_interrupt(error: BaseException) -> bool:
    """Whether it is a user's Ctrl-C; in a process that is deaf to it, a plugin raised it."""
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return isinstance(error, KeyboardInterrupt) and not deaf


def in_one_line(text: str, most: int = _LONGEST) -> str:
    """Make a sentence of what a plugin says: short, printable, without addresses of objects."""
    line = _ADDRESS.sub("0x...", " ".join(text.split()).rstrip(": "))
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= most else f"{line[:most]}..."


def closest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names comes close to ``name``, as the end of a sentence."""
    names = sorted(set(known))
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return "known are: " + (", ".join(names) if names else "none")
