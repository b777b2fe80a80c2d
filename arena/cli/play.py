"""One match."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena.cli.output import kept_for_results, to_stdout
from arena.errors import ArenaError

if TYPE_CHECKING:
    from arena.settings import Isolation


@click.command()
@click.argument("attack")
@click.argument("target")
@click.argument("defense", default="none")
@click.option("--budget", metavar="N", help="Queries it may spend.  [default: 500]")
@click.option("--seed", metavar="N", help="What all randomness comes from.  [default: 0]")
@click.option("--goal", metavar="TERMS", help="Metric, inputs, levels to reach and scoring inputs.")
@click.option(
    "--set", "others", metavar="KEY=VALUE", multiple=True, help="Another key of a tournament file."
)
@click.option(
    "--isolation",
    type=click.Choice(("cell", "none")),
    help="Where the attack runs: a process of its own, or this one.  [default: cell]",
)
@click.option(
    "--pdb", "debugged", is_flag=True, help="Debug a plugin that raises, in this process."
)
@click.option("--out", type=click.Path(path_type=Path), help="Keep the results in a folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="No live curve.")
@click.pass_obj
def play(
    debug: bool,
    attack: str,
    target: str,
    defense: str,
    budget: str | None,
    seed: str | None,
    goal: str | None,
    others: tuple[str, ...],
    isolation: Isolation | None,
    debugged: bool,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Play one match and print its curve.

    ATTACK, TARGET and DEFENSE are entries as in a tournament file, or name:key=value,key=value;
    DEFENSE is none by default. TERMS is written so, too, without a name. The match is played as
    arena run plays it, and nothing is kept of it but by --out. A traceback begins in the plugin's
    file; --debug prints it with the frames of arena.

    Examples:

    \b
      arena play eat svm-rbf:dataset=pima,gamma=0.125
      arena play eat:candidates=200 logistic:dataset=iris label-flip:rate=0.1 --budget 200
      arena play eat 'svm-rbf: {dataset: pima}' --goal inputs=uniform,reach=[0.8,0.9]
      arena play my-attack svm-rbf:dataset=pima --pdb
    """
    if debugged and isolation == "cell":
        raise ArenaError("--pdb debugs in this process; leave --isolation cell out")
    from arena import debugging, single, traces
    from arena.arguments import one_match
    from arena.pairing import playable
    from arena.pools import start_server
    from arena.progress import LiveMatch
    from arena.sketch import PLAIN

    if not debugged and isolation != "none":
        start_server()
    given = {"--budget": budget, "--seed": seed, "--goal": goal}
    terms = {name: text for name, text in given.items() if text is not None}
    for other in others:
        key, _, value = other.partition("=")
        terms[f"--set {key}"] = value
    tournament = one_match(attack, target, defense, terms)
    (spec,) = playable(tournament)
    where = "none" if debugged else isolation or tournament.isolation
    with ExitStack() as stack:
        folder, journal = stack.enter_context(single.workplace(out))
        shown = LiveMatch(spec.title, spec.budget, spec.goal, journal, quiet or debugged)
        if where == "none":
            stack.enter_context(kept_for_results())
            debugging.before_any_debugger(shown.stop)
        stack.enter_context(traces.listening(debugging.post_mortem) if debugged else nullcontext())
        stack.enter_context(shown)
        played = single.play(tournament, folder, journal, where, shown)
    if as_json:
        text = json.dumps(single.as_json(played, debug), sort_keys=True) + "\n"
    else:
        text = single.summary(played, debug)
        try:
            text.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = text.translate(PLAIN)
    to_stdout(text)
    return 1 if played.record.status.faulty else 0
