"""Plays what is not yet played, over any `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from arena import worker
from arena.api import Plugin
from arena.build import match_build, training_build
from arena.pairing import MatchSpec, TargetSpec, plan, selected
from arena.records import BoardTerms, Diagnostics, Entry, Record, Results, Status
from arena.registry import installed
from arena.store import Key, Store
from arena.tournament import Tournament

ExecutorFactory = Callable[[int], Executor]


class Progress(Protocol):
    """Is told how a run goes on."""

    def training(self, done: int, total: int) -> None:
        """``done`` of ``total`` targets are trained."""

    def playing(self, done: int, total: int, record: Record | None) -> None:
        """``done`` of ``total`` matches are played, ``record`` the last of them."""


class _Silence:
    def training(self, done: int, total: int) -> None:
        """Say nothing."""

    def playing(self, done: int, total: int, record: Record | None) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Job:
    """A match to be played, on the stage kept at ``path``."""

    spec: MatchSpec
    build: str
    path: Path

    @property
    def key(self) -> Key:
        """What its record is stored under."""
        return self.spec.key, self.spec.terms, self.build


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Make a pool of worker processes from a server that has the libraries imported."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(["arena.worker"])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=worker.initialise)


def play(
    tournament: Tournament,
    out: str | Path | None = None,
    workers: int | None = None,
    only: str | None = None,
    fresh: bool = False,
    retry: bool = False,
    progress: Progress | None = None,
    executor: ExecutorFactory = process_pool,
) -> Results:
    """Play every match of a tournament that its folder does not hold yet.

    Args:
        tournament: from `arena.load`.
        out: folder of results, ``runs/<name>`` by default.
        workers: processes, one a core by default.
        only: a glob; plays just the matches whose attack, defence or target it matches.
        fresh: play everything again.
        retry: play again what failed through an attack's fault.
        progress: is told how the run goes on.
        executor: makes the executor for a number of workers.

    Returns:
        Every match of the tournament, with its record where it has been played.

    Raises:
        ArenaError: the folder cannot be written, or another run holds it.
        KeyboardInterrupt: the run was interrupted; what was finished is stored.
    """
    folder = Path(out) if out is not None else Path("runs") / tournament.name
    tell = progress or _Silence()
    with Store.open(folder, create=True) as store:
        tournament = _with_drawn_seed(tournament, store)
        jobs = [_job(spec, folder) for spec in plan(tournament)]
        store.set_lineup(_terms(tournament), [_line(job) for job in jobs])
        todo = _to_play(jobs, store, only, fresh, retry)
        if todo:
            _Run(store, workers or os.cpu_count() or 1, executor, tell).play(todo)
        return store.results()


def to_play(
    tournament: Tournament, out: str | Path | None = None, only: str | None = None
) -> tuple[MatchSpec, ...]:
    """Return the matches `play` would play now, and nothing is played or written."""
    folder = Path(out) if out is not None else Path("runs") / tournament.name
    try_again = {Status.VOID, Status.INTERRUPTED}
    played: set[Key] = set()
    if (folder / "results.sqlite").is_file():
        with Store.open(folder) as store:
            seed = store.get("secret_seed")
            if tournament.seed == "secret" and seed:
                tournament = replace(tournament, seed=seed)
            played = {key for key, status in store.statuses().items() if status not in try_again}
    jobs = [_job(spec, folder) for spec in plan(tournament) if not spec.skipped]
    return tuple(j.spec for j in jobs if selected(j.spec, only) and j.key not in played)


class _Run:
    """One run of matches over executors; a broken one is rebuilt, and its matches played again."""

    def __init__(
        self, store: Store, workers: int, executor: ExecutorFactory, progress: Progress
    ) -> None:
        self.store = store
        self.workers = workers
        self.executor = executor
        self.progress = progress

    def play(self, jobs: Sequence[Job]) -> None:
        playable = self.train(jobs)
        done, total = len(jobs) - len(playable), len(jobs)
        self.progress.playing(done, total, None)
        for job, outcome in self.over_pools(playable, _submit_match):
            if isinstance(outcome, BaseException):
                record, diagnostics = _crash(job, outcome)
            else:
                record, diagnostics = outcome
            self.store.add(record, diagnostics)
            done += 1
            self.progress.playing(done, total, record)

    def train(self, jobs: Sequence[Job]) -> list[Job]:
        """Train what the jobs need and is not on disk; return the jobs whose target is there."""
        needed = {job.path: job.spec.training for job in jobs}
        missing = [(spec, path) for path, spec in needed.items() if not path.is_file()]
        failed: dict[Path, str] = {}
        for path in {path.parent for _, path in missing}:
            path.mkdir(parents=True, exist_ok=True)
        self.progress.training(0, len(missing))
        for done, ((_, path), outcome) in enumerate(self.over_pools(missing, _submit_training), 1):
            if isinstance(outcome, BaseException):
                failed[path] = f"its training ends the process: {outcome}"
            elif outcome:
                failed[path] = outcome
            self.progress.training(done, len(missing))
        for job in jobs:
            if job.path in failed:
                reason, _, text = failed[job.path].partition("\n")
                record = replace(_blank(job), reason=reason)
                self.store.add(record, Diagnostics(traceback=text))
        return [job for job in jobs if job.path not in failed]

    def over_pools(
        self, tasks: Sequence[Any], submit: Callable[[Executor, Any], Future[Any]]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield each task with its outcome, or with the exception that ended its process twice.

        When a worker dies, the tasks in flight are tried again one at a time, so that the next
        death tells whose it was.
        """
        waiting: deque[Any] = deque(tasks)
        suspects: deque[Any] = deque()
        while waiting or suspects:
            alone = bool(suspects)
            source = suspects if alone else waiting
            most = 1 if alone else 2 * self.workers
            with _pool(self.executor, 1 if alone else self.workers) as pool:
                lost, error = yield from self.drain(pool, source, most, submit)
            if alone and lost:
                yield lost[0], error
            else:
                suspects.extend(lost)

    def drain(
        self,
        pool: Executor,
        source: deque[Any],
        most: int,
        submit: Callable[[Executor, Any], Future[Any]],
    ) -> Any:
        """Feed a pool until its source is empty or it breaks; return what was lost, and why."""
        flying: dict[Future[Any], Any] = {}
        while source or flying:
            try:
                while source and len(flying) < most:
                    task = source.popleft()
                    flying[_kept_on_failure(submit, pool, task, source)] = task
            except BrokenProcessPool as error:
                return list(flying.values()), error
            finished, _ = wait(flying, return_when=FIRST_COMPLETED)
            broken = None
            for future in finished:
                failure = future.exception()
                if isinstance(failure, BrokenProcessPool):
                    broken = failure
                    continue
                yield flying.pop(future), failure if failure is not None else future.result()
            if broken is not None:
                return list(flying.values()), broken
        return [], None


