"""Every target against scikit-learn, and bit by bit against itself."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from arena import Answer, ArenaError, Dataset, Feature, Natural, Target, Victim
from arena.splits import training_rows
from arena_plugins.targets import decision_tree, halfspace, logistic, mlp, random_forest, svm_rbf
from arena_plugins.targets.decision_tree import DecisionTree
from arena_plugins.targets.halfspace import Halfspace
from arena_plugins.targets.logistic import Logistic
from arena_plugins.targets.mlp import Mlp
from arena_plugins.targets.random_forest import RandomForest
from arena_plugins.targets.svm_rbf import SvmRbf

Floats = NDArray[np.float64]

MODULES: dict[type[Target], ModuleType] = {
    Halfspace: halfspace,
    Logistic: logistic,
    SvmRbf: svm_rbf,
    DecisionTree: decision_tree,
    RandomForest: random_forest,
    Mlp: mlp,
}
TARGETS = tuple(MODULES)
BINNED: tuple[type[Target], ...] = (Logistic, SvmRbf, DecisionTree, RandomForest)
SEED = 7


def mixed(folder: Path, classes: int) -> Dataset:
    """Write 240 rows of numbers, whole numbers, categories and a constant that predict a class."""
    rng = np.random.default_rng(classes)
    size, age, colour = rng.normal(size=240), rng.integers(18, 90, 240), rng.integers(0, 5, 240)
    signal = size + (age - 50) / 30 + np.array([-1.0, 0.5, 0.0, 1.0, -0.5])[colour]
    y = np.digitize(signal + 0.3 * rng.normal(size=240), [-0.4, 0.7][: classes - 1])
    lines = ["size,age,colour,unit,y"]
    for row in zip(size, age, colour, y, strict=True):
        lines.append("{:.17g},{},c{},1,class{}".format(*row))
    path = folder / f"mixed{classes}.csv"
    path.write_text("\n".join(lines))
    return Dataset.model_validate({"csv": str(path), "label": "y"})


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Train as workers do; small matrices are many times slower on two threads than on one."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    folder = tmp_path_factory.mktemp("data")
    sets = {name: Dataset(name=name) for name in ("breast_cancer", "wine", "digits", "pima")}
    return sets | {"mixed2": mixed(folder, 2), "mixed3": mixed(folder, 3)}


@cache
def _train(target: Target, seed: int) -> Victim:
    return target.train(np.random.default_rng(seed))


def build(cls: type[Target], data: dict[str, Dataset], name: str, **parameters: Any) -> Target:
    parameters.setdefault("reveals", tuple(cls.can_reveal))
    return cls.model_validate({"dataset": data[name], **parameters})


def trained(cls: type[Target], data: dict[str, Dataset], name: str, **parameters: Any) -> Victim:
    return _train(build(cls, data, name, **parameters), SEED)


CASES = [
    *[(cls, name, {}) for cls in TARGETS for name in ("breast_cancer", "wine", "mixed2", "mixed3")],
    *[(cls, "pima", {"bins": 4}) for cls in BINNED],
    *[(Halfspace, name, {"space": "box"}) for name in ("wine", "mixed3")],
    (Halfspace, "pima", {"C": 0.01}),
    (Logistic, "mixed3", {"C": 0.01}),
    (SvmRbf, "wine", {"gamma": 0.03, "C": 10}),
    (DecisionTree, "mixed3", {"max_leaf_nodes": 9, "min_samples_leaf": 5}),
    (RandomForest, "mixed3", {"trees": 3, "max_depth": 4}),
    (Mlp, "mixed3", {"hidden": (7, 5), "alpha": 0.01}),
]
each_case = pytest.mark.parametrize(
    ("cls", "name", "parameters"), CASES, ids=lambda v: getattr(v, "name", None) or str(v)
)


def inputs(victim: Victim, n: int = 600) -> Floats:
    """Real rows and rows of the domain, as many of each."""
    rng = np.random.default_rng(3)
    real = victim.natural.X[rng.integers(len(victim.natural.X), size=n // 2)]
    return np.vstack([real, victim.domain.sample(n // 2, rng)])


def fields(answer: Answer) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(answer.field(name)).tobytes() for name in answer.fields}


# ------------------------------------------------------------------------ against scikit-learn


def refit(victim: Victim) -> Any:
    """Train scikit-learn's estimator by nothing but the victim's hyperparameters and seed."""
    rng = np.random.default_rng(SEED)
    rows = training_rows(victim.natural.y, rng)
    assert np.array_equal(rows, ~victim.natural.held_out)
    model = estimator(victim.family, dict(victim.hyperparameters), rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(victim.domain.encode(victim.natural.X[rows]), victim.natural.y[rows])


def estimator(family: str, recipe: dict[str, Any], rng: np.random.Generator) -> Any:
    if family == "halfspace":
        intercept = recipe.pop("space") == "box"
        return LogisticRegression(**recipe, fit_intercept=intercept, max_iter=10_000)
    if family == "softmax":
        return LogisticRegression(**recipe, max_iter=10_000)
    if family == "kernel-svm":
        return SVC(**recipe)
    seed = int(rng.integers(2**31))
    if family == "tree":
        return DecisionTreeClassifier(**recipe, random_state=seed)
    if family == "forest":
        return RandomForestClassifier(recipe.pop("trees"), **recipe, random_state=seed)
    hidden = recipe.pop("hidden")
    return MLPClassifier(hidden, **recipe, solver="lbfgs", max_iter=500, random_state=seed)


@each_case
def test_answers_are_those_of_scikit_learn(
    data: dict[str, Dataset], cls: type[Target], name: str, parameters: dict[str, Any]
) -> None:
    victim = trained(cls, data, name, **parameters)
    X = inputs(victim)
    answer, model, Z = victim.answer(X), refit(victim), victim.domain.encode(X)
    assert answer.fields == cls.can_reveal
    assert answer.label is not None
    assert answer.label.dtype == np.int64
    assert np.array_equal(answer.label, model.predict(Z))
    if answer.probabilities is not None:
        expected = model.predict_proba(Z)
        np.testing.assert_allclose(answer.probabilities, expected, rtol=1e-7, atol=1e-9)
    if answer.leaf is not None:
        assert answer.leaf.dtype == np.int64
        assert np.array_equal(answer.leaf, model.apply(Z.astype(np.float32)))
    if answer.score is not None:
        expected = model.decision_function(Z)
        agree = expected.ndim == 1 or expected.argmax(axis=1) == model.predict(Z)
        np.testing.assert_allclose(answer.score[agree], expected[agree], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["wine", "digits"])
def test_equal_votes_go_to_the_first_class_and_the_score_says_so(
    data: dict[str, Dataset], name: str
) -> None:
    victim = trained(SvmRbf, data, name)
    X = victim.domain.sample(1000, np.random.default_rng(0))
    answer, model, Z = victim.answer(X), refit(victim), victim.domain.encode(X)
    assert answer.label is not None
    assert answer.score is not None
    theirs = model.decision_function(Z)
    tied = theirs.argmax(axis=1) != answer.label
    assert tied.any()
    assert np.array_equal(answer.label, model.predict(Z))
    assert np.array_equal(answer.score.argmax(axis=1), answer.label)
    np.testing.assert_allclose(np.sort(answer.score), np.sort(theirs), rtol=0, atol=1e-9)


@pytest.mark.parametrize("cls", TARGETS)
def test_targets_are_accurate_on_held_out_rows(data: dict[str, Dataset], cls: type[Target]) -> None:
    victim = trained(cls, data, "breast_cancer")
    rows = victim.natural.held_out
    assert 0.28 < rows.mean() < 0.32
    label = victim.answer(victim.natural.X[rows]).label
    assert np.mean(label == victim.natural.y[rows]) > 0.85


@pytest.mark.parametrize(("cls", "stretch"), [(Halfspace, 40), (Logistic, 40), (Mlp, 8)])
def test_small_probabilities_keep_their_relative_precision(
    data: dict[str, Dataset], cls: type[Target], stretch: float
) -> None:
    victim = trained(cls, data, "mixed2")
    X = victim.domain.sample(200, np.random.default_rng(0))
    X[:, :2] *= stretch
    answer = victim.answer(X)
    P = answer.probabilities
    assert P is not None
    # Either class gets probabilities that 1 - p would lose.
    assert ((P > 0) & (P < 1e-20)).any(axis=0).all()
    if answer.score is not None:
        np.testing.assert_allclose(np.log(P[:, 1]) - np.log(P[:, 0]), answer.score, rtol=1e-9)


def test_a_halfspace_does_not_depend_on_the_scale_of_its_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 2))
    answers = []
    for power in (0, -200, 90):
        lines = [f"{a:.12f}e{power},{b:.12f}e{power},{'uv'[int(a > b)]}" for a, b in X]
        path = tmp_path / f"at{power}.csv"
        path.write_text("\n".join(["a,b,y", *lines]))
        dataset = Dataset.model_validate({"csv": str(path), "label": "y"})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answers.append(_train(Halfspace(dataset=dataset), SEED).answer(X).label)
    assert 0.2 < answers[0].mean() < 0.8
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.parametrize("cls", [Halfspace, Logistic, Mlp])
@pytest.mark.parametrize("name", ["mixed2", "mixed3"])
def test_probabilities_do_not_overflow(
    data: dict[str, Dataset], cls: type[Target], name: str
) -> None:
    victim = trained(cls, data, name)
    X = victim.domain.sample(200, np.random.default_rng(0))
    X[:, :2] *= 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        P = victim.answer(X).probabilities
    assert P is not None
    assert (P.max(axis=1) == 1).all()


# ----------------------------------------------------------------------------- one row, one answer


def contiguous(X: Floats) -> Floats:
    return np.ascontiguousarray(X)


def fortran(X: Floats) -> Floats:
    return np.asfortranarray(X)


def every_other_row(X: Floats) -> Floats:
    return np.repeat(X, 2, axis=0)[::2]


def every_other_column(X: Floats) -> Floats:
    return np.repeat(X, 2, axis=1)[:, ::2]


def backwards(X: Floats) -> Floats:
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def shifted(X: Floats) -> Floats:
    buffer = np.empty(X.size + 1)
    buffer[1:] = X.ravel()
    return buffer[1:].reshape(X.shape)


LAYOUTS = (contiguous, fortran, every_other_row, every_other_column, backwards, shifted)


@each_case
@settings(max_examples=12, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    layout=st.sampled_from(LAYOUTS),
    start=st.integers(0, 300),
)
def test_a_rows_answer_is_the_same_bits_in_any_batch(
    data: dict[str, Dataset],
    cls: type[Target],
    name: str,
    parameters: dict[str, Any],
    sizes: list[int],
    layout: Callable[[Floats], Floats],
    start: int,
) -> None:
    victim = trained(cls, data, name, **parameters)
    X = np.ascontiguousarray(inputs(victim)[start:][: sum(sizes)])
    whole = fields(victim.answer(X))
    cuts = np.cumsum([0, *sizes])
    for ends in (pairwise(cuts), pairwise(range(len(X) + 1))):
        parts = [fields(victim.answer(layout(X[i:j]))) for i, j in ends]
        assert {field: b"".join(p[field] for p in parts) for field in whole} == whole


@pytest.mark.parametrize("cls", TARGETS)
def test_a_rows_answer_is_the_same_bits_in_a_batch_of_thousands(
    data: dict[str, Dataset], cls: type[Target]
) -> None:
    victim = trained(cls, data, "wine")
    X = victim.domain.sample(12_000, np.random.default_rng(1))
    answer = victim.answer(X)
    for i in range(0, len(X), 171):
        assert fields(victim.answer(X[i : i + 1])) == fields(answer.rows(slice(i, i + 1)))


@pytest.mark.parametrize("cls", [DecisionTree, RandomForest])
def test_values_beyond_float32_lie_beyond_every_threshold(
    data: dict[str, Dataset], cls: type[Target]
) -> None:
    victim = trained(cls, data, "breast_cancer")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far, farther = (victim.answer(np.full((1, 30), value)) for value in (1e30, 1e300))
    assert fields(far) == fields(farther)


# ------------------------------------------------------------------------------- what is revealed


@pytest.mark.parametrize("cls", TARGETS)
def test_only_what_it_reveals_leaves_a_victim(data: dict[str, Dataset], cls: type[Target]) -> None:
    for field, name in product(cls.can_reveal, ("wine", "mixed2")):
        victim = trained(cls, data, name, reveals=(field,))
        assert victim.reveals == {field}
        assert victim.answer(victim.natural.X[:3]).fields == {"label", field}
    assert cls.model_validate({"dataset": data["wine"]}).reveals == ("label",)


CANNOT = [
    (Halfspace, "leaf", "label, probabilities, score"),
    (Logistic, "leaf", "label, probabilities, score"),
    (SvmRbf, "probabilities", "label, score"),
    (DecisionTree, "score", "label, probabilities, leaf"),
    (RandomForest, "leaf", "label, probabilities"),
    (Mlp, "score", "label, probabilities"),
]


@pytest.mark.parametrize(("cls", "field", "can"), CANNOT)
def test_what_a_target_cannot_reveal_is_refused_in_one_sentence(
    cls: type[Target], field: str, can: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        cls.model_validate({"dataset": "wine", "reveals": ["label", field]})
    assert f"{cls.name} cannot reveal '{field}'; choose from: {can}" in str(caught.value)


def test_probabilities_of_two_classes_and_of_three(data: dict[str, Dataset]) -> None:
    for cls in (Logistic, DecisionTree, RandomForest, Mlp):
        for name, k in (("mixed2", 2), ("mixed3", 3)):
            victim = trained(cls, data, name)
            P = victim.answer(inputs(victim)).probabilities
            assert P is not None
            assert P.shape == (600, k)
            np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-12)


# -------------------------------------------------------------------------------- victims as such


@each_case
def test_the_same_seed_trains_the_same_victim(
    data: dict[str, Dataset], cls: type[Target], name: str, parameters: dict[str, Any]
) -> None:
    target = build(cls, data, name, **parameters)
    first, again, other = (target.train(np.random.default_rng(seed)) for seed in (1, 1, 2))
    X = inputs(first)
    assert fields(first.answer(X)) == fields(again.answer(X))
    assert np.array_equal(first.natural.held_out, again.natural.held_out)
    assert not np.array_equal(first.natural.held_out, other.natural.held_out)


@each_case
def test_a_victim_pickles_and_holds_no_data_but_its_natural_rows(
    data: dict[str, Dataset], cls: type[Target], name: str, parameters: dict[str, Any]
) -> None:
    victim = trained(cls, data, name, **parameters)
    content = pickle.dumps(victim)
    X = inputs(victim)
    assert fields(pickle.loads(content).answer(X)) == fields(victim.answer(X))
    nothing = Natural(np.empty((0, victim.domain.d)), np.empty(0, np.int64), np.empty(0, np.bool_))
    bare = pickle.dumps(replace(victim, natural=nothing))
    for trace in (b"Dataset", b"Table", b"sklearn.svm", b"Classifier", b"Regression"):
        assert trace not in bare
    assert len(content) - len(bare) > victim.natural.X.nbytes


@each_case
def test_a_victim_says_what_the_referee_must_know(
    data: dict[str, Dataset], cls: type[Target], name: str, parameters: dict[str, Any]
) -> None:
    victim = trained(cls, data, name, **parameters)
    recipe = dict(victim.hyperparameters)
    assert json.loads(json.dumps(recipe)) == recipe
    assert victim.family == cls.family
    assert victim.natural.X.shape == (len(victim.natural.y), victim.domain.d)
    assert victim.natural.y.max() == len(victim.classes) - 1
    target = build(cls, data, name, **parameters)
    defaulted = {"gamma": 1 / victim.domain.width, "kernel": "rbf"}
    for key, value in recipe.items():
        chosen = getattr(target, key, None)
        assert value == (defaulted[key] if chosen is None and key in defaulted else _plain(chosen))
    assert recipe.keys() - {"kernel"} <= cls.model_fields.keys()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("cls", "name", "parameters"),
    [
        (Halfspace, "wine", {}),
        (Halfspace, "mixed3", {"space": "box"}),
        (Logistic, "mixed2", {}),
        (Logistic, "mixed3", {}),
    ],
)
def test_parameters_are_those_of_the_scores(
    data: dict[str, Dataset], cls: type[Target], name: str, parameters: dict[str, Any]
) -> None:
    victim = trained(cls, data, name, **parameters)
    X = inputs(victim)
    coef, intercept = victim.parameters["coef"], victim.parameters["intercept"]
    score = victim.answer(X).score
    assert score is not None
    assert np.abs(victim.domain.encode(X) @ coef.T + intercept - score).max() < 1e-9
    lead = () if len(victim.classes) == 2 else (len(victim.classes),)
    assert coef.shape == (*lead, victim.domain.width)
    assert intercept.shape == lead


def test_families_of_a_logistic_target(data: dict[str, Dataset]) -> None:
    assert build(Logistic, data, "mixed2").families() == {"softmax", "halfspace"}
    assert build(Logistic, data, "mixed3").families() == {"softmax"}
    sphere, box = (build(Halfspace, data, "mixed3", space=space) for space in ("sphere", "box"))
    assert sphere.families() == {"halfspace", "homogeneous-halfspace"}
    assert box.families() == {"halfspace"}


# ------------------------------------------------------------------------------------- halfspaces


def test_a_halfspace_of_the_sphere_lives_in_standardised_space(data: dict[str, Dataset]) -> None:
    victim = trained(Halfspace, data, "mixed3")
    natural, domain = victim.natural, victim.domain
    assert domain.geometry == "sphere"
    assert [f.name for f in domain.features] == ["size", "age", "colour", "unit"]
    trained_on = natural.X[~natural.held_out]
    np.testing.assert_allclose(trained_on[:, :3].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(trained_on[:, :3].std(axis=0), 1, atol=1e-12)
    assert (natural.X[:, 3] == 0).all()
    table = data["mixed3"].load()
    codes = np.unique(np.c_[table.X[:, 2], natural.X[:, 2]], axis=0)
    assert len(codes) == 5
    assert (np.diff(codes, axis=0) > 0).all()


def test_a_halfspace_of_the_sphere_passes_through_the_origin(data: dict[str, Dataset]) -> None:
    victim = trained(Halfspace, data, "wine")
    X = victim.domain.sample(200, np.random.default_rng(0))
    assert victim.parameters["intercept"] == 0
    ahead, behind = victim.answer(X).label, victim.answer(-X).label
    assert ahead is not None
    assert behind is not None
    assert (ahead + behind == 1).all()


def test_a_halfspace_in_a_box_keeps_the_domain_of_the_data(data: dict[str, Dataset]) -> None:
    victim = trained(Halfspace, data, "mixed3", space="box")
    assert victim.domain.geometry == "box"
    assert victim.domain.width == 3 + 5
    assert victim.parameters["intercept"] != 0


def test_the_positive_class_is_the_most_frequent_unless_named(data: dict[str, Dataset]) -> None:
    table = data["mixed3"].load()
    frequent = table.classes[int(np.bincount(table.y).argmax())]
    assert trained(Halfspace, data, "mixed3").classes == (f"not {frequent}", frequent)
    named = trained(Halfspace, data, "mixed3", positive="class0")
    assert named.classes == ("not class0", "class0")
    assert np.array_equal(named.natural.y, table.y == 0)
    assert trained(Halfspace, data, "mixed2").classes == ("class0", "class1")


def test_an_unknown_positive_class_is_an_error_that_names_the_classes(
    data: dict[str, Dataset],
) -> None:
    with pytest.raises(ArenaError, match=r"no class 'blue'.*class0, class1, class2"):
        trained(Halfspace, data, "mixed3", positive="blue")


def test_features_are_known_before_training(data: dict[str, Dataset]) -> None:
    cases: list[tuple[type[Target], dict[str, Any]]] = [
        *((cls, {}) for cls in TARGETS),
        *((cls, {"bins": 4}) for cls in BINNED),
        (Halfspace, {"space": "box"}),
    ]
    for cls, parameters in cases:
        known = build(cls, data, "mixed3", **parameters).known_features()
        true = trained(cls, data, "mixed3", **parameters).domain.features
        assert known is not None
        assert list(map(_outline, known)) == list(map(_outline, true))


def _outline(feature: Feature) -> tuple[Any, ...]:
    return feature.name, feature.kind, feature.categories, len(feature.edges)


# ------------------------------------------------------------------------------------- parameters


def test_bins_change_the_encoding(data: dict[str, Dataset]) -> None:
    for cls in BINNED:
        assert trained(cls, data, "pima", bins=4).domain.width > 20
        assert trained(cls, data, "pima").domain.width == 8


def test_parameters_reach_the_model(data: dict[str, Dataset]) -> None:
    tree = trained(DecisionTree, data, "mixed3", max_leaf_nodes=4)
    leaf = tree.answer(inputs(tree)).leaf
    assert leaf is not None
    assert len(np.unique(leaf)) == 4
    stump = trained(RandomForest, data, "mixed3", trees=1, max_depth=1)
    P = stump.answer(inputs(stump)).probabilities
    assert P is not None
    assert len(np.unique(P, axis=0)) == 2


WRONG = [
    (Halfspace, {"C": 0}),
    (Halfspace, {"C": float("inf")}),
    (Halfspace, {"space": "ball"}),
    (Logistic, {"C": -1}),
    (Logistic, {"bins": 1}),
    (SvmRbf, {"gamma": 0}),
    (SvmRbf, {"gamma": float("nan")}),
    (SvmRbf, {"C": 0}),
    (SvmRbf, {"bins": 1}),
    (DecisionTree, {"max_depth": 0}),
    (DecisionTree, {"max_leaf_nodes": 1}),
    (DecisionTree, {"min_samples_leaf": 0}),
    (DecisionTree, {"bins": 0}),
    (RandomForest, {"trees": 0}),
    (RandomForest, {"max_depth": 0}),
    (RandomForest, {"max_leaf_nodes": 1}),
    (RandomForest, {"min_samples_leaf": 0}),
    (RandomForest, {"bins": 1}),
    (Mlp, {"hidden": ()}),
    (Mlp, {"hidden": (4, 0)}),
    (Mlp, {"alpha": -0.1}),
    *[(cls, {"depth": 3}) for cls in TARGETS],
]


@pytest.mark.parametrize(("cls", "parameters"), WRONG)
def test_parameters_out_of_bounds_are_refused(
    cls: type[Target], parameters: dict[str, Any]
) -> None:
    cls.model_validate({"dataset": "wine"})
    with pytest.raises(ValidationError) as caught:
        cls.model_validate({"dataset": "wine", **parameters})
    assert {error["loc"][0] for error in caught.value.errors()} == set(parameters)


@pytest.mark.parametrize("cls", TARGETS)
def test_parameters_are_described(cls: type[Target]) -> None:
    own = {name: info for name, info in cls.model_fields.items() if name != "reveals"}
    assert all(info.description for info in own.values())
    with pytest.raises(ValidationError, match="dataset"):
        cls.model_validate({})


@pytest.mark.parametrize(("cls", "module"), MODULES.items())
def test_each_module_registers_its_one_target(cls: type[Target], module: ModuleType) -> None:
    seen: list[type[Target]] = []
    module.register_targets(register=seen.append)
    assert seen == [cls]
    assert cls.name == module.__name__.rpartition(".")[2].replace("_", "-")
    assert cls.summary().endswith(".")
    assert "USENIX" in cls.reference
