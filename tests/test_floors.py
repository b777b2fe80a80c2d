from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.floors import information_floor, label_floor
from arena.records import FloorTerms, Goal

GEOMETRIC = Goal("geometric-error", "natural", (1e-4,))
UNIFORM = Goal("fidelity", "uniform", (0.99,))


def halfspace(
    width: int = 30,
    homogeneous: bool = True,
    rho: float | None = 0.0,
    fields: tuple[str, ...] = ("label",),
    family: str = "halfspace",
) -> FloorTerms:
    return FloorTerms(family, width, homogeneous, rho, fields)


def test_values_of_a_regression_are_equations() -> None:
    exact, loose = Goal("parameter-error", "natural", (1e-6,)), Goal("r2", "natural", (0.9,))
    open_ = halfspace(10, False, 0.0, ("value",), "linear-regression")
    assert information_floor(open_, exact, 1e-6) == 11
    assert information_floor(open_, loose, 0.9) is None
    noisy = halfspace(10, False, 0.0, (), "linear-regression")
    assert information_floor(noisy, exact, 1e-6) is None


@pytest.mark.parametrize(
    ("d", "chord", "labels"),
    [
        (13, 1e-4, 163),
        (14, 1e-4, 176),
        (30, 1e-4, 389),
        (64, 1e-4, 841),
        (13, 1e-3, 123),
        (14, 1e-3, 133),
        (30, 1e-3, 293),
        (64, 1e-3, 632),
    ],
)
def test_measured_floors_of_halfspaces(d: int, chord: float, labels: int) -> None:
    floor = information_floor(halfspace(d), GEOMETRIC, chord)
    assert floor is not None
    assert round(floor) == labels


def test_on_the_circle_the_floor_is_the_share_of_an_arc() -> None:
    floor = label_floor(2, 2 * math.sin(0.01 / 2), 0.0)
    assert floor == pytest.approx(math.log2(math.pi / 0.01))


def test_on_the_sphere_the_cap_has_archimedes_area() -> None:
    # A cap of height h has area 2 pi h, and h = chord^2 / 2.
    for chord in (1e-8, 0.3, 1.3, 1.7):
        assert label_floor(3, chord, 0.0) == pytest.approx(math.log2(4 / chord**2))


def test_high_dimension_and_fine_chord_do_not_underflow() -> None:
    floor = label_floor(1000, 1e-8, 0.0)
    # For small caps the share is chord^(d-1) / ((d-1) B((d-1)/2, 1/2)), up to chord^2.
    log_beta = math.lgamma(499.5) + math.lgamma(0.5) - math.lgamma(500)
    expected = (-999 * math.log(1e-8) + math.log(999) + log_beta) / math.log(2)
    assert floor == pytest.approx(expected, rel=1e-12)


def test_the_logarithmic_branch_continues_the_plain_one() -> None:
    chords = [0.60 + 0.001 * i for i in range(60)]
    floors = [label_floor(1000, chord, 0.0) or 0.0 for chord in chords]
    steps = [a - b for a, b in itertools.pairwise(floors)]
    assert all(a > b > 0 for a, b in itertools.pairwise(steps))


def test_in_one_dimension_one_label_tells_all() -> None:
    assert label_floor(1, 1e-9, 0.0) == 1
    assert label_floor(1, 2.0, 0.0) == 0


def test_flips_divide_by_the_capacity() -> None:
    entropy = -(0.1 * math.log2(0.1) + 0.9 * math.log2(0.9))
    clean, noisy = label_floor(30, 1e-3, 0.0), label_floor(30, 1e-3, 0.1)
    assert clean is not None
    assert noisy == pytest.approx(clean / (1 - entropy))


def test_no_number_of_labels_suffices() -> None:
    assert label_floor(30, 0.0, 0.0) is None
    assert label_floor(30, 1e-3, 0.5) is None


def test_uniform_fidelity_of_a_homogeneous_halfspace_is_an_angle() -> None:
    chord = 2 * math.sin(math.pi * 0.01 / 2)
    expected = label_floor(30, chord, 0.0)
    assert information_floor(halfspace(), UNIFORM, 0.99) == pytest.approx(expected)
    assert information_floor(halfspace(), UNIFORM, 1.0) is None
    assert information_floor(halfspace(), UNIFORM, 0.5) == pytest.approx(1)


