"""What crosses between a referee and a cell: numpy buffers, JSON and opaque bytes, length-checked.

A message is a head of fixed size and a payload whose length the head tells. A referee believes
nothing that a cell sends: a kind that is not expected, a length that does not fit or an array of
other bytes than announced ends the match, as its attack's fault.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import socket
import struct
from collections.abc import Collection
from time import monotonic
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arena.answers import FIELDS, Answer
from arena.api import Floats
from arena.errors import LONGEST_REASON, in_one_line
from arena.records import Ending, Status
from arena.snapshots import MOST_BYTES, Linear, Pickled, Snapshot
from arena.tables import Outcomes

_HEAD = struct.Struct("<BBHIQQ")
_SMALL, _BUFFER, _WINDOW = 1 << 14, 1 << 16, 1 << 24
_TICK = struct.pack("ll", 0, 200_000)
"""How long a read or a write waits before it looks at the deadline: a fifth of a second."""

MOST_TEXT = 1 << 20
"""The JSON that a cell may send of its end."""

_LABEL_ALONE, _WIDE_SCORE = 1 << FIELDS.index("label"), 1 << 7
_FLOAT, _INTEGER = np.dtype("<f8"), np.dtype("<i8")
_DTYPES = {name: _INTEGER if name in ("label", "leaf") else _FLOAT for name in FIELDS}


class Kind:
    """What a message is; plain numbers, since queries are told apart by them."""

    ASK: Final = 1
    ANSWER: Final = 2
    REFUSAL: Final = 3
    LINEAR: Final = 4
    PICKLED: Final = 5
    END: Final = 6
    START: Final = 7
    INPUTS: Final = 8
    PREDICT: Final = 9
    LABELS: Final = 10
    READY: Final = 11


class Message(NamedTuple):
    """A message that was received; what flags, columns, rows and spent mean depends on its kind."""

    kind: int
    flags: int
    columns: int
    rows: int
    spent: int
    payload: bytearray


class Hung(Exception):
    """The other side did not answer in time."""


class Gone(Exception):
    """The other side has closed the channel, or its process has ended."""


class Malformed(Exception):
    """What was received is not what may be sent; the message ends a sentence about it."""


class Channel:
    """One side of a connection.

    Attributes:
        deadline: when `receive` and `send` give up, by ``time.monotonic``; None: never.
        window: memory that both sides see, in which a cell lays large batches; None: none.
    """

    def __init__(
        self,
        sock: socket.socket,
        deadline: float | None = None,
        window: mmap.mmap | None = None,
    ) -> None:
        """Talk over a connected stream socket, which is closed with the channel."""
        self.deadline = deadline
        self.window = window
        self._socket = sock
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._filled = 0
        if deadline is not None:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                sock.setsockopt(socket.SOL_SOCKET, option, _TICK)

    def send(
        self,
        kind: int,
        payload: bytes | memoryview = b"",
        flags: int = 0,
        columns: int = 0,
        rows: int = 0,
        spent: int = 0,
    ) -> None:
        """Send a message.

        Raises:
            Hung: the deadline has passed.
            Gone: nobody will read it.
        """
        head = _HEAD.pack(kind, flags, columns, rows, spent, len(payload))
        if len(payload) <= _SMALL:
            self._write(head + payload)
        else:
            self._write(head)
            self._write(payload)

    def receive(self, most: int) -> Message:
        """Receive a message whose payload has at most ``most`` bytes.

        Raises:
            Hung: the deadline has passed.
            Gone: none will come.
            Malformed: it is longer.
        """
        if not self._filled:
            self._filled = self._read(self._view)
        while self._filled < _HEAD.size:
            self._filled += self._read(self._view[self._filled :])
        kind, flags, columns, rows, spent, length = _HEAD.unpack_from(self._buffer)
        if length > most:
            raise Malformed(f"sends {length:,} bytes where at most {most:,} fit")
        end = _HEAD.size + length
        if end <= self._filled:
            payload = self._buffer[_HEAD.size : end]
        else:
            try:
                payload = self._rest(length)
            except MemoryError as error:
                raise Malformed(f"sends {length:,} bytes, for which there is no room") from error
            end = self._filled
        self._filled -= end
        if self._filled:
            self._buffer[: self._filled] = self._buffer[end : end + self._filled]
        return Message(kind, flags, columns, rows, spent, payload)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _rest(self, length: int) -> bytearray:
        payload = bytearray(length)
        have = self._filled - _HEAD.size
        payload[:have] = self._view[_HEAD.size : self._filled]
        view = memoryview(payload)
        while have < length:
            have += self._read(view[have:])
        return payload

    def _read(self, view: memoryview) -> int:
        while True:
            self._in_time()
            try:
                n = self._socket.recv_into(view)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Gone from error
            if not n:
                raise Gone
            return n

    def _write(self, data: bytes | memoryview) -> None:
        if len(data) <= _BUFFER:
            self._write_part(data)
            return
        # The kernel keeps time for a part of a large payload, and a slow reader takes part by part.
        view = memoryview(data)
        for start in range(0, len(data), _BUFFER):
            self._in_time()
            self._write_part(view[start : start + _BUFFER])

    def _write_part(self, rest: bytes | memoryview) -> None:
        while True:
            try:
                sent = self._socket.send(rest)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise Gone from error
            if sent == len(rest):
                return
            # Looked at after every part: whoever reads slowly enough always has one to read.
            self._in_time()
            rest = memoryview(rest)[sent:]

    def _in_time(self) -> None:
        if self.deadline is not None and monotonic() > self.deadline:
            raise Hung


def new_window() -> int | None:
    """Make a window and return its descriptor; None where its size could be changed later.

    A side that touches what the other has cut off is killed by SIGBUS, so the size is sealed.
    """
    if not hasattr(os, "memfd_create"):
        return None
    fd = os.memfd_create("window", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, _WINDOW)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def opened_window(fd: int) -> mmap.mmap:
    """Map a window, and close its descriptor."""
    try:
        return mmap.mmap(fd, _WINDOW)
    finally:
        os.close(fd)


# ----------------------------------------------------------------------------- queries, answers


def batch_of(channel: Channel, message: Message, width: int) -> Floats:
    """Return the rows of a message, float64 (rows, width), which may lie in the window.

    What lies there can still be changed by the other side: copy it before you look at it.

    Raises:
        Malformed: there are none, or they are not there.
    """
    if not message.columns:
        return matrix_of(message, width)
    window, n = channel.window, message.rows
    if window is None or not n or n * width * 8 > len(window):
        raise Malformed(f"announces {n} rows of {width} where there is no room for them")
    return np.frombuffer(window, _FLOAT, n * width).reshape(n, width)


def send_batch(channel: Channel, X: Floats) -> None:
    """Ask C-contiguous float64 rows (n, width), through the window if they are many."""
    window = channel.window
    if X.nbytes <= _SMALL or window is None or X.nbytes > len(window):
        send_rows(channel, Kind.ASK, X)
        return
    np.copyto(np.frombuffer(window, _FLOAT, X.size).reshape(X.shape), X)
    channel.send(Kind.ASK, columns=1, rows=len(X))


def matrix_of(message: Message, width: int) -> Floats:
    """Return the rows of a message, float64 (rows, width), in memory of their own.

    Raises:
        Malformed: there are none, or the bytes are not those of so many rows.
    """
    n = message.rows
    if not n or len(message.payload) != n * width * 8:
        raise Malformed(f"announces {n} rows of {width} and sends {len(message.payload)} bytes")
    return np.frombuffer(message.payload, _FLOAT).reshape(n, width)


def send_rows(channel: Channel, kind: int, X: Floats, flags: int = 0) -> None:
    """Send C-contiguous float64 rows (n, width)."""
    channel.send(kind, X.data.cast("B") if X.nbytes > _SMALL else X.tobytes(), flags, 0, len(X))


def send_answer(channel: Channel, answer: Answer, rows: int, spent: int) -> None:
    """Send an answer to ``rows`` queries, and what has been spent by now."""
    mask, parts = 0, []
    for i, name in enumerate(FIELDS):
        array = answer.field(name)
        if array is not None:
            mask |= 1 << i
            parts.append(array.tobytes())
            if name == "score" and array.ndim == 2:
                mask |= _WIDE_SCORE
    payload = parts[0] if len(parts) == 1 else b"".join(parts)
    channel.send(Kind.ANSWER, payload, mask, 0, rows, spent)


def answer_of(message: Message, classes: int) -> Answer:
    """Read an answer of a victim with so many classes."""
    if message.flags == _LABEL_ALONE:
        return Answer(np.frombuffer(message.payload, _INTEGER))
    n, at = message.rows, 0
    given: dict[str, NDArray[Any] | None] = dict.fromkeys(FIELDS)
    for i, name in enumerate(FIELDS):
        if message.flags >> i & 1:
            wide = name == "probabilities" or (name == "score" and message.flags & _WIDE_SCORE)
            count = n * classes if wide else n
            array = np.frombuffer(message.payload, _DTYPES[name], count, at)
            at += 8 * count
            given[name] = array.reshape(n, classes) if wide else array
    return Answer(**given)


# ----------------------------------------------------------------------------------- surrogates


def send_snapshot(channel: Channel, snapshot: Snapshot, last: bool = False) -> None:
    """Send a snapshot; ``last`` says that it was not due, and is the last one proposed."""
    if isinstance(snapshot, Pickled):
        channel.send(Kind.PICKLED, memoryview(snapshot.data), int(last))
    else:
        send_rows(channel, Kind.LINEAR, np.c_[snapshot.coef, snapshot.intercept], int(last))


def snapshot_of(message: Message, width: int, classes: int) -> Snapshot:
    """Read a snapshot for a domain of encoded ``width``.

    Raises:
        Malformed: its arrays are of another shape, or not finite.
    """
    if message.kind == Kind.PICKLED:
        return Pickled(bytes(message.payload))
    weights = matrix_of(message, width + 1)
    if len(weights) not in {1, classes} - {0} or not np.isfinite(weights).all():
        raise Malformed("sends a linear surrogate whose weights do not fit")
    return Linear(np.ascontiguousarray(weights[:, :-1]), weights[:, -1].copy(), not classes)


def most_bytes_of_snapshot(width: int, classes: int) -> int:
    """Return how many bytes a snapshot may have."""
    return max(MOST_BYTES, 8 * (width + 1) * max(1, classes))


def labels_of(message: Message, n: int, classes: int) -> Outcomes:
    """Read the labels of n rows, int64 (n,); without classes their values, float64 (n,).

    Raises:
        Malformed: there are more or fewer, or one is no class, or not finite.
    """
    if len(message.payload) != 8 * n:
        raise Malformed(f"sends {len(message.payload)} bytes as the labels of {n} rows")
    if not classes:
        values = np.frombuffer(message.payload, _FLOAT)
        if not np.isfinite(values).all():
            raise Malformed("sends values that are not finite")
        return values
    labels = np.frombuffer(message.payload, _INTEGER)
    if n and (labels.min() < 0 or labels.max() >= classes):
        raise Malformed("sends labels that are no classes")
    return labels


# ----------------------------------------------------------------------------------------- ends


def send_ending(channel: Channel, ending: Ending) -> None:
    """Send how an attack ended."""
    text = {
        "status": ending.status,
        "reason": ending.reason[:LONGEST_REASON],
        "traceback": ending.traceback,
    }
    data = json.dumps(text).encode()
    if len(data) > MOST_TEXT:
        # JSON takes up to twelve bytes a character.
        short = {**text, "traceback": ending.traceback[-(MOST_TEXT // 16) :]}
        data = json.dumps(short).encode()
    channel.send(Kind.END, data)


def ending_of(message: Message, allowed: Collection[Status]) -> Ending:
    """Read how an attack ended, by what it says itself.

    A reason is given where it did not end well, in one line.

    Raises:
        Malformed: it is no JSON of three texts, too long, or another status than those allowed.
    """
    if len(message.payload) > MOST_TEXT:
        raise Malformed(f"says how it ended in more than {MOST_TEXT >> 10} KiB")
    try:
        given = json.loads(message.payload)
        parts = [given[name] for name in ("status", "reason", "traceback")]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Malformed("says how it ended in words that are not understood") from error
    if not all(isinstance(part, str) for part in parts) or parts[0] not in list(allowed):
        raise Malformed("says how it ended in words that are not understood")
    status = Status(parts[0])
    if not status.faulty:
        return Ending(status)
    return Ending(status, in_one_line(parts[1], LONGEST_REASON), parts[2])
