"""Matches in cells as their users see them: the same results, limits kept, output and reasons."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from conftest import Runner, Writer
from greedy import Chatty, Clustering, Greedy, registry
from playground import Fitter, export, tournament
from sites import Site

from arena.cli import main
from arena.engine import play
from arena.inspection import match_page
from arena.isolation import folders
from arena.isolation.confinement import Confinement
from arena.records import Diagnostics, Entry, Status
from arena.registry import installed
from arena.settings import Isolation, Limits
from arena.store import Store, key_of
from arena.tournament import load

TESTS = Path(__file__).parent.parent


class _Shared(ThreadPoolExecutor):
    """Outlives a run, so that runs share its one warm server."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Go on."""


@pytest.fixture(scope="module")
def here() -> Iterator[Any]:
    """Makes executors that play in this process, with one warm server for all of them."""
    pool = _Shared(1)
    yield lambda workers: pool
    ThreadPoolExecutor.shutdown(pool)


def diagnostics(folder: Path, entry: Entry) -> Diagnostics:
    assert entry.record is not None
    with Store.open(folder) as store:
        found = store.diagnostics(key_of(entry.record))
    assert found is not None
    return found


# ------------------------------------------------------------------------------- the same results


GIVEN = {"attack": "line-search", "repeats": 3}
"""What attacks must be given."""


def every_attack() -> list[Any]:
    """Return an entry for every attack of ours."""
    entries: list[Any] = []
    for found in installed().of_kind("attack"):
        if found.distribution == "extraction-arena":
            fields = found.plugin.model_fields.items()
            wanted = {name: value for name, value in GIVEN.items() if name in dict(fields)}
            given = {name: wanted[name] for name, field in fields if field.is_required()}
            entries.append({found.full_name: given})
    return entries


def test_every_attack_leaves_the_same_bytes_in_a_cell_and_without(
    tournament_file: Writer, tmp_path: Path, here: Any
) -> None:
    attacks = "".join(f"  - {entry}\n" for entry in every_attack())
    path = tournament_file(
        "budget: 25\nrepetitions: 1\ncheckpoints: 1.5\n"
        "goal: {inputs: uniform, reach: [0.9], size: 200}\n"
        "targets:\n"
        "  - halfspace: {dataset: iris, positive: virginica, reveals: [label, probabilities]}\n"
        "  - decision-tree: {dataset: iris}\n"
        "  - svm-rbf: {dataset: iris}\n"
        "defenses: [label-flip: {rate: 0.05}]\n"
        f"attacks:\n{attacks}"
    )
    results = {
        where: play(load(path), tmp_path / where, isolation=cast(Isolation, where), executor=here)
        for where in ("cell", "none")
    }
    assert export(tmp_path / "cell") == export(tmp_path / "none")
    played = [e for e in results["cell"].entries if e.record]
    assert {e.attack for e in played} == {e.attack for e in results["cell"].entries}
    assert {e.record.status for e in played if e.record} <= {Status.FINISHED, Status.EXHAUSTED}
    alone, own = (diagnostics(tmp_path / where, played[0]) for where in ("cell", "none"))
    assert alone.unenforced != own.unenforced
    assert own.unenforced.startswith("everything")


# ------------------------------------------------------------------------ limits, output, reasons

REASONS = {
    "wall": (Status.TIMED_OUT, "greedy: is not done after 2 s"),
    "cpu": (Status.TIMED_OUT, "greedy: uses more than 1 s of processor time"),
    "memory": (Status.OUT_OF_MEMORY, "greedy: ran out of memory"),
    "files": (Status.FAILED, "greedy: OSError: [Errno 24] Too many open files: '/dev/null'"),
    "output": (Status.FAILED, "greedy: OSError: [Errno 27] File too large"),
    "file": (Status.FAILED, "greedy: OSError: [Errno 27] File too large"),
}


