"""``arena check``: as a process, and its mistakes in this one."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from subprocess import PIPE

import pytest
from conftest import Runner
from sites import Site

import arena.registry
from arena import conformance
from arena.cli import main
from arena.conformance import instances

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run the command in this process: exit code, output, complaints."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["check", *words])
        return code, *capsys.readouterr()

    return run


GOOD = '''
from arena import Defense, hookimpl

class Good(Defense):
    """Leaves answers as they are."""
    name = "good"
    reference = "none"

    def protect(self, victim, rng):
        return self

    def answer(self, X, answer):
        return answer

@hookimpl
def register_defenses(register):
    register(Good)
'''
BAD = '''
from arena import Attack, hookimpl

class Bad(Attack):
    """Learns labels from numbers."""
    name = "bad"
    reference = "none"

    def extract(self, oracle, rng):
        X = oracle.knowledge.domain.sample(1, rng)
        yield learned(oracle.ask(X).score)

def learned(score):
    return score.mean()

@hookimpl
def register_attacks(register):
    register(Bad)
'''
NEEDY = BAD.replace("bad", "needy").replace(
    "    def extract",
    "    key: str = __import__('pydantic').Field(description='a key')\n\n    def extract",
)
SLOW = GOOD.replace(
    "        return self\n", "        __import__('time').sleep(0.005)\n        return self\n"
)


def test_what_passes_exits_0(run_arena: Runner) -> None:
    done = run_arena("check", "none", "extraction-arena/rounding")
    assert (done.returncode, done.stderr) == (0, "")
    titles = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert re.fullmatch(r"defence none: \d+ passed", titles[0])
    assert re.fullmatch(r"defence rounding: \d+ passed", titles[1])
    assert re.fullmatch(r"2 plugins: \d+ passed", titles[2])
    lines = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("  ")]
    names = [f"{c.name}:" for c in conformance.checks("defense")]
    assert lines == 2 * [["passed", name] for name in names]


def test_what_fails_exits_1_with_the_place_in_the_authors_file(
    run_arena: Runner, site: Site
) -> None:
    site.add("pack", bad=BAD)
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    done = run_arena("check", "bad", env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    found = done.stdout.split("  failed   every-family-learned: ")[1].split("\n  passed")[0]
    assert (
        "raises AttributeError: 'NoneType' object has no attribute 'mean', against a toy" in found
    )
    frames = re.findall(r'File "(.*)", line (\d+), in (\w+)', found.split("  failed")[0])
    lines = BAD.splitlines()
    places = [(lines[int(number) - 1].strip(), name) for _, number, name in frames]
    assert places == [
        ("yield learned(oracle.ask(X).score)", "extract"),
        ("return score.mean()", "learned"),
    ]
    assert {file for file, _, _ in frames} == {str(next(site.path.glob("module*.py")))}


@pytest.mark.slow
def test_progress_is_shown_after_a_second_on_a_terminal(site: Site) -> None:
    site.add("pack", good=SLOW)
    environment = {**os.environ, "PYTHONPATH": str(site.path), "TERM": "xterm"}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "arena.cli", "check", "good"]
    with subprocess.Popen(command, env=environment, stdout=PIPE, stderr=theirs, text=True) as run:
        os.close(theirs)
        shown = b""
        # Linux ends a terminal that nobody holds any more by an error.
        with contextlib.suppress(OSError):
            while some := os.read(ours, 1 << 16):
                shown += some
        out, _ = run.communicate(timeout=120)
    os.close(ours)
    assert run.returncode == 0
    assert re.search(r"1/1 good: [a-z-]+", shown.decode())
    assert out.startswith("defence good: ")


def test_parameters_are_taken_as_a_file_writes_them(shell: Shell) -> None:
    words = ("-p", "repeats=2", "-p", "attack={majority: {repeats: 1, attack: active-perceptron}}")
    code, out, err = shell("majority", *words)
    assert (code, err) == (0, "")
    title = "attack majority(attack=majority(attack=active-perceptron, repeats=1), repeats=2)"
    assert out.startswith(title)


def test_a_name_that_is_given_twice_is_checked_once(shell: Shell) -> None:
    code, out, _ = shell("none", "none")
    assert code == 0
    assert out.count("defence none") == 1


def test_a_waiver_keeps_a_check_from_failing(run_arena: Runner, site: Site) -> None:
    site.add("pack", good=GOOD.replace('"none"', '""'))
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    assert run_arena("check", "good", env=environment).returncode == 1
    waiver = "reference-present=it is not published"
    done = run_arena("check", "good", "--waive", waiver, env=environment)
    assert done.returncode == 0
    assert "  waived   reference-present: " in done.stdout
    assert "           it is not published\n" in done.stdout


def test_json_holds_every_result(run_arena: Runner, site: Site) -> None:
    site.add("pack", bad=BAD)
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    done = run_arena("check", "bad", "none", "--json", env=environment)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["schema"], found["unchecked"]) == (1, [])
    expected = [("attack bad", c.name, c.states) for c in conformance.checks("attack")]
    expected += [("defence none", c.name, c.states) for c in conformance.checks("defense")]
    assert [(r["plugin"], r["check"], r["states"]) for r in found["results"]] == expected
    (failed,) = (r for r in found["results"] if r["check"] == "every-family-learned")
    assert failed["outcome"] == "failed"
    assert "in learned" in failed["traceback"]


def test_without_a_name_every_plugin_is_checked(
    shell: Shell, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("pack", good=GOOD, bad=BAD, needy=NEEDY, broken="1 / 0")
    registry = site.registry()
    for module in (arena.registry, instances):
        monkeypatch.setattr(module, "installed", lambda: registry)
    code, out, err = shell()
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("attack bad: ")
    assert "  passed" not in out
    assert re.fullmatch(r"defence good: \d+ passed", lines[-2])
    assert lines[-1].startswith("2 plugins: ")
    broken, needy = err.splitlines()
    assert "plugin 'broken' of pack 1.0 is broken: import fails with ZeroDivisionError" in broken
    assert "attack 'needy' needs a value for its parameter 'key' (a key)" in needy
    found = json.loads(shell("--json")[1])
    assert found["unchecked"] == [line.removeprefix("arena: ") for line in err.splitlines()]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nine",), "arena: unknown plugin 'nine'; did you mean 'none'"),
        (("none", "nine"), "arena: unknown plugin 'nine'; did you mean 'none'"),
        (("label-flip", "-p", "rte=0.1"), "unknown key 'rte'; did you mean 'rate'?"),
        (("label-flip", "-p", "rate=often"), "rate should be a number, not 'often'"),
        (("label-flip", "-p", "rate"), "'rate' is not of the form KEY=VALUE"),
        (("label-flip", "-p", "rate=[1"), "-p rate:1:"),
        (("eat", "random", "-p", "candidates=3"), "-p goes with one NAME, and here are 2"),
        (("none", "--waive", "pickle=no"), "no check 'pickle' to waive; did you mean 'pickles'"),
        (("none", "--waive", "pickles="), "check 'pickles' is waived without a reason"),
        (("none", "--what"), "no such option"),
    ],
)
def test_a_mistake_exits_2_and_checks_nothing(
    shell: Shell, words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = shell(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_an_unknown_plugin_is_a_mistake_in_a_process_too(run_arena: Runner) -> None:
    done = run_arena("check", "rondom")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("arena: unknown plugin 'rondom'; did you mean 'random'")
