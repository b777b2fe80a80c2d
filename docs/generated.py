"""Fills in the reference as the site is built: commands from click, plugins from the catalogue.

Nothing of it is in the repository, so nothing of it can be out of date. Where the commands come, a
page has ``<!-- generated: commands -->``, what its readers see until then, and ``<!-- end -->``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import click

from arena.catalogue import describe, parameters, traits
from arena.cli import cli
from arena.registry import OURS, Registered, installed

WIDTH = 96
"""Columns of what ``--help`` prints."""

_PLACE = re.compile(r"<!-- generated: (\w+) -->.*?<!-- end -->", re.DOTALL)

KINDS = {"attack": "Attacks", "defense": "Defences", "target": "Targets"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is generated in its place; mkdocs calls this for every page.

    Raises:
        KeyError: a page asks for what there is not.
    """
    return _PLACE.sub(lambda found: GENERATED[found[1]](), markdown)


def commands() -> str:
    """Return what ``--help`` prints of every command."""
    return "\n".join(_help(path, command) for path, command in walk(cli, "arena"))


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command and those in it, with how it is called."""
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from walk(command.commands[name], f"{path} {name}")


def _help(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH)
    return f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"


def plugins() -> str:
    """Return a section a kind of what ``arena plugins show`` prints of the built-in plugins."""
    own = [p for p in installed().plugins if p.distribution == OURS]
    sections = []
    for kind, title in KINDS.items():
        members = sorted((p for p in own if p.kind == kind), key=lambda p: p.name)
        sections.append("\n".join([f"## {title}\n", *map(_plugin, members)]))
    return "\n".join(sections)


def _plugin(registered: Registered) -> str:
    about = describe(registered)
    said = [("source", about["reference"]), *traits(registered), ("module", about["module"])]
    lines = [f"### {about['name']}\n", *_prose(inspect.getdoc(registered.plugin) or ""), ""]
    rows = [(f"`{name}`", *rest) for name, *rest in parameters(registered)]
    lines += _table(("parameter", "what it is", "values"), ((n, d, t) for n, t, d in rows))
    lines += [f"- {name}: {_literal(value)}" for name, value in said if value]
    return "\n".join([*lines, ""])


def _prose(text: str) -> Iterator[str]:
    """Yield the lines of a docstring; what is Markdown in formulas is kept from being it."""
    for line in text.splitlines():
        yield line if line.startswith("    ") else _literal(line)


def _literal(text: str) -> str:
    """Keep Markdown and HTML from seeing anything but code in a line."""
    parts = re.split(r"(``.*?``|`.*?`)", text)
    parts[::2] = (re.sub(r"([*_\[\]|])", r"\\\1", part.replace("<", "&lt;")) for part in parts[::2])
    return "".join(parts)


def _table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a table, and an empty one; none without rows."""
    body = [_line(map(_cell, row)) for row in rows]
    headers = list(headers)
    return [_line(headers), _line("---" for _ in headers), *body, ""] if body else []


def _cell(text: str) -> str:
    return text if text.startswith("`") else _literal(text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


GENERATED = {"commands": commands, "plugins": plugins}
