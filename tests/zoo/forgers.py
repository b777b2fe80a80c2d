"""Animals that write to the meter and to the wire."""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from enclosure import Animal, tell
from numpy.random import Generator
from numpy.typing import NDArray
from playground import Guess

from arena import Attack, BudgetExhausted, Oracle, Surrogate, hookimpl
from arena.isolation.cell import RemoteOracle
from arena.isolation.messages import send_snapshot
from arena.isolation.wire import Channel, Kind
from arena.snapshots import capture

HEAD = struct.Struct("<BBHIQQ")


def channel_of(oracle: Oracle) -> Channel:
    """Return the wire, which is there for the taking."""
    assert isinstance(oracle, RemoteOracle)
    return oracle._channel


def wire_of(oracle: Oracle) -> socket.socket:
    return channel_of(oracle)._socket


def rows(oracle: Oracle, n: int) -> Any:
    return oracle.knowledge.domain.sample(n, np.random.default_rng(0))


def snapshot(oracle: Oracle, label: int = 1) -> Any:
    knowledge = oracle.knowledge
    return capture(Guess(label), knowledge.domain, len(knowledge.classes))


def end(oracle: Oracle, status: str, reason: Any = "", traceback: str = "") -> None:
    """Say how it ended, and wait to be ended."""
    text = {"status": status, "reason": reason, "traceback": traceback}
    channel_of(oracle).send(Kind.END, json.dumps(text).encode())
    time.sleep(60)


def meter(oracle: Oracle) -> None:
    """Give itself a million queries, and ask them until the referee ends it."""
    oracle._meter.budget, oracle._meter.spent = 10**6, -(10**6)  # type: ignore[attr-defined]
    with contextlib.suppress(AttributeError):
        oracle.spent = 0  # type: ignore[misc]
    while True:
        oracle.ask(rows(oracle, 7))
        oracle._meter.spent = 0  # type: ignore[attr-defined]


def catching(oracle: Oracle) -> None:
    """Go on after the budget has ended, many times."""
    answered = 0
    for _ in range(100):
        oracle._meter.spent = 0  # type: ignore[attr-defined]
        with contextlib.suppress(BudgetExhausted):
            answered += len(oracle.ask(rows(oracle, 6)).label)  # type: ignore[arg-type]
    print(answered, "answered")


def undue(oracle: Oracle) -> None:
    """Propose a hundred surrogates that are not due."""
    for i in range(100):
        send_snapshot(channel_of(oracle), snapshot(oracle, i % 2))


def lasts(oracle: Oracle) -> None:
    """Propose the last surrogate ten times."""
    for i in range(10):
        send_snapshot(channel_of(oracle), snapshot(oracle, i % 2), last=True)


def asks_after_last(oracle: Oracle) -> None:
    send_snapshot(channel_of(oracle), snapshot(oracle), last=True)
    oracle.ask(rows(oracle, 5))


def too_many_bytes(oracle: Oracle) -> None:
    """Propose more than a referee keeps, in parts that are each allowed."""
    for _ in range(8):
        channel_of(oracle).send(Kind.PICKLED, bytes(60 << 20), 0)


def long(oracle: Oracle) -> None:
    wire_of(oracle).sendall(HEAD.pack(Kind.PICKLED, 0, 0, 0, 0, 2**63))
    time.sleep(60)


def half(oracle: Oracle) -> None:
    """Announce what does not come."""
    wire_of(oracle).sendall(HEAD.pack(Kind.PICKLED, 0, 0, 0, 0, 10_000) + b"half")
    os._exit(0)


def drop(oracle: Oracle) -> None:
    """Announce what comes a byte at a time, for ever."""
    wire_of(oracle).sendall(HEAD.pack(Kind.PICKLED, 0, 0, 0, 0, 10_000))
    while True:
        wire_of(oracle).sendall(b"x")
        time.sleep(0.02)


def empty(oracle: Oracle) -> None:
    channel_of(oracle).send(Kind.ASK, b"", rows=0)
    time.sleep(60)


def misfit(oracle: Oracle) -> None:
    channel_of(oracle).send(Kind.ASK, bytes(23), rows=1)
    time.sleep(60)


def outside_the_window(oracle: Oracle) -> None:
    channel_of(oracle).send(Kind.ASK, columns=1, rows=2**31)
    time.sleep(60)


def not_finite(oracle: Oracle) -> None:
    """Propose weights that no honest cell lets through."""
    oracle.ask(rows(oracle, 3))
    _propose(oracle, Kind.LINEAR, np.full((1, oracle.knowledge.domain.width + 1), np.nan))


def narrow(oracle: Oracle) -> None:
    oracle.ask(rows(oracle, 3))
    _propose(oracle, Kind.LINEAR, np.zeros((1, 2)))


def cut_off(oracle: Oracle) -> None:
    """Propose weights of which some are missing."""
    oracle.ask(rows(oracle, 3))
    channel_of(oracle).send(Kind.LINEAR, struct.pack("<II", 1, 6) + bytes(16), rows=1)
    time.sleep(60)


def circle(oracle: Oracle) -> None:
    """Propose a tree that no row comes to the end of."""
    oracle.ask(rows(oracle, 3))
    nodes = np.array([[0, 0.0, 1, 1], [0, 0.0, 0, 0]])
    _propose(oracle, Kind.TREES, nodes, np.ones((2, 1)), np.zeros((1, 1)), np.zeros((1, 1)))


