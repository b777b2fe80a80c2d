"""Whole runs: the same bytes however they are played, killed, interrupted or extended."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from misbehaving import (
    BadDefense,
    BadTarget,
    Dies,
    Fragile,
    Interrupts,
    Raises,
    Returns,
    Scribbles,
)
from playground import Fitter, Open, Still, Toy, export, tournament
from processes import eventually, of_kind, played, processes

from arena import Attack, worker
from arena.engine import play, to_play
from arena.errors import ArenaError
from arena.records import Record, Results, Status
from arena.store import Store
from arena.tournament import Tournament
from arena.worker import _bytes

TESTS = Path(__file__).parent

STEADY: tuple[Attack, ...] = (Fitter(batch=1), Fitter(batch=4), Still())


def threads(workers: int) -> Executor:
    return ThreadPoolExecutor(workers)


def in_threads(t: Tournament, folder: Path, **more: Any) -> Results:
    return play(t, folder, workers=2, executor=threads, **more)


def statuses(results: Results) -> list[Status | None]:
    return [entry.record.status if entry.record else None for entry in results.entries]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("undisturbed")
    in_threads(tournament(STEADY, targets=[Toy(), Toy(classes=3)], repetitions=3), folder)
    return export(folder)


# ----------------------------------------------------------------------------------- determinism


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_and_threads_leave_the_same_bytes(
    tmp_path: Path, undisturbed: str, workers: int
) -> None:
    t = tournament(STEADY, targets=[Toy(), Toy(classes=3)], repetitions=3)
    play(t, tmp_path, workers=workers)
    assert export(tmp_path) == undisturbed
    assert len(undisturbed.splitlines()) == 18


def test_company_changes_no_match(tmp_path: Path, undisturbed: str) -> None:
    t = tournament([Fitter(batch=4)], targets=[Toy(classes=3)], repetitions=1)
    in_threads(t, tmp_path)
    (line,) = export(tmp_path).splitlines()
    assert line in undisturbed.splitlines()


class Sloppy(Fitter):
    """Draws from global generators."""

    name = "sloppy"

    def extract(self, oracle: Any, rng: Any) -> Iterator[Any]:
        import numpy as np

        random.random()
        seed = int(np.random.randint(2**31))  # noqa: NPY002
        yield from super().extract(oracle, np.random.default_rng(seed + random.randrange(9)))


def test_global_generators_do_not_carry_over(tmp_path: Path) -> None:
    few = tournament([Sloppy()], repetitions=2)
    play(few, tmp_path / "a", workers=1)
    play(tournament([Sloppy()], repetitions=5), tmp_path / "b", workers=2)
    assert set(export(tmp_path / "a").splitlines()) <= set(export(tmp_path / "b").splitlines())


# ------------------------------------------------------------------- what is played, and again


def test_a_second_run_plays_nothing(tmp_path: Path) -> None:
    t = tournament(STEADY, repetitions=2)
    in_threads(t, tmp_path)
    before = export(tmp_path), played(tmp_path)

    def unused(workers: int) -> Executor:
        raise AssertionError("an executor was asked for")

    play(t, tmp_path, executor=unused)
    assert (export(tmp_path), played(tmp_path)) == before
    assert to_play(t, tmp_path) == ()


def test_more_repetitions_play_the_new_ones_only(tmp_path: Path) -> None:
    in_threads(tournament(STEADY, repetitions=2), tmp_path)
    before, lines = played(tmp_path), set(export(tmp_path).splitlines())
    in_threads(tournament(STEADY, repetitions=3), tmp_path)
    after = played(tmp_path)
    assert {key: after[key] for key in before} == before
    assert len(after) == 9
    assert lines < set(export(tmp_path).splitlines())


def test_another_budget_plays_anew_and_leaves_the_earlier_records(tmp_path: Path) -> None:
    small = tournament(STEADY, budget=10)
    in_threads(small, tmp_path)
    before, text = played(tmp_path), export(tmp_path)
    results = in_threads(tournament(STEADY, budget=25), tmp_path)
    assert [entry.record.queries for entry in results.entries if entry.record] == [25, 25, 0]
    after = played(tmp_path)
    assert len(after) == 6
    assert {key: after[key] for key in before} == before
    in_threads(small, tmp_path)
    assert (export(tmp_path), played(tmp_path)) == (text, after)


def test_only_plays_what_it_names(tmp_path: Path) -> None:
    t = tournament(STEADY)
    results = in_threads(t, tmp_path, only="still")
    assert statuses(results) == [None, None, Status.FINISHED]
    assert len(to_play(t, tmp_path)) == 2
    assert None not in statuses(in_threads(t, tmp_path))


def test_fresh_plays_all_again(tmp_path: Path) -> None:
    t = tournament(STEADY)
    in_threads(t, tmp_path)
    before, text = played(tmp_path), export(tmp_path)
    in_threads(t, tmp_path, fresh=True)
    after = played(tmp_path)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert export(tmp_path) == text


def test_faults_of_attacks_are_played_again_by_retry_and_void_ones_always(tmp_path: Path) -> None:
    t = tournament([Raises(what="error"), Still()], [BadDefense(how="later-raises")])
    t = replace(t, attacks=(*t.attacks, *tournament([Fitter()]).attacks))
    results = in_threads(t, tmp_path)
    assert statuses(results) == [Status.VOID, Status.FINISHED, Status.VOID]
    mixed = tournament([Raises(what="error"), Returns(what="none"), Still()])
    again = in_threads(mixed, tmp_path / "mixed")
    assert statuses(again) == [Status.FAILED, Status.BROKE_A_RULE, Status.FINISHED]

    def replayed(t: Tournament, folder: Path, **more: Any) -> int:
        before = played(folder)
        in_threads(t, folder, **more)
        after = played(folder)
        return sum(after[key] != before[key] for key in before)

    assert replayed(t, tmp_path) == 2
    assert replayed(mixed, tmp_path / "mixed") == 0
    assert replayed(mixed, tmp_path / "mixed", retry=True) == 2


def test_a_secret_seed_is_drawn_once(tmp_path: Path) -> None:
    t = replace(tournament([Fitter()]), seed="secret")
    in_threads(t, tmp_path)
    text = export(tmp_path)
    in_threads(t, tmp_path, fresh=True)
    assert export(tmp_path) == text
    in_threads(t, tmp_path / "other")
    assert export(tmp_path / "other") != text
    assert to_play(t, tmp_path) == ()


# -------------------------------------------------------------------------- targets that fail


def test_a_target_that_cannot_be_trained_voids_its_matches_only(tmp_path: Path) -> None:
    t = tournament([Still()], targets=[BadTarget(how="raises"), Toy()])
    results = in_threads(t, tmp_path)
    assert statuses(results) == [Status.VOID, Status.FINISHED]
    record = results.entries[0].record
    assert record is not None
    assert record.reason == "target bad-target cannot be trained: ArithmeticError: it diverges"
    with Store.open(tmp_path) as store:
        diagnostics = store.diagnostics((record.match, record.terms, record.build))
    assert diagnostics is not None
    assert "misbehaving.py" in diagnostics.traceback


@pytest.mark.parametrize("how", ["exits", "unpicklable", "one-class", "nan"])
def test_bad_targets_have_a_sentence(tmp_path: Path, how: str) -> None:
    t = tournament([Still()], targets=[BadTarget(how=how)])
    record = in_threads(t, tmp_path).entries[0].record
    assert record is not None
    assert record.status is Status.VOID
    assert record.reason.startswith("target bad-target cannot be trained: ")
    assert "\n" not in record.reason
    assert not list((tmp_path / "stages").iterdir())


def test_what_a_killed_training_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "x.pickle.123.partial").touch()
    in_threads(tournament([Still()]), tmp_path)
    assert [path.suffix for path in (tmp_path / "stages").iterdir()] == [".pickle"]


@pytest.mark.parametrize("content", [b"junk", b"\x80\x05N.", b""])
def test_a_stage_that_cannot_be_read_is_trained_again(tmp_path: Path, content: bytes) -> None:
    t = tournament(STEADY)
    in_threads(t, tmp_path)
    text = export(tmp_path)
    (path,) = (tmp_path / "stages").iterdir()
    path.write_bytes(content)
    _bytes.cache_clear()
    in_threads(t, tmp_path, fresh=True)
    assert export(tmp_path) == text
    assert len(path.read_bytes()) > 100


def test_what_a_fresh_run_cannot_play_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = tournament([Still()])
    in_threads(t, tmp_path)
    text = export(tmp_path)
    (path,) = (tmp_path / "stages").iterdir()
    path.unlink()
    monkeypatch.setattr(Toy, "train", lambda self, rng: 1 / 0)
    assert statuses(in_threads(t, tmp_path, fresh=True)) == [Status.FINISHED]
    assert export(tmp_path) == text


def test_what_a_defence_writes_into_its_victim_changes_no_other_match(tmp_path: Path) -> None:
    t = tournament(STEADY, defenses=[Scribbles(), Open()])
    play(t, tmp_path / "a", workers=1)
    play(tournament(STEADY), tmp_path / "b", workers=1)
    other = export(tmp_path / "b").splitlines()
    assert set(other) < set(export(tmp_path / "a").splitlines())


# ------------------------------------------------------------------------------ workers that die


def test_a_death_costs_the_match_it_was_in_and_no_other(tmp_path: Path) -> None:
    killers = (Dies(how="exit"), Dies(how="kill"))
    t = tournament([*STEADY, *killers], repetitions=2)
    results = play(t, tmp_path / "a", workers=2)
    for entry in results.entries:
        assert entry.record is not None
        dead = entry.attack.startswith("dies")
        expected = {Status.CRASHED} if dead else {Status.FINISHED, Status.EXHAUSTED}
        assert entry.record.status in expected
        assert entry.record.reason == ("dies: its process died" if dead else "")
    in_threads(tournament(STEADY, repetitions=2), tmp_path / "b")
    undisturbed = export(tmp_path / "b").splitlines()
    assert set(undisturbed) < set(export(tmp_path / "a").splitlines())


def test_a_training_that_dies_and_attacks_that_raise_ctrl_c(tmp_path: Path) -> None:
    targets = [BadTarget(how="dies"), Toy(), Fragile()]
    results = play(tournament([Interrupts(), Fitter()], targets=targets), tmp_path, workers=1)
    found = {
        (entry.target, entry.attack): (entry.record.status.value, entry.record.reason)
        for entry in results.entries
        if entry.record
    }
    died = ("void", "target bad-target cannot be trained: its process died")
    assert found == {
        ("bad-target(how=dies)", "interrupts"): died,
        ("bad-target(how=dies)", "fitter"): died,
        ("toy", "interrupts"): ("failed", "interrupts: KeyboardInterrupt"),
        ("toy", "fitter"): ("exhausted", ""),
        ("fragile", "interrupts"): ("failed", "interrupts: KeyboardInterrupt"),
        ("fragile", "fitter"): ("void", "the target raises ZeroDivisionError: too few"),
    }


def test_plugins_that_cannot_be_sent_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Local(Still):
        """Cannot be imported from anywhere."""

    with pytest.raises(ArenaError, match=r"cannot be sent to a worker .*; put it in a module"):
        play(tournament([Local()]), tmp_path / "a", workers=1)

    only_here = ModuleType("only_here")
    only_here.Local = Local  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    Local.__module__, Local.__qualname__ = "only_here", "Local"
    record = play(tournament([Local()]), tmp_path / "b", workers=1).entries[0].record
    assert record is not None
    assert record.status is Status.VOID
    assert "No module named 'only_here'" in record.reason


def test_workers_that_do_not_start_are_said(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
        "from playground import Still, tournament\n"
        "from arena.engine import play\n"
        f"play(tournament([Still()]), {str(tmp_path / 'out')!r})\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert 'must call arena.play below `if __name__ == "__main__":`' in done.stderr
    assert not played(tmp_path / "out")


def test_executors_that_cannot_be_made_are_said(tmp_path: Path) -> None:
    def full(workers: int) -> Executor:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ArenaError) as caught:
        play(tournament([Still()]), tmp_path, executor=full)
    reason = "OSError: [Errno 28] No space left on device"
    assert str(caught.value) == f"worker processes do not start: {reason}"


def test_pools_that_break_before_they_play_are_given_up(tmp_path: Path) -> None:
    class Breaks(ThreadPoolExecutor):
        def submit(self, function: Any, /, *given: Any, **more: Any) -> Any:
            if function is worker.ready:
                return super().submit(function)
            raise EOFError

    with pytest.raises(ArenaError, match="worker processes end before they begin to play"):
        play(tournament([Still()]), tmp_path, executor=Breaks)


def test_two_runs_on_one_folder(tmp_path: Path) -> None:
    class Runs:
        def training(self, done: int, total: int) -> None:
            pass

        def playing(self, done: int, total: int, record: Record | None) -> None:
            with pytest.raises(ArenaError, match="another run is writing"):
                play(tournament([Still()]), tmp_path)

    in_threads(tournament([Still()]), tmp_path, progress=Runs())


def test_progress_is_told_of_every_match(tmp_path: Path) -> None:
    told: list[Any] = []

    class Tells:
        def training(self, done: int, total: int) -> None:
            told.append(("training", done, total))

        def playing(self, done: int, total: int, record: Record | None) -> None:
            told.append((done, total, record.status if record else None))

    in_threads(tournament([Still()], repetitions=2), tmp_path, progress=Tells())
    assert told[:3] == [("training", 0, 1), ("training", 1, 1), (0, 2, None)]
    assert told[3:] == [(1, 2, Status.FINISHED), (2, 2, Status.FINISHED)]


def test_a_store_that_fails_ends_the_run_and_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: Store, record: Record, diagnostics: Any) -> None:
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr(Store, "add", full)
    started = time.monotonic()
    with pytest.raises(ArenaError, match="disk is full"):
        play(tournament([Fitter(seconds=1.0), Still()]), tmp_path, workers=2)
    assert time.monotonic() - started < 15


# --------------------------------------------------------------------------- killed from outside

SETTINGS = {"batches": [1, 2, 3], "repetitions": 4, "workers": 2, "seconds": 0.002}


def start(folder: Path, **more: Any) -> subprocess.Popen[str]:
    """Start a run as a process of its own, in a session of its own."""
    command = [sys.executable, str(TESTS / "playground.py"), str(folder)]
    return subprocess.Popen(
        [*command, json.dumps(SETTINGS | more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "24 24"
    return export(folder)


def killed(folder: Path, whole: str, seed: int, of_worker: bool) -> None:
    """Kill a run (or a worker of it) at a random moment, go on, and compare."""
    process = start(folder)
    assert process.stdout is not None
    process.stdout.readline()
    rng = random.Random(seed)
    for _ in range(rng.randrange(16)):
        process.stdout.readline()
    time.sleep(rng.random() * 0.03)
    group = process.pid
    if of_worker:
        for pid in rng.sample(of_kind(group, "worker"), min(1, len(of_kind(group, "worker")))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    else:
        process.kill()
        process.communicate(timeout=60)
        assert eventually(lambda: not processes(group)), "orphans are left"
    before = played(folder)
    again = start(folder)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    after = played(folder)
    assert {key: after[key] for key in before} == before, "a finished match was played twice"
    assert export(folder) == whole


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize("of_worker", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, whole: str, of_worker: bool) -> None:
    killed(tmp_path, whole, 0, of_worker)


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("of_worker", [False, True])
def test_fifty_kills(tmp_path: Path, whole: str, of_worker: bool) -> None:
    for seed in range(50):
        killed(tmp_path / str(seed), whole, 1000 + seed, of_worker)


@needs_proc
def test_threads_in_a_process_of_their_own_leave_the_same_bytes(tmp_path: Path, whole: str) -> None:
    process = start(tmp_path, threads=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert export(tmp_path) == whole


def test_what_lies_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    for name in ("copy", "tempfile", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "t.yaml").write_text(
        "targets: [halfspace: {dataset: wine}]\nattacks: [random]\nbudget: 9\n"
        "goal: {size: 100, reach: [0.8]}\nrepetitions: 1\n"
    )
    # As the installed command, which has no path of the working directory.
    code = (
        "import sys; del sys.path[0]; from arena.cli import main; sys.exit(main(['run', 't.yaml']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_deadline_ends_a_process_that_is_deaf_to_alarms() -> None:
    code = (
        "import signal, time\nfrom arena.worker import _deadline\nwith _deadline(0.3):\n"
        "    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    time.sleep(60)\n"
    )
    started = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
    assert time.monotonic() - started < 30
