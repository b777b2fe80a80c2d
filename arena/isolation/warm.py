"""The referee's handle on its warm server, which forks cells."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from time import monotonic
from typing import Any, BinaryIO

from arena.errors import ArenaError
from arena.isolation import folders, wire
from arena.isolation.wire import Channel
from arena.settings import Limits

_STARTS_WITHIN = 120.0
"""Seconds in which a server must have imported its libraries."""

_SERVER = (
    "import sys; sys.path[:] = {path!r}; import socket; from arena.isolation.server import serve; "
    "serve(socket.socket(fileno={fd}), {scratch!r})"
)


class Lost(Exception):
    """The warm server has ended; nothing is known of the match that it played."""


class Cells:
    """A warm server, and the cell that it runs now.

    Attributes:
        unenforced: what this machine cannot enforce, in words.
    """

    def __init__(self) -> None:
        """Start a server.

        Raises:
            ArenaError: it does not start.
        """
        folders.sweep()
        folder, self._lock = folders.claim()
        self._scratch = str(folder)
        ours, theirs = socket.socketpair()
        with theirs:
            path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100
            code = _SERVER.format(path=path, fd=theirs.fileno(), scratch=self._scratch)
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-c", code],
                pass_fds=(theirs.fileno(), self._lock),
                stdin=subprocess.DEVNULL,
                cwd=self._scratch,
                env=_environment(),
                process_group=0,
            )
        self._control = ours
        self._control.settimeout(_STARTS_WITHIN)
        try:
            self.unenforced: str = "; ".join(self._told()["unenforced"])
        except Lost:
            self.close()
            raise ArenaError(
                "the server of cells does not start (see above); --isolation none does without"
            ) from None

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
        shutil.rmtree(self._scratch, ignore_errors=True)
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
    """Return the environment of a server: one thread for BLAS, and no word of where we are."""
    hidden = ("PWD", "OLDPWD")
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | dict.fromkeys(threads, "1") | {"PYTHONDONTWRITEBYTECODE": "1"}
