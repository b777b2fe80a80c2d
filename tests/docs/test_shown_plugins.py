"""The plugins that README.md and docs/plugins.md show are found, play and learn."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import playground
import pytest
from pages import blocks
from sites import Site
from walkthrough import plugins_shown

from arena import REFUSED, Attack
from arena.match import play
from arena.pairing import plan
from arena.records import Record, Status
from arena.registry import GROUP, Registry, build, load_entry_points
from arena.stage import prepare
from arena.tournament import load

PAGES = ("README.md", "docs/plugins.md")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Install the plugins that the pages show, beside those that are installed."""
    path = tmp_path_factory.mktemp("site")
    for page in PAGES:
        distribution, sources = shown(page)
        Site(path).add(distribution, **sources)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield load_entry_points(entry_points(group=GROUP))


def shown(page: str) -> tuple[str, dict[str, str]]:
    found = plugins_shown(blocks(None, page))
    assert found is not None
    return found


@pytest.mark.parametrize("page", PAGES)
def test_they_register_under_their_entry_points(page: str, registry: Registry) -> None:
    for name in shown(page)[1]:
        (found,) = registry.called(name)
        assert all(field.description for field in found.plugin.model_fields.values())


def test_the_attack_of_the_readme_learns(registry: Registry) -> None:
    attack = build(registry, "attack", "probe", {}, None)
    assert isinstance(attack, Attack)
    record = playground.match(attack, budget=60)
    assert record.status is Status.EXHAUSTED
    assert accuracy(record) > 0.8


def test_the_plugins_of_the_page_play_its_tournament(tmp_path: Path, registry: Registry) -> None:
    (block,) = blocks("yaml", "docs/plugins.md")
    file = tmp_path / "t.yaml"
    file.write_text(block.text, encoding="utf-8")
    tournament = load(file, registry).with_(repetitions=1, budget=60)
    specs = [s for s in plan(tournament) if not s.attack.plugin.baseline]
    stage = prepare(specs[0].training)
    records = {(s.attack.label, s.defense.label): play(s, stage, "build")[0] for s in specs}
    assert len(records) == 4
    assert {record.status for record in records.values()} <= {Status.FINISHED, Status.EXHAUSTED}
    assert accuracy(records["nearest", "none"]) > 0.7


def test_the_defence_of_the_page_refuses_what_comes_again(registry: Registry) -> None:
    victim = playground.Toy().train(np.random.default_rng(0))
    defense: Any = build(registry, "defense", "once", {}, None)
    sessions = [defense.protect(victim, np.random.default_rng(0))]
    oracle = playground.door(victim, sessions=sessions)
    X = victim.domain.sample(3, np.random.default_rng(1))
    first, again = oracle.ask(X).label, oracle.ask(X[:2]).label
    assert first is not None
    assert again is not None
    assert REFUSED not in first
    assert (again == REFUSED).all()


def accuracy(record: Record) -> float:
    """Return the fidelity of the last surrogate on uniform inputs."""
    value = record.final["fidelity uniform"]
    assert value is not None
    return value
