"""``arena play``: one match as a tournament plays it, its curve, and where a plugin failed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import Runner, Writer
from sites import Site

from arena.arguments import one_match
from arena.cli import main
from arena.errors import ArenaError
from arena.pairing import plan
from arena.records import Checkpoint, Goal
from arena.sketch import PLAIN, sketch
from arena.tournament import load
from arena.watching import Journal, Reading

TARGET = "logistic:dataset=iris"
BINARY = "svm-rbf:dataset=pima,gamma=0.125"

PLUGINS = '''
import random
from fractions import Fraction

import numpy as np

from arena import Attack, Defense, hookimpl


class Trips(Attack):
    """Raises where it is told to."""

    name = "trips"
    at: str = "extract"

    def extract(self, oracle, rng):
        X = oracle.knowledge.domain.sample(5, rng)
        print("I am asking")
        oracle.ask(X)
        if self.at == "breakpoint":
            breakpoint()
        yield Surrogate(self.at, random.getrandbits(30) + np.random.randint(1 << 30))
        if self.at == "extract":
            answer = 42
            deeper(answer)


def deeper(n):
    return Fraction(n, 0)


class Surrogate:
    def __init__(self, at, seed):
        self.at, self.seed = at, seed

    def predict(self, X):
        if self.at == "predict":
            raise ValueError("it forgot")
        return np.random.default_rng(self.seed).integers(0, 2, len(X))


class Falls(Defense):
    """Raises when it is asked."""

    name = "falls"

    def protect(self, victim, rng):
        return self

    def answer(self, X, answer):
        if len(X) == 5:
            raise RuntimeError("it fell")
        return answer


@hookimpl
def register_attacks(register):
    register(Trips)


@hookimpl
def register_defenses(register):
    register(Falls)
'''

Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play(run_arena: Runner, tmp_path: Path) -> Play:
    """Run ``arena play`` as a process in which the plugins above are installed."""
    path = tmp_path / "site"
    path.mkdir()
    Site(path).add("mine", mine=PLUGINS)
    work = tmp_path / "work"
    work.mkdir()

    def run(*words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(path), **settings.pop("env", {})}
        return run_arena("play", *words, env=environment, cwd=work, **settings)

    return run


def frames(text: str) -> list[str]:
    """Return the function of every frame of a traceback, in order."""
    return re.findall(r'^ +File ".*", line \d+, in (\w+)$', text, re.MULTILINE)


# --------------------------------------------------------------------------------- as arena run


def test_a_match_is_the_same_as_in_a_tournament(run_arena: Runner, tournament_file: Writer) -> None:
    file = tournament_file(
        "name: t\nseed: 5\nrepetitions: 2\nbudget: 40\ngoal: {inputs: uniform, reach: [0.8]}\n"
        "targets: [svm-rbf: {dataset: pima, gamma: 0.125}]\n"
        "defenses: [none, label-flip: {rate: 0.1}]\nattacks: [eat: {candidates: 50}, line-search]\n"
    )
    assert run_arena("run", file, "--only", "eat*", "--isolation", "none").returncode == 0
    lines = map(json.loads, run_arena("export", "runs/t").stdout.splitlines())
    (wanted,) = [
        line
        for line in lines
        if line["names"][1:] == ["label-flip(rate=0.1)", "eat(candidates=50)"]
        and line["specification"]["repetition"] == 0
    ]
    words = ["eat:candidates=50", BINARY, "label-flip: {rate: 0.1}", "--budget", 40, "--seed", 5]
    terms = ["--goal", "inputs=uniform,reach=[0.8]", "--json"]
    done = run_arena("play", *words, *terms)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert {key: found[key] for key in wanted} == wanted
    curve = found["record"]["curve"]
    first = next(c["queries"] for c in curve if min(c["values"]) >= 0.8)
    assert found["reached"] == {"0.8": first}
    assert found["dollars"] == pytest.approx(40 * 0.0001)


@pytest.mark.slow
def test_plugins_that_draw_from_global_generators_play_the_same_here_and_in_a_cell(
    play: Play,
) -> None:
    records = [
        json.loads(play("trips:at=never", BINARY, "--json", "--isolation", where).stdout)["record"]
        for where in ("none", "cell")
    ]
    assert records[0] == records[1]


def test_nothing_is_left_of_it(play: Play, tmp_path: Path) -> None:
    # Sockets in it have short names only.
    with TemporaryDirectory(prefix="arena-") as temporary:
        nothing_is_left(play, tmp_path, Path(temporary))


def nothing_is_left(play: Play, tmp_path: Path, temporary: Path) -> None:
    done = play("random", TARGET, env={"TMPDIR": str(temporary)})
    assert done.returncode == 0
    assert not list((tmp_path / "work").iterdir())
    # Which cores are taken, every run notes there.
    assert {path.name for path in temporary.iterdir()} <= {f"arena-cores-{os.getuid()}"}


@pytest.mark.slow
def test_out_keeps_it_and_plays_it_again(play: Play, run_arena: Runner, tmp_path: Path) -> None:
    for _ in range(2):
        done = play("trips", TARGET, "--out", "kept", "--isolation", "none")
        assert done.returncode == 1
        assert "it printed" not in done.stdout
        assert "I am asking" in done.stderr
    shown = run_arena("show", tmp_path / "work" / "kept").stdout
    assert [line.split()[-2:] for line in shown.splitlines()[2:]] == [["failed", "5"]]


def test_a_pair_that_cannot_meet_is_a_mistake_as_in_a_run(play: Play) -> None:
    done = play("lowd-meek", TARGET)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("arena: nothing can be played: lowd-meek against none on log")
    assert done.stderr.count("\n") == 1


# ------------------------------------------------------------------------------------ the words


@pytest.mark.parametrize(
    ("short", "entry"),
    [
        ("eat", "eat"),
        ("eat:candidates=50", "{eat: {candidates: 50}}"),
        ("extraction-arena/eat:candidates=50", "eat: {candidates: 50}"),
        (
            "majority:repeats=3,attack={eat: {candidates: 9}}",
            "majority: {repeats: 3, attack: {eat: {candidates: 9}}}",
        ),
        ("majority:attack=eat:,repeats=5", "majority: {attack: {eat: }, repeats: 5}"),
    ],
)
def test_a_short_entry_is_that_of_a_file(short: str, entry: str, tournament_file: Writer) -> None:
    entry = entry if entry.startswith("{") or ":" not in entry else f"{{{entry}}}"
    file = tournament_file(
        f"seed: 3\ntargets: [svm-rbf: {{dataset: pima, gamma: 0.125}}]\nattacks: [{entry}]\n"
        "defenses: [[rounding: {digits: 2}, label-flip: {rate: 0.1}]]\nknowledge: {pool: 9}\n"
    )
    chain = "[rounding: {digits: 2}, label-flip: {rate: 0.1}]"
    played = one_match(short, BINARY, chain, {"--seed": "3", "--set knowledge": "pool=9"})
    (spec,) = plan(played)
    wanted = plan(load(file))[0]
    assert (spec.key, spec.terms) == (wanted.key, wanted.terms)


def test_paths_start_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("a,b,y\n" + "".join(f"{i % 7},{i},{'uv'[i % 2]}\n" for i in range(40)))
    played = one_match("eat", "svm-rbf:dataset={csv: d.csv, label: y},gamma=1", "none", {})
    assert played.file is None
    assert "d" in played.targets[0].label


WRONG: dict[tuple[str, ...], str] = {
    ("eet", BINARY): "ATTACK: unknown attack 'eet'; did you mean 'eat'?",
    ("eat", "pima"): "TARGET: unknown target 'pima'; known are: ",
    ("eat", BINARY, "label-flip:rate=2"): "DEFENSE: rate should be less than 0.5, not 2",
    ("eat:candidates=x", BINARY): "ATTACK: candidates should be a whole number, not 'x'",
    ("eat:candidate=3", BINARY): "ATTACK: unknown key 'candidate'; did you mean 'candidates'?",
    ("eat:candidates", BINARY): "ATTACK: 'candidates' is no parameter; write key=value,key=value",
    ("eat:batch=1,batch=2", BINARY): "ATTACK: 'batch' stands twice; keep one of them",
    ("eat: {", BINARY): "ATTACK:1:",
    ("", BINARY): "ATTACK: write a plugin as 'name' or",
    ("eat", BINARY, "none", "--budget", "0"): "--budget: budget should be at least 1, not 0",
    ("eat", BINARY, "none", "--seed", "x"): "--seed: seed should be a whole number or 'secret'",
    ("eat", BINARY, "none", "--goal", "0.9"): "--goal: goal should be a mapping, not 0.9",
    ("eat", BINARY, "--goal", "reach=[1]"): "--goal: a level of 1 is not below 1; ",
    ("eat", BINARY, "--set", "chekpoints=2"): "--set chekpoints: no term of a match; did you mean",
    ("eat", BINARY, "--set", "attacks=2"): "--set attacks: no term of a match; ",
    ("eat", BINARY, "--set", "checkpoints=0"): "--set checkpoints: checkpoints should be at least",
    ("eat", BINARY, "--set", "price"): "--set price: price has no value; write one",
    ("eat", BINARY, "--pdb", "--isolation", "cell"): "--pdb debugs in this process; leave ",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_mistake_is_one_sentence(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"arena: {WRONG[words]}")
    assert err.count("\n") == 1


def test_every_mistake_is_told_in_the_order_of_the_arguments() -> None:
    with pytest.raises(ArenaError) as error:
        one_match("eet", "svm-rbf:gama=1,dataset=pima", "nonne", {"--budget": "many"})
    places = [line.partition(":")[0] for line in str(error.value).splitlines()]
    assert places == ["ATTACK", "TARGET", "DEFENSE", "--budget"]


# ------------------------------------------------------------------------------ what is printed


def test_a_summary_says_what_was_reached_and_what_it_cost(run_arena: Runner) -> None:
    done = run_arena(
        *("play", "eat", BINARY, "--budget", 60, "--goal", "reach=[0.5,0.99]"),
        *("--isolation", "none"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert text.startswith("eat against none on svm-rbf pima(gamma=0.125)\n")
    assert "status   exhausted\n" in text
    assert re.search(r"^queries  60 of 60 in \d+ calls, 0.006 dollars$", text, re.MULTILINE)
    assert re.search(r"^>= \.50 +\d+$", text, re.MULTILINE)
    assert re.search(r"^>= \.99 +never \(best \.\d+\)$", text, re.MULTILINE)
    assert re.search(r"^ +60 +\d+ +\.\d+$", text, re.MULTILINE)
    assert re.search(r"│.*•", text)


@pytest.mark.slow
def test_without_unicode_the_curve_is_ascii(run_arena: Runner) -> None:
    words = ["constant", TARGET, "--isolation", "none"]
    done = run_arena("play", *words, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert re.search(r"\|.*\*", done.stdout)
    assert "\\u" not in done.stdout


@pytest.mark.parametrize("isolation", ["cell", "none"])
def test_only_results_are_on_standard_output(play: Play, isolation: str) -> None:
    done = play("trips", TARGET, "--json", "--isolation", isolation)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["record"]["reason"] == "trips: ZeroDivisionError: Fraction(42, 0)"
    assert frames(found["traceback"]) == ["extract", "deeper", "__new__"]
    printed = found["output"] if isolation == "cell" else done.stderr
    assert printed == "I am asking\n"


@pytest.mark.parametrize(
    ("words", "status", "wanted"),
    [
        (["trips", TARGET], "failed", ["extract", "deeper", "__new__"]),
        (["trips:at=predict", TARGET], "broke-a-rule", ["predict"]),
        (["trips", TARGET, "falls"], "void", ["answer"]),
    ],
)
def test_a_trace_begins_at_the_authors_line(
    words: list[str], status: str, wanted: list[str], play: Play
) -> None:
    done = play(*words, "--isolation", "none")
    assert done.returncode == 1
    assert f"status   {status}\n" in done.stdout
    assert frames(done.stdout) == wanted


def test_debug_shows_the_frames_of_arena_too(play: Play) -> None:
    whole = frames(play("trips", TARGET, "--isolation", "none", "--debug").stdout)
    assert whole[-3:] == ["extract", "deeper", "__new__"]
    assert len(whole) > 3


def on_a_terminal(*words: str) -> tuple[str, str]:
    """Run ``arena play`` with standard error on a terminal; return what it shows, and prints."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "arena.cli", "play", *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        text=True,
    )
    os.close(theirs)
    shown = b""
    # A terminal whose last writer is gone fails to be read.
    try:
        while data := os.read(ours, 1 << 16):
            shown += data
    except OSError:
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return shown.decode(), out


