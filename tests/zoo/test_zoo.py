"""The zoo: plugins that cheat, spy and rage, each asserted by name, in the cells that others get.

One command plays them beside honest attacks, another those that time alone ends. Every animal must
get its status and its reason and nothing else, and every other match must be, byte for byte, what
it is without the zoo.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from augur import Augur
from brutes import Brute
from enclosure import Guarded
from forgers import Forger
from hunters import Burglar, Hunter
from playground import Fitter, Open, Toy, export, staged, tournament
from smugglers import Squirrel, Whisperer
from surrogates import Mimic
from wards import Rotten, Sick

from arena import Defense
from arena.engine import play
from arena.records import Diagnostics, Record, Results, Status
from arena.settings import Limits
from arena.store import Store
from arena.tournament import Tournament
from arena_plugins.defenses.label_flip import LabelFlip

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"),
    reason="cells are closed off on Linux only",
)

HERE = Path(__file__).parent
HONEST = ("fitter(batch=1)", "fitter(batch=4)", "still", "fitter(batch=2)", "fitter(batch=6)")
BASELINES = ("constant", "public-data", "random")
FOOTPRINTS = ("/tmp/zoo-was-here", "/dev/shm/zoo-was-here", "/dev/shm/zoo", "/tmp/zoo", "/run/zoo")
_SUBREAPER = 36
_SETTLES = 10.0
"""Seconds in which what a run has started must be gone."""

EPERM = r"PermissionError: \[Errno 1\] Operation not permitted"
NOT_AN_END = "says how it ended in words that are not understood"
TOO_LONG = "is not done after 2 s"
TOO_BUSY = "uses more than 2 s of processor time|is not done after 10 s"

FAILED, CRASHED, BROKE = Status.FAILED, Status.CRASHED, Status.BROKE_A_RULE
TIMED_OUT, NO_MEMORY = Status.TIMED_OUT, Status.OUT_OF_MEMORY
FINISHED, EXHAUSTED, VOID = Status.FINISHED, Status.EXHAUSTED, Status.VOID

ENDS: dict[str, tuple[Status, str]] = {
    **{f"hunter {how}": (FINISHED, "") for how in Hunter.ways},
    **{f"burglar {how}": (FINISHED, "") for how in Burglar.ways},
    "forger meter": (EXHAUSTED, ""),
    "forger catching": (EXHAUSTED, ""),
    "forger undue": (FINISHED, ""),
    "forger lasts": (BROKE, "goes on after its last surrogate"),
    "forger asks-after-last": (BROKE, "goes on after its last surrogate"),
    "forger too-many-bytes": (BROKE, "proposes more than 256 MiB of surrogates"),
    "forger long": (BROKE, "sends 9,223,372,036,854,775,808 bytes where at most 67,108,864 fit"),
    "forger half": (CRASHED, "its process ends with exit code 0"),
    "forger drop": (TIMED_OUT, TOO_LONG),
    "forger empty": (BROKE, "announces 0 rows of 3 and sends 0 bytes"),
    "forger misfit": (BROKE, "announces 1 rows of 3 and sends 23 bytes"),
    "forger outside-the-window": (
        BROKE,
        "announces 2147483648 rows of 3 where there is no room for them",
    ),
    "forger not-finite": (BROKE, "sends a surrogate in arrays: its weights do not fit"),
    "forger narrow": (BROKE, "sends a surrogate in arrays: its weights do not fit"),
    "forger cut-off": (BROKE, "announces 1 rows of 6 for which bytes are missing"),
    "forger circle": (BROKE, "sends a surrogate in arrays: its children do not fit"),
    "forger crowded": (BROKE, "sends a surrogate in arrays: its many numbers do not fit"),
    "forger referee": (BROKE, "sends what no attack may send"),
    "forger nonsense": (BROKE, r"sends [\d,]+ bytes where at most 67,108,864 fit"),
    "forger descriptor": (FINISHED, ""),
    "forger void": (BROKE, NOT_AN_END),
    "forger interrupted": (BROKE, NOT_AN_END),
    "forger unknown": (BROKE, NOT_AN_END),
    "forger nested": (BROKE, NOT_AN_END),
    "forger numbers": (BROKE, NOT_AN_END),
    "forger unsayable": (FAILED, r"\\ud800 \\x1b\[2J\\x1b\]0;owned\\x07 status finished"),
    "forger lengthy": (FAILED, r"x{1000}\.\.\."),
    "forger well": (FINISHED, ""),
    "forger closes": (CRASHED, "closes its wire to the referee"),
    "forger shuts": (CRASHED, "its process ends with exit code 0"),
    "forger deaf": (TIMED_OUT, TOO_LONG),
    "forger crowd": (CRASHED, "its process ends with exit code 0"),
    "forger lingering": (EXHAUSTED, ""),
    "mute": (BROKE, "ends without proposing a surrogate; yield at least one"),
    "mimic pickle-command": (FINISHED, ""),
    "mimic pickle-writes": (FINISHED, ""),
    "mimic pickle-connects": (FINISHED, ""),
    "mimic pickle-exits": (BROKE, "its surrogate cannot be unpickled: SystemExit: 3"),
    "mimic pickle-kills": (BROKE, f"its surrogate cannot be unpickled: {EPERM}"),
    "mimic pickle-is-no-pickle": (BROKE, "its surrogate cannot be unpickled: OSError: .*"),
    "mimic sleeps": (TIMED_OUT, TOO_LONG),
    "mimic shape": (BROKE, r"its predict gives shape \(200, 2\) for 200 rows; give \(200,\)"),
    "mimic short": (BROKE, r"its predict gives shape \(199,\) for 200 rows; give \(200,\)"),
    "mimic nothing": (BROKE, r"its predict gives shape \(\) for 200 rows; give \(200,\)"),
    "mimic nan": (BROKE, r"its predict gives nan; the classes are 0\.\.1"),
    "mimic strings": (BROKE, "its predict gives <U2; give whole numbers"),
    "mimic objects": (BROKE, "its predict gives object; give whole numbers"),
    "mimic billion": (BROKE, r"its predict gives shape \(1000000000,\) for 200 rows; .*"),
    "mimic billion-bytes": (NO_MEMORY, "ran out of memory"),
    "mimic other-labels": (BROKE, r"its predict gives 7; the classes are 0\.\.1"),
    "mimic asks": (BROKE, "its surrogate fails to predict: ValueError: .*"),
    "mimic asks-the-wire": (BROKE, "sends what is not asked for"),
    "mimic says-finished": (BROKE, NOT_AN_END),
    "mimic says-void": (BROKE, NOT_AN_END),
    "mimic speaks-first": (BROKE, r"sends 1600 bytes as the labels of \d+ rows"),
    "mimic signs": (BROKE, "sends labels that are no classes"),
    "mimic hogs": (NO_MEMORY, "ran out of memory"),
    "mimic kills-itself": (BROKE, f"its surrogate fails to predict: {EPERM}"),
    "mimic segfaults": (CRASHED, "its process ends by SIGSEGV"),
    "mimic exits": (CRASHED, "its process ends with exit code 0"),
    "mimic raises": (BROKE, "its surrogate fails to predict: GeneratorExit: no"),
    "mimic recurses": (BROKE, "its surrogate fails to predict: RecursionError: .*"),
    "mimic leaves-threads": (FINISHED, ""),
    "heavy": (TIMED_OUT, TOO_LONG),
    "brute loops": (TIMED_OUT, TOO_BUSY),
    "brute loops-deaf": (TIMED_OUT, TOO_BUSY),
    "brute sleeps": (TIMED_OUT, TOO_LONG),
    "brute stops": (TIMED_OUT, TOO_LONG),
    "brute hogs": (NO_MEMORY, "ran out of memory"),
    "brute hogs-shared": (FAILED, EPERM),
    "brute hogs-stack": (NO_MEMORY, "ran out of memory"),
    "brute hogs-tables": (NO_MEMORY, "ran out of memory"),
    "brute hogs-file": (FAILED, EPERM),
    "brute recurses": (NO_MEMORY, "ran out of memory"),
    "brute recurses-in-c": (CRASHED, "its process ends by SIGSEGV"),
    "brute exits": (CRASHED, "its process ends with exit code 0"),
    "brute exits-as-if-killed": (CRASHED, "its process ends with exit code 137"),
    "brute leaves": (CRASHED, "its process ends with exit code 9"),
    "brute segfaults": (CRASHED, "its process ends by SIGSEGV"),
    "brute aborts": (CRASHED, "its process ends by SIGABRT"),
    "brute kills-itself": (FAILED, EPERM),
    "brute terminates-itself": (FAILED, EPERM),
    "brute limits-itself": (FAILED, "ValueError: not allowed to raise maximum limit"),
    "brute times-itself": (FAILED, "PermissionError: no timer"),
    "brute signals-itself": (FAILED, EPERM),
    "brute raises": (FAILED, "Ugly: its __str__ raises Ugly"),
    "brute raises-and-exits": (CRASHED, "its process ends with exit code 0"),
    "brute dies-badly": (FINISHED, ""),
    "brute closes-streams": (FINISHED, ""),
    "brute prints": (FAILED, r"OSError: \[Errno 27\] File too large"),
    "brute prints-on": (BROKE, "writes more than 64 MiB"),
    "brute prints-a-while": (BROKE, "writes more than 64 MiB"),
    "brute forks": (FAILED, EPERM),
    "brute spawns": (FAILED, EPERM),
    "brute spawns-variously": (FINISHED, ""),
    "brute threads": (BROKE, "runs more than 256 threads"),
    "brute signals": (FINISHED, ""),
    "brute orphan": (FINISHED, ""),
    "brute fills": (BROKE, "writes more than 64 MiB"),
    "brute fills-hidden": (BROKE, "writes more than 64 MiB"),
    "brute fills-allocated": (FAILED, EPERM),
    "brute litters": (BROKE, "makes more than 10,000 files"),
    "brute digs": (BROKE, "makes folders more than 64 levels deep"),
    "brute closes-folders": (FINISHED, ""),
    "brute writes": (FINISHED, ""),
    "brute sockets": (FINISHED, ""),
    "whisperer locks": (FINISHED, ""),
    "patcher at-import": (FINISHED, ""),
    "patcher in-its-match": (FINISHED, ""),
    "squirrel(visit=1)": (FINISHED, ""),
    "squirrel(visit=2)": (FINISHED, ""),
}
"""Every animal with its status and what its reason says of it, as a regular expression."""

TELLING = re.compile(
    r"(hunter|burglar|whisperer|squirrel).*|mimic pickle-(command|writes|connects)"
    r"|brute (spawns-variously|signals|orphan|closes-folders|writes|sockets)|forger descriptor"
)
"""Animals that print a line for everything they try."""


@dataclass(frozen=True)
class Played:
    """What a command has left.

    Attributes:
        code: it exited with.
        lines: of ``arena export``, by attack.
        records: by attack.
        diagnostics: by attack.
        secret: what the victim kept.
        left: processes and folders that were there afterwards.
    """

    code: int
    lines: dict[str, str]
    records: dict[str, Record]
    diagnostics: dict[str, Diagnostics]
    secret: str
    left: list[str]


def command(folder: Path, text: str, *words: str) -> Played:
    """Play a tournament of zoo plugins by ``arena run``, and look at what is left of it."""
    site, temporary, out = folder / "site", folder / "tmp", folder / "results"
    temporary.mkdir()
    _install(site)
    file = folder / "zoo.yaml"
    file.write_text(text.replace("FOLDER", str(out)).replace("FILE", str(file)), encoding="utf-8")
    path = os.pathsep.join(map(str, (site, HERE, HERE.parent)))
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(temporary), "ZOO_TOKEN": "x"}
    # -P: as the command itself, without the working folder on its path.
    run = [sys.executable, "-P", "-m", "arena.cli", "run", str(file), "--out", str(out), *words]
    with _adopting() as children:
        done = subprocess.run(
            run, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        left = [str(pid) for pid in _settled(children)]
    left += [path.name for path in temporary.iterdir() if not path.name.startswith("arena-cores")]
    left += [path for path in FOOTPRINTS if Path(path).exists()]
    assert "Traceback" not in done.stderr, done.stderr
    with Store.open(out) as store:
        entries, lineup = store.results().entries, store.lineup()
        names = [entry.attack for entry in entries]
        found = [store.diagnostics(key) or Diagnostics() for key, _ in lineup]
        lines = export(out).splitlines()
    (stage,) = (pickle.loads(path.read_bytes()) for path in (out / "stages").iterdir())
    records = {e.attack: e.record for e in entries if e.record}
    return Played(
        done.returncode,
        dict(zip(names, lines, strict=True)),
        records,
        dict(zip(names, found, strict=True)),
        stage.victim.secret,
        left,
    )


def _install(site: Path) -> None:
    """Make a distribution of the modules beside this one."""
    info = site / "zoo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1.0\n")
    modules = [p.stem for p in HERE.glob("*.py") if "@hookimpl" in p.read_text(encoding="utf-8")]
    points = "\n".join(f"{name} = {name}" for name in sorted(modules))
    (info / "entry_points.txt").write_text(f"[arena]\n{points}\n")


@contextmanager
def _adopting() -> Iterator[set[int]]:
    """Become the parent of whatever a child leaves; yield the children there were before."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield set(_children())
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


