"""Ctrl-C and SIGTERM at any moment: one sentence, exit code 130, what is finished stored."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import eventually, of_kind, played, processes

from arena.store import Store

TOURNAMENT = """\
budget: 400
repetitions: 30
checkpoints: 1.01
goal: {reach: [0.8], size: 400}
targets: [logistic: {dataset: iris}]
attacks: [adaptive-retraining]
"""
INTERRUPTED = "arena: interrupted; the same command goes on where this one stopped"

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for the sockets in its folder of temporary files."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def start(folder: Path) -> subprocess.Popen[str]:
    """Give the command in a session of its own, as a terminal does."""
    (folder / "t.yaml").write_text(TOURNAMENT)
    (folder / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "arena.cli", "run", "t.yaml", "--out", "out", "--workers", "2"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder / "tmp")},
        start_new_session=True,
        # A shell starts what stands before & deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def check_left(folder: Path, run: subprocess.Popen[str]) -> None:
    """Check that no process and no folder of a cell is left, and that what is stored is whole."""
    assert eventually(lambda: not processes(run.pid), 20), "processes are left"
    assert not list((folder / "tmp").glob("arena-cell-*"))
    if (folder / "out" / "results.sqlite").exists():
        with Store.open(folder / "out") as store:
            assert {str(s) for s in store.statuses().values()} <= {"finished", "exhausted"}


def ctrl_c(run: subprocess.Popen[str]) -> None:
    os.killpg(run.pid, signal.SIGINT)


def ctrl_c_again_and_again(run: subprocess.Popen[str]) -> None:
    for _ in range(3):
        with contextlib.suppress(ProcessLookupError):
            ctrl_c(run)
        time.sleep(0.05)


def terminate(run: subprocess.Popen[str]) -> None:
    run.terminate()


@needs_proc
@pytest.mark.parametrize(
    "interrupt",
    [
        ctrl_c,
        pytest.param(ctrl_c_again_and_again, marks=pytest.mark.slow),
        pytest.param(terminate, marks=pytest.mark.slow),
    ],
)
def test_an_interruption_stores_what_is_finished_and_ends_every_process(
    interrupt: Callable[[subprocess.Popen[str]], None], folder: Path
) -> None:
    run = start(folder)

    def in_the_midst() -> bool:
        assert run.poll() is None, run.communicate()
        with contextlib.suppress(sqlite3.Error):
            return bool(played(folder / "out")) and bool(of_kind(run.pid, "cell"))
        return False

    assert eventually(in_the_midst, 150)
    interrupt(run)
    out, err = run.communicate(timeout=60)
    # Once more while Python itself ends, Ctrl-C ends it as a signal does: 130 in a shell, too.
    again = {-signal.SIGINT} if interrupt is ctrl_c_again_and_again else set()
    assert run.returncode in {130} | again, err
    assert out == ""
    assert err.strip() == INTERRUPTED
    check_left(folder, run)
    assert 0 < len(played(folder / "out")) < 120


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("interrupt", [ctrl_c, terminate])
def test_an_interruption_while_processes_start_leaves_nothing(
    interrupt: Callable[[subprocess.Popen[str]], None], seed: int, folder: Path
) -> None:
    run = start(folder)
    time.sleep(random.Random(seed).uniform(0.1, 6))
    interrupt(run)
    out, err = run.communicate(timeout=60)
    # Before `main` has begun, Python's own handlers end the process.
    assert run.returncode in (130, -signal.SIGINT, -signal.SIGTERM)
    assert out == ""
    if run.returncode == 130:
        assert err.strip() == INTERRUPTED
    check_left(folder, run)


def test_a_long_path_of_temporary_files_is_a_sentence(folder: Path) -> None:
    (folder / "t.yaml").write_text(TOURNAMENT)
    long = folder / ("x" * 90)
    long.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "arena.cli", "run", "t.yaml", "--out", "out"],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(long)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    # Later versions of Python give those sockets no path.
    assert done.returncode == 0 or done.stderr.strip().endswith("set TMPDIR to a shorter path")
