"""The door: what it bills, refuses and lets through."""

from __future__ import annotations

import copy
import math
import pickle
import re
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import BadDefense, Caches, FragileVictim, HidesLabel
from numpy.typing import NDArray
from playground import MIXED, LinearVictim, Toy, door, staged

from arena import (
    Answer,
    Attack,
    BudgetExhausted,
    Domain,
    InvalidQuery,
    OracleClosed,
    Session,
    Victim,
)
from arena_plugins.attacks.adaptive_retraining import AdaptiveRetraining
from arena_plugins.attacks.constant import Constant
from arena_plugins.attacks.eat import ExtendedAdaptiveTraining
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.attacks.majority import Majority
from arena_plugins.attacks.public_data import PublicData
from arena_plugins.attacks.random import Random

Floats = NDArray[np.float64]

BUILT_IN: tuple[Attack, ...] = (
    Constant(),
    PublicData(),
    Random(),
    LineSearch(),
    AdaptiveRetraining(),
    ExtendedAdaptiveTraining(),
    Majority(attack=LineSearch(), repeats=3),
)


@dataclass(frozen=True, kw_only=True)
class CountingVictim(LinearVictim):
    """Counts the rows and calls it answers."""

    asked: list[int] = field(default_factory=list)

    def answer(self, X: Floats) -> Answer:
        self.asked.append(len(X))
        return super().answer(X)


class CountingToy(Toy):
    """Trains a victim that counts."""

    def train(self, rng: np.random.Generator) -> CountingVictim:
        return CountingVictim(**vars(super().train(rng)))


@pytest.fixture
def victim() -> CountingVictim:
    toy = CountingToy(reveals=("label", "probabilities", "score"))
    return toy.train(np.random.default_rng(0))


def rows(n: int, seed: int = 0) -> Floats:
    return MIXED.sample(n, np.random.default_rng(seed))


@pytest.mark.parametrize("attack", BUILT_IN, ids=lambda attack: attack.name)
def test_billed_queries_are_the_rows_that_the_victim_counts(attack: Attack) -> None:
    spec, stage, _, _ = staged(attack, target=CountingToy(), budget=60)
    assert isinstance(stage.victim, CountingVictim)
    stage.victim.asked.clear()
    from arena.match import play

    record, _ = play(spec, stage, "build")
    assert sum(stage.victim.asked) == record.queries
    assert len(stage.victim.asked) == record.calls
    assert (record.queries == 0) == (attack.name in ("constant", "public-data"))


@given(st.lists(st.integers(1, 12), max_size=20), st.integers(1, 40))
def test_the_meter(batches: list[int], budget: int) -> None:
    counting = CountingToy().train(np.random.default_rng(0))
    oracle = door(counting, budget)
    spent = 0
    for n in batches:
        if n <= budget - spent:
            assert len(oracle.ask(rows(n)).label) == n  # type: ignore[arg-type]
            spent += n
        else:
            with pytest.raises(BudgetExhausted):
                oracle.ask(rows(n))
        assert (oracle.spent, oracle.remaining) == (spent, budget - spent)
    assert sum(counting.asked) == spent
    assert len(counting.asked) == oracle.calls


def test_one_row_too_many_bills_and_answers_nothing(victim: CountingVictim) -> None:
    oracle = door(victim, 10)
    oracle.ask(rows(4))
    with pytest.raises(BudgetExhausted, match="7 queries asked, 6 of 10 remain"):
        oracle.ask(rows(7))
    assert (oracle.spent, oracle.calls, victim.asked) == (4, 1, [4])
    oracle.ask(rows(6))
    assert oracle.remaining == 0


def test_a_batch_beyond_memory_is_refused_before_it_is_copied(victim: CountingVictim) -> None:
    with pytest.raises(BudgetExhausted):
        door(victim).ask(np.broadcast_to(rows(1), (10**12, 3)))


@pytest.mark.parametrize(
    "X",
    [
        [],
        [[]],
        np.empty((0, 3)),
        [0.0, 1.0, 0.0],
        [[0.0, 1.0]],
        [[[0.0, 1.0, 0.0]]],
        [["0", "1", "0"]],
        [[None, 1.0, 0.0]],
        [[0.0, 1.0, 0.0], [0.0]],
        np.array([[0.0, 1.0, 0.0]], dtype=object),
        np.array([[0j, 1.0, 0.0]]),
        [[10**400, 1, 0]],
        None,
        "rows",
        {"a": 1},
    ],
    ids=lambda X: str(X)[:24],
)
def test_a_malformed_batch_is_refused_and_not_billed(victim: CountingVictim, X: Any) -> None:
    oracle = door(victim)
    with pytest.raises(InvalidQuery) as caught:
        oracle.ask(X)
    assert "\n" not in str(caught.value)
    assert (oracle.spent, oracle.calls, victim.asked) == (0, 0, [])


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, np.nan),
        (0, np.inf),
        (1, -np.inf),
        (2, np.nan),
        (2, 0.5),
        (2, -1.0),
        (2, 3.0),
        (2, 1e300),
    ],
)
def test_rows_that_cannot_be_asked_are_billed_and_refused(
    victim: CountingVictim, n: int, column: int, value: float
) -> None:
    oracle = door(victim)
    X = rows(n)
    X[-1, column] = value
    with pytest.raises(InvalidQuery, match="a query holds"):
        oracle.ask(X)
    assert (oracle.spent, oracle.calls, victim.asked) == (n, 1, [])


