"""What runs in a worker process: trains targets and plays matches, one BLAS thread each."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pickle
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from threadpoolctl import threadpool_limits

from arena.errors import ArenaError, is_interrupt, one_line
from arena.isolation.cells import CellSeat, Killed
from arena.isolation.confinement import hide_memory
from arena.isolation.warm import Cells, Lost
from arena.match import play
from arena.pairing import MatchSpec, TargetSpec
from arena.records import Diagnostics, Record, Status
from arena.settings import Isolation
from arena.stage import Stage, prepare
from arena.traces import failure
from arena.watching import Journal

PARTIAL = ".partial"
"""What the name of a stage ends in while it is written."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_of_thread = threading.local()
_held: list[IO[str]] = []

_TRIES = 3
"""How often a match is played whose cell was killed: once more after an accident, and once more."""

_SLACK = 60.0
"""Seconds beside those of an attack and of its scoring in which a match must end."""


def initialise(terminal: int) -> None:
    """Make this process a worker: quiet on standard output, and ended with its parent.

    Args:
        terminal: a descriptor of its standard input from now on, negative where there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if terminal >= 0:
        os.dup2(terminal, 0)
        os.close(terminal)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    hide_memory()
    # They would come once a refit, from every worker, to whoever looks at the progress.
    warnings.filterwarnings("ignore", module="sklearn")
    _take_a_core()
    os.dup2(sys.stderr.fileno(), 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _take_a_core() -> None:
    """Stay on a core that no other worker of this machine holds, if there is one, with our cells.

    The two sides of a wire take turns: on one core a query costs a fraction of what it does across
    two. Where the locks of cores cannot be kept, workers go wherever the kernel sends them.
    """
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            _take_a_free_core()


def _take_a_free_core() -> None:
    folder = Path(tempfile.gettempdir()) / f"arena-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for core in sorted(os.sched_getaffinity(0)):
        file = (folder / str(core)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        os.sched_setaffinity(0, {core})
        _held.append(file)
        return


def ready() -> None:
    """Do nothing: a worker that answers this has started well."""
    _one_thread()


def train(spec: bytes, path: Path) -> str:
    """Train the target of a pickled `TargetSpec` and keep its stage at ``path``.

    Returns:
        Empty, or what is wrong in one line, a newline, and the traceback.
    """
    _one_thread()
    try:
        _keep(_loaded(spec), path)
    except BaseException as error:
        if is_interrupt(error):
            raise
        sentence = str(error) if isinstance(error, ArenaError) else one_line(error)
        return f"{sentence}\n{failure(error)}"
    return ""


def play_on(
    spec: bytes,
    path: Path,
    build: str,
    isolation: Isolation,
    hidden: tuple[Path, ...] = (),
    journal: Journal | None = None,
) -> tuple[Record, Diagnostics]:
    """Play a pickled `MatchSpec` on the stage kept at ``path``.

    Args:
        spec: the match, its attack sealed.
        path: of the stage.
        build: of what plays.
        isolation: whether the attack gets a cell of its own.
        hidden: files and folders that no cell may read, wherever they lie.
        journal: is told how the match goes on.

    Raises:
        ArenaError: the target cannot be trained again where its stage cannot be read, a plugin
            cannot be imported here, or no cell starts.
    """
    _one_thread()
    match = _loaded(spec)
    stage = _stage(path, match.training)
    ours = multiprocessing.parent_process() is not None
    # The threads of another's process share its generators.
    if ours or threading.current_thread() is threading.main_thread():
        _seed_globals(int(match.key[:8], 16))
    with _deadline(2 * match.limits.wall + _SLACK) if ours else nullcontext():
        if isolation == "cell":
            return _in_a_cell(match, stage, build, hidden, journal)
        return play(match, stage, build, journal=journal)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """End this process, which the engine notices, if a target or a defence never answers.

    By a signal, which no code in C can put off, and by a thread, which no handler can.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.setitimer(signal.ITIMER_REAL, 0)


def _in_a_cell(
    match: MatchSpec,
    stage: Stage,
    build: str,
    hidden: tuple[Path, ...],
    journal: Journal | None,
) -> tuple[Record, Diagnostics]:
    """Play with the attack in a cell; again, when the cell or its server was killed."""
    status, reason = Status.VOID, ""
    for _ in range(_TRIES):
        cells = _cells(hidden)
        seat = CellSeat(cells, match, stage.victim.domain.d, len(stage.victim.classes))
        try:
            return play(match, stage, build, seat, journal)
        except Killed as error:
            status, reason = Status.CRASHED, str(error)
        except Lost:
            status, reason = Status.VOID, "the server of cells ends again and again"
            _close_cells()
        finally:
            if not seat.clean:
                _close_cells()
    record = Record(match.key, match.terms, build, status, reason, seeds=match.seeds)
    return record, Diagnostics()


def _cells(hidden: tuple[Path, ...]) -> Cells:
    """Return the warm server of this thread, started when it is needed first."""
    if getattr(_of_thread, "hidden", None) != hidden:
        _close_cells()
        _of_thread.hidden = hidden
    if _of_thread.cells is None:
        try:
            _of_thread.cells = Cells(hidden)
        except ArenaError:
            # It may have been killed; one that does not start twice does not start.
            _of_thread.cells = Cells(hidden)
    cells: Cells = _of_thread.cells
    return cells


def _close_cells() -> None:
    cells, _of_thread.cells = getattr(_of_thread, "cells", None), None
    if cells is not None:
        cells.close()


def _loaded(spec: bytes) -> Any:
    try:
        return pickle.loads(spec)
    except Exception as error:
        raise ArenaError(
            f"a worker cannot load the plugins ({one_line(error)}); put them in a module that it "
            "can import"
        ) from error


def _one_thread() -> None:
    """Hold BLAS and OpenMP to one thread, in libraries loaded now and later.

    OpenMP counts by the thread that asks, hence once in every thread.
    """
    if not hasattr(_of_thread, "limits"):
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        _of_thread.limits = threadpool_limits(1)


def _seed_globals(seed: int) -> None:
    """Keep a plugin that draws from global generators from depending on what was played before."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


def _keep(spec: TargetSpec, path: Path) -> None:
    """Train a target and write its stage, whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        partial.write_bytes(pickle.dumps(prepare(spec), protocol=5))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _stage(path: Path, spec: TargetSpec) -> Stage:
    """Load a stage for one match, since a defence may write into it; train it again if damaged."""
    try:
        return _read(path)
    except Exception:
        _bytes.cache_clear()
        _keep(spec, path)
    try:
        return _read(path)
    except Exception as error:
        raise ArenaError(f"the trained target cannot be read back: {one_line(error)}") from error


def _read(path: Path) -> Stage:
    stage = pickle.loads(_bytes(path))
    if not isinstance(stage, Stage):
        raise TypeError(f"{path} holds {type(stage).__name__}, no stage")
    return stage


@lru_cache(maxsize=8)
def _bytes(path: Path) -> bytes:
    return path.read_bytes()
