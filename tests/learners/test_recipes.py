"""The passive learner of every family, and what attacks share."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.svm import SVC

from arena import Answer, Domain, Feature, Knowledge, Oracle, recipes
from arena.learners.logistic import logistic

Floats = NDArray[np.float64]
FAMILIES = ("halfspace", "softmax", "kernel-svm", "tree", "forest", "network", "other")
BOX = Domain(tuple(Feature(name, "continuous", 0.0, 10.0) for name in "abc"))
SPHERE = Domain.euclidean("abc")


def told(
    family: str,
    classes: int = 3,
    domain: Domain = BOX,
    hyperparameters: Mapping[str, Any] | None = None,
) -> Knowledge:
    names = tuple("zyxw"[:classes])
    return Knowledge(domain, names, frozenset({"label"}), family, hyperparameters)


def thirds(X: Floats) -> NDArray[np.int64]:
    """Three classes in slices along the diagonal."""
    third: NDArray[np.int64] = np.digitize(X.sum(axis=1), [12.0, 18.0]).astype(np.int64)
    return third


def sample(n: int, seed: int = 0, domain: Domain = BOX) -> Floats:
    return domain.sample(n, np.random.default_rng(seed))


def fit(knowledge: Knowledge, X: Floats, y: NDArray[np.int64], **more: Any) -> recipes.Learned:
    return recipes.fit(knowledge, X, y, np.random.default_rng(0), **more)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_and_pickles(family: str) -> None:
    X, T = sample(400), sample(1000, 1)
    surrogate = pickle.loads(pickle.dumps(fit(told(family), X, thirds(X))))
    labels, margin = surrogate.predict(T), surrogate.margin(T)
    assert labels.dtype == np.int64
    assert labels.shape == margin.shape == (1000,)
    assert (margin >= 0).all()
    assert (labels == thirds(T)).mean() > 0.75


@pytest.mark.parametrize("family", ["halfspace", "softmax", "kernel-svm"])
@pytest.mark.parametrize("classes", [2, 3])
def test_margin_vanishes_on_the_boundary(family: str, classes: int) -> None:
    X = sample(300)
    y = np.minimum(thirds(X), classes - 1)
    surrogate = fit(told(family, classes), X, y)
    low, high = np.zeros((1, 3)), np.full((1, 3), 10.0)
    for _ in range(50):
        middle = (low + high) / 2
        if surrogate.predict(middle) == surrogate.predict(low):
            low = middle
        else:
            high = middle
    assert surrogate.margin(middle)[0] < 1e-6 < surrogate.margin(X).mean()


def test_margin_of_a_tree_is_its_lead_in_probability() -> None:
    X, y = np.array([[1.0, 0, 0]] * 4 + [[9.0, 0, 0]] * 2), np.array([0, 0, 0, 1, 2, 2])
    surrogate = fit(told("tree"), X, y)
    np.testing.assert_allclose(surrogate.margin(X[[0, 4]]), [0.5, 1.0])


def test_no_class_and_one_class_give_a_constant() -> None:
    X = sample(3)
    for family in FAMILIES:
        nothing = fit(told(family), X[:0], np.empty(0, dtype=np.int64))
        one = fit(told(family), X, np.array([2, 2, 2]))
        assert nothing == recipes.Constant(0)
        assert one == recipes.Constant(2)
    assert one.predict(X).tolist() == [2, 2, 2]
    assert one.margin(X).tolist() == [0, 0, 0]


@pytest.mark.parametrize("met", [[0, 1], [1, 2], [0, 3], [1, 2, 3], [0, 1, 3], [0, 1, 2, 3]])
def test_a_class_not_met_never_wins(met: list[int]) -> None:
    X, T = sample(300), sample(1000, 1)
    y = np.array(met)[thirds(X) % len(met)]
    surrogate = fit(told("softmax", 4), X, y)
    assert isinstance(surrogate, recipes.Linear)
    assert surrogate.coef_.shape == (4, 3)
    assert surrogate.intercept_.shape == (4,)
    assert set(surrogate.predict(T)) == set(y)
    assert set(surrogate.predict(1e9 * T)) <= set(y)


def test_two_classes_of_two_make_one_row() -> None:
    surrogate = fit(told("softmax", 2), sample(50), (sample(50)[:, 0] > 5).astype(int))
    assert isinstance(surrogate, recipes.Linear)
    assert surrogate.coef_.shape == (1, 3)
    assert surrogate.intercept_.shape == (1,)


@pytest.mark.parametrize("classes", [2, 3])
def test_no_intercept_on_the_sphere(classes: int) -> None:
    X = sample(200, domain=SPHERE)
    y = np.minimum((X[:, :2] > 0.2).sum(axis=1), classes - 1)
    on_sphere = fit(told("softmax", classes, SPHERE), X, y)
    in_box = fit(told("softmax", classes, BOX), X, y)
    assert isinstance(on_sphere, recipes.Linear)
    assert isinstance(in_box, recipes.Linear)
    assert not on_sphere.intercept_.any()
    if classes == 2:
        np.testing.assert_array_equal(on_sphere.coef_, logistic(X, y, 2, None, recipes.WEAK))
    assert in_box.intercept_.any()


def test_linear_surrogates_are_hardly_regularised() -> None:
    X, T = sample(200, domain=SPHERE), sample(5000, 1, domain=SPHERE)
    w = np.array([3.0, -1.0, 0.1])
    surrogate = fit(told("halfspace", 2, SPHERE), X, (X @ w > 0).astype(int))
    assert isinstance(surrogate, recipes.Linear)
    assert np.linalg.norm(surrogate.coef_) > 100
    assert (surrogate.predict(T) == (T @ w > 0)).mean() > 0.985


def model_of(family: str, hyperparameters: Mapping[str, Any] | None) -> Any:
    X = sample(60)
    surrogate = fit(told(family, hyperparameters=hyperparameters), X, thirds(X))
    assert isinstance(surrogate, recipes.Fitted)
    return surrogate.model


def assert_svm(
    family: str, hyperparameters: Mapping[str, Any] | None, gamma: float, C: float
) -> None:
    X, T = sample(60), sample(400, 1)
    knowledge = told(family, hyperparameters=hyperparameters)
    surrogate = fit(knowledge, X, thirds(X))
    encode = knowledge.domain.encode
    expected = SVC(gamma=gamma, C=C, decision_function_shape="ovo").fit(encode(X), thirds(X))
    assert isinstance(surrogate, recipes.KernelMachine)
    assert np.array_equal(surrogate.predict(T), expected.predict(encode(T)))
    values = np.abs(expected.decision_function(encode(T)))
    assert np.allclose(np.abs(surrogate.machines.fast_decision(encode(T))), values)
    first, second = np.triu_indices(3, 1)
    won = expected.predict(encode(T))[:, None]
    concerned = np.where((first == won) | (second == won), values, np.inf)
    assert np.allclose(surrogate.margin(T), concerned.min(axis=1))


def test_granted_hyperparameters_are_used() -> None:
    growth = {"max_depth": 2, "max_leaf_nodes": 3, "min_samples_leaf": 4}
    for family in ("tree", "forest"):
        parameters = model_of(family, {"trees": 7, **growth}).get_params()
        assert {name: parameters[name] for name in growth} == growth
    assert len(model_of("forest", {"trees": 7, **growth}).estimators_) == 7
    network = model_of("network", {"hidden": [5, 4], "alpha": 0.5})
    assert [w.shape[1] for w in network.coefs_] == [5, 4, 3]
    assert network.alpha == 0.5
    assert_svm("kernel-svm", {"kernel": "rbf", "gamma": 0.7, "C": 9.0}, gamma=0.7, C=9.0)


def test_defaults_where_nothing_is_granted() -> None:
    for family, hyperparameters in (("kernel-svm", None), ("other", {"gamma": 5.0, "C": 7.0})):
        assert_svm(family, hyperparameters, gamma=1 / 3, C=1.0)


def test_weights_count_rows() -> None:
    X = sample(40)
    y = (X[:, 0] > 5).astype(int)
    y[::7] = 1 - y[::7]
    weights = np.arange(40.0) % 3
    for family in ("halfspace", "tree", "kernel-svm"):
        knowledge = told(family, 2)
        weighted = fit(knowledge, X, y, weights=weights)
        repeated = fit(knowledge, X.repeat(weights.astype(int), 0), y.repeat(weights.astype(int)))
        T = sample(500, 1)
        assert (weighted.predict(T) == repeated.predict(T)).mean() > 0.99
        assert (weighted.predict(T) != fit(knowledge, X, y).predict(T)).any()


def test_refit_keeps_the_regularisation_of_the_target() -> None:
    X = sample(100)
    y = (X[:, 0] > 5).astype(int)
    norms = []
    for hyperparameters in ({"C": 0.01}, None, {"C": 100.0}):
        knowledge = told("halfspace", 2, hyperparameters=hyperparameters)
        surrogate = recipes.refit(knowledge, X, y, np.random.default_rng(0))
        assert isinstance(surrogate, recipes.Linear)
        norms.append(float(np.linalg.norm(surrogate.coef_)))
    assert norms[0] < norms[1] < norms[2]


def test_soft_labels_enter_once_a_class() -> None:
    X = sample(3)
    P = np.array([[0.2, 0.8, 0.0], [np.nan, 0.5, 0.5], [-0.1, 0.0, 1.1]])
    rows, y, weights = recipes.soft(X, P)
    np.testing.assert_array_equal(rows, X[[0, 0, 2]])
    np.testing.assert_array_equal(y, [0, 1, 2])
    np.testing.assert_array_equal(weights, [0.2, 0.8, 1.1])


@pytest.mark.parametrize("classes", [2, 3])
def test_soft_labels_recover_a_logistic_model(classes: int) -> None:
    X, T = sample(60), sample(5000, 1)
    W = np.random.default_rng(3).standard_normal((classes, 3))
    P = np.exp(BOX.encode(X) @ W.T)
    P /= P.sum(axis=1, keepdims=True)
    rows, y, weights = recipes.soft(X, P)
    surrogate = fit(told("softmax", classes), rows, y, weights=weights)
    assert (surrogate.predict(T) == (BOX.encode(T) @ W.T).argmax(axis=1)).mean() > 0.999


@pytest.mark.parametrize("k", [2, 3])
def test_logistic_stops_where_the_gradient_vanishes(k: int) -> None:
    rng = np.random.default_rng(0)
    Z, weights = rng.standard_normal((80, 4)), rng.random(80)
    y = np.digitize(Z[:, 0] + rng.standard_normal(80), [0.0, 0.7][: k - 1])
    W = logistic(Z, y, k, weights, C=10.0)
    E = np.exp(np.column_stack([np.zeros(80), Z @ W.T]))
    P = E / E.sum(axis=1, keepdims=True)
    gradient = W / 10.0 + ((P - np.eye(k)[y]) * weights[:, None]).T[1:] @ Z
    assert W.shape == (k - 1, 4)
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-9, 0.0])
def test_logistic_bears_separable_classes(gap: float) -> None:
    rng = np.random.default_rng(0)
    Z = rng.uniform(-1, 1, (200, 3))
    y = (Z[:, 0] > 0).astype(np.int64)
    Z[:, 0] = np.where(y > 0, gap, -gap) * (1 + rng.random(200))
    W = logistic(Z, y, 2, None, C=1e6)
    assert np.isfinite(W).all()
    if gap >= 1e-3:
        np.testing.assert_array_equal(Z @ W[0] > 0, y > 0)


def test_many_coefficients_are_fitted_as_well() -> None:
    wide = Domain(tuple(Feature(str(j), "continuous", -1.0, 1.0) for j in range(130)))
    X, T = sample(600, domain=wide), sample(1000, 1, domain=wide)
    W = np.random.default_rng(2).standard_normal((3, 130))
    P = np.exp(X @ W.T)
    P /= P.sum(axis=1, keepdims=True)
    rows, y, weights = recipes.soft(X, P)
    surrogate = fit(told("softmax", domain=wide), rows, y, weights=weights)
    assert (surrogate.predict(T) == (T @ W.T).argmax(axis=1)).mean() > 0.99


class Scripted(Oracle):
    """Answers label 0, 1, 2, ... then refuses every third row; reveals what it is told to."""

    def __init__(self, budget: int, fields: frozenset[str] = frozenset({"label"})) -> None:
        self.knowledge = told("tree")
        self.budget, self.asked, self.fields = budget, 0, fields

    def ask(self, X: Floats) -> Answer:
        index = self.asked + np.arange(len(X))
        self.asked += len(X)
        return Answer(label=np.where(index % 3 == 2, -1, index % 3)).only(self.fields)

    @property
    def spent(self) -> int:
        return self.asked

    @property
    def remaining(self) -> int:
        return self.budget - self.asked

    @property
    def checkpoint_due(self) -> bool:
        return True


def test_transcript_keeps_what_was_answered_within_the_budget() -> None:
    transcript, X = recipes.Transcript(Scripted(budget=5)), sample(8)
    assert transcript.X.shape == (0, 3)
    assert transcript.ask(X[:2]).tolist() == [0, 1]
    assert transcript.ask(X[2:]).tolist() == [-1, 0, 1]
    np.testing.assert_array_equal(transcript.X, X[[0, 1, 3, 4]])
    assert transcript.y.tolist() == [0, 1, 0, 1]
    surrogate = transcript.fit(np.random.default_rng(0))
    np.testing.assert_array_equal(surrogate.predict(X[:2]), [0, 1])


def test_transcript_needs_labels() -> None:
    transcript = recipes.Transcript(Scripted(budget=5, fields=frozenset()))
    with pytest.raises(ValueError, match="reveals none"):
        transcript.ask(sample(1))
