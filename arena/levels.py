"""Which levels of a goal can be measured: Rule 3 of the count."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from pydantic import ValidationError

from arena.mistakes import Mistakes
from arena.settings import GoalSettings
from arena.splits import training_rows
from arena.tables import Table

_FEWEST_ERRORS = 10
"""A level must allow this many disagreements in a scoring half, or it cannot be told from 1."""


def check(data: Any, mistakes: Mistakes) -> None:
    """Note what is wrong with the levels of a goal, as the file writes it."""
    try:
        goal = GoalSettings.model_validate_json(json.dumps(data or {}), strict=True)
    except ValidationError:
        return
    if goal.metric.endswith("error"):
        if "reach" not in goal.model_fields_set:
            sentence = f"{goal.metric} has no usual levels; write reach: [0.1]"
            mistakes.add(("goal", "metric"), sentence)
    else:
        _check_likeness(goal, mistakes)
    if (goal.metric, goal.inputs) == ("r2", "balanced"):
        sentence = "r2 has no classes to balance; write natural or uniform"
        mistakes.add(("goal", "inputs"), sentence)
    for i, level in enumerate(goal.reach):
        if level in goal.reach[:i]:
            mistakes.add(("goal", "reach", i), f"level {level:g} stands twice; keep one")


def _check_likeness(goal: GoalSettings, mistakes: Mistakes) -> None:
    finest = _finest(goal.size)
    for i, level in enumerate(goal.reach):
        if level >= 1:
            sentence = f"a level of {level:g} is not below 1; {goal.metric} is 1 at most"
            mistakes.add(("goal", "reach", i), sentence)
        elif goal.metric == "fidelity" and level > finest:
            need = 2 * math.ceil(_FEWEST_ERRORS / (1 - level) - 1e-6)
            mistakes.add(
                ("goal", "reach", i),
                f"level {level:g} is too fine for {goal.size} scoring inputs; "
                f"ask at most {_shown(finest)}, or set goal.size to {need}",
            )


def check_held_out(goal: GoalSettings, table: Table, mistakes: Mistakes) -> None:
    """Note levels of accuracy too fine for the rows of a table that targets are not trained on."""
    if goal.metric != "accuracy":
        return
    rows = int((~training_rows(table.y, np.random.default_rng(0))).sum())
    finest = _finest(rows)
    for i, level in enumerate(goal.reach):
        if level > finest:
            mistakes.add(
                ("goal", "reach", i),
                f"level {level:g} is too fine for the {rows} held-out rows of {table.name}, "
                f"which accuracy is measured on; ask at most {_shown(finest)}",
            )


def _finest(inputs: int) -> float:
    """Return the finest level for so many scoring inputs, in two halves."""
    return 1 - 2 * _FEWEST_ERRORS / max(inputs, 1) + 1e-12


def _shown(level: float) -> str:
    return f"{math.floor(max(level, 0.0) * 1e4) / 1e4:g}"
