from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_iris
from sklearn.svm import SVC

from arena.learners.dual_active_set import DualActiveSet, PinnedCholesky, _longest_step
from arena.learners.kernel_svm import KernelSVC, KernelSVM, rbf_kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Problem:
    X: Floats
    y: Ints
    gamma: float
    C: float


def draw_problem(seed: int, n: int, d: int, gamma: float, C: float, noise: float) -> Problem:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, d))
    y = np.where(X @ rng.normal(size=d) + 0.3 * np.sin(3 * X[:, 0]) > 0, 1, -1)
    y[rng.random(n) < noise] *= -1
    y[:2] = 1, -1
    return Problem(X, y, gamma, C)


def problems(C: list[float], noise: list[float]) -> st.SearchStrategy[Problem]:
    return st.builds(
        draw_problem,
        seed=st.integers(0, 2**32 - 1),
        n=st.integers(2, 90),
        d=st.sampled_from([1, 2, 8, 30, 100]),
        gamma=st.floats(np.log(1e-3), np.log(8)).map(lambda exponent: float(np.exp(exponent))),
        C=st.sampled_from(C),
        noise=st.sampled_from(noise),
    )


def fit(problem: Problem, batch: int = 1) -> KernelSVM:
    svm = KernelSVM(problem.gamma, problem.C)
    for start in range(0, len(problem.X), batch):
        svm.add(problem.X[start : start + batch], problem.y[start : start + batch])
        assert svm.converged
    return svm


def exact_kernel(problem: Problem) -> Floats:
    differences = problem.X[:, None, :] - problem.X[None, :, :]
    kernel: Floats = np.exp(-problem.gamma * (differences**2).sum(axis=2))
    return kernel


def kkt_violation(problem: Problem, svm: KernelSVM) -> float:
    alpha = svm.coef * problem.y
    excess = problem.y * (exact_kernel(problem) @ svm.coef + svm.intercept) - 1
    below = -excess[alpha < problem.C]
    above = excess[alpha > 0]
    return float(max(below.max(initial=0), above.max(initial=0)))


def dual_objective(problem: Problem, coef: Floats) -> float:
    return float(coef @ problem.y - 0.5 * coef @ exact_kernel(problem) @ coef)


def assert_feasible(problem: Problem, svm: KernelSVM) -> None:
    alpha = svm.coef * problem.y
    assert (alpha >= 0).all()
    assert (alpha <= problem.C).all()
    assert abs(svm.coef.sum()) <= 1e-9 * problem.C * len(alpha)


class TestOptimality:
    @settings(max_examples=60, deadline=None)
    @given(problems(C=[0.01, 1, 32, 1e5], noise=[0, 0.1, 0.5]))
    @example(draw_problem(75905366, 14, 2, 1e-3, 1.0, 0.5))
    @example(draw_problem(317232450, 22, 2, 0.15238860045268035, 0.01, 0.5))
    def test_every_solution_meets_the_kkt_conditions(self, problem: Problem) -> None:
        svm = fit(problem)
        assert_feasible(problem, svm)
        assert kkt_violation(problem, svm) < 3e-5

    @settings(max_examples=40, deadline=None)
    @given(problems(C=[1, 32], noise=[0, 0.1]))
    def test_decisions_agree_with_libsvm(self, problem: Problem) -> None:
        svm = fit(problem)
        reference = SVC(gamma=problem.gamma, C=problem.C, tol=1e-8).fit(problem.X, problem.y)
        Z = np.random.default_rng(0).uniform(-1, 1, (50, problem.X.shape[1]))
        ours, theirs = svm.decision(Z), reference.decision_function(Z)
        alpha = np.abs(svm.coef)
        if not ((alpha > 1e-6 * problem.C) & (alpha < (1 - 1e-6) * problem.C)).any():
            # Without free rows the intercept may lie anywhere in an interval.
            ours, theirs = ours - svm.intercept, theirs - reference.intercept_[0]
        assert np.abs(ours - theirs).max() < 1e-3

    @settings(max_examples=25, deadline=None)
    @given(
        st.builds(
            draw_problem,
            seed=st.integers(0, 2**32 - 1),
            n=st.integers(2, 90),
            d=st.sampled_from([8, 30, 100]),
            gamma=st.floats(0.2, 8.0),
            C=st.just(1e5),
            noise=st.just(0.0),
        )
    )
    def test_hard_margins_agree_with_libsvm(self, problem: Problem) -> None:
        svm = fit(problem)
        reference = SVC(gamma=problem.gamma, C=problem.C, tol=1e-8).fit(problem.X, problem.y)
        Z = np.random.default_rng(0).uniform(-1, 1, (50, problem.X.shape[1]))
        assert np.abs(svm.decision(Z) - reference.decision_function(Z)).max() < 1e-3

    @settings(max_examples=25, deadline=None)
    @given(problems(C=[1, 32, 1e3], noise=[0, 0.1]))
    def test_the_dual_objective_is_not_below_libsvm(self, problem: Problem) -> None:
        svm = fit(problem)
        reference = SVC(gamma=problem.gamma, C=problem.C, tol=1e-6).fit(problem.X, problem.y)
        coef = np.zeros(len(problem.X))
        coef[reference.support_] = reference.dual_coef_[0]
        # Each violation of at most tol costs at most tol * alpha.
        slack = 1e-5 * np.abs(coef).sum()
        assert dual_objective(problem, svm.coef) >= dual_objective(problem, coef) - slack

    @settings(max_examples=15, deadline=None)
    @given(problems(C=[1, 1e5], noise=[0, 0.1]), st.integers(2, 100))
    def test_batches_end_where_single_rows_do(self, problem: Problem, batch: int) -> None:
        one, many = fit(problem), fit(problem, batch)
        slack = 1e-5 * np.abs(one.coef).sum()
        difference = dual_objective(problem, one.coef) - dual_objective(problem, many.coef)
        assert abs(difference) <= slack
        assert kkt_violation(problem, many) < 3e-5

    @pytest.mark.parametrize("C", [1.0, 1e5])
    def test_a_larger_problem_that_outgrows_every_buffer(self, C: float) -> None:
        problem = draw_problem(3, 300, 4, 0.25, C, 0.05)
        svm = fit(problem)
        assert_feasible(problem, svm)
        assert kkt_violation(problem, svm) < 3e-5


