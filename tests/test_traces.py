"""A plugin's traceback begins in its author's file; what arena adds stands apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import misbehaving
import numpy as np
import playground
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from sites import Site

from arena import Attack, Defense, Oracle, Surrogate, Target
from arena.engine import play
from arena.inspection import match_page
from arena.store import Store
from arena.traces import authors, failure, innermost, listening, place, raised, whole

HERE = __file__


class Asks(Attack):
    """Asks what is no matrix."""

    name = "asks"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        oracle.ask(np.zeros(3))
        yield playground.Guess(0)


class Clumsy(Attack):
    """Proposes what does not predict."""

    name = "clumsy"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield Stumbles()


class Stumbles:
    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        raise KeyError("lost")


def files(text: str) -> list[str]:
    """Return the files of a traceback's frames, in order."""
    return [line.split('"')[1] for line in text.splitlines() if line.startswith('  File "')]


@pytest.mark.parametrize("isolation", ["none", "cell"])
@pytest.mark.parametrize("attack", [Asks(), Clumsy(), misbehaving.Raises(what="error")])
def test_a_failed_attacks_trace_begins_in_its_file(
    attack: Attack, isolation: str, tmp_path: Path
) -> None:
    t = playground.tournament([attack], isolation=isolation)
    entry = play(t, tmp_path, workers=1).entries[0]
    assert entry.record is not None
    with Store.open(tmp_path) as store:
        page = match_page(store, entry.record.match, True)
        long = match_page(store, entry.record.match, True, debug=True)
    own = str(Path(HERE).with_name("misbehaving.py")) if attack.name == "raises" else HERE
    assert set(files(page)) == {own}
    assert "arena/" in files(long)[0]
    assert own in files(long)


@pytest.mark.parametrize(
    ("defense", "target"),
    [
        (misbehaving.BadDefense(how="protect"), playground.Toy()),
        (misbehaving.BadDefense(how="later-raises"), playground.Toy()),
        (playground.Open(), misbehaving.Fragile()),
        (playground.Open(), misbehaving.BadTarget(how="raises")),
    ],
)
def test_so_does_a_defences_and_a_targets(defense: Defense, target: Target, tmp_path: Path) -> None:
    t = playground.tournament([playground.Fitter()], [defense], [target])
    entry = play(t, tmp_path, workers=1).entries[0]
    assert entry.record is not None
    with Store.open(tmp_path) as store:
        page = match_page(store, entry.record.match, True)
    assert files(page)[0].endswith("misbehaving.py")


def test_a_broken_plugins_place_is_in_its_own_file(site: Site) -> None:
    site.add("pack", raising="import json\n\njson.loads('{')\n", misspelt="x = 1\ny = = 2\n")
    broken = {b.entry_point: b for b in site.registry().broken}
    for name, line in (("raising", 3), ("misspelt", 2)):
        file, _, number = broken[name].place.rpartition(":")
        assert Path(file).parent == site.path
        assert int(number) == line
        assert broken[name].place in broken[name].told
        assert "importlib" not in authors(broken[name].traceback)
    assert "importlib" in whole(broken["raising"].traceback)


def caught(attack: Attack) -> tuple[BaseException, str]:
    """Play a match that fails; return what a debugger is shown, and its trace."""
    shown: list[BaseException] = []
    with listening(shown.append):
        _, _, _, diagnostics = playground.staged(attack)
    (error,) = shown
    return error, diagnostics.traceback


def test_a_debugger_is_shown_the_authors_frame() -> None:
    error, _ = caught(Clumsy())
    last = innermost(raised(error))
    assert last is not None
    assert last.tb_frame.f_code.co_name == "predict"
    assert place(error) == f"{HERE}:{last.tb_lineno}"


def test_nobody_listens_afterwards() -> None:
    error, _ = caught(Asks())
    shown: list[BaseException] = []
    with listening(shown.append):
        pass
    failure(error)
    assert not shown


def test_what_arena_raises_by_itself_has_no_frame_of_an_author() -> None:
    error, text = caught(misbehaving.YieldsNothing())
    assert innermost(error) is None
    assert authors(text).splitlines() == [
        "arena.snapshots.RuleBroken: ends without proposing a surrogate; yield at least one"
    ]
    assert place(error) == ""