def _kept_on_failure(
    submit: Callable[[Executor, Any], Future[Any]], pool: Executor, task: Any, source: deque[Any]
) -> Future[Any]:
    try:
        return submit(pool, task)
    except BrokenProcessPool:
        source.appendleft(task)
        raise


def _submit_match(pool: Executor, job: Job) -> Future[Any]:
    return pool.submit(worker.play_on, job.spec, job.path, job.build)


def _submit_training(pool: Executor, task: tuple[TargetSpec, Path]) -> Future[Any]:
    return pool.submit(worker.train, *task)


@contextmanager
def _pool(factory: ExecutorFactory, workers: int) -> Iterator[Executor]:
    """Open an executor; when the run is interrupted, end its processes at once."""
    pool = factory(workers)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _to_play(
    jobs: Sequence[Job], store: Store, only: str | None, fresh: bool, retry: bool
) -> list[Job]:
    statuses = store.statuses()

    def due(job: Job) -> bool:
        if job.spec.skipped or not selected(job.spec, only):
            return False
        status = statuses.get(job.key)
        again = status in (None, Status.VOID, Status.INTERRUPTED)
        return fresh or again or (retry and status is not None and status.attacks_fault)

    # Repetition by repetition, so that an interrupted run has something of every pair.
    return sorted(filter(due, jobs), key=lambda job: job.spec.repetition)


def _with_drawn_seed(tournament: Tournament, store: Store) -> Tournament:
    if tournament.seed != "secret":
        return tournament
    seed = store.get("secret_seed")
    if seed is None:
        seed = secrets.token_hex(16)
        store.put("secret_seed", seed)
    return replace(tournament, seed=seed)


def _job(spec: MatchSpec, folder: Path) -> Job:
    training = spec.training
    path = folder / "stages" / f"{training.key}-{training_build(training)}.pickle"
    return Job(spec, match_build(spec), path)


def _line(job: Job) -> tuple[Entry, Key, dict[str, Any]]:
    spec = job.spec
    entry = Entry(
        spec.target.label,
        spec.defense.label,
        spec.attack.label,
        spec.repetition,
        spec.skipped,
        baseline=spec.attack.plugin.baseline,
    )
    specification = {
        "target": spec.target.plugin.identity(),
        "defense": spec.chain,
        "attack": spec.attack.plugin.identity(),
        "versions": _versions((spec.target.plugin, *spec.defense.plugins, spec.attack.plugin)),
        "repetition": spec.repetition,
        "seed": spec.seed,
        "knowledge": spec.knowledge.model_dump(),
        "budget": spec.budget,
        "checkpoints": spec.checkpoints,
        "goal": asdict(spec.goal),
    }
    return entry, job.key, specification


def _versions(plugins: Sequence[Plugin]) -> dict[str, str]:
    known = {p.distribution: p.version for p in installed().plugins}
    return {p.distribution: known.get(p.distribution, "?") for p in plugins}


def _terms(tournament: Tournament) -> BoardTerms:
    t = tournament
    return BoardTerms(t.name, t.goal, t.budget, t.price, t.repetitions, t.utility_floor)


def _blank(job: Job) -> Record:
    return Record(*job.key, status=Status.VOID, seeds=job.spec.seeds)


def _crash(job: Job, error: BaseException) -> tuple[Record, Diagnostics]:
    if isinstance(error, BrokenProcessPool):
        status, reason = Status.CRASHED, f"{job.spec.attack.plugin.name}: its process died"
    else:
        status, reason = Status.VOID, " ".join(f"the engine fails: {error!r}".split())
    return replace(_blank(job), status=status, reason=reason), Diagnostics()
