"""What runs in a worker process: trains targets and plays matches, one BLAS thread each."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from functools import lru_cache
from pathlib import Path

from threadpoolctl import threadpool_limits

from arena.match import play
from arena.pairing import MatchSpec, TargetSpec
from arena.records import Diagnostics, Record
from arena.stage import Stage, prepare

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def initialise() -> None:
    """Make this process a worker: quiet on standard output, and ended with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), 1)
    one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def one_thread() -> None:
    """Hold BLAS and OpenMP to one thread, in libraries loaded now and later."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threadpool_limits(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def train(spec: TargetSpec, path: Path) -> str:
    """Train a target and keep its stage at ``path``.

    Returns:
        Empty, or one sentence why it cannot be trained, a newline, and the traceback.
    """
    try:
        data = pickle.dumps(prepare(spec), protocol=5)
    except Exception as error:
        sentence = " ".join(f"{type(error).__name__}: {error}".split())
        return f"target {spec.target.name} cannot be trained: {sentence}\n{traceback.format_exc()}"
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
    return ""


def play_on(spec: MatchSpec, path: Path, build: str) -> tuple[Record, Diagnostics]:
    """Play a match on the stage kept at ``path``."""
    return play(spec, _stage(path), build)


@lru_cache(maxsize=4)
def _stage(path: Path) -> Stage:
    stage = pickle.loads(path.read_bytes())
    if not isinstance(stage, Stage):
        raise TypeError(f"{path} holds {type(stage).__name__}, no stage; remove it")
    return stage
