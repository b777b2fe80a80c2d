"""Outlier refusal: honest queries are refused at the rate asked for, and T^2 is T^2."""

from __future__ import annotations

import numpy as np
import pytest
from linear_victims import content, halfspace, labels, protected, row_by_row, scores, trained
from numpy.typing import NDArray
from playground import MIXED, match
from pydantic import ValidationError
from scipy import stats

from arena import FIELDS, REFUSED, Answer, Dataset, Session, Victim
from arena.records import Status
from arena_plugins.attacks.line_search import LineSearch
from arena_plugins.attacks.random import Random
from arena_plugins.defenses.hotelling import Hotelling, student, two_sample
from arena_plugins.targets.halfspace import Halfspace

Floats = NDArray[np.float64]


def opened(victim: Victim, alpha: float = 0.05) -> Session:
    return Hotelling(alpha=alpha).protect(victim, np.random.default_rng(0))


def refused(victim: Victim, X: Floats, alpha: float = 0.05) -> float:
    share: float = (labels(protected(opened(victim, alpha), victim, X)) == REFUSED).mean()
    return share


@pytest.mark.parametrize("alpha", [0.02, 0.1])
@pytest.mark.parametrize("name", ["breast_cancer", "pima", "digits"])
def test_honest_queries_are_refused_at_about_alpha(name: str, alpha: float) -> None:
    shares, n = [], 0
    for seed in range(4):
        victim = trained(name, seed=seed)
        X = victim.natural.X[victim.natural.held_out]
        shares.append(refused(victim, X, alpha))
        n += len(X)
    assert abs(np.mean(shares) - alpha) < 5 * np.sqrt(2 * alpha * (1 - alpha) / n)


def test_few_rows_in_many_dimensions_do_not_fool_it() -> None:
    # 40 training rows in 15 dimensions: each is nearer to its own mean than any other will be.
    victim = halfspace(np.ones(15))
    fresh = np.random.default_rng(9).standard_normal((2_000, 15))
    assert refused(victim, fresh, alpha=0.2) < 0.35


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris"])
def test_synthesised_queries_are_refused(name: str) -> None:
    victim = trained(name, "box")
    X = victim.domain.sample(500, np.random.default_rng(0))
    assert refused(victim, X) > 0.8
    assert refused(victim, victim.natural.X) < 0.08


def test_what_no_natural_row_does_is_refused() -> None:
    victim = trained("digits")
    constant = np.flatnonzero(np.ptp(victim.natural.X, axis=0) == 0)
    assert constant.size
    X = victim.natural.X[:50].copy()
    assert refused(victim, X) < 0.2
    X[:, constant[0]] = 0.1
    assert refused(victim, X) == 1


def test_a_query_beside_the_mean_passes_and_its_label_with_it() -> None:
    victim = trained("digits")
    X = victim.domain.sample(300, np.random.default_rng(0))
    assert refused(victim, X) > 0.9
    after = protected(opened(victim), victim, X / 1000)
    assert np.array_equal(labels(after), labels(victim.answer(X)))


def test_refused_rows_tell_nothing_and_the_others_are_the_models() -> None:
    victim = trained("breast_cancer")
    X = np.ascontiguousarray(np.r_[victim.natural.X[:100], 9 * victim.natural.X[:100]])
    label, k = labels(victim.answer(X)), np.arange(200)
    given = Answer(label, np.full((200, 2), 0.5), scores(victim.answer(X)), k, k * 0.5)
    after = opened(victim).answer(X, given)
    assert after.fields == set(FIELDS)
    gone = labels(after) == REFUSED
    assert gone[:100].mean() < 0.2 < 0.9 < gone[100:].mean()
    assert content(after.rows(~gone)) == content(given.rows(~gone))
    for name, array in after.rows(gone).arrays().items():
        assert (array == REFUSED if name in ("label", "leaf") else np.isnan(array)).all()


def test_answers_do_not_depend_on_batches() -> None:
    victim = trained("breast_cancer")
    X = victim.natural.X[:40]
    assert content(protected(opened(victim), victim, X)) == row_by_row(opened(victim), victim, X)


def test_categories_are_measured_as_they_are_encoded() -> None:
    victim = halfspace(np.arange(1.0, 6.0), domain=MIXED)
    rows = victim.natural.X
    assert refused(victim, rows) < 0.2
    assert refused(victim, rows + np.array([40.0, 0.0, 0.0])) == 1


def test_few_rows_refuse_nobody_at_a_level_they_cannot_tell() -> None:
    victim = halfspace([1.0, 1.0])
    assert refused(victim, 1e9 * np.ones((1, 2)), alpha=0.01) == 0
    assert refused(victim, 1e9 * np.ones((1, 2)), alpha=0.1) == 1


