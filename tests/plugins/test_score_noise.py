"""Noise on scores: how often labels flip, and what else shows."""

from __future__ import annotations

import numpy as np
import pytest
from linear_victims import content, halfspace, labels, protected, row_by_row, scores, trained
from playground import Fitter, match, tournament
from pydantic import ValidationError

from arena import REFUSED, Answer, Dataset
from arena.pairing import plan
from arena.records import Status
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.score_noise import ScoreNoise
from arena_plugins.targets.halfspace import Halfspace
from arena_plugins.targets.svm_rbf import SvmRbf


@pytest.mark.parametrize("amplitude", [1.0, 0.3])
def test_labels_flip_as_uniform_noise_on_the_score_says(amplitude: float) -> None:
    victim = halfspace([2.0, 0.0])
    session = ScoreNoise(amplitude=amplitude).protect(victim, np.random.default_rng(1))
    n = 20_000
    for score in (-2.0, -0.25, -0.1, 0.05, 0.29, 0.7):
        X = np.tile([score / 2, 5.0], (n, 1))
        flipped = (labels(protected(session, victim, X)) == 1) != (score > 0)
        rate = max(0.0, (amplitude - abs(score)) / (2 * amplitude))
        assert abs(flipped.mean() - rate) <= 5 * np.sqrt(rate * (1 - rate) / n)


def test_the_weights_are_the_models_and_rows_are_encoded() -> None:
    victim = trained("breast_cancer", "box")
    X = victim.natural.X[:500]
    session = ScoreNoise(amplitude=0.5).protect(victim, np.random.default_rng(0))
    eta = scores(protected(session, victim, X)) - scores(victim.answer(X))
    assert 0.45 < np.abs(eta).max() <= 0.5
    assert abs(eta.mean()) < 5 * 0.5 / np.sqrt(3 * len(X))


def test_the_noisy_score_and_its_label_agree_and_nothing_else_leaves() -> None:
    victim = trained("wine")
    X = victim.natural.X
    session = ScoreNoise().protect(victim, np.random.default_rng(0))
    honest = victim.answer(X)
    given = Answer(honest.label, np.full((len(X), 2), 0.5), honest.score, honest.label, X[:, 0])
    after = session.answer(X, given)
    assert after.fields == {"label", "score"}
    assert np.array_equal(scores(after) > 0, labels(after) == 1)
    assert ScoreNoise().traits.hides == {"probabilities", "leaf", "value"}
    assert ScoreNoise().traits.alters == {"label", "score"}
    assert ScoreNoise().flip_rate() is None
    assert session.answer(X, Answer(label=honest.label)).fields == {"label"}


def test_the_stream_does_not_depend_on_batches() -> None:
    victim = trained("wine")
    X = np.ascontiguousarray(victim.natural.X[:60])
    whole, single = (ScoreNoise().protect(victim, np.random.default_rng(3)) for _ in range(2))
    assert content(protected(whole, victim, X)) == row_by_row(single, victim, X)


def test_a_flip_before_it_stays_a_flip_and_a_refusal_a_refusal() -> None:
    victim = halfspace([1.0])
    X = np.full((8_000, 1), 0.5)
    flips = LabelFlip(rate=0.2).protect(victim, np.random.default_rng(0))
    noise = ScoreNoise().protect(victim, np.random.default_rng(1))
    share = labels(noise.answer(X, flips.answer(X, victim.answer(X)))).mean()
    assert abs(share - (0.8 * 0.75 + 0.2 * 0.25)) < 0.025
    refused = noise.answer(X, victim.answer(X).refused(np.arange(8_000) < 9))
    assert (labels(refused)[:9] == REFUSED).all()
    assert np.isnan(scores(refused)[:9]).all()
    assert not np.isnan(scores(refused)[9:]).any()


def test_it_meets_halfspaces_only() -> None:
    data = Dataset.model_validate("iris")
    t = tournament([Fitter()], [ScoreNoise()], [SvmRbf(dataset=data), Halfspace(dataset=data)])
    assert [spec.skipped for spec in plan(t)] == [
        "score-noise protects halfspace, the target is kernel-svm",
        "",
    ]
    assert match(Fitter(), ScoreNoise(), Halfspace(dataset=data)).status is Status.EXHAUSTED


def test_mistakes() -> None:
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValidationError):
            ScoreNoise(amplitude=wrong)
    victim = halfspace([1.0])
    object.__setattr__(victim, "parameters", {})
    with pytest.raises(ValueError, match="needs a victim with the parameters coef and intercept"):
        ScoreNoise().protect(victim, np.random.default_rng(0))
