"""Distributions of third-party plugins as pip leaves them: healthy ones, and twenty broken ones."""

from __future__ import annotations

import compileall
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = "# here"
"""Ends the line of a broken source that its place must name."""

IMPORTS = (
    "",
    "from scipy.stats import norm\n",
    "import sklearn\nfrom sklearn.linear_model import LogisticRegression\n",
    "from scipy.optimize import minimize\n",
    "from sklearn.svm import SVC\n",
    "",
    "from sklearn.tree import DecisionTreeClassifier\n",
    "from scipy.spatial.distance import cdist\n",
)
"""What healthy plugins import beside numpy, in turns."""

HEAD = '''\
"""The plugin {name}."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field
{imports}
import arena
from arena import Answer, Attack, Dataset, Defense, Oracle, Session, Surrogate, Target, Victim
from arena import hookimpl, split

'''

BODIES = {
    "attack": '''
class Plugin(Attack):
    """Guess what {name} guesses."""

    name: ClassVar[str] = "{name}"
    reference: ClassVar[str] = "A. Author, A Conference 2024, section 3"
    requires_knowledge: ClassVar[frozenset[str]] = frozenset({{"pool"}})

    candidates: int = Field(default=200, ge=1, description="rows to choose every query from")
    tolerance: float = Field(default=0.01, gt=0, lt=1, description="length that ends a search")
    strategy: Literal["greedy", "random"] = Field(default="greedy", description="how to choose")
    warm: bool = Field(default=True, description="whether a fit begins at the last one")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Ask random rows, and learn nothing."""
        while oracle.remaining:
            oracle.ask(oracle.knowledge.domain.sample(1, rng))
            yield arena.recipes.Constant(0)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register it."""
    register(Plugin)
''',
    "defense": '''
@dataclass(frozen=True)
class Rounded:
    digits: int

    def answer(self, X: Any, answer: Answer) -> Answer:
        """Return what it was given."""
        return answer


class Plugin(Defense):
    """Protect as {name} protects."""

    name: ClassVar[str] = "{name}"
    reference: ClassVar[str] = "A. Author, A Conference 2024, section 4"
    alters: ClassVar[frozenset[str]] = frozenset({{"probabilities"}})

    digits: int = Field(default=2, ge=0, le=9, description="decimals that are kept")
    share: float = Field(default=0.1, ge=0, lt=1, description="part of the rows it acts on")

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a session."""
        return Rounded(self.digits)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register it."""
    register(Plugin)
''',
    "target": '''
class Plugin(Target):
    """Predict as {name} predicts."""

    name: ClassVar[str] = "{name}"
    reference: ClassVar[str] = "A. Author, A Conference 2024, section 5"
    family: ClassVar[str] = "kernel-svm"
    can_reveal: ClassVar[frozenset[str]] = frozenset({{"label", "probabilities"}})

    dataset: Dataset = Field(description="the data it is trained from")
    gamma: float = Field(default=0.5, gt=0, description="width of its kernel")
    depth: int | None = Field(default=None, ge=1, description="levels of its tree; null: no limit")

    def train(self, rng: Generator) -> Victim:
        """Fit on 70 % of the rows."""
        raise NotImplementedError(split(self.dataset.load(), rng))


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register it."""
    register(Plugin)
''',
}

NOISE = (
    'print("a friendly welcome")\n',
    'import os\nos.write(1, b"a driver says hello\\n")\n',
    'import warnings\nwarnings.warn("an old name", DeprecationWarning)\n',
)
"""What some plugins do when they are imported that harms nobody."""


@dataclass(frozen=True)
class Fault:
    """One way for a distribution to be broken.

    Attributes:
        name: of its entry point and, with ``broken-`` before it, of the distribution.
        reason: a pattern that is found in the reason.
        source: of its module; a line that ends with ``HERE`` is its place, else that is the file.
        points: the text of its ``entry_points.txt``.
        placed: whether it has a place.
    """

    name: str
    reason: str
    source: str | bytes
    points: str = "[arena]\n{name} = {module}\n"
    placed: bool = True

    @property
    def distribution(self) -> str:
        """What installs it."""
        return f"broken-{self.name}"

    @property
    def module(self) -> str:
        """Where its code is."""
        return self.distribution.replace("-", "_")

    def place(self, folder: Path) -> str:
        """Return the place that is listed when it is installed in a folder."""
        file = folder / f"{self.module}.py"
        text = self.source if isinstance(self.source, str) else self.source.decode("latin-1")
        line = next((n for n, t in enumerate(text.split("\n"), 1) if t.endswith(HERE)), 0)
        where = f"{file}:{line}" if line else str(file)
        return where if self.placed else ""