def test_attacks_live_with_refusals() -> None:
    target = Halfspace(dataset=Dataset.model_validate("iris"), space="box")
    for attack in (Random(), LineSearch()):
        record = match(attack, Hotelling(alpha=0.2), target, budget=60)
        assert (record.status, record.queries) == (Status.EXHAUSTED, 60)
        assert record.utility is not None
        assert 0.5 < record.utility < 0.95
        assert record.floor is not None
        assert record.floor.rho is None


def test_traits_and_mistakes() -> None:
    assert Hotelling().traits.alters == set(FIELDS)
    assert not Hotelling().traits.hides
    assert Hotelling().flip_rate() is None
    for wrong in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValidationError):
            Hotelling(alpha=wrong)


# ----------------------------------------------------------------------------------- two samples


def test_in_one_dimension_it_is_students_t_squared() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 1)), rng.standard_normal((12, 1)) + 0.6
    test, t = two_sample(X, Y), stats.ttest_ind(X[:, 0], Y[:, 0])
    assert np.isclose(test.t2, t.statistic**2)
    assert np.isclose(test.f, test.t2)
    assert test.dof == (1, 40)
    assert np.isclose(test.p, t.pvalue)


def test_it_is_the_closed_form() -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((40, 5)) @ rng.standard_normal((5, 5)), rng.random((25, 5))
    gap = X.mean(axis=0) - Y.mean(axis=0)
    S = (39 * np.cov(X.T) + 24 * np.cov(Y.T)) / 63
    t2 = 40 * 25 / 65 * gap @ np.linalg.inv(S) @ gap
    test = two_sample(X, Y)
    assert np.isclose(test.t2, t2)
    assert np.isclose(test.f, t2 * (65 - 5 - 1) / (63 * 5))
    assert test.dof == (5, 59)
    assert np.isclose(test.p, stats.f.sf(test.f, 5, 59))
    assert np.allclose(two_sample(X * 9 + 4, Y * 9 + 4)[:2], test[:2])
    assert np.isclose(two_sample(Y, X).t2, t2)


def test_its_p_is_uniform_when_means_are_equal() -> None:
    rng = np.random.default_rng(2)
    ps = [two_sample(*rng.standard_normal((2, 20, 4))).p for _ in range(400)]
    assert stats.kstest(ps, "uniform").pvalue > 1e-3


def test_directions_that_do_not_vary() -> None:
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((30, 3)), rng.standard_normal((30, 3))
    flat = [np.c_[Z, np.ones(30), Z[:, 0]] for Z in (X, Y)]
    assert np.allclose(two_sample(*flat)[:2], two_sample(X, Y)[:2])
    apart = two_sample(np.c_[X, np.zeros(30)], np.c_[Y, np.ones(30)])
    assert (apart.t2, apart.p) == (np.inf, 0)
    with pytest.raises(ValueError, match="too few for a T\\^2 in 3 dimensions"):
        two_sample(X[:2], Y[:2])


# ------------------------------------------------------------------------------- Tables 6 and 7

PUBLISHED = [(14.24, 198, 3.70e-32), (9.71, 92, 9.22e-16), (22.16, 599, 5.92e-80)]
PUBLISHED += [(467.43, 133, 9.64e-216), (65.74, 222, 1.58e-147)]


@pytest.mark.parametrize(("t", "dof", "p"), PUBLISHED)
def test_published_ps_are_students(t: float, dof: int, p: float) -> None:
    # The printed t has two digits.
    low, high = (stats.t.logsf(t + shift, dof) for shift in (0.02, -0.02))
    assert low <= np.log(p / 2) <= high


def test_student_is_a_t_test_of_distances() -> None:
    rng = np.random.default_rng(4)
    natural = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 3))
    queries = rng.standard_normal((50, 3))
    S = np.linalg.inv(np.cov(natural.T))
    d, e = (
        np.einsum("ij,jk,ik->i", Z - natural.mean(axis=0), S, Z - natural.mean(axis=0))
        for Z in (queries, natural)
    )
    expected = stats.ttest_1samp(d, e.mean())
    t, dof, p = student(queries, natural)
    assert np.isclose(t, expected.statistic, rtol=1e-3)
    assert dof == 49
    assert np.isclose(p, expected.pvalue, rtol=1e-2)
    with pytest.raises(ValueError, match="at least two"):
        student(queries[:1], natural)


def test_queries_on_the_sphere_differ_in_distance_and_not_in_their_mean() -> None:
    victim = trained("breast_cancer")
    natural = victim.natural.X[~victim.natural.held_out]
    queries = victim.domain.sample(199, np.random.default_rng(0))
    assert student(queries, natural)[2] < 1e-20
    assert two_sample(queries, natural).p > 0.5
