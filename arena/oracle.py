"""The door: meters, bills before it answers, enforces the budget; on the referee's side."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from arena.answers import Answer, Unanswerable, delivered
from arena.api import Knowledge, Oracle, Session, Victim
from arena.errors import BudgetExhausted, InvalidQuery, OracleClosed, is_interrupt, one_line
from arena.meter import Meter
from arena.traces import failure

Floats = NDArray[np.float64]


class Door(Oracle):
    """Metered access to a defended target.

    Attributes:
        knowledge: what the attack is told.
        calls: how many batches were billed (rounds).
        fault: one sentence when the target or the defence failed; the match is void then.
        fault_traceback: its traceback, whole.
    """

    def __init__(
        self,
        victim: Victim,
        sessions: Sequence[Session],
        knowledge: Knowledge,
        budget: int,
        growth: float,
    ) -> None:
        self.knowledge = knowledge
        self.calls = 0
        self.fault = ""
        self.fault_traceback = ""
        self._victim = victim
        self._sessions = tuple(sessions)
        self._fields = knowledge.fields
        self._classes = len(victim.classes)
        self._width = victim.domain.d
        self._validate = victim.domain.validate
        self._meter = Meter(budget, growth)
        self._open = True
        self._lock = Lock()

    def __reduce__(self) -> NoReturn:
        # A copy would be a second meter, and a pickle would carry the victim away.
        raise TypeError("an oracle can be neither pickled nor copied; a surrogate must not hold it")

    def ask(self, X: Floats) -> Answer:
        """Bill the rows of X, then answer them; see `arena.Oracle`."""
        given = query_matrix(X, self._width)
        n = len(given)
        with self._lock:
            if not self._open:
                raise OracleClosed("the oracle is closed; ask only while the match is on")
            within_budget(n, self._meter)
            # A copy: what the attack does to its own array later reaches nobody.
            rows = np.array(given, dtype=np.float64, order="C")
            self._meter.spent += n
            self.calls += 1
            self._validate(rows)
            return self._answered(rows)

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return self._meter.spent

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._meter.remaining

    @property
    def checkpoint_due(self) -> bool:
        """Whether a surrogate yielded now is kept."""
        return self._meter.checkpoint_due

    def keep(self) -> None:
        """Note that a surrogate was kept now."""
        self._meter.keep()

    def close(self) -> None:
        """Answer nothing any more."""
        self._open = False

    def _answered(self, rows: Floats) -> Answer:
        bare: object = None
        try:
            answer = bare = self._victim.answer(rows)
            if self._sessions:
                # A copy: a defence may write into what it is given, and the victim may keep it.
                answer = answer.copy()
                for session in self._sessions:
                    answer = session.answer(rows, answer)
            return delivered(answer, len(rows), self._classes, self._fields)
        except BaseException as error:
            if is_interrupt(error):
                raise
            self._fail(bare, len(rows), error)

    def _fail(self, bare: object, n: int, error: BaseException) -> NoReturn:
        what = str(error) if isinstance(error, Unanswerable) else f"raises {one_line(error)}"
        self.fault = f"the {self._culprit(bare, n)} {what}"
        self.fault_traceback = failure(error)
        self.close()
        raise OracleClosed("the server behind the oracle has failed; the match is void")

    def _culprit(self, bare: object, n: int) -> str:
        try:
            delivered(bare, n, self._classes, {self._victim.output})
        except Unanswerable:
            return "target"
        return "defence" if self._sessions else "target"


def query_matrix(X: Floats, width: int) -> NDArray[np.generic]:
    """Take a batch of queries as a matrix, whose values are not looked at.

    Raises:
        InvalidQuery: it is none of numbers and of that width.
    """
    try:
        given = np.asarray(X)
    except (TypeError, ValueError, OverflowError):
        raise InvalidQuery("queries must be a matrix of numbers, one row a query") from None
    if given.dtype.kind not in "fiub":
        raise InvalidQuery(f"queries are {given.dtype}; ask a matrix of numbers")
    if given.ndim != 2 or given.shape[1] != width or not len(given):
        raise InvalidQuery(f"queries of shape {given.shape} do not fit; ask (n, {width}), n >= 1")
    return given


def within_budget(n: int, meter: Meter) -> None:
    """Check that ``n`` more queries may be asked.

    Raises:
        BudgetExhausted: fewer remain.
    """
    if n > meter.remaining:
        raise BudgetExhausted(f"{n} queries asked, {meter.remaining} of {meter.budget} remain")
