"""The processes of a run, as /proc tells of them, and what its folder holds of each match."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from arena.store import FILE, Key

KINDS = ("parent", "fork server", "worker", "warm server", "cell")
"""What a process of a run is, by how many processes are between it and the command."""


def processes(session: int) -> dict[int, int]:
    """Return every process of a session that is alive, each with its parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, _, sid = path.read_text().rpartition(")")[2].split()[:4]
            if int(sid) == session and state not in "ZX":
                found[int(path.parent.name)] = int(parent)
    return found


def of_kind(session: int, kind: str) -> list[int]:
    """Return the processes of one of `KINDS`, of a run that leads a session of its own."""
    parents = processes(session)
    generation = [session]
    for step in range(KINDS.index(kind)):
        generation = [pid for pid, parent in parents.items() if parent in generation]
        if step == 0:
            # The tracker of multiprocessing's semaphores is Python's own business.
            generation = [pid for pid in generation if "forkserver" in _command(pid)]
    return [pid for pid in generation if pid in parents]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for a condition; False if it does not come about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def played(folder: Path) -> dict[Key, tuple[float, float]]:
    """Return the diagnostics of every stored match: they change when it is played again."""
    if not (folder / FILE).exists():
        return {}
    with contextlib.closing(sqlite3.connect(folder / FILE)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'diagnostics'").fetchone():
            return {}
        rows = db.execute("SELECT match, terms, build, seconds, peak_memory FROM diagnostics")
        return {(m, t, b): (seconds, memory) for m, t, b, seconds, memory in rows}
