"""The site builds offline and strictly, brings all that it shows, and its links lead somewhere."""

from __future__ import annotations

import re
import socket
from html import unescape
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from pages import PAGES, ROOT

from arena.cli import cli
from arena.registry import OURS, installed

FETCHED = r"""(?:src=|<link[^>]*href=|url\(|@import )["']?(?:https?:)?//[^"') ]*"""
"""What a browser would load from elsewhere."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made as ``mkdocs build --strict`` makes it, without a network."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _refused)
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


def _refused(*_: object) -> None:
    raise AssertionError("the build connects to something")


def text_of(page: Path) -> str:
    """Return what a page says."""
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_page_is_built(built: Path) -> None:
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    expected = {re.sub(r"README\.md$", "index.md", page).removesuffix(".md") for page in pages}
    found = {str(path.relative_to(built).with_suffix("")) for path in built.rglob("*.html")}
    assert found - {"404", "search"} == expected


def test_nothing_is_fetched_from_elsewhere(built: Path) -> None:
    for path in built.rglob("*"):
        if path.suffix in (".html", ".css"):
            assert re.findall(FETCHED, path.read_text(encoding="utf-8")) == [], path


def test_the_reference_has_every_command_and_option(built: Path) -> None:
    text = text_of(built / "reference" / "commands.html")
    assert "as the site is built" not in text
    for command in cli.commands.values():
        assert f"Usage: arena {command.name}" in text
        for parameter in command.params:
            assert all(name in text for name in parameter.opts if name.startswith("--"))


def test_the_reference_has_every_plugin_and_parameter(built: Path) -> None:
    text = " ".join(text_of(built / "reference" / "plugins.html").split())
    for plugin in installed().plugins:
        if plugin.distribution == OURS:
            assert plugin.plugin.summary().replace("``", "") in text
            for field in plugin.plugin.model_fields.values():
                assert " ".join(str(field.description).split()) in text


def test_the_reference_has_what_a_class_says(built: Path) -> None:
    text = " ".join(text_of(built / "reference" / "classes.html").split())
    assert "each is one query, billed before it is answered" in text
    assert "def " not in text


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page]):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
