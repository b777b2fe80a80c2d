"""The C library, opened once: in a cell that was just forked, whatever comes first is slow."""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """Return the C library of this process, which keeps ``errno`` for ``ctypes.get_errno``."""
    return ctypes.CDLL(None, use_errno=True)
