"""Plugins held to the rules."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from arena.cli.output import complain, to_stdout
from arena.errors import ArenaError

if TYPE_CHECKING:
    from arena.api import Plugin
    from arena.conformance import Result

SCHEMA = 1
_PATIENCE = 1.0
"""Seconds before progress is shown."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "-p",
    "--parameter",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the plugin, as a tournament file writes it; may be repeated.",
)
@click.option(
    "--waive",
    multiple=True,
    metavar="CHECK=REASON",
    help="A check not to run, and why; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    names: tuple[str, ...], given: tuple[str, ...], waive: tuple[str, ...], as_json: bool
) -> int:
    """Check that plugins keep to the rules of docs/conformance.md.

    NAME is a plugin's, or DISTRIBUTION/NAME where two have one. Without a NAME, every plugin that
    is installed is checked, and only what fails is printed whole. The exit code is 1 when a check
    fails, 2 for a mistake.

    What a plugin requires and -p does not give is found where it can be: a bundled data set, a
    simple attack or defence to wrap, the first of the examples of its Field.

    Examples:

    \b
      arena check eat
      arena check eat random extraction-arena/none
      arena check label-flip -p rate=0.2
      arena check majority -p repeats=3 -p 'attack={eat: {candidates: 50}}'
      arena check mine --waive 'survives-one-class=it needs both classes to start'
      arena check --json > checks.json
    """
    from arena import conformance

    values, waived = _parameters(given), dict(_split(text, "CHECK=REASON") for text in waive)
    if values and len(names) != 1:
        raise ArenaError(f"-p goes with one NAME, and here are {len(names)}; check them one by one")
    plugins, unchecked = _to_check(names, values)
    conformance.reasoned(waived, plugins)
    results: list[Result] = []
    for i, plugin in enumerate(plugins):
        results += (of_plugin := _checked(plugin, waived, f"{i + 1}/{len(plugins)}"))
        if not as_json:
            to_stdout(conformance.report(of_plugin, brief=not names) + "\n")
    if as_json:
        rows = [asdict(result) for result in results]
        found = {"schema": SCHEMA, "results": rows, "unchecked": unchecked}
        to_stdout(json.dumps(found, indent=2) + "\n")
    elif len(plugins) > 1:
        to_stdout(f"{len(plugins)} plugins: {conformance.counted(results)}\n")
    for sentence in unchecked:
        complain(sentence)
    return 1 if unchecked or any(result.outcome == "failed" for result in results) else 0


def _to_check(names: Iterable[str], values: Mapping[str, Any]) -> tuple[list[Plugin], list[str]]:
    """Make the plugins of some names, or all; of all, say why one cannot be.

    Raises:
        ArenaError: a name is unknown, or what was given for its parameters wrong.
    """
    from arena import conformance
    from arena.registry import installed

    if names:
        # A name that is given twice is checked once.
        return [p for name in dict.fromkeys(names) for p in conformance.examples(name, values)], []
    plugins: list[Plugin] = []
    unchecked = [
        f"plugin '{b.entry_point}' of {b.distribution} {b.version} is broken: {b.reason}"
        for b in installed().broken
    ]
    for registered in installed().plugins:
        try:
            plugins += conformance.examples(registered.plugin)
        except ArenaError as error:
            unchecked.append(str(error))
    return plugins, unchecked


def _checked(plugin: Plugin, waived: Mapping[str, str], place: str) -> list[Result]:
    """Run the checks of a plugin, with progress where standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from arena import conformance

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    checks = conformance.checks(plugin.kind)
    task, began = bar.add_task("", total=len(checks)), time.monotonic()
    results: list[Result] = []
    try:
        for done, one in enumerate(checks):
            if time.monotonic() - began > _PATIENCE:
                bar.start()
            bar.update(task, completed=done, description=f"{place} {plugin.name}: {one.name}")
            results.append(conformance.run(one, plugin, waived.get(one.name)))
    finally:
        bar.stop()
    return results


def _parameters(given: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs, values as a tournament file writes them.

    Raises:
        ArenaError: one is no such pair, or its value no YAML.
    """
    from arena.yamlmarks import parse

    pairs = (_split(text, "KEY=VALUE") for text in given)
    return {key: parse(value, f"-p {key}").data for key, value in pairs}


def _split(text: str, form: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not key or not sign:
        raise ArenaError(f"'{text}' is not of the form {form}; write it so")
    return key.strip(), value