@pytest.mark.parametrize("things", [["wall"], ["cpu", "memory", "files", "output", "file"]])
def test_each_limit_of_the_file_ends_the_match_that_breaks_it(
    things: list[str], tournament_file: Writer, tmp_path: Path, here: Any
) -> None:
    wall = 2 if things == ["wall"] else 60
    path = tournament_file(
        "repetitions: 1\ngoal: {inputs: uniform, reach: [0.9], size: 200}\n"
        f"limits: {{wall: {wall}, cpu: 1, memory: 64, files: 16, output: 1}}\n"
        f"targets: [plain]\nattacks: {[{'greedy': {'of': thing}} for thing in things]}\n"
    )
    results = play(load(path, registry()), tmp_path, executor=here)
    for thing, entry in zip(things, results.entries, strict=True):
        assert entry.record is not None
        assert (entry.record.status, entry.record.reason) == REASONS[thing]
        # What was asked and proposed before counts.
        assert entry.record.queries == 3
        assert len(entry.record.curve) == 1
        printed = diagnostics(tmp_path, entry).output
        assert printed.startswith("x" if thing == "output" else f"wants all of {thing}\n")
        assert len(printed) <= 1 << 16


def test_output_and_memory_are_kept_and_shown(tmp_path: Path, here: Any) -> None:
    t = tournament([Chatty(mebibytes=0), Chatty(mebibytes=100), Greedy(of="file")])
    results = play(t, tmp_path, isolation="cell", executor=here)
    small, large, failed = results.entries
    found = diagnostics(tmp_path, small)
    assert found.output == "to standard output \N{SNOWMAN}\nto standard error \ufffd\n"
    more = diagnostics(tmp_path, large).peak_memory - found.peak_memory
    assert 80 < more < 150
    with Store.open(tmp_path) as store:
        page = match_page(store, failed.record.match if failed.record else "", True)
    assert "status   failed\nreason   greedy: OSError: [Errno 27] File too large\n" in page
    assert "it printed:\nwants all of file\n" in page
    assert "in _writes\n    file.write(bytes(1 << 20))\n" in page


def test_limits_of_a_tournament_that_is_made_in_python(tmp_path: Path, here: Any) -> None:
    limits = Limits(wall=2)  # type: ignore[call-arg]
    t = tournament([Greedy(of="wall"), Fitter()], limits=limits)
    results = play(t, tmp_path, isolation="cell", executor=here)
    assert [e.record.status for e in results.entries if e.record] == [
        Status.TIMED_OUT,
        Status.EXHAUSTED,
    ]


def test_what_reads_of_its_threads_in_proc_plays_in_a_cell(tmp_path: Path, here: Any) -> None:
    results = play(tournament([Clustering()]), tmp_path, isolation="cell", executor=here)
    [entry] = results.entries
    assert entry.record is not None
    assert (entry.record.status, entry.record.reason) == (Status.FINISHED, "")
    assert entry.record.queries == 4


# ------------------------------------------------------------------------------- whole commands

THEIRS = '''
import os
from arena import Attack, hookimpl

class Theirs(Attack):
    """Guess always the same."""
    name = "theirs"
    fails: bool = False
    def extract(self, oracle, rng):
        oracle.ask(oracle.knowledge.domain.sample(4, rng))
        print("plays in", os.path.basename(os.getcwd()))
        yield Constant()
        if self.fails:
            raise LookupError("nothing found")

class Constant:
    def predict(self, X):
        return X[:, 0] * 0

@hookimpl
def register_attacks(register):
    register(Theirs)
'''

FILE = """\
budget: 10
repetitions: 2
goal: {inputs: uniform, reach: [0.9], size: 200}
targets: [decision-tree: {dataset: iris}]
attacks: [theirs, theirs: {fails: true}]
"""

Show = Callable[..., str]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """Return what ``arena show`` prints of the match of an attack."""

    def shown(folder: Path, attack: str) -> str:
        with Store.open(folder) as store:
            record = next(e.record for e in store.results().entries if e.attack == attack)
        assert record is not None
        assert main(["show", str(folder), record.match]) == 0
        return capsys.readouterr().out

    return shown


@pytest.mark.slow
def test_another_distribution_plays_in_cells(
    tournament_file: Writer, run_arena: Runner, site: Site, tmp_path: Path, show: Show
) -> None:
    tournament_file(FILE)
    site.add("their-pack", theirs=THEIRS)
    environment = {**os.environ, "PYTHONPATH": str(site.path)}
    for where in ("cell", "none"):
        words = ("run", "t.yaml", "--out", where, "--isolation", where, "--workers", 1)
        done = run_arena(*words, "--only", "theirs*", env=environment)
        assert done.returncode == 1, done.stderr
        assert ("plays in" in done.stderr) == (where == "none")
    assert export(tmp_path / "cell") == export(tmp_path / "none")
    page = show(tmp_path / "cell", "theirs(fails=True)")
    assert "reason   theirs: LookupError: nothing found\n" in page
    assert re.search(r"it printed:\nplays in cell\n", page)
    assert "not enforced" not in page
    assert "not enforced: everything" in show(tmp_path / "none", "theirs(fails=True)")