def crowded(oracle: Oracle) -> None:
    """Propose a kernel machine of more support vectors than are scored here."""
    oracle.ask(rows(oracle, 3))
    vectors = np.zeros((1 << 17, oracle.knowledge.domain.width + 1))
    dual, met = np.zeros((1, len(vectors) + 1)), np.array([[0.0], [1.0]])
    _propose(oracle, Kind.KERNEL, np.array([[1.0, 0.0]]), vectors, dual, met)


def _propose(oracle: Oracle, kind: int, *matrices: NDArray[np.float64]) -> None:
    shapes = b"".join(struct.pack("<II", *matrix.shape) for matrix in matrices)
    numbers = b"".join(matrix.tobytes() for matrix in matrices)
    channel_of(oracle).send(kind, shapes + numbers, rows=len(matrices))
    time.sleep(60)


def referee(oracle: Oracle) -> None:
    """Send what only a referee sends."""
    channel_of(oracle).send(Kind.ANSWER, bytes(8), 1)
    time.sleep(60)


def nonsense(oracle: Oracle) -> None:
    wire_of(oracle).sendall(np.random.default_rng(3).bytes(1 << 12))
    time.sleep(60)


def descriptor(oracle: Oracle) -> None:
    """Pass a descriptor along with a query."""
    fds = array.array("i", [0, 1])
    tell(
        [
            (
                "passing a descriptor",
                lambda: wire_of(oracle).sendmsg(
                    [b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
                ),
            )
        ]
    )


def void(oracle: Oracle) -> None:
    end(oracle, "void", "the defence raises MemoryError")


def interrupted(oracle: Oracle) -> None:
    end(oracle, "interrupted")


def unknown(oracle: Oracle) -> None:
    end(oracle, "victorious")


def nested(oracle: Oracle) -> None:
    channel_of(oracle).send(Kind.END, b"[" * 500_000)
    time.sleep(60)


def numbers(oracle: Oracle) -> None:
    end(oracle, "failed", 10**50)


def unsayable(oracle: Oracle) -> None:
    """Give a reason that no terminal and no database should see."""
    end(oracle, "failed", "\ud800 \x1b[2J\x1b]0;owned\x07\nstatus   finished", "\ud800\x00\x1b[2J")


def lengthy(oracle: Oracle) -> None:
    end(oracle, "failed", "x" * 500_000)


def nothing(oracle: Oracle) -> None:
    """Say that it has finished, and has proposed nothing; the guess before does not count."""
    end(oracle, "finished")


def well(oracle: Oracle) -> None:
    """Say that all is well, and give a reason."""
    end(oracle, "finished", "best attack of all", "no trace")


def closes(oracle: Oracle) -> None:
    wire_of(oracle).close()
    time.sleep(60)


def shuts(oracle: Oracle) -> None:
    """Hear nothing any more, and speak on."""
    wire_of(oracle).shutdown(socket.SHUT_RD)
    for _ in range(10_000):
        send_snapshot(channel_of(oracle), snapshot(oracle))
    oracle.ask(rows(oracle, 1))


def deaf(oracle: Oracle) -> None:
    """Ask, and never read what is answered."""
    while True:
        X = rows(oracle, 1)
        wire_of(oracle).sendall(HEAD.pack(Kind.ASK, 0, 0, 1, 0, X.nbytes) + X.tobytes())


def crowd(oracle: Oracle) -> None:
    """Ask from many threads at once, past the lock."""

    def ask() -> None:
        with contextlib.suppress(Exception):
            while True:
                channel_of(oracle).send(Kind.ASK, rows(oracle, 1).tobytes(), rows=1)
                channel_of(oracle).receive(1 << 30)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os._exit(0)


def lingering(oracle: Oracle) -> None:
    """Leave threads that go on asking, and end well."""

    def ask() -> None:
        while True:
            with contextlib.suppress(Exception):
                oracle.ask(rows(oracle, 1))
                print("GOT an answer", flush=True)

    oracle.ask(rows(oracle, 5))
    oracle._meter.spent = oracle._meter.budget  # type: ignore[attr-defined]
    threading.Timer(0.05, ask).start()


class Forger(Animal):
    """Writes to the meter or to the wire what suits it."""

    name = "forger"
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {
        f.__name__.replace("_", "-"): f
        for f in (
            *(meter, catching, undue, lasts, asks_after_last, too_many_bytes, long, half, drop),
            *(empty, misfit, outside_the_window, not_finite, narrow),
            *(cut_off, circle, crowded, referee, nonsense),
            *(descriptor, void, interrupted, unknown, nested, numbers, unsayable, lengthy),
            *(well, closes, shuts, deaf, crowd, lingering),
        )
    }


class Mute(Attack):
    """Says that it has finished before it has proposed anything."""

    name = "mute"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        nothing(oracle)
        yield Guess(0)


def found_channel() -> Channel:
    """Find the wire in a process that nobody has given it to."""
    (channel,) = (thing for thing in gc.get_objects() if isinstance(thing, Channel))
    return channel


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Forger)
    register(Mute)
