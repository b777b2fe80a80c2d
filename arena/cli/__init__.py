"""The command line: parses, calls, prints. Results go to standard output, the rest to the other."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from arena.cli import check, new, packages, play, plugins, tournaments
from arena.cli.output import Resumable, complain
from arena.errors import ArenaError, one_line


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
@click.option(
    "--disable", metavar="NAMES", help="Plugins not to load, as ARENA_DISABLE names them."
)
@click.version_option(package_name="extraction-arena", prog_name="arena")
@click.pass_context
def cli(context: click.Context, debug: bool, disable: str | None) -> int:
    """Play model-extraction attacks against defended models, ranked by queries."""
    if disable is not None:
        from arena import disabling

        context.with_resource(disabling.also(disable))
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return 2
    return 0


for _command in (
    *(tournaments.run, tournaments.board, tournaments.plot, tournaments.show, tournaments.export),
    *(tournaments.validate, tournaments.schema),
    *(play.play, plugins.plugins, check.check),
    *(new.new, packages.install, packages.uninstall),
):
    cli.add_command(_command)


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
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _code(words, debug)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _code(words: list[str], debug: bool) -> int:
    try:
        return int(cli.main(words, prog_name="arena", standalone_mode=False, obj=debug))
    except Resumable:
        complain("interrupted; the same command goes on where this one stopped")
        return 130
    except (click.exceptions.Abort, KeyboardInterrupt):
        complain("interrupted; the same command begins anew")
        return 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "arena"
        text = error.format_message().rstrip(".")
        complain(f"{text[:1].lower()}{text[1:]} ({path} --help says more)")
        return error.exit_code
    except ArenaError as error:
        if debug:
            traceback.print_exc()
        for line in str(error).splitlines():
            complain(line)
        return 2
    except Exception as error:
        if debug:
            traceback.print_exc()
        what = one_line(error)
        complain(f"internal error, please report it (--debug shows more): {what}")
        return 70


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
