"""Every block of README.md and docs/ is run, or says why it is not."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pages import PAGES, Block, blocks, named
from sites import Site
from walkthrough import Walkthrough, plugins_shown, write_missing_data

from arena.registry import GROUP, Registry, load_entry_points
from arena.tournament import load
from arena.yamlmarks import parse

RUN = {"python", "sh", "yaml"}
READ = {"toml", "csv", "text", ""}
"""What a page shows and nobody runs: metadata, data, output and drawings."""

STAND_INS = {
    "targets": "targets: [halfspace: {dataset: iris}]",
    "attacks": "attacks: [random]",
}

NOT_RUN = {
    # minutes; tests/test_readme.py compares its board
    ("README.md", "play"),
    # this is what it runs; .ci/run types it
    ("README.md", "test"),
    # docs/tutorial/first-attack.md is run, with the same commands
    ("README.md", "arena new attack my-idea"),
    ("docs/plugins.md", "not run: docs/tutorial/first-attack.md is, with the same commands"),
    ("docs/conformance.md", "not run: my_package stands for yours"),
    ("docs/index.md", "not run: installs from an index; README.md is tested with the same"),
    ("docs/replays/README.md", "not run: takes half an hour; README.md has the same commands"),
    ("docs/trust.md", "not run: needs Podman and a network"),
}
"""What is not run, by its note or its first command; what joins it is put here by hand."""

PLAYED = [p for p in PAGES if any(b.language in RUN - {"yaml"} for b in blocks(None, p))]
TUTORIAL = [p for p in PLAYED if p.startswith("docs/tutorial/")]


def test_every_block_is_in_a_language_that_is_run_or_needs_not_be() -> None:
    assert {block.language for block in blocks()} <= RUN | READ


def test_no_other_block_is_left_out() -> None:
    assert {(block.page, _known_by(block)) for block in blocks() if _left_out(block)} == NOT_RUN


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PLAYED if p not in TUTORIAL])
def test_a_page_does_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(page, tmp_path, monkeypatch, full=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIAL)
def test_a_tutorial_prints_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(page, tmp_path, monkeypatch, full=True)


def follow(page: str, folder: Path, patch: pytest.MonkeyPatch, full: bool) -> None:
    walkthrough = Walkthrough(folder, full)
    shown = plugins_shown(blocks(None, page))
    if shown is not None:
        walkthrough.install(*shown)
    patch.chdir(walkthrough.work)
    for block in blocks(None, page):
        if not _left_out(block):
            walkthrough.follow(block)


def _left_out(block: Block) -> bool:
    return block.kind == "not run" or (block.page, _known_by(block)) in NOT_RUN


def _known_by(block: Block) -> str:
    return block.note or block.text.partition("\n")[0].partition("#")[0].strip()


# ---------------------------------------------------------------------------------- tournaments


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Install the plugins that the pages show, beside those that are installed."""
    path = tmp_path_factory.mktemp("site")
    for page in PAGES:
        shown = plugins_shown(blocks(None, page))
        if shown is not None:
            Site(path).add(shown[0], **shown[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield load_entry_points(entry_points(group=GROUP))


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if not b.note], ids=named)
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
    keys = parse(block.text, named(block)).data
    write_missing_data(keys, tmp_path)
    left = [line for key, line in STAND_INS.items() if key not in keys]
    file = tmp_path / "t.yaml"
    file.write_text("\n".join([block.text, *left]), encoding="utf-8")
    load(file, registry)
