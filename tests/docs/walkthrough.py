"""A page as a reader follows it: files written, code run and commands typed, in an empty folder."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pages import ROOT, Block, named
from sites import Site

from arena.registry import GROUP
from arena.yamlmarks import parse

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
"""What a package of a page depends on is there already."""

SMALL = """
case "$*" in
    *--dry-run*) ;;
    run*) set -- "$@" --repetitions 1 --budget 20 --workers 1 --isolation none --quiet;;
    play*) set -- "$@" --budget 20 --isolation none --quiet;;
esac
"""
"""Has ``arena run`` and ``arena play`` take seconds, whatever the file says."""

PACKAGE = ROOT / "tests" / "packages" / "thirdparty"
"""What stands for a PACKAGE in a command."""

UCI = """
name: uci
repetitions: 1
budget: 20
targets: [halfspace: {dataset: breast_cancer}]
attacks: [eat]
"""
"""In place of the default tournament, which takes minutes."""


class Walkthrough:
    """Follows one page.

    Args:
        folder: an empty one.
        full: whether tournaments are played as they are written, and their boards compared.
    """

    def __init__(self, folder: Path, full: bool) -> None:
        self.full = full
        self.work = folder / "work"
        self.work.mkdir()
        self.environment = folder / "venv"
        self.printed = ""
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.write("tournaments/uci.yaml", UCI)
        shutil.copytree(PACKAGE, self.work / PACKAGE.name)
        self._make_environment()

    def follow(self, block: Block) -> None:
        """Do what a block shows."""
        if block.kind == "file":
            self.write(block.about, block.text)
        elif block.kind == "edit":
            path, name = block.about.split(", ")
            self.edit(path, name, block.text)
        elif block.kind == "output" or (block.kind == "board" and self.full):
            self.compare(block)
        elif block.language == "python":
            exec(compile(block.text, named(block), "exec"), self.namespace)
        elif block.language == "yaml":
            self.keep(block.text)
        elif block.language == "sh":
            self.type(block)

    def write(self, path: str, text: str) -> None:
        """Write a file into the folder."""
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def edit(self, path: str, name: str, text: str) -> None:
        """Replace the one function of a name in a file."""
        file = self.work / path
        source = file.read_text(encoding="utf-8")
        functions = [f for f in ast.walk(ast.parse(source)) if isinstance(f, ast.FunctionDef)]
        (old,) = (f for f in functions if f.name == name)
        lines = source.splitlines(keepends=True)
        lines[old.lineno - 1 : old.end_lineno] = [text]
        file.write_text("".join(lines), encoding="utf-8")

    def keep(self, text: str) -> None:
        """Keep a tournament that has a name under it, with stand-ins for the data it is of."""
        keys = parse(text, "page").data
        if "name" in keys:
            self.write(f"{keys['name']}.yaml", text)
            write_missing_data(keys, self.work)

    def type(self, block: Block) -> None:
        """Type commands, which are to succeed."""
        variables = {
            **os.environ,
            **OFFLINE,
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                re.sub(r"\bPACKAGE\b", f"./{PACKAGE.name}", block.text),
            ],
            cwd=self.work,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{named(block)}\n{done.stdout}\n{done.stderr}"
        self.printed = done.stdout

    def compare(self, block: Block) -> None:
        """Look for every part of an output in what was printed last; ``...`` stands between."""
        for part in block.text.split("...\n"):
            assert part in self.printed, f"{named(block)}\n{part}\nis not in\n{self.printed}"

    def install(self, distribution: str, sources: dict[str, str]) -> None:
        """Install a distribution with a module for every entry point."""
        (packages,) = (self.environment / "lib").glob("python*/site-packages")
        Site(packages).add(distribution, **sources)

    def _make_environment(self) -> None:
        """Make an environment of its own, which sees what ours holds."""
        venv.create(self.environment, symlinks=True)
        (packages,) = (self.environment / "lib").glob("python*/site-packages")
        ours = [path for path in sys.path if path.endswith("-packages")]
        lines = [f"import site; site.addsitedir({path!r})\n" for path in ours]
        (packages / "ours.pth").write_text("".join(lines), encoding="utf-8")
        python = shlex.quote(str(self.environment / "bin" / "python"))
        for name, module in (("arena", "arena.cli"), ("pip", "pip")):
            script = self.environment / "bin" / name
            first = SMALL if name == "arena" and not self.full else ""
            script.write_text(f'#!/bin/sh\n{first}exec {python} -m {module} "$@"\n', "utf-8")
            script.chmod(0o755)


def plugins_shown(page: Sequence[Block]) -> tuple[str, dict[str, str]] | None:
    """Return the distribution that a page shows, and the source of its plugins by entry point."""
    projects = [tomllib.loads(b.text)["project"] for b in page if b.language == "toml"]
    if not projects:
        return None
    (project,) = projects
    sources = [b.text for b in page if b.language == "python" and "@hookimpl\n" in _bare(b.text)]
    names = project["entry-points"][GROUP]
    return project["name"], dict(zip(names, sources, strict=True))


def write_missing_data(keys: Any, folder: Path) -> None:
    """Write a small table where a tournament names a CSV file that there is not."""
    for data in _csv_files(keys):
        path = folder / data["csv"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            rows = "1,2.5,u\n2,1.5,v\n3,5.5,u\n4,0.5,v\n"
            path.write_text(f"a,b,{data['label']}\n{rows}", encoding="utf-8")


def _bare(text: str) -> str:
    return text.replace("@arena.hookimpl", "@hookimpl")


def _csv_files(data: Any) -> Iterator[dict[str, str]]:
    if isinstance(data, dict) and "csv" in data:
        yield data
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for value in inner:
        yield from _csv_files(value)
