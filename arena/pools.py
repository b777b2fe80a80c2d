"""Tasks over pools of worker processes: a dead worker costs only what it held."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import forkserver, reduction, resource_tracker
from time import sleep
from typing import Any

from arena import worker
from arena.errors import ArenaError, one_line

ExecutorFactory = Callable[[int], Executor]
Submit = Callable[[Executor, Any], "Future[Any]"]

_SAFE_PATH = "PYTHONSAFEPATH"

_PAUSES = (0.0, 0.1, 0.5)
"""Seconds before each try to start a worker."""

_PRELOADED = ["arena.worker", "sklearn.ensemble", "sklearn.linear_model", "sklearn.svm"]
"""What workers find imported: most targets are trained by scikit-learn."""

_BARREN = 3
"""So many pools in a row may break before a task of theirs has begun."""


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Make a pool of worker processes from a server that has the libraries imported."""
    context = _context()
    terminal: Any = _Terminal()
    start, given = worker.initialise, (terminal,)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=start, initargs=given)


def start_server() -> None:
    """Start, ahead of its first pool, the server that workers come from; it imports meanwhile.

    An OSError is not raised here: the pool meets it again, and says it.
    """
    if _context().get_start_method() == "forkserver":
        with suppress(OSError), _away_from_here():
            # First and apart: it lets through again the Ctrl-C that the server must be deaf to.
            for start in (resource_tracker.ensure_running, forkserver.ensure_running):
                with _uninterrupted():
                    start()


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(_PRELOADED)
    return context


class _Terminal:
    """Our standard input, for debuggers; a worker gets it as the number of a descriptor."""

    def __reduce__(self) -> tuple[Callable[..., int], tuple[Any, ...]]:
        # Python has none where it was started without, and 0 is any file then.
        return (int, (-1,)) if sys.__stdin__ is None else (_detached, (reduction.DupFd(0),))


def _detached(shared: Any) -> int:
    return int(shared.detach())


class _Here(Executor):
    """Does at once, in this thread, what is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn``; an interruption is not its result, and passes."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def over_pools(
    executor: ExecutorFactory | None, workers: int, tasks: Iterable[Any], submit: Submit
) -> Generator[tuple[Any, Any]]:
    """Yield each task with its outcome, or with the exception that ended its process twice.

    A broken executor is rebuilt. When a worker dies, the tasks in flight are tried again one at a
    time, so that the next death tells whose it was.

    Args:
        executor: makes an executor for a number of workers; None: there are none, the tasks are
            done here, in this thread.
        workers: how many.
        tasks: what ``submit`` takes, one by one.
        submit: hands one task to an executor.

    Raises:
        ArenaError: no worker starts.
    """
    if executor is None:
        for task in tasks:
            done = submit(_Here(), task)
            yield task, done.exception() or done.result()
        return
    waiting: deque[Any] = deque(tasks)
    suspects: deque[Any] = deque()
    barren = 0
    while waiting or suspects:
        before = len(waiting), len(suspects)
        alone = bool(suspects)
        source = suspects if alone else waiting
        most = 1 if alone else 2 * workers
        with _pool(executor, 1 if alone else workers) as pool:
            lost, error = yield from _drain(pool, source, most, submit)
        if alone and lost:
            yield lost[0], error
        else:
            suspects.extend(lost)
        barren = barren + 1 if (len(waiting), len(suspects)) == before else 0
        if barren == _BARREN:
            raise ArenaError("worker processes end before they begin to play") from error


def _drain(pool: Executor, source: deque[Any], most: int, submit: Submit) -> Any:
    """Feed a pool until its source is empty or it breaks; return what was lost, and why."""
    flying: dict[Future[Any], Any] = {}
    while source or flying:
        try:
            while source and len(flying) < most:
                task = source.popleft()
                flying[_kept_on_failure(submit, pool, task, source)] = task
        except BrokenExecutor as error:
            return list(flying.values()), error
        finished, _ = wait(flying, return_when=FIRST_COMPLETED)
        broken = None
        for future in finished:
            failure = future.exception()
            if isinstance(failure, BrokenExecutor):
                broken = failure
                continue
            yield flying.pop(future), failure if failure is not None else future.result()
        if broken is not None:
            return list(flying.values()), broken
    return [], None


def _kept_on_failure(submit: Submit, pool: Executor, task: Any, source: deque[Any]) -> Future[Any]:
    try:
        return _submitted(partial(submit, pool, task))
    except BrokenExecutor:
        source.appendleft(task)
        raise


def _submitted(submit: Callable[[], Future[Any]]) -> Future[Any]:
    """Hand a task over, which may start a worker.

    Raises:
        BrokenExecutor: the pool is broken, or what starts its workers has ended.
    """
    try:
        with _uninterrupted(), _away_from_here():
            return submit()
    except (EOFError, OSError) as error:
        raise BrokenExecutor("a worker cannot be started") from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM: a process that is half started then would be nobody's.

    Processes started meanwhile are deaf to the Ctrl-C that a terminal sends to all of a run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    due: list[signal.Signals] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, lambda given, _: due.append(signal.Signals(given)))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for first in due[:1]:
            signal.raise_signal(first)


@contextmanager
def _away_from_here() -> Iterator[None]:
    """Keep Pythons that start meanwhile from importing what lies in the working directory."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]
        if before is not None:
            os.environ[_SAFE_PATH] = before


@contextmanager
def _pool(factory: ExecutorFactory, workers: int) -> Iterator[Executor]:
    """Open an executor; when the run is interrupted, end its processes at once.

    Raises:
        ArenaError: its workers do not start.
    """
    others = set(multiprocessing.active_children())
    pool = _started(factory, workers)
    try:
        yield pool
        pool.shutdown(cancel_futures=True)
    except BaseException:
        _end_at_once(pool, others)
        raise


def _end_at_once(pool: Executor, others: set[Any]) -> None:
    """End an executor and its processes, all but the others, and wait for its threads.

    One that is still ending when Python does would print a traceback.
    """
    for child in set(multiprocessing.active_children()) - others:
        child.kill()
    pool.shutdown(cancel_futures=True)


def _started(factory: ExecutorFactory, workers: int) -> Executor:
    """Open an executor that works; else every match would seem to have ended its worker."""
    failure: Exception | None = None
    others = set(multiprocessing.active_children())
    for pause in _PAUSES:
        # What starts workers may have been killed, and is not known to be dead at once.
        sleep(pause)
        try:
            pool = factory(workers)
        except OSError as error:
            failure = error
            continue
        try:
            _submitted(partial(pool.submit, worker.ready)).result()
        except BrokenExecutor as error:
            pool.shutdown()
            failure = error
        except BaseException:
            _end_at_once(pool, others)
            raise
        else:
            return pool
    cause = failure if isinstance(failure, OSError) else failure and failure.__cause__
    if isinstance(cause, OSError):
        # Sockets in the folder of temporary files have short names only.
        mend = "; set TMPDIR to a shorter path" if "AF_UNIX" in str(cause) else ""
        raise ArenaError(f"worker processes do not start: {one_line(cause)}{mend}") from failure
    raise ArenaError(
        "worker processes do not start (see above); a script must call arena.play "
        'below `if __name__ == "__main__":`'
    ) from failure


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