def test_values_whose_sum_overflows_are_finite(victim: CountingVictim) -> None:
    X = rows(2)
    X[:, :2] = 1.7e308
    assert door(victim).ask(X).label is not None
    assert door(victim).ask(X[:1]).label is not None


def test_any_numeric_matrix_is_taken(victim: CountingVictim) -> None:
    X = np.array([[1, 2, 0], [0, 3, 1]])
    expected = victim.answer(X.astype(float)).label
    for given_rows in (X, X.tolist(), X.astype(np.float32), np.asfortranarray(X), X[::1, :]):
        np.testing.assert_array_equal(door(victim).ask(given_rows).label, expected)


def test_what_the_caller_changes_afterwards_changes_nothing() -> None:
    class Remembers:
        def __init__(self) -> None:
            self.X: list[Floats] = []

        def answer(self, X: Floats, answer: Answer) -> Answer:
            self.X.append(X)
            return answer

    @dataclass(frozen=True, kw_only=True)
    class Stored(LinearVictim):
        label: NDArray[np.int64]

        def answer(self, X: Floats) -> Answer:
            return Answer(label=self.label[: len(X)])

    kept = np.zeros(5, dtype=np.int64)
    session = Remembers()
    toy = Toy().train(np.random.default_rng(0))
    oracle = door(Stored(**vars(toy), label=kept), sessions=[session])
    X = rows(2)
    before = X.copy()
    label = oracle.ask(X).label
    assert label is not None
    X[:] = 0
    label[:] = 1
    np.testing.assert_array_equal(session.X[0], before)
    np.testing.assert_array_equal(kept, 0)
    np.testing.assert_array_equal(door(Stored(**vars(toy), label=kept)).ask(before).label, 0)


def test_an_answer_that_a_defence_keeps_cannot_be_changed(victim: CountingVictim) -> None:
    oracle = door(victim, sessions=[Caches().protect(victim, np.random.default_rng(0))])
    first = oracle.ask(rows(3))
    for name in first.fields:
        first.field(name)[:] = 0  # type: ignore[index]
    again, true = oracle.ask(rows(3)), victim.answer(rows(3))
    for name in first.fields:
        np.testing.assert_array_equal(again.field(name), true.field(name))


def test_only_the_revealed_fields_leave(victim: CountingVictim) -> None:
    assert door(victim, fields=frozenset({"score"})).ask(rows(1)).fields == {"score"}
    session = HidesLabel().protect(victim, np.random.default_rng(0))
    hidden = door(victim, fields=frozenset({"probabilities"}), sessions=[session])
    assert hidden.ask(rows(1)).fields == {"probabilities"}
    assert not hidden.fault


def test_answers_are_of_the_promised_types(victim: CountingVictim) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Narrow(LinearVictim):
        def answer(self, X: Floats) -> Answer:
            wide = super().answer(X)
            assert wide.label is not None
            assert wide.probabilities is not None
            return Answer(wide.label.astype(np.int8), wide.probabilities.astype(np.float32))  # type: ignore[arg-type]

    narrow = Narrow(**{k: v for k, v in vars(victim).items() if k != "asked"})
    answer = door(narrow, fields={"label", "probabilities"}).ask(rows(2))
    assert answer.label is not None
    assert answer.probabilities is not None
    assert (answer.label.dtype, answer.probabilities.dtype) == (np.int64, np.float64)


def test_a_closed_oracle_answers_nothing(victim: CountingVictim) -> None:
    oracle = door(victim)
    oracle.close()
    with pytest.raises(OracleClosed):
        oracle.ask(rows(1))
    assert (oracle.spent, victim.asked) == (0, [])


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_oracle_cannot_be_taken_along(victim: CountingVictim, take: Any) -> None:
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        take(door(victim))


