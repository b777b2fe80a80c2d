"""YAML in: YAML 1.2's values, every node's place, and one sentence for what cannot be read."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.errors import ArenaError
from arena.yamlmarks import parse


def data(text: str) -> Any:
    return parse(text, "t.yaml").data


def complaint(text: str) -> str:
    with pytest.raises(ArenaError) as error:
        parse(text, "t.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1e3),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("-12", -12),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("Null", None),
        ("-.inf", -math.inf),
        (".Inf", math.inf),
        ("1e999", math.inf),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("٣", "٣"),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: Any) -> None:
    found = data(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan_empty_values_and_block_scalars() -> None:
    assert math.isnan(data("a: .nan")["a"])
    assert data("a:\nb: |\n  1\n") == {"a": None, "b": "1\n"}
    assert data("") is None
    assert data("# nothing\n") is None


def test_keys_are_texts_as_they_are_written() -> None:
    assert data("on: 1\n3: 2\ntrue: 3\n~: 4") == {"on": 1, "3": 2, "true": 3, "~": 4}


def test_anchors_are_read_anew_wherever_they_are_used() -> None:
    document = parse("a: &x {b: [1]}\nc: *x\n", "t.yaml")
    assert document.data == {"a": {"b": [1]}, "c": {"b": [1]}}
    assert document.data["a"] is not document.data["c"]
    assert document.mark(("c", "b", 0)) == (1, 12)


def test_every_key_and_value_has_a_mark() -> None:
    document = parse("a: 1\nb:\n  - x: {y: 2}\n    z:\n", "t.yaml")
    assert document.mark(("a",)) == (1, 4)
    assert document.mark(("a",), key=True) == (1, 1)
    assert document.mark(("b", 0)) == (3, 5)
    assert document.mark(("b", 0, "x", "y")) == (3, 12)
    assert document.mark(("b", 0, "x", "y"), key=True) == (3, 9)
    assert document.mark(("b", 0, "z")) == (4, 7)


def test_what_is_absent_is_marked_where_it_would_be() -> None:
    document = parse("a: {b: 1}\n", "t.yaml")
    assert document.mark(("a", "c", 0, "d")) == (1, 4)
    assert document.mark(("nowhere",), key=True) == (1, 1)
    assert document.at(("a", "b")) == 1
    assert document.at(("a", "b", 0)) is None
    assert document.at(("a", "c")) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 2", "2:1: key 'a' stands twice; keep one of them"),
        ("x: {b: 1, 'b': 2}", "1:11: key 'b' stands twice; keep one of them"),
        ("? [a]\n: 1", "1:3: a key must be a plain word"),
        ("? \n: 1", "1:2: a key must be a plain word"),
        ("!!int 3: 1", "1:1: a key must be a plain word"),
        ("a: &x {b: 1}\nc: {<<: *x}", "2:5: YAML 1.2 has no merge key '<<'; write the keys out"),
        ("a: &x [*x]", "1:4: an anchor contains itself; write the value out"),
        ("a: &x {b: *x}", "1:4: an anchor contains itself; write the value out"),
        ("a: *x", "1:4: alias '*x' has no anchor '&x' before it; add one"),
        ("a: !foo b", "1:4: tag '!foo' has no meaning here; remove it"),
        (
            "a: !!python/object:os.system x",
            "1:4: tag '!!python/object:os.system' has no meaning here; remove it",
        ),
        ("a: !!int 5", "1:4: tag '!!int' has no meaning here; remove it"),
        ("a: !!set {b}", "1:4: tag '!!set' has no meaning here; remove it"),
        ("a:\n\tb: 1", "2:1: a tab stands where only spaces may; indent with spaces"),
        (
            "a: b: c",
            "1:5: a ':' stands where no key can be; put a text that holds ': ' in quotes",
        ),
        ("a: 1\n---\nb: 1", "2:1: a second document begins; write one tournament a file"),
        ("\na: [1\n", "3:1: a ',' or the ']' that closes line 2 is missing; add it"),
        ("a: {b: 1\nc: 2}", "2:2: a ',' or the '}' that closes line 1 is missing; add it"),
        ("a: 'b\n", "2:1: the quote of line 1 is never closed; close it"),
        ("a: 1\nb\n", "3:1: a ':' is missing after a key; add it"),
        ("a: 1\n  b: 2", "2:4: a ':' stands where no key can be"),
        ("a:\n  - 1\n b: 2", "3:2: the indentation does not fit the lines above"),
        ("a: @b", "1:4: a text that begins with '@' must stand in quotes"),
        ("a: %b", "1:4: a text that begins with '%' must stand in quotes"),
        ("a: b\0", "1:5: character U+0000 is not allowed in YAML; remove it"),
        ("a: 1\r\nb: \x07", "2:4: character U+0007 is not allowed in YAML; remove it"),
        ('a: "\\0"', "1:4: an escape gives no Unicode character; remove it"),
        ('a: "\\ud800"', "1:4: an escape gives no Unicode character; remove it"),
        ("a: " + 400 * "1", "1:4: a number of 400 digits is too long"),
        ("a: " + 60 * "[" + 60 * "]", "1:54: nested too deeply to be read; flatten it"),
        ("%YAML 3.0\n---\na: 1", "1:1: not valid YAML: found incompatible YAML document"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_at_its_place(text: str, sentence: str) -> None:
    found = complaint(text)
    assert found.startswith(f"t.yaml:{sentence}")
    assert "\n" not in found


def test_nesting_that_would_exhaust_the_composer_is_a_sentence() -> None:
    for text in (20_000 * "[", 20_000 * "- ", 20_000 * "? "):
        assert re.fullmatch(
            r"t.yaml:1:\d+: nested too deeply to be read; flatten it", complaint(text)
        )


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert "the file holds more than 100,000 values; use fewer aliases" in complaint(
        "\n".join(lines)
    )


TEXTS = st.text(max_size=20).filter(lambda text: "\0" not in text)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_json_reads_as_itself(tree: Any) -> None:
    # C1 controls and DEL may stand raw in JSON, and not in YAML.
    text = json.dumps(tree).replace("\x7f", "\\u007f")
    assert data(text) == tree


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_marks_point_at_what_they_mark(tree: Any) -> None:
    text = json.dumps(tree, indent=1).replace("\x7f", "\\u007f")
    lines = text.split("\n")
    document = parse(text, "t.yaml")

    def check(value: Any, path: tuple[str | int, ...]) -> None:
        line, column = document.mark(path)
        scalar = json.dumps(value).replace("\x7f", "\\u007f")
        begin = "{" if isinstance(value, dict) else "[" if isinstance(value, list) else scalar
        assert lines[line - 1][column - 1 :].startswith(begin)
        for key, inner in _items(value):
            check(inner, (*path, key))

    check(tree, ())


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        alphabet=st.characters() | st.sampled_from("ab:- \n\t[]{},&*!|>'\"%@#?~<1."), max_size=40
    )
)
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    problem = ""
    try:
        parse(text, "t.yaml")
    except ArenaError as error:
        problem = str(error)
    assert re.fullmatch(r"|t\.yaml(:\d+:\d+)?: .+", problem)


@pytest.mark.parametrize("text", ["a: 1\nb: [x, {c: 2.5}]", "- 1\n- 'x'", "a: &q [1]\nb: *q"])
def test_plain_documents_read_as_pyyaml_reads_them(text: str) -> None:
    assert data(text) == yaml.safe_load(text)
