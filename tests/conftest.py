"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from sites import Site

# One thread for BLAS, before anything imports numpy: tests share the machine's cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# The many processes of the tests compile what they import once, not each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The first example of a test imports what it needs; a slow machine is no failure.
settings.register_profile("arena", deadline=None)
settings.load_profile("arena")

Writer = Callable[[str], Path]
Runner = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tournament_file(tmp_path: Path) -> Writer:
    """Write a tournament file into an empty folder."""

    def write(text: str) -> Path:
        path = tmp_path / "t.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def run_arena(tmp_path: Path) -> Runner:
    """Run the command line as a process, in an empty folder."""

    def run(*words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "arena.cli", *map(str, words)]
        settings = {
            "cwd": tmp_path,
            "capture_output": True,
            "text": True,
            "timeout": 120,
        } | settings
        return subprocess.run(command, check=False, **settings)

    return run


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A folder on ``sys.path`` to which distributions can be added as pip installs them."""
    from sites import Site

    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    return Site(path)
