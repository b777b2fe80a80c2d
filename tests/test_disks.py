"""Disks that are full or may only be read, stores that others hold: a sentence, nothing lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playground import Fitter, Still, Toy, export, tournament
from processes import played

from arena.cli import main
from arena.engine import play
from arena.errors import ArenaError
from arena.records import Results, Status
from arena.store import FILE, Store

MANY = 100


def run(folder: Path, repetitions: int = 1) -> Results:
    """Play in threads of this process."""
    t = tournament([Fitter(batch=1), Still()], repetitions=repetitions)
    return play(t, folder, workers=2, executor=ThreadPoolExecutor)


class Disk:
    """A small file system.

    Attributes:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leaving: int) -> None:
        """Take all its room but so many bytes."""
        with (self.folder / "filler").open("wb") as file:
            file.write(bytes(self._free() - leaving))

    def empty(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink()

    def protect(self) -> None:
        """Let it be read only."""
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def _free(self) -> int:
        room = os.statvfs(self.folder)
        return room.f_bavail * room.f_frsize


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        pytest.skip("only root can mount a disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(disk: Disk, tmp_path: Path) -> None:
    folder = disk.folder / "out"
    run(folder)
    disk.fill(leaving=600_000)
    with pytest.raises(ArenaError) as caught:
        run(folder, MANY)
    full = "the disk is full; make room and run again, what is finished is stored"
    assert str(caught.value) == f"{folder / FILE}: {full}"
    with pytest.raises(ArenaError, match=full):
        run(folder, MANY)
    disk.empty()
    stored = played(folder)
    assert 2 < len(stored) < 2 * MANY
    run(folder, MANY)
    after = played(folder)
    assert {key: after[key] for key in stored} == stored
    run(tmp_path / "undisturbed", MANY)
    assert export(folder) == export(tmp_path / "undisturbed")


@pytest.mark.parametrize("leaving", [0, 8192])
def test_a_disk_that_is_full_from_the_start_is_a_sentence(disk: Disk, leaving: int) -> None:
    disk.fill(leaving)
    with pytest.raises(ArenaError) as caught:
        run(disk.folder / "out")
    assert str(caught.value).startswith(str(disk.folder / "out"))
    assert "\n" not in str(caught.value)
    disk.empty()
    assert {e.record.status for e in run(disk.folder / "out").entries if e.record} == {
        Status.FINISHED,
        Status.EXHAUSTED,
    }


def test_a_target_that_does_not_fit_on_the_disk_voids_its_matches_for_now(disk: Disk) -> None:
    t = tournament([Still()], targets=[Toy(), Toy(rows=50_000)])
    disk.fill(leaving=1_000_000)
    results = play(t, disk.folder / "out", workers=1, executor=ThreadPoolExecutor)
    first, second = (entry.record for entry in results.entries)
    assert first is not None
    assert second is not None
    assert first.status is Status.FINISHED
    assert second.reason.startswith("target toy cannot be trained: OSError: [Errno 28] No space")
    assert len(list((disk.folder / "out" / "stages").iterdir())) == 1
    disk.empty()
    results = play(t, disk.folder / "out", workers=1, executor=ThreadPoolExecutor)
    assert {e.record.status for e in results.entries if e.record} == {Status.FINISHED}


def test_a_disk_that_may_only_be_read(disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    folder = disk.folder / "out"
    run(folder)
    assert main(["board", str(folder)]) == 0
    board = capsys.readouterr().out
    disk.protect()
    with pytest.raises(ArenaError) as caught:
        run(folder, 2)
    assert str(caught.value) == f"{folder}: Read-only file system; choose another folder by --out"
    assert main(["board", str(folder)]) == 0
    assert capsys.readouterr().out == board


# ---------------------------------------------------------------------------------- other holders


def test_a_store_that_another_program_holds_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    connect = sqlite3.connect

    def impatient(*given: Any, **more: Any) -> sqlite3.Connection:
        return connect(*given, **more | {"timeout": 0.1})

    other = connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("sqlite3.connect", impatient)
    with pytest.raises(ArenaError, match="another program holds it; close that and run again"):
        run(tmp_path, 2)
    other.close()
    run(tmp_path, 2)


TOURNAMENT = "targets: [decision-tree: {dataset: iris}]\nattacks: [random]\n"


def test_a_run_beside_another_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.yaml").write_text(TOURNAMENT)
    folder = tmp_path / "out"
    with Store.open(folder, create=True):
        assert main(["run", str(tmp_path / "t.yaml"), "--out", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"arena: another run is writing {folder}; wait for it, or choose another folder by --out\n"
    )