@pytest.mark.parametrize("isolation", ["cell", pytest.param("none", marks=pytest.mark.slow)])
def test_on_a_terminal_queries_are_shown_and_then_the_curve(isolation: str) -> None:
    words = ["eat", BINARY, "--budget", "900", "--isolation", isolation]
    shown, out = on_a_terminal(*words)
    alive = [int(n) for n in re.findall(r"(\d+) of 900 queries in \d+ calls; surrogates", shown)]
    scored = [int(n) for n in re.findall(r"scored: (\d+) of \d+ surrogates", shown)]
    assert alive == sorted(alive)
    assert 0 < max(alive) <= 900
    assert scored == sorted(scored)
    assert shown.index("surrogates are scored when") < shown.index("scored: ")
    assert "•" in shown
    assert out.startswith("eat against")


def test_quiet_shows_nothing_on_a_terminal() -> None:
    shown, out = on_a_terminal("random", TARGET, "--isolation", "none", "--quiet")
    assert (shown, out[:14]) == ("", "random against")


# ----------------------------------------------------------------------------------- debuggers


def test_pdb_stops_at_the_authors_line(play: Play) -> None:
    done = play("trips", TARGET, "--pdb", input="p 'n is', n\nup\np answer + 1\nup\nq\n")
    assert done.returncode == 1
    assert "deeper()" in done.stderr
    assert "('n is', 42)" in done.stderr
    assert "extract()" in done.stderr
    assert "(Pdb) 43" in done.stderr
    assert "Oldest frame" in done.stderr
    assert done.stdout.startswith("trips against none on")
    assert frames(done.stdout) == ["extract", "deeper", "__new__"]


