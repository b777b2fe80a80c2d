"""Fixtures: arena's command as a process, and a defence that counts the rows a target is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arena_art.relu_network import ReluNetworkTarget

from arena import Dataset, Victim

COUNTING = '''
"""A link that changes nothing, and writes how many rows it was asked into a file a session."""

import os
import tempfile

from arena import Defense, hookimpl


class Counting(Defense):
    """Counts the rows that reach the target."""

    name = "counting"
    folder: str

    def protect(self, victim, rng):
        handle, path = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        return Session(path)


class Session:
    def __init__(self, path):
        self.path = path

    def answer(self, X, answer):
        with open(self.path, "a") as file:
            file.write(f"{len(X)}\\n")
        return answer


@hookimpl
def register_defenses(register):
    register(Counting)
'''

Play = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def counting_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` that brings the defence ``counting``, as pip would install it."""
    site = tmp_path_factory.mktemp("site")
    (site / "counting.py").write_text(COUNTING, encoding="utf-8")
    info = site / "counting-1.0.dist-info"
    info.mkdir()
    metadata = "Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text("[arena]\ncounting = counting\n", encoding="utf-8")
    return site


@pytest.fixture
def play(tmp_path: Path, counting_site: Path) -> Play:
    """Run a tournament in an empty folder, in cells, and return what is on the record of it."""
    environment = os.environ | {"PYTHONPATH": str(counting_site)}

    def arena(*words: str) -> str:
        command = [sys.executable, "-m", "arena.cli", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(text: str, *options: str) -> list[dict[str, Any]]:
        (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
        arena("run", "t.yaml", "--out", "results", "--quiet", *options)
        return [json.loads(line) for line in arena("export", "results").splitlines()]

    return run


@pytest.fixture(scope="session")
def victim() -> Victim:
    """A small network over iris, which reveals its probabilities and its logits."""
    import numpy as np

    target = ReluNetworkTarget(
        dataset=Dataset.model_validate("iris"),
        hidden=3,
        reveals=("label", "probabilities", "score"),
    )
    return target.train(np.random.default_rng(5))
