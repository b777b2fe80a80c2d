"""Plugins, and the packages that bring them."""

from __future__ import annotations

import json

import click

from arena.cli.output import complain, kept_for_results, to_stdout
from arena.errors import ArenaError


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--requirements", is_flag=True, help="Print the packages they are of, as pip reads.")
@click.pass_context
def plugins(context: click.Context, as_json: bool, requirements: bool) -> int:
    """List the plugins that are installed.

    Those that are broken follow, with the reason and its place; --debug prints their tracebacks.
    Then those that ARENA_DISABLE (or --disable) names: it lists names, or DISTRIBUTION/NAME, with
    commas.

    Examples:

    \b
      arena plugins
      arena plugins --json
      arena plugins --requirements > requirements.txt
      ARENA_DISABLE=eat,their-pack/probe arena plugins
      arena plugins show label-flip
    """
    from arena import catalogue
    from arena.disabling import VARIABLE
    from arena.registry import installed
    from arena.traces import whole

    other = "--json" if as_json else context.invoked_subcommand
    if requirements and other:
        raise ArenaError(f"--requirements prints lines that pip reads; leave {other} out")
    if context.invoked_subcommand is not None:
        return 0
    with kept_for_results():
        registry = installed()
    for name in registry.unmatched:
        complain(f"{VARIABLE} (or --disable) names '{name}', and no plugin is called so")
    if context.obj:
        for broken in registry.broken:
            click.echo(whole(broken.traceback), err=True)
    if requirements:
        to_stdout(catalogue.requirements(registry))
        return 0
    text = json.dumps(catalogue.catalogue(registry), indent=2) + "\n" if as_json else ""
    to_stdout(text or catalogue.listing(registry))
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
        to_stdout(json.dumps([catalogue.describe(p) for p in found], indent=2) + "\n")
    else:
        to_stdout("\n".join(catalogue.page(p) for p in found))
    return 0
