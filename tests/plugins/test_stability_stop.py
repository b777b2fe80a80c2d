"""Stability stopping: when it ends what it wraps, what it passes on, and Table 5."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from normals import Recorder, error, play, random_normal
from numpy.random import Generator
from pydantic import ValidationError

from arena import Attack, LinearSurrogate, Oracle, Surrogate, recipes
from arena_plugins.attacks.disagreement import Disagreement
from arena_plugins.attacks.equation_solving import EquationSolving
from arena_plugins.attacks.stability_stop import StabilityStop
from arena_plugins.attacks.version_space import VersionSpace


class Scripted(Attack):
    """Turns its normal by given angles, a query each; asks none for an angle of -1."""

    name = "scripted"
    angles: tuple[float, ...]
    constant_at: int = -1

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        at, domain = 0.0, oracle.knowledge.domain
        for n, angle in enumerate(self.angles):
            if angle >= 0:
                oracle.ask(domain.sample(1, rng))
                at += angle
            if n == self.constant_at:
                yield recipes.Constant(0)
            elif oracle.checkpoint_due:
                w = np.array([[np.cos(at), np.sin(at)]])
                yield LinearSurrogate(domain, w, np.zeros(1))


def ended_at(rounds: int, *angles: float, growth: float = 1.0, constant_at: int = -1) -> int:
    inner = Scripted(angles=angles, constant_at=constant_at)
    door = Recorder(random_normal(2, 0), 100, growth=growth)
    curve = play(StabilityStop(attack=inner, tau=0.1, rounds=rounds), door)
    assert curve[-1][0] == door.spent
    return door.spent


@pytest.mark.parametrize("growth", [1.0, 1e9])
def test_it_ends_after_n_stable_rounds_in_a_row(growth: float) -> None:
    far, near = 0.5, 0.01
    assert ended_at(1, far, near, far, growth=growth) == 2
    assert ended_at(2, far, near, near, near, growth=growth) == 3
    assert ended_at(2, far, near, far, near, near, near, growth=growth) == 5
    assert ended_at(3, far, near, near, far, near, growth=growth) == 5


def test_a_proposal_without_a_query_is_no_round() -> None:
    assert ended_at(2, 0.5, 0.01, -1, -1, -1, 0.01, 0.01) == 3


def test_what_is_no_halfspace_is_not_stable() -> None:
    near = (0.01,) * 9
    assert ended_at(3, *near) == 4
    assert ended_at(3, *near, constant_at=2) == 7


def test_it_passes_on_what_is_wanted_and_the_last() -> None:
    victim = random_normal(6, 0)
    bare = play(VersionSpace(), Recorder(victim, 200, growth=1.3))
    stopping = StabilityStop(attack=VersionSpace(), tau=1e-2)
    door = Recorder(victim, 200, growth=1.3)
    wrapped = play(stopping, door)
    assert door.spent < 100
    assert [n for n, _ in wrapped[:-1]] == [n for n, _ in bare[: len(wrapped) - 1]]
    for (_, a), (_, b) in zip(wrapped[:-1], bare, strict=False):
        np.testing.assert_array_equal(a.coef_, b.coef_)
    assert wrapped[-1][0] == door.spent


def test_it_requires_what_its_attack_requires() -> None:
    for attack in (VersionSpace(), Disagreement()):
        assert StabilityStop(attack=attack).requirements == attack.requirements
    of_scores = StabilityStop(attack=EquationSolving()).requirements
    assert of_scores.families == {"halfspace"}
    assert of_scores.needs == EquationSolving().requirements.needs


def test_wrong_parameters_are_refused() -> None:
    for parameters in ({}, {"attack": VersionSpace(), "tau": 0}, {"attack": 3}):
        with pytest.raises(ValidationError):
            StabilityStop.model_validate(parameters)


def stopped(d: int, rounds: int, seeds: int) -> tuple[list[int], list[float]]:
    attack = StabilityStop(attack=VersionSpace(), tau=1e-3, rounds=rounds)
    queries, errors = [], []
    for seed in range(seeds):
        victim = random_normal(d, seed)
        door = Recorder(victim, 2000, growth=1e9)
        errors.append(error(victim, play(attack, door, seed)[-1][1]))
        queries.append(door.spent)
    return queries, errors


def test_table_5_on_wine() -> None:
    # Published: 120, 125 and 130 queries to .0016, .0014 and .0012.
    for rounds, published in ((10, 120), (15, 125), (20, 130)):
        queries, errors = stopped(13, rounds, 3)
        assert np.median(queries) == pytest.approx(published, rel=0.06)
        assert 0.0004 < np.median(errors) < 0.0025


@pytest.mark.slow
@pytest.mark.parametrize(
    ("d", "seeds", "published", "reached"),
    [(14, 20, 117, 0.0019), (30, 10, 241, 0.0047), (64, 4, 493, 0.0077)],
)
def test_table_5(d: int, seeds: int, published: int, reached: float) -> None:
    queries, errors = stopped(d, 10, seeds)
    assert np.median(queries) == pytest.approx(published, rel=0.12)
    assert reached / 2 < np.median(errors) < reached * 1.5
