"""Folders of cells are watched while a cell works, and removed whatever it has left in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arena.isolation.folders import overfull, remove, times


def dug(folder: Path, levels: int, name: str = "d") -> None:
    """Make folders in folders, by one descriptor."""
    folder.mkdir()
    at = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=at)
        inner = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_a_folder_is_removed_however_deep_and_closed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    dug(tmp_path / "cell", 1500, "d" * 100)
    for i in range(20):
        (tmp_path / "cell" / f"closed{i}").mkdir()
        (tmp_path / "cell" / f"closed{i}" / "link").symlink_to(outside)
        (tmp_path / "cell" / f"closed{i}" / os.fsdecode(b"\xff\n")).touch(mode=0)
        (tmp_path / "cell" / f"closed{i}").chmod(0)
    remove(tmp_path / "cell")
    assert list(tmp_path.iterdir()) == [outside]
    assert (outside / "file").exists()


def test_what_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("nothing", "link"):
        with pytest.raises(OSError, match=name):
            remove(tmp_path / name)


def test_what_is_too_much_is_said(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for i in range(50):
        (tmp_path / "few" / f"{i}").touch()
    assert overfull(tmp_path / "few") == ""
    assert overfull(tmp_path / "nothing") == ""
    dug(tmp_path / "deep", 70)
    assert overfull(tmp_path / "deep") == "makes folders more than 64 levels deep"
    dug(tmp_path / "long", 12, "d" * 200)
    assert overfull(tmp_path / "long") == "makes folders more than 2,000 characters deep"
    (tmp_path / "many").mkdir()
    for i in range(10_001):
        (tmp_path / "many" / f"{i}").touch()
    assert overfull(tmp_path / "many") == "makes more than 10,000 files"


def test_a_folder_tells_that_it_was_used(tmp_path: Path) -> None:
    before = times(tmp_path)
    assert times(tmp_path) == before
    (tmp_path / "file").touch()
    (tmp_path / "file").unlink()
    assert times(tmp_path) != before
