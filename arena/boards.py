"""Boards: standings as text, Markdown, CSV, JSON or LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from arena import wording
from arena.duels import By, duel_tables, given_away_notes
from arena.layout import Block, Line, Page, Table, as_latex, as_markdown, as_text, clean
from arena.records import BoardTerms
from arena.standings import COLUMNS, FIRM, Place, Row, Standings, strongest

Format = Literal["text", "markdown", "csv", "json", "latex"]

SCHEMA = 1
"""The version of the published rows."""

UNPLAYED_SHOWN = 10
"""Pairs not played yet that a board names; the others are counted."""


def render(standings: Standings, by: By = "target", format: Format = "text") -> str:
    """Render a board.

    Args:
        standings: what it shows.
        by: what gets a table of its own; CSV and JSON are one table of all rows in any case.
        format: of the result.

    Returns:
        The board, the same for the same standings, ending with a line feed.
    """
    if format == "json":
        return as_json(standings)
    if format == "csv":
        return as_csv(standings)
    faces = {"text": as_text, "markdown": as_markdown, "latex": as_latex}
    return faces[format](page(standings, by))


def as_json(standings: Standings) -> str:
    """Render the rows as JSON: ``{"schema": 1, "rows": [...]}``."""
    board = {"schema": SCHEMA, "rows": _records(standings)}
    return json.dumps(board, indent=2, allow_nan=False) + "\n"


def as_csv(standings: Standings) -> str:
    """Render the rows as CSV, a line each, after the headings; what is null in JSON is empty."""
    text = io.StringIO()
    rows = _records(standings)
    writer = csv.DictWriter(text, rows[0] if rows else COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = row.items()
        writer.writerow({k: clean(v) if isinstance(v, str) else v for k, v in values})
    return text.getvalue()


def _records(standings: Standings) -> list[dict[str, Any]]:
    """Return the published columns of every row; figures to compare with where the file has any."""
    if not standings.terms.published:
        return [row.columns() for row in standings.rows]
    return [row.columns() | {"published": row.published} for row in standings.rows]


def page(standings: Standings, by: By = "target") -> Page:
    """Lay standings out as a page of tables."""
    footnotes = {(i.status, i.reason): n for n, i in enumerate(standings.incidents, 1)}
    return Page(
        title=standings.terms.name,
        facts=tuple(_facts(standings)),
        tables=(*duel_tables(standings, by, footnotes), *_overall_tables(standings)),
        notes=tuple(_notes(standings)),
    )


# ----------------------------------------------------------------------------- facts and notes


def _facts(standings: Standings) -> Iterable[str]:
    terms = standings.terms
    yield (
        f"{wording.measure(terms.goal)}; budget {terms.budget:,} queries{_dollars(terms)}; "
        f"{wording.plural(terms.repetitions, 'repetition')}"
    )
    yield _census(standings)
    if standings.provisional:
        yield f"PROVISIONAL: fewer than {FIRM} runs of a pair."
    if standings.rows:
        yield "Cells: expected queries to the goal [95 % interval] runs that reached it / runs."
        yield "Never reached: > budget (best: median over the runs of each run's best)."
        yield from _columns_explained(standings)


def _dollars(terms: BoardTerms) -> str:
    if not terms.price:
        return ""
    return f" ({wording.number(terms.budget * terms.price)} dollars at {terms.price:g} a query)"


def _columns_explained(standings: Standings) -> Iterable[str]:
    columns = []
    if standings.terms.price and any(row.ert is not None for row in standings.rows):
        columns.append("price (dollars)")
    if any(row.floor_ratio is not None for row in standings.rows):
        columns.append("x floor (multiple of the queries that theory asks for)")
    if standings.terms.published:
        yield f"published: the figures of {standings.terms.source}."
    if columns:
        yield f"For the hardest goal reached: {', '.join(columns)}."


def _census(standings: Standings) -> str:
    counts = [f"{n:,} {status.value}" for status, n in standings.counts.items()]
    unplayed = sum(standings.unplayed.values())
    counts += [f"{unplayed:,} not played yet"] * bool(unplayed)
    total = sum(standings.counts.values()) + unplayed
    return f"{wording.plural(total, 'match', 'matches')}: " + (", ".join(counts) or "none")


def _notes(standings: Standings) -> Iterable[str]:
    for n, incident in enumerate(standings.incidents, 1):
        matches = wording.plural(incident.matches, "match", "matches")
        reason = incident.reason or "no reason given"
        yield f"[{n}] {incident.status.value} ({matches}): {reason}"
    missing = list(standings.unplayed.items())
    if missing:
        named = [f"{' / '.join(pair)} ({n})" for pair, n in missing[:UNPLAYED_SHOWN]]
        more = len(missing) - len(named)
        named += [f"and {wording.plural(more, 'more pair')}"] * bool(more)
        yield "Not played yet: " + "; ".join(named)


# ------------------------------------------------------------------------------------- overall


def _overall_tables(standings: Standings) -> Iterable[Table]:
    if not standings.rows:
        return
    charged = (
        "mean: geometric, of the expected queries over the goals that count; one not reached "
        f"counts as {wording.number(standings.ceiling)}."
    )
    yield _attacks_overall(standings.attacks, charged)
    yield _defenses_overall(standings.defenses, charged)
    yield _strongest_attacks(standings)


def _attacks_overall(places: Sequence[Place], charged: str) -> Table:
    lines: list[Line] = [
        (
            (wording.rank(place),),
            (wording.titled(place),),
            (wording.share(place),),
            (wording.number(place.mean),),
        )
        for place in places
    ]
    columns = ("#", "attack", "goals reached", "mean")
    return _overall("Attacks overall", columns, "rlrr", places, lines, (charged,))


def _defenses_overall(places: Sequence[Place], charged: str) -> Table:
    lines: list[Line] = [
        (
            (wording.rank(place),),
            (place.name,),
            (wording.percent(place.utility),),
            (wording.share(place),),
            (wording.number(place.mean),),
        )
        for place in places
    ]
    columns = ("#", "defence", "labels kept", "goals lost", "mean")
    notes = (
        "Judged by the strongest attack on each goal. labels kept: the share of natural inputs "
        "whose label it leaves alone, so what it costs honest users.",
        charged,
    )
    return _overall("Defences overall", columns, "rlrrr", places, lines, notes)


def _overall(
    title: str,
    columns: tuple[str, ...],
    align: str,
    places: Sequence[Place],
    lines: Sequence[Line],
    notes: tuple[str, ...],
) -> Table:
    """Add a column that says why some are not ranked, where some are not."""
    if any(place.note for place in places):
        columns, align = (*columns, "not ranked"), align + "l"
        lines = [(*line, (place.note,)) for line, place in zip(lines, places, strict=True)]
    return Table(title, columns, align, (Block("", tuple(lines)),), notes=notes)


def _strongest_attacks(standings: Standings) -> Table:
    terms = standings.terms
    rows: dict[tuple[str, str, float], list[Row]] = {}
    for row in standings.rows:
        rows.setdefault((row.target, row.defense, row.goal), []).append(row)
    blocks = []
    for target, places in standings.sieges.items():
        lines: list[Line] = [
            (
                (wording.rank(place),),
                (place.name,),
                (wording.percent(place.utility),),
                *[(_strongest(rows[target, place.name, g], terms),) for g in terms.goal.reach],
            )
            for place in places
        ]
        blocks.append(Block(target, tuple(lines)))
    goals = [wording.level(terms.goal, g) for g in terms.goal.reach]
    return Table(
        title="The strongest attack on each defence",
        columns=("#", "defence", "labels kept", *goals),
        align="rlr" + "l" * len(goals),
        blocks=tuple(blocks),
        shared="target",
        lead="on",
        notes=given_away_notes(standings, standings.sieges),
    )


def _strongest(rows: Sequence[Row], terms: BoardTerms) -> str:
    best = strongest(rows)
    if not best:
        return "-"
    row = best[0]
    if row.given_away:
        return "given away*"
    if row.ert is None:
        return " ".join(filter(None, wording.never(row, terms)))
    return f"{wording.number(row.ert)} by {' = '.join(r.attack for r in best)}"
