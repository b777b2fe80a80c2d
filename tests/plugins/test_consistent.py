"""The wrapper that makes a noisy defence answer equal inputs equally."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field

import numpy as np
import pytest
from linear_victims import content, halfspace, labels, protected, row_by_row, trained
from numpy.typing import NDArray
from pydantic import ValidationError

from arena import ANY, Answer, Defense
from arena.api import Traits
from arena_plugins.defenses.consistent import Consistent
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.label_only import LabelOnly
from arena_plugins.defenses.none import NoDefense
from arena_plugins.defenses.random_model import RandomModel
from arena_plugins.defenses.score_noise import ScoreNoise

Floats = NDArray[np.float64]

FLIPS = Consistent(defense=LabelFlip(rate=0.4))


@dataclass
class Counting:
    """Numbers every row it answers."""

    rows: list[Floats] = field(default_factory=list)

    def answer(self, X: Floats, answer: Answer) -> Answer:
        n = sum(map(len, self.rows))
        self.rows.append(X.copy())
        score = np.arange(n, n + len(X), dtype=np.float64)
        return Answer(label=answer.label, score=np.c_[score, -score])


class Numbering(NoDefense):
    """Numbers rows."""

    name = "numbering"

    def protect(self, victim: object, rng: object) -> Counting:  # type: ignore[override]
        return SEEN[-1]


SEEN: list[Counting] = []


def test_the_defence_inside_meets_every_row_once() -> None:
    SEEN.append(Counting())
    victim = halfspace([1.0, 0.0])
    session = Consistent(defense=Numbering()).protect(victim, np.random.default_rng(0))
    A = np.array([[1.0, 2.0], [3.0, 0.0], [1.0, 2.0], [3.0, -0.0]])
    B = np.array([[3.0, 0.0], [5.0, 6.0], [5.0, 6.0]])
    first, second = protected(session, victim, A), protected(session, victim, B)
    assert first.score is not None
    assert second.score is not None
    assert first.score[:, 0].tolist() == [0, 1, 0, 1]
    assert second.score[:, 0].tolist() == [1, 2, 2]
    assert np.concatenate(SEEN[-1].rows).tolist() == [[1, 2], [3, 0], [5, 6]]
    again = protected(session, victim, np.concatenate([A, B]))
    assert content(again) == content(
        Answer(labels(again), score=np.concatenate([first.score, second.score]))
    )
    assert len(SEEN[-1].rows) == 2


def test_distinct_rows_get_the_law_of_the_defence_inside() -> None:
    victim = halfspace(np.ones(3))
    X = np.random.default_rng(0).standard_normal((20_000, 3))
    session = FLIPS.protect(victim, np.random.default_rng(1))
    after = protected(session, victim, X)
    assert abs((labels(after) != labels(victim.answer(X))).mean() - 0.4) < 0.02
    bare = LabelFlip(rate=0.4).protect(victim, np.random.default_rng(1))
    assert content(after) == content(protected(bare, victim, X))


@pytest.mark.parametrize("inner", [LabelFlip(rate=0.4), ScoreNoise(), RandomModel(sigma=0.3)])
def test_repetition_gains_nothing(inner: Defense) -> None:
    victim = trained("wine")
    session = Consistent(defense=inner).protect(victim, np.random.default_rng(0))
    X = victim.domain.sample(50, np.random.default_rng(1)) / 3
    first = protected(session, victim, X)
    assert (labels(first) != labels(victim.answer(X))).any()
    repeated = protected(session, victim, np.repeat(X, 30, axis=0))
    assert content(repeated) == content(first.rows(np.repeat(np.arange(50), 30)))


def test_the_stream_does_not_depend_on_batches() -> None:
    victim = halfspace([1.0, 1.0])
    rng = np.random.default_rng(2)
    X = rng.integers(3, size=(200, 2)).astype(np.float64)
    whole, single = (FLIPS.protect(victim, np.random.default_rng(3)) for _ in range(2))
    assert content(protected(whole, victim, X)) == row_by_row(single, victim, X)


def test_sessions_do_not_share_what_they_remember() -> None:
    victim = halfspace([1.0])
    X = np.arange(1.0, 101.0)[:, None]
    one, other = (FLIPS.protect(victim, np.random.default_rng(s)) for s in (1, 2))
    assert content(protected(one, victim, X)) != content(protected(other, victim, X))


def test_traits_are_those_of_the_defence_inside() -> None:
    names = frozenset({"probabilities", "score", "leaf", "value"})
    assert Consistent(defense=LabelOnly()).traits == Traits(names, frozenset(), True, ANY)
    inner = LabelFlip(rate=0.4).traits
    assert FLIPS.traits == Traits(inner.hides, inner.alters, True, ANY)
    assert FLIPS.flip_rate() == 0.4
    assert Consistent(defense=FLIPS).flip_rate() == 0.4
    noisy = Consistent(defense=ScoreNoise())
    assert noisy.traits.families == {"halfspace"}
    assert noisy.flip_rate() is None


def test_memory_is_bounded_by_the_distinct_rows() -> None:
    victim = halfspace(np.ones(64))
    session = FLIPS.protect(victim, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            protected(session, victim, rng.standard_normal((1_000, 64)))
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / 20_000 < 250


def test_it_needs_a_defence() -> None:
    for wrong in ({}, {"defense": "none"}, {"defense": 3}):
        with pytest.raises(ValidationError):
            Consistent.model_validate(wrong)
