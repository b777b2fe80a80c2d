"""The meter of one match: what is billed, what remains, when a surrogate is due."""

from __future__ import annotations

import math


class Meter:
    """Counts queries against a budget.

    The referee's is the one that counts. A cell keeps a copy, so that asking it costs no message;
    whoever writes into the copy changes what the cell believes, and nothing else.

    Attributes:
        budget: queries that may be spent.
        spent: queries billed so far.
    """

    def __init__(self, budget: int, growth: float) -> None:
        """Start at nothing; a checkpoint is due after ``growth`` times the queries of the last."""
        self.budget = budget
        self.spent = 0
        self._growth = growth
        self._next = 0
        self._kept = -1

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self.budget - self.spent

    @property
    def checkpoint_due(self) -> bool:
        """Whether a surrogate yielded now is kept: by geometric growth, and when none remain."""
        spent = self.spent
        return spent >= self._next or (spent == self.budget and self._kept != spent)

    def keep(self) -> None:
        """Note that a surrogate was kept now; the next is due after ``growth`` times as many."""
        self._kept = self.spent
        # 100 * 1.1 is a little more than 110 in floating point.
        grown = math.ceil(self.spent * self._growth * (1 - 1e-12))
        self._next = max(self.spent + 1, grown)
