"""What a client is told is what ART makes of the same probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from arena_art.class_labels import ClassLabelsDefense
from arena_art.gaussian_noise import GaussianNoiseDefense
from arena_art.high_confidence import HighConfidenceDefense
from arena_art.postprocessing import PostprocessorDefense
from arena_art.reverse_sigmoid import ReverseSigmoidDefense
from arena_art.rounded import RoundedDefense
from art.defences.postprocessor import (
    ClassLabels,
    GaussianNoise,
    HighConfidence,
    ReverseSigmoid,
    Rounded,
)
from art.defences.postprocessor.postprocessor import Postprocessor
from numpy.random import mtrand
from numpy.typing import NDArray

from arena import REFUSED, Answer, Victim

Floats = NDArray[np.float64]
SEED = 3

PAIRS = [
    (RoundedDefense(decimals=2), Rounded(decimals=2)),
    (ReverseSigmoidDefense(beta=0.8, gamma=0.3), ReverseSigmoid(beta=0.8, gamma=0.3)),
    (HighConfidenceDefense(cutoff=0.4), HighConfidence(cutoff=0.4)),
    (GaussianNoiseDefense(scale=0.5), GaussianNoise(scale=0.5)),
    (ClassLabelsDefense(), ClassLabels()),
]
ids = [defense.name for defense, _ in PAIRS]
cases = pytest.mark.parametrize(("defense", "postprocessor"), PAIRS, ids=ids)


@pytest.fixture
def answer(victim: Victim) -> Answer:
    """Labels and probabilities of 40 rows."""
    return victim.answer(victim.domain.sample(40, np.random.default_rng(1)))


def probabilities(answer: Answer) -> Floats:
    """Return an answer's probabilities, float64 (n, k)."""
    assert answer.probabilities is not None
    return answer.probabilities


def told(defense: PostprocessorDefense, victim: Victim, answer: Answer) -> Answer:
    """Return what a fresh session makes of an answer to rows that it does not look at."""
    X = np.zeros((len(probabilities(answer)), victim.domain.d))
    return defense.protect(victim, np.random.default_rng(SEED)).answer(X, answer)


def by_row(postprocessor: Postprocessor, P: Floats) -> Floats:
    """Return what ART makes of each row of P (n, k), drawing from the session's seed."""
    before = mtrand.get_bit_generator()
    mtrand.set_bit_generator(np.random.default_rng(SEED).bit_generator)
    try:
        return np.concatenate([postprocessor(P[i : i + 1]) for i in range(len(P))])
    finally:
        mtrand.set_bit_generator(before)


@cases
def test_probabilities_are_what_art_makes_of_them(
    defense: PostprocessorDefense, postprocessor: Postprocessor, victim: Victim, answer: Answer
) -> None:
    given = probabilities(told(defense, victim, answer))
    expected = by_row(postprocessor, probabilities(answer))
    assert np.array_equal(given, expected)
    assert not np.array_equal(given, probabilities(answer))


@pytest.mark.parametrize(("defense", "postprocessor"), PAIRS[:3], ids=ids[:3])
def test_row_by_row_is_what_art_makes_of_the_batch(
    defense: PostprocessorDefense, postprocessor: Postprocessor, victim: Victim, answer: Answer
) -> None:
    given = probabilities(told(defense, victim, answer))
    np.testing.assert_allclose(given, postprocessor(probabilities(answer)), rtol=1e-12)


@cases
def test_the_label_is_among_the_likeliest_classes_that_leave(
    defense: PostprocessorDefense, postprocessor: Postprocessor, victim: Victim, answer: Answer
) -> None:
    given = told(defense, victim, answer)
    assert given.label is not None
    P = probabilities(given)
    assert (P[np.arange(len(P)), given.label] == P.max(axis=1)).all()


@cases
def test_refused_rows_and_answers_without_probabilities_pass(
    defense: PostprocessorDefense, postprocessor: Postprocessor, victim: Victim, answer: Answer
) -> None:
    marked = np.arange(40) % 3 == 0
    given = told(defense, victim, answer.refused(marked))
    assert given.label is not None
    assert np.array_equal(given.label == REFUSED, marked)
    assert np.array_equal(np.isnan(probabilities(given)).all(axis=1), marked)
    X = np.zeros((40, victim.domain.d))
    session = defense.protect(victim, np.random.default_rng(SEED))
    assert session.answer(X, answer.only({"label"})).fields == {"label"}
    assert session.answer(X, answer).fields == {"label", "probabilities"}


def test_noise_is_of_the_generator_and_leaves_numpy_where_it_was(
    victim: Victim, answer: Answer
) -> None:
    mtrand.seed(8)
    undisturbed = mtrand.random_sample(2)
    mtrand.seed(8)
    first = mtrand.random_sample()
    defense = GaussianNoiseDefense()
    once, again = (probabilities(told(defense, victim, answer)) for _ in range(2))
    assert np.array_equal(once, again)
    assert [first, mtrand.random_sample()] == undisturbed.tolist()