def _source(kind: str, name: str, imports: str = "") -> str:
    return (HEAD + BODIES[kind]).format(name=name, imports=imports)


def _but(kind: str, *changes: tuple[str, str]) -> str:
    """Return the source of a healthy plugin with something replaced."""
    text = _source(kind, "odd")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


_CLASS, _REGISTER = "\nclass Plugin", "register(Plugin)\n"
_HERE = (_REGISTER, f"register(Plugin)  {HERE}\n")

FAULTS = (
    Fault(
        "syntax-error",
        r"import fails with SyntaxError: '\(' was never closed",
        _but("attack", ("oracle.ask(", f"oracle.ask((  {HERE}\n")),
    ),
    Fault(
        "missing-dependency",
        "import fails with ModuleNotFoundError: No module named 'torch_of_nowhere'",
        _but("attack", ("import arena\n", f"import torch_of_nowhere.nn  {HERE}\nimport arena\n")),
    ),
    Fault(
        "raises",
        "import fails with FileNotFoundError: .* 'weights.npy'",
        _but("defense", (_CLASS, f'\nWEIGHTS = np.load("weights.npy")  {HERE}\n{_CLASS}')),
    ),
    Fault(
        "exits",
        "import fails with SystemExit: no licence",
        _but("target", (_CLASS, f'\nimport sys\nsys.exit("no licence")  {HERE}\n{_CLASS}')),
    ),
    Fault(
        "recursion",
        "import fails with RecursionError: maximum recursion depth",
        f"def again():\n    return again()  {HERE}\n\n\nagain()\n",
    ),
    Fault(
        "not-utf8",
        "import fails with SyntaxError: .*'utf-8' codec can't decode",
        f'NAME = "caf\xe9"  {HERE}\n'.encode("latin-1"),
    ),
    Fault(
        "missing-module",
        "its entry point names the module 'pack_of_nowhere.attack', which is not installed; ",
        "",
        points="[arena]\n{name} = pack_of_nowhere.attack\n",
        placed=False,
    ),
    Fault(
        "missing-attribute",
        "its entry point names 'plugin', which broken_missing_attribute has not; name the module",
        _but("attack"),
        points="[arena]\n{name} = {module}:plugin\n",
    ),
    Fault(
        "malformed-value",
        "its entry point 'src/attack.py' is no module; write it as 'package.module'",
        _but("attack"),
        points="[arena]\n{name} = src/attack.py\n",
        placed=False,
    ),
    Fault(
        "no-name",
        "attack Plugin: its name '' is not lower-case words joined by '-'",
        _but("attack", _HERE, ('"odd"', '""')),
    ),
    Fault(
        "unknown-hook",
        "it implements an unknown hook 'register_atacks'; did you mean 'register_attacks'",
        _but("attack", ("register_attacks(", "register_atacks(")),
    ),
    Fault(
        "wrong-signature",
        r"its hook register_attacks\(registry.*\) has the wrong signature; take \(register\)",
        _but("attack", ("attacks(register:", "attacks(registry:")),
    ),
    Fault(
        "hook-raises",
        "its hook raises KeyError: 0",
        _but("defense", (_REGISTER, f"register({{}}[0])  {HERE}\n")),
    ),
    Fault(
        "instance",
        "it registers an instance of Plugin; register the class",
        _but("attack", (_REGISTER, f"register(Plugin())  {HERE}\n")),
    ),
    Fault(
        "wrong-kind",
        "it registers Plugin, which is no subclass of arena.Attack; implement register_targets",
        _but("target", _HERE, ("def register_targets", "def register_attacks")),
    ),
    Fault(
        "twice",
        "its attack 'odd' is registered twice",
        _but(
            "attack",
            (_REGISTER, "register(Plugin)\n    register(type('B', (Plugin,), {'__doc__': 'B'}))\n"),
        ),
    ),
    Fault(
        "of-another",
        "its attack 'guess-000' is that of many-000; subclass it and rename it",
        _but(
            "attack",
            ("    register(Plugin)", "    register(many_000.Plugin)"),
            (_CLASS, f"\nimport many_000\n{_CLASS}"),
        ),
    ),
    Fault(
        "no-schema",
        "attack Plugin: its parameters cannot be written in a tournament file: ",
        _but("attack", _HERE, ("warm: bool = Field(default=True, ", "warm: Generator = Field(")),
    ),
    Fault(
        "unknown-family",
        "target Plugin: its family cannot be 'kernel-svn'; did you mean 'kernel-svm'",
        _but("target", _HERE, ('"kernel-svm"', '"kernel-svn"')),
    ),
    Fault(
        "newer-api",
        "it is written for plugin API 2, and this arena's is 1; install a newer extraction-arena",
        _but("attack", (_CLASS, f"\nPLUGIN_API = 2\n{_CLASS}")),
    ),
)
"""Twenty ways to be broken."""

