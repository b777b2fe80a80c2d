"""What the messages of a wire say: queries and answers, surrogates, and how an attack ended."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from arena.answers import FIELDS, Answer
from arena.api import Floats
from arena.errors import LONGEST_REASON, in_one_line
from arena.isolation.wire import SMALL, Channel, Kind, Malformed, Message
from arena.learners.arrays import Kernel, Linear, Matrices, Trees
from arena.records import Ending, Status
from arena.snapshots import MOST_BYTES, Pickled, Snapshot
from arena.tables import Outcomes

MOST_TEXT = 1 << 20
"""The JSON that a cell may send of its end."""

SNAPSHOTS: Final = (Kind.LINEAR, Kind.PICKLED, Kind.KERNEL, Kind.TREES)

_MADE_OF_ARRAYS: Final[dict[int, type[Linear] | type[Kernel] | type[Trees]]] = {
    Kind.LINEAR: Linear,
    Kind.KERNEL: Kernel,
    Kind.TREES: Trees,
}
_SHAPE, _MOST_MATRICES = struct.Struct("<II"), 4

_LABEL_ALONE, _WIDE_SCORE = 1 << FIELDS.index("label"), 1 << 7
_FLOAT, _INTEGER = np.dtype("<f8"), np.dtype("<i8")
_DTYPES = {name: _INTEGER if name in ("label", "leaf") else _FLOAT for name in FIELDS}


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
    if X.nbytes <= SMALL or window is None or X.nbytes > len(window):
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
    channel.send(kind, X.data.cast("B") if X.nbytes > SMALL else X.tobytes(), flags, 0, len(X))


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
        return
    kind = next(kind for kind, made in _MADE_OF_ARRAYS.items() if isinstance(snapshot, made))
    matrices = snapshot.matrices()
    shapes = b"".join(_SHAPE.pack(*matrix.shape) for matrix in matrices)
    numbers = b"".join(matrix.tobytes() for matrix in matrices)
    channel.send(kind, shapes + numbers, int(last), rows=len(matrices))


def snapshot_of(message: Message, width: int, classes: int) -> Snapshot:
    """Read a snapshot for a domain of encoded ``width``.

    Raises:
        Malformed: its arrays are of another shape, or not finite.
    """
    if message.kind == Kind.PICKLED:
        return Pickled(bytes(message.payload))
    try:
        return _MADE_OF_ARRAYS[message.kind].of(_matrices_of(message), width, classes)
    except ValueError as error:
        raise Malformed(f"sends a surrogate in arrays: {error}") from error


def _matrices_of(message: Message) -> Matrices:
    """Return the matrices of a message, in memory of its own.

    Raises:
        Malformed: their bytes are not there.
    """
    at = message.rows * _SHAPE.size
    if not 0 < message.rows <= _MOST_MATRICES or len(message.payload) < at:
        raise Malformed(f"announces {message.rows} matrices and sends {len(message.payload)} bytes")
    matrices = []
    for n, columns in _SHAPE.iter_unpack(message.payload[:at]):
        if 8 * n * columns > len(message.payload) - at:
            raise Malformed(f"announces {n} rows of {columns} for which bytes are missing")
        matrix = np.frombuffer(message.payload, _FLOAT, n * columns, at)
        matrices.append(matrix.reshape(n, columns))
        at += matrix.nbytes
    if at != len(message.payload):
        raise Malformed(f"sends {len(message.payload) - at} bytes too many")
    return tuple(matrices)


def most_bytes_of_snapshot(width: int, classes: int) -> int:
    """Return how many bytes a snapshot may have."""
    return max(MOST_BYTES, 8 * (width + 1) * max(1, classes) + _SHAPE.size)


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
