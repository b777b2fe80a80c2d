"""The folders of cells: each is held by a lock that goes with its processes, however they end."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_NEW, _HELD = "arena-new-", "arena-cell-"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_ENTRIES, _DEEPEST, _LONGEST_PATH = 10_000, 64, 2000
"""Files and folders that a cell may make, levels of folders, characters of their path."""


def claim() -> tuple[Path, int]:
    """Make a folder, and return it with the descriptor of its lock.

    Whoever inherits the descriptor holds the lock, too.
    """
    new = Path(tempfile.mkdtemp(prefix=_NEW))
    lock = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Only now under its lasting name: what bears that and is not locked was left.
    return new.rename(new.with_name(_HELD + new.name.removeprefix(_NEW))), lock


def sweep() -> None:
    """Remove the folders whose processes were all killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_HELD}*"):
        # Another user's, or just being removed by its own.
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
            finally:
                os.close(lock)


def overfull(folder: Path) -> str:
    """Say what is too much in a folder, as the end of a sentence; empty if nothing is."""
    entries = 0
    level = [folder]
    for _ in range(_DEEPEST):
        inner: list[Path] = []
        for path in level:
            if len(str(path)) > _LONGEST_PATH:
                return f"makes folders more than {_LONGEST_PATH:,} characters deep"
            for entry in _entries(path):
                entries += 1
                if entries > _MOST_ENTRIES:
                    return f"makes more than {_MOST_ENTRIES:,} files"
                if entry.is_dir(follow_symlinks=False):
                    inner.append(Path(entry.path))
        if not inner:
            return ""
        level = inner
    return f"makes folders more than {_DEEPEST} levels deep"


def times(folder: Path) -> tuple[int, ...]:
    """Return what changes when anything is made, removed or listed in a folder."""
    found = folder.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_atime_ns


def remove(folder: Path) -> None:
    """Remove a folder of ours in which nobody works any more, however deep and closed it is.

    Raises:
        OSError: something in it cannot be removed, or the folder is not there.
    """
    # By one descriptor, that goes down and up: nothing here grows with the depth but two lists.
    at = os.open(folder, _FOLDER)
    try:
        path: list[str] = []
        left = [_without_files(at)]
        while path or left[-1]:
            if left[-1]:
                path.append(left[-1].pop())
                os.chmod(path[-1], 0o700, dir_fd=at)
                at = _moved(at, path[-1])
                left.append(_without_files(at))
            else:
                left.pop()
                at = _moved(at, "..")
                os.rmdir(path.pop(), dir_fd=at)
    finally:
        os.close(at)
    folder.rmdir()


def _moved(at: int, name: str) -> int:
    there = os.open(name, _FOLDER, dir_fd=at)
    os.close(at)
    return there


def _without_files(at: int) -> list[str]:
    """Remove what is no folder from a folder; return the names of what is left."""
    folders = []
    with os.scandir(at) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=at)
    return folders


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    # A cell is at work in it: what was there may be gone, or closed to us.
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
