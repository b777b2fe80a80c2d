"""The folders of cells: each is held by a lock that goes with its processes, however they end."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_NEW, _HELD = "arena-new-", "arena-cell-"


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
        # Another user's, or just being removed by its own, or made too deep for Python's stack.
        with suppress(OSError, RecursionError):
            lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
