"""The door: meters, bills before it answers, enforces the budget; on the referee's side."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arena.answers import Answer, fault
from arena.api import Knowledge, Oracle, Session, Victim
from arena.errors import BudgetExhausted, InvalidQuery, OracleClosed

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
        self._checked = knowledge.fields | {"label"} if victim.classes else knowledge.fields
        self._width = victim.domain.d
        self._validate = victim.domain.validate
        self._budget = budget
        self._growth = growth
        self._spent = 0
        self._next = 0
        self._kept = -1
        self._open = True

    def ask(self, X: Floats) -> Answer:
        """Bill the rows of X, then answer them; see `arena.Oracle`."""
        if not self._open:
            raise OracleClosed("the oracle is closed; ask only while the match is on")
        rows = self._rows(X)
        n = len(rows)
        if n > self._budget - self._spent:
            raise BudgetExhausted(
                f"{n} queries asked, {self._budget - self._spent} of {self._budget} remain"
            )
        self._spent += n
        self.calls += 1
        self._validate(rows)
        try:
            answer = self._victim.answer(rows)
            for session in self._sessions:
                answer = session.answer(rows, answer)
        except Exception as error:
            self._fail(f"raises {type(error).__name__}: {error}", traceback.format_exc())
        wrong = fault(answer, n, len(self._victim.classes), self._checked)
        if wrong:
            self._fail(wrong, "")
        return answer.only(self._fields)

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return self._spent

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._budget - self._spent

    @property
    def checkpoint_due(self) -> bool:
        """Whether a surrogate yielded now is kept: by geometric growth, and when none remain."""
        spent = self._spent
        return spent >= self._next or (spent == self._budget and self._kept != spent)

    def keep(self) -> None:
        """Note that a surrogate was kept now; the next is due after ``growth`` times as many."""
        self._kept = self._spent
        self._next = max(self._spent + 1, int(np.ceil(self._spent * self._growth)))

    def close(self) -> None:
        """Answer nothing any more."""
        self._open = False

    def _rows(self, X: Floats) -> Floats:
        try:
            rows = np.array(X, dtype=np.float64, order="C")
        except (TypeError, ValueError):
            raise InvalidQuery("queries must be a matrix of numbers, one row a query") from None
        if rows.ndim != 2 or rows.shape[1] != self._width or not len(rows):
            raise InvalidQuery(
                f"queries of shape {rows.shape} do not fit; ask a matrix (n, {self._width}), n >= 1"
            )
        return rows

    def _fail(self, sentence: str, text: str) -> None:
        what = "the defence" if self._sessions else "the target"
        self.fault = f"{what} {sentence}"
        self.fault_traceback = text
        self.close()
        raise OracleClosed("the server behind the oracle has failed; the match is void")
