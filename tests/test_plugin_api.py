"""What docs/plugin-api.md promises: a plugin written for version 1 goes on working."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import surface
from conftest import Runner
from playground import match
from sites import Site

import arena
from arena import catalogue, conformance, vetting
from arena.api import Attack, Kind, Oracle, Target
from arena.learners import recipes
from arena.records import Goal, Status
from arena.registry import OURS, Registry, build, installed
from arena.settings import Grants
from arena.store import Store

ROOT = Path(__file__).parent.parent
FROZEN = ROOT / "tests" / "packages" / "frozen-v1"
SUMS = FROZEN.with_suffix(".sha256")
"""What ``sha256sum`` prints of every file of the plugins that are frozen."""

PAGE = (ROOT / "docs" / "plugin-api.md").read_text(encoding="utf-8")

PLUGINS: dict[tuple[Kind, str], dict[str, Any]] = {
    ("attack", "frozen-probe"): {"batch": 5, "start": "uniform", "limits": [3, 4]},
    ("attack", "frozen-lines"): {},
    ("attack", "frozen-kernel"): {},
    ("attack", "frozen-public"): {"recipe": False},
    ("attack", "frozen-halves"): {"attack": {"frozen-lines": {}}, "others": ["frozen-lines"]},
    ("defense", "frozen-flip"): {"rate": 0.2},
    ("defense", "frozen-once"): {},
    ("defense", "frozen-shift"): {"scale": 0.5},
    ("defense", "frozen-around"): {"defense": {"frozen-flip": {"rate": 0.2}}},
    ("target", "frozen-means"): {"dataset": "wine", "positive": "class_1", "bins": 3},
    ("target", "frozen-level"): {"dataset": "diabetes"},
    ("target", "frozen-rooms"): {"reveals": ["label", "leaf"]},
}
"""Each frozen plugin, with parameters to check it by."""

TOURNAMENT = """\
budget: 40
repetitions: 1
goal: {metric: fidelity, inputs: uniform, reach: [0.6]}
knowledge: {pool: 20, hyperparameters: true, defense: true}
targets:
  - frozen-means: {dataset: iris, reveals: [label, probabilities, score]}
  - arena-frozen-v1/frozen-rooms: {at: 0.25}
  - svm-rbf: {dataset: iris}
defenses: [none, frozen-shift, [frozen-once, frozen-around: {defense: frozen-flip}]]
attacks:
  - frozen-probe
  - frozen-lines
  - frozen-kernel
  - frozen-halves: {attack: {frozen-probe: {near: 0.2}}}
