"""How boards write numbers, levels, ranks and scores."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from arena.records import BoardTerms, Figure, Goal
from arena.standings import Place, Row

FINEST = 6
"""Digits after the point of a level or a score, at most."""


LEAST = -1000
"""R^2 is not told apart below this."""


def number(value: float | None) -> str:
    """Write queries, dollars or a ratio to a whole or to three digits; nothing for None."""
    if value is None:
        return ""
    if value >= 9999.5:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def plural(n: int, one: str, many: str = "") -> str:
    """Write a count with its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """Write a share in per cent; nothing for None."""
    return "" if share is None else f"{100 * share:.1f} %"


def rank(place: Place) -> str:
    """Write a rank: ``2``, ``2=`` when tied, ``-`` when not ranked."""
    return "-" if place.rank is None else f"{place.rank}{'=' if place.tied else ''}"


def share(place: Place) -> str:
    """Write how many of the goals that count were reached."""
    return f"{place.reached}/{place.goals}"


def titled(place: Place) -> str:
    """Write the name of an attack, and that it is a baseline."""
    return f"{place.name} (baseline)" if place.baseline else place.name


def measure(goal: Goal) -> str:
    """Say what a goal measures."""
    if goal.metric == "accuracy":
        return "accuracy on held-out rows"
    if goal.is_error:
        return f"{goal.metric}, to be brought down to the goal"
    return f"{goal.metric} on {goal.inputs} inputs"


def level(goal: Goal, value: float) -> str:
    """Write a level as the heading of its column: ``>= .95`` or ``<= 0.001``."""
    return f"<= {value:g}" if goal.is_error else f">= {_fraction(Decimal(repr(value)))}"


def never(row: Row, terms: BoardTerms) -> tuple[str, str]:
    """Write that a goal was never reached, and the best that was scored instead."""
    best = "(not scored)" if row.best is None else f"(best {score(row.best, terms.goal)})"
    return f"> {number(terms.budget)}", best


def interval(row: Row) -> str:
    """Write the interval of an ERT; nothing where all resamples agree."""
    low, high = ("inf" if q is None else number(q) for q in (row.ci_low, row.ci_high))
    return "" if low == high else f"[{low}-{high}]"


def end(value: tuple[float, float] | None, goal: Goal) -> str:
    """Write where an attack ended: queries, and the metric."""
    return "" if value is None else f"{number(value[0])} ({score(value[1], goal)})"


def figures(found: Iterable[Figure], goal: Goal) -> str:
    """Write published figures: queries to a level, or where an attack ended."""
    return "; ".join(_figure(figure, goal) for figure in found)


def _figure(figure: Figure, goal: Goal) -> str:
    queries = number(figure.queries)
    if figure.goal is not None:
        return f"{queries} {level(goal, figure.goal)}"
    return queries if figure.value is None else f"{queries} ({score(figure.value, goal)})"


def score(value: float, goal: Goal) -> str:
    """Write a value of the metric, rounded so that a miss never reads as if it were none."""
    exact = Decimal(repr(value))
    if goal.is_error:
        return f"{float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(exact)):g}"
    if value < LEAST:
        return f"below {LEAST}"
    finest = max((_digits(Decimal(repr(reach))) for reach in goal.reach), default=0)
    step = Decimal(1).scaleb(-max(2, finest + 1))
    return _fraction(exact.quantize(step, rounding=ROUND_FLOOR))


def _fraction(value: Decimal) -> str:
    text = f"{value:.{max(2, _digits(value))}f}"
    return text.removeprefix("0") if 0 <= value < 1 else text


def _digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return min(max(0, -exponent), FINEST) if isinstance(exponent, int) else 0
