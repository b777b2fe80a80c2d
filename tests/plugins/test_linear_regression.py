"""Linear regression, and what a match against continuous answers is."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from playground import export, match, tournament
from pydantic import ValidationError
from sklearn.linear_model import LinearRegression as Reference
from sklearn.linear_model import Ridge

from arena import (
    Answer,
    ArenaError,
    Attack,
    Knowledge,
    Oracle,
    RegressionDataset,
    Session,
    Surrogate,
    Victim,
    recipes,
    split,
)
from arena.engine import play
from arena.pairing import plan
from arena.pools import process_pool
from arena.records import Goal, Record, Status
from arena.stage import prepare
from arena_plugins.attacks.constant import Constant
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.attacks.majority import Majority
from arena_plugins.attacks.public_data import PublicData
from arena_plugins.attacks.random import Random
from arena_plugins.defenses.consistent import Consistent
from arena_plugins.defenses.hotelling import Hotelling
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.value_noise import ValueNoise
from arena_plugins.targets.linear_regression import LinearRegression

Floats = NDArray[np.float64]

DIABETES = RegressionDataset.model_validate("diabetes")
TARGET = LinearRegression(dataset=DIABETES)
R2 = Goal("r2", "natural", (0.9, 0.9999), 400)
WEIGHTS = Goal("parameter-error", "natural", (1.0, 1e-6), 400)


def mixed(folder: Path) -> LinearRegression:
    """A target with a feature of every kind."""
    rng = np.random.default_rng(0)
    lines = ["size,rooms,colour,price"]
    for _ in range(300):
        size, rooms, colour = rng.random(), rng.integers(5), "rgb"[rng.integers(3)]
        price = 7 + 3 * size - rooms + 2 * (colour == "r") + 0.1 * rng.standard_normal()
        lines.append(f"{size},{rooms},{colour},{price}")
    (folder / "d.csv").write_text("\n".join(lines) + "\n")
    written = {"csv": str(folder / "d.csv"), "label": "price"}
    return LinearRegression(dataset=RegressionDataset.model_validate(written))


def played(attack: Attack, defense: Any = None, goal: Goal = R2, budget: int = 40) -> Record:
    return match(attack, defense, TARGET, goal=goal, budget=budget, checkpoints=1.0)


def first(record: Record, level: float, goal: Goal = R2) -> int | None:
    return next((c.queries for c in record.curve if goal.reached(c.values, level)), None)


# ----------------------------------------------------------------------------------- the target


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_it_is_least_squares(alpha: float, tmp_path: Path) -> None:
    for target in (TARGET, mixed(tmp_path)):
        target = target.model_copy(update={"alpha": alpha})
        victim = target.train(np.random.default_rng(1))
        rows = split(target.dataset.load(), np.random.default_rng(1))
        Z = rows.domain.encode(rows.X)
        model = (Ridge(alpha) if alpha else Reference()).fit(Z, rows.y)
        np.testing.assert_allclose(victim.parameters["coef"], model.coef_, rtol=1e-6, atol=1e-9)
        assert np.isclose(victim.parameters["intercept"], model.intercept_)
        X = victim.domain.sample(50, np.random.default_rng(2))
        value = victim.answer(X).value
        np.testing.assert_allclose(value, model.predict(rows.domain.encode(X)))
        again = [victim.answer(X[i : i + 1]).value for i in range(50)]
        assert np.array_equal(np.concatenate(again), value)  # type: ignore[arg-type]


def test_it_answers_values_and_no_label() -> None:
    victim = TARGET.train(np.random.default_rng(0))
    assert victim.answer(victim.natural.X).fields == {"value"}
    assert (victim.output, victim.classes, victim.reveals) == ("value", (), {"value"})
    assert victim.natural.y.dtype == np.float64
    assert 0.25 < victim.natural.held_out.mean() < 0.35
    assert pickle.loads(pickle.dumps(victim)).parameters.keys() == {"coef", "intercept"}
    assert json.loads(json.dumps(dict(victim.hyperparameters))) == {"alpha": 0.0}
    assert TARGET.families() == {"linear-regression"}


def test_weighted_ridge_counts_rows_as_often_as_they_weigh() -> None:
    rng = np.random.default_rng(3)
    Z, y, weights = rng.random((20, 3)), rng.random(20), rng.integers(0, 4, 20)
    once = recipes.ridge(np.repeat(Z, weights, axis=0), np.repeat(y, weights), 0.5)
    weighted = recipes.ridge(Z, y, 0.5, weights.astype(np.float64))
    np.testing.assert_allclose(weighted[0], once[0])
    assert np.isclose(weighted[1], once[1])
    nothing = recipes.ridge(Z[:0], y[:0], 0.0)
    assert (nothing[0].tolist(), nothing[1]) == ([0, 0, 0], 0)


# ------------------------------------------------------------------------------------ its scoring


def test_a_stage_holds_values(tmp_path: Path) -> None:
    t = tournament([Random()], targets=[mixed(tmp_path)], goal=R2)
    stage = prepare(plan(t)[0].training)
    assert stage.inputs["balanced"] is None
    for kind in ("natural", "uniform", "held-out"):
        inputs = stage.inputs[kind]
        assert inputs is not None
        assert inputs.labels.dtype == np.float64
        values = stage.victim.answer(inputs.X).value
        assert values is not None
        if kind != "held-out":
            assert inputs.r2(values) == (1, 1)
    held_out = stage.inputs["held-out"]
    assert held_out is not None
    assert all(0.9 < r2 < 1 for r2 in held_out.r2(stage.victim.answer(held_out.X).value))  # type: ignore[arg-type]


def test_passive_queries_solve_it_at_d_plus_1() -> None:
    d = 10
    for goal in (R2, WEIGHTS):
        record = played(Random(), goal=goal)
        assert record.status is Status.EXHAUSTED
        assert first(record, goal.reach[-1], goal) == d + 1
        assert record.utility == 1
        assert record.floor is not None
        assert (record.floor.family, record.floor.fields) == ("linear-regression", ("value",))
    assert record.final["parameter-error"] < 1e-6  # type: ignore[operator]
    assert record.final["r2 natural"] > 1 - 1e-9  # type: ignore[operator]
    assert 0.3 < record.final["r2 held-out"] < 0.7  # type: ignore[operator]
    assert record.final["r2 balanced"] is None
    assert not [name for name in record.final if "fidelity" in name or name == "accuracy"]


def test_baselines() -> None:
    constant, public = played(Constant()), played(PublicData())
    assert [record.queries for record in (constant, public)] == [0, 0]
    assert -0.2 < min(constant.curve[0].values) <= max(constant.curve[0].values) < 0.05
    assert 0.8 < min(public.curve[0].values) < 0.9999


def test_a_refit_keeps_the_targets_penalty() -> None:
    victim = TARGET.train(np.random.default_rng(0))
    X, y = victim.natural.X, victim.natural.y
    for granted, alpha in (({"alpha": 30.0}, 30.0), (None, 0.0)):
        knowledge = Knowledge(victim.domain, (), victim.reveals, victim.family, granted)
        refit = recipes.refit(knowledge, X, y, np.random.default_rng(0))
        a, b = recipes.ridge(victim.domain.encode(X), y, alpha)
        np.testing.assert_allclose(refit.predict(X), victim.domain.encode(X) @ a + b)


class Broken(ValueNoise):
    """Fails at the first query."""

    name = "broken"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return Broken._Failing()

    class _Failing:
        def answer(self, X: Floats, answer: Answer) -> Answer:
            if len(X) < 100:
                raise RuntimeError("no answer")
            return answer


def test_it_is_told_apart_who_fails() -> None:
    record = played(Random(), Broken(sigma=1))
    assert record.status is Status.VOID
    assert record.reason.startswith("the defence raises RuntimeError")


def test_defences_of_values() -> None:
    noisy = played(Random(), ValueNoise(sigma=20.0))
    assert first(noisy, 0.9999) is None
    assert noisy.utility is not None
    assert 0.7 < noisy.utility < 0.95
    assert noisy.floor is not None
    assert noisy.floor.fields == ()
    budget = 400
    alone, repeated, same = (
        played(Majority(attack=Random(), repeats=8), defense, WEIGHTS, budget).final[
            "parameter-error"
        ]
        for defense in (None, ValueNoise(sigma=20.0), Consistent(defense=ValueNoise(sigma=20.0)))
    )
    assert alone is not None
    assert repeated is not None
    assert same is not None
    assert alone < 1e-6 < repeated < same / 1.5


def test_refused_rows_are_left_out(tmp_path: Path) -> None:
    terms = {"goal": R2, "budget": 60, "checkpoints": 1.0}
    record = match(Random(), Hotelling(alpha=0.5), mixed(tmp_path), **terms)
    assert record.status is Status.EXHAUSTED
    reached = first(record, 0.9999)
    assert reached is not None
    assert reached >= 7
    assert record.utility is not None
    assert 0.1 < record.utility < 0.8


# ----------------------------------------------------------------------------- who meets, and what


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        (R2, ""),
        (WEIGHTS, ""),
        (Goal("fidelity"), "fidelity is defined for targets with classes, this is linear-"),
        (Goal("accuracy"), "accuracy is defined for targets with classes, this is linear-"),
    ],
)
def test_goals_of_a_regression(goal: Goal, reason: str) -> None:
    assert plan(tournament([Random()], targets=[TARGET], goal=goal))[0].skipped.startswith(reason)


def test_attacks_of_labels_cannot_meet_it() -> None:
    def skipped(attack: Attack, defense: Any) -> str:
        return plan(tournament([attack], [defense], [TARGET], goal=R2))[0].skipped

    none = ValueNoise(sigma=1)
    assert skipped(LineSearch(), none).startswith("line-search learns forest, halfspace,")
    assert skipped(Random(), LabelFlip(rate=0.1)) == (
        "random needs label or probabilities or value, clients see nothing"
    )


class Boosted(Attack):
    """Proposes what is no linear model, or predicts what is no value."""

    name = "boosted"
    needs: ClassVar[Any] = (frozenset({"value"}),)
    wrong: bool = False

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        X = oracle.knowledge.domain.sample(oracle.remaining, rng)
        answer = oracle.ask(X)
        assert answer.fields == {"value"}
        yield Nearest(X, np.full(len(X), np.nan) if self.wrong else answer.arrays()["value"])


@dataclass(frozen=True)
class Nearest:
    X: Floats
    y: Floats

    def predict(self, X: Floats) -> Floats:
        scale = np.ptp(self.X, axis=0)
        gaps = ((X[:, None] - self.X[None]) / scale) ** 2
        values: Floats = self.y[gaps.sum(axis=2).argmin(axis=1)]
        return values


def test_any_surrogate_of_values_is_scored() -> None:
    record = played(Boosted(), goal=replace(R2, inputs="uniform"), budget=400)
    assert record.status is Status.EXHAUSTED
    assert 0.2 < min(record.curve[-1].values) < 0.9
    assert record.final["parameter-error"] is None
    broken = played(Boosted(wrong=True))
    assert broken.status is Status.BROKE_A_RULE
    assert "its predict gives a value that is not finite" in broken.reason


def test_it_plays_in_cells_as_without(tmp_path: Path) -> None:
    terms = {"goal": replace(R2, inputs="uniform"), "repetitions": 2, "checkpoints": 2.0}
    attacks, defenses = [Random(), Boosted()], [ValueNoise(sigma=3.0, law="uniform")]
    for isolation, executor in (("cell", process_pool), ("none", ThreadPoolExecutor)):
        t = tournament(attacks, defenses, [TARGET], isolation=isolation, **terms)
        results = play(t, tmp_path / isolation, workers=1, executor=executor)
        assert {e.record.status for e in results.entries if e.record} == {Status.EXHAUSTED}
    assert export(tmp_path / "cell") == export(tmp_path / "none")
    assert len(export(tmp_path / "cell").splitlines()) == 4


# ---------------------------------------------------------------------------------------- mistakes


def test_mistakes(tmp_path: Path) -> None:
    for wrong in ({}, {"dataset": "wine"}, {"dataset": "diabetes", "alpha": -1}):
        with pytest.raises(ValidationError):
            LinearRegression.model_validate(wrong)
    with pytest.raises(ValidationError, match="linear-regression cannot reveal 'label'"):
        LinearRegression.model_validate({"dataset": "diabetes", "reveals": ["label"]})
    (tmp_path / "d.csv").write_text("x,y\n1,2\n3,many\n")
    data = RegressionDataset.model_validate({"csv": str(tmp_path / "d.csv"), "label": "y"})
    with pytest.raises(ArenaError, match="line 3: the label 'many' is no number"):
        LinearRegression(dataset=data).check()
