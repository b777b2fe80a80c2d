"""The wire of a cell: whatever comes over it, the match ends and is billed as it was answered."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pytest
from fuzzing import explore, few_or_many
from hypothesis import strategies as st
from numpy.typing import NDArray
from playground import LinearVictim, Toy, door

from arena import Answer
from arena.errors import LONGEST_REASON, in_one_line
from arena.isolation import messages, wire
from arena.isolation.cell import REFUSALS
from arena.isolation.cells import _OWN_ENDS, _Scorer, _serve
from arena.isolation.seats import Faulty
from arena.isolation.wire import Channel, Gone, Hung, Kind, Malformed, Message
from arena.learners.arrays import Linear
from arena.oracle import Door
from arena.records import Ending, Status
from arena.snapshots import Pickled, RuleBroken, Snapshot

HEAD = struct.Struct("<BBHIQQ")
BUDGET = 40
WIDTH = 3
ENCODED = 5
MEMORY = 1 << 26
KINDS = [value for name, value in vars(Kind).items() if name.isupper()]


@dataclass(frozen=True, kw_only=True)
class Counting(LinearVictim):
    """Counts the rows that it answers."""

    answered: list[int] = field(default_factory=list)

    def answer(self, X: NDArray[np.float64]) -> Answer:
        self.answered.append(len(X))
        return super().answer(X)


VICTIM = Toy(reveals=("label", "probabilities", "score")).train(np.random.default_rng(0))


def counting_door(budget: int = BUDGET) -> tuple[Counting, Door]:
    victim = Counting(**vars(VICTIM))
    return victim, door(victim, budget, 1.5)


@contextmanager
def pair(deadline: float | None = None) -> Iterator[tuple[Channel, socket.socket]]:
    """Connect a referee's channel to a cell's bare socket."""
    ours, theirs = socket.socketpair()
    until = None if deadline is None else time.monotonic() + deadline
    channel = Channel(ours, until, wire.opened_window(wire.new_window() or 0))
    with theirs, closing(channel):
        yield channel, theirs


def received(data: Iterable[bytes], most: int = 1 << 16) -> tuple[list[Message], Exception]:
    """Receive until it ends, what is sent in pieces; return also how it ended."""
    with pair(10.0) as (channel, cell):

        def send() -> None:
            for piece in data:
                cell.sendall(piece)
            cell.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        found = []
        try:
            while True:
                found.append(channel.receive(most))
        except (Gone, Hung, Malformed) as error:
            # The rest is drained, so that the sender ends.
            while channel._socket.recv(1 << 20):
                pass
            return found, error
        finally:
            sender.join()


class Cell:
    """A cell that sends a stream, whatever is answered, and takes the answers."""

    def __init__(self, sock: socket.socket, data: bytes) -> None:
        self.replies: list[Message] = []
        self._threads = [
            threading.Thread(target=self._send, args=(sock, data)),
            threading.Thread(target=self._receive, args=(Channel(sock.dup()),)),
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _send(sock: socket.socket, data: bytes) -> None:
        # The referee may have had enough before the end.
        with suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

    def _receive(self, channel: Channel) -> None:
        with closing(channel), suppress(Gone):
            while True:
                self.replies.append(channel.receive(1 << 20))

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@contextmanager
def talking(data: bytes) -> Iterator[tuple[Channel, Cell]]:
    """Connect a referee's channel to a cell that sends a stream; both are done afterwards."""
    with pair(10.0) as (channel, sock):
        cell = Cell(sock, data)
        try:
            yield channel, cell
        finally:
            channel._socket.shutdown(socket.SHUT_RDWR)
            cell.join()


# ---------------------------------------------------------------------------------- the channel

numbers = (
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 2**32 - 1),
)
payloads = st.binary(max_size=100) | st.integers(0, 70_000).map(lambda n: b"x" * n)
sent_messages = st.tuples(*numbers, st.integers(0, 2**64 - 1), payloads)


