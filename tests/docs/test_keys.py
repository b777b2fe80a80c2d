"""The page on tournament files has every key, with its bounds and its default."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pages import PAGES

from arena.settings import Settings
from arena.yamlmarks import parse


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
