"""The tables of a board that show attacks against defended targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from arena import wording
from arena.layout import Block, Cell, Line, Table
from arena.records import BoardTerms, Figure, Status
from arena.standings import Place, Row, Standings

By = Literal["target", "attack", "defense"]

Footnotes = dict[tuple[Status, str], int]
"""The number of the footnote for a status and its reason."""


@dataclass(frozen=True)
class _Duel:
    """One attack against one defended target: a line of a board.

    Attributes:
        target: its name.
        defense: its name.
        place: of the attack among those on this defended target.
        rows: one a level, from easy to hard.
    """

    target: str
    defense: str
    place: Place
    rows: tuple[Row, ...]

    @property
    def hardest(self) -> Row | None:
        """The row of the hardest level that was reached."""
        return next((row for row in reversed(self.rows) if row.ert is not None), None)

    @property
    def price(self) -> float | None:
        """Dollars of the hardest level that was reached."""
        return self.hardest.price if self.hardest else None

    @property
    def floor_ratio(self) -> float | None:
        """ERT of the hardest level that was reached over its information floor."""
        return self.hardest.floor_ratio if self.hardest else None

    @property
    def end(self) -> tuple[float, float] | None:
        """Medians over its runs of what each spent in all, and of its last value."""
        return self.rows[0].end

    @property
    def outcome(self) -> tuple[Status, str]:
        """How the most serious of its runs ended."""
        return self.rows[0].status, self.rows[0].reason


@dataclass(frozen=True)
class _View:
    """How duels are arranged.

    Attributes:
        table: what gets a table of its own.
        block: what lines of a table share; ``shared`` is its heading, ``lead`` the word before it.
        name: what tells the lines of a block apart; ``named`` is its heading.
    """

    table: Callable[[_Duel], str]
    block: Callable[[_Duel], str]
    name: Callable[[_Duel], str]
    shared: str
    lead: str
    named: str
    rank: str = "#"


@dataclass(frozen=True)
class _Column:
    heading: str
    align: str
    show: Callable[[_Duel], str]


def _target(duel: _Duel) -> str:
    return duel.target


def _defense(duel: _Duel) -> str:
    return duel.defense


def _attack(duel: _Duel) -> str:
    return duel.place.name


def _titled(duel: _Duel) -> str:
    return wording.titled(duel.place)


_VIEWS = {
    "target": _View(_target, _defense, _titled, "defence", "against", "attack"),
    "attack": _View(_attack, _target, _defense, "target", "on", "defence", "rank"),
    "defense": _View(_defense, _target, _titled, "target", "on", "attack"),
}


def duel_tables(standings: Standings, by: By, footnotes: Footnotes) -> Iterable[Table]:
    """Make one table for every target, attack or defence."""
    tables: dict[str, list[_Duel]] = {name: [] for name in _order(standings, by)}
    for duel in _duels(standings):
        tables[_VIEWS[by].table(duel)].append(duel)
    for title, duels in tables.items():
        yield _table(standings, title, duels, by, footnotes)


def given_away_notes(standings: Standings, targets: Iterable[str]) -> tuple[str, ...]:
    """Say which goals on these targets are given away, and by which baseline."""
    wanted, by_baseline = set(targets), dict[tuple[str, str], list[str]]()
    for (target, level), baseline in standings.given_away.items():
        if target in wanted:
            goal = wording.level(standings.terms.goal, level)
            by_baseline.setdefault((target, baseline), []).append(goal)
    return tuple(
        f"* {', '.join(goals)} on {target}: given away by {baseline}, which asks nothing; "
        "shown, not ranked."
        for (target, baseline), goals in by_baseline.items()
    )


def _order(standings: Standings, by: By) -> Iterable[str]:
    if by == "target":
        return standings.sieges
    return [p.name for p in (standings.attacks if by == "attack" else standings.defenses)]


def _duels(standings: Standings) -> Iterable[_Duel]:
    rows: dict[tuple[str, str, str], list[Row]] = {}
    for row in standings.rows:
        rows.setdefault((row.target, row.defense, row.attack), []).append(row)
    for (target, defense), places in standings.duels.items():
        for place in places:
            yield _Duel(target, defense, place, tuple(rows[target, defense, place.name]))


def _table(
    standings: Standings, title: str, duels: Sequence[_Duel], by: By, footnotes: Footnotes
) -> Table:
    view, terms = _VIEWS[by], standings.terms
    extras = _extras(duels, terms, footnotes)
    blocks: dict[str, list[Line]] = {}
    for duel in duels:
        cells = [_goal(duel, row, terms, mark=by != "target") for row in duel.rows]
        extra: list[Cell] = [(column.show(duel),) for column in extras]
        line: Line = ((wording.rank(duel.place),), (view.name(duel),), *cells, *extra)
        blocks.setdefault(view.block(duel), []).append(line)
    # A column has one target, hence one mark, only where tables are by target.
    given = {level for target, level in standings.given_away if (by, title) == ("target", target)}
    goals = [wording.level(terms.goal, g) + "*" * (g in given) for g in terms.goal.reach]
    return Table(
        title=title,
        columns=(view.rank, view.named, *goals, *[column.heading for column in extras]),
        align="rl" + "r" * len(goals) + "".join(column.align for column in extras),
        blocks=tuple(Block(name, tuple(lines)) for name, lines in blocks.items()),
        shared=view.shared,
        lead=view.lead,
        notes=given_away_notes(standings, [d.target for d in duels]),
    )


def _goal(duel: _Duel, row: Row, terms: BoardTerms, mark: bool) -> Cell:
    if not row.runs:
        return (row.status.value if row is duel.rows[0] else "-",)
    tally = f"{row.successes}/{row.runs}" + "*" * bool(mark and row.given_away)
    if row.ert is None:
        return (*wording.never(row, terms), tally)
    return (wording.number(row.ert), wording.interval(row), tally)


def _extras(duels: Sequence[_Duel], terms: BoardTerms, footnotes: Footnotes) -> list[_Column]:
    """Return the columns after the goals, those that apply to some of the lines."""
    extras = []
    if terms.price and any(duel.hardest for duel in duels):
        extras.append(_Column("price", "r", lambda d: wording.number(d.price)))
    if any(duel.floor_ratio is not None for duel in duels):
        extras.append(_Column("x floor", "r", lambda d: wording.number(d.floor_ratio)))
    figures = {duel: _figures(duel, terms) for duel in duels}
    if any(figure.goal is None for found in figures.values() for figure in found):
        extras.append(_Column("at the end", "r", lambda d: wording.end(d.end, terms.goal)))
    if any(figures.values()):
        extras.append(_Column("published", "r", lambda d: wording.figures(figures[d], terms.goal)))
    if any(duel.outcome in footnotes for duel in duels):
        extras.append(_Column("note", "l", lambda d: _footnote(d, footnotes)))
    return extras


def _figures(duel: _Duel, terms: BoardTerms) -> tuple[Figure, ...]:
    return tuple(
        figure
        for figure in terms.published
        if (figure.target, figure.attack) == (duel.target, duel.place.name)
        and figure.defense in (None, duel.defense)
    )


def _footnote(duel: _Duel, footnotes: Footnotes) -> str:
    number = footnotes.get(duel.outcome)
    return f"[{number}]" if number else ""