class TestDegenerateData:
    @pytest.mark.parametrize("C", [1.0, 1e5])
    @pytest.mark.parametrize("batch", [1, 40])
    def test_repeated_rows_with_contradictory_labels(self, C: float, batch: int) -> None:
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (10, 3))[rng.integers(10, size=40)]
        problem = Problem(X, rng.choice([-1, 1], size=40), 0.5, C)
        svm = fit(problem, batch)
        assert_feasible(problem, svm)
        assert kkt_violation(problem, svm) < 3e-5

    def test_one_contradicted_row_lies_on_the_boundary(self) -> None:
        svm = KernelSVM(1.0, 1e5)
        svm.add([[0.5], [0.5]], [1, -1])
        assert svm.decision([[0.5]]) == pytest.approx(0, abs=1e-6)
        assert np.abs(svm.coef) == pytest.approx(1e5)

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_one_class_is_constant(self, sign: int) -> None:
        svm = KernelSVM(1.0, 1.0)
        for x in (0.0, 1.0, 1.0):
            svm.add([[x]], [sign])
        assert svm.decision([[0.0], [9.0]]).tolist() == [sign, sign]
        assert not svm.coef.any()

    def test_a_second_class_ends_the_constant(self) -> None:
        svm = KernelSVM(1.0, 10.0)
        svm.add([[0.0], [0.1]], [1, 1])
        svm.add([[3.0]], [-1])
        assert np.sign(svm.decision([[0.0], [0.1], [3.0]])).tolist() == [1, 1, -1]

    def test_before_any_row(self) -> None:
        svm = KernelSVM(1.0, 1.0)
        svm.add(np.zeros((0, 2)), np.zeros(0))
        assert svm.decision([[0.0, 1.0]]).tolist() == [0]

    @pytest.mark.parametrize("offset", [1e5, 1e6, 1e7, 1e8])
    def test_rows_far_from_the_origin_neither_hang_nor_warn(self, offset: float) -> None:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 2))
        svm = KernelSVM(1e-3, 1e5)
        for x, y in zip(X, np.where(X[:, 0] + X[:, 1] ** 2 > 1, 1, -1), strict=True):
            svm.add(x[None, :] + offset, [y])
        assert np.isfinite(svm.decision(X + offset)).all()
        assert (np.abs(svm.coef) <= 1e5).all()

    def test_equal_histories_give_equal_bits(self) -> None:
        problem = draw_problem(5, 80, 8, 0.125, 1e5, 0.1)
        first, second = fit(problem), fit(problem)
        assert first.coef.tobytes() == second.coef.tobytes()
        assert first.intercept == second.intercept


