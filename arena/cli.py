"""The command line: parses, calls, prints. Results go to standard output, the rest to the other."""

from __future__ import annotations

import codecs
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from arena.errors import ArenaError, one_line

if TYPE_CHECKING:
    from arena.boards import Format
    from arena.duels import By
    from arena.settings import Isolation

FORMATS = ("text", "markdown", "csv", "json", "latex")
_FILE = click.Path(path_type=Path)
_ESCAPED = "arena-escaped"


class _Examples(click.Group):
    """A group whose help ends with examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write_paragraph()
            for line in self.epilog.splitlines():
                formatter.write_text(line)


@click.group(
    cls=_Examples,
    invoke_without_command=True,
    epilog="Examples:\n  arena run tournaments/uci.yaml\n  arena board runs/uci --by attack\n"
    "  arena plugins show eat",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Print tracebacks; may stand anywhere.")
@click.version_option(package_name="extraction-arena", prog_name="arena")
@click.pass_context
def cli(context: click.Context, debug: bool) -> int:
    """Play model-extraction attacks against defended models, ranked by queries."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return 2
    return 0


@cli.command()
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

    What the folder of results holds already is not played again: the same command goes on where an
    earlier run stopped.

    Examples:

    \b
      arena run tournaments/uci.yaml
      arena run mine.yaml --only 'eat*' --repetitions 20
      arena run mine.yaml --dry-run
    """
    from arena.pairing import playable
    from arena.tournament import load

    tournament = load(file).with_(repetitions, budget)
    playable(tournament, only)
    if dry_run:
        from arena.forecast import forecast

        _print(forecast(tournament, out, only, fresh))
        return 0
    from arena import boards, engine
    from arena.progress import LiveProgress
    from arena.standings import standings

    with LiveProgress(quiet) as progress:
        results = engine.play(tournament, out, workers, only, fresh, retry, progress, isolation)
    _print(boards.render(standings(results)))
    records = [entry.record for entry in results.entries if entry.record]
    return 1 if any(record.status.faulty for record in records) else 0


def _print(text: str) -> None:
    """Print to standard output; to nowhere once its reader is gone, as after ``| head``."""
    try:
        click.echo(_encodable(text), nl=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ArenaError(
            f"standard output cannot be written: {error.strerror}; results are stored, "
            "arena board prints them"
        ) from error


def _encodable(text: str) -> str:
    """Escape what standard output's encoding lacks, as JSON would, which most of it is."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, _ESCAPED).decode(encoding)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


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
    _print(boards.render(standings(results), by=by, format=fmt))
    return 0


@cli.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.option("--out", type=_FILE, help="Files to write, without ending.  [default: DIR/curves]")
def plot(folder: Path, out: Path | None) -> int:
    """Draw the learning curves of a folder of results.

    As PNG and as SVG: the goal's metric against queries, a panel a target, the median over the
    repetitions with a band from 10 % to 90 % of them. It needs matplotlib:
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
        _print(f"{path}\n")
    return 0


@cli.command()
@click.argument("folder", metavar="DIR", type=_FILE)
@click.argument("match", required=False)
@click.option("--traceback", "show_traceback", is_flag=True, help="Print the stored traceback.")
def show(folder: Path, match: str | None, show_traceback: bool) -> int:
    """Show one match, or list them all.

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
    _print(text)
    return 0


@cli.command()
@click.argument("folder", metavar="DIR", type=_FILE)
def export(folder: Path) -> int:
    """Print every match as JSON lines.

    An object a match, with its specification and its curve; times are left out. The same file and
    build print the same bytes, whatever the number of workers or kills.

    Examples:

    \b
      arena export runs/uci > uci.jsonl
    """
    from arena import inspection
    from arena.store import Store

    with Store.open(folder) as store:
        for line in inspection.export_lines(store):
            _print(line + "\n")
    return 0


@cli.command()
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
        text += f" ({skipped} pairs cannot meet: arena run {file} --dry-run says why)"
    _print(text + "\n")
    return 0


@cli.command()
def schema() -> int:
    """Print the JSON Schema of tournament files.

    It knows the plugins that are installed and their parameters: give it to an editor.

    Examples:

    \b
      arena schema > tournament.schema.json
    """
    from arena.registry import installed
    from arena.schema import tournament_schema

    _print(json.dumps(tournament_schema(installed()), indent=2, sort_keys=True) + "\n")
    return 0


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> int:
    """List the plugins that are installed.

    Those that are broken follow, with the reason; --debug prints their tracebacks.

    Examples:

    \b
      arena plugins
      arena plugins --json
      arena plugins show label-flip
    """
    from arena import catalogue
    from arena.registry import installed

    if context.invoked_subcommand is not None:
        return 0
    registry = installed()
    if context.obj:
        for broken in registry.broken:
            click.echo(broken.traceback, err=True)
    text = json.dumps(catalogue.catalogue(registry), indent=2) + "\n" if as_json else ""
    _print(text or catalogue.listing(registry))
    return 0


@plugins.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def plugins_show(context: click.Context, name: str, as_json: bool) -> int:
    """Show one plugin: summary, source, parameters, needs.

    NAME is a plugin's, or DISTRIBUTION/NAME where two have one.

    Examples:

    \b
      arena plugins show eat
      arena plugins show extraction-arena/eat --json
    """
    from arena import catalogue
    from arena.registry import installed

    found = installed().called(name)
    if as_json or (context.parent and context.parent.params["as_json"]):
        _print(json.dumps([catalogue.describe(p) for p in found], indent=2) + "\n")
    else:
        _print("\n".join(catalogue.page(p) for p in found))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: those of the process by default.

    Returns:
        The exit code: 0 well, 1 a match at fault, 2 a mistake, 70 a bug of ours, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    codecs.register_error(_ESCAPED, _escaped)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _code(words, debug)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _code(words: list[str], debug: bool) -> int:
    try:
        return int(cli.main(words, prog_name="arena", standalone_mode=False, obj=debug))
    except (click.exceptions.Abort, KeyboardInterrupt):
        _complain("interrupted; the same command goes on where this one stopped")
        return 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "arena"
        text = error.format_message().rstrip(".")
        _complain(f"{text[:1].lower()}{text[1:]} ({path} --help says more)")
        return error.exit_code
    except ArenaError as error:
        if debug:
            traceback.print_exc()
        for line in str(error).splitlines():
            _complain(line)
        return 2
    except Exception as error:
        if debug:
            traceback.print_exc()
        what = one_line(error)
        _complain(f"internal error, please report it (--debug shows more): {what}")
        return 70


def _complain(sentence: str) -> None:
    click.echo(f"arena: {sentence}", err=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
