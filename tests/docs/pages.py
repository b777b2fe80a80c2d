"""README.md and the pages of docs/: their blocks, and what comments above blocks say of them.

``<!-- file: PATH -->`` is written to that path, ``<!-- edit: PATH, NAME -->`` replaces a function
there, ``<!-- output -->`` is part of what the commands before it print and ``<!-- board -->`` the
same at full scale, and ``<!-- not run: REASON -->`` is not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*?) -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block: the page and line where it begins, its language, its text, its note."""

    page: str
    line: int
    language: str
    text: str
    note: str

    @property
    def kind(self) -> str:
        """The first word of its note."""
        return self.note.partition(":")[0]

    @property
    def about(self) -> str:
        """The rest of its note."""
        return self.note.partition(":")[2].strip()


def blocks(language: str | None = None, *pages: str) -> list[Block]:
    """Return the blocks of some pages, all by default, in one language or any."""
    return [
        Block(page, text.count("\n", 0, m.start("language")) + 1, m["language"], m["text"], note)
        for page, text in PAGES.items()
        if not pages or page in pages
        for m in _BLOCK.finditer(text)
        if language in (None, m["language"])
        for note in [m["note"] or ""]
    ]


def named(block: Block) -> str:
    """Name a block in the list of tests."""
    return f"{block.page}:{block.line}"