def _children() -> list[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in found.split()]


def _settled(before: set[int]) -> set[int]:
    """Return the new children that are still alive after a while; those that ended are reaped."""
    until = time.monotonic() + _SETTLES
    while (new := set(_children()) - before) and time.monotonic() < until:
        for pid in new:
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)
    return new


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Every animal, and the honest among them."""
    awake, asleep = (
        once(tmp_path_factory, name, (HERE / f"{name}.yaml").read_text("utf-8"), "--workers", "2")
        for name in ("zoo", "sleepers")
    )
    return replace(
        awake,
        code=min(awake.code, asleep.code),
        records={**asleep.records, **awake.records},
        diagnostics={**asleep.diagnostics, **awake.diagnostics},
        left=awake.left + asleep.left,
    )


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The honest alone, and not in cells: those leave no trace in what is played either."""
    text = (HERE / "zoo.yaml").read_text(encoding="utf-8")
    honest = re.sub(r"^  - (?!fitter|still).*\n", "", text, flags=re.M)
    return once(tmp_path_factory, "peace", honest, "--isolation", "none")


def once(temporary: pytest.TempPathFactory, name: str, text: str, *words: str) -> Played:
    """Play in one of the processes of a test run; the others wait, and read what it has found."""
    base = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    found = base / f"{name}.pickle"
    with found.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            (base / name).mkdir()
            found.write_bytes(pickle.dumps(command(base / name, text, *words)))
    played = pickle.loads(found.read_bytes())
    assert isinstance(played, Played)
    return played


