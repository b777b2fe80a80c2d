"""The built-in attacks, each against small models of real data."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

import normals
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from arena import (
    REFUSED,
    Answer,
    Attack,
    BudgetExhausted,
    Dataset,
    Domain,
    Feature,
    Knowledge,
    Natural,
    Surrogate,
    Target,
    Victim,
    kernel_svm,
    recipes,
)
from arena.oracle import Door
from arena_plugins.attacks.adaptive_retraining import AdaptiveRetraining
from arena_plugins.attacks.constant import Constant
from arena_plugins.attacks.eat import ExtendedAdaptiveTraining
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.attacks.majority import Majority, Repeated
from arena_plugins.attacks.public_data import PublicData
from arena_plugins.attacks.random import Random
from arena_plugins.targets.decision_tree import DecisionTree
from arena_plugins.targets.halfspace import Halfspace
from arena_plugins.targets.logistic import Logistic
from arena_plugins.targets.svm_rbf import SvmRbf

Floats = NDArray[np.float64]
Curve = list[tuple[int, Surrogate]]

BASELINES: list[Attack] = [Constant(), PublicData()]
LEARNERS: list[Attack] = [Random(), LineSearch(), AdaptiveRetraining(), ExtendedAdaptiveTraining()]
ALL = [*BASELINES, *LEARNERS, Majority(attack=LineSearch(), repeats=3)]

PLUGINS = (
    "constant",
    "random",
    "public_data",
    "line_search",
    "adaptive_retraining",
    "eat",
    "majority",
)


class Recorder(normals.Recorder):
    """A door that remembers what it was asked, and tells the recipe and the public rows."""

    def __init__(self, victim: Victim, budget: int, growth: float = 1.1, **more: Any) -> None:
        super().__init__(victim, budget, growth=growth, **more)
        rows = ~victim.natural.held_out
        self.knowledge = replace(
            self.knowledge,
            hyperparameters=victim.hyperparameters,
            public_X=victim.natural.X[rows],
            public_y=victim.natural.y[rows],
        )


@cache
def trained(name: str) -> Victim:
    dataset = {"halfspace": "breast_cancer", "svm": "pima"}.get(name, "iris")
    data = Dataset.model_validate(dataset)
    targets: dict[str, Target] = {
        "iris": Logistic(dataset=data, reveals=("label", "probabilities")),
        "tree": DecisionTree(dataset=data),
        "halfspace": Halfspace(dataset=data, C=3.0, reveals=("label", "probabilities")),
        "svm": SvmRbf(dataset=data, gamma=0.1, C=10.0),
    }
    return targets[name].train(np.random.default_rng(0))


def play(attack: Attack, door: Door, seed: int = 0) -> Curve:
    curve = []
    for surrogate in attack.extract(door, np.random.default_rng(seed)):
        if door.checkpoint_due:
            door.keep()
        curve.append((door.spent, surrogate))
    return curve


def fidelity(victim: Victim, surrogate: Surrogate, inputs: str = "uniform") -> float:
    uniform = inputs == "uniform"
    X = victim.domain.sample(4000, np.random.default_rng(9)) if uniform else victim.natural.X
    return float((surrogate.predict(X) == victim.answer(X).label).mean())


# --------------------------------------------------------------------------------- every attack


@pytest.mark.parametrize("module", PLUGINS)
def test_a_module_registers_its_one_attack(module: str) -> None:
    plugin = import_module(f"arena_plugins.attacks.{module}")
    registered: list[type[Attack]] = []
    plugin.register_attacks(registered.append)
    assert [attack.name for attack in registered] == [module.replace("_", "-")]
    assert registered[0].reference


@pytest.mark.parametrize("budget", [1, 2, 3, 17])
@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.name)
def test_budgets_are_used_up_and_respected(attack: Attack, budget: int) -> None:
    door = Recorder(trained("iris"), budget)
    curve = play(attack, door)
    used = 0 if attack.baseline and attack.name != "random" else budget
    if isinstance(attack, Majority):
        used = budget // attack.repeats * attack.repeats
    assert curve[0][0] == 0
    assert curve[-1][0] == door.spent == used


@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.name)
def test_surrogates_are_fitted_only_where_one_is_due(attack: Attack) -> None:
    curve = play(attack, Recorder(trained("iris"), 60, growth=100.0))
    assert len(curve) <= 3


@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.name)
@pytest.mark.parametrize("name", ["iris", "tree", "svm"])
def test_surrogates_pickle_and_predict_labels(attack: Attack, name: str) -> None:
    victim = trained(name)
    X = victim.natural.X
    for _, surrogate in play(attack, Recorder(victim, 40, growth=2.0)):
        labels = pickle.loads(pickle.dumps(surrogate)).predict(X)
        assert labels.dtype == np.int64
        assert labels.shape == (len(X),)
        assert set(labels) <= set(range(len(victim.classes)))
        np.testing.assert_array_equal(labels, surrogate.predict(X))


@pytest.mark.parametrize("attack", [*LEARNERS, ALL[-1]], ids=lambda a: a.name)
def test_a_seed_fixes_the_queries_and_checkpoints_do_not_change_them(attack: Attack) -> None:
    def asked(seed: int, growth: float) -> Floats:
        door = Recorder(trained("tree"), 150, growth=growth)
        play(attack, door, seed)
        return door.X

    first = asked(1, 1.0)
    np.testing.assert_array_equal(first, asked(1, 1.0))
    np.testing.assert_array_equal(first, asked(1, 3.0))
    assert not np.array_equal(first, asked(2, 1.0))


@pytest.mark.parametrize("attack", LEARNERS, ids=lambda a: a.name)
@pytest.mark.parametrize(("name", "least"), [("iris", 0.95), ("halfspace", 0.9), ("tree", 0.85)])
def test_learners_learn(attack: Attack, name: str, least: float) -> None:
    victim = trained(name)
    curve = play(attack, Recorder(victim, 400))
    assert fidelity(victim, curve[-1][1]) > max(least, fidelity(victim, curve[0][1]))


@dataclass
class Refusing:
    """Refuses a share of the rows."""

    share: float
    rng: np.random.Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        assert answer.label is not None
        refused = self.rng.random(len(X)) < self.share
        return Answer(label=np.where(refused, REFUSED, answer.label))


@pytest.mark.parametrize("attack", [*LEARNERS, ALL[-1]], ids=lambda a: a.name)
def test_refused_rows_are_left_out(attack: Attack) -> None:
    victim = trained("iris")
    for share, least in ((0.3, 0.7), (1.0, 0.0)):
        door = Recorder(victim, 301, sessions=[Refusing(share, np.random.default_rng(0))])
        _, last = play(attack, door)[-1]
        assert fidelity(victim, last) >= least
        assert set(last.predict(victim.natural.X)) <= {0, 1, 2}


@dataclass(frozen=True, kw_only=True)
class Tabled(Victim):
    """Labels by the nearest whole number to a linear form of the raw row."""

    weights: tuple[float, ...]

    def answer(self, X: Floats) -> Answer:
        return Answer(label=(np.rint(X @ np.array(self.weights)) % len(self.classes)).astype(int))


FEATURES = st.one_of(
    st.just(Feature("constant", "continuous", 2.0, 2.0)),
    st.just(Feature("same", "integer", 1.0, 1.0)),
    st.builds(lambda high: Feature("real", "continuous", -1.0, high), st.floats(0.0, 1e6)),
    st.builds(lambda k: Feature("whole", "integer", 0.0, float(k)), st.integers(1, 3)),
    st.builds(
        lambda k: Feature("kind", "categorical", 0.0, k - 1.0, tuple("abc"[:k])), st.integers(1, 3)
    ),
)


@st.composite
def victims(draw: st.DrawFn) -> Victim:
    features = draw(st.lists(FEATURES, min_size=1, max_size=3))
    domain = Domain(tuple(features))
    none = Natural(np.empty((0, domain.d)), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    return Tabled(
        domain=domain,
        classes=tuple("xyz"[: draw(st.integers(2, 3))]),
        family=draw(st.sampled_from(["halfspace", "softmax", "kernel-svm", "tree", "other"])),
        reveals=frozenset({"label"}),
        natural=none,
        weights=tuple(draw(st.integers(0, 3)) for _ in features),
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("attack", [*LEARNERS, ALL[-1]], ids=lambda a: a.name)
@given(victim=victims(), budget=st.integers(1, 40), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_domain_is_survived(attack: Attack, victim: Victim, budget: int, seed: int) -> None:
    door = Recorder(victim, budget, growth=2.0)
    curve = play(attack, door, seed)
    assert door.spent > budget - 3
    for _, surrogate in curve:
        labels = surrogate.predict(victim.domain.sample(5, np.random.default_rng(0)))
        assert set(labels) <= set(range(len(victim.classes)))


# ------------------------------------------------------------------------------------ baselines


def test_constant_guesses_the_most_frequent_public_class() -> None:
    victim = trained("halfspace")
    door = Recorder(victim, 10)
    (_, surrogate), *rest = play(Constant(), door)
    assert door.knowledge.public_y is not None
    assert set(surrogate.predict(victim.natural.X)) == {
        np.bincount(door.knowledge.public_y).argmax()
    }
    assert rest == []
    assert door.spent == 0


@pytest.mark.parametrize("name", ["iris", "halfspace", "svm"])
def test_public_data_asks_nothing_and_refits_the_target(name: str) -> None:
    victim = trained(name)
    door = Recorder(victim, 10)
    (_, surrogate), *rest = play(PublicData(), door)
    assert fidelity(victim, surrogate) == fidelity(victim, surrogate, "natural") == 1.0
    assert rest == []
    assert door.spent == 0


def test_baselines_say_that_they_lack_public_rows() -> None:
    victim = trained("iris")
    knowledge = Knowledge(victim.domain, victim.classes, frozenset({"label"}), victim.family)
    for attack in BASELINES:
        with pytest.raises(ValueError, match="public rows"):
            play(attack, Door(victim, (), knowledge, 10, 1.1))


def test_random_asks_in_growing_batches() -> None:
    door = Recorder(trained("iris"), 5000, growth=100.0)
    play(Random(), door)
    sizes = [len(batch) for batch in door.batches]
    assert sizes[0] == 1
    assert sizes[:-1] == sorted(sizes[:-1])
    assert all(n <= 1 + sum(sizes[:i]) / 50 for i, n in enumerate(sizes))
    assert len(sizes) < 500


@pytest.mark.parametrize("fields", [{"probabilities"}, {"label", "probabilities"}])
def test_random_learns_from_probabilities(fields: set[str]) -> None:
    victim = trained("halfspace")
    door = Recorder(victim, 60, fields=frozenset(fields))
    _, surrogate = play(Random(), door)[-1]
    assert isinstance(surrogate, recipes.Linear)
    w, v = victim.parameters["coef"], surrogate.coef_[0]
    assert np.linalg.norm(w / np.linalg.norm(w) - v / np.linalg.norm(v)) < 1e-4


# ------------------------------------------------------------------------------- active attacks


def scores(victim: Victim, X: Floats) -> Floats:
    w = victim.parameters["coef"]
    return np.asarray(np.abs(X @ w) / np.linalg.norm(w))


def test_line_search_closes_in_on_the_boundary() -> None:
    victim = trained("halfspace")
    door = Recorder(victim, 500, growth=100.0)
    play(LineSearch(tolerance=2**-6, lines=8), door)
    sizes = {len(batch) for batch in door.batches[:-1]}
    uniform = scores(victim, victim.domain.sample(500, np.random.default_rng(0)))
    assert sizes == {8}
    # A search of 1 end and 6 halvings: the last of 7 rows is within 2**-6 of its line's length.
    assert np.quantile(scores(victim, door.X), 1 / 7) < np.median(uniform) / 20


def test_line_search_asks_no_row_of_a_line_twice() -> None:
    victim = Tabled(
        domain=Domain((Feature("a", "integer", 0.0, 15.0),)),
        classes=("x", "y"),
        family="tree",
        reveals=frozenset({"label"}),
        natural=trained("iris").natural,
        weights=(0.05,),
    )
    door = Recorder(victim, 300, growth=100.0)
    play(LineSearch(tolerance=1e-9, lines=1), door)
    # The label changes between 10 and 11: there 30 halvings of a line would ask again and again.
    assert np.isin(door.X, (10.0, 11.0)).mean() < 0.5


@dataclass
class RefusingHigh:
    """Refuses the rows whose first feature is above one half."""

    def answer(self, X: Floats, answer: Answer) -> Answer:
        assert answer.label is not None
        return Answer(label=np.where(X[:, 0] > 0.5, REFUSED, answer.label))


def test_line_search_starts_no_line_at_a_refused_row() -> None:
    victim = Tabled(
        domain=Domain((Feature("a", "continuous", 0.0, 1.0),)),
        classes=("x", "y"),
        family="tree",
        reveals=frozenset({"label"}),
        natural=trained("iris").natural,
        weights=(0.0,),
    )
    door = Recorder(victim, 200, sessions=[RefusingHigh()])
    play(LineSearch(), door)
    assert (np.abs(door.X - 0.5) < 0.05).mean() < 0.2


def test_adaptive_retraining_asks_near_the_boundary_in_growing_rounds() -> None:
    victim = trained("halfspace")
    door = Recorder(victim, 600, growth=100.0)
    play(AdaptiveRetraining(start=30, growth=0.5, candidates=50), door)
    assert [len(batch) for batch in door.batches] == [30, 15, 23, 34, 51, 77, 115, 173, 82]
    near, uniform = scores(victim, door.batches[-1]), scores(victim, door.batches[0])
    assert np.median(near) < np.median(uniform) / 4


class Spy(kernel_svm.KernelSVC):
    """Notes what it learns and how sure it is, in order."""

    log: list[tuple[str, Floats, Floats]]
    built: list[tuple[float, float]]

    def __init__(self, gamma: float, C: float) -> None:
        super().__init__(gamma, C)
        self.built.append((gamma, C))

    def add(self, X: Any, labels: Any) -> None:
        super().add(X, labels)
        self.log.append(("add", X, labels))

    def margin(self, Z: Any) -> Floats:
        margin = super().margin(Z)
        self.log.append(("margin", Z, margin))
        return margin


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> type[Spy]:
    Spy.log, Spy.built = [], []
    monkeypatch.setattr(kernel_svm, "KernelSVC", Spy)
    return Spy


def test_eat_asks_the_nearest_candidate_and_refits_at_every_label(spy: type[Spy]) -> None:
    victim = trained("svm")
    door = Recorder(victim, 45, growth=100.0)
    play(ExtendedAdaptiveTraining(start=15, candidates=20), door)
    assert [len(batch) for batch in door.batches] == [15, *[1] * 30]
    assert [what for what, _, _ in spy.log] == ["add", *["margin", "add"] * 30]
    asked = iter(door.batches[1:])
    for (_, Z, margin), (_, learned, _) in zip(spy.log[1::2], spy.log[2::2], strict=True):
        assert len(Z) == 20
        np.testing.assert_array_equal(learned, Z[[margin.argmin()]])
        np.testing.assert_array_equal(learned, victim.domain.encode(next(asked)))


def test_eat_takes_its_parameters_then_what_was_granted(spy: type[Spy]) -> None:
    svm, halfspace = trained("svm"), trained("halfspace")
    for victim, attack in (
        (svm, ExtendedAdaptiveTraining()),
        (svm, ExtendedAdaptiveTraining(C=1e5)),
        (svm, ExtendedAdaptiveTraining(gamma=3.0)),
        (halfspace, ExtendedAdaptiveTraining()),
    ):
        play(attack, Recorder(victim, 1))
    assert spy.built == [(0.1, 10.0), (0.1, 1e5), (3.0, 10.0), (1 / 30, 1.0)]


def test_eat_beats_passive_learning_of_its_family() -> None:
    victim = trained("svm")
    eat = play(ExtendedAdaptiveTraining(C=1e5), Recorder(victim, 150))[-1][1]
    passive = play(Random(), Recorder(victim, 150))[-1][1]
    assert fidelity(victim, eat) > fidelity(victim, passive) + 0.03


# ------------------------------------------------------------------------------------- majority


@dataclass
class Flipping:
    """Flips the label of two classes with a constant probability."""

    rate: float
    rng: np.random.Generator

    def answer(self, X: Floats, answer: Answer) -> Answer:
        assert answer.label is not None
        flipped = self.rng.random(len(X)) < self.rate
        return Answer(label=np.where(flipped, 1 - answer.label, answer.label))


def noisy(budget: int) -> Recorder:
    sessions = [Flipping(0.2, np.random.default_rng(0))]
    return Recorder(trained("halfspace"), budget, sessions=sessions, growth=100.0)


def test_majority_beats_flips_where_the_bare_attack_fails() -> None:
    victim = trained("halfspace")
    bare = play(LineSearch(), noisy(6000))[-1][1]
    wrapped = play(Majority(attack=LineSearch(), repeats=15), noisy(6000))[-1][1]
    assert fidelity(victim, bare) < 0.98 < fidelity(victim, wrapped)


def test_majority_bills_every_repeat_in_one_batch() -> None:
    bare, wrapped = Recorder(trained("svm"), 40), Recorder(trained("svm"), 201)
    attack = ExtendedAdaptiveTraining()
    play(attack, bare)
    play(Majority(attack=attack, repeats=5), wrapped)
    assert wrapped.spent == 200
    assert len(wrapped.batches) == len(bare.batches)
    np.testing.assert_array_equal(wrapped.X, bare.X.repeat(5, axis=0))


def test_repeated_counts_in_units_of_its_own_and_bills_nothing_beyond() -> None:
    door = Recorder(trained("iris"), 17, growth=100.0)
    oracle, X = Repeated(door, 5), trained("iris").natural.X
    assert (oracle.spent, oracle.remaining, oracle.checkpoint_due) == (0, 3, True)
    door.keep()
    assert not oracle.checkpoint_due
    oracle.ask(X[:2])
    door.keep()
    assert (oracle.spent, oracle.remaining, door.spent) == (2, 1, 10)
    with pytest.raises(BudgetExhausted):
        oracle.ask(X[:2])
    assert door.spent == 10
    assert not oracle.checkpoint_due
    oracle.ask(X[:1])
    assert (oracle.spent, oracle.remaining, oracle.checkpoint_due) == (3, 0, True)


class Given(Recorder):
    """Gives the answers it was made with."""

    answers: Answer

    def ask(self, X: Floats) -> Answer:
        super().ask(X)
        return self.answers


def merged(answer: Answer, rows: int, repeats: int) -> Answer:
    door = Given(trained("iris"), 100)
    door.answers = answer
    return Repeated(door, repeats).ask(trained("iris").natural.X[:rows])


def test_modal_answers_take_the_smallest_of_equals() -> None:
    label = np.array([2, 1, 2, 1, 0, 0, 1, 2, 2, 2, 2, 0])
    answer = merged(Answer(label=label, leaf=label + 40), rows=3, repeats=4)
    assert answer.label is not None
    assert answer.leaf is not None
    assert answer.label.tolist() == [1, 0, 2]
    assert answer.leaf.tolist() == [41, 40, 42]


def test_refused_repeats_do_not_count() -> None:
    label = np.array([-1, -1, 1, -1, -1, -1])
    P = np.array([[0.5, 0.5], [np.nan, 0], [0.2, 0.8], [1, 0], [1, 0], [1, 0]])
    answer = merged(Answer(label=label, probabilities=P), rows=2, repeats=3)
    assert answer.label is not None
    assert answer.label.tolist() == [1, REFUSED]
    np.testing.assert_array_equal(answer.probabilities, [[0.2, 0.8], [0.0, 0.0]])


def test_numbers_are_averaged() -> None:
    numbers = np.arange(6.0)
    P = np.stack([numbers, 6 - numbers], axis=1)
    answer = merged(Answer(probabilities=P, score=numbers, value=-numbers), rows=2, repeats=3)
    means = {"probabilities": [[1, 5], [4, 2]], "score": [1, 4], "value": [-1, -4]}
    for name, mean in means.items():
        got = answer.field(name)
        assert got is not None
        np.testing.assert_allclose(got, np.array(mean))
    assert answer.label is None


def test_majority_requires_what_its_attack_requires() -> None:
    for attack in LEARNERS:
        assert Majority(attack=attack, repeats=3).requirements == attack.requirements


@pytest.mark.parametrize("attack", LEARNERS, ids=lambda a: a.name)
def test_majority_of_more_repeats_than_the_budget_asks_nothing(attack: Attack) -> None:
    door = Recorder(trained("iris"), budget=10, fields=frozenset({"label", "probabilities"}))
    assert len(play(Majority(attack=attack, repeats=20), door)) == 1
    assert door.spent == 0


def test_majority_wraps_attacks_only() -> None:
    with pytest.raises(ValidationError, match="attack"):
        Majority.model_validate({"attack": 3, "repeats": 3})
    with pytest.raises(ValidationError, match="repeats"):
        Majority(attack=Random(), repeats=0)
