"""A build changes with what plays, and with nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playground import tournament

from arena import Attack, Dataset
from arena.build import _hash, forget_sources, libraries, match_build, training_build
from arena.pairing import MatchSpec, plan
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.none import NoDefense
from arena_plugins.targets.logistic import Logistic

IRIS = Logistic(dataset=Dataset(name="iris"))

ATTACK = '''
from arena import Attack
from mypkg import helpers
from mypkg.numbers import STEP


class Mine(Attack):
    """Mine."""

    name = "mine"

    def extract(self, oracle, rng):
        from .lazy import surrogate

        yield surrogate(STEP, helpers.twice)
'''
FILES = {
    "__init__.py": "",
    "attack.py": ATTACK,
    "numbers.py": "STEP = 3\n",
    "helpers.py": "from mypkg.deep import DEEP\n\ndef twice(x):\n    return 2 * x\n",
    "deep.py": "DEEP = 1\n",
    "lazy.py": "import mypkg.deepest\n\ndef surrogate(*given):\n    return given\n",
    "deepest.py": "",
    "bystander.py": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "mypkg"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypkg"]:
        del sys.modules[name]
    forget_sources()


def spec(attack: Attack) -> MatchSpec:
    return plan(tournament([attack], [NoDefense()], [IRIS]))[0]


@pytest.fixture
def build(package: Path) -> Callable[[], str]:
    mine = importlib.import_module("mypkg.attack").Mine()

    def made() -> str:
        forget_sources()
        return match_build(spec(mine))

    return made


@pytest.mark.parametrize("name", [n for n in FILES if n not in ("bystander.py", "__init__.py")])
def test_every_source_that_plays_counts(build: Callable[[], str], package: Path, name: str) -> None:
    before = build()
    assert build() == before
    path = package / name
    path.write_text(path.read_text() + "# changed\n")
    assert build() != before
    path.write_text(FILES[name])
    assert build() == before


def test_what_does_not_play_does_not_count(build: Callable[[], str], package: Path) -> None:
    before = build()
    (package / "bystander.py").write_text("x = 1\n")
    (package / "new.py").write_text("x = 1\n")
    assert build() == before


def test_libraries_count(build: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = build()
    monkeypatch.setattr("arena.build.libraries", lambda: {**libraries(), "numpy": "0.1"})
    assert build() != before


def test_a_target_is_trained_by_its_own_build(build: Callable[[], str], package: Path) -> None:
    mine = spec(importlib.import_module("mypkg.attack").Mine())
    before = build(), training_build(mine.training)
    (package / "numbers.py").write_text("STEP = 4\n")
    assert build() != before[0]
    assert training_build(mine.training) == before[1]


def test_the_referee_counts_and_boards_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    t = tournament([LineSearch()], [LabelFlip(rate=0.1)], [IRIS])
    read: list[str] = []
    monkeypatch.setattr("arena.build._file_hash", lambda file: read.append(Path(file).name) or "")
    forget = _hash.cache_clear
    forget()
    match_build(plan(t)[0])
    forget()
    assert {"match.py", "oracle.py", "metrics.py", "scoring.py", "stage.py", "domain.py"} <= {*read}
    assert {"line_search.py", "label_flip.py", "logistic.py", "rowwise.py", "splits.py"} <= {*read}
    others = {
        "__init__.py",
        "boards.py",
        "cli.py",
        "store.py",
        "engine.py",
        "registry.py",
        "eat.py",
    }
    assert not others & {*read}