# ------------------------------------------------------------------------------------- every animal


@pytest.mark.parametrize("animal", ENDS)
def test_an_animal_gets_its_status_and_nothing_else(zoo: Played, animal: str) -> None:
    record, told = zoo.records[animal], zoo.diagnostics[animal]
    status, reason = ENDS[animal]
    assert (record.status, told.unenforced) == (status, ""), record.reason
    name = "" if animal in ("forger unsayable", "forger lengthy") else f"{animal.split()[0]}: "
    assert re.fullmatch(f"{name}({reason})" if reason else "", record.reason)
    assert record.reason.isprintable() or not record.reason
    assert [line for line in told.output.splitlines() if line.startswith("GOT")] == []
    assert zoo.secret not in told.output + told.traceback + record.reason
    assert bool(told.output) or not TELLING.fullmatch(animal)


def test_the_zoo_is_whole(zoo: Played) -> None:
    """No animal is left out of the files, and none of the files out of the table above."""
    assert set(zoo.records) == {*ENDS, *HONEST, *BASELINES}
    for family in (Hunter, Burglar, Forger, Brute, Whisperer):
        assert {f"{family.name} {how}" for how in family.ways} <= set(ENDS)
    assert set(Mimic.ways) - {name.removeprefix("mimic ") for name in ENDS} == {"drinks"}


