"""What runs in a worker process: trains targets and plays matches, one BLAS thread each."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from arena.errors import ArenaError, one_line
from arena.match import play
from arena.records import Diagnostics, Record
from arena.stage import Stage, prepare

PARTIAL = ".partial"
"""What the name of a stage ends in while it is written."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_of_thread = threading.local()


def initialise() -> None:
    """Make this process a worker: quiet on standard output, and ended with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def ready() -> None:
    """Do nothing: a worker that answers this has started well."""
    _one_thread()


def train(spec: bytes, path: Path) -> str:
    """Train the target of a pickled `TargetSpec` and keep its stage at ``path``.

    Returns:
        Empty, or what is wrong in one line, a newline, and the traceback.
    """
    _one_thread()
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        partial.write_bytes(pickle.dumps(prepare(_loaded(spec)), protocol=5))
        partial.replace(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sentence = str(error) if isinstance(error, ArenaError) else one_line(error)
        return f"{sentence}\n{traceback.format_exc()}"
    return ""


def play_on(spec: bytes, path: Path, build: str) -> tuple[Record, Diagnostics]:
    """Play a pickled `MatchSpec` on the stage kept at ``path``.

    Raises:
        ArenaError: the stage cannot be read, or a plugin cannot be imported here.
    """
    _one_thread()
    match = _loaded(spec)
    if multiprocessing.parent_process() is not None:
        _seed_globals(int(match.key[:8], 16))
    return play(match, _stage(path), build)


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


@lru_cache(maxsize=8)
def _stage(path: Path) -> Stage:
    try:
        stage = pickle.loads(path.read_bytes())
    except Exception as error:
        what = one_line(error)
        raise ArenaError(f"{path} cannot be read ({what}); remove it and run again") from error
    if not isinstance(stage, Stage):
        raise ArenaError(f"{path} holds {type(stage).__name__}, no stage; remove it and run again")
    return stage
