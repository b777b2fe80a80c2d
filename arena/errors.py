"""Every mistake a user or a plugin can make, one sentence each: what, where and the mend."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


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


def closest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names comes close to ``name``, as the end of a sentence."""
    names = sorted(set(known))
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return "known are: " + (", ".join(names) if names else "none")
