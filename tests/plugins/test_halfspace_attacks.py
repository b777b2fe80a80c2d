"""What every attack on halfspaces owes: budgets, seeds, odd targets, clear sentences."""

from __future__ import annotations

import pickle
from importlib import import_module

import numpy as np
import pytest
from normals import (
    Flipping,
    Recorder,
    Refusing,
    error,
    halfspace,
    play,
    random_normal,
    sphere,
)
from playground import match, tournament

from arena import Attack, Dataset, Domain, Feature
from arena.pairing import plan
from arena.records import Goal, Status
from arena_plugins.attacks.active_perceptron import ActivePerceptron
from arena_plugins.attacks.active_probit import ActiveProbit
from arena_plugins.attacks.averaging import Averaging
from arena_plugins.attacks.dimension_coupling import DimensionCoupling
from arena_plugins.attacks.disagreement import Disagreement
from arena_plugins.attacks.lowd_meek import LowdMeek
from arena_plugins.attacks.majority import Majority
from arena_plugins.attacks.nested_bisection import NestedBisection
from arena_plugins.attacks.stability_stop import StabilityStop
from arena_plugins.attacks.version_space import VersionSpace
from arena_plugins.targets.halfspace import Halfspace

MODULES = (
    "active_perceptron",
    "averaging",
    "dimension_coupling",
    "disagreement",
    "equation_solving",
    "lowd_meek",
    "nested_bisection",
    "stability_stop",
    "version_space",
)
QUICK = Disagreement(hypotheses=30, moves=4, draws=2000)
STOPPED = StabilityStop(attack=VersionSpace(), tau=1e-3)
ON_SPHERES: list[Attack] = [
    VersionSpace(),
    DimensionCoupling(),
    Averaging(),
    ActivePerceptron(),
]
NESTED = NestedBisection()
BY_LABEL: list[Attack] = [*ON_SPHERES, LowdMeek(), QUICK, NESTED, STOPPED]
PATIENT: list[Attack] = [VersionSpace(), DimensionCoupling(), NESTED, STOPPED]


def by_name(attack: Attack) -> str:
    return attack.name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_registers_its_one_attack(module: str) -> None:
    registered: list[type[Attack]] = []
    import_module(f"arena_plugins.attacks.{module}").register_attacks(registered.append)
    assert [attack.name for attack in registered] == [module.replace("_", "-")]
    assert registered[0].reference
    linear = {"halfspace", "homogeneous-halfspace", "softmax", "linear-regression"}
    assert registered[0].families <= linear


@pytest.mark.parametrize("attack", [*BY_LABEL, ActiveProbit()], ids=by_name)
def test_a_budget_that_allows_no_majority_ends_well(attack: Attack) -> None:
    wrapped = Majority(attack=attack, repeats=3)
    wine = Halfspace(dataset=Dataset(name="wine"))
    for outer in (wrapped, StabilityStop(attack=wrapped)):
        record = match(outer, target=wine, budget=2)
        assert record.status in (Status.FINISHED, Status.EXHAUSTED)
        assert record.queries == 0
        assert record.curve


@pytest.mark.parametrize("attack", ON_SPHERES, ids=by_name)
def test_what_learns_halfspaces_through_the_origin_meets_no_other(attack: Attack) -> None:
    data = Dataset(name="wine")
    targets = [Halfspace(dataset=data), Halfspace(dataset=data, space="box")]
    reasons = [spec.skipped for spec in plan(tournament([attack], targets=targets))]
    box = f"{attack.name} learns homogeneous-halfspace, the target is halfspace"
    assert reasons == ["", box]


@pytest.mark.parametrize("budget", [1, 2, 5, 40])
@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_budgets_are_respected_and_every_end_is_proposed(attack: Attack, budget: int) -> None:
    door = Recorder(random_normal(12, 0), budget, growth=100.0)
    curve = play(attack, door)
    assert curve[0][0] == 0
    assert curve[-1][0] == door.spent == budget
    assert len(curve) <= 3


@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_a_seed_fixes_the_queries_and_checkpoints_do_not_change_them(attack: Attack) -> None:
    def asked(seed: int, growth: float) -> np.ndarray:
        door = Recorder(random_normal(4, 0), 80, growth=growth)
        play(attack, door, seed)
        return door.X

    first = asked(1, 1.0)
    np.testing.assert_array_equal(first, asked(1, 1.0))
    np.testing.assert_array_equal(first, asked(1, 3.0))
    assert not np.array_equal(first, asked(2, 1.0))


@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_surrogates_pickle_and_are_not_changed_afterwards(attack: Attack) -> None:
    victim, curve = random_normal(4, 0), []
    X = victim.domain.sample(50, np.random.default_rng(0))
    door = Recorder(victim, 120)
    for surrogate in attack.extract(door, np.random.default_rng(0)):
        curve.append((surrogate, surrogate.predict(X)))
        door.keep()
        if not door.remaining:
            break
    for surrogate, labels in curve:
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(surrogate)).predict(X), labels)