def test_every_other_match_is_the_same_to_the_byte(zoo: Played, peace: Played) -> None:
    assert set(peace.lines) == {*HONEST, *BASELINES}
    assert peace.code == 0
    assert {name: zoo.lines[name] for name in peace.lines} == peace.lines


def test_the_command_says_that_somebody_is_at_fault(zoo: Played) -> None:
    assert zoo.code == 1


def test_nothing_is_left_of_the_run(zoo: Played, peace: Played) -> None:
    """No process, no folder of a cell, no file anywhere that the animals have tried to make."""
    assert (zoo.left, peace.left) == ([], [])


def test_the_referee_counts_what_the_meter_of_a_cell_does_not(zoo: Played) -> None:
    queries = {name: record.queries for name, record in zoo.records.items()}
    assert (queries["forger meter"], queries["forger catching"]) == (56, 60)
    assert max(queries.values()) == 60


def test_no_more_surrogates_are_scored_than_were_due(zoo: Played) -> None:
    """A forged one adds nothing, and moves none to fewer queries."""
    for name, record in zoo.records.items():
        spent = [point.queries for point in record.curve]
        assert spent == sorted(set(spent)), name
    assert [point.queries for point in zoo.records["forger undue"].curve] == [0, 10]


def test_what_was_reached_before_a_fault_counts(zoo: Played) -> None:
    for name in ("brute segfaults", "brute sleeps", "forger lasts", "mimic shape"):
        assert zoo.records[name].curve[0].queries == 0


def test_patches_change_no_score_of_their_own_match(zoo: Played) -> None:
    (first, second) = zoo.records["patcher in-its-match"].curve
    assert max(first.values + second.values) < 1.0
    assert first.values == zoo.records["patcher at-import"].curve[0].values


def test_output_is_kept_to_its_end(zoo: Played) -> None:
    output = zoo.diagnostics["brute prints"].output
    assert 0 < len(output) <= 1 << 16


# --------------------------------------------------------------------------- the animals have teeth


