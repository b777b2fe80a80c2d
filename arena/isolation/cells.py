"""The referee's side of cells: it serves their queries, keeps time, and believes nothing else."""

from __future__ import annotations

import os
import pickle
import signal
from multiprocessing import spawn
from typing import Any, NoReturn

import numpy as np

from arena.api import Floats
from arena.isolation import messages
from arena.isolation.cell import REFUSALS, Extraction, Scoring
from arena.isolation.seats import Faulty, Keep
from arena.isolation.warm import Cells
from arena.isolation.wire import Channel, Gone, Hung, Kind, Malformed, Message
from arena.oracle import Door
from arena.pairing import MatchSpec, Sealed
from arena.records import Ending, Status
from arena.snapshots import Pickled, Predictor, RuleBroken, Snapshot
from arena.tables import Outcomes

_MOST_SNAPSHOTS = 1 << 30
"""Bytes of all the snapshots of a match together, where its cell may have as many."""

_OUTPUT_KEPT = 1 << 16
"""Bytes of what a cell printed that are kept, the last ones."""

_LIBRARIES = 256
"""MiB that a cell begins with, about, and its attack has not asked for."""

_GRACE = 0.5
"""Seconds in which a cell whose wire has closed may end by itself."""

_OWN_ENDS = frozenset(
    {
        Status.FINISHED,
        Status.EXHAUSTED,
        Status.FAILED,
        Status.BROKE_A_RULE,
        Status.OUT_OF_MEMORY,
    }
)
"""What a cell may say of its end."""

_SCORERS_ENDS = frozenset({Status.BROKE_A_RULE, Status.OUT_OF_MEMORY})
"""What a cell may say instead of labels."""


class Killed(Exception):
    """A cell was killed from outside, or by itself as if it were; its match may be played again."""


class CellSeat:
    """A seat in a cell of its own; when the attack is dead, another predicts what no arrays tell.

    Attributes:
        output: what both printed, the end of it.
        peak_memory: the largest resident size of either, in MiB.
        unenforced: what this machine cannot enforce.
        clean: whether nothing was left of either.
    """

    def __init__(self, cells: Cells, spec: MatchSpec, width: int, classes: int) -> None:
        """Seat the attack of a match, sealed.

        Args:
            cells: where.
            spec: the match.
            width: features of an input.
            classes: of the target.
        """
        self.output = ""
        self.peak_memory = 0.0
        self.unenforced = cells.unenforced
        self.clean = True
        sealed = spec.attack.plugin
        if not isinstance(sealed, Sealed):
            raise TypeError("an attack must be sealed to be played in a cell")
        self._sealed = sealed
        self._cells = cells
        self._spec = spec
        self._width = width
        self._classes = classes
        self._scorer: _Scorer | None = None

    def extract(self, seed: str, door: Door, keep: Keep) -> Ending:
        """Run the attack in a cell, and answer its queries from here.

        Raises:
            Killed: the cell was killed, and not by us.
            Lost: the server has ended.
        """
        spec = self._spec
        task = Extraction(
            attack=self._sealed.data,
            name=self._sealed.name,
            knowledge=door.knowledge,
            budget=spec.budget,
            growth=spec.checkpoints,
            seed=seed,
            global_seed=int(spec.key[:8], 16),
            main=_main(self._sealed),
        )
        try:
            with _Running(self, task) as channel:
                return _serve(channel, door, keep, spec.limits.memory << 20)
        except Faulty as fault:
            return fault.ending

    def predictor(self, snapshot: Snapshot) -> Predictor:
        """Return what a snapshot predicts: by its arrays here, or else in the scoring cell."""
        if not isinstance(snapshot, Pickled):
            return snapshot
        if self._scorer is None:
            task = Scoring(self._sealed.name, self._classes, self._width, _main(self._sealed))
            self._scorer = _Scorer(_Running(self, task), self._classes)
        return self._scorer.loaded(snapshot)

    def leave(self) -> None:
        """End the scoring cell, if there is one."""
        if self._scorer is not None:
            self._scorer.running.finish()
            self._scorer = None


class _Running:
    """A cell at work; how its process ends decides what its silence means."""

    def __init__(self, seat: CellSeat, task: Extraction | Scoring) -> None:
        self._seat = seat
        self._name = task.name
        self._limits = seat._spec.limits
        self._over = False
        self.channel, self._output = seat._cells.start(self._limits)
        try:
            ready = self.channel.receive(messages.MOST_TEXT)
            if ready.kind == Kind.END:
                raise Faulty(messages.ending_of(ready, {Status.VOID}))
            self.channel.send(Kind.START, pickle.dumps(task))
        except (Gone, Hung, Malformed) as error:
            self.fail(error)
        except Faulty:
            self.finish()
            raise

    def __enter__(self) -> Channel:
        return self.channel

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (Gone, Hung, Malformed)):
            self.fail(error)
        ended = self.finish()
        if error is None and ended["excess"]:
            self._is(Status.BROKE_A_RULE, ended["excess"])

    def finish(self, grace: float = 0.0) -> dict[str, Any]:
        """End the process, and note what it printed and used."""
        if self._over:
            return {"code": None, "cpu": 0.0, "excess": ""}
        self._over = True
        ended = self._seat._cells.end(grace)
        self.channel.close()
        with self._output as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _OUTPUT_KEPT))
            printed = file.read().decode(errors="replace")
        seat = self._seat
        seat.output = (seat.output + printed)[-_OUTPUT_KEPT:]
        seat.peak_memory = max(seat.peak_memory, ended["peak_memory"])
        seat.clean = seat.clean and ended["clean"]
        return ended

    def fail(self, error: BaseException) -> NoReturn:
        """Say what it means that the wire was closed, silent, or carried what it must not.

        Raises:
            Faulty: the match is over.
            Killed: its process was killed, and not by us.
        """
        if isinstance(error, Malformed):
            self._is(Status.BROKE_A_RULE, str(error))
        if isinstance(error, Hung):
            self._is(Status.TIMED_OUT, f"is not done after {self._limits.wall:g} s")
        ended = self.finish(_GRACE)
        code, limits = ended["code"], self._limits
        if ended["excess"]:
            self._is(Status.BROKE_A_RULE, ended["excess"])
        # The kernel's two accounts of the time used differ a little.
        if code == -signal.SIGXCPU or ended["cpu"] >= limits.cpu:
            self._is(Status.TIMED_OUT, f"uses more than {limits.cpu} s of processor time")
        if code is None:
            self._is(Status.CRASHED, "closes its wire to the referee")
        if code == -signal.SIGKILL and ended["peak_memory"] > _LIBRARIES + limits.memory / 2:
            # By a kernel that had none left; to be played again for that would pay.
            self._is(Status.OUT_OF_MEMORY, "is killed with much memory in use")
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            raise Killed(f"{self._name}: its process was killed")
        what = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        self._is(Status.CRASHED, f"its process ends {what}")

    def _is(self, status: Status, what: str) -> NoReturn:
        self.finish()
        raise Faulty(Ending(status, f"{self._name}: {what}"))


