"""Equation solving: exact with as many queries as unknowns, better with more where rounded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from normals import Recorder, play, random_box
from numpy.typing import NDArray
from playground import MIXED
from pydantic import ValidationError

from arena import Answer, Dataset, Domain, Natural, Surrogate, Target, Victim, affine
from arena_plugins.attacks.equation_solving import EquationSolving
from arena_plugins.defenses.rounding import Rounding
from arena_plugins.targets.halfspace import Halfspace
from arena_plugins.targets.logistic import Logistic

Floats = NDArray[np.float64]
ALL = ("label", "probabilities", "score")


@cache
def trained(name: str) -> Victim:
    def data(name: str) -> Dataset:
        return Dataset.model_validate(name)

    targets: dict[str, Target] = {
        "iris": Logistic(dataset=data("iris"), reveals=ALL),
        "wine": Logistic(dataset=data("wine"), C=1e4, reveals=ALL),
        "digits": Logistic(dataset=data("digits"), reveals=ALL),
        "mushroom": Logistic(dataset=data("mushroom"), reveals=ALL),
        "binned": Logistic(dataset=data("pima"), bins=6, reveals=ALL),
        "box": Halfspace(dataset=data("pima"), space="box", reveals=ALL),
        "sphere": Halfspace(dataset=data("breast_cancer"), reveals=ALL),
    }
    return targets[name].train(np.random.default_rng(0))


def door(victim: Victim, field: str, budget: int = 5000, digits: int | None = None) -> Recorder:
    rounding = Rounding(digits=digits or 0).protect(victim, np.random.default_rng(0))
    sessions = [] if digits is None else [rounding]
    return Recorder(victim, budget, sessions, fields=frozenset({field}))


def fidelities(victim: Victim, surrogate: Surrogate) -> list[float]:
    uniform = victim.domain.sample(4000, np.random.default_rng(9))
    return [
        float((surrogate.predict(X) == victim.answer(X).label).mean())
        for X in (uniform, victim.natural.X)
    ]


UNKNOWNS = {
    "iris": 4 + 1,
    "wine": 13 + 1,
    # Three pixels are always white.
    "digits": 61 + 1,
    # Of every feature's columns one follows from the others.
    "mushroom": 98 - 22 + 1,
    "box": 8 + 1,
    "sphere": 30,
}


@pytest.mark.parametrize("field", ["probabilities", "score"])
@pytest.mark.parametrize("name", UNKNOWNS)
def test_as_many_queries_as_unknowns_and_one_to_check(name: str, field: str) -> None:
    victim, oracle = trained(name), door(trained(name), field)
    curve = play(EquationSolving(), oracle)
    assert [n for n, _ in curve] == [0, UNKNOWNS[name], UNKNOWNS[name] + 1]
    assert fidelities(victim, curve[1][1]) == [1.0, 1.0]
    assert fidelities(victim, curve[2][1]) == [1.0, 1.0]


def test_the_weights_themselves_are_found_where_all_can_be() -> None:
    for name in ("box", "sphere"):
        victim = trained(name)
        last = play(EquationSolving(), door(victim, "probabilities"))[-1][1]
        assert last.coef_.shape == (1, victim.domain.width)
        np.testing.assert_allclose(last.coef_[0], victim.parameters["coef"], rtol=1e-6)
        np.testing.assert_allclose(last.intercept_[0], victim.parameters["intercept"], atol=1e-6)


def test_bins_are_all_asked_however_narrow() -> None:
    victim = trained("binned")
    bins = sum(feature.width - 1 for feature in victim.domain.features)
    curve = play(EquationSolving(), door(victim, "probabilities"))
    assert curve[1][0] == bins + 1
    assert fidelities(victim, curve[1][1]) == [1.0, 1.0]


def test_every_row_asked_can_be_had() -> None:
    oracle = door(trained("mushroom"), "score")
    play(EquationSolving(), oracle)
    np.testing.assert_array_equal(oracle.X, trained("mushroom").domain.project(oracle.X))


@dataclass(frozen=True, kw_only=True, eq=False)
class Regression(Victim):
    """A linear regression over encoded rows."""

    w: Floats
    noise: float = 0.0

    def answer(self, X: Floats) -> Answer:
        value = affine(self.domain.encode(X), self.w, np.array([3.0]))[:, 0]
        # Noise that is the same for the same row.
        return Answer(
            label=(value > 0).astype(np.int64), value=value + self.noise * np.sin(1e6 * value)
        )


def regression(domain: Domain, noise: float = 0.0) -> Regression:
    none = Natural(np.empty((0, domain.d)), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    w = np.random.default_rng(0).standard_normal((1, domain.width))
    return Regression(
        domain=domain,
        classes=(),
        family="linear-regression",
        reveals=frozenset({"value"}),
        natural=none,
        w=w,
        noise=noise,
    )


def test_linear_regression_from_values() -> None:
    victim = regression(random_box(6, 0).domain)
    curve = play(EquationSolving(), door(victim, "value"))
    assert [n for n, _ in curve] == [0, 7, 8]
    np.testing.assert_allclose(curve[1][1].coef_, victim.w, rtol=1e-9)
    np.testing.assert_allclose(curve[1][1].intercept_, [3.0], rtol=1e-9)


def test_noisy_values_are_averaged_out() -> None:
    victim = regression(random_box(6, 0).domain, noise=0.1)
    oracle = door(victim, "value", 3000)
    curve = play(EquationSolving(), oracle)
    assert oracle.remaining == 0
    errors = [np.abs(s.coef_ - victim.w).sum() for n, s in curve if n in (7, 3000)]
    assert errors[1] < errors[0] / 5


@pytest.mark.parametrize("field", ["probabilities", "score"])
@pytest.mark.parametrize("name", ["iris", "sphere", "mushroom"])
def test_rounded_answers_take_more_queries(name: str, field: str) -> None:
    victim, oracle = trained(name), door(trained(name), field, 1500, digits=1)
    oracle._growth = 1.3
    curve = play(EquationSolving(), oracle)
    assert oracle.remaining == 0
    solved = next(s for n, s in curve if n >= UNKNOWNS[name])
    # Uniform inputs of either.
    assert fidelities(victim, curve[-1][1])[0] > max(0.97, fidelities(victim, solved)[0] - 1e-9)


@pytest.mark.parametrize("budget", [1, 3, 4])
def test_a_budget_below_the_unknowns_gives_the_solution_of_least_norm(budget: int) -> None:
    victim, oracle = trained("iris"), door(trained("iris"), "score", budget)
    curve = play(EquationSolving(), oracle)
    assert [n for n, _ in curve] == [0, budget]
    answered = oracle.X
    score = victim.answer(answered).score
    found = curve[-1][1]
    scores = victim.domain.encode(answered) @ found.coef_.T + found.intercept_
    np.testing.assert_allclose(scores, score, atol=1e-9)


@dataclass
class RefusingSome:
    """Refuses every third row it is asked."""

    asked: int = 0

    def answer(self, X: Floats, answer: Answer) -> Answer:
        refused = (self.asked + np.arange(len(X))) % 3 == 0
        self.asked += len(X)
        return answer.refused(refused)


@pytest.mark.parametrize("fields", [{"label", "score"}, {"score"}, {"probabilities"}])
def test_refused_rows_are_replaced(fields: set[str]) -> None:
    victim = trained("box")
    oracle = Recorder(victim, 100, [RefusingSome()], fields=frozenset(fields))
    last = play(EquationSolving(), oracle)[-1][1]
    assert oracle.spent < 20
    assert fidelities(victim, last) == [1.0, 1.0]


def test_what_reveals_labels_only_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="needs values, scores or probabilities; the oracle"):
        play(EquationSolving(), door(trained("iris"), "label"))


def test_a_domain_of_every_kind_of_feature() -> None:
    victim = regression(MIXED)
    curve = play(EquationSolving(), door(victim, "value"))
    assert curve[1][0] == 1 + 1 + 2 + 1
    X = MIXED.sample(100, np.random.default_rng(0))
    Z = MIXED.encode(X)
    values = Z @ curve[1][1].coef_[0] + curve[1][1].intercept_
    np.testing.assert_allclose(values, Z @ victim.w[0] + 3.0, rtol=1e-9)


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({"tolerance": 0}, {"tolerance": 1}):
        with pytest.raises(ValidationError):
            EquationSolving.model_validate(parameters)
