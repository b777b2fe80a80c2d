"""Installed distributions made by hand: a module and its metadata in a folder."""

from __future__ import annotations

import shutil
import tomllib
from importlib.metadata import EntryPoint, distributions
from itertools import count
from pathlib import Path

from arena.registry import Registry, load_entry_points

_NUMBER = count()

ATTACK = '''
from arena import Attack, hookimpl

class {cls}(Attack):
    """Guess what {name} guesses."""
    name = "{name}"
    size: int = 3
    def extract(self, oracle, rng):
        yield from ()

@hookimpl
def register_attacks(register):
    register({cls})
'''


def attack(name: str) -> str:
    """Return the source of a plugin with one attack."""
    return ATTACK.format(name=name, cls=name.title().replace("-", ""))


class Site:
    """A folder that holds distributions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, distribution: str, version: str = "1.0", **sources: str) -> None:
        """Add a distribution with a module, and an entry point to it, for every source."""
        lines = ["[arena]"]
        for entry_point, source in sources.items():
            module = f"module{next(_NUMBER)}"
            (self.path / f"{module}.py").write_text(source, encoding="utf-8")
            lines.append(f"{entry_point.replace('_', '-')} = {module}")
        self._describe(distribution, version, lines)

    def install(self, folder: Path) -> None:
        """Add the package of a folder: what its src holds, as its pyproject.toml says."""
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        project = tomllib.loads(text)["project"]
        compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder / "src", self.path, ignore=compiled, dirs_exist_ok=True)
        points = project["entry-points"]["arena"].items()
        lines = ["[arena]", *(f"{name} = {module}" for name, module in points)]
        self._describe(project["name"], project["version"], lines)

    def _describe(self, distribution: str, version: str, entry_points: list[str]) -> None:
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text("\n".join(entry_points), encoding="utf-8")

    def entry_points(self) -> list[EntryPoint]:
        """Return every entry point of this folder."""
        found = distributions(path=[str(self.path)])
        return [point for dist in found for point in dist.entry_points]

    def registry(self) -> Registry:
        """Load its plugins, and those of no other folder."""
        return load_entry_points(self.entry_points())
