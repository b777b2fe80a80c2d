"""Plays what is not yet played, over any `concurrent.futures.Executor`."""

from __future__ import annotations

import pickle
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from traceback import format_exception
from typing import Any, Protocol

from arena import worker
from arena.build import forget_sources, match_build, training_build, versions
from arena.datasets import Dataset
from arena.errors import ArenaError, one_line
from arena.isolation import folders
from arena.pairing import MatchSpec, TargetSpec, plan, selected
from arena.pools import ExecutorFactory, cores, over_pools, process_pool
from arena.records import BoardTerms, Diagnostics, Entry, Record, Results, Status
from arena.settings import Isolation
from arena.store import Key, Store, made
from arena.tournament import Tournament
from arena.watching import Journal


class Progress(Protocol):
    """Is told how a run goes on."""

    def training(self, done: int, total: int) -> None:
        """``done`` of ``total`` targets are trained."""

    def playing(self, done: int, total: int, record: Record | None) -> None:
        """``done`` of ``total`` matches are played, ``record`` the last of them."""

    def unenforced(self, what: str) -> None:
        """Cells are not closed off from ``what``; told once a run."""


class _Silence:
    def training(self, done: int, total: int) -> None:
        """Say nothing."""

    def playing(self, done: int, total: int, record: Record | None) -> None:
        """Say nothing."""

    def unenforced(self, what: str) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Job:
    """A match to be played.

    Attributes:
        spec: the match.
        key: what its record is stored under.
        path: where the stage of its target is kept.
        versions: of all that plays it.
    """

    spec: MatchSpec
    key: Key
    path: Path
    versions: Mapping[str, str]


