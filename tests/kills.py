"""Kills the processes of a tournament at random moments, and gives the same command again.

``python tests/kills.py --kills 200`` plays one tournament undisturbed, then again while it kills,
one at a time, its parent, its fork server, a worker, a warm server or a cell. No finished match may
be lost or played twice, the board and the export must be those of the undisturbed run, and nothing
may be left: no process, no folder of a cell. Exits 1 if something is. Linux: it reads /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from processes import KINDS, eventually, of_kind, processes

from arena.inspection import export_lines
from arena.store import FILE, Key, Store

TOURNAMENT = """\
budget: 40
repetitions: {repetitions}
checkpoints: 1.3
goal: {{reach: [0.8], size: 400}}
targets:
  - logistic: {{dataset: iris}}
  - svm-rbf: {{dataset: pima}}
defenses:
  - label-flip: {{rate: 0.1}}
attacks: [adaptive-retraining, eat]
"""

Finished = dict[Key, tuple[str, float]]
"""Status and seconds of every match that is done: the seconds tell its playings apart."""

_ENDS_WITHIN = 600.0
"""Seconds after the last kill in which a run must be over."""

_GONE_WITHIN = 60.0
"""Seconds after the end of a run in which its last process must be: servers may be importing."""

_REST = 3
"""Matches that are played between the kills of a cell or worker and the third: no match is hit
three times, which would be its own fault."""


@dataclass
class Siege:
    """Runs of one tournament, and what went wrong with them.

    Attributes:
        base: folder of everything.
        rng: chooses moments and victims.
        gap: seconds between two kills, at most.
        left: kills to come.
        kills: how many of which kind, by which signal.
        commands: how often the command was given.
        violations: what must not have happened, a sentence each.
    """

    base: Path
    rng: random.Random
    gap: float
    left: int
    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    violations: list[str] = field(default_factory=list)
    _sessions: list[int] = field(default_factory=list)
    _in_a_row: int = 0
    _last: str = "no kill"

    @property
    def temporary(self) -> Path:
        """Where the runs put their temporary files."""
        return self.base / "tmp"

    def _told(self, stream: str) -> Path:
        return self.base / f"{self.commands}.{stream}"

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Give the command, in a session of its own."""
        self.commands += 1
        words = ["run", str(self.base / "t.yaml"), "--out", str(folder), "--workers", "2"]
        with self._told("out").open("wb") as out, self._told("err").open("wb") as err:
            run = subprocess.Popen(
                [sys.executable, "-m", "arena.cli", *words],
                stdout=out,
                stderr=err,
                env=os.environ | {"TMPDIR": str(self.temporary)},
                start_new_session=True,
            )
        self._sessions.append(run.pid)
        return run

    def play(self, folder: Path) -> str:
        """Play a tournament to its end, killing while kills are left; return its boards."""
        while True:
            run = self.start(folder)
            before = self._disturb(run, folder)
            code = self._end(run)
            self._check(folder, before)
            if code == 0 and not self._signalled:
                return self._told("out").read_text(encoding="utf-8")
            if code == 1 and not unplayed(folder):
                self.wrong("a run exits 1 where no match was void")
                return ""

    def _disturb(self, run: subprocess.Popen[bytes], folder: Path) -> Finished:
        """Kill until the parent is killed, the run is over or no kill is left.

        Returns:
            What was finished, as it was when it was seen first.
        """
        self._signalled = 0
        before = finished(folder)
        while self.left and not self._signalled:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(self.rng.uniform(0, self.gap))
                break
            if self._in_a_row >= 2:
                self._let_play(run, folder, len(finished(folder)) + _REST)
            before = finished(folder) | before
            self._kill(run, folder)
        return before

    @staticmethod
    def _let_play(run: subprocess.Popen[bytes], folder: Path, matches: int) -> None:
        eventually(lambda: run.poll() is not None or len(finished(folder)) >= matches, _ENDS_WITHIN)

    def _kill(self, run: subprocess.Popen[bytes], folder: Path) -> None:
        kind = self.rng.choice(KINDS)
        if not eventually(lambda: bool(of_kind(run.pid, kind)) or run.poll() is not None, self.gap):
            return
        time.sleep(self.rng.uniform(0, 0.05))
        pids = of_kind(run.pid, kind)
        if not pids or run.poll() is not None:
            return
        signals = [signal.SIGKILL, signal.SIGTERM]
        signals += [signal.SIGINT] if kind == "parent" else [signal.SIGKILL] * 2
        chosen = self.rng.choice(signals)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.rng.choice(sorted(pids)), chosen)
            self.left -= 1
            self.kills[f"{kind} by {chosen.name}"] += 1
            self._last = f"{kind} by {chosen.name}, {len(finished(folder))} matches stored"
            self._in_a_row = 0 if kind == "parent" else self._in_a_row + 1
            self._signalled = chosen if kind == "parent" else 0

    def _end(self, run: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a run; its exit code must be that of what was done to it."""
        try:
            code = run.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.wrong("a run hangs")
            run.kill()
            return run.wait()
        allowed = {0, 1}
        if self._signalled == signal.SIGKILL:
            allowed = {-signal.SIGKILL}
        elif self._signalled:
            # It may have been over already; before and after `main`, Python's own handlers are in
            # force; and Python ends itself by SIGINT when Ctrl-C has struck within an `exec`.
            allowed = {130, 0, 1, -self._signalled, -signal.SIGINT}
        said = self._told("err").read_text(encoding="utf-8", errors="replace")
        if code not in allowed:
            self.wrong(f"a run exits {code}, not one of {sorted(allowed)}: {said}")
        if code in (0, 1, 130) and "Traceback" in said:
            self.wrong(f"a run prints a traceback: {said}")
        # The last run's processes may be ending while this one began; those before it not.
        for session in self._sessions[:-1]:
            self._must_be_gone(session)
        self._sessions = self._sessions[-1:]
        return code

    def _must_be_gone(self, session: int) -> None:
        if not eventually(lambda: not processes(session), _GONE_WITHIN):
            self.wrong(f"processes are left: {processes(session)}")

    def _check(self, folder: Path, before: Finished) -> None:
        after = finished(folder)
        lost, twice = before.keys() - after.keys(), before.items() - after.items()
        if lost:
            self.wrong(f"{len(lost)} finished matches were lost")
        elif twice:
            self.wrong(f"{len(twice)} finished matches were played twice")
        faults = {status for status, _ in after.values()} - {"finished", "exhausted"}
        if faults:
            self.wrong(f"an attack is blamed for a kill: {faults}")

    def check_leavings(self) -> None:
        """Check that nothing is left of any run."""
        for session in self._sessions:
            self._must_be_gone(session)
        folders = [path.name for path in self.temporary.glob("arena-cell*")]
        if folders:
            self.wrong(f"folders of cells are left: {folders}")

    def wrong(self, sentence: str) -> None:
        """Note a violation."""
        print(f"WRONG after {self._last}: {sentence}", flush=True)
        self.violations.append(sentence)


def finished(folder: Path) -> Finished:
    """Return what a folder holds that is not to be played again."""
    query = (
        "SELECT match, terms, build, status, seconds FROM matches"
        " JOIN diagnostics USING (match, terms, build)"
    )
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)) as db:
            rows = db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return {}
    return {(m, t, b): (status, seconds) for m, t, b, status, seconds in rows if status != "void"}


def unplayed(folder: Path) -> int:
    """Return how many matches are void or interrupted, to be played again."""
    with contextlib.closing(sqlite3.connect(folder / FILE)) as db:
        query = "SELECT count(*) FROM matches WHERE status IN ('void', 'interrupted')"
        return int(db.execute(query).fetchone()[0])


def exported(folder: Path) -> str:
    """Return what ``arena export`` prints."""
    with Store.open(folder) as store:
        return "\n".join(export_lines(store))


def besiege(base: Path, kills: int, seed: int, gap: float) -> Siege:
    """Play the tournament undisturbed, then under so many kills, anew as often as it takes."""
    siege = Siege(base, random.Random(seed), gap, 0)
    siege.temporary.mkdir()
    (base / "t.yaml").write_text(TOURNAMENT.format(repetitions=2 + kills // 4), encoding="utf-8")
    boards, export = siege.play(base / "undisturbed"), exported(base / "undisturbed")
    siege.left = kills
    playing = 0
    while siege.left and not siege.violations:
        playing += 1
        folder = base / str(playing)
        siege.play(folder)
        stored = finished(folder)
        if siege.play(folder) != boards or exported(folder) != export:
            siege.wrong("board or export are not those of the undisturbed run")
        if not siege.left and finished(folder) != stored:
            siege.wrong("a tournament that was over was played again")
        print(f"playing {playing}: {len(stored)} matches, {siege.left} kills left", flush=True)
    siege.check_leavings()
    return siege


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gap", type=float, default=2.0, help="seconds between kills, at most")
    parser.add_argument("--keep", type=Path, help="an empty folder for what is played")
    given = parser.parse_args()
    # What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    base = given.keep or Path(tempfile.mkdtemp(prefix="kills-"))
    base.mkdir(exist_ok=True)
    try:
        siege = besiege(base.resolve(), given.kills, given.seed, given.gap)
    finally:
        if given.keep is None:
            shutil.rmtree(base)
    for what, times in sorted(siege.kills.items()):
        print(f"{times:5}  {what}")
    print(
        f"{siege.kills.total()} kills, the command given {siege.commands} times, "
        f"{time.monotonic() - started:.0f} s: {len(siege.violations)} violations"
    )
    return 1 if siege.violations else 0


if __name__ == "__main__":
    sys.exit(main())
