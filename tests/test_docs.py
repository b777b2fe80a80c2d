"""What README.md and docs/ show is what the project takes: code, files, keys, commands, links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
import numpy as np
import playground
import pytest
from sites import Site

from arena import REFUSED, Attack
from arena.cli import cli
from arena.match import play
from arena.pairing import plan
from arena.records import Record, Status
from arena.registry import GROUP, Registry, build, load_entry_points
from arena.settings import Settings
from arena.stage import prepare
from arena.tournament import Tournament, load
from arena.yamlmarks import parse

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
SHOWING_PLUGINS = ("README.md", "docs/plugins.md")
STAND_INS = {
    "targets": "targets: [halfspace: {dataset: iris}]",
    "attacks": "attacks: [random]",
}


class Block(NamedTuple):
    """A fenced block: the page and line where it begins, its language, its text."""

    page: str
    line: int
    language: str
    text: str


def blocks(language: str, *pages: str) -> list[Block]:
    return [
        Block(page, PAGES[page].count("\n", 0, m.start()) + 1, language, m[1])
        for page in pages or PAGES
        for m in re.finditer(rf"^```{language}\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)
    ]


def named(block: Block) -> str:
    return f"{block.page}:{block.line}"


def plugins_of(page: str) -> dict[str, str]:
    """Return the source of every plugin that a page shows, by its entry point."""
    (toml,) = blocks("toml", page)
    names = tomllib.loads(toml.text)["project"]["entry-points"][GROUP]
    sources = [block.text for block in blocks("python", page) if "hookimpl\n" in block.text]
    return dict(zip(names, sources, strict=True))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Install the plugins that the pages show, beside those that are installed."""
    path = tmp_path_factory.mktemp("site")
    site = Site(path)
    for page in SHOWING_PLUGINS:
        (toml,) = blocks("toml", page)
        site.add(tomllib.loads(toml.text)["project"]["name"], **plugins_of(page))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield load_entry_points(entry_points(group=GROUP))


# ---------------------------------------------------------------------------------------- code


@pytest.mark.parametrize("block", blocks("python"), ids=named)
def test_python_compiles(block: Block) -> None:
    compile(block.text, named(block), "exec")


@pytest.mark.parametrize("page", SHOWING_PLUGINS)
def test_the_plugins_register_under_their_entry_points(page: str, registry: Registry) -> None:
    for name in plugins_of(page):
        (found,) = registry.called(name)
        described = [field.description for field in found.plugin.model_fields.values()]
        if found.kind == "target":
            described = described[1:]  # Target's own, `reveals`
        assert all(described)


def test_the_attack_of_the_readme_learns(registry: Registry) -> None:
    attack = build(registry, "attack", "probe", {}, None)
    assert isinstance(attack, Attack)
    record = playground.match(attack, budget=60)
    assert record.status is Status.EXHAUSTED
    assert accuracy(record) > 0.8


def test_the_plugins_of_the_page_play_its_tournament(tmp_path: Path, registry: Registry) -> None:
    (block,) = blocks("yaml", "docs/plugins.md")
    tournament = loaded(block, tmp_path, registry).with_(repetitions=1, budget=60)
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


# --------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("block", blocks("yaml"), ids=named)
def test_yaml_is_a_tournament(
    block: Block, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = SimpleNamespace(
        data=np.arange(8.0).reshape(4, 2),
        target=np.array(["yes", "no", "yes", "no"], dtype=object),
        feature_names=["a", "b"],
        categories={},
    )
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda **options: few)
    loaded(block, tmp_path, registry)


def loaded(block: Block, folder: Path, registry: Registry) -> Tournament:
    """Load a block as a file, with stand-ins for the plugins and the data it leaves out."""
    keys = parse(block.text, named(block)).data
    missing = [line for key, line in STAND_INS.items() if key not in keys]
    for data in csv_files(keys):
        path = folder / data["csv"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a,b,{data['label']}\n1,2.5,u\n2,1.5,v\n3,5.5,u\n4,0.5,v\n", "utf-8")
    file = folder / "t.yaml"
    file.write_text("\n".join([block.text, *missing]), encoding="utf-8")
    return load(file, registry)


def csv_files(data: Any) -> Iterator[dict[str, str]]:
    if isinstance(data, dict) and "csv" in data:
        yield data
    for value in (
        data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    ):
        yield from csv_files(value)


# ---------------------------------------------------------------------------------------- keys


def settings(schema: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> Any:
    """Yield the path of every key of a model and of those in it, its schema, whether required."""
    for name, entry in schema["properties"].items():
        yield f"{prefix}{name}", entry, name in schema.get("required", ())
        for inner in re.findall(r"#/\$defs/(\w+)", str(entry)):
            yield from settings(definitions[inner], definitions, f"{prefix}{name}.")


SCHEMA = Settings.model_json_schema()
KEYS = {path: rest for path, *rest in settings(SCHEMA, SCHEMA["$defs"])}
PAGE = "docs/tournament-files.md"


def documented() -> dict[str, tuple[str, str]]:
    """Return the bounds and the default of every key in the page's tables."""
    row = re.compile(r"^\| `([a-z_.]+)` \|.*\| ?([^|]*) \| ?([^|]*) \|$", re.MULTILINE)
    return {m[1]: (m[2].strip(), m[3].strip()) for m in row.finditer(PAGES[PAGE])}


def test_every_key_is_documented_and_no_other() -> None:
    assert sorted(documented()) == sorted(KEYS)


@pytest.mark.parametrize("path", KEYS)
def test_a_key_has_the_bounds_and_the_default_that_the_page_says(path: str) -> None:
    entry, required = KEYS[path]
    bounds, default = documented()[path]
    if required:
        assert default == "required"
    elif path == "name":
        assert default == "the file's stem"
    elif "default" in entry:
        assert parse(default.strip("`"), PAGE).data == entry["default"]
    else:
        assert default == ""
    parts = [entry, *entry.get("anyOf", ())]
    for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems"):
        for part in parts:
            if name in part:
                number = f"{part[name]:,.12g}"
                assert re.search(rf"(?<![\d,.]){number}(?![\d,.]\d)\b", bounds), (name, number)
    for value in entry.get("enum", ()):
        assert f"`{value}`" in bounds


# ---------------------------------------------------------------------------- commands and links


def commands(group: click.Group, prefix: str = "arena") -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{prefix} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")


@pytest.mark.parametrize("command", list(commands(cli)))
def test_every_command_is_mentioned(command: str) -> None:
    assert any(re.search(rf"\b{command}\b", text) for text in PAGES.values())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page]):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
