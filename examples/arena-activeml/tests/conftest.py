"""An oracle that records, and the command line as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from arena import Answer, BudgetExhausted, Domain, Feature, Knowledge, Oracle

Floats = NDArray[np.float64]
Runner = Callable[..., "subprocess.CompletedProcess[str]"]


class Recorder(Oracle):
    """Answers by the sum of the first two features, as a label or as a value; keeps all rows.

    Attributes:
        asked: the batches, in order.
    """

    def __init__(self, budget: int, values: bool = False, pool: Floats | None = None) -> None:
        features = tuple(Feature(name, "continuous", -2.0, 2.0) for name in "abc")
        self.asked: list[Floats] = []
        self._budget, self._values = budget, values
        self._told = Knowledge(
            Domain(features),
            classes=() if values else ("no", "yes"),
            fields=frozenset({"value" if values else "label"}),
            family="linear-regression" if values else "halfspace",
            pool=pool,
        )

    @property
    def knowledge(self) -> Knowledge:
        """What the attack is told."""
        return self._told

    def ask(self, X: Floats) -> Answer:
        """Answer raw rows X (n, 3)."""
        if len(X) > self.remaining:
            raise BudgetExhausted
        self.asked.append(X.copy())
        score = X[:, 0] + X[:, 1]
        if self._values:
            return Answer(value=score)
        return Answer(label=(score > 0).astype(np.int64))

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return sum(map(len, self.asked))

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._budget - self.spent

    @property
    def checkpoint_due(self) -> bool:
        """Only when nothing is left."""
        return not self.remaining


@pytest.fixture
def run_arena(tmp_path: Path) -> Runner:
    """Run the command line as a process, in an empty folder."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "arena.cli", *map(str, words)]
        return subprocess.run(
            command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300
        )

    return run