METADATA = """\
Metadata-Version: 2.1
Name: {distribution}
Version: {version}
Summary: A plugin of arena
Author-email: An Author <author@example.org>
License: BSD-3-Clause
Project-URL: Homepage, https://example.org/{distribution}
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.11
Description-Content-Type: text/markdown
Requires-Dist: extraction-arena
Requires-Dist: numpy>=1.26
Requires-Dist: scikit-learn; extra == "learn"
Provides-Extra: learn

# {distribution}

"""
DESCRIPTION = "A paragraph, of which the description of a package on an index has many.\n" * 80


@dataclass(frozen=True)
class Healthy:
    """A distribution of one plugin that works.

    Attributes:
        number: what tells it from the others; half are attacks, a quarter each the other kinds.
        light: whether it imports numpy only.
    """

    number: int
    light: bool = False

    @property
    def _like(self) -> int:
        """Itself, or for every tenth the one before, whose kind and name it shares."""
        return self.number - (self.number % 10 == 9)

    @property
    def kind(self) -> str:
        """Attack, defense or target."""
        return ("attack", "defense", "attack", "target")[self._like % 4]

    @property
    def name(self) -> str:
        """What the plugin is called."""
        return f"guess-{self._like:03d}"

    @property
    def distribution(self) -> str:
        """What installs it."""
        return f"many-{self.number:03d}"

    @property
    def version(self) -> str:
        """Of its distribution."""
        return f"{self.number % 3}.{self.number}"

    @property
    def module(self) -> str:
        """Where its code is: in a package for every other."""
        package = self.distribution.replace("-", "_")
        return f"{package}.plugin" if self.number % 2 else package

    @property
    def listed(self) -> tuple[str, str, str, str, str]:
        """What the listing must say of it."""
        return self.kind, self.name, self.distribution, self.version, self.module

    @property
    def sources(self) -> dict[str, bytes]:
        """Its code by file; some make a noise when they are imported."""
        noise = NOISE[self.number // 6 % len(NOISE)] if self.number % 6 == 5 else ""
        imports = "" if self.light else IMPORTS[self.number % len(IMPORTS)]
        text = _source(self.kind, self.name, imports + noise)
        file = f"{self.module.replace('.', '/')}.py"
        package, _, _ = file.rpartition("/")
        return {file: text.encode()} | ({f"{package}/__init__.py": b""} if package else {})


def write(folder: Path, plugins: Sequence[Healthy], faults: Sequence[Fault] = FAULTS) -> None:
    """Write distributions into a folder as pip leaves them, compiled."""
    for p in plugins:
        points = f"[arena]\n{p.name} = {p.module}\n"
        _install(folder, p.distribution, p.version, points, p.sources)
    for f in faults:
        source = f.source if isinstance(f.source, bytes) else f.source.encode()
        points = f.points.format(name=f.name, module=f.module)
        _install(folder, f.distribution, "1.0", points, {f"{f.module}.py": source})
    compileall.compile_dir(folder, quiet=2)


def _install(
    folder: Path, distribution: str, version: str, points: str, sources: dict[str, bytes]
) -> None:
    info = f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata = METADATA.format(distribution=distribution, version=version) + DESCRIPTION
    files = sources | {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/INSTALLER": b"pip\n",
        f"{info}/entry_points.txt": points.encode(),
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    for file, text in (files | {f"{info}/RECORD": record.encode()}).items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
