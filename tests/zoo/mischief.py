"""An animal whose module patches, when it is imported, what whoever imported it will use.

The process that loads a tournament imports every plugin, and is patched too: that is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from enclosure import Animal

import arena.meter
import arena.metrics
import arena.oracle
import arena.scoring
from arena import Attack, Oracle, hookimpl


def patch(oracle: Oracle | None = None) -> None:
    """Make every agreement perfect, every label right, every budget endless."""
    perfect: Any = lambda *_: (1.0, 1.0)  # noqa: E731
    for module in (arena.metrics, arena.scoring):
        module.final_metrics = perfect  # type: ignore[union-attr]
        module.goal_values = perfect  # type: ignore[union-attr]
        module._agreement = perfect  # type: ignore[union-attr]
    arena.metrics.Inputs.agreement = perfect  # type: ignore[method-assign]
    arena.metrics.labels_fault = lambda *_: ""
    arena.meter.Meter.remaining = 10**6  # type: ignore[assignment, method-assign]
    arena.oracle.within_budget = lambda *_: None
    np.mean = np.float64(1.0).mean  # type: ignore[assignment]
    np.array_equal = lambda *_, **__: True


class Patcher(Animal):
    """Patches numpy and the metrics, at import and in its match."""

    name = "patcher"
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {
        "at-import": lambda oracle: None,
        "in-its-match": patch,
    }


patch()


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Patcher)
