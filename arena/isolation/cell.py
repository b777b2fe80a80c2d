"""What runs in a cell: one attack, or the scoring of one attack's surrogates."""

from __future__ import annotations

import os
import pickle
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import spawn
from threading import Lock
from typing import Any, NoReturn

import numpy as np

from arena.answers import Answer
from arena.api import Attack, Floats, Knowledge, Oracle
from arena.errors import BudgetExhausted, InvalidQuery, OracleClosed
from arena.isolation import messages
from arena.isolation.wire import Channel, Gone, Kind
from arena.meter import Meter
from arena.oracle import query_matrix, within_budget
from arena.proposals import blamed, extract
from arena.records import Ending, Status
from arena.snapshots import Pickled, RuleBroken, capture, loaded

_ANY = 1 << 62
"""A cell believes its referee."""

REFUSALS: tuple[type[Exception], ...] = (BudgetExhausted, InvalidQuery, OracleClosed)
"""What a referee may answer a query with instead, by the flag of its message."""


@dataclass(frozen=True)
class Extraction:
    """What a cell is told to do: run an attack.

    Attributes:
        attack: its pickle.
        name: the attack's.
        knowledge: what it is told.
        budget: queries it may spend.
        growth: of the queries between checkpoints.
        seed: of its generator.
        global_seed: of the global generators, for attacks that draw from them.
        main: how to find the main module the attack is defined in; None where it is in another.
    """

    attack: bytes
    name: str
    knowledge: Knowledge
    budget: int
    growth: float
    seed: str
    global_seed: int
    main: dict[str, Any] | None = None


@dataclass(frozen=True)
class Scoring:
    """What a cell is told to do: predict what an attack's surrogates predict.

    Attributes:
        name: the attack's.
        classes: the number of the target's classes.
        width: features of an input.
        main: as in ``Extraction``.
    """

    name: str
    classes: int
    width: int
    main: dict[str, Any] | None = None


def work(channel: Channel) -> None:
    """Do what the first message says; the wire is the only thing that leaves this process."""
    channel.send(Kind.READY)
    task = pickle.loads(channel.receive(_ANY).payload)
    with suppress(Gone):
        if isinstance(task, Extraction):
            _attack(channel, task)
        else:
            _score(channel, task)


def _attack(channel: Channel, task: Extraction) -> None:
    random.seed(task.global_seed)
    np.random.seed(task.global_seed)  # noqa: NPY002
    oracle = RemoteOracle(channel, task.knowledge, Meter(task.budget, task.growth))
    try:
        _find_main(task.main)
        attack = pickle.loads(task.attack)
        ending = _extract(attack, oracle, task.seed)
    except BaseException as error:
        if isinstance(error, Gone):
            raise
        ending = blamed(task.name, error)
    _flush()
    messages.send_ending(channel, ending)
    # A process that has ended cannot be asked what it has used.
    channel.receive(_ANY)


def _extract(attack: Attack, oracle: RemoteOracle, seed: str) -> Ending:
    knowledge = oracle.knowledge
    domain, classes = knowledge.domain, len(knowledge.classes)

    def send(surrogate: Any) -> None:
        oracle.propose(capture(surrogate, domain, classes))

    return extract(attack, oracle, seed, send)


class RemoteOracle(Oracle):
    """The oracle as a cell has it: a wire to the door that counts, and a copy of its meter."""

    def __init__(self, channel: Channel, knowledge: Knowledge, meter: Meter) -> None:
        """Ask over a channel."""
        self.knowledge = knowledge
        self._channel = channel
        self._meter = meter
        self._width = knowledge.domain.d
        self._classes = len(knowledge.classes)
        self._lock = Lock()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an oracle can be neither pickled nor copied; a surrogate must not hold it")

    def ask(self, X: Floats) -> Answer:
        """Send the rows of X to the door; see `arena.Oracle`."""
        given = query_matrix(X, self._width)
        with self._lock:
            within_budget(len(given), self._meter)
            rows = np.ascontiguousarray(given, dtype=np.float64)
            messages.send_batch(self._channel, rows)
            message = self._channel.receive(_ANY)
            self._meter.spent = message.spent
        if message.kind == Kind.REFUSAL:
            raise REFUSALS[message.flags](message.payload.decode())
        return messages.answer_of(message, self._classes)

    def propose(self, snapshot: Any) -> None:
        """Send a snapshot; the door decides whether it is kept."""
        with self._lock:
            due = self._meter.checkpoint_due
            messages.send_snapshot(self._channel, snapshot, last=not due)
            self._meter.keep()

    @property
    def spent(self) -> int:
        """Queries billed so far."""
        return self._meter.spent

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self._meter.remaining

    @property
    def checkpoint_due(self) -> bool:
        """Whether a surrogate yielded now is kept."""
        return self._meter.checkpoint_due


def _score(channel: Channel, task: Scoring) -> None:
    """Predict: inputs come once each, then a snapshot, then the numbers of inputs to predict."""
    _find_main(task.main)
    inputs: list[Floats] = []
    predictor: Any = None
    while True:
        message = channel.receive(_ANY)
        try:
            if message.kind == Kind.INPUTS:
                inputs.append(messages.matrix_of(message, task.width))
            elif message.kind == Kind.PICKLED:
                predictor = None
                predictor = loaded(Pickled(bytes(message.payload)), task.classes)
                channel.send(Kind.LABELS)
            else:
                X = inputs[message.columns]
                labels = predictor.labels(X, X)
                channel.send(Kind.LABELS, labels.tobytes())
        except RuleBroken as error:
            # MemoryError is told apart: its cause is this process's limit.
            cause = error.__cause__
            _flush()
            messages.send_ending(
                channel, blamed(task.name, cause if isinstance(cause, MemoryError) else error)
            )


def _find_main(preparation: dict[str, Any] | None) -> None:
    if preparation is not None:
        spawn.prepare(preparation)


def failed_to_start(channel: Channel, error: BaseException) -> None:
    """Tell the referee that this cell could not be closed off, and has run nothing."""
    messages.send_ending(channel, Ending(Status.VOID, f"a cell cannot be closed off: {error}"))


def _flush() -> None:
    # An attack may have closed or replaced them; what it printed is its own loss then.
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def quiet_streams(output: int) -> None:
    """Send what this process prints to a descriptor, and give it nothing to read."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", 1, "utf-8", "replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "replace", closefd=False)  # noqa: SIM115
