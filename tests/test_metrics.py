"""Scoring inputs and the metrics on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Odd
from numpy.typing import NDArray
from playground import MIXED, Guess, LinearVictim, Open, Still, Toy, tournament
from sklearn.metrics import r2_score

from arena import Attack, Domain, LinearSurrogate, Natural, Surrogate
from arena.learners.arrays import Linear
from arena.metrics import (
    JITTER,
    Inputs,
    balanced_inputs,
    geometric_error,
    held_out_inputs,
    labels_fault,
    natural_inputs,
    parameter_error,
    smoothed,
    uniform_inputs,
)
from arena.pairing import plan
from arena.records import Goal
from arena.scoring import final_metrics, goal_values
from arena.settings import Grants
from arena.snapshots import Pickled, Predictor, RuleBroken, Snapshot, capture, loaded
from arena.stage import Stage, prepare

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def victim() -> LinearVictim:
    return Toy(classes=3, rows=300).train(np.random.default_rng(1))


def stage(target: Toy | None = None, **terms: Any) -> Stage:
    spec = plan(tournament([Still()], [Open()], [target or Toy(rows=200)], **terms))[0]
    return prepare(spec.training)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------------ scoring inputs


@pytest.mark.parametrize("draw", [natural_inputs, uniform_inputs, balanced_inputs])
def test_inputs_come_in_two_disjoint_halves_with_the_victims_labels(
    victim: LinearVictim, draw: Any
) -> None:
    more = [np.ones(300, dtype=bool)] if draw is natural_inputs else []
    inputs = draw(victim, 400, rng(), *more)
    np.testing.assert_array_equal(inputs.labels, victim.answer(inputs.X).label)
    first, second = (inputs.X[inputs.halves == half] for half in (0, 1))
    assert len(first) == len(second) == len(inputs.X) // 2
    assert not set(map(bytes, first)) & set(map(bytes, second))


def test_natural_inputs_stay_near_the_rows_they_may_use(victim: LinearVictim) -> None:
    X = victim.natural.X.copy()
    usable = np.arange(300) % 3 > 0
    X[~usable, 0] += 1000.0
    X[~usable, 2] = 2.0
    X[usable, 2] = np.where(X[usable, 2] == 2, 0, X[usable, 2])
    inputs = natural_inputs(
        replace(victim, natural=replace(victim.natural, X=X)), 4000, rng(), usable
    )
    assert inputs.X[:, 0].max() < 100
    assert not (inputs.X[:, 2] == 2.0).any(), "a pool row's category"
    MIXED.validate(inputs.X)
    np.testing.assert_array_equal(np.rint(inputs.X[:, 1:]), inputs.X[:, 1:])


def test_the_jitter_is_a_tenth_of_a_standard_deviation() -> None:
    domain = Domain.euclidean("a")
    rows = np.repeat([[0.0], [10.0]], 500, axis=0)
    X = smoothed(rows, domain, 100_000, rng())
    jitter = np.where(X < 5, X, X - 10)
    assert abs(jitter.std() / (JITTER * 5.0) - 1) < 0.02
    assert abs(jitter.mean()) < 0.01


def test_a_tenth_of_the_categories_is_resampled() -> None:
    rows = np.zeros((1000, 3))
    rows[500:, 0] = 10.0
    rows[:500, 2] = 2.0
    X = smoothed(rows, MIXED, 50_000, rng())
    from_first = X[:, 0] < 5.0
    # Half of the replacements bring the same category.
    assert abs((X[from_first, 2] == 0.0).mean() - 0.05) < 0.01


def test_uniform_inputs_are_realisable(victim: LinearVictim) -> None:
    X = uniform_inputs(victim, 500, rng()).X
    np.testing.assert_array_equal(MIXED.project(X), X)


@given(st.integers(2, 6), st.integers(40, 300))
def test_balanced_inputs_have_equal_shares_in_each_half(k: int, size: int) -> None:
    # Slices of the first feature: no class is rare.
    inputs = balanced_inputs(sliced(k), size, rng())
    assert inputs is not None
    for half in (0, 1):
        counts = np.bincount(inputs.labels[inputs.halves == half], minlength=k)
        assert set(counts) == {max(1, size // (2 * k))}
    assert inputs.agreement(inputs.labels) == (1.0, 1.0)


def test_balanced_inputs_are_in_no_order() -> None:
    inputs = balanced_inputs(sliced(3), 300, rng())
    assert inputs is not None
    by_place = np.arange(len(inputs.X)) * 3 // len(inputs.X)
    assert (inputs.labels == by_place).mean() < 0.5
    assert (inputs.halves == np.arange(len(inputs.X)) % 2).mean() < 0.65


def sliced(k: int) -> LinearVictim:
    """Label i between the i-th and the next of k equal slices of the first encoded column."""
    toy = Toy(classes=k).train(rng())
    W = np.zeros((k, MIXED.width))
    W[:, 0] = np.arange(k)
    edges = -1 + 2 * np.arange(1, k) / k
    return replace(toy, W=W, b=-np.r_[0.0, np.cumsum(edges)])


def test_a_class_that_is_not_met_leaves_no_balanced_inputs(victim: LinearVictim) -> None:
    never = replace(victim, b=np.array([0.0, 0.0, -1e9]))
    assert balanced_inputs(never, 200, rng()) is None
    rare = replace(sliced(2), b=np.array([0.0, -0.9999]))
    assert balanced_inputs(rare, 4000, rng()) is None


def test_balanced_agreement_is_the_mean_of_every_classs(victim: LinearVictim) -> None:
    inputs = Inputs(
        np.zeros((6, 1)), np.array([0, 0, 1, 1, 1, 1]), np.array([0, 1, 0, 0, 1, 1]), True
    )
    assert inputs.agreement(np.zeros(6, dtype=np.int64)) == (0.5, 0.5)
    assert inputs.agreement(np.array([0, 1, 0, 1, 1, 1])) == (0.75, 0.5)
    plain = replace(inputs, by_class=False)
    assert plain.agreement(np.array([0, 1, 0, 1, 1, 1])) == (2 / 3, 2 / 3)


def test_held_out_inputs_are_the_real_rows_with_their_true_classes(victim: LinearVictim) -> None:
    natural = victim.natural
    inputs = held_out_inputs(natural)
    assert inputs is not None
    np.testing.assert_array_equal(inputs.X, natural.X[natural.held_out])
    np.testing.assert_array_equal(inputs.labels, natural.y[natural.held_out])
    assert held_out_inputs(Natural(natural.X, natural.y, np.zeros(300, dtype=bool))) is None


# --------------------------------------------------------------------------------------- stage


def test_scoring_inputs_depend_on_the_target_alone() -> None:
    def inputs(*attacks: Attack, **terms: Any) -> list[bytes]:
        specs = plan(tournament(attacks, **terms))
        assert len({spec.training.key for spec in specs}) == 1
        found = prepare(specs[-1].training).inputs
        return [i.X.tobytes() for i in found.values() if i is not None]

    base = inputs(Still())
    assert inputs(Still(), Still(), repetitions=4, budget=99, checkpoints=2.0) == base
    assert inputs(Still(), goal=Goal("fidelity", "natural", (0.5,), 200)) == base


def test_a_retrained_target_is_scored_on_inputs_of_its_own() -> None:
    specs = plan(tournament([Still()], retrain=True, repetitions=2))
    first, second = (prepare(spec.training) for spec in specs)
    assert first.victim.parameters["coef"].tobytes() != second.victim.parameters["coef"].tobytes()


def test_pool_rows_are_not_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []

    def spy(victim: Any, size: int, rng: Any, usable: Any) -> Inputs:
        used.append(victim.natural.X[usable])
        return natural_inputs(victim, size, rng, usable)

    monkeypatch.setattr("arena.stage.natural_inputs", spy)
    played = stage(knowledge=Grants(pool=50))
    natural, pool = played.victim.natural.X, played.pool
    assert set(map(bytes, pool)) | set(map(bytes, used[0])) == set(map(bytes, natural))
    assert (len(pool), len(used[0])) == (50, 150)


# ------------------------------------------------------------------------------------- metrics


@pytest.mark.parametrize("sphere", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_target_itself_is_perfectly_faithful(classes: int, sphere: bool) -> None:
    played = stage(Toy(classes=classes, sphere=sphere, rows=200))
    victim = played.victim
    assert isinstance(victim, LinearVictim)
    for perfect in (Same(victim), LinearSurrogate(victim.domain, victim.W, victim.b)):
        snapshot = capture(perfect, victim.domain, classes)
        found = final_metrics(played, ready(played, snapshot))
        for kind in ("natural", "uniform", "balanced"):
            assert found[f"fidelity {kind}"] == 1.0
            goal = Goal("fidelity", kind)
            assert goal_values(played, goal, ready(played, snapshot)) == (1.0, 1.0)
        assert found["accuracy"] == 1.0
    errors = (found["geometric-error"], found["parameter-error"])
    if classes == 2:
        assert errors == pytest.approx((0.0, 0.0), abs=1e-12)
        assert goal_values(
            played, Goal("geometric-error"), ready(played, snapshot)
        ) == pytest.approx((0.0,))
    else:
        assert errors == (None, None)
        assert goal_values(played, Goal("geometric-error"), ready(played, snapshot)) == ()


def ready(played: Stage, snapshot: Snapshot) -> Predictor:
    return loaded(snapshot, len(played.victim.classes))


class Same:
    """A surrogate that is the victim."""

    def __init__(self, victim: LinearVictim) -> None:
        self.victim = victim

    def predict(self, X: Floats) -> Any:
        return self.victim.answer(X).label


@given(st.integers(0, 1000), st.integers(1, 3), st.booleans())
def test_linear_surrogates_score_as_their_predict_does(seed: int, k: int, sphere: bool) -> None:
    domain = Domain.euclidean("abc") if sphere else MIXED
    r = rng(seed)
    rows = 1 if k == 1 else k
    surrogate = LinearSurrogate(
        domain, r.standard_normal((rows, domain.width)), r.standard_normal(rows)
    )
    snapshot = capture(surrogate, domain, max(2, k))
    assert isinstance(snapshot, Linear)
    X = domain.sample(200, r)
    labels = loaded(snapshot, max(2, k)).labels(X, domain.encode(X))
    np.testing.assert_array_equal(labels, surrogate.predict(X))


def test_an_estimator_fitted_on_raw_rows_is_not_taken_for_a_linear_surrogate() -> None:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.svm import SVC

    played = stage()
    victim = played.victim
    X = victim.domain.sample(200, rng())
    y = victim.answer(X).label
    estimator = LogisticRegression(C=1e4).fit(X, y)
    snapshot = capture(estimator, victim.domain, 2)
    assert isinstance(snapshot, Pickled)
    expected = (
        estimator.predict(played.inputs["uniform"].X) == played.inputs["uniform"].labels
    ).mean()  # type: ignore[union-attr]
    assert final_metrics(played, ready(played, snapshot))["fidelity uniform"] == pytest.approx(
        expected
    )

    assert isinstance(capture(RareStump(), MIXED, 2), Pickled), "agrees with its arrays by chance"
    sphere = Domain.euclidean("abcd")
    X = sphere.sample(300, rng())
    for model, y, crosses in (
        (LogisticRegression(), X[:, 0] > 0.2, True),
        (LogisticRegression(), 1 - 2 * (X[:, 0] > 0.2), False),
        (LogisticRegression(), X.argmax(axis=1), True),
        (SVC(kernel="linear"), X[:, :3].argmax(axis=1), False),
        (LinearRegression(), X[:, 0] > 0, False),
    ):
        model.fit(X, y)
        taken = capture(model, sphere, len(np.unique(y)))
        assert isinstance(taken, Linear if crosses else Pickled), model


class RareStump:
    """Label 1 in a thousandth of the box, by weights over raw rows."""

    coef_, intercept_ = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]]), np.array([-2.995])

    def predict(self, X: Floats) -> Any:
        return (X[:, 0] > 2.995).astype(int)


def test_r2_is_that_of_scikit_learn_in_each_half() -> None:
    y, predicted = rng(1).random(40), rng(2).random(40)
    inputs = Inputs(np.zeros((40, 1)), y, np.arange(40) % 2)
    for half, r2 in enumerate(inputs.r2(predicted)):
        assert np.isclose(r2, r2_score(y[half::2], predicted[half::2]))
    assert inputs.r2(y) == (1, 1)
    for value in (1e300, np.inf, np.nan):
        huge = inputs.r2(np.full(40, value))
        assert np.isfinite(huge).all()
        assert max(huge) < -1e300
    constant = Inputs(np.zeros((4, 1)), np.ones(4), np.arange(4) % 2)
    assert constant.r2(np.array([1.0, 1.0, 1.0, 2.0])) == (1, 0)


def test_geometric_error_of_known_halfspaces() -> None:
    e1, e2 = np.eye(2)
    assert geometric_error(e1, 0.0, 3 * e1, 0.0, affine=False) == 0.0
    assert geometric_error(e1, 0.0, e2, 0.0, affine=False) == pytest.approx(np.sqrt(2))
    assert geometric_error(e1, 0.0, -e1, 0.0, affine=False) == 2.0
    assert geometric_error(e1, 5.0, e1, 0.0, affine=False) == 0.0
    assert geometric_error(e1, 1.0, e1, 0.0, affine=True) == pytest.approx(2 * np.sin(np.pi / 8))
    assert geometric_error(0 * e1, 0.0, e1, 0.0, affine=False) == 2.0
    assert geometric_error(1e-200 * e1, 0.0, 1e200 * e1, 0.0, affine=False) == 0.0


def test_parameter_error_of_known_weights() -> None:
    a, b = np.array([1.0, -2.0]), np.array([0.5, 1.0])
    assert parameter_error(a, 1.0, b, -1.0) == 0.5 + 3.0 + 2.0
    assert np.isfinite(parameter_error(np.array([1e308, 1e308]), 0.0, -np.full(2, 1e308), 0.0))


def test_errors_are_of_weights_over_encoded_rows() -> None:
    played = stage()
    victim = played.victim
    coef, intercept = victim.parameters["coef"], victim.parameters["intercept"]
    exact = LinearSurrogate(victim.domain, coef[None, :], intercept.reshape(1))
    found = final_metrics(played, ready(played, capture(exact, victim.domain, 2)))
    assert (found["geometric-error"], found["parameter-error"]) == (0.0, 0.0)


# ---------------------------------------------------------------------------------- snapshots


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("shape", "its predict gives shape (40, 2) for 40 rows; give (40,)"),
        ("short", "its predict gives shape (39,) for 40 rows; give (40,)"),
        ("scalar", "its predict gives shape () for 40 rows; give (40,)"),
        ("nan", "its predict gives nan; the classes are 0..1"),
        ("huge", "its predict gives 1e+300; the classes are 0..1"),
        ("signs", "its predict gives -1; the classes are 0..1"),
        ("fractions", "its predict gives fractions; give labels"),
        ("strings", "its predict gives <U2; give whole numbers"),
        ("objects", "its predict gives object; give whole numbers"),
    ],
)
def test_what_is_no_label_is_refused(how: str, sentence: str) -> None:
    assert labels_fault(Odd(how).predict(np.zeros((40, 3))), 40, 2) == sentence


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32, float])
def test_whole_numbers_of_any_type_are_labels(dtype: type) -> None:
    assert labels_fault(np.array([0, 1, 1]).astype(dtype), 3, 2) == ""
    assert labels_fault([0, 1, 1], 3, 2) == ""


def test_predicting_cannot_change_the_scoring_inputs() -> None:
    played = stage()
    before = played.inputs["uniform"].X.copy()  # type: ignore[union-attr]
    snapshot = capture(Overwriting(), played.victim.domain, 2)
    final_metrics(played, ready(played, snapshot))
    np.testing.assert_array_equal(played.inputs["uniform"].X, before)  # type: ignore[union-attr]


class Overwriting:
    """Writes into the rows it is given."""

    def predict(self, X: Floats) -> Any:
        X[:] = 0.0
        return np.zeros(len(X), dtype=int)


@pytest.mark.parametrize(
    ("coef", "intercept", "sentence"),
    [
        (np.full((1, 5), np.nan), np.zeros(1), "not finite"),
        (np.zeros((1, 5)), np.array([np.inf]), "not finite"),
        (np.zeros((1, 3)), np.zeros(1), r"has shape \(1, 3\)"),
        (np.zeros((3, 5)), np.zeros(3), r"give \(2, 5\) and \(2,\)"),
        (np.array([["a"] * 5]), np.zeros(1), "are not numbers"),
    ],
)
def test_a_linear_surrogate_that_does_not_fit_breaks_a_rule(
    coef: Any, intercept: Any, sentence: str
) -> None:
    with pytest.raises(RuleBroken, match=sentence):
        capture(LinearSurrogate(MIXED, coef, intercept), MIXED, 2)


def test_a_pickle_that_does_not_load_breaks_a_rule() -> None:
    with pytest.raises(RuleBroken, match="cannot be unpickled"):
        loaded(Pickled(b"junk"), 2)


def test_a_surrogate_is_a_thing_that_predicts() -> None:
    assert isinstance(Guess(0), Surrogate)


class Contrary(LinearSurrogate):
    """Predicts the opposite of what its arrays say."""

    def predict(self, X: Floats) -> Any:
        return 1 - super().predict(X)


def test_a_subclass_that_predicts_in_its_own_way_is_scored_by_that() -> None:
    arrays = np.ones((1, MIXED.width)), np.zeros(1)
    assert isinstance(capture(LinearSurrogate(MIXED, *arrays), MIXED, 2), Linear)
    assert isinstance(capture(Contrary(MIXED, *arrays), MIXED, 2), Pickled)


def test_a_linear_surrogate_over_another_domain_is_scored_by_its_predict() -> None:
    narrow = Domain(
        tuple(replace(f, high=f.high / 2) if f.kind == "continuous" else f for f in MIXED.features)
    )
    arrays = np.ones((1, MIXED.width)), np.zeros(1)
    assert isinstance(capture(LinearSurrogate(narrow, *arrays), MIXED, 2), Pickled)
