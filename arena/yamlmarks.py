"""YAML read as YAML 1.2 does, with the line and column of every node.

PyYAML's own constructor reads ``on:`` as True, ``no`` as False and ``1e-4`` as a string, and lets a
duplicate key win silently; so only its composer is used, and scalars are resolved here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from arena.errors import ArenaError

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS |= {w: None for w in ("null", "Null", "NULL")}
_WORDS |= {w: True for w in ("true", "True", "TRUE")}
_WORDS |= {w: False for w in ("false", "False", "FALSE")}
_WORDS |= {
    sign + w: float(sign + "inf") for sign in ("", "+", "-") for w in (".inf", ".Inf", ".INF")
}
_WORDS |= {w: float("nan") for w in (".nan", ".NaN", ".NAN")}
_TAGS = frozenset(
    f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null", "seq", "map")
)
_MOST_NODES = 100_000


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute


@dataclass(frozen=True)
class Document:
    """Plain data and where each part of it stands.

    Attributes:
        source: the file's name, for messages.
        data: dicts with string keys, lists and scalars.
        marks: line and column, from 1, of every value by its path; of a key under ``(*path, "?")``.
    """

    source: str
    data: Any
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def where(self, path: Path, key: bool = False) -> str:
        """Return ``file:line:column`` of the value at a path (or its key), or of what holds it."""
        if key and (*path, "?") in self.marks:
            path = (*path, "?")
        while path not in self.marks and path:
            path = path[:-1]
        line, column = self.marks.get(path, (1, 1))
        return f"{self.source}:{line}:{column}"


def parse(text: str, source: str) -> Document:
    """Read one YAML document.

    Raises:
        ArenaError: syntax, a duplicate key, a foreign tag, an anchor that contains itself.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = error.problem or error.context or "cannot be read"
        raise ArenaError(f"{source}{at}: not valid YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise ArenaError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ArenaError(f"{source}: nested too deeply to be read; flatten it") from None
    finally:
        loader.dispose()
    document = Document(source, None)
    data = _Reader(document).read(node, (), ()) if node is not None else None
    return Document(source, data, document.marks)


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def read(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> Any:
        self.document.marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            self.refuse(path, "expands to too many nodes; use fewer aliases")
        if any(node is parent for parent in above):
            self.refuse(path, "an anchor contains itself; write the value out")
        if node.tag not in _TAGS:
            self.refuse(path, f"unknown tag {node.tag}; remove it")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        above = (*above, node)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, above)
        return [self.read(item, (*path, i), above) for i, item in enumerate(node.value)]

    def mapping(
        self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]
    ) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            at = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                self.document.marks[(*path, "?")] = at
                self.refuse((*path, "?"), "a key must be a plain word")
            name = str(key.value)
            self.document.marks[(*path, name, "?")] = at
            if name in data:
                self.refuse((*path, name, "?"), f"key '{name}' stands twice; keep one of them")
            data[name] = self.read(value, (*path, name), above)
        return data

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        if node.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            if len(text) > 300:
                self.refuse(path, f"a number of {len(text)} digits is too long")
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def refuse(self, path: Path, problem: str) -> None:
        raise ArenaError(f"{self.document.where(path)}: {problem}")