def test_an_intercept_is_one_more_weight() -> None:
    affine = halfspace(homogeneous=False)
    assert information_floor(affine, GEOMETRIC, 1e-4) == label_floor(31, 1e-4, 0.0)


@pytest.mark.parametrize("field", ["score", "probabilities"])
def test_real_answers_of_a_linear_family_give_equations(field: str) -> None:
    fields = ("label", field)
    for family in ("halfspace", "softmax"):
        affine = halfspace(homogeneous=False, fields=fields, family=family)
        assert information_floor(affine, GEOMETRIC, 1e-4) == 31
        assert information_floor(halfspace(fields=fields, family=family), GEOMETRIC, 1e-4) == 30
    assert information_floor(halfspace(fields=fields), UNIFORM, 0.99) == 30
    parameters = Goal("parameter-error", "natural", (1e-6,))
    assert information_floor(halfspace(fields=fields), parameters, 1e-6) == 30


def test_a_loose_level_asks_for_fewer_equations() -> None:
    # From m exact answers the angle's squared cosine is m/d on average.
    real = halfspace(fields=("label", "score"))
    for level, answers in ((1e-4, 30), (0.3, 28), (1.2, 3)):
        assert information_floor(real, GEOMETRIC, level) == answers
    drawn = np.random.default_rng(0).standard_normal((4000, 30))
    known = np.square(drawn[:, :28]).sum(axis=1) / np.square(drawn).sum(axis=1)
    assert known.mean() == pytest.approx((1 - 0.3**2 / 2) ** 2, abs=0.03)


def test_the_floor_is_the_smaller_one_of_labels_and_equations() -> None:
    wide = information_floor(halfspace(fields=("label", "score")), GEOMETRIC, 1.4)
    labels = information_floor(halfspace(), GEOMETRIC, 1.4)
    assert labels is not None
    assert wide == min(labels, 1.0)


def test_no_floor_is_known_of_distorted_real_answers() -> None:
    rounded = replace(halfspace(), distorted=("probabilities",))
    assert information_floor(rounded, GEOMETRIC, 1e-3) is None
    flipped = replace(halfspace(), distorted=("label",))
    assert information_floor(flipped, GEOMETRIC, 1e-3) is not None


@pytest.mark.parametrize(
    ("terms", "goal"),
    [
        (halfspace(), Goal("fidelity", "natural")),
        (halfspace(homogeneous=False), Goal("fidelity", "balanced")),
        (halfspace(fields=("label", "score")), Goal("fidelity", "natural")),
        (halfspace(), Goal("accuracy", "uniform")),
        (halfspace(), Goal("parameter-error", "uniform")),
        (halfspace(homogeneous=False), UNIFORM),
        (halfspace(homogeneous=False, fields=("probabilities",)), UNIFORM),
        (halfspace(rho=None), UNIFORM),
        (halfspace(rho=None, fields=("score",)), GEOMETRIC),
        (halfspace(family="softmax"), GEOMETRIC),
        (halfspace(family="kernel-svm", fields=("score",)), GEOMETRIC),
        (halfspace(family="tree", fields=("label", "leaf")), UNIFORM),
        (halfspace(width=0), GEOMETRIC),
    ],
)
def test_theory_gives_no_floor(terms: FloorTerms, goal: Goal) -> None:
    assert information_floor(terms, goal, 0.9) is None


@given(st.integers(1, 1000), st.floats(1e-8, 2.5), st.floats(1e-8, 2.5), st.floats(0, 0.49))
def test_finer_is_never_cheaper(d: int, one: float, other: float, rho: float) -> None:
    fine, coarse = sorted((one, other))
    floors = label_floor(d, fine, rho), label_floor(d, coarse, rho)
    assert floors[0] is not None
    assert floors[1] is not None
    assert floors[0] >= floors[1] * (1 - 1e-9) >= 0
    assert math.isfinite(floors[0])


@pytest.mark.parametrize("level", [0.8, 0.9, 0.99])
def test_a_halfspace_through_the_centre_halves_the_sphere(level: float) -> None:
    balanced = information_floor(halfspace(), Goal("fidelity", "balanced"), level)
    assert balanced == information_floor(halfspace(), UNIFORM, level)
    assert balanced is not None
