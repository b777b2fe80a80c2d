"""What no limit of the kernel holds: threads, files, bytes written in all; looked at at times."""

from __future__ import annotations

from pathlib import Path

from arena.isolation import folders
from arena.settings import Limits

EVERY = 0.1
"""Seconds from one look to the next."""

_MOST_THREADS = 256
_WRITES = 64
"""A cell may write so many times in all what it may write into one file."""


def excess(pid: int, folder: Path, limits: Limits) -> str:
    """Say what a cell uses too much of, as the end of a sentence; empty if of nothing.

    Args:
        pid: its process.
        folder: where it may write.
        limits: what it may use.
    """
    threads, written = _counted(pid, "status", "Threads"), _counted(pid, "io", "wchar")
    most = _WRITES * limits.output
    if threads > _MOST_THREADS:
        return f"runs more than {_MOST_THREADS} threads"
    if written > most << 20:
        return f"writes more than {most:,} MiB"
    return folders.overfull(folder)


def _counted(pid: int, table: str, name: str) -> int:
    """Return a number that the kernel keeps of a process, 0 where it keeps none."""
    try:
        lines = Path(f"/proc/{pid}/{table}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    found = [line for line in lines.splitlines() if line.startswith(f"{name}:")]
    return int(found[0].split()[1]) if found else 0