class TestInvalidInput:
    @pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
    @pytest.mark.parametrize("name", ["gamma", "C", "tol"])
    @pytest.mark.parametrize("kind", [KernelSVM, KernelSVC])
    def test_parameters(self, kind: type, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=name):
            kind(**{"gamma": 1.0, "C": 1.0, name: value})

    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            ([0.0, 1.0], [1, 1], "shape"),
            ([[0.0], [1.0]], [1, 1], "shape"),
            ([[0.0, 1.0]], [1, 1], "shape"),
            ([[0.0, np.nan]], [1], "finite"),
            ([[0.0, 1.0]], [0.5], "integers"),
            ([[0.0, 1.0]], [-2], "labels"),
        ],
    )
    @pytest.mark.parametrize("kind", [KernelSVM, KernelSVC])
    def test_rows_and_labels(self, kind: type, X: object, y: object, message: str) -> None:
        learner = kind(1.0, 1.0)
        learner.add([[0.0, 0.0], [1.0, 1.0]], [1, 1])
        with pytest.raises(ValueError, match=message):
            learner.add(X, y)
        learner.add([[0.5, 0.5]], [1])
        assert len(learner.decision([[0.0, 0.0]])) == 1

    @pytest.mark.parametrize("Z", [[0.0, 1.0], [[0.0]]])
    def test_rows_to_decide(self, Z: ArrayLike) -> None:
        svm, svc = KernelSVM(1.0, 1.0), KernelSVC(1.0, 1.0)
        svm.add([[0.0, 0.0]], [1])
        svc.add([[0.0, 0.0]], [1])
        for decision in (svm.decision, svc.decision, svc.margin, svc.predict):
            with pytest.raises(ValueError, match="shape"):
                decision(Z)


def iris() -> tuple[Floats, Ints]:
    X, labels = load_iris(return_X_y=True)
    order = np.argsort(labels, kind="stable")
    scaled: Floats = 2 * (X - X.min(axis=0)) / np.ptp(X, axis=0) - 1
    return scaled[order], 10 * labels[order].astype(np.int64) + 3


class TestClassifier:
    def test_late_classes_end_at_one_machine_per_class(self) -> None:
        X, labels = iris()
        svc = KernelSVC(0.5, 1.0)
        for start in range(0, len(X), 7):
            svc.add(X[start : start + 7], labels[start : start + 7])
        assert svc.classes == (3, 13, 23)
        values = svc.decision(X)
        assert values.shape == (150, 3)
        for column, label in zip(values.T, svc.classes, strict=True):
            alone = SVC(gamma=0.5, C=1.0, tol=1e-8).fit(X, labels == label)
            assert np.abs(column - alone.decision_function(X)).max() < 1e-3
        assert svc.converged
        assert (svc.predict(X) == labels).mean() > 0.95

    def test_two_classes_share_one_machine_signed_for_the_larger_label(self) -> None:
        X, labels = iris()
        X, labels = X[50:][::-1], labels[50:][::-1]
        svc, svm = KernelSVC(0.5, 1.0), KernelSVM(0.5, 1.0)
        for start in range(0, len(X), 9):
            svc.add(X[start : start + 9], labels[start : start + 9])
        svm.add(X, np.where(labels == 23, 1, -1))
        assert np.abs(svc.decision(X) - svm.decision(X)).max() < 1e-4
        assert np.array_equal(svc.margin(X), np.abs(svc.decision(X)))
        assert np.array_equal(svc.predict(X), np.where(svc.decision(X) > 0, 23, 13))
        assert svc.predict(X).dtype == np.int64

    def test_a_smaller_label_that_appears_second_becomes_the_negative_class(self) -> None:
        svc = KernelSVC(1.0, 10.0)
        svc.add([[0.0], [0.2]], [7, 7])
        svc.add([[2.0]], [4])
        assert svc.classes == (4, 7)
        assert svc.predict([[0.0], [2.0]]).tolist() == [7, 4]

    def test_the_multiclass_margin_is_the_lead_of_the_best_class(self) -> None:
        X, labels = iris()
        svc = KernelSVC(0.5, 1.0)
        svc.add(X, labels)
        values = np.sort(svc.decision(X), axis=1)
        assert np.array_equal(svc.margin(X), values[:, 2] - values[:, 1])

    def test_one_class_has_no_boundary(self) -> None:
        svc = KernelSVC(1.0, 1.0)
        svc.add([[0.0], [1.0]], [5, 5])
        Z = [[0.0], [8.0]]
        assert svc.decision(Z).tolist() == [0, 0]
        assert svc.margin(Z).tolist() == [0, 0]
        assert svc.predict(Z).tolist() == [5, 5]

    def test_no_class_cannot_predict(self) -> None:
        svc = KernelSVC(1.0, 1.0)
        assert svc.classes == ()
        assert svc.margin([[0.0]]).tolist() == [0]
        with pytest.raises(ValueError, match="no class"):
            svc.predict([[0.0]])