def test_pdb_opens_once_at_a_defence_that_raises(play: Play) -> None:
    done = play("trips", TARGET, "falls", "--pdb", input="p len(X)\nc\n")
    assert done.returncode == 1
    assert "(Pdb) 5\n" in done.stderr
    assert done.stderr.count("RuntimeError: it fell") == 1
    assert done.stderr.count("-> ") == 1


@pytest.mark.slow
def test_pdb_does_not_open_where_nothing_is_raised(play: Play) -> None:
    done = play("trips:at=never", TARGET, "--pdb", input="")
    assert done.returncode == 0
    assert "Pdb" not in done.stderr


@pytest.mark.parametrize(
    "option", [["--pdb"], pytest.param(["--isolation", "none"], marks=pytest.mark.slow)]
)
def test_a_breakpoint_opens_in_an_attack(option: list[str], play: Play) -> None:
    done = play("trips:at=breakpoint", TARGET, *option, input="p X.shape\np oracle.spent\nc\n")
    assert done.returncode == 0
    assert "(Pdb) (5, 4)\n(Pdb) 5\n" in done.stderr


def test_a_debugger_is_told_of_before_it_opens() -> None:
    code = (
        "import pdb; from arena.debugging import before_any_debugger;"
        "before_any_debugger(lambda: print('told'));"
        "print('not yet'); {}"
    )
    for opened in ("breakpoint()", "pdb.set_trace()"):
        command = [sys.executable, "-c", code.format(opened)]
        done = subprocess.run(command, input="c\n", capture_output=True, text=True, check=True)
        assert done.stdout.startswith("not yet\ntold\n")
        assert "Pdb" in done.stdout


