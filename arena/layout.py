"""A page of tables, and its faces: text for a terminal, Markdown, LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from textwrap import TextWrapper

from tabulate import LATEX_ESCAPE_RULES, tabulate

NAME_WIDTH = 28
"""Columns of a terminal that the names of lines may take; longer names are wrapped."""

WORDS_WIDTH = 22
"""Columns of a terminal that any later column of words may take."""

PROSE_WIDTH = 100
"""Columns of a terminal that sentences may take."""

_SPACER = "\0"
"""Makes a blank line, where tabulate would drop an empty one; no clean text holds it."""

Cell = tuple[str, ...]
"""The parts of a cell; cells of one column whose parts are as many are aligned part by part."""

Line = tuple[Cell, ...]


@dataclass(frozen=True)
class Block:
    """Lines that share a name.

    Attributes:
        name: of what they share; empty when there is but one block.
        lines: one cell a column.
    """

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table of named blocks.

    Attributes:
        title: above it.
        columns: the headings.
        align: one letter a column: ``l`` for names, which may be wrapped, ``r`` for numbers.
        blocks: its lines.
        shared: the heading of the blocks' names where they have a column of their own.
        lead: the word before a block's name where it has a line of its own.
        notes: below it.
    """

    title: str
    columns: tuple[str, ...]
    align: str
    blocks: tuple[Block, ...]
    shared: str = ""
    lead: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """Tables under a title.

    Attributes:
        title: of the page.
        facts: what a reader must know first, one sentence each.
        tables: in order.
        notes: what is said once, at the end.
    """

    title: str
    facts: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


# ---------------------------------------------------------------------------------------- text


def as_text(page: Page) -> str:
    """Lay a page out for a terminal of 80 to 120 columns."""
    parts = [_underlined(page.title, "=") + "\n" + "\n".join(map(_prose, page.facts))]
    for table in page.tables:
        body = _text_table(table)
        notes = [_prose(note) for note in table.notes]
        parts.append("\n".join([_underlined(table.title, "-"), "", body, *notes]))
    if page.notes:
        parts.append("\n".join([_underlined("Notes", "-"), *map(_prose, page.notes)]))
    return "\n\n".join(parts) + "\n"


def _text_table(table: Table) -> str:
    columns = zip(*[line for block in table.blocks for line in block.lines], strict=True)
    aligned = [
        _wrapped(cells, j == table.align.find("l")) if side == "l" else _aligned(cells)
        for j, (cells, side) in enumerate(zip(columns, table.align, strict=True))
    ]
    lines = iter(zip(*aligned, strict=True))
    body: list[tuple[str, ...]] = []
    blank = ("",) * (len(table.columns) - 2)
    for block in table.blocks:
        if block.name:
            name = "\n".join(_folded(clean(f"{table.lead} {block.name}"), NAME_WIDTH))
            body += [(_SPACER, "", *blank)] * bool(body) + [("", name, *blank)]
        body += [next(lines) for _ in block.lines]
    text = _tabulate(body, table.columns, table.align, "simple").replace(_SPACER, " ")
    return "\n".join(line.rstrip() for line in text.splitlines())


def _wrapped(cells: Iterable[Cell], names: bool) -> list[str]:
    """Wrap names or words; what is carried over is indented."""
    width = NAME_WIDTH if names else WORDS_WIDTH
    return ["\n".join(_folded(_joined(cell), width)) for cell in cells]


def _aligned(cells: Iterable[Cell]) -> list[str]:
    """Pad the later parts of cells, so that aligned to the right their first parts align too."""
    cells = [tuple(map(clean, cell)) for cell in cells]
    whole = [cell for cell in cells if len(cell) == 3]
    middle = max((len(cell[1]) for cell in whole), default=0)
    last = max((len(cell[2]) for cell in whole), default=0)
    return [f"{c[0]} {c[1]:<{middle}} {c[2]:>{last}}" if len(c) == 3 else _joined(c) for c in cells]


def _prose(sentence: str) -> str:
    return "\n".join(_folded(clean(sentence), PROSE_WIDTH))


class _Wrapper(TextWrapper):
    """Breaks between words, and names of plugins between their parameters."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=[(,]))")


def _folded(text: str, width: int) -> list[str]:
    return _Wrapper(width, subsequent_indent="  ", break_on_hyphens=False).wrap(text)


def _underlined(title: str, line: str) -> str:
    title = clean(title)
    return f"{title}\n{line * len(title)}"


# ------------------------------------------------------------------------------------ Markdown


def as_markdown(page: Page) -> str:
    """Lay a page out in GitHub's Markdown."""
    parts = [f"# {_markdown(page.title)}", *map(_markdown, page.facts)]
    for table in page.tables:
        lines, columns, align = _flat(table, _markdown)
        parts += [f"## {_markdown(table.title)}", _tabulate(lines, columns, align, "pipe")]
        parts += map(_markdown, table.notes)
    if page.notes:
        parts += ["## Notes", "\n".join(f"- {_markdown(note)}" for note in page.notes)]
    return "\n\n".join(parts) + "\n"


def _markdown(text: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\`*_|<~#" else c for c in clean(text))
    return escaped.replace("](", "]\\(")


# --------------------------------------------------------------------------------------- LaTeX


def as_latex(page: Page) -> str:
    """Lay a page out in LaTeX; it needs the package booktabs."""
    parts = ["% needs \\usepackage{booktabs}", f"\\section*{{{_latex(page.title)}}}"]
    parts += [f"{_latex(fact)}\n" for fact in page.facts]
    for table in page.tables:
        lines, columns, align = _flat(table, clean)
        tabular = _tabulate(lines, columns, align, "latex_booktabs")
        notes = "".join(f"\n\n{_latex(note)}" for note in table.notes)
        caption = f"\\caption{{{_latex(table.title)}}}"
        parts.append(f"\\begin{{table}}\n\\centering\n{caption}\n{tabular}{notes}\n\\end{{table}}")
    if page.notes:
        items = "\n".join(f"\\item {{}}{_latex(note)}" for note in page.notes)
        parts.append(f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}")
    return "\n".join(parts) + "\n"


def _latex(text: str) -> str:
    return "".join(LATEX_ESCAPE_RULES.get(c, c) for c in clean(text))


# -------------------------------------------------------------------------------------- common


def _flat(
    table: Table, escape: Callable[[str], str]
) -> tuple[list[tuple[str, ...]], tuple[str, ...], str]:
    """Give the blocks' names a column of their own, in every line."""
    named = bool(table.shared)
    lines = [
        tuple(escape(_joined(cell)) for cell in (((block.name,),) * named + line))
        for block in table.blocks
        for line in block.lines
    ]
    columns = tuple(map(escape, (table.shared,) * named + table.columns))
    return lines, columns, "l" * named + table.align


def _tabulate(lines: list[tuple[str, ...]], columns: tuple[str, ...], align: str, form: str) -> str:
    sides = ["left" if side == "l" else "right" for side in align]
    return tabulate(lines, columns, form, disable_numparse=True, colalign=sides if lines else None)


def _joined(cell: Cell) -> str:
    return " ".join(clean(part) for part in cell if part)


def clean(text: str) -> str:
    """Make one line of printable characters: a reason may quote what a plugin printed."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
