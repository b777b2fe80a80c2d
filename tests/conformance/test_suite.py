"""The suite itself: results, waivers, reports, examples, pytest's cases."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from numpy.random import Generator
from pydantic import Field

from arena import (
    Attack,
    AttackRef,
    Dataset,
    DefenseRef,
    RegressionDataset,
    Target,
    Victim,
    conformance,
)
from arena.api import Plugin
from arena.conformance.instances import PassOn, Uniform
from arena.errors import ArenaError
from arena.registry import installed

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


class Faulty(PassOn):
    """Fails in its own code."""

    name = "faulty"

    def protect(self, victim: Victim, rng: Generator) -> Any:
        raise KeyError("label")


class Requiring(Target):
    """Requires what can be found."""

    name = "requiring"

    dataset: Dataset = Field(description="its data")
    values: RegressionDataset = Field(description="its values")
    size: int = Field(examples=[7], description="how large")
    attack: AttackRef = Field(description="an attack")
    defense: DefenseRef | None = Field(description="a defence, or none")

    def train(self, rng: Generator) -> Victim:
        raise NotImplementedError


class Exacting(Attack):
    """Requires what nobody can guess."""

    name = "exacting"

    key: str = Field(description="the key to it")


class Picky(Target):
    """Takes one data set of all."""

    name = "picky"

    dataset: Dataset = Field(description="its data")

    def check(self) -> None:
        super().check()
        if self.dataset.title != "wine":
            raise ArenaError("it learns wine alone")


def result(plugin: Plugin, check: str, **options: Any) -> conformance.Result:
    (found,) = (r for r in conformance.check(plugin, **options) if r.check == check)
    return found


# --------------------------------------------------------------------------------------- check


def test_a_result_says_what_was_seen_and_where() -> None:
    found = result(Faulty(), "answers-fit")
    assert (found.outcome, found.plugin) == ("failed", "defence faulty")
    assert re.match(r"raises KeyError: 'label', on a toy of family .* revealing", found.reason)
    frame, source, error = found.traceback.splitlines()
    assert Path(__file__).name in frame
    assert frame.endswith("in protect")
    assert source.strip() == 'raise KeyError("label")'
    assert error == "KeyError: 'label'"


def test_what_the_check_itself_sees_has_no_traceback() -> None:
    assert result(Exacting(key="a"), "reference-present").traceback == ""


def test_a_waived_check_is_not_run() -> None:
    found = result(Faulty(), "answers-fit", waive={"answers-fit": "it is written tomorrow"})
    assert (found.outcome, found.reason) == ("waived", "it is written tomorrow")


@pytest.mark.parametrize(
    ("waive", "sentence"),
    [
        ({"answer-fits": "why not"}, "no check 'answer-fits' to waive; did you mean 'answers-fit'"),
        ({"budget-respected": "why not"}, "no check 'budget-respected' to waive"),
        ({"answers-fit": " "}, "check 'answers-fit' is waived without a reason; give one"),
    ],
)
def test_a_wrong_waiver_is_a_mistake(waive: dict[str, str], sentence: str) -> None:
    with pytest.raises(ArenaError, match=sentence):
        conformance.check(Faulty(), waive=waive)
    with pytest.raises(ArenaError, match=sentence):
        conformance.parametrize(Faulty(), waive=waive)


def test_an_interruption_is_not_a_finding() -> None:
    class Interrupted(PassOn):
        """Is interrupted."""

        def protect(self, victim: Victim, rng: Generator) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conformance.check(Interrupted())


# -------------------------------------------------------------------------------------- report


def test_a_report_has_a_line_a_check() -> None:
    results = conformance.check(PassOn(), waive={"pickles": "for the test"})
    lines = conformance.report(results).splitlines()
    assert lines[0] == f"defence pass-on: {conformance.counted(results)}"
    assert [line.split()[:2] for line in lines[1:] if re.match(r"  \w", line)] == [
        [r.outcome, f"{r.check}:"] for r in results
    ]
    assert lines[lines.index(next(line for line in lines if "pickles:" in line)) + 1].strip() == (
        "for the test"
    )


def test_a_brief_report_shows_what_failed_alone() -> None:
    results = (*conformance.check(PassOn()), *conformance.check(Faulty()))
    first, second, *failed = conformance.report(results, brief=True).splitlines()
    assert first.startswith("defence pass-on: ")
    assert second.startswith("defence faulty: ")
    assert failed[0].startswith("  failed   answers-fit: ")
    assert not [line for line in failed if "passed" in line]
    assert any("raises KeyError: 'label'" in line for line in failed)


def test_a_report_of_nothing_is_empty() -> None:
    assert conformance.report([]) == ""


# ------------------------------------------------------------------------------------ examples


def test_what_is_required_is_found() -> None:
    (found,) = conformance.examples(Requiring)
    assert isinstance(found, Requiring)
    assert (found.dataset.title, found.values.title, found.size) == ("iris", "diabetes", 7)
    assert isinstance(found.attack, Uniform)
    assert isinstance(found.defense, PassOn)


def test_what_is_given_is_taken() -> None:
    given = {"dataset": "wine", "size": 3, "attack": {"eat": {"candidates": 5}}, "defense": None}
    (found,) = conformance.examples(Requiring, given)
    assert isinstance(found, Requiring)
    assert (found.dataset.title, found.size, found.defense) == ("wine", 3, None)
    assert found.attack.title() == "eat(candidates=5)"


def test_a_data_set_that_fits_is_found() -> None:
    (found,) = conformance.examples(Picky)
    assert isinstance(found, Picky)
    assert found.dataset.title == "wine"


def test_a_full_name_makes_the_same() -> None:
    (random,) = conformance.examples("extraction-arena/random")
    assert random == conformance.examples("random")[0]
    assert random.identity()[0] == "extraction-arena/random"


@pytest.mark.parametrize(
    ("plugin", "parameters", "sentence"),
    [
        ("rondom", {}, r"^unknown plugin 'rondom'; did you mean 'random'"),
        (Exacting, {}, r"needs a value for its parameter 'key' \(the key to it\); .* -p key=VALUE"),
        (
            "label-flip",
            {"rte": 0.1},
            r"^defence label-flip: unknown key 'rte'; did you mean",
        ),
        ("label-flip", {"rate": 2}, r"^defence label-flip: rate should be less than 0.5, not 2$"),
        (Picky, {"dataset": "iris"}, r"^it learns wine alone$"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(plugin: Any, parameters: Any, sentence: str) -> None:
    with pytest.raises(ArenaError, match=sentence):
        conformance.examples(plugin, parameters)


def test_checking_registers_nothing() -> None:
    before = installed()
    conformance.examples(Requiring)
    assert installed() is before
    assert not [p for p in before.plugins if p.name in ("uniform", "pass-on")]


# ---------------------------------------------------------------------------------- parametrize

TEST_FILE = '''
import pytest
from arena import Defense, conformance
from arena.conformance.instances import PassOn

class Fine(PassOn):
    """Does nothing to answers."""
    name = "fine"
    reference = "none"

class Lacking(PassOn):
    """Fails in its own code."""
    name = "lacking"

    def protect(self, victim, rng):
        return self.session[0]

@conformance.parametrize(Fine(), Lacking(), waive={"reference-present": "no paper yet"})
def test_conforms(check):
    check()
'''


def test_pytest_runs_a_case_a_check(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TEST_FILE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", "-n0"]
    done = subprocess.run(
        [*command, "test_mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stdout + done.stderr
    names = [c.name for c in conformance.checks("defense")]
    for plugin in ("fine", "lacking"):
        for name in names:
            assert f"test_conforms[{plugin}-{name}]" in done.stdout
    outcomes = dict(re.findall(r"test_conforms\[(\S+)\] ([A-Z]+)", done.stdout))
    assert outcomes["fine-answers-fit"] == "PASSED"
    assert outcomes["fine-reference-present"] == "SKIPPED"
    assert outcomes["lacking-answers-fit"] == "FAILED"
    assert "waived: no paper yet" in done.stdout
    assert "it answers none of the toys; see answers-fit" in done.stdout
    assert "return self.session[0]" in done.stdout
    assert "'Lacking' object has no attribute 'session'" in done.stdout


def test_pytest_is_imported_by_parametrize_alone(tmp_path: Path) -> None:
    code = """
    import sys
    from arena import conformance
    conformance.report(conformance.check(conformance.examples("none")[0]))
    assert "pytest" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, check=True)


# ------------------------------------------------------------------------------------ the page


def test_the_page_lists_the_checks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    every = {kind: conformance.checks(kind) for kind in ("attack", "defense", "target")}
    shared = [c for c in every["attack"] if c in every["target"]]
    tables = {
        "every plugin": shared,
        "attacks": [c for c in every["attack"] if c not in shared],
        "defences": [c for c in every["defense"] if c not in shared],
        "targets": [c for c in every["target"] if c not in shared],
    }
    for title, checks in tables.items():
        section = re.split(rf"^### Of {title}$", text, flags=re.MULTILINE)[1].split("\n#")[0]
        rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", section, flags=re.MULTILINE)
        assert rows == [(c.name, c.states) for c in checks], title
