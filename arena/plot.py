"""Learning curves as pictures: the goal's metric against queries, a panel a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena.errors import ArenaError
from arena.records import BoardTerms, Entry, Record, Results
from arena.wording import measure

Floats = NDArray[np.float64]

_POINTS = 200
_BAND = (0.1, 0.9)
_COLUMNS = 2


@dataclass(frozen=True)
class Curve:
    """The runs of one attack against one defended target.

    Attributes:
        target, defense, attack: names on the board.
        queries: float64 (m,).
        middle: float64 (m,), the median over the runs of the worse half's value; nan before any.
        low: float64 (m,), their 10 % quantile.
        high: float64 (m,), their 90 % quantile.
    """

    target: str
    defense: str
    attack: str
    queries: Floats
    middle: Floats
    low: Floats
    high: Floats


def curves(results: Results) -> tuple[Curve, ...]:
    """Return the curves of all pairs that were scored, in the order of the tournament."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for entry in results.entries:
        if entry.record is not None and any(c.values for c in entry.record.curve):
            groups.setdefault(_pair(entry), []).append(entry.record)
    return tuple(_curve(pair, records, results.terms) for pair, records in groups.items())


def draw(results: Results, stem: Path) -> tuple[Path, Path]:
    """Draw the learning curves of a tournament as ``stem``.png and ``stem``.svg.

    Args:
        results: its matches, with their records.
        stem: where to, without an ending.

    Returns:
        The two files.

    Raises:
        ArenaError: matplotlib is not installed, there is nothing to draw, or nowhere to write.
    """
    found = curves(results)
    if not found:
        raise ArenaError("no match was scored yet; play the tournament first")
    figure = _figure(found, results.terms)
    paths = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    try:
        for path in paths:
            # Without dates, so that the same results draw the same bytes.
            figure.savefig(path, dpi=150, metadata={"Date": None} if path == paths[1] else {})
    except OSError as error:
        raise ArenaError(f"{stem}: {error.strerror or error}; choose --out") from error
    return paths


def _pair(entry: Entry) -> tuple[str, str, str]:
    return entry.target, entry.defense, entry.attack


def _curve(pair: tuple[str, str, str], records: Sequence[Record], terms: BoardTerms) -> Curve:
    queries = np.unique(np.rint(np.geomspace(1, max(2, terms.budget), _POINTS)))
    runs = np.array([_values(record, queries, terms) for record in records])
    # A run that has proposed nothing yet has no value; quantiles are of those that have.
    scored = np.isfinite(runs).any(axis=0)
    low, middle, high = np.full((3, len(queries)), np.nan)
    quantiles = np.nanquantile(runs[:, scored], [_BAND[0], 0.5, _BAND[1]], axis=0)
    low[scored], middle[scored], high[scored] = quantiles
    return Curve(*pair, queries, middle, low, high)


def _values(record: Record, queries: Floats, terms: BoardTerms) -> Floats:
    """Return what a run had been scored at by every number of queries (m,); nan before any."""
    worse = max if terms.goal.is_error else min
    points = [(c.queries, worse(c.values)) for c in record.curve if c.values]
    at = np.searchsorted([q for q, _ in points], queries, side="right") - 1
    values = np.array([value for _, value in points] or [math.nan])
    return np.where(at >= 0, values[np.maximum(at, 0)], math.nan)


def _figure(found: Sequence[Curve], terms: BoardTerms) -> Any:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise ArenaError(
            "plots need matplotlib; install it: pip install 'extraction-arena[plot]'"
        ) from None
    mpl.rcParams["svg.hashsalt"] = "arena"
    targets = list(dict.fromkeys(curve.target for curve in found))
    rows = math.ceil(len(targets) / _COLUMNS)
    columns = min(_COLUMNS, len(targets))
    figure = Figure(figsize=(6.4 * columns, 4.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    styles = _styles(found)
    for panel, target in zip(grid.flat, targets, strict=False):
        _panel(panel, [c for c in found if c.target == target], terms, styles)
        panel.set_title(target)
    for panel in grid.flat[len(targets) :]:
        panel.remove()
    handles = {name: line for panel in grid.flat for line, name in _legend(panel)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2)
    return figure


def _panel(panel: Any, found: Sequence[Curve], terms: BoardTerms, styles: dict[Any, Any]) -> None:
    for curve in found:
        style = styles[curve.attack, curve.defense]
        name = _name(curve, len({c.defense for c in found}) > 1)
        panel.plot(curve.queries, curve.middle, label=name, **style)
        panel.fill_between(
            curve.queries, curve.low, curve.high, color=style["color"], alpha=0.15, linewidth=0
        )
    for level in terms.goal.reach:
        panel.axhline(level, color="grey", linewidth=0.6, linestyle=":")
    for figure in terms.published:
        value = figure.value if figure.goal is None else figure.goal
        if figure.target == found[0].target and value is not None:
            colours = [s["color"] for (attack, _), s in styles.items() if attack == figure.attack]
            name = f"published: {figure.attack}"
            panel.plot([figure.queries], [value], "x", color=(*colours, "k")[0], label=name)
    panel.set_xlabel("queries")
    panel.set_ylabel(measure(terms.goal).split(",")[0])
    panel.set_xscale("log")
    if terms.goal.is_error:
        panel.set_yscale("log")


def _styles(found: Sequence[Curve]) -> dict[tuple[str, str], dict[str, Any]]:
    attacks = list(dict.fromkeys(curve.attack for curve in found))
    defenses = list(dict.fromkeys(curve.defense for curve in found))
    dashes = ("-", "--", ":", "-.")
    return {
        (attack, defense): {"color": f"C{i % 10}", "linestyle": dashes[j % 4], "linewidth": 1.3}
        for i, attack in enumerate(attacks)
        for j, defense in enumerate(defenses)
    }


def _name(curve: Curve, several: bool) -> str:
    return f"{curve.attack} / {curve.defense}" if several else curve.attack


def _legend(panel: Any) -> list[tuple[Any, str]]:
    if panel.figure is None:
        return []
    handles, names = panel.get_legend_handles_labels()
    return list(zip(handles, names, strict=True))
