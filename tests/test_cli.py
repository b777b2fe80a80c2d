"""The command line as its users see it: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import click
import pytest
import toys
from conftest import Runner, Writer
from sites import Site, attack

import arena.registry
from arena.cli import cli, main
from arena.inspection import exported
from arena.records import BoardTerms, Checkpoint, Diagnostics, Entry, Goal, Record, Status
from arena.registry import Broken, Registry
from arena.store import FILE, Store

ROOT = Path(__file__).parent.parent
THIRD_PARTY = Path(__file__).parent / "packages" / "thirdparty"
CSV = "a,b,y\n" + "".join(f"{i % 7},{i % 5},{'uv'[i % 2]}\n" for i in range(40))
TOURNAMENT = """\
targets:
  - decision-tree: {dataset: {csv: d.csv, label: y}}
attacks:
  - constant
budget: 20
repetitions: 2
"""

TREE_AND_HALFSPACE = """\
targets:
  - decision-tree: {dataset: {csv: d.csv, label: y}}
  - halfspace: {dataset: {csv: d.csv, label: y}}
attacks:
  - constant
goal: {metric: geometric-error, reach: [1]}
repetitions: 2
"""

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    """Run the command line in this process, in an empty folder: exit code, output, complaints."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def file(tournament_file: Writer, tmp_path: Path) -> Path:
    """A small valid tournament."""
    (tmp_path / "d.csv").write_text(CSV)
    return tournament_file(TOURNAMENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of results with a finished, a failed, a skipped and an unplayed match."""
    goal = Goal("fidelity", "uniform", (0.9,), 400)
    entries, curve = [], (Checkpoint(5, 2, (0.5, 0.6)), Checkpoint(9, 3, (0.91, 0.95)))
    records = {
        "finished": Record("aa1", "t", "b", Status.FINISHED, queries=9, calls=3, curve=curve),
        "failed": Record(
            *("aa2", "t", "b", Status.FAILED, "failed raises KeyError", 4, 4),
            curve=(Checkpoint(2, 1, (0.25,)),),
        ),
    }
    for attack_name in ("finished", "failed", "skipped", "unplayed"):
        skipped = "it learns trees" if attack_name == "skipped" else ""
        entry = Entry("box", "none", attack_name, 0, skipped)
        key = records[attack_name].match if attack_name in records else f"bb-{attack_name}"
        entries.append((entry, (key, "t", "b"), {"attack": attack_name}))
    results = tmp_path / "results"
    with Store.open(results, create=True) as store:
        store.set_lineup(BoardTerms("x", goal, 10, 0.5, 1), entries)
        store.add(replace(records["finished"], final={"accuracy": 0.75, "x": None}), Diagnostics())
        store.add(records["failed"], Diagnostics(1.5, 80.0, "Traceback: whole\n"))
    return results


# ------------------------------------------------------------------------------------------ help


def commands(group: click.Group, path: str = "arena") -> Iterator[tuple[str, click.Command]]:
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("path", "command"), [*commands(cli)], ids=[p for p, _ in commands(cli)])
def test_every_command_has_an_example_and_a_short_first_line(
    path: str, command: click.Command, shell: Shell
) -> None:
    text = shell(*path.split()[1:], "--help")[1]
    examples = text.split("Examples:")[1].split("Options:")[0]
    assert re.search(rf"^ +{path} ", examples + " ", re.MULTILINE)
    assert command is cli or not command.get_short_help_str(60).endswith("...")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["run", "--help"], ["plugins", "-h"]])
def test_help_is_printed_well(words: list[str], shell: Shell) -> None:
    code, out, err = shell(*words)
    assert code == 0
    assert out.startswith("Usage: arena")
    assert not err


def test_without_a_command_help_is_a_complaint(shell: Shell) -> None:
    code, out, err = shell()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: arena [OPTIONS] [COMMAND]")


def test_version(shell: Shell) -> None:
    code, out, _ = shell("--version")
    assert code == 0
    assert re.fullmatch(r"arena, version \d+\.\d+.*\n", out)


def test_help_loads_no_learner(run_arena: Runner) -> None:
    code = (
        "import sys; from arena.cli import main; code = main(['--help']);"
        "heavy = {'sklearn', 'scipy', 'rich', 'pandas', 'arena.engine'} & sys.modules.keys();"
        "sys.exit(f'loads {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_help_is_quick(run_arena: Runner) -> None:
    def seconds(*command: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        return time.perf_counter() - started

    libraries = min(seconds("-c", "import numpy, numpy.random, pydantic, click") for _ in range(5))
    ours = min(seconds("-m", "arena.cli", "--help") for _ in range(5))
    assert ours < 2.5 * libraries


# -------------------------------------------------------------------------------------- mistakes

NAMES = "did you mean"
WRONG = {
    "rn": "no such command 'rn'. Did you mean 'run'? (arena --help says more)",
    "--budgett": "no such option '--budgett'",
    "run": "missing argument 'FILE' (arena run --help says more)",
    "run no.yaml": "no.yaml: there is no such tournament file; check the path",
    "run .": ". is a folder; name a tournament file",
    "run t.yaml --budgett 3": "no such option '--budgett'",
    "run t.yaml --budget": "option '--budget' requires an argument (arena",
    "run t.yaml --budget many": "invalid value for '--budget': 'many' is not a valid integer "
    "(arena run --help says more)",
    "run t.yaml --budget 0": "budget should be from 1 to 1,000,000,000, not 0",
    "run t.yaml --repetitions -1": "repetitions should be from 1 to 10,000, not -1",
    "run t.yaml --workers 0": "invalid value for '--workers': 0 is not in the range x>=1",
    "run t.yaml --only decision": "--only 'decision' fits no attack, defence or target; "
    "did you mean 'decision-tree'",
    "run t.yaml --only nothing --dry-run": "--only 'nothing' fits no attack, defence or target; ",
    "run t.yaml extra": "got unexpected extra argument (extra) (arena run --help says more)",
    "validate no.yaml": "no.yaml: there is no such tournament file; check the path",
    "board": "missing argument 'DIR' (arena board --help says more)",
    "board nowhere": "nowhere holds no results; play a tournament with --out nowhere",
    "board t.yaml": "t.yaml holds no results; play a tournament with --out t.yaml",
    "board . --format txt": "invalid value for '--format': 'txt' is not one of 'text',",
    "board . --by targets": "invalid value for '--by': 'targets' is not one of 'target',",
    "show nowhere": "nowhere holds no results; play a tournament with --out nowhere",
    "export nowhere": "nowhere holds no results; play a tournament with --out nowhere",
    "plugins shw": "no such command 'shw'. Did you mean 'show'? (arena plugins --help says more)",
    "plugins --json --requirements": "--requirements prints lines that pip reads; leave --json out",
    "plugins --requirements show eat": "--requirements prints lines that pip reads; leave show out",
    "plugins show": "missing argument 'NAME' (arena plugins show --help says more)",
    "plugins show eta": "unknown plugin 'eta'; did you mean 'eat'",
    "plugins show theirs/eat": "unknown plugin 'theirs/eat'; did you mean 'eat'",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_one_line_and_exit_code_2(words: str, shell: Shell, file: Path) -> None:
    code, out, err = shell(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"arena: {WRONG[words]}")
    assert err.count("\n") == 1


def test_mistakes_in_a_file_are_a_line_each(shell: Shell, tournament_file: Writer) -> None:
    path = tournament_file("targets: [nope]\nattacks: [eat: {candidates: 0}]\nbudget: 0\n")
    for command in (["validate"], ["run"], ["run", "--dry-run"]):
        code, out, err = shell(*command, path.name)
        assert (code, out) == (2, "")
        lines = err.rstrip("\n").split("\n")
        assert lines[0].startswith("arena: t.yaml:1:11: unknown target 'nope'; known are: ")
        assert lines[1:] == [
            "arena: t.yaml:2:29: candidates should be at least 1, not 0",
            "arena: t.yaml:3:9: budget should be at least 1, not 0",
        ]


def test_a_tournament_without_matches_is_a_mistake(shell: Shell, file: Path) -> None:
    file.write_text(TOURNAMENT + "goal: {metric: geometric-error, reach: [0.1]}")
    for words in (["validate", file], ["run", file], ["run", file, "--dry-run"]):
        code, out, err = shell(*words)
        assert (code, out) == (2, "")
        assert len(set(err.split("\n"))) == 3 + 1
        assert err.startswith("arena: nothing can be played: constant against none on decision-")


def test_a_target_that_cannot_be_trained_is_a_mistake(shell: Shell, file: Path) -> None:
    target = "halfspace: {dataset: {csv: d.csv, label: y}, positive: w}"
    file.write_text(f"targets:\n  - {target}\nattacks: [constant]\n")
    assert shell("validate", "t.yaml")[2] == (
        "arena: t.yaml:2:16: data set d has no class 'w'; choose from: u, v\n"
    )


def test_debug_prints_tracebacks_wherever_it_stands(shell: Shell) -> None:
    for words in (
        ["--debug", "validate", "no.yaml"],
        ["validate", "--debug", "no.yaml"],
        ["validate", "no.yaml", "--debug"],
    ):
        code, _, err = shell(*words)
        assert code == 2
        assert err.startswith("Traceback (most recent call last):")
        assert err.endswith("arena: no.yaml: there is no such tournament file; check the path\n")


def test_a_bug_of_ours_is_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("arena.tournament.load", fail)
    code, out, err = shell("validate", file)
    assert (code, out) == (70, "")
    assert err == (
        "arena: internal error, please report it (--debug shows more): "
        "ZeroDivisionError: two lines\n"
    )
    assert "Traceback" in shell("validate", file, "--debug")[2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.exceptions.Abort])
def test_an_interruption_says_how_to_go_on(
    error: type[BaseException], shell: Shell, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr("arena.tournament.load", interrupt)
    code, _, err = shell("run", file)
    assert code == 130
    assert err.strip() == "arena: interrupted; the same command goes on where this one stopped"
    monkeypatch.setattr("arena.arguments.one_match", interrupt)
    code, _, err = shell("play", "eat", "halfspace: {dataset: iris}", "--isolation", "none")
    assert (code, err.strip()) == (130, "arena: interrupted; the same command begins anew")


def test_what_the_output_cannot_encode_is_escaped(folder: Path) -> None:
    db = sqlite3.connect(folder / FILE)
    with db:
        db.execute("UPDATE lineup SET target = 'caf\u00e9 \u65e5 \U0001f600'")
    db.close()
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "arena.cli"]
    for words in (["board"], ["show"], ["export"], ["board", "--format", "json"]):
        done = subprocess.run(
            [*command, words[0], str(folder), *words[1:]],
            capture_output=True,
            env=environment,
            check=True,
        )
        text = done.stdout.decode("latin-1")
        assert "\\u65e5 \\ud83d\\ude00" in text
        if words[0] == "export":
            assert json.loads(text.splitlines()[0])["names"][0] == "caf\u00e9 \u65e5 \U0001f600"


def test_a_label_is_shown_as_it_is(shell: Shell, folder: Path) -> None:
    db = sqlite3.connect(folder / FILE)
    with db:
        db.execute("UPDATE lineup SET target = '1.50'")
    db.close()
    assert "1.50" in shell("show", folder)[1]


@pytest.mark.parametrize("words", [["plugins"], ["plugins", "--json"], ["schema"], ["--help"]])
def test_a_closed_pipe_is_no_error(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "arena.cli", *words],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode == (1 if words == ["--help"] else 0)  # click prints help itself


# --------------------------------------------------------------------------------- validate, run


def test_validate_counts_matches(shell: Shell, file: Path) -> None:
    assert shell("validate", "t.yaml") == (0, "t.yaml is valid: 6 matches\n", "")
    file.write_text(
        TOURNAMENT.replace("constant", "line-search") + "defenses: [none, label-only]\n"
    )
    assert shell("validate", "t.yaml")[0] == 0


def test_validate_says_that_pairs_cannot_meet(shell: Shell, file: Path) -> None:
    file.write_text(TREE_AND_HALFSPACE)
    assert shell("validate", "t.yaml")[1] == (
        "t.yaml is valid: 6 matches (3 pairs cannot meet: arena run t.yaml --dry-run says why)\n"
    )


def test_a_dry_run_plays_nothing(shell: Shell, file: Path, tmp_path: Path) -> None:
    code, out, err = shell("run", file, "--dry-run")
    assert (code, err) == (0, "")
    assert out == (
        "6 matches: 1 target, 1 defence, 3 attacks, 2 repetitions\n"
        "6 to be played, 0 stored\n"
        "at most 120 queries, $0.01\n"
    )
    assert {p.name for p in tmp_path.iterdir()} == {"t.yaml", "d.csv"}
    out = shell("run", file, "--dry-run", "--only", "const*", "--repetitions", 1, "--budget", 5)[1]
    assert out.startswith("1 match: 1 target, 1 defence, 1 attack, 1 repetition\n1 to be")
    assert "at most 5 queries" in out


def test_a_dry_run_says_why_pairs_cannot_meet(shell: Shell, file: Path) -> None:
    file.write_text(TREE_AND_HALFSPACE)
    out = shell("run", file, "--dry-run")[1]
    assert out.count("skipped: ") == 3
    assert (
        "skipped: constant against none on decision-tree d: "
        "geometric-error is defined for linear targets, this is tree\n"
    ) in out


# --------------------------------------------------------------------- board, show, export


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json", "latex"])
@pytest.mark.parametrize("by", ["target", "attack", "defense"])
def test_boards_print_in_every_format(form: str, by: str, shell: Shell, folder: Path) -> None:
    code, out, err = shell("board", folder, "--format", form, "--by", by)
    assert (code, err) == (0, "")
    assert out.endswith("\n")
    if form == "json":
        assert json.loads(out)["schema"] == 1


def test_show_lists_matches(shell: Shell, folder: Path) -> None:
    code, out, _ = shell("show", folder)
    assert code == 0
    rows = [line.split() for line in out.split("\n")[2:6]]
    assert rows == [
        ["aa1", "box", "none", "finished", "0", "finished", "9"],
        ["aa2", "box", "none", "failed", "0", "failed", "4"],
        ["bb-skipp", "box", "none", "skipped", "0", "skipped"],
        ["bb-unpla", "box", "none", "unplayed", "0", "not", "played"],
    ]


def test_show_prints_one_match(shell: Shell, folder: Path) -> None:
    code, out, _ = shell("show", folder, "aa1")
    assert code == 0
    assert "status   finished" in out
    assert "queries  9 in 3 calls" in out
    assert "half 1    half 2" in out
    assert "0.9100    0.9500" in out
    assert "accuracy           0.7500" in out
    assert '"attack": "finished"' in out
    out = shell("show", folder, "bb-s")[1]
    assert "reason   it learns trees" in out


def test_show_prints_a_traceback_on_request_only(shell: Shell, folder: Path) -> None:
    out = shell("show", folder, "aa2")[1]
    assert "reason   failed raises KeyError" in out
    assert re.search(r"^ +queries +calls +value$", out, re.MULTILINE)
    assert "half 1" not in out
    assert "(a traceback is stored: --traceback)" in out
    assert "Traceback: whole" not in out
    assert "Traceback: whole" in shell("show", folder, "aa2", "--traceback")[1]


def test_show_wants_one_match(shell: Shell, folder: Path) -> None:
    assert shell("show", folder, "aa")[2] == (
        "arena: 2 matches begin with 'aa'; arena show DIR lists them\n"
    )
    assert shell("show", folder, "zz")[2] == (
        "arena: no match begins with 'zz'; arena show DIR lists them\n"
    )


def test_export_is_an_object_a_line(shell: Shell, folder: Path) -> None:
    code, out, _ = shell("export", folder)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["names"][2] for line in lines] == ["finished", "failed", "skipped", "unplayed"]
    assert lines[0]["record"]["curve"][1] == {"queries": 9, "calls": 3, "values": [0.91, 0.95]}
    assert lines[1]["record"]["status"] == "failed"
    assert lines[2] == {
        "schema": 1,
        "match": "bb-skipped",
        "build": "b",
        "names": ["box", "none", "skipped"],
        "specification": {"attack": "skipped"},
        "versions": {},
        "skipped": "it learns trees",
        "record": None,
    }


READERS = (["board"], ["show"], ["show", "a"], ["export"])


def refusals(shell: Shell, folder: Path) -> set[str]:
    found = set()
    for command, *rest in READERS:
        code, out, err = shell(command, folder, *rest)
        assert (code, out, err.count("\n")) == (2, "", 1)
        found.add(err)
    return found


def test_a_corrupted_store_is_a_sentence(shell: Shell, folder: Path) -> None:
    (folder / "results.sqlite").write_bytes(b"no database, and longer than its header" * 9)
    (sentence,) = refusals(shell, folder)
    assert sentence == (
        f"arena: {folder}/results.sqlite: file is not a database; mend or remove it and run again\n"
    )


def test_a_torn_store_is_a_sentence(shell: Shell, folder: Path) -> None:
    path = folder / "results.sqlite"
    path.write_bytes(path.read_bytes()[:5000])
    for sentence in refusals(shell, folder):
        assert sentence.startswith(f"arena: {path}: ")


def test_a_store_of_a_newer_version_is_a_sentence(shell: Shell, folder: Path) -> None:
    db = sqlite3.connect(folder / "results.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert refusals(shell, folder) == {
        f"arena: {folder}/results.sqlite was written by a newer arena; upgrade extraction-arena\n"
    }


def test_a_folder_where_nothing_was_played(shell: Shell, folder: Path) -> None:
    (folder / "results.sqlite").write_bytes(b"")
    assert refusals(shell, folder) == {
        "arena: no tournament was played in this folder; use arena run\n"
    }


# --------------------------------------------------------------------------------------- plugins


def test_plugins_are_listed(shell: Shell) -> None:
    code, out, err = shell("plugins")
    assert (code, err) == (0, "")
    assert re.search(r"^attack +eat +\S.* extraction-arena \d", out, re.MULTILINE)
    assert re.search(r"^defense +label-flip +\S", out, re.MULTILINE)


def test_plugins_as_json(shell: Shell) -> None:
    data = json.loads(shell("plugins", "--json")[1])
    assert data.keys() == {"schema", "plugins", "broken", "disabled"}
    assert data["schema"] == 1
    common = {"kind", "name", "distribution", "version", "plugin_api"}
    common |= {"module", "summary", "reference"}
    own = {
        "attack": {"needs", "families", "requires_knowledge", "baseline", "wraps"},
        "defense": {"hides", "alters", "stateful", "families", "wraps"},
        "target": {"family", "can_reveal"},
    }
    for plugin in data["plugins"]:
        assert plugin.keys() == common | {"parameters"} | own[plugin["kind"]]
        assert plugin["summary"]
        for parameter in plugin["parameters"].values():
            assert parameter["required"] is ("default" not in parameter)
            assert "$ref" not in json.dumps(parameter)
            assert parameter.keys() & {"type", "anyOf", "enum"}


def test_plugins_are_pinned_by_distribution(run_arena: Runner, site: Site) -> None:
    site.add("pack-two", "2.1", one=attack("one"), two=attack("two"))
    site.add("pack-bad", bad="1 / 0")
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    done = run_arena("plugins", "--requirements", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    ours, theirs = done.stdout.splitlines()
    assert ours == f"extraction-arena=={version('extraction-arena')}"
    assert theirs == "pack-two==2.1"


def test_a_plugin_is_shown(shell: Shell) -> None:
    out = shell("plugins", "show", "label-flip")[1]
    assert re.match(r"label-flip  \(defense, extraction-arena \d", out)
    assert "Source: Chandrasekaran et al." in out
    assert "  rate: number >= 0 and < 0.5, required\n" in out
    assert "alters: label, probabilities, score\n" in out
    assert shell("plugins", "show", "extraction-arena/label-flip")[1] == out


def test_a_wrapper_is_shown(shell: Shell) -> None:
    out = shell("plugins", "show", "majority")[1]
    assert "  attack: attack plugin, required\n" in out
    assert "needs and families: those of its parameter attack\n" in out
    data = json.loads(shell("plugins", "show", "majority", "--json")[1])
    assert [plugin["wraps"] for plugin in data] == [["attack"]]
    assert json.loads(shell("plugins", "--json", "show", "majority")[1]) == data


def test_parameters_of_every_type_are_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena.registry, "installed", toys.registry)
    lines = shell("plugins", "show", "probe")[1].partition("parameters:\n")[2].split("\n")
    assert [line.strip() for line in lines[:13]] == [
        "size: integer >= 1 and <= 9, default 3",
        "step: number > 0 and < 1, default 0.5",
        "mode: fast | slow, default fast",
        "flag: boolean, default false",
        "title_: string or null, default null",
        "many: integer or all, default all",
        "rows: list of integer, default []",
        "tags: list of string, default []",
        "inner: {x, y} or null, default null",
        "either: {x, y} or list of number, default []",
        "path: string or null, default null",
        "even: integer, default 2",
        "short: string, default a",
    ]
    for name in (p.plugin.name for p in toys.registry().plugins):
        assert shell("plugins", "show", name)[0] == 0


def test_broken_plugins_are_listed_with_their_reason(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken("bad", "their-pack", "2", "import fails with KeyError: 3", "Traceback: all\n")
    registry = Registry(toys.registry().plugins, (broken,))
    monkeypatch.setattr(arena.registry, "installed", lambda: registry)
    code, out, err = shell("plugins")
    assert (code, err) == (0, "")
    assert out.endswith("broken: 'bad' of their-pack 2: import fails with KeyError: 3\n")
    assert shell("plugins", "--debug")[2] == "Traceback: all\n\n"
    assert json.loads(shell("plugins", "--json")[1])["broken"] == [
        {
            "entry_point": "bad",
            "distribution": "their-pack",
            "version": "2",
            "reason": "import fails with KeyError: 3",
            "place": "",
        }
    ]
    assert shell("plugins", "show", "bad")[2] == (
        "arena: plugin 'bad' of their-pack 2 is broken: import fails with KeyError: 3\n"
    )


def test_the_schema_is_json(shell: Shell) -> None:
    code, out, err = shell("schema")
    assert (code, err) == (0, "")
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


# ------------------------------------------------------------------------- another distribution

WITH_COIN = TOURNAMENT.replace("constant", "coin: {batch: 4}")


def coin_has_played(folder: Path) -> bool:
    """Whether both repetitions of the coin have, and what the store says of it is right."""
    with Store.open(folder) as store:
        entries = [e for e in store.results().entries if e.attack == "coin(batch=4)"]
        lines = [m for m in exported(store) if m["specification"]["attack"][0].endswith("/coin")]
    assert lines[0]["specification"]["attack"] == ["arena-thirdparty/coin", {"batch": 4}]
    assert lines[0]["versions"]["arena-thirdparty"] == "0.3"
    return [e.record.status for e in entries if e.record] == 2 * [Status.EXHAUSTED]


def test_another_distribution_plays(
    file: Path, run_arena: Runner, site: Site, tmp_path: Path
) -> None:
    file.write_text(WITH_COIN)
    shutil.copy(THIRD_PARTY / "src" / "arena_thirdparty.py", site.path)
    site.add("arena-thirdparty", "0.3")
    info = site.path / "arena_thirdparty-0.3.dist-info" / "entry_points.txt"
    info.write_text("[arena]\ncoin = arena_thirdparty\n")
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    done = run_arena("run", "t.yaml", "--only", "coin", "--workers", 1, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "coin(batch=4)" in done.stdout
    assert coin_has_played(tmp_path / "runs" / "t")


@pytest.mark.slow
def test_another_distribution_plays_once_pip_has_installed_it(
    file: Path, run_arena: Runner, tmp_path: Path
) -> None:
    pytest.importorskip("setuptools", minversion="77")
    file.write_text(WITH_COIN)
    shutil.copytree(THIRD_PARTY, tmp_path / "package")
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if path.endswith("-packages")]
    (packages / "ours.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in ours)
    )
    options = ("--no-build-isolation", "--no-deps", "--no-index")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *options]
    subprocess.run([*pip, str(tmp_path / "package")], check=True, capture_output=True)
    done = subprocess.run(
        [python, "-m", "arena.cli", "run", "t.yaml", "--only", "coin"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert coin_has_played(tmp_path / "runs" / "t")
