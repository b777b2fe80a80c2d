"""What an attack does with its oracle: asks, and proposes surrogates; on the attacker's side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from arena.api import Attack, Oracle
from arena.errors import LONGEST_REASON, BudgetExhausted, in_one_line, is_interrupt, one_line
from arena.records import Ending, Status
from arena.seeds import generator
from arena.snapshots import RuleBroken, must_predict
from arena.traces import failure

_MOST_IDLE_YIELDS = 100_000
"""An attack that yields this often in a row without a query is not going to end."""

Send = Callable[[Any], None]
"""Hands a surrogate to the referee."""


def extract(attack: Attack, oracle: Oracle, seed: str, send: Send) -> Ending:
    """Run an attack to its end, sending the surrogates that are due, and the last one.

    Raises:
        KeyboardInterrupt: the user's; anything else becomes the ending.
    """
    try:
        propose(attack, oracle, seed, send)
    except BudgetExhausted:
        return Ending(Status.EXHAUSTED)
    except BaseException as error:
        if is_interrupt(error):
            raise
        return blamed(attack.name, error)
    return Ending(Status.FINISHED if oracle.remaining else Status.EXHAUSTED)


def blamed(name: str, error: BaseException) -> Ending:
    """Say how an attack failed."""
    status, what = Status.FAILED, one_line(error)
    if isinstance(error, RuleBroken):
        status, what = Status.BROKE_A_RULE, str(error)
    elif isinstance(error, MemoryError):
        status, what = Status.OUT_OF_MEMORY, "ran out of memory"
    reason = in_one_line(f"{name}: {what}", LONGEST_REASON)
    return Ending(status, reason, failure(error))


def propose(
    attack: Attack, oracle: Oracle, seed: str, send: Send, most_idle: int = _MOST_IDLE_YIELDS
) -> None:
    """Run an attack as ``extract`` does; whatever it raises passes.

    Raises:
        RuleBroken: it proposes no surrogate, or yields more than ``most_idle`` times in a row
            without asking.
    """
    pending: Any = None
    sent, idle, seen = 0, 0, -1
    try:
        for surrogate in _surrogates(attack, oracle, seed):
            idle = idle + 1 if oracle.spent == seen else 0
            seen = oracle.spent
            if idle > most_idle:
                raise RuleBroken("yields for ever without asking; end, or ask")
            must_predict(surrogate)
            pending = None if oracle.checkpoint_due else surrogate
            if pending is None:
                send(surrogate)
                sent += 1
    finally:
        # The last surrogate proposed counts, at what has been spent by the time it is taken.
        if pending is not None:
            send(pending)
            sent += 1
    if not sent:
        raise RuleBroken("ends without proposing a surrogate; yield at least one")


def _surrogates(attack: Attack, oracle: Oracle, seed: str) -> Iterator[Any]:
    proposals = attack.extract(oracle, generator(seed))
    if not hasattr(proposals, "__iter__"):
        what = type(proposals).__name__
        raise RuleBroken(f"its extract returns {what}; yield surrogates from it")
    return iter(proposals)