def play(
    tournament: Tournament,
    out: str | Path | None = None,
    workers: int | None = None,
    only: str | None = None,
    fresh: bool = False,
    retry: bool = False,
    progress: Progress | None = None,
    isolation: Isolation | None = None,
    executor: ExecutorFactory | None = process_pool,
    journal: Journal | None = None,
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
        isolation: where attacks run, in place of the tournament's.
        executor: makes the executor for a number of workers; None: this very thread plays, so that
            debuggers find it.
        journal: is told how every match goes on; for runs of one match.

    Returns:
        Every match of the tournament, with its record where it has been played.

    Raises:
        ArenaError: the folder cannot be written, or another run holds it.
        KeyboardInterrupt: the run was interrupted; what was finished is stored.
    """
    folder = Path(out) if out is not None else Path("runs") / tournament.name
    tell = progress or _Silence()
    forget_sources()
    with Store.open(folder, create=True) as store:
        tournament = _with_drawn_seed(tournament, store)
        jobs = [_job(spec, folder) for spec in plan(tournament)]
        store.set_lineup(_terms(tournament), [_line(job) for job in jobs])
        todo = _to_play(jobs, store, only, fresh, retry)
        try:
            if todo:
                _clear_partial_stages(folder)
                where = isolation or tournament.isolation
                hidden = _hidden(tournament, folder)
                run = _Run(store, workers or cores(), executor, tell, where, hidden, journal)
                run.play(todo)
        finally:
            # A worker that is killed before its server stands leaves a folder that is nobody's.
            folders.sweep()
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
    """One run of matches over executors."""

    def __init__(
        self,
        store: Store,
        workers: int,
        executor: ExecutorFactory | None,
        progress: Progress,
        isolation: Isolation,
        hidden: tuple[Path, ...],
        journal: Journal | None,
    ) -> None:
        self.store = store
        self.workers = workers
        self.executor = executor
        self.progress = progress
        self.isolation = isolation
        self.hidden = hidden
        self.journal = journal
        self.warned = False

    def play(self, jobs: Sequence[Job]) -> None:
        playable = self.train(jobs)
        done, total = len(jobs) - len(playable), len(jobs)
        self.progress.playing(done, total, None)
        # Closed at once when storing fails or is interrupted, and its processes with it.
        with closing(over_pools(self.executor, self.workers, playable, self.submit)) as outcomes:
            for job, outcome in outcomes:
                if isinstance(outcome, BaseException):
                    record, diagnostics = _crash(job, outcome, self.isolation)
                else:
                    record, diagnostics = outcome
                    self.warn(diagnostics.unenforced)
                self.store.add(record, replace(diagnostics, versions=job.versions))
                done += 1
                self.progress.playing(done, total, record)

    def submit(self, pool: Executor, job: Job) -> Future[Any]:
        spec = _pickled(job.spec.sealed())
        where = self.isolation, self.hidden
        return pool.submit(worker.play_on, spec, job.path, job.key[2], *where, self.journal)

    def warn(self, unenforced: str) -> None:
        """Say once what this machine cannot enforce."""
        if unenforced and self.isolation == "cell" and not self.warned:
            self.warned = True
            self.progress.unenforced(unenforced)

    def train(self, jobs: Sequence[Job]) -> list[Job]:
        """Train what the jobs need and is not on disk; return the jobs whose target is there."""
        needed = {job.path: job.spec.training for job in jobs}
        missing = [(spec, path) for path, spec in needed.items() if not path.is_file()]
        failed: dict[Path, str] = {}
        for folder in {path.parent for _, path in missing}:
            made(folder)
        self.progress.training(0, len(missing))
        with closing(
            over_pools(self.executor, self.workers, missing, _submit_training)
        ) as outcomes:
            for done, ((spec, path), outcome) in enumerate(outcomes, 1):
                if isinstance(outcome, BaseException):
                    died = isinstance(outcome, BrokenExecutor)
                    outcome = "its process died" if died else one_line(outcome)
                if outcome:
                    failed[path] = f"target {spec.target.name} cannot be trained: {outcome}"
                self.progress.training(done, len(missing))
        for job in jobs:
            if job.path in failed:
                reason, _, text = failed[job.path].partition("\n")
                record = replace(_blank(job), reason=reason)
                self.store.add(record, Diagnostics(traceback=text, versions=job.versions))
        return [job for job in jobs if job.path not in failed]


def _submit_training(pool: Executor, task: tuple[TargetSpec, Path]) -> Future[Any]:
    spec, path = task
    return pool.submit(worker.train, _pickled(spec), path)


def _pickled(spec: MatchSpec | TargetSpec) -> bytes:
    # Not left to the executor: what it cannot unpickle ends the worker, and the blame goes astray.
    try:
        return pickle.dumps(spec)
    except Exception as error:
        raise ArenaError(
            f"a plugin cannot be sent to a worker ({one_line(error)}); put it in a module"
        ) from error


def _hidden(tournament: Tournament, folder: Path) -> tuple[Path, ...]:
    """Return what no attack may read, even where it lies among what attacks import."""
    parameters = [value for target in tournament.targets for _, value in target.plugin]
    data = [value.csv for value in parameters if isinstance(value, Dataset) and value.csv]
    file = [tournament.file] if tournament.file else []
    return tuple(path.absolute() for path in (folder, *file, *data))


def _clear_partial_stages(folder: Path) -> None:
    """Remove what a run that was killed while it trained has left."""
    for partial in (folder / "stages").glob(f"*{worker.PARTIAL}"):
        # A worker of that run may be removing it, too.
        if partial.is_file():
            partial.unlink(missing_ok=True)


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
    # Absolute: a target or a defence may change the working directory of its worker.
    stages = folder.absolute() / "stages"
    path = stages / f"{training.key}-{training_build(training)}.pickle"
    return Job(spec, (spec.key, spec.terms, match_build(spec)), path, versions(spec))


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
        "repetition": spec.repetition,
        "seed": spec.seed,
        "knowledge": spec.knowledge.model_dump(),
        "budget": spec.budget,
        "checkpoints": spec.checkpoints,
        "goal": asdict(spec.goal),
    }
    return entry, job.key, specification


def _terms(tournament: Tournament) -> BoardTerms:
    t = tournament
    terms = BoardTerms(t.name, t.goal, t.budget, t.price, t.repetitions, t.utility_floor)
    return replace(terms, published=t.published, source=t.source)


def _blank(job: Job) -> Record:
    return Record(*job.key, status=Status.VOID, seeds=job.spec.seeds)


def _crash(job: Job, error: BaseException, isolation: Isolation) -> tuple[Record, Diagnostics]:
    attack, text = job.spec.attack.plugin.name, "".join(format_exception(error))
    if isinstance(error, BrokenExecutor) and isolation == "cell":
        # The attack was in a process of its own.
        status, reason = Status.VOID, "the target or the defence ended the worker's process"
    elif isinstance(error, BrokenExecutor):
        status, reason = Status.CRASHED, f"{attack}: its process died"
    elif isinstance(error, KeyboardInterrupt):
        # A worker is deaf to Ctrl-C, so the attack itself raised it.
        status, reason = Status.FAILED, f"{attack}: raises KeyboardInterrupt"
    elif isinstance(error, ArenaError):
        status, reason = Status.VOID, str(error)
    else:
        status, reason = Status.VOID, f"the engine fails: {one_line(error)}"
    return replace(_blank(job), status=status, reason=reason), Diagnostics(traceback=text)
