"""Tournaments and their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena.cli.output import resumable, to_stdout

if TYPE_CHECKING:
    from arena.boards import Format
    from arena.duels import By
    from arena.settings import Isolation

FORMATS = ("text", "markdown", "csv", "json", "latex")
_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--out", type=_FILE, help="Folder of results.  [default: runs/NAME]")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option(
    "--isolation",
    type=click.Choice(("cell", "none")),
    help="Where attacks run, in place of the file's: none is for debugging.",
)
@click.option("--only", metavar="GLOB", help="Only matches whose attack, defence or target fits.")
@click.option("--repetitions", type=int, help="Runs of every pair, in place of the file's.")
@click.option("--budget", type=int, help="Queries a match may spend, in place of the file's.")
@click.option("--fresh", is_flag=True, help="Play again what is stored.")
@click.option("--retry", is_flag=True, help="Play again what an attack's fault ended.")
@click.option("--dry-run", is_flag=True, help="Say what would be played, and play nothing.")
@click.option("--quiet", is_flag=True, help="No progress.")
@resumable()
def run(
    file: Path,
    out: Path | None,
    workers: int | None,
    isolation: Isolation | None,
    only: str | None,
    repetitions: int | None,
    budget: int | None,
    fresh: bool,
    retry: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Play a tournament and print its boards.

    FILE is a tournament file. What the folder of results holds already is not played again: the
    same command goes on where an earlier run stopped.

    Examples:

    \b
      arena run tournaments/uci.yaml
      arena run mine.yaml --only 'eat*' --repetitions 20
      arena run mine.yaml --dry-run
    """
    from arena.pairing import playable
    from arena.pools import start_server
    from arena.tournament import load

    if not dry_run:
        start_server()
    tournament = load(file).with_(repetitions, budget)
    playable(tournament, only)
    if dry_run:
        from arena.forecast import forecast

        to_stdout(forecast(tournament, out, only, fresh))
        return 0
    from arena import boards, engine
    from arena.progress import LiveProgress
    from arena.standings import standings

    with LiveProgress(quiet) as progress:
        results = engine.play(tournament, out, workers, only, fresh, retry, progress, isolation)
    to_stdout(boards.render(standings(results)))
    records = [entry.record for entry in results.entries if entry.record]
    return 1 if any(record.status.faulty for record in records) else 0


@click.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.option(
    "--by",
    type=click.Choice(("target", "attack", "defense")),
    default="target",
    help="What a table is of.  [default: target]",
)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(FORMATS),
    default="text",
    help="How boards are printed.  [default: text]",
)
def board(folder: Path, by: By, fmt: Format) -> int:
    """Print the boards of a folder of results.

    DIR is where arena run kept them, runs/NAME unless it was told otherwise.

    Examples:

    \b
      arena board runs/uci
      arena board runs/uci --by defense --format markdown
      arena board runs/uci --format json | jq '.rows[0]'
    """
    from arena import boards
    from arena.standings import standings
    from arena.store import Store

    with Store.open(folder) as store:
        results = store.results()
    to_stdout(boards.render(standings(results), by=by, format=fmt))
    return 0


@click.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.option("--out", type=_FILE, help="Files to write, without ending.  [default: DIR/curves]")
def plot(folder: Path, out: Path | None) -> int:
    """Draw the learning curves of a folder of results.

    Those of DIR, as PNG and as SVG: the goal's metric against queries, a panel a target, the median
    over the repetitions with a band from 10 % to 90 % of them. It needs matplotlib:
    pip install 'extraction-arena[plot]'.

    Examples:

    \b
      arena plot runs/figure3
      arena plot runs/figure3 --out figure3
    """
    from arena import plot as plots
    from arena.store import Store

    with Store.open(folder) as store:
        results = store.results()
    for path in plots.draw(results, out or folder / "curves"):
        to_stdout(f"{path}\n")
    return 0


@click.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.argument("match", required=False)
@click.option("--traceback", "show_traceback", is_flag=True, help="Print the stored traceback.")
@click.pass_obj
def show(debug: bool, folder: Path, match: str | None, show_traceback: bool) -> int:
    """Show one match, or list them all.

    MATCH is the beginning of a match's identifier, as the list of those in DIR prints it. A
    traceback begins in the plugin's file; --debug prints it with the frames of arena.

    Examples:

    \b
      arena show runs/uci
      arena show runs/uci 3fa9
    """
    from arena import inspection
    from arena.store import Store

    with Store.open(folder) as store:
        text = (
            inspection.match_page(store, match, show_traceback, debug)
            if match
            else inspection.match_list(store)
        )
    to_stdout(text)
    return 0


@click.command()
@click.argument("folder", metavar="DIR", type=_FILE)
def export(folder: Path) -> int:
    """Print every match as JSON lines.

    Those of DIR, an object a match, with its specification and its curve; times are left out. The
    same file and build print the same bytes, whatever the number of workers or kills.

    Examples:

    \b
      arena export runs/uci > uci.jsonl
    """
    from arena import inspection
    from arena.store import Store

    with Store.open(folder) as store:
        for line in inspection.export_lines(store):
            to_stdout(line + "\n")
    return 0


@click.command()
@click.argument("file", type=_FILE)
def validate(file: Path) -> int:
    """Check a tournament file.

    Every mistake is a line, with its place in FILE; what is named is looked up, data sets are read.

    Examples:

    \b
      arena validate tournaments/uci.yaml
    """
    from arena.pairing import plan, playable
    from arena.tournament import load
    from arena.wording import plural

    tournament = load(file)
    pairs = len(playable(tournament))
    skipped = len(plan(tournament.with_(repetitions=1))) - pairs
    text = f"{file} is valid: {plural(pairs * tournament.repetitions, 'match', 'matches')}"
    if skipped:
        pairs_skipped = plural(skipped, "pair")
        text += f" ({pairs_skipped} cannot meet: arena run {file} --dry-run says why)"
    to_stdout(text + "\n")
    return 0


@click.command()
def schema() -> int:
    """Print the JSON Schema of tournament files.

    It knows the plugins that are installed and their parameters: give it to an editor.

    Examples:

    \b
      arena schema > tournament.schema.json
    """
    from arena.registry import installed
    from arena.schema import tournament_schema

    to_stdout(json.dumps(tournament_schema(installed()), indent=2, sort_keys=True) + "\n")
    return 0