class TestSnapshot:
    def test_later_rows_do_not_change_it(self) -> None:
        X, labels = iris()
        svc = KernelSVC(0.5, 1.0)
        svc.add(X[:120], labels[:120])
        snapshot = svc.snapshot()
        before, values = pickle.dumps(snapshot), snapshot.decision(X)
        svc.add(X[120:], labels[120:])
        assert pickle.dumps(snapshot) == before
        assert np.array_equal(snapshot.decision(X), values)
        assert not np.array_equal(svc.decision(X), values)

    def test_it_cannot_be_changed(self) -> None:
        svc = KernelSVC(0.5, 1.0)
        svc.add([[0.0], [1.0]], [0, 1])
        snapshot = svc.snapshot()
        with pytest.raises(dataclasses.FrozenInstanceError):
            snapshot.gamma = 1.0  # type: ignore[misc]
        for name in ("support_vectors", "coefficients", "intercepts", "classes"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(snapshot, name)[...] = 0

    @pytest.mark.parametrize("classes", [2, 3])
    def test_it_survives_pickling_and_holds_support_vectors_only(self, classes: int) -> None:
        X, labels = iris()
        X, labels = X[: 50 * classes], labels[: 50 * classes]
        svc = KernelSVC(0.5, 100.0)
        svc.add(X, labels)
        packed = pickle.dumps(svc.snapshot())
        copy = pickle.loads(packed)
        assert np.array_equal(copy.decision(X), svc.decision(X))
        assert np.array_equal(copy.predict(X), svc.predict(X))
        assert copy.coefficients.any(axis=0).all()
        assert len(copy.support_vectors) < len(X) / 2
        assert len(packed) < 8 * copy.support_vectors.size + 8 * copy.coefficients.size + 1000


class TestPinnedCholesky:
    def test_steps_solve_the_constrained_system_after_any_edits(self) -> None:
        rng = np.random.default_rng(1)
        X = rng.uniform(-1, 1, (70, 3))
        kernel = rbf_kernel(X, X, 2.0)
        factor = PinnedCholesky(1e-8)
        for m in range(70):
            factor.append(kernel[m, :m], 1.0)
            if m % 3 == 2:
                factor.pin(m - 1)
            if m % 12 == 11:
                factor.unpin(factor.pinned[1])
        free = factor.free > 0
        assert free.sum() == factor.free_count < 70
        residual = rng.normal(size=70) * free
        expected = np.zeros(70)
        expected[free] = dense_step(kernel[np.ix_(free, free)], residual[free])
        step = factor.step(factor.half_solve(residual))
        assert step == pytest.approx(expected, abs=1e-6 * np.abs(expected).max())

        factor.rebuild(kernel[np.ix_(free, free)])
        assert factor.free_count == factor.size == free.sum()
        step = factor.step(factor.half_solve(residual[free]))
        assert step == pytest.approx(expected[free], abs=1e-6 * np.abs(expected).max())

    def test_a_kernel_that_is_not_positive_definite_gets_a_larger_ridge(self) -> None:
        factor = PinnedCholesky(1e-10)
        factor.rebuild(np.array([[1.0, 1.0001], [1.0001, 1.0]]))
        # The eigenvalue -1e-4 of (1, -1) is lifted by 1e-3.
        half = factor.half_solve(np.array([1.0, -1.0]))
        assert half @ half == pytest.approx(2 / 9e-4)


def test_steps_too_small_to_divide_by_meet_no_bound() -> None:
    zero, one = np.zeros(2), np.ones(2)
    with np.errstate(all="raise"):
        assert _longest_step(zero, np.array([0.0, 1e-310]), -one, one) == (1.0, None)
        assert _longest_step(zero, np.array([0.5, -4.0]), -one, one) == (0.25, 1)


def dense_step(kernel: Floats, residual: Floats) -> Floats:
    m = len(kernel)
    system = np.ones((m + 1, m + 1))
    system[0, 0] = 0.0
    system[1:, 1:] = kernel + 1e-8 * np.eye(m)
    return np.linalg.solve(system, np.concatenate([[0.0], residual]))[1:]


def test_the_iteration_cap_leaves_a_feasible_point(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = draw_problem(0, 60, 3, 0.5, 10.0, 0.1)
    monkeypatch.setattr("arena.learners.dual_active_set.iteration_cap", lambda size: 5)
    solver = DualActiveSet(problem.C, 1e-5)
    solver.extend(exact_kernel(problem), problem.y.astype(np.float64))
    assert not solver.converged
    alpha = solver.coef * problem.y
    assert (alpha >= 0).all()
    assert (alpha <= problem.C).all()
    assert solver.coef.sum() == pytest.approx(0, abs=1e-9)
    assert dual_objective(problem, solver.coef) > 0