@st.composite
def torn(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Bytes in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def packed(kind: int, flags: int, columns: int, rows: int, spent: int, payload: bytes) -> bytes:
    return HEAD.pack(kind, flags, columns, rows, spent, len(payload)) + payload


@few_or_many
def test_messages_come_as_they_were_sent_however_they_are_torn(examples: int) -> None:
    def sent_torn(sent: list[tuple[Any, ...]]) -> st.SearchStrategy[Any]:
        whole = b"".join(packed(*message) for message in sent)
        return st.tuples(st.just(sent), torn(whole))

    def check(example: Any) -> None:
        sent, pieces = example
        found, error = received(pieces, 70_000)
        assert [(*m[:5], bytes(m.payload)) for m in found] == sent
        assert isinstance(error, Gone)

    explore(examples // 2, st.lists(sent_messages, max_size=5).flatmap(sent_torn), check)


@few_or_many
def test_any_bytes_are_messages_or_an_end(examples: int) -> None:
    def check(data: bytes) -> None:
        found, error = received([data], 1000)
        assert isinstance(error, Malformed | Gone)
        assert all(len(message.payload) <= 1000 for message in found)

    explore(examples, st.binary(max_size=200) | st.lists(sent_messages).map(_joined), check)


def _joined(sent: list[tuple[Any, ...]]) -> bytes:
    return b"".join(packed(*message) for message in sent)


def test_a_cell_that_says_nothing_or_a_byte_at_a_time_hangs_until_the_deadline_only() -> None:
    stop = threading.Event()
    with pair(0.3) as (channel, cell):

        def dribble() -> None:
            for byte in packed(Kind.ASK, 0, 0, 1, 0, bytes(100)):
                if stop.wait(0.05):
                    return
                cell.send(bytes([byte]))

        thread = threading.Thread(target=dribble)
        thread.start()
        started = time.monotonic()
        with pytest.raises(Hung):
            channel.receive(1000)
        stop.set()
        thread.join()
        assert 0.2 < time.monotonic() - started < 5


@pytest.mark.parametrize("taken", [0, 2000])
def test_a_cell_that_reads_nothing_or_little_holds_up_until_the_deadline_only(taken: int) -> None:
    stop = threading.Event()
    with pair(0.3) as (channel, cell):

        def sip() -> None:
            while taken and not stop.wait(0.001):
                cell.recv(taken)

        thread = threading.Thread(target=sip)
        thread.start()
        started = time.monotonic()
        with pytest.raises(Hung):
            channel.send(Kind.ANSWER, bytes(30_000_000))
        stop.set()
        thread.join()
        assert 0.2 < time.monotonic() - started < 5


# ------------------------------------------------------------------------------------- the match

few = st.integers(0, BUDGET + 2)
rows = st.tuples(few, st.sampled_from([0.0, 1.0, np.nan, np.inf, -1e308, 7.0])).map(
    lambda nx: np.full((nx[0], WIDTH), nx[1])
)
weights = st.tuples(
    st.sampled_from([0, 1, 2, 3]), st.sampled_from([0.5, np.nan, np.inf, 1e308])
).map(lambda kx: np.full((kx[0], ENCODED + 1), kx[1]))


def ask(X: NDArray[np.float64], claimed: int | None = None) -> bytes:
    return packed(Kind.ASK, 0, 0, len(X) if claimed is None else claimed, 0, X.tobytes())


def in_arrays(kind: int, flags: int, *matrices: NDArray[np.float64]) -> bytes:
    shapes = b"".join(struct.pack("<II", *matrix.shape) for matrix in matrices)
    numbers = b"".join(matrix.tobytes() for matrix in matrices)
    return packed(kind, flags, 0, len(matrices), 0, shapes + numbers)


LINEAR = in_arrays(Kind.LINEAR, 0, np.zeros((2, ENCODED + 1)))
SOME = np.linspace(-1.0, 1.0, 4 * ENCODED).reshape(4, ENCODED)
MET = np.array([[0.0], [1.0]])
ARRAYS = {
    Kind.KERNEL: (np.ones((1, 2)), np.ones((3, ENCODED + 1)), np.ones((2, 4)), MET),
    Kind.TREES: (
        np.array([[0, 0.5, 1, 2], [0, 0, 1, 1], [0, 0, 2, 2]]),
        np.ones((3, 2)),
        np.zeros((2, 1)),
        MET,
    ),
}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A surrogate in arrays, perhaps with numbers that do not belong there."""
    kind = draw(st.sampled_from(sorted(ARRAYS)))
    matrices = [matrix.copy() for matrix in ARRAYS[kind]]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        matrix = draw(st.sampled_from(matrices))
        at = draw(st.integers(0, matrix.size - 1))
        matrix.flat[at] = draw(st.sampled_from([-1.0, 0.5, 1.0, 2.0, 3.0, 1e300, np.nan]))
    return in_arrays(kind, draw(st.integers(0, 2)), *matrices)


def end(content: bytes) -> bytes:
    return packed(Kind.END, 0, 0, 0, 0, content)


texts = st.text(max_size=8)
said = st.fixed_dictionaries(
    {
        "status": st.sampled_from([*map(str, Status), "", "won"]) | st.none(),
        "reason": texts | st.integers(),
    },
    optional={"traceback": texts, "more": texts},
)
honest = st.sampled_from(sorted(_OWN_ENDS)).map(
    lambda status: json.dumps({"status": status, "reason": "a\nb", "traceback": ""}).encode()
)
ends = st.one_of(
    honest,
    said.map(lambda text: json.dumps(text).encode()),
    st.binary(max_size=20),
    st.sampled_from([b"[" * 5000, b"1" * 5000, b'"\\ud800"', b"\xff\xfe", b"{}", b"null", b"[[]]"]),
)
requests = st.one_of(
    rows.map(ask),
    st.tuples(rows, few).map(lambda given: ask(*given)),
    st.tuples(st.sampled_from([0, 1, 2, 50, 2**20, 2**32 - 1]), st.binary(max_size=9)).map(
        lambda given: packed(Kind.ASK, 0, 1, given[0], 0, given[1])
    ),
    st.tuples(weights, st.integers(0, 2)).map(
        lambda given: in_arrays(Kind.LINEAR, given[1], given[0])
    ),
    damaged(),
    st.tuples(st.binary(max_size=30), st.integers(0, 2)).map(
        lambda given: packed(Kind.PICKLED, given[1], 0, 0, 0, given[0])
    ),
    ends.map(end),
    st.tuples(st.sampled_from(KINDS), payloads).map(lambda kp: packed(kp[0], 0, 0, 1, 0, kp[1])),
    st.tuples(st.sampled_from(KINDS), st.sampled_from([2**27, 2**40, 2**63, 2**64 - 1])).map(
        lambda kn: HEAD.pack(kn[0], 0, 0, 1, 0, kn[1])
    ),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """What a cell may send: requests, good and bad, and then perhaps a flaw anywhere."""
    whole = draw(st.sampled_from([[], [ask(np.zeros((2, WIDTH))), LINEAR]]))
    data = bytearray(b"".join([*whole, *draw(st.lists(requests, max_size=8))]))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@few_or_many
def test_whatever_a_cell_sends_ends_its_match_and_is_billed_as_it_was_answered(
    examples: int,
) -> None:
    def check(data: bytes) -> None:
        victim, oracle = counting_door()
        kept: list[tuple[int, Snapshot]] = []

        def keep(snapshot: Snapshot) -> None:
            kept.append((oracle.spent, snapshot))
            oracle.keep()

        with talking(data) as (channel, cell), suppress(Malformed, Gone):
            ending = _serve(channel, oracle, keep, MEMORY)
            assert ending.status in _OWN_ENDS
            assert "\n" not in ending.reason
        _check_billed(victim, oracle, cell.replies)
        _check_kept(kept)

    explore(examples, streams(), check)


def refused(reply: Message) -> str:
    """Return the name of what a query was refused with, empty where it was answered."""
    assert reply.kind in (Kind.ANSWER, Kind.REFUSAL)
    return REFUSALS[reply.flags].__name__ if reply.kind == Kind.REFUSAL else ""


def _check_billed(victim: Counting, oracle: Door, replies: list[Message]) -> None:
    spent, answered, calls = 0, 0, 0
    for reply in replies:
        what = refused(reply)
        if not what:
            answered += reply.rows
            assert reply.spent == spent + reply.rows
        # What is refused for its values is billed, as in-process; what is beyond the budget is not.
        assert (reply.spent > spent) == (what in ("", "InvalidQuery"))
        calls += reply.spent > spent
        spent = reply.spent
    assert oracle.spent == spent <= BUDGET
    assert oracle.calls == calls
    assert sum(victim.answered) == answered


def _check_kept(kept: list[tuple[int, Snapshot]]) -> None:
    """Check that one is kept at a price, and one more at the last."""
    prices = [price for price, _ in kept]
    assert prices == sorted(prices)
    assert len(set(prices[:-1])) == len(prices[:-1])
    for _, snapshot in kept:
        if isinstance(snapshot, Linear):
            assert snapshot.coef.shape in ((1, ENCODED), (2, ENCODED))
            assert np.isfinite(snapshot.coef).all()
        elif not isinstance(snapshot, Pickled):
            found = snapshot.labels(SOME, SOME)
            assert found.shape == (len(SOME),)
            assert set(found) <= {0, 1}


def test_the_streams_reach_every_end_and_every_kind_of_answer() -> None:
    seen: set[str] = set()

    def note(data: bytes) -> None:
        _, oracle = counting_door()
        with talking(data) as (channel, cell):
            try:
                ending = _serve(channel, oracle, lambda s: seen.add(type(s).__name__), MEMORY)
                seen.add(ending.status)
            except (Malformed, Gone) as error:
                seen.add(type(error).__name__)
        seen.update(refused(m) or "answer" for m in cell.replies)

    explore(400, streams(), note)
    wanted = {"Malformed", "Gone", "answer", "BudgetExhausted", "InvalidQuery"}
    wanted |= {"Linear", "Pickled", "Kernel", "Trees"}
    assert seen >= wanted
    assert seen & _OWN_ENDS


@pytest.mark.parametrize("budget", [BUDGET, 10**9])
def test_a_head_that_announces_much_takes_no_memory(budget: int) -> None:
    _, oracle = counting_door(budget)
    tracemalloc.start()
    with pair(10.0) as (channel, cell):
        cell.sendall(HEAD.pack(Kind.ASK, 0, 0, 10**9, 0, 8 * WIDTH * 10**9) + bytes(1000))
        cell.shutdown(socket.SHUT_WR)
        with pytest.raises(Malformed, match="where at most"):
            _serve(channel, oracle, lambda snapshot: None, MEMORY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * MEMORY
    assert oracle.spent == 0


def test_an_ending_that_is_long_is_not_read() -> None:
    _, oracle = counting_door()
    text = json.dumps({"status": "finished", "reason": "", "traceback": "x" * messages.MOST_TEXT})
    for content in (text.encode(), b"[{}," * messages.MOST_TEXT):
        with pair(10.0) as (channel, cell):
            sender = threading.Thread(target=cell.sendall, args=(end(content),))
            sender.start()
            with pytest.raises(Malformed, match="in more than 1024 KiB"):
                _serve(channel, oracle, lambda snapshot: None, MEMORY)
            sender.join()


@pytest.mark.parametrize("character", ["x", '"', "\n", "\ud800", "\U0001f600", "\x00"])
def test_an_honest_ending_always_fits(character: str) -> None:
    reason, traceback = character * 300, character * 3_000_000
    with pair() as (channel, cell):
        ending = Ending(Status.FAILED, reason, traceback)
        sender = threading.Thread(target=messages.send_ending, args=(Channel(cell.dup()), ending))
        sender.start()
        found = messages.ending_of(channel.receive(1 << 26), _OWN_ENDS)
        sender.join()
    assert found.status is Status.FAILED
    assert found.reason == in_one_line(reason, LONGEST_REASON)
    assert len(found.traceback) >= 50_000
    assert traceback.endswith(found.traceback)


# ----------------------------------------------------------------------------------- the scoring


class _Answers:
    """A scoring cell that answers what it is given, whatever it is asked."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def fail(self, error: BaseException) -> NoReturn:
        raise Faulty(Ending(Status.BROKE_A_RULE, type(error).__name__))

    def finish(self) -> None:
        """Do nothing."""


labels = st.lists(st.sampled_from([0, 1, 0, 1, -1, 2, 2**62]), min_size=0, max_size=9).map(
    lambda given: packed(Kind.LABELS, 0, 0, 0, 0, np.array(given, dtype="<i8").tobytes())
)
answers = st.one_of(
    labels,
    st.just(packed(Kind.LABELS, 0, 0, 0, 0, bytes(8 * 5))),
    st.just(packed(Kind.LABELS, 0, 0, 0, 0, b"")),
    st.lists(st.floats(), min_size=5, max_size=5).map(
        lambda given: packed(Kind.LABELS, 0, 0, 0, 0, np.array(given, dtype="<f8").tobytes())
    ),
    requests,
    st.binary(max_size=40),
)


@few_or_many
@pytest.mark.parametrize("classes", [2, 0], ids=["labels", "values"])
def test_whatever_a_scoring_cell_answers_is_labels_or_values_or_the_end(
    classes: int, examples: int
) -> None:
    X = np.zeros((5, WIDTH))

    def check(data: list[bytes]) -> None:
        with talking(b"".join(data)) as (channel, _), suppress(RuleBroken):
            scorer = _Scorer(_Answers(channel), classes)  # type: ignore[arg-type]
            with suppress(Faulty):
                for _ in range(3):
                    found = scorer.loaded(Pickled(b"opaque")).labels(X, X)
                    assert found.shape == (5,)
                    assert found.dtype == (np.int64 if classes else np.float64)
                    assert set(found) <= {0, 1} if classes else np.isfinite(found).all()

    explore(examples, st.lists(answers, max_size=8), check)