def test_the_meter_holds_against_threads(victim: CountingVictim) -> None:
    class OneAtATime:
        """A defence whose state two calls at once would corrupt."""

        def __init__(self) -> None:
            self.inside = 0

        def answer(self, X: Floats, answer: Answer) -> Answer:
            self.inside += 1
            time.sleep(0.0001)
            if self.inside != 1:
                raise RuntimeError("two calls at once")
            self.inside -= 1
            return answer

    oracle = door(victim, 101, sessions=[OneAtATime()])

    def greedy() -> None:
        while True:
            try:
                oracle.ask(rows(2))
            except BudgetExhausted:
                return

    threads = [threading.Thread(target=greedy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not oracle.fault
    assert oracle.spent == sum(victim.asked) == 100


def failing(victim: Victim, sessions: list[Session]) -> str:
    oracle = door(victim, sessions=sessions, fields=frozenset({"label"}))
    with pytest.raises(OracleClosed):
        oracle.ask(rows(2))
    with pytest.raises(OracleClosed):
        oracle.ask(rows(2))
    assert oracle.spent == 2
    return oracle.fault


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("raises", "the defence raises KeyError: 'state'"),
        ("exits", "the defence raises SystemExit"),
        ("nothing", "the defence gave NoneType where an arena.Answer is expected"),
        ("no-label", "the defence gave no label"),
        ("shape", r"the defence gave label of shape \(2, 1\) to 2 queries"),
        ("short", r"the defence gave label of shape \(1,\) to 2 queries"),
        ("float", "the defence gave label as float64; give an array of int64"),
        ("bool", "the defence gave label as bool; give an array of int64"),
        ("list", "the defence gave label as list; give an array of int64"),
        ("range", r"the defence gave label [56], the classes are 0\.\.1"),
        ("below", r"the defence gave label -2, the classes are 0\.\.1"),
    ],
)
def test_a_failing_defence_is_named(victim: CountingVictim, how: str, sentence: str) -> None:
    session = BadDefense(how=how).protect(victim, np.random.default_rng(0))
    assert re.fullmatch(sentence, failing(victim, [session]))


def test_a_failing_target_is_named_before_its_defence(victim: CountingVictim) -> None:
    given = {k: v for k, v in vars(victim).items() if k != "asked"}
    session = BadDefense(how="raises").protect(victim, np.random.default_rng(0))
    sentence = "the target raises ZeroDivisionError: too few"
    assert failing(FragileVictim(**given), []) == sentence
    assert failing(FragileVictim(**given), [session]) == sentence


def test_a_defence_that_writes_into_an_answer_does_not_reach_the_victim() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Stored(LinearVictim):
        label: NDArray[np.int64]

        def answer(self, X: Floats) -> Answer:
            return Answer(label=self.label[: len(X)])

    toy = Toy().train(np.random.default_rng(0))
    stored = Stored(**vars(toy), label=np.zeros(5, dtype=np.int64))
    session = BadDefense(how="writes").protect(toy, np.random.default_rng(0))
    np.testing.assert_array_equal(door(stored, sessions=[session]).ask(rows(3)).label, 1)
    np.testing.assert_array_equal(stored.label, 0)


# --------------------------------------------------------------------------------- checkpoints


def kept_at(growth: float, budget: int, step: int = 1) -> list[int]:
    oracle = door(Toy().train(np.random.default_rng(0)), budget, growth)
    kept = []
    while True:
        if oracle.checkpoint_due:
            kept.append(oracle.spent)
            oracle.keep()
            assert not oracle.checkpoint_due
        if not oracle.remaining:
            return kept
        oracle.ask(rows(min(step, oracle.remaining)))


def test_checkpoints_are_due_at_nothing_and_when_nothing_remains() -> None:
    assert kept_at(10.0, 7) == [0, 1, 7]
    assert kept_at(1.5, 7, step=7) == [0, 7]


def test_growth_one_is_once_a_spent_value() -> None:
    assert kept_at(1.0, 25) == list(range(26))


def test_checkpoints_grow_geometrically() -> None:
    assert kept_at(2.0, 70) == [0, 1, 2, 4, 8, 16, 32, 64, 70]
    kept = kept_at(1.1, 300)
    for a, b in pairwise(kept[1:-1]):
        assert b == max(a + 1, math.ceil(round(a * 1.1, 9)))


def test_the_next_checkpoint_after_100_at_a_tenth_more_is_110() -> None:
    oracle = door(Toy().train(np.random.default_rng(0)), 500, 1.1)
    oracle.ask(rows(100))
    oracle.keep()
    oracle.ask(rows(10))
    assert oracle.checkpoint_due


def test_the_domain_an_attack_is_told_cannot_be_changed(victim: CountingVictim) -> None:
    domain: Domain = door(victim).knowledge.domain
    for array in (domain.low, domain.high, domain.discrete, domain.categorical):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    again = pickle.loads(pickle.dumps(domain))
    with pytest.raises(ValueError, match="read-only"):
        again.low[:] = 0