WITHOUT_AVERAGING = [attack for attack in BY_LABEL if attack.name != "averaging"]


@pytest.mark.parametrize("attack", WITHOUT_AVERAGING, ids=by_name)
@pytest.mark.parametrize(
    "w", [[1.0, 0, 0, 0], [2.0, 2, 2, 2], [0.0, 3, 3, -1], [1e-9, 1e-9, -2e-9, 0]], ids=str
)
def test_constant_and_duplicate_features_are_no_trouble(attack: Attack, w: list[float]) -> None:
    victim = sphere(np.array(w))
    curve = play(attack, Recorder(victim, 400, growth=1.1))
    assert error(victim, curve[-1][1]) < 0.01


@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
@pytest.mark.parametrize("w", [2.0, -2.0])
def test_one_dimension(attack: Attack, w: float) -> None:
    victim = sphere(np.array([w]))
    if attack.name == "dimension-coupling":
        with pytest.raises(ValueError, match="couples two features, and the target has one"):
            play(attack, Recorder(victim, 10))
    else:
        assert error(victim, play(attack, Recorder(victim, 40))[-1][1]) == 0


@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_a_target_that_answers_one_label_is_taken_for_a_constant(attack: Attack) -> None:
    victim = sphere(np.zeros(12))
    door = Recorder(victim, 400, growth=1.5)
    labels = play(attack, door)[-1][1].predict(victim.domain.sample(500, np.random.default_rng(0)))
    # Disagreement excludes nothing but what an answer contradicts.
    assert labels.mean() < (0.6 if attack.name == "disagreement" else 1e-9)
    # What samples at random, or waits for the other label, asks on.
    assert door.spent <= 100 or attack.name in ("averaging", "lowd-meek", "disagreement")


@pytest.mark.parametrize("attack", ON_SPHERES, ids=by_name)
def test_a_box_is_refused_in_one_sentence(attack: Attack) -> None:
    domain = Domain((Feature("a", "continuous", 0.0, 1.0), Feature("b", "integer", 0.0, 3.0)))
    victim = halfspace(domain, np.ones(2))
    with pytest.raises(ValueError, match=f"^{attack.name} learns halfspaces through the origin"):
        play(attack, Recorder(victim, 10))


@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_an_oracle_without_labels_is_refused_in_one_sentence(attack: Attack) -> None:
    door = Recorder(random_normal(4, 0), 10, fields=frozenset({"score"}))
    with pytest.raises(ValueError, match="learns from labels, and the oracle reveals none"):
        play(attack, door)


@pytest.mark.parametrize("attack", [*ON_SPHERES, QUICK, NESTED, STOPPED], ids=by_name)
def test_refusals_by_chance_cost_queries_only(attack: Attack) -> None:
    victim = random_normal(4, 0)
    refusing = [Refusing(np.random.default_rng(0), rate=0.3)]
    curve = play(attack, Recorder(victim, 3000, refusing, growth=1.05))
    assert error(victim, curve[-1][1]) < (0.1 if attack.name == "averaging" else 0.01)


@pytest.mark.parametrize("attack", PATIENT, ids=by_name)
def test_what_refuses_long_rows_is_asked_short_ones(attack: Attack) -> None:
    victim = random_normal(4, 0)
    refusing = [Refusing(np.random.default_rng(0), longest=0.1)]
    curve = play(attack, Recorder(victim, 3000, refusing))
    assert error(victim, curve[-1][1]) < 0.01


@pytest.mark.parametrize("attack", PATIENT, ids=by_name)
def test_a_server_that_refuses_everything_ends_it_in_one_sentence(attack: Attack) -> None:
    refusing = [Refusing(np.random.default_rng(0), longest=-1.0)]
    with pytest.raises(ValueError, match=r"the server refuses a query of .* at any length"):
        play(attack, Recorder(random_normal(4, 0), 3000, refusing))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_answers_at_random_are_survived(attack: Attack) -> None:
    victim = random_normal(5, 0)
    for seed in range(3):
        coins = [Flipping(0.5, np.random.default_rng(seed))]
        curve = play(attack, Recorder(victim, 500, coins, growth=1.2), seed)
        assert np.isfinite(error(victim, curve[-1][1]))


@pytest.mark.parametrize("attack", BY_LABEL, ids=by_name)
def test_a_match_on_real_data(attack: Attack) -> None:
    target = Halfspace(dataset=Dataset.model_validate("wine"))
    goal = Goal("geometric-error", "uniform", (0.1,), 200)
    record = match(attack, target=target, budget=1200, checkpoints=1.1, goal=goal)
    assert record.status in (Status.FINISHED, Status.EXHAUSTED), record.reason
    final = record.final["geometric-error"]
    assert final is not None
    assert final < (0.3 if attack.name == "averaging" else 0.01)
