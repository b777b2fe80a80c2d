"""One match: its curve, and every way in which it can end badly."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from misbehaving import (
    AsksInPickles,
    AsksTooMuch,
    BadDefense,
    BadTarget,
    Catches,
    Flips,
    Fragile,
    HidesLabel,
    Interrupts,
    Lingers,
    Raises,
    Returns,
    Vandal,
    Yields,
    YieldsForEver,
    YieldsNothing,
)
from playground import Fitter, Guess, Open, Still, Toy, match, staged, tournament

from arena import (
    Answer,
    Attack,
    BudgetExhausted,
    Defense,
    Knowledge,
    LinearSurrogate,
    Oracle,
    Session,
    Victim,
)
from arena.datasets import RegressionDataset
from arena.errors import ArenaError
from arena.match import play
from arena.pairing import plan
from arena.records import Goal, Record, Status
from arena.settings import Grants
from arena.stage import prepare
from arena_plugins.targets.linear_regression import LinearRegression


def spent(record: Record) -> list[int]:
    return [checkpoint.queries for checkpoint in record.curve]


# --------------------------------------------------------------------------- the learning curve


def test_a_curve_has_the_due_checkpoints_with_both_halves() -> None:
    record = match(Fitter(batch=1), budget=12, checkpoints=2.0)
    assert record.status is Status.EXHAUSTED
    assert (record.queries, record.calls, record.reason) == (12, 12, "")
    assert spent(record) == [0, 1, 2, 4, 8, 12]
    assert [checkpoint.calls for checkpoint in record.curve] == spent(record)
    assert all(len(checkpoint.values) == 2 for checkpoint in record.curve)
    assert record.final["fidelity uniform"] == pytest.approx(np.mean(record.curve[-1].values))
    assert min(record.curve[-1].values) > 0.8


def test_growth_one_scores_every_spent_value_once() -> None:
    assert spent(match(Fitter(batch=1), budget=15, checkpoints=1.0)) == list(range(16))


def test_an_attack_that_ends_by_itself_is_finished() -> None:
    record = match(Still())
    assert (record.status, record.queries, spent(record)) == (Status.FINISHED, 0, [0])


def test_the_last_proposal_counts_at_what_was_spent_when_it_is_taken() -> None:
    record = match(AsksTooMuch(), budget=9, checkpoints=10.0)
    assert record.status is Status.EXHAUSTED
    # Proposed at 8, where nothing more was due: in place of the one that was. One a price.
    assert spent(record) == [0, 8]
    assert record.curve[1].values == record.curve[0].values
    late = match(ProposesThenAsks(), budget=9, checkpoints=10.0)
    assert spent(late) == [0, 1, 6]
    assert late.curve[-1].values == match(ProposesThenAsks(label=1)).curve[0].values


class Immense(Attack):
    """Proposes finite weights whose difference is not."""

    name = "immense"
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset(),)

    def extract(self, oracle: Oracle, rng: np.random.Generator) -> Any:
        domain, k = oracle.knowledge.domain, len(oracle.knowledge.classes)
        signs = np.array([1.0, -1.0])[: max(1, k)]
        yield LinearSurrogate(domain, 1e308 * signs[:, None] * np.ones(domain.width), 1e308 * signs)


@pytest.mark.filterwarnings("error")
def test_weights_as_large_as_floats_go_score_as_numbers() -> None:
    diabetes = RegressionDataset.model_validate("diabetes")
    goal = Goal("r2", "natural", (0.9,), 400)
    for record in (
        match(Immense()),
        match(Immense(), target=LinearRegression(dataset=diabetes), goal=goal),
    ):
        assert record.status is Status.FINISHED
        numbers = [v for v in (*record.final.values(), *record.curve[0].values) if v is not None]
        assert numbers
        assert np.isfinite(numbers).all()


class ProposesThenAsks(Attack):
    """Proposes the opposite when nothing is due, and asks on."""

    name = "proposes-then-asks"
    label: int = 0

    def extract(self, oracle: Oracle, rng: np.random.Generator) -> Any:
        domain = oracle.knowledge.domain
        yield Guess(self.label)
        oracle.ask(domain.sample(1, rng))
        yield Guess(self.label)
        oracle.ask(domain.sample(3, rng))
        yield Guess(1 - self.label)
        oracle.ask(domain.sample(2, rng))


def test_what_a_surrogate_asks_while_it_is_taken_is_charged_before_it_counts() -> None:
    record = match(AsksInPickles())
    assert (spent(record), record.queries) == ([10], 10)


def test_error_goals_have_one_value_a_checkpoint() -> None:
    goal = Goal("geometric-error", "natural", (0.5,), 200)
    target = HalfspaceToy()
    record = match(Fitter(batch=5), target=target, goal=goal)
    assert all(len(checkpoint.values) == 1 for checkpoint in record.curve)
    assert match(Still(), target=target, goal=goal).curve[0].values == ()


class HalfspaceToy(Toy):
    """A toy that is a halfspace."""

    name = "halfspace-toy"
    family: ClassVar[str] = "halfspace"


def test_accuracy_is_of_held_out_rows() -> None:
    record = match(Still(), goal=Goal("accuracy", "natural", (0.5,), 200))
    assert record.final["accuracy"] == pytest.approx(np.mean(record.curve[0].values))


# ------------------------------------------------------------------------------ the attack fails


@pytest.mark.parametrize(
    ("what", "status", "reason"),
    [
        ("error", Status.FAILED, "raises: ValueError: no luck at 0x..."),
        ("exit", Status.FAILED, "raises: SystemExit: 3"),
        ("memory", Status.OUT_OF_MEMORY, "raises: ran out of memory"),
        ("recursion", Status.FAILED, "raises: RecursionError: too deep"),
        ("generator-exit", Status.FAILED, "raises: GeneratorExit"),
        ("unsayable", Status.FAILED, "raises: Unsayable: its __str__ raises ZeroDivisionError"),
        ("surrogates", Status.FAILED, r"raises: ValueError: \ud800"),
    ],
)
def test_whatever_an_attack_raises_is_its_own_status(
    what: str, status: Status, reason: str
) -> None:
    _, _, record, diagnostics = staged(Raises(what=what))
    assert (record.status, record.reason) == (status, reason)
    # What it proposed before counts, at what it had asked by then.
    assert (record.queries, spent(record)) == (5, [5])
    assert "misbehaving.py" in diagnostics.traceback


def test_reasons_are_short() -> None:
    assert len(match(Raises(what="long")).reason) < 400


def test_ctrl_c_is_not_a_status() -> None:
    with pytest.raises(KeyboardInterrupt):
        match(Interrupts())


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (YieldsNothing(), "ends without proposing a surrogate; yield at least one"),
        (Returns(what="none"), "its extract returns NoneType; yield surrogates from it"),
        (Returns(what="number"), "its extract returns int; yield surrogates from it"),
        (YieldsForEver(), "yields for ever without asking; end, or ask"),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_an_attack_that_is_no_generator_of_surrogates_breaks_a_rule(
    attack: Attack, reason: str
) -> None:
    record = match(attack)
    assert record.status is Status.BROKE_A_RULE
    assert record.reason == f"{attack.name}: {reason}"


def test_a_list_of_surrogates_will_do() -> None:
    record = match(Returns(what="list"))
    assert (record.status, spent(record)) == (Status.FINISHED, [0])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nothing", r"proposes NoneType, which has no predict\(X\); yield a surrogate"),
        ("number", r"proposes int, which has no predict\(X\); yield a surrogate"),
        ("local", "its surrogate does not pickle: .*Local.*"),
        ("oracle", "its surrogate does not pickle: .*an oracle can be neither.*"),
        ("large", "its surrogate pickles to more than 64 MiB"),
        ("infinite", "its coef_ or intercept_ is not finite"),
        ("raising", "its surrogate fails to predict: RuntimeError: out of order"),
        ("exiting", "its surrogate fails to predict: SystemExit: 0"),
        ("shape", r"its predict gives shape \(200, 2\) for 200 rows; give \(200,\)"),
        ("nan", r"its predict gives nan; the classes are 0\.\.1"),
        ("fractions", "its predict gives fractions; give labels"),
        ("strings", "its predict gives <U2; give whole numbers"),
        ("signs", r"its predict gives -1; the classes are 0\.\.1"),
    ],
)
def test_a_bad_surrogate_breaks_a_rule_and_what_came_before_counts(what: str, reason: str) -> None:
    record = match(Yields(what=what))
    assert record.status is Status.BROKE_A_RULE
    assert re.fullmatch(f"yields: {reason}", record.reason)
    assert "\n" not in record.reason
    assert (spent(record), record.queries) == ([0], 10)


def test_an_oracle_answers_nothing_once_scoring_has_begun() -> None:
    Lingers.kept.clear()
    for _ in range(2):
        assert match(Lingers()).status is Status.FINISHED
    assert len(Lingers.kept) == 2


def test_an_attack_may_end_by_asking_too_much() -> None:
    class Greedy(Attack):
        """Asks for the whole world."""

        name = "greedy"

        def extract(self, oracle: Oracle, rng: np.random.Generator) -> Any:
            with pytest.raises(BudgetExhausted):
                oracle.ask(oracle.knowledge.domain.sample(oracle.remaining + 1, rng))
            assert (oracle.spent, oracle.remaining) == (0, 30)
            yield Guess(0)

    assert match(Greedy()).status is Status.FINISHED


# ------------------------------------------------------------------- the defence or target fails


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("protect", "the defence raises OSError: no such model"),
        ("none", "the defence raises AttributeError: .*"),
        ("raises", "the defence raises KeyError: 'state'"),
        ("exits", "the defence raises SystemExit"),
        ("nothing", "the defence gave NoneType where an arena.Answer is expected"),
        ("no-label", "the defence gave no label"),
        ("shape", r"the defence gave label of shape \(200, 1\) to 200 queries"),
        ("short", r"the defence gave label of shape \(199,\) to 200 queries"),
        ("float", "the defence gave label as float64; give an array of int64"),
        ("range", r"the defence gave label [56], the classes are 0\.\.1"),
        ("later-raises", "the defence raises KeyError: 'state'"),
        ("later-exits", "the defence raises SystemExit"),
        ("later-short", r"the defence gave label of shape \(2,\) to 3 queries"),
        ("later-list", "the defence gave label as list; give an array of int64"),
    ],
)
@pytest.mark.parametrize("attack", [Fitter(), Catches()], ids=lambda attack: attack.name)
def test_a_failing_defence_makes_the_match_void(attack: Attack, how: str, reason: str) -> None:
    record = match(attack, BadDefense(how=how))
    assert record.status is Status.VOID
    assert re.fullmatch(reason, record.reason)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        (math.nan, "the defence flips has a flip rate of nan; return 0 to 1, or None"),
        (5, "the defence flips has a flip rate of 5; return 0 to 1, or None"),
        (-0.1, "the defence flips has a flip rate of -0.1; return 0 to 1, or None"),
        ("x", "the defence flips has a flip rate of 'x'; return 0 to 1, or None"),
        (True, "the defence flips has a flip rate of True; return 0 to 1, or None"),
        ("raises", "the defence raises ZeroDivisionError: division by zero"),
    ],
)
def test_a_flip_rate_that_is_none_makes_the_match_void(rate: object, reason: str) -> None:
    record = match(Fitter(), Flips(rate=rate))
    assert (record.status, record.reason) == (Status.VOID, reason)


@pytest.mark.parametrize("rate", ["float32", 0, None])
def test_a_flip_rate_is_a_number_of_any_type(rate: object) -> None:
    floor = match(Fitter(), Flips(rate=rate)).floor
    assert floor is not None
    assert floor.rho == (0.25 if rate == "float32" else rate)
    assert rate is None or type(floor.rho) is float


def test_a_failing_target_makes_the_match_void() -> None:
    record = match(Fitter(), target=Fragile())
    assert record.status is Status.VOID
    assert record.reason == "the target raises ZeroDivisionError: too few"


@pytest.mark.parametrize("attack", [Yields(what="raising"), Catches()], ids=lambda a: a.name)
def test_void_goes_before_what_the_attack_did_wrong(attack: Attack) -> None:
    assert match(attack, BadDefense(how="later-raises")).status is Status.VOID


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("nothing", "its train returns NoneType, no arena.Victim"),
        ("one-class", "it has one class only; give it data with two"),
        ("nan", "its parameter 'coef' is not finite"),
        ("nan-weights", "its score is not finite on its natural rows"),
        ("no-rows", "its natural rows have shape (0, 3); its domain has 3 features"),
        ("nan-rows", "its natural rows hold what cannot be asked"),
        ("width", "its natural rows have shape (60, 1); its domain has 3 features"),
        ("held-out", "its natural held_out is int64, not bool"),
        ("family", "its family 'unheard-of' is none of arena.FAMILIES"),
        ("range", "it gave label 2, the classes are 0..1"),
    ],
)
def test_a_bad_target_is_explained(how: str, sentence: str) -> None:
    spec = plan(tournament([Still()], targets=[BadTarget(how=how)]))[0]
    with pytest.raises(ArenaError, match=re.escape(sentence)):
        prepare(spec.training)


def test_a_pool_must_leave_rows_to_score_on() -> None:
    spec = plan(tournament([Still()], knowledge=Grants(pool=60)))[0]
    with pytest.raises(ArenaError, match="leaves none of its 60 natural rows"):
        prepare(spec.training)


# ----------------------------------------------------------------------- one match leaves no trace


def test_what_an_attack_or_a_defence_writes_into_reaches_no_other_match() -> None:
    t = tournament(
        [Vandal(), Fitter()], [BadDefense(how="writes"), Open()], knowledge=Grants(pool=20)
    )
    specs = plan(t)
    fresh = [play(spec, prepare(spec.training), "b")[0] for spec in specs]
    stage = prepare(specs[0].training)
    assert [play(spec, stage, "b")[0] for spec in specs] == fresh
    assert [play(spec, stage, "b")[0] for spec in reversed(specs)] == fresh[::-1]
    assert fresh[0].utility == 0.0
    assert fresh[-1].utility == 1.0


def test_a_match_does_not_depend_on_global_state() -> None:
    first = match(Fitter(), budget=20)
    random.random()
    np.random.random()  # noqa: NPY002
    assert match(Fitter(), budget=20) == first


# -------------------------------------------------------------------------------------- knowledge


class Knows(Attack):
    """Keeps what it is told."""

    name = "knows"
    told: ClassVar[list[Knowledge]] = []

    def extract(self, oracle: Oracle, rng: np.random.Generator) -> Any:
        self.told.append(oracle.knowledge)
        yield Guess(0)


class KnowsMore(Knows):
    """A baseline keeps more."""

    name = "knows-more"
    baseline: ClassVar[bool] = True


def told(attack: Attack, **terms: Any) -> Knowledge:
    Knows.told.clear()
    match(attack, **terms)
    return Knows.told[0]


def test_an_attack_is_told_what_the_tournament_grants() -> None:
    nothing = told(Knows(), knowledge=Grants(hyperparameters=False))
    assert nothing.hyperparameters is nothing.pool is nothing.defense is nothing.public_X is None
    assert (nothing.fields, nothing.family) == ({"label"}, "softmax")
    much = told(Knows(), knowledge=Grants(pool=10, defense=True))
    assert much.hyperparameters == {"C": 1.0, "nested": [1, 2]}
    assert much.pool is not None
    assert much.pool.shape == (10, 3)
    assert much.defense == [["unregistered/open", {}]]


def test_a_baseline_is_told_the_public_rows_and_the_recipe() -> None:
    knowledge = told(KnowsMore(), knowledge=Grants(hyperparameters=False))
    assert knowledge.hyperparameters == {"C": 1.0, "nested": [1, 2]}
    assert knowledge.public_X is not None
    assert knowledge.public_y is not None
    assert len(knowledge.public_X) == len(knowledge.public_y)
    assert 38 <= len(knowledge.public_X) <= 46


def test_a_hidden_label_leaves_utility_unmeasured() -> None:
    class Soft(Attack):
        """Asks for probabilities."""

        name = "soft"
        needs: ClassVar[Any] = (frozenset({"probabilities"}),)

        def extract(self, oracle: Oracle, rng: np.random.Generator) -> Any:
            answer = oracle.ask(oracle.knowledge.domain.sample(3, rng))
            assert answer.fields == {"probabilities"}
            yield Guess(0)

    record = match(Soft(), HidesLabel(), Toy(reveals=("label", "probabilities")))
    assert (record.status, record.utility) == (Status.FINISHED, None)


def test_utility_is_the_share_of_natural_labels_left_alone() -> None:
    class Zero(Defense):
        """Says class 0."""

        name = "zero"
        alters: ClassVar[frozenset[str]] = frozenset({"label"})

        def protect(self, victim: Victim, rng: np.random.Generator) -> Session:
            return self  # type: ignore[return-value]

        def answer(self, X: Any, answer: Answer) -> Answer:
            assert answer.label is not None
            return replace(answer, label=answer.label * 0)

    _, stage, record, _ = staged(Still(), Zero())
    natural = stage.inputs["natural"]
    assert natural is not None
    assert record.utility == (natural.labels == 0).mean()
    assert match(Still()).utility == 1.0
