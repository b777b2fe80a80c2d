"""The package of a new plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena.cli.output import to_stdout

if TYPE_CHECKING:
    from arena.api import Kind

KINDS = ("attack", "defense", "target")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where its folder is made.  [default: here]",
)
def new(kind: Kind, name: str, folder: Path) -> int:
    """Write the package of a new plugin.

    The folder arena-NAME, with a small plugin that works, to be edited; a test that holds it to the
    rules; and a tournament that plays it against built-in ones. Nothing is overwritten.

    Examples:

    \b
      arena new attack my-idea
      arena new defense fog --dir ~/plugins
      arena new target crops
    """
    from arena.scaffold import write

    files = write(kind, name, folder)
    package = shlex.quote(str(folder / f"arena-{name}"))
    tournament = shlex.quote(str(folder / f"arena-{name}" / "tournament.yaml"))
    lines = [
        *("wrote:", *(f"  {file}" for file in files), ""),
        *(f"next, once {files[0]} holds your idea:", f"  arena install -e {package}"),
        *(f"  arena check {name}", f"  arena run {tournament}"),
    ]
    to_stdout("\n".join(lines) + "\n")
    return 0