"""


# ----------------------------------------------------------------------- the plugins of version 1


def sums() -> dict[str, str]:
    """Sum every file of the frozen package."""
    files = [FROZEN / "pyproject.toml", FROZEN / "README.md", *(FROZEN / "src").rglob("*.py")]
    return {str(p.relative_to(FROZEN.parent)): sha256(p.read_bytes()).hexdigest() for p in files}


def test_nobody_has_changed_the_frozen_plugins() -> None:
    lines = SUMS.read_text(encoding="utf-8").splitlines()
    kept = {name: total for total, name in (line.split("  ") for line in lines)}
    now = sums()
    changed = sorted(name for name in kept | now if kept.get(name) != now.get(name))
    assert not changed, (
        f"{', '.join(changed)}: these plugins are as authors wrote them "
        "for version 1 of the plugin API, who cannot change theirs. Put the files back and make "
        "arena take them. Where it cannot, raise PLUGIN_API and add frozen-v2 beside frozen-v1, as "
        "docs/plugin-api.md says. Only where a dependency, not arena, forces a change is one due "
        "here, with the new sums"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A folder on ``sys.path`` where the frozen package is installed."""
    path = tmp_path_factory.mktemp("site")
    site = Site(path)
    site.install(FROZEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield site


@pytest.fixture(scope="module")
def registry(site: Site) -> Registry:
    """The frozen plugins and arena's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen = site.registry()
    own = (p for p in installed().plugins if p.distribution == OURS)
    return Registry((*frozen.plugins, *own), frozen.broken)


def test_every_frozen_plugin_is_listed_as_working(registry: Registry) -> None:
    assert registry.broken == ()
    theirs = [p for p in registry.plugins if p.distribution == "arena-frozen-v1"]
    assert {(p.kind, p.name) for p in theirs} == PLUGINS.keys()
    assert {p.api for p in theirs} == {1}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_a_frozen_plugin_conforms(kind: Kind, name: str, registry: Registry) -> None:
    plugin = build(registry, kind, name, PLUGINS[kind, name], None)
    results = conformance.check(plugin)
    assert [r for r in results if r.outcome == "failed"] == []
    assert {r.outcome for r in results} <= {"passed", "skipped"}


@pytest.mark.filterwarnings("error")
def test_frozen_plugins_learn_numbers(registry: Registry) -> None:
    lines = build(registry, "attack", "frozen-lines", {}, None)
    target = build(registry, "target", "frozen-level", {"dataset": "diabetes"}, None)
    assert isinstance(lines, Attack)
    assert isinstance(target, Target)
    goal, all_there_is = Goal("r2", "natural", (0.9,), 400), Grants(pool=20, defense=True)
    record = match(lines, target=target, goal=goal, knowledge=all_there_is)
    assert not record.status.faulty
    assert goal.reached(record.curve[-1].values, 0.9)


def test_frozen_plugins_play_in_cells(run_arena: Runner, site: Site, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(TOURNAMENT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    done = run_arena("run", "t.yaml", "--workers", 1, "--quiet", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    with Store.open(tmp_path / "runs" / "t") as store:
        results = store.results()
    played = [(e, e.record) for e in results.entries if e.record]
    assert {record.status for _, record in played} == {Status.FINISHED, Status.EXHAUSTED}
    reached = {
        e.attack.partition("(")[0]
        for e, record in played
        if any(results.terms.goal.reached(c.values, 0.6) for c in record.curve)
    }
    assert reached >= {name for kind, name in PLUGINS if kind == "attack"}


# -------------------------------------------------------------------- other versions than this one


def test_a_plugin_of_an_older_version_works_and_is_listed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "PLUGIN_API", 2)
    monkeypatch.setattr(catalogue, "PLUGIN_API", 2)
    registry = site.registry()
    assert (len(registry.plugins), registry.broken) == (len(PLUGINS), ())
    told = catalogue.listing(registry).splitlines()
    assert [line for line in told if line.startswith("old: ") and "'frozen-probe'" in line] == [
        "old: 'frozen-probe' of arena-frozen-v1 1.0 is written for plugin API 1, and this arena's "
        "is 2; install a newer version of it"
    ]
    assert sum(line.startswith("old: ") for line in told) == len(PLUGINS)


def test_a_plugin_of_a_version_too_old_is_refused_in_a_sentence(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vetting, "PLUGIN_API", 3)
    monkeypatch.setattr(vetting, "OLDEST_API", 2)
    registry = site.registry()
    assert registry.plugins == ()
    assert {b.reason for b in registry.broken} == {
        "it is written for plugin API 1, and this arena takes none older than 2; install a newer "
        "version of it, or an older extraction-arena"
    }


# ------------------------------------------------------------------------------------ the surface


def test_the_surface_is_as_it_was() -> None:
    before, now = surface.kept(), surface.surface()
    name = surface.path().name
    diff = "\n".join(unified_diff(before, now, name, "the code", lineterm="", n=0))
    faults = "\n".join(surface.broken(before, now))
    assert not faults, f"this breaks plugins:\n{faults}\n{surface.MEND}"
    assert not diff, f"new, and breaks no plugin; to add it: python tests/surface.py\n{diff}"


@dataclass(frozen=True)
class Other:
    """What stands in for a class of arena."""

    label: int = 0


def fitted(knowledge: Any, X: Any, y: Any, rng: Any, weights: Any, more: Any = None) -> Any:
    """Stand in for a function whose parameter has lost its default."""


@pytest.mark.parametrize(
    ("where", "name", "other", "fault"),
    [
        (arena, "Answer", Other, "-Answer: field 1, probabilities: "),
        (arena, "Answer", None, "-Answer: class"),
        (arena, "REFUSED", -2, "-REFUSED: -1"),
        (arena, "FIELDS", ("label", "score"), "-FIELDS: 1, 'probabilities'"),
        (arena, "FAMILIES", arena.FAMILIES - {"tree"}, "-FAMILIES: holds 'tree'"),
        (recipes, "fit", fitted, "-recipes.fit: parameter 4, weights: Floats | None = None"),
        (recipes, "fit", fitted, "+recipes.fit: parameter 4, weights: Any (required)"),
        (Oracle, "__abstractmethods__", {"ask"}, "-Oracle: property spent -> int (required)"),
        (Attack, "needs", ({"score"},), "-Attack: attribute needs: ClassVar[Needs] = ({'label'})"),
        (surface, "GROUP", "arenas", "-entry points: group arena"),
        (surface, "RESERVED", "labels", "+reserved name: labels"),
    ],
)
def test_a_change_of_the_surface_is_a_fault(
    where: Any, name: str, other: Any, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = surface.surface()
    monkeypatch.setattr(where, name, other)
    faults = surface.broken(before, surface.surface())
    assert [line for line in faults if line.startswith(fault)]


def test_what_is_new_and_optional_is_no_fault() -> None:
    before = ["Answer: class", "Answer: field 0, label: Labels (required)"]
    more = [
        "Answer: field 1, more: Floats | None = None",
        "Answer: method more",
        "Answer.more: parameter 0, name: str (required)",
        "FIELDS: 5, 'more'",
    ]
    assert surface.broken(before, [*before, *more]) == []
    assert surface.broken(before, [*before, "Answer: field 1, more: Floats (required)"])


def test_the_command_adds_and_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(surface, "PACKAGES", tmp_path)
    assert surface.main() == 0
    assert surface.kept() == surface.surface()
    monkeypatch.setattr(arena, "FIELDS", ("label",))
    assert surface.main() == 1
    assert "FIELDS: 1, 'probabilities'" in surface.kept()
    assert "-FIELDS: 1, 'probabilities'\n" in capsys.readouterr().err


def used(path: Path) -> Iterator[str]:
    """Yield the names of arena that a file imports, and those it takes from modules of arena."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [*ast.walk(tree)]
    imported = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "arena"
        for alias in node.names
    }
    yield from imported - surface.MEMBERS.keys()
    for node in nodes:
        match node:
            case ast.Attribute(ast.Name("arena"), name):
                yield name
            case ast.Attribute(ast.Name(module), name) if module in imported:
                if module in surface.MEMBERS:
                    yield f"{module}.{name}"


def test_what_arenas_own_plugins_and_the_examples_use_is_promised() -> None:
    promised = {re.split(r"[: ]", line)[0] for line in surface.surface()}
    files = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "examples").rglob("src/**/*.py")]
    names = {name: path.name for path in files for name in used(path)}
    assert len(names) > 30
    assert {name: file for name, file in names.items() if name not in promised} == {}


@pytest.mark.parametrize("module", surface.MEMBERS)
def test_the_page_names_what_is_promised_of_a_module(module: str) -> None:
    (row,) = re.findall(rf"^\| `{module}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert tuple(sorted(re.findall(r"`(\w+)`", row))) == tuple(sorted(surface.MEMBERS[module]))
