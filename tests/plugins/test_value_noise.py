"""Noise on values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from arena import FIELDS, Answer, Session
from arena_plugins.defenses.value_noise import ValueNoise

LAWS = {"gaussian": stats.norm(0, 2.0), "uniform": stats.uniform(-2 * 3**0.5, 4 * 3**0.5)}


def opened(defense: ValueNoise, seed: int = 0) -> Session:
    return defense.protect(None, np.random.default_rng(seed))  # type: ignore[arg-type]


def values(session: Session, given: NDArray[np.float64]) -> NDArray[np.float64]:
    after = session.answer(np.zeros((len(given), 1)), Answer(value=given))
    assert after.value is not None
    return after.value


@pytest.mark.parametrize("law", LAWS)
def test_noise_follows_its_law(law: str) -> None:
    given = np.linspace(-100, 100, 20_000)
    defense = ValueNoise.model_validate({"sigma": 2.0, "law": law})
    noise = values(opened(defense), given) - given
    assert stats.kstest(noise, LAWS[law].cdf).pvalue > 1e-3
    assert abs(noise.std() - 2.0) < 0.05
    whole, single = opened(defense), opened(defense)
    parts = [values(single, given[i : i + 1]) for i in range(50)]
    assert np.array_equal(values(whole, given[:50]), np.concatenate(parts))


def test_only_the_value_leaves() -> None:
    given = Answer(np.zeros(2, int), np.ones((2, 2)), np.ones(2), np.zeros(2, int), np.ones(2))
    assert opened(ValueNoise(sigma=1)).answer(np.zeros((2, 1)), given).fields == {"value"}
    traits = ValueNoise(sigma=1).traits
    assert traits.hides == set(FIELDS) - {"value"}
    assert traits.alters == {"value"}
    assert traits.families == {"linear-regression"}
    with pytest.raises(ValueError, match="value-noise needs a value"):
        opened(ValueNoise(sigma=1)).answer(np.zeros((1, 1)), Answer(label=np.zeros(1, int)))


def test_what_is_refused_stays_refused() -> None:
    assert np.isnan(values(opened(ValueNoise(sigma=1)), np.array([np.nan, 1.0]))).tolist() == [
        True,
        False,
    ]


def test_mistakes() -> None:
    for wrong in (
        {},
        {"sigma": 0},
        {"sigma": -1},
        {"sigma": float("nan")},
        {"sigma": 1, "law": "cauchy"},
    ):
        with pytest.raises(ValidationError):
            ValueNoise.model_validate(wrong)