# ---------------------------------------------------------------------------- curves and journals


def points(*values: float) -> list[Checkpoint]:
    return [Checkpoint(10**i, i, (value, value + 0.01)) for i, value in enumerate(values)]


def test_a_sketch_rises_as_its_curve_does() -> None:
    goal = Goal(reach=(0.9,))
    lines = sketch(points(0.5, 0.7, 0.95), goal, width=30, height=11)
    columns = {line.rindex("•"): i for i, line in enumerate(lines) if "•" in line}
    assert [columns[c] for c in sorted(columns)] == [10, 6, 1]
    (level,) = [line for line in lines if line.startswith("     .90 │")]
    assert level.count("┈") == 30
    assert lines[-1].split() == ["1", "100", "queries"]
    assert all(line.translate(PLAIN).isascii() for line in lines)


def test_a_sketch_of_errors_falls() -> None:
    goal = Goal("geometric-error", reach=(0.01,))
    lines = sketch([Checkpoint(1, 1, (0.1,)), Checkpoint(9, 2, (0.001,))], goal, height=11)
    dots = [i for i, line in enumerate(lines) if "•" in line]
    assert dots == [0, 10]
    assert lines[0].index("•") < lines[10].index("•")
    assert lines[5] == "    0.01 │" + "┈" * 60


def test_what_was_not_scored_is_not_drawn() -> None:
    assert sketch([Checkpoint(3, 1, ())], Goal()) == ()
    (line,) = [line for line in sketch(points(0.5), Goal()) if "•" in line]
    assert line.count("•") == 60


def test_a_journal_is_read_as_it_grows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    reading = Reading(journal)
    reading.refresh()
    assert (reading.spent, reading.snapshots) == (0, 0)

    class Meter:
        calls, spent = 2, 7

    with journal.following(Meter()):
        pass
    journal.scored(Checkpoint(7, 2, (0.5, 0.25)), 3)
    with journal.path.open("a") as file:
        file.write('{"spent": 9, ')
    reading.refresh()
    assert (reading.spent, reading.calls, reading.snapshots) == (7, 2, 3)
    assert reading.curve == [Checkpoint(7, 2, (0.5, 0.25))]
    with journal.path.open("a") as file:
        file.write('"calls": 4}\n')
    reading.refresh()
    assert (reading.spent, reading.calls, reading.snapshots) == (9, 4, 0)
    assert reading.curve == []