class _Scorer:
    """The cell in which an attack's surrogates predict; it sees inputs, and no labels."""

    def __init__(self, running: _Running, classes: int) -> None:
        self.running = running
        self.classes = classes
        self._inputs: dict[int, tuple[int, Floats]] = {}

    def loaded(self, snapshot: Snapshot) -> Predictor:
        """Load a snapshot in the cell, in place of the one before."""
        self._answer(lambda channel: messages.send_snapshot(channel, snapshot), 0)
        return _Remote(self)

    def labels(self, X: Floats) -> Outcomes:
        """Have the loaded surrogate predict rows X (n, d)."""

        def ask(channel: Channel) -> None:
            # By identity: the inputs of a stage are the same arrays throughout a match.
            if id(X) not in self._inputs:
                self._inputs[id(X)] = len(self._inputs), X
                messages.send_rows(channel, Kind.INPUTS, np.ascontiguousarray(X))
            channel.send(Kind.PREDICT, columns=self._inputs[id(X)][0])

        message = self._answer(ask, 8 * len(X))
        try:
            return messages.labels_of(message, len(X), self.classes)
        except Malformed as error:
            raise RuleBroken(str(error)) from error

    def _answer(self, ask: Any, most: int) -> Message:
        running = self.running
        try:
            ask(running.channel)
            message = running.channel.receive(max(most, messages.MOST_TEXT))
            if message.kind not in (Kind.LABELS, Kind.END):
                raise Malformed("sends what is not asked for")
            if message.kind == Kind.END:
                raise Faulty(messages.ending_of(message, _SCORERS_ENDS))
        except (Gone, Hung, Malformed) as error:
            running.fail(error)
        return message


class _Remote:
    """A surrogate in the scoring cell."""

    def __init__(self, scorer: _Scorer) -> None:
        self._scorer = scorer

    def labels(self, X: Floats, Z: Floats) -> Outcomes:
        """Predict the labels, or the values, of raw rows X (n, d)."""
        return self._scorer.labels(X)


def _serve(channel: Channel, door: Door, keep: Keep, memory: int) -> Ending:
    """Answer what a cell of so many bytes asks, and keep what it proposes, until it ends."""
    domain, classes = door.knowledge.domain, len(door.knowledge.classes)
    d, width = domain.d, domain.width
    # A large budget is no licence to announce more than a cell can hold.
    most = max(min(8 * d * door.remaining, memory), messages.most_bytes_of_snapshot(width, classes))
    snapshots, kept, over = 0, 0, False
    room = min(_MOST_SNAPSHOTS, memory)
    while True:
        message = channel.receive(most)
        if message.kind == Kind.END:
            ending = messages.ending_of(message, _OWN_ENDS)
            if ending.status == Status.FINISHED and not kept:
                raise Malformed("ends without proposing a surrogate; yield at least one")
            return ending
        if over:
            raise Malformed("goes on after its last surrogate")
        if message.kind == Kind.ASK:
            _answer(channel, door, messages.batch_of(channel, message, d))
        elif message.kind in messages.SNAPSHOTS:
            snapshots += len(message.payload)
            if snapshots > room:
                raise Malformed(f"proposes more than {room >> 20:,} MiB of surrogates")
            # Only the last may come undue: more tries at one price would be chosen among by scores.
            over = not door.checkpoint_due and bool(message.flags)
            if door.checkpoint_due or over:
                kept += 1
                keep(messages.snapshot_of(message, width, classes))
        else:
            raise Malformed("sends what no attack may send")


def _answer(channel: Channel, door: Door, X: Floats) -> None:
    try:
        answer = door.ask(X)
    except REFUSALS as error:
        kind = next(i for i, refusal in enumerate(REFUSALS) if isinstance(error, refusal))
        channel.send(Kind.REFUSAL, str(error).encode(), kind, spent=door.spent)
        return
    messages.send_answer(channel, answer, len(X), door.spent)


def _main(sealed: Sealed) -> dict[str, Any] | None:
    if not sealed.in_main:
        return None
    preparation = spawn.get_preparation_data("cell")
    wanted = ("sys_path", "sys_argv", "dir", "init_main_from_name", "init_main_from_path")
    return {key: preparation[key] for key in wanted if key in preparation}
