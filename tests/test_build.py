"""A build changes with what plays, and with nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from zipfile import ZipFile

import pytest
from playground import tournament

import arena
from arena import Attack, Dataset
from arena.build import _hash, _imports, forget_sources, libraries, match_build, training_build
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
    source = arena.build._source.__wrapped__

    def spy(module: str) -> bytes | None:
        read.append(f"{module.rpartition('.')[2]}.py")
        found: bytes | None = source(module)
        return found

    monkeypatch.setattr("arena.build._source", spy)
    for function in (_hash, _imports):
        function.cache_clear()
    match_build(plan(t)[0])
    _hash.cache_clear()
    assert {"match.py", "oracle.py", "metrics.py", "scoring.py", "stage.py", "domain.py"} <= {*read}
    assert {"line_search.py", "label_flip.py", "logistic.py", "rowwise.py", "splits.py"} <= {*read}
    others = {
        "arena.py",
        "boards.py",
        "cli.py",
        "store.py",
        "engine.py",
        "registry.py",
        "eat.py",
    }
    assert not others & {*read}


def test_a_base_class_of_another_distribution_counts(
    build: Callable[[], str], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heir = "import mypkg.attack\n\nclass Heir(mypkg.attack.Mine):\n    name = 'heir'\n"
    (package.parent / "heirs.py").write_text(heir)
    mine = importlib.import_module("heirs").Heir()
    monkeypatch.delitem(sys.modules, "heirs")
    before = match_build(spec(mine))
    path = package / "attack.py"
    path.write_text(path.read_text() + "# changed\n")
    forget_sources()
    assert match_build(spec(mine)) != before


def test_a_compiled_module_counts(build: Callable[[], str], package: Path) -> None:
    (package / "helpers.py").write_text("from mypkg import fast\n")
    compiled = package / f"fast{EXTENSION_SUFFIXES[0]}"
    compiled.write_bytes(b"\x7fELF\0\xff")
    before = build()
    compiled.write_bytes(b"\x7fELF\0\xfe")
    assert build() != before


def test_what_does_not_import_is_read_and_not_run(build: Callable[[], str], package: Path) -> None:
    (package / "helpers.py").write_text("from mypkg import cuda\nfrom mypkg.sub import x\n")
    (package / "cuda.py").write_text("raise RuntimeError('no device')\n")
    (package / "sub").mkdir()
    (package / "sub" / "__init__.py").write_text("raise RuntimeError('no device')\n")
    before = build()
    (package / "cuda.py").write_text("raise RuntimeError('none at all')\n")
    assert build() != before


def test_a_plugin_in_an_archive_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zipped.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("zipped.py", ATTACK.replace("from mypkg", "# from mypkg"))
    monkeypatch.syspath_prepend(str(path))
    mine = importlib.import_module("zipped").Mine()
    monkeypatch.delitem(sys.modules, "zipped")
    forget_sources()
    assert arena.build._source("zipped") == ATTACK.replace("from mypkg", "# from mypkg").encode()
    assert match_build(spec(mine))
