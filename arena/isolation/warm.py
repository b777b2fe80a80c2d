"""The referee's handle on its warm server, which forks cells."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

from arena.disabling import VARIABLE
from arena.errors import ArenaError
from arena.isolation import folders, wire
from arena.isolation.confinement import Confinement
from arena.isolation.wire import Channel
from arena.settings import Limits

_STARTS_WITHIN = 120.0
"""Seconds in which a server must have imported its libraries."""

_KEPT = ("PATH", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV", "CONDA_PREFIX", "TMPDIR", VARIABLE)
_KEPT_GROUPS = ("LC_", "LD_", "DYLD_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_")
"""Variables that attacks may see, and how the names of others begin."""

_LIKE_A_LONG_LIVED_PROCESS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
"""What glibc's malloc learns in time: to keep memory for arrays of the sizes that were freed.

A cell would map, fault in and unmap each anew: half of its page faults, a tenth of its time.
"""

_SERVER = (
    "import sys; sys.path[:] = {path!r}; import socket; from arena.isolation.server import serve; "
    "serve(socket.socket(fileno={fd}), {place!r}, {ruleset!r})"
)


class Lost(Exception):
    """The warm server has ended; nothing is known of the match that it played."""


class Cells:
    """A warm server, and the cell that it runs now.

    Attributes:
        unenforced: what this machine cannot enforce, in words.
    """

    def __init__(self, hidden: Iterable[Path] = ()) -> None:
        """Start a server.

        Args:
            hidden: files and folders that no cell may read, wherever they lie.

        Raises:
            ArenaError: it does not start.
        """
        folders.sweep()
        self._scratch, self._lock = folders.claim()
        # Made here, so that no word of what is hidden comes where attacks are.
        confinement = Confinement.prepare(self._scratch, hidden)
        self.unenforced = "; ".join(confinement.unenforced)
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_STARTS_WITHIN)
        try:
            with theirs:
                self._process = self._started(theirs.fileno(), confinement.ruleset)
        finally:
            if confinement.ruleset is not None:
                os.close(confinement.ruleset)
        try:
            self._told()
        except Lost:
            self.close()
            raise ArenaError(
                "the server of cells does not start (see above); --isolation none does without"
            ) from None

    def _started(self, control: int, ruleset: int | None) -> subprocess.Popen[bytes]:
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100
        place = str(self._scratch)
        code = _SERVER.format(path=path, fd=control, place=place, ruleset=ruleset)
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        return subprocess.Popen(
            [sys.executable, *flags, "-c", code],
            pass_fds=(control, self._lock, *([] if ruleset is None else [ruleset])),
            stdin=subprocess.DEVNULL,
            cwd=self._scratch,
            env=_environment(),
            process_group=0,
        )

    def start(self, limits: Limits) -> tuple[Channel, BinaryIO]:
        """Fork a cell; return the wire to it and the file it prints into.

        Raises:
            Lost: the server has ended.
        """
        ours, theirs = socket.socketpair()
        output = tempfile.TemporaryFile()  # noqa: SIM115
        window = wire.new_window()
        with theirs:
            request = json.dumps({"limits": limits.model_dump()}).encode()
            try:
                fds = [theirs.fileno(), output.fileno(), *([] if window is None else [window])]
                socket.send_fds(self._control, [request], fds)
                self._told()
            except (OSError, Lost) as error:
                ours.close()
                output.close()
                if window is not None:
                    os.close(window)
                raise Lost from error
        shared = None if window is None else wire.opened_window(window)
        return Channel(ours, monotonic() + limits.wall, shared), output

    def end(self, grace: float = 0.0) -> dict[str, Any]:
        """End the cell and its descendants; return exit code, seconds of CPU and peak memory.

        Raises:
            Lost: the server has ended.
        """
        try:
            self._control.sendall(json.dumps({"end": grace}).encode())
        except OSError as error:
            raise Lost from error
        return self._told()

    def close(self) -> None:
        """End the server and what it runs."""
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            folders.remove(self._scratch)
        os.close(self._lock)

    def _told(self) -> dict[str, Any]:
        try:
            data = self._control.recv(1 << 16)
        except OSError as error:
            raise Lost from error
        if not data:
            raise Lost
        told: dict[str, Any] = json.loads(data)
        return told


def _environment() -> dict[str, str]:
    """Return the environment of a server: what finds libraries, and none of its user's secrets."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_GROUPS)
    }
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    single = dict.fromkeys(threads, "1") | {"PYTHONDONTWRITEBYTECODE": "1"}
    return kept | single | _LIKE_A_LONG_LIVED_PROCESS
