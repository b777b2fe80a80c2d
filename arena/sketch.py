"""A learning curve drawn in characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from arena.records import Checkpoint, Goal
from arena.wording import number, score

_LEAST = 1e-9
"""Errors are not told apart below this."""

_WORST_R2 = -1.0
"""R^2 is not told apart below this: a curve would be one line at the top."""

_MARGIN = 8

PLAIN = str.maketrans("•┈│└─", "*.|+-")
"""What stands for the characters of a sketch where they cannot be written."""


def sketch(
    curve: Sequence[Checkpoint], goal: Goal, width: int = 60, height: int = 12
) -> tuple[str, ...]:
    """Draw the goal's metric, its worse half, against queries, which stand on a log scale.

    Args:
        curve: the checkpoints, in order.
        goal: what they were scored by; its levels are dotted lines.
        width: characters, without the margin.
        height: lines, without the axis.

    Returns:
        The lines; none where nothing was scored.
    """
    points = [(max(c.queries, 1), worse(c, goal)) for c in curve if c.values]
    if not points:
        return ()
    queries = np.array([q for q, _ in points], dtype=np.float64)
    columns = np.geomspace(queries[0], queries[-1], width)
    # A column shows the last surrogate scored by then, hence a little past the point itself.
    last = np.searchsorted(queries, columns * (1 + 1e-9), side="right") - 1
    levels = [_scaled(level, goal) for level in goal.reach]
    values = [_scaled(value, goal) for _, value in points]
    best = min(levels) if goal.is_error else 1.0
    low, high = min(*values, *levels, best), max(*values, *levels, best)

    def line_of(value: float) -> int:
        share = (value - low) / (high - low) if high > low else 0.0
        return round((1 - share) * (height - 1))

    canvas = [[" "] * width for _ in range(height)]
    names = [""] * height
    for level, value in zip(goal.reach, levels, strict=True):
        canvas[line_of(value)] = ["┈"] * width
        names[line_of(value)] = score(level, goal)
    for value in (min(values), max(values)):
        shown = 10**value if goal.is_error else value
        names[line_of(value)] = names[line_of(value)] or score(shown, goal)
    for column, i in enumerate(last):
        canvas[line_of(values[i])][column] = "•"
    rows = zip(names, canvas, strict=True)
    lines = [f"{name:>{_MARGIN}} │{''.join(row).rstrip()}" for name, row in rows]
    first, end = number(queries[0]), f"{number(queries[-1])} queries"
    axis = f"{' ' * _MARGIN} └{'─' * width}"
    return (*lines, axis, f"{' ' * _MARGIN}  {first}{end:>{width - len(first)}}")


def worse(checkpoint: Checkpoint, goal: Goal) -> float:
    """Return the value of the worse scoring half, which decides whether a level is reached."""
    return (max if goal.is_error else min)(checkpoint.values)


def _scaled(value: float, goal: Goal) -> float:
    return math.log10(max(value, _LEAST)) if goal.is_error else max(value, _WORST_R2)
