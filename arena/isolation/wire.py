"""What crosses between a referee and a cell: numpy buffers, JSON and opaque bytes, length-checked.

A message is a head of fixed size and a payload whose length the head tells. A referee believes
nothing that a cell sends: a kind that is not expected, a length that does not fit or an array of
other bytes than announced ends the match, as its attack's fault.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import struct
from time import monotonic
from typing import Final, NamedTuple

_HEAD = struct.Struct("<BBHIQQ")
SMALL, _BUFFER, _WINDOW = 1 << 14, 1 << 16, 1 << 24
_TICK = struct.pack("ll", 0, 200_000)
"""How long a read or a write waits before it looks at the deadline: a fifth of a second."""


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
    KERNEL: Final = 12
    TREES: Final = 13


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
        if len(payload) <= SMALL:
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
