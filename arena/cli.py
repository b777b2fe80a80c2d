"""The command line: parses, calls, prints. Results go to standard output, the rest to the other."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from arena.errors import ArenaError, closest

if TYPE_CHECKING:
    from arena.boards import Format
    from arena.duels import By

FORMATS = ("text", "markdown", "csv", "json", "latex")
_FILE = click.Path(path_type=Path)


class _Examples(click.Group):
    """A group whose help ends with examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write_paragraph()
            for line in self.epilog.splitlines():
                formatter.write_text(line)


@click.group(
    cls=_Examples,
    epilog="Examples:\n  arena run tournaments/uci.yaml\n  arena board runs/uci --by attack\n"
    "  arena plugins show eat",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Print tracebacks.")
@click.version_option(package_name="extraction-arena", prog_name="arena")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Play model-extraction attacks against defended models, ranked by queries."""
    context.obj = debug


@cli.command()
@click.argument("file", type=_FILE)
@click.option("--out", type=_FILE, help="Folder of results.  [default: runs/NAME]")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option("--only", metavar="GLOB", help="Only matches whose attack, defence or target fits.")
@click.option("--repetitions", type=click.IntRange(1), help="Runs of every pair, over the file's.")
@click.option(
    "--budget", type=click.IntRange(1), help="Queries a match may spend, over the file's."
)
@click.option("--fresh", is_flag=True, help="Play again what is stored.")
@click.option("--retry", is_flag=True, help="Play again what an attack's fault ended.")
@click.option("--dry-run", is_flag=True, help="Say what would be played, and play nothing.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(
    file: Path,
    out: Path | None,
    workers: int | None,
    only: str | None,
    repetitions: int | None,
    budget: int | None,
    fresh: bool,
    retry: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Play the tournament of FILE and print its boards; go on where an earlier run stopped.

    Examples:

    \b
      arena run tournaments/uci.yaml
      arena run mine.yaml --only 'eat*' --repetitions 20
      arena run mine.yaml --dry-run
    """
    from arena import boards, engine, tournament
    from arena.progress import LiveProgress
    from arena.standings import standings

    loaded = tournament.load(file).with_(repetitions, budget)
    if dry_run:
        click.echo(_forecast(loaded, out, only, fresh), nl=False)
        return 0
    with LiveProgress(quiet) as progress:
        results = engine.play(loaded, out, workers, only, fresh, retry, progress)
    click.echo(boards.render(standings(results)), nl=False)
    records = [entry.record for entry in results.entries if entry.record]
    return 1 if any(record.status.faulty for record in records) else 0


def _forecast(loaded: Any, out: Path | None, only: str | None, fresh: bool) -> str:
    from arena import engine, pairing

    specs = [s for s in pairing.plan(loaded) if pairing.selected(s, only)]
    meeting = [s for s in specs if not s.skipped]
    todo = meeting if fresh else engine.to_play(loaded, out, only)
    most = sum(s.budget for s in todo)
    lines = [
        f"{len(meeting)} matches: {len(loaded.targets)} targets, {len(loaded.defenses)} defences, "
        f"{len(loaded.attacks)} attacks, {loaded.repetitions} repetitions",
        f"{len(todo)} to be played, {len(meeting) - len(todo)} stored",
        f"at most {most:,} queries, ${most * loaded.price:,.2f}",
    ]
    skipped = Counter((s.title, s.skipped) for s in specs if s.skipped)
    lines += [f"skipped: {title}: {reason}" for title, reason in skipped]
    return "\n".join(lines) + "\n"


@cli.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.option("--by", type=click.Choice(("target", "attack", "defense")), default="target")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="text")
def board(folder: Path, by: By, fmt: Format) -> int:
    """Print the boards of a folder of results.

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
    click.echo(boards.render(standings(results), by=by, format=fmt), nl=False)
    return 0


@cli.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.argument("match", required=False)
@click.option("--traceback", "show_traceback", is_flag=True, help="Print the stored traceback.")
def show(folder: Path, match: str | None, show_traceback: bool) -> int:
    """Show one match of a folder of results; without MATCH, list them.

    MATCH is the beginning of a match's identifier, as the list prints it.

    Examples:

    \b
      arena show runs/uci
      arena show runs/uci 3fa9
    """
    from arena import inspection
    from arena.store import Store

    with Store.open(folder) as store:
        text = (
            inspection.match_page(store, match, show_traceback)
            if match
            else inspection.match_list(store)
        )
    click.echo(text, nl=False)
    return 0


@cli.command()
@click.argument("folder", metavar="DIR", type=_FILE)
def export(folder: Path) -> int:
    """Print every match of a folder with its curve, one JSON object a line.

    The same file and build print the same bytes, whatever the number of workers or kills.

    Examples:

    \b
      arena export runs/uci > uci.jsonl
    """
    from arena import inspection
    from arena.store import Store

    with Store.open(folder) as store:
        for line in inspection.export_lines(store):
            click.echo(line)
    return 0


@cli.command()
@click.argument("file", type=_FILE)
def validate(file: Path) -> int:
    """Check the tournament of FILE, every mistake with its line and column.

    Examples:

    \b
      arena validate tournaments/uci.yaml
    """
    from arena.pairing import plan
    from arena.tournament import load

    loaded = load(file)
    matches = sum(not spec.skipped for spec in plan(loaded))
    click.echo(f"{file} is valid: {matches} matches")
    return 0


@cli.command()
def schema() -> int:
    """Print the JSON Schema of tournament files, for editors.

    Examples:

    \b
      arena schema > tournament.schema.json
    """
    from arena.registry import installed
    from arena.schema import tournament_schema

    click.echo(json.dumps(tournament_schema(installed()), indent=2, sort_keys=True))
    return 0


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> int:
    """List the plugins that are installed, and those that are broken with the reason.

    Examples:

    \b
      arena plugins
      arena plugins --json
      arena plugins show label-flip
    """
    from arena import catalogue
    from arena.registry import installed

    if context.invoked_subcommand is None:
        registry = installed()
        text = (
            json.dumps(catalogue.catalogue(registry), indent=2) + "\n"
            if as_json
            else catalogue.listing(registry)
        )
        click.echo(text, nl=False)
    return 0


@plugins.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins_show(name: str, as_json: bool) -> int:
    """Show summary, source, parameters and needs of the plugin NAME."""
    from arena import catalogue
    from arena.registry import installed

    found = [p for p in installed().plugins if name in (p.name, p.full_name)]
    if not found:
        broken = [b for b in installed().broken if name == b.entry_point]
        known = [p.name for p in installed().plugins]
        raise ArenaError(
            f"plugin '{name}' of {broken[0].distribution} is broken: {broken[0].reason}"
            if broken
            else f"there is no plugin '{name}'; {closest(name, known)}"
        )
    if as_json:
        click.echo(json.dumps([catalogue.describe(p) for p in found], indent=2))
    else:
        click.echo("\n".join(catalogue.page(p) for p in found), nl=False)
    return 0


def main() -> None:
    """Run the command line and exit: 0 well, 1 a match at fault, 2 a mistake, 70 a bug of ours."""
    signal.signal(signal.SIGTERM, _interrupt)
    debug = "--debug" in sys.argv
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ArenaError as error:
        if debug:
            traceback.print_exc()
        for line in str(error).splitlines():
            click.echo(f"arena: {line}", err=True)
        code = 2
    except KeyboardInterrupt:
        click.echo("arena: interrupted; the same command goes on where this one stopped", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        what = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(
            f"arena: internal error, please report it (--debug shows more): {what}", err=True
        )
        code = 70
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
