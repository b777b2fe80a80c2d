"""YAML read as YAML 1.2 does, with the line and column of every key and value.

PyYAML's own constructor reads ``on:`` as True, ``no`` as False and ``1e-4`` as a string, and lets a
duplicate key win silently; so only its composer is used, and scalars are resolved here, by the core
schema of YAML 1.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.reader import ReaderError

from arena.errors import ArenaError

Path = tuple[str | int, ...]
Mark = tuple[int, int]
"""Line and column, from 1."""

_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS |= {w: None for w in ("null", "Null", "NULL")}
_WORDS |= {w: True for w in ("true", "True", "TRUE")}
_WORDS |= {w: False for w in ("false", "False", "FALSE")}
_WORDS |= {
    sign + w: float(sign + "inf") for sign in ("", "+", "-") for w in (".inf", ".Inf", ".INF")
}
_WORDS |= {w: float("nan") for w in (".nan", ".NaN", ".NAN")}

_STANDARD = "tag:yaml.org,2002:"
_PLAIN = "plain"
_TAGS = frozenset({_PLAIN, *(_STANDARD + kind for kind in ("str", "seq", "map"))})

_MOST_NODES = 100_000
_DEEPEST = 50
_MOST_DIGITS = 300

_TOO_DEEP = "nested too deeply to be read; flatten it"

_SYNTAX = (
    (f"({_TOO_DEEP})", r"\1"),
    (r"found character '\\t'.*", "a tab stands where only spaces may; indent with spaces"),
    (
        "mapping values are not allowed here",
        "a ':' stands where no key can be; put a text that holds ': ' in quotes",
    ),
    (
        r"found character '([@`%|>])' that cannot start any token",
        r"a text that begins with '\1' must stand in quotes",
    ),
    ("but found another document", "a second document begins; write one tournament a file"),
    (r"found undefined alias '(.*)'", r"alias '*\1' has no anchor '&\1' before it; add one"),
    (
        r"expected ',' or '(.)', but got .*",
        r"a ',' or the '\1' that closes line {begun} is missing; add it",
    ),
    (
        "found unexpected end of stream",
        "the quote of line {begun} is never closed; close it",
    ),
    ("could not find expected ':'", "a ':' is missing after a key; add it"),
    (
        r"expected <block end>, but found .*",
        "the indentation does not fit the lines above; align it with them",
    ),
)
"""PyYAML's words, as patterns, and ours."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute
    _depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Tell a plain scalar from one that is quoted or tagged."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse what is nested too deeply before Python's stack runs out."""
        self._depth += 1
        if self._depth > _DEEPEST + 1:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


@dataclass(frozen=True)
class Document:
    """Plain data and where each part of it stands.

    Attributes:
        source: the file's name, for messages.
        data: dicts with string keys, lists and scalars.
        values: the mark of every value, by its path.
        keys: the mark of every key, by the path of its value.
    """

    source: str
    data: Any = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)

    def mark(self, path: Path, key: bool = False) -> Mark:
        """Return the mark of the value at a path (or of its key), or of what would hold it."""
        if key and path in self.keys:
            return self.keys[path]
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def located(self, mark: Mark, sentence: str) -> str:
        """Put a place of this document before a sentence, which stays one printable line."""
        return located(self.source, mark, sentence)

    def at(self, path: Path) -> Any:
        """Return the value at a path, None where there is none."""
        data = self.data
        for part in path:
            inside = (
                part in data
                if isinstance(data, dict)
                else isinstance(data, list) and isinstance(part, int) and part < len(data)
            )
            if not inside:
                return None
            data = data[part]
        return data


def parse(text: str, source: str) -> Document:
    """Read one YAML document.

    Raises:
        ArenaError: syntax, a duplicate key, a tag, an anchor that contains itself.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ArenaError(_syntax(error, source)) from None
    except ReaderError as error:
        mark = _mark_of(text, error.position)
        problem = f"character U+{error.character:04X} is not allowed in YAML; remove it"
        raise ArenaError(located(source, mark, problem)) from None
    document = Document(source)
    data = _Reader(document).read(node, (), ()) if node is not None else None
    return Document(source, data, document.values, document.keys)


def located(source: str, mark: Mark, sentence: str) -> str:
    """Put ``file:line:column:`` before a sentence, which stays one printable line."""
    return f"{source}:{mark[0]}:{mark[1]}: {one_printable_line(sentence)}"


def one_printable_line(sentence: str) -> str:
    """Escape what cannot be printed in one line."""
    line = " ".join(sentence.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def read(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> Any:
        here = _mark(node)
        self.document.values[path] = here
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            self.refuse(here, f"the file holds more than {_MOST_NODES:,} values; use fewer aliases")
        if any(node is parent for parent in above):
            self.refuse(here, "an anchor contains itself; write the value out")
        if len(above) > _DEEPEST:
            self.refuse(here, _TOO_DEEP)
        if node.tag not in _TAGS:
            tag = str(node.tag).replace(_STANDARD, "!!")
            self.refuse(here, f"tag '{tag}' has no meaning here; remove it")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        above = (*above, node)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, above)
        return [self.read(item, (*path, i), above) for i, item in enumerate(node.value)]

    def mapping(
        self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]
    ) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _TAGS or not key.value:
                self.refuse(_mark(key), "a key must be a plain word")
            if key.value == "<<" and key.tag == _PLAIN:
                self.refuse(_mark(key), "YAML 1.2 has no merge key '<<'; write the keys out")
            name = self.text(key)
            if name in data:
                self.refuse(_mark(key), f"key '{name}' stands twice; keep one of them")
            self.document.keys[(*path, name)] = _mark(key)
            data[name] = self.read(value, (*path, name), above)
        return data

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text = self.text(node)
        if node.tag != _PLAIN:
            return text
        if text in _WORDS:
            return _WORDS[text]
        for pattern, base in _INTEGERS:
            if pattern.fullmatch(text):
                if len(text) > _MOST_DIGITS:
                    self.refuse(_mark(node), f"a number of {len(text)} digits is too long")
                return int(text, base)
        return float(text) if _FLOAT.fullmatch(text) else text

    def text(self, node: yaml.ScalarNode) -> str:
        """Return a scalar's text; JSON writes a character above U+FFFF as a pair of escapes."""
        text = str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\0" in text or text.count("\ufffd") > str(node.value).count("\ufffd"):
            self.refuse(_mark(node), "an escape gives no Unicode character; remove it")
        return text

    def refuse(self, mark: Mark, problem: str) -> NoReturn:
        raise ArenaError(located(self.document.source, mark, problem))


def _mark(node: yaml.Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _mark_of(text: str, position: int) -> Mark:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


def _syntax(error: yaml.MarkedYAMLError, source: str) -> str:
    problem = error.problem or error.context or "it cannot be read"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return f"{source}: not valid YAML: {problem}; mend the syntax"
    sentence = f"not valid YAML: {problem}; mend the syntax"
    for pattern, ours in _SYNTAX:
        if match := re.fullmatch(pattern, problem):
            begun = (error.context_mark or mark).line + 1
            sentence = match.expand(ours).replace("{begun}", str(begun))
    return located(source, (mark.line + 1, mark.column + 1), sentence)
