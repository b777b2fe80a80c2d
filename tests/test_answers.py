"""Answers: how rows are refused, and how labels are decided anew."""

from __future__ import annotations

import numpy as np
import pytest

from arena import FIELDS, REFUSED, Answer


def honest(n: int = 6) -> Answer:
    rng = np.random.default_rng(0)
    score = rng.standard_normal(n)
    label = (score > 0).astype(np.int64)
    return Answer(label, rng.random((n, 2)), score, rng.integers(9, size=n), rng.random(n))


def test_refused_rows_tell_nothing_and_the_others_stay() -> None:
    answer, before = honest(), honest()
    rows = np.array([True, False, False, True, False, False])
    after = answer.refused(rows)
    for name in FIELDS:
        new, old = after.field(name), before.field(name)
        assert new is not None
        assert old is not None
        assert np.array_equal(new[~rows], old[~rows])
        assert new.dtype == old.dtype
        gone = np.isnan(new[rows]) if new.dtype.kind == "f" else new[rows] == REFUSED
        assert gone.all()
        untouched = answer.field(name)
        assert untouched is not None
        assert np.array_equal(untouched, old)
    assert answer.refused(~rows & rows) is answer
    assert answer.only({"score"}).refused(rows).fields == {"score"}


def test_labels_follow_another_score() -> None:
    answer = honest()
    assert answer.score is not None
    new = -2 * answer.score
    after = answer.rescored(answer.score, new)
    assert after.fields == {"label", "score"}
    assert after.label is not None
    assert after.label.dtype == np.int64
    assert np.array_equal(after.label, new > 0)
    assert np.array_equal(after.score, new)  # type: ignore[arg-type]
    assert answer.only({"label"}).rescored(answer.score, new).fields == {"label"}


def test_what_was_turned_or_refused_before_stays_so() -> None:
    own = np.array([1.0, 1.0, -1.0, 2.0])
    given = Answer(label=np.array([0, 1, 1, REFUSED]), score=np.array([-1.0, 1.0, 1.0, np.nan]))
    after = given.rescored(own, np.array([3.0, 3.0, 3.0, 3.0]))
    assert after.label is not None
    assert after.score is not None
    assert after.label.tolist() == [0, 1, 0, REFUSED]
    np.testing.assert_array_equal(after.score, [-3.0, 3.0, -3.0, np.nan])


def test_what_is_decided_anew_needs_a_label() -> None:
    with pytest.raises(ValueError, match="before what hides the label"):
        Answer(score=np.ones(1)).rescored(np.ones(1), np.ones(1))
