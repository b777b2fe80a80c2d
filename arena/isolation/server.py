"""The warm server: a process that has the libraries imported and forks cells, one at a time.

It is started anew, not forked, so that it has never held a target, a data set or a score; and what
it forks can have inherited none. Plugins of other distributions than ours are imported in the cell:
one of them could change the libraries of every cell that came after it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn

from arena import disabling
from arena.isolation import cell, folders, watch
from arena.isolation.confinement import LINUX, Confinement, adopt_orphans
from arena.isolation.wire import Channel, opened_window
from arena.points import distribution_of
from arena.registry import GROUP, OURS
from arena.settings import Limits

_WARM = (
    *("scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats"),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.neural_network"),
    *("sklearn.svm", "sklearn.tree", "arena.learners.kernel_svm", "arena.learners.recipes"),
)
_LARGEST_REQUEST = 1 << 16


@dataclass
class _Cell:
    """A cell at work.

    Attributes:
        pid: its process.
        limits: what it may use.
        folder: where it may write.
        times: of the folder, when nothing had been in it.
        excess: of what it has used too much.
    """

    pid: int
    limits: Limits
    folder: Path
    times: tuple[int, ...]
    excess: str = ""


def serve(control: socket.socket, place: str, ruleset: int | None) -> None:
    """Fork cells as told over a socket, until it is closed.

    Requests are JSON: ``{"limits": {...}}``, with the descriptors of a cell's wire, of its output
    and perhaps of a window, forks one, answered by its pid; ``{"end": seconds}`` gives it so long
    to end, then ends it and all its descendants, answered by how it ended. When the socket closes,
    nothing is left.

    Args:
        control: the socket.
        place: a folder for the folders of cells; it is removed.
        ruleset: the descriptor of what Landlock lets them read; None where there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    try:
        _warm_up()
        confinement = Confinement(Path(place), ruleset)
        # Its referee may be gone at any moment, and the machine may have no process left: then
        # there is nobody to be told, or another server is started.
        with suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
            _fork_as_told(control, confinement)
    finally:
        with suppress(OSError):
            folders.remove(Path(place))


def _fork_as_told(control: socket.socket, confinement: Confinement) -> None:
    gc.collect()
    gc.freeze()
    _reply(control, {"ready": True})
    running: _Cell | None = None
    try:
        while True:
            if running:
                _watch(running, control)
            data, fds, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 3)
            if not data:
                return
            request = json.loads(data)
            if "limits" in request:
                running = _fork(fds, Limits.model_validate(request["limits"]), confinement)
                for fd in fds:
                    os.close(fd)
                _reply(control, {"pid": running.pid})
            elif running:
                ended, running = running, None
                _reply(control, _end(ended, request["end"], confinement))
    finally:
        if running:
            _end(running, 0.0, confinement)


def _watch(running: _Cell, control: socket.socket) -> None:
    """Look after a cell until something is told; end it where it uses too much."""
    while not select.select([control], [], [], watch.EVERY)[0]:
        if not running.excess:
            running.excess = watch.excess(running.pid, running.folder, running.limits)
            if running.excess:
                os.kill(running.pid, signal.SIGKILL)


def _warm_up() -> None:
    for name in _WARM:
        import_module(name)
    # At its first use of one scikit-learn looks its libraries up in /proc, closed to cells; it
    # remembers what it found.
    import_module("sklearn.metrics").pairwise_distances_argmin([[0.0]], [[0.0]])
    disabled = disabling.names(disabling.wanted())
    for point in entry_points(group=GROUP):
        if distribution_of(point) == OURS and not disabling.naming(disabled, OURS, point.name):
            # One that is broken is told of by the registry.
            with suppress(Exception):
                point.load()


def _reply(control: socket.socket, answer: dict[str, Any]) -> None:
    control.sendall(json.dumps(answer).encode())


def _fork(fds: list[int], limits: Limits, confinement: Confinement) -> _Cell:
    folder = confinement.scratch / "cell"
    folder.mkdir(mode=0o700, exist_ok=True)
    times = folders.times(folder)
    pid = os.fork()
    if not pid:
        _become_cell(fds, limits, confinement, folder)
    return _Cell(pid, limits, folder, times)


def _become_cell(
    fds: list[int], limits: Limits, confinement: Confinement, folder: Path
) -> NoReturn:
    wire, output, *window = fds
    code = 1
    try:
        shared = opened_window(window[0]) if window else None
        channel = Channel(socket.socket(fileno=wire), window=shared)
        try:
            os.setpgid(0, 0)
            cell.quiet_streams(output)
            _close_all_but(wire, confinement.ruleset)
            confinement.enter(limits, folder)
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


def _end(ended: _Cell, grace: float, confinement: Confinement) -> dict[str, Any]:
    """End a cell and every process that came of it; remove its folder, if it was used."""
    by_itself = _ends_within(grace, ended.pid)
    if not by_itself:
        ended.excess = ended.excess or watch.excess(ended.pid, ended.folder, ended.limits)
        os.kill(ended.pid, signal.SIGKILL)
    _, status, used = os.wait4(ended.pid, 0)
    if not confinement.filtered:
        _end_descendants()
    return {
        "code": os.waitstatus_to_exitcode(status) if by_itself else None,
        "excess": ended.excess,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_memory": used.ru_maxrss / (1024 if LINUX else 1 << 20),
        "clean": _untouched(ended) or _removed(ended.folder),
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


def _untouched(ended: _Cell) -> bool:
    # The size and the times of a folder tell the next cell of what has been in it.
    with suppress(OSError):
        return folders.times(ended.folder) == ended.times
    return False


def _removed(folder: Path) -> bool:
    try:
        folders.remove(folder)
    except OSError:
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
