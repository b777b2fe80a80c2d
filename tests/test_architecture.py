"""The shape of the house: what imports what, how long a module may be, one file one plugin."""

from __future__ import annotations

import ast
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import arena
from arena.registry import installed

ROOT = Path(__file__).parent.parent
LONGEST = 400
LONGER = {"arena.api": 500}
"""What a plugin author reads is kept in one place."""

ORDER = (
    *("errors", "traces", "points", "yamlmarks", "records", "settings", "seeds"),
    *("domain", "answers", "rowwise", "linear", "tables", "datasets"),
    *("api", "hookspecs", "vetting", "disabling", "registry", "splits", "learners"),
    *("catalogue", "schema", "mistakes", "levels", "requires"),
    *("tournament", "arguments", "pairing"),
    *("metrics", "snapshots", "meter", "oracle", "proposals", "isolation"),
    *("watching", "stage", "scoring", "match", "worker", "pools", "conformance"),
    *("build", "store", "engine"),
    *("floors", "ert", "standings", "layout", "wording", "duels", "boards"),
    *("scaffold", "packages", "plot", "sketch", "inspection", "forecast", "progress"),
    *("debugging", "single", "cli"),
)
"""A module imports only from those before it, within functions too; learners are one layer."""

PACKAGES = {
    "arena",
    *(f"arena.{p}" for p in ("bundled", "conformance", "isolation", "learners", "templates")),
}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "arena").rglob("*.py")
}
PLUGINS = [p for p in (ROOT / "plugins").rglob("*.py") if p.name != "__init__.py"]


def imports(path: Path) -> set[str]:
    """Return every module a file imports; of ``from m import n``, ``m.n`` where that is one."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in inner}
    return found


def layer(module: str) -> str:
    """Return the part of a module's name that ``ORDER`` lists."""
    return module.split(".")[1] if "." in module else ""


def ours(name: str) -> set[str]:
    """Return the modules of arena that one of them imports."""
    return {m for m in imports(FILES[name]) if m.split(".")[0] == "arena"}


def test_every_module_has_its_place_in_the_order() -> None:
    assert set(ORDER) == {layer(name) for name in FILES.keys() - PACKAGES}
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("name", sorted(FILES.keys() - PACKAGES))
def test_a_module_imports_only_from_those_before_it(name: str) -> None:
    before = {
        *ORDER[: ORDER.index(layer(name))],
        *({"learners", "isolation", "conformance", "cli"} & {layer(name)}),
    }
    assert {layer(module) for module in ours(name)} <= before


def test_learners_import_each_other_without_a_circle() -> None:
    graph = {name: ours(name) for name in FILES if layer(name) == "learners"}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_engine_knows_no_plugin_and_no_module_is_long(name: str) -> None:
    assert not {m for m in imports(FILES[name]) if m.split(".")[0] == "arena_plugins"}
    lines = len(FILES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(name, LONGEST)


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_imports_from_the_public_names_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "arena":
            assert node.module == "arena"
            assert {alias.name for alias in node.names} <= set(arena.__all__)
        if isinstance(node, ast.Import):
            assert not {a.name for a in node.names if a.name.split(".")[0] == "arena"}
    assert not {m for m in imports(path) if m.split(".")[0] == "arena_plugins"}


def test_every_public_name_is_there() -> None:
    assert sorted(arena.__all__) == sorted(set(arena.__all__))
    for name in arena.__all__:
        assert getattr(arena, name) is not None
    with pytest.raises(AttributeError, match=r"module 'arena' has no attribute 'nothing'"):
        _ = arena.nothing


def test_one_file_is_one_plugin_and_one_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["arena"]
    files = {
        ".".join(("arena_plugins", *path.relative_to(ROOT / "plugins").with_suffix("").parts))
        for path in PLUGINS
    }
    assert sorted(points.values()) == sorted(files)
    built_in = [p for p in installed().plugins if p.distribution == project["name"]]
    assert {p.name: p.module for p in built_in} == points
    assert len(built_in) == len(points)


def test_a_plugin_lies_in_the_folder_of_its_kind() -> None:
    for plugin in installed().plugins:
        if plugin.distribution == "extraction-arena":
            assert plugin.module.split(".")[1] == f"{plugin.kind}s"
