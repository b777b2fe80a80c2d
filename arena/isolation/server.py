"""The warm server: a process that has the libraries imported and forks cells, one at a time.

It is started anew, not forked, so that it has never held a target, a data set or a score; and what
it forks can have inherited none. Plugins of other distributions than ours are imported in the cell:
one of them could change the libraries of every cell that came after it.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn

from arena.isolation import cell
from arena.isolation.confinement import LINUX, Confinement, adopt_orphans
from arena.isolation.wire import Channel, opened_window
from arena.settings import Limits

_OURS = "extraction-arena"
_WARM = (
    *("scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats"),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.neural_network"),
    *("sklearn.svm", "sklearn.tree", "arena.learners.kernel_svm", "arena.learners.recipes"),
)
_LARGEST_REQUEST = 1 << 16


def serve(control: socket.socket, scratch: str) -> None:
    """Fork cells as told over a socket, until it is closed.

    Requests are JSON: ``{"limits": {...}}``, with the descriptors of a cell's wire, of its output
    and perhaps of a window, forks one, answered by its pid; ``{"end": seconds}`` gives it so long
    to end, then ends it and all its descendants, answered by how it ended. When the socket closes,
    nothing is left.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = Path(scratch)
    adopt_orphans()
    try:
        _warm_up()
        # Its referee may be gone at any moment; then there is nobody left to be told.
        with suppress(BrokenPipeError, ConnectionResetError):
            _fork_as_told(control, Confinement.prepare(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fork_as_told(control: socket.socket, confinement: Confinement) -> None:
    gc.collect()
    gc.freeze()
    _reply(control, {"unenforced": confinement.unenforced})
    pid = 0
    try:
        while True:
            data, fds, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 3)
            if not data:
                return
            request = json.loads(data)
            if "limits" in request:
                pid = _fork(fds, Limits.model_validate(request["limits"]), confinement)
                for fd in fds:
                    os.close(fd)
                _reply(control, {"pid": pid})
            else:
                ended, pid = pid, 0
                _reply(control, _end(ended, request["end"], confinement))
    finally:
        if pid:
            _end(pid, 0.0, confinement)


def _warm_up() -> None:
    for name in _WARM:
        import_module(name)
    for point in entry_points(group="arena"):
        if point.dist is not None and point.dist.metadata["Name"] == _OURS:
            # One that is broken is told of by the registry.
            with suppress(Exception):
                point.load()


def _reply(control: socket.socket, answer: dict[str, Any]) -> None:
    control.sendall(json.dumps(answer).encode())


def _fork(fds: list[int], limits: Limits, confinement: Confinement) -> int:
    pid = os.fork()
    if not pid:
        _become_cell(fds, limits, confinement)
    return pid


def _become_cell(fds: list[int], limits: Limits, confinement: Confinement) -> NoReturn:
    wire, output, *window = fds
    code = 1
    try:
        shared = opened_window(window[0]) if window else None
        channel = Channel(socket.socket(fileno=wire), window=shared)
        try:
            os.setpgid(0, 0)
            cell.quiet_streams(output)
            _close_all_but(wire, confinement.ruleset)
            confinement.enter(limits)
        except OSError as error:
            cell.failed_to_start(channel, error)
        else:
            cell.work(channel)
            code = 0
    finally:
        os._exit(code)


def _close_all_but(*kept: int | None) -> None:
    last = 2
    for fd in sorted(fd for fd in kept if fd is not None):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, 1 << 20)


def _end(pid: int, grace: float, confinement: Confinement) -> dict[str, Any]:
    """End a cell and every process that came of it; leave its folder empty for the next."""
    by_itself = _ends_within(grace, pid)
    if not by_itself:
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    if not confinement.filtered:
        _end_descendants()
    return {
        "code": os.waitstatus_to_exitcode(status) if by_itself else None,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_memory": used.ru_maxrss / (1024 if LINUX else 1 << 20),
        "clean": _emptied(confinement.scratch),
    }


def _ends_within(seconds: float, pid: int) -> bool:
    """Wait for the end of a child, and leave it to be waited for."""
    until = monotonic() + seconds
    while True:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
        if monotonic() >= until:
            return False
        sleep(0.001)


def _emptied(folder: Path) -> bool:
    """Empty a folder; False where what an attack has made there cannot be removed."""

    def open_up(function: Any, path: str, failure: Any) -> None:
        for blocked in (Path(path).parent, Path(path)):
            blocked.chmod(0o700)
        function(path)

    try:
        for child in folder.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child, onerror=open_up)
            else:
                child.unlink()
    except (OSError, RecursionError):
        return False
    return True


def _end_descendants() -> None:
    """End what a cell has left, where nothing has kept it from forking; we have adopted it."""
    while True:
        for child in _children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        return [int(pid) for pid in found.read_text(encoding="ascii").split()]
    except OSError:
        return []