@pytest.mark.parametrize("how", ["attributes", "frames", "garbage", "memory"])
def test_a_hunter_finds_the_victim_where_nothing_is_closed_off(
    how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    staged(Hunter(how=how), target=Guarded())
    assert "GOT" in capfd.readouterr().out


def test_an_augur_foretells_a_public_seed_only(tmp_path: Path) -> None:
    """It knows target, defence and tournament; `seed: secret` is what it does not know."""
    flip = LabelFlip(rate=0.3)
    augur = Augur(seed=7, chain=(str(flip.identity()[0]), flip.rate))
    t = tournament([augur], [flip], [Guarded()], isolation="cell", budget=60)
    (public,) = told(t, tmp_path / "public")
    (secret,) = told(replace(t, seed="secret"), tmp_path / "secret")
    assert "GOT the noise" in public
    assert "the noise is not foretold" in secret


def test_a_note_is_not_found_by_the_next_cell_of_the_same_server(tmp_path: Path) -> None:
    t = tournament([Squirrel(visit=1), Squirrel(visit=2)], isolation="cell")
    hidden, looked_for = told(t, tmp_path)
    assert hidden.count("\n") > looked_for.count("\n") > 20
    assert "GOT" not in hidden + looked_for


def test_results_are_hidden_among_what_a_cell_may_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where somebody plays in the folder of a package."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    file, out = package / "t.yaml", package / "runs"
    file.write_text("seed: 7")
    for folder in (tmp_path, HERE.parent.parent):
        monkeypatch.syspath_prepend(str(folder))
    ways = ("store", "stages", "tournament")
    attacks = [Burglar(how=how, folder=out, file=file) for how in ways]
    t = replace(tournament([*attacks, Hunter(how="bundled")], isolation="cell"), file=file)
    outputs = "".join(told(t, out)).splitlines()
    tried = [line for line in outputs if re.search("its bytes|of them|its log|loader|files", line)]
    assert len(tried) == 8
    assert [line for line in tried if line.startswith("GOT")] == []


def told(t: Tournament, folder: Path) -> list[str]:
    """Play over one server, and return what the attack of every match has printed."""
    play(t, folder, workers=1, executor=ThreadPoolExecutor)
    with Store.open(folder) as store:
        found = [store.diagnostics(key) for key, _ in store.lineup()]
    return [one.output if one else "" for one in found]


# ------------------------------------------------------------------------- defences and targets

DIED = "the target or the defence ended the worker's process"
RAISED = "the defence raises SystemExit: no"
UNTRAINED = "target sick cannot be trained: "


def test_what_ends_a_worker_voids_its_own_matches_only(tmp_path: Path) -> None:
    defenses: list[Defense] = [Open()]
    defenses += [Rotten(when="protect", how="exits"), Rotten(when="answer", how="segfaults")]
    defenses += [Rotten(when="protect", how="raises"), Rotten(when="answer", how="raises")]
    targets = [Toy(), Sick(how="segfaults"), Sick(how="raises")]
    t = tournament([Fitter(batch=4)], defenses, targets, isolation="cell")
    results = play(t, tmp_path / "bad", workers=2)
    assert reasons(results, "toy") == {
        "open": (EXHAUSTED, ""),
        "rotten protect exits": (VOID, DIED),
        "rotten answer segfaults": (VOID, DIED),
        "rotten protect raises": (VOID, RAISED),
        "rotten answer raises": (VOID, RAISED),
    }
    died, raised = UNTRAINED + "its process died", UNTRAINED + "SystemExit: no"
    assert set(reasons(results, "sick segfaults").values()) == {(VOID, died)}
    assert set(reasons(results, "sick raises").values()) == {(VOID, raised)}
    good = replace(t, defenses=t.defenses[:1], targets=t.targets[:1])
    play(good, tmp_path / "good", isolation="none", executor=ThreadPoolExecutor)
    assert export(tmp_path / "good") in export(tmp_path / "bad").splitlines()


def reasons(results: Results, target: str) -> dict[str, tuple[Status, str]]:
    """Return how each defence of a target fared."""
    entries = [entry for entry in results.entries if entry.target == target and entry.record]
    return {e.defense: (e.record.status, e.record.reason) for e in entries if e.record}


@pytest.mark.slow
def test_a_defence_that_never_answers_voids_its_match(tmp_path: Path) -> None:
    hanging = Rotten(when="answer", how="hangs")
    limits = Limits.model_validate({"wall": 1})
    t = tournament([Fitter(batch=4)], [Open(), hanging], isolation="cell", limits=limits)
    assert reasons(play(t, tmp_path, workers=2), "toy") == {
        "open": (EXHAUSTED, ""),
        "rotten answer hangs": (VOID, DIED),
    }
