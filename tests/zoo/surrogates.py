"""Animals whose surrogates bite when they are loaded, or when they predict."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from enclosure import Animal, predicted, tell
from forgers import found_channel
from numpy.random import Generator
from playground import Guess

from arena import Attack, Oracle, Surrogate, hookimpl
from arena.isolation.wire import Kind


@dataclass(frozen=True)
class Loads:
    """Does something when it is unpickled."""

    what: str

    def __reduce__(self) -> Any:
        return PAYLOADS[self.what]

    def predict(self, X: Any) -> Any:
        raise AssertionError("it is never loaded as what it was")


def _connected() -> Guess:
    tell([("a connection", lambda: socket.create_connection(("127.0.0.1", 80), 1) and True)])
    return Guess(1)


def _written() -> Guess:
    for folder in (Path.home(), Path("/tmp"), Path(__file__).parent, Path("/dev/shm")):
        if folder != Path.home():
            tell([(f"a file in {folder}", lambda f=folder: (f / "zoo-was-here").write_text("x"))])
    return Guess(1)


def _exits() -> Guess:
    raise SystemExit(3)


def _guess_after(code: int) -> Guess:
    tell([("a command", lambda: code == 0)])
    return Guess(1)


class _Command:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/zoo-was-here",)


PAYLOADS: dict[str, Any] = {
    "pickle-command": (_guess_after, (_Command(),)),
    "pickle-writes": (_written, ()),
    "pickle-connects": (_connected, ()),
    "pickle-exits": (_exits, ()),
    "pickle-kills": (os.kill, (os.getpid(), signal.SIGKILL)),
    "pickle-is-no-pickle": (ctypes.CDLL, ("no such library",)),
}


@dataclass(frozen=True)
class Predicts:
    """Predicts by one of ``PREDICTIONS``."""

    how: str
    ballast: bytes = b""

    def predict(self, X: Any) -> Any:
        return PREDICTIONS[self.how](X)


KEPT: list[Oracle] = []


def _asks(X: Any) -> Any:
    (oracle,) = KEPT
    return oracle.ask(X).label


def _asks_the_wire(X: Any) -> Any:
    """Ask over the wire that it finds."""
    found_channel().send(Kind.ASK, np.ascontiguousarray(X).tobytes(), rows=len(X))
    return predicted(len(X))


def _says(status: str) -> Callable[[Any], Any]:
    def say(X: Any) -> Any:
        text = {"status": status, "reason": "all is well", "traceback": ""}
        found_channel().send(Kind.END, json.dumps(text).encode())
        return predicted(len(X))

    return say


def _speaks_first(X: Any) -> Any:
    """Answer what is not yet asked."""
    for _ in range(50):
        found_channel().send(Kind.LABELS, predicted(len(X)).tobytes())
    return predicted(len(X))


def _signs(X: Any) -> Any:
    """Send labels that are no classes past the check of its own cell."""
    found_channel().send(Kind.LABELS, (predicted(len(X)) - 1).tobytes())
    time.sleep(60)


def _drinks(X: Any) -> Any:
    """Read the next surrogate a byte at a time, so that its referee waits to send it."""
    wire = found_channel()._socket

    def sip() -> None:
        while wire.recv(1, 0):
            time.sleep(0.1)

    for _ in range(2):
        threading.Thread(target=sip, daemon=True).start()
    found_channel().send(Kind.LABELS, predicted(len(X)).tobytes())
    time.sleep(60)


def _hogs(X: Any) -> Any:
    return np.ones(1 << 28)[: len(X)]


def _kills(X: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _segfaults(X: Any) -> Any:
    ctypes.string_at(0)


def _leaves_threads(X: Any) -> Any:
    threading.Thread(target=lambda: time.sleep(60)).start()
    return predicted(len(X))


PREDICTIONS: dict[str, Callable[[Any], Any]] = {
    "sleeps": lambda X: time.sleep(60),
    "shape": lambda X: np.zeros((len(X), 2)),
    "short": lambda X: predicted(len(X) - 1),
    "nothing": lambda X: None,
    "nan": lambda X: np.full(len(X), np.nan),
    "strings": lambda X: np.full(len(X), "c0"),
    "objects": lambda X: np.full(len(X), None),
    "billion": lambda X: np.broadcast_to(np.int64(0), 10**9),
    "billion-bytes": lambda X: np.zeros(10**9, dtype=np.int8) + 1,
    "other-labels": lambda X: predicted(len(X)) + 7,
    "asks": _asks,
    "asks-the-wire": _asks_the_wire,
    "says-finished": _says("finished"),
    "says-void": _says("void"),
    "speaks-first": _speaks_first,
    "signs": _signs,
    "drinks": _drinks,
    "hogs": _hogs,
    "kills-itself": _kills,
    "segfaults": _segfaults,
    "exits": lambda X: os._exit(0),
    "raises": lambda X: (_ for _ in ()).throw(GeneratorExit("no")),
    "recurses": lambda X: PREDICTIONS["recurses"](X),
    "leaves-threads": _leaves_threads,
}


def _proposing(how: str) -> Callable[[Oracle], Any]:
    def propose(oracle: Oracle) -> Any:
        KEPT.append(oracle)
        return Loads(how) if how in PAYLOADS else Predicts(how)

    return propose


class Mimic(Animal):
    """Proposes a guess, and then a surrogate that is none."""

    name = "mimic"
    ways: ClassVar[dict[str, Callable[[Oracle], Any]]] = {
        how: _proposing(how) for how in (*PAYLOADS, *PREDICTIONS)
    }


class Heavy(Attack):
    """Proposes a surrogate that drinks, then one of many megabytes."""

    name = "heavy"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield Predicts("drinks")
        oracle.ask(oracle.knowledge.domain.sample(10, rng))
        yield Predicts("shape", bytes(8 << 20))


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Mimic)
    register(Heavy)
