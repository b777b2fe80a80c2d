"""Tournament files that nobody would write: each is valid, or explained line by line."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toys
import yaml
from fuzzing import explore, few_or_many
from hypothesis import strategies as st

from arena.errors import ArenaError
from arena.registry import Registry, installed
from arena.tournament import load

TOYS = toys.registry()
TOURNAMENTS = Path(__file__).parent.parent / "tournaments"

SAMPLE = {
    "name": "x",
    "seed": 1,
    "repetitions": 2,
    "budget": 10,
    "price": 0.5,
    "checkpoints": 1.5,
    "goal": {"metric": "fidelity", "inputs": "uniform", "reach": [0.5, 0.9], "size": 4000},
    "knowledge": {"hyperparameters": True, "pool": 0, "defense": False},
    "utility_floor": 0.5,
    "limits": {"wall": 2.5, "cpu": 3, "memory": 64, "files": 16, "output": 1},
    "isolation": "none",
    "retrain": False,
    "published": {
        "source": "Ours et al.",
        "figures": [
            {"target": "w", "defense": "none", "attack": "base", "queries": 3, "goal": 0.9}
        ],
    },
    "targets": ["box", {"box": {"width": 3}, "label": "w"}],
    "defenses": ["none", [{"noise": {"rate": 0.1}}, "mute"], {"twice": {"defense": "none"}}],
    "attacks": [
        "probe",
        {"repeat": {"attack": {"probe": {"size": 4, "rows": [1]}}, "times": 3}},
        {"mixed": {"attacks": ["scorer"], "spare": {"probe": {"inner": {"x": 1, "y": 2.0}}}}},
    ],
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["probe", "box", "none", "repeat", "secret", "label", "cell", [], {}, [[]]]),
    st.sampled_from([{"probe": {"size": 0}}, {"repeat": {"attack": {"x": 1}}}, {"label": "a"}]),
    st.sampled_from(
        [{"csv": "", "label": "y"}, {"csv": "/dev/zero", "label": 1}, {"name": "pima"}]
    ),
)
SLIPS = st.one_of(
    st.text(alphabet=st.sampled_from(" \n\t:-[]{},&*!'\"#0a.~?|>%@`\\"), max_size=3),
    st.sampled_from(
        ["1e999", ".nan", "0x", "0o8", "&a ", "*a", "<<: *a", "!!python/object:os.system ", "---"]
    ),
    st.sampled_from(["\0", "\ufeff", "\u2028", "\ud800", "\x1b[2J", '"\\ud800"', "..."]),
    st.sampled_from(["9" * 400, "[" * 60, "[" * 3000, "{a: " * 60, "- " * 3000, "label: ", "? "]),
)
LINE = re.compile(r".*t\.yaml:[1-9]\d*:[1-9]\d*: .*[^\s:]")


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of a tree."""
    inner: Any = tree.items() if isinstance(tree, dict) else ()
    inner = enumerate(tree) if isinstance(tree, list) else inner
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, tree: Any) -> str:
    """A file with parts replaced, removed, added, moved elsewhere."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([p for p in places(tree) if p] or [("targets",)]))
        holder: Any = tree
        for part in path[:-1]:
            holder = holder[part]
        change = draw(st.sampled_from(["replace", "remove", "add", "graft"]))
        if change == "remove":
            holder.pop(path[-1]) if isinstance(holder, list) else holder.pop(path[-1], None)
        elif change == "add" and isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = copy.deepcopy(draw(VALUES))
        elif change == "graft":
            other = tree
            for part in draw(st.sampled_from(places(tree))):
                other = other[part]
            holder[path[-1]] = copy.deepcopy(other)
        else:
            holder[path[-1]] = copy.deepcopy(draw(VALUES))
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)


@st.composite
def misspelt(draw: st.DrawFn, text: str) -> str:
    """A file with slips of the pen, and lines lost, doubled or out of place."""
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            lines = text.splitlines(keepends=True) or [""]
            i, j = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            moved = [lines[i]] * draw(st.integers(0, 2))
            text = "".join([*lines[:i], *lines[i + 1 :][:j], *moved, *lines[i + 1 :][j:]])
        else:
            i, cut = draw(st.integers(0, len(text))), draw(st.integers(0, 4))
            text = text[:i] + draw(SLIPS) + text[i + cut :]
    return text


@pytest.fixture
def valid_or_explained(tmp_path: Path) -> Callable[[str, Registry], None]:
    """Check that a text loads, or is refused in printable lines with a place each."""
    path = tmp_path / "t.yaml"

    def check(text: str, registry: Registry) -> None:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load(path, registry)
        except ArenaError as error:
            sentences = str(error).split("\n")
            if "\ud800" not in text or "not a text in UTF-8" not in sentences[0]:
                wrong = [s for s in sentences if not LINE.fullmatch(s) or not s.isprintable()]
                assert not wrong

    return check


Check = Callable[[str, Registry], None]


@few_or_many
def test_trees_with_any_part_changed(examples: int, valid_or_explained: Check) -> None:
    explore(examples, mutated(SAMPLE), lambda text: valid_or_explained(text, TOYS))


@few_or_many
def test_texts_with_slips_of_the_pen(examples: int, valid_or_explained: Check) -> None:
    text = yaml.safe_dump(SAMPLE, sort_keys=False)
    explore(examples, misspelt(text), lambda text: valid_or_explained(text, TOYS))


@few_or_many
def test_our_own_tournament_and_plugins(examples: int, valid_or_explained: Check) -> None:
    text = (TOURNAMENTS / "uci.yaml").read_text(encoding="utf-8")
    either = misspelt(text) | mutated(yaml.safe_load(text))
    explore(examples // 4, either, lambda text: valid_or_explained(text, installed()))


@few_or_many
def test_any_text(examples: int, valid_or_explained: Check) -> None:
    texts = st.text(max_size=60) | st.lists(SLIPS, max_size=20).map("".join)
    explore(examples, texts, lambda text: valid_or_explained(text, TOYS))


@pytest.mark.parametrize("data", [SAMPLE, None], ids=["sample", "uci"])
def test_what_is_mutated_is_valid(data: Any, valid_or_explained: Check, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    text = yaml.safe_dump(data) if data else (TOURNAMENTS / "uci.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    load(path, TOYS if data else installed())
