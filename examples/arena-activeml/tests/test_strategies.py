"""Every query strategy of scikit-activeml: it plays, or it says in one sentence why it does not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from arena_activeml.attack import ActiveML
from arena_activeml.strategies import INNER, strategies
from conftest import Recorder
from listed import EVERY, NO_ATTACK, PLAYABLE, made
from numpy.random import Generator
from pydantic import ValidationError

BUDGET = 24


def asked(attack: ActiveML, rng: Generator, **told: Any) -> np.ndarray[Any, Any]:
    """Play a match to its end; return all rows asked, (n, d)."""
    oracle = Recorder(BUDGET, values=attack.name == "activeml-regression", **told)
    for surrogate in attack.extract(oracle, rng):
        assert len(surrogate.predict(oracle.asked[0])) == len(oracle.asked[0])
    return np.concatenate(oracle.asked)


@pytest.mark.parametrize(("attack", "strategy"), EVERY)
def test_every_strategy_plays_or_says_why_not(attack: str, strategy: str) -> None:
    """It spends the whole budget on rows of the domain, or is listed above."""
    if reason := NO_ATTACK[attack].get(strategy):
        with pytest.raises(ValidationError) as raised:
            made(attack, strategy)
        [error] = raised.value.errors()
        assert f"strategy '{strategy}' {reason}" in error["msg"]
        assert "\n" not in error["msg"]
        return
    X = asked(made(attack, strategy), np.random.default_rng(1))
    assert X.shape == (BUDGET, 3)
    assert (np.abs(X) <= 2).all()


def test_what_is_listed_exists() -> None:
    """No name in the list is one that scikit-activeml does not have."""
    for listed in NO_ATTACK.values():
        assert listed.keys() <= strategies().keys()


@pytest.mark.parametrize(("attack", "strategy"), PLAYABLE)
def test_queries_come_from_the_generator_alone(attack: str, strategy: str) -> None:
    """The same seed asks the same rows, whatever numpy's global state; another seed asks others."""
    plugin = made(attack, strategy)
    np.random.seed(1)  # noqa: NPY002
    first = asked(plugin, np.random.default_rng(5))
    np.random.seed(2)  # noqa: NPY002
    before = np.random.get_state()[1]  # noqa: NPY002
    again = asked(plugin, np.random.default_rng(5))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.array_equal(first, asked(plugin, np.random.default_rng(6)))


def test_natural_rows_are_asked_where_they_are_granted_and_once_only() -> None:
    """A granted pool as large as the round's leaves no place for uniform rows."""
    pool = np.random.default_rng(0).uniform(-2, 2, (40, 3))
    plugin = made("activeml", "UncertaintySampling")
    X = asked(plugin, np.random.default_rng(1), pool=pool)[plugin.start :]
    assert {row.tobytes() for row in X} <= {row.tobytes() for row in pool}
    assert len({row.tobytes() for row in X}) == len(X)


def test_uncertainty_sampling_asks_near_the_boundary() -> None:
    """What a strategy chooses is what is asked: nearer the boundary than what it chose from."""
    far = asked(made("activeml", "RandomSampling"), np.random.default_rng(2))[10:]
    near = asked(made("activeml", "UncertaintySampling", pool=100), np.random.default_rng(2))[10:]
    assert np.abs(near[:, :2].sum(axis=1)).mean() < np.abs(far[:, :2].sum(axis=1)).mean() / 3


def test_a_learner_is_consulted_and_proposed() -> None:
    """A classifier of scikit-learn takes the place of the arena's learner in both."""
    plugin = made("activeml", "UncertaintySampling", learner="GaussianNB")
    oracle = Recorder(BUDGET)
    [surrogate] = plugin.extract(oracle, np.random.default_rng(1))
    assert "GaussianNB" in repr(surrogate)
    X = oracle.knowledge.domain.sample(200, np.random.default_rng(0))
    assert (surrogate.predict(X) == (X[:, 0] + X[:, 1] > 0)).mean() > 0.7


def test_a_strategy_that_wants_more_of_its_model_can_be_given_it() -> None:
    """Clue, listed above, plays for values with a regressor that tells its uncertainty."""
    plugin = made(
        "activeml-regression",
        "Clue",
        options={"predict_dict": {"return_std": True}},
        learner="NICKernelRegressor",
    )
    assert len(asked(plugin, np.random.default_rng(1))) == BUDGET


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"strategy": "UncertainSampling"}, "did you mean 'UncertaintySampling'"),
        ({"strategy": "CoreSet", "options": {"metrics": 1}}, "did you mean 'metric'"),
        ({"strategy": "CoreSet", "options": {"random_state": 1}}, "set by arena"),
        ({"strategy": "UncertaintySampling", "options": {"method": "x"}}, "refuses to play: "),
        ({"strategy": "SubSamplingWrapper"}, "name it as 'query_strategy'"),
        ({"strategy": "SubSamplingWrapper", "options": {INNER: {"a": 1, "b": 2}}}, "as Name or"),
        ({"strategy": "SubSamplingWrapper", "options": {INNER: "GreedySamplingTarget"}}, "'reg'"),
        ({"strategy": "CoreSet", "learner": "GausianNB"}, "did you mean 'GaussianNB'"),
        ({"strategy": "CoreSet", "learner_options": {"a": 1}}, "name the learner"),
        ({"strategy": "GreedySamplingTarget"}, "use 'activeml-regression'"),
    ],
)
def test_a_mistake_is_one_sentence(parameters: dict[str, Any], said: str) -> None:
    """It says what is wrong, and the mend."""
    with pytest.raises(ValidationError) as raised:
        ActiveML(**parameters)
    [error] = raised.value.errors()
    assert said in error["msg"]
    assert not re.search(r"\n|Traceback", error["msg"])


def test_it_is_a_specification() -> None:
    """Equal attacks hash alike, with options too."""
    one, other = (ActiveML(strategy="CoreSet", options={"metric": "cosine"}) for _ in "ab")
    assert hash(one) == hash(other)
    assert one == other