SCRIPT = """\
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
import arena
from playground import tournament


class Mine(arena.Attack):
    name = "mine"
    stops: bool = False

    def extract(self, oracle, rng):
        oracle.ask(oracle.knowledge.domain.sample(2, rng))
        if self.stops:
            breakpoint()
        print("in", __name__)
        yield Zero()


class Zero:
    def predict(self, X):
        return X[:, 0] * 0


if __name__ == "__main__":
    t = tournament([Mine(stops=sys.argv[2] == "none")], isolation=sys.argv[2])
    record = arena.play(t, "out", workers=1).entries[0].record
    print(record.status, record.queries, len(record.curve), record.reason)
"""


@pytest.mark.parametrize("isolation", ["cell", "none"])
def test_an_attack_of_a_script_plays_in_a_cell_or_under_a_debugger(
    isolation: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, str(TESTS), isolation],
        cwd=tmp_path,
        input="p 'I', oracle.spent\nc\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "finished 2 1 \n", done.stderr
    with Store.open(tmp_path / "out") as store:
        entry = store.results().entries[0]
    in_cell = isolation == "cell"
    assert ("('I', 2)" in done.stderr) == (not in_cell)
    assert diagnostics(tmp_path / "out", entry).output == ("in __mp_main__\n" if in_cell else "")


# ----------------------------------------------------------------------- what is not enforced


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="needs a system call filter to take the others away",
)
def test_a_kernel_without_landlock_and_filters_is_said_once_and_recorded(
    tournament_file: Writer, tmp_path: Path, show: Show
) -> None:
    tournament_file(FILE.replace("[theirs, theirs: {fails: true}]", "[random]"))
    script = TESTS / "isolation" / "unconfined.py"
    words = ["run", "t.yaml", "--out", "out", "--workers", "2", "--quiet"]
    done = subprocess.run(
        [sys.executable, script, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    lacking = (
        "files: an attack can read and write what this user can; "
        "processes, signals and sockets: an attack can use them"
    )
    assert done.returncode == 0
    sentence = f"arena: this machine does not enforce: {lacking} (docs/trust.md says more)\n"
    assert done.stderr == sentence
    assert f"not enforced: {lacking}\n" in show(tmp_path / "out", "random")
    with Store.open(tmp_path / "out") as store:
        entries = store.results().entries
    assert len(entries) == 6
    assert {diagnostics(tmp_path / "out", entry).unenforced for entry in entries} == {lacking}


@pytest.mark.parametrize(
    ("version", "filtered", "words"),
    [
        (6, True, ()),
        (0, True, ("files",)),
        (1, True, ()),
        (1, False, ("processes", "signals")),
        (6, False, ("processes",)),
        (0, False, ("files", "processes")),
    ],
)
def test_what_is_lacking_is_in_words(
    version: int,
    filtered: bool,
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("arena.isolation.confinement.LINUX", True)
    monkeypatch.setattr("arena.isolation.landlock.version", lambda: version)
    monkeypatch.setattr("arena.isolation.landlock.reading", lambda *folders: None)
    monkeypatch.setattr("arena.isolation.seccomp.available", lambda: filtered)
    lacking = Confinement.prepare(tmp_path).unenforced
    assert tuple(re.split("[:, ]", sentence)[0] for sentence in lacking) == words


# ------------------------------------------------------------------------------ folders of cells


def test_a_folder_is_swept_once_nobody_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder, lock = folders.claim()
    (folder / "inner").mkdir()
    (folder / "inner" / "file").touch()
    other = tmp_path / "arena-cell-link"
    other.symlink_to(Path.home())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, pass_fds=(lock,))
    folders.sweep()
    assert (folder / "inner" / "file").exists()
    os.close(lock)
    folders.sweep()
    assert (folder / "inner" / "file").exists()
    child.kill()
    child.communicate()
    folders.sweep()
    assert list(tmp_path.iterdir()) == [other]
    assert Path.home().is_dir()
