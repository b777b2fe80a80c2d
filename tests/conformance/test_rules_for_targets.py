"""Every check of targets, on one that keeps to all and on ones that break it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
from expecting import Fails, cases, must_fail_alone, must_pass, never_failed
from numpy.random import Generator
from numpy.typing import NDArray

from arena import Answer, Domain, Natural, Target, Victim, affine, softmax
from arena.conformance import check, specifications
from arena.conformance.toys import BOX, MIXED
from arena.errors import ArenaError

Floats = NDArray[np.float64]
OF_EVERY_PLUGIN = {c.name for c in specifications.CHECKS}
_NUMBER = count()


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane(Victim):
    """A halfspace: score w z + b of the encoded row z."""

    w: Floats
    b: Floats
    more: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, X: Floats) -> Answer:
        z = affine(self.domain.encode(X), self.w[None], self.b[None])
        answer = Answer((z[:, 0] > 0).astype(np.int64), softmax(z), z[:, 0])
        return answer.only({*self.reveals, "label"})


class Halfspace(Target):
    """A random halfspace."""

    name = "random-halfspace"
    reference = "none"
    family = "halfspace"
    can_reveal = frozenset({"label", "probabilities", "score"})

    def train(self, rng: Generator) -> Plane:
        domain = self.domain()
        X = domain.sample(60, rng)
        w, b = rng.standard_normal(domain.width), 0.1 * rng.standard_normal()
        return Plane(
            domain=domain,
            classes=("no", "yes"),
            family="halfspace",
            reveals=frozenset(self.reveals),
            natural=Natural(X, np.arange(60) % 2, np.arange(60) % 3 == 0),
            parameters={"coef": w, "intercept": np.array(b)},
            w=w,
            b=np.array(b),
        )

    def domain(self) -> Domain:
        return BOX


class Mixed(Halfspace):
    """A random halfspace over all kinds of features."""

    def domain(self) -> Domain:
        return MIXED


class WithoutData(Halfspace):
    """Has no data."""

    def check(self) -> None:
        raise ArenaError("its file is missing")


class AnotherFamily(Halfspace):
    """Trains what it does not say."""

    def train(self, rng: Generator) -> Plane:
        return replace(super().train(rng), family="tree")


class UnknownFamily(Halfspace):
    """Says that it is of a family that there is not."""

    def families(self) -> frozenset[str]:
        return frozenset({"halfspace", "galaxy"})


class NumbersHeldOut(Halfspace):
    """Counts where it should mark."""

    def train(self, rng: Generator) -> Plane:
        victim = super().train(rng)
        held_out: Any = victim.natural.held_out.astype(int)
        return replace(victim, natural=replace(victim.natural, held_out=held_out))


class OtherModel(Halfspace):
    """Trains another model each time."""

    def train(self, rng: Generator) -> Plane:
        victim = super().train(rng)
        return replace(victim, b=np.array(next(_NUMBER) % 2), parameters={})


class OtherRows(Halfspace):
    """Splits its rows another way each time."""

    def train(self, rng: Generator) -> Plane:
        victim = super().train(rng)
        held_out = np.arange(60) % 3 == next(_NUMBER) % 3
        return replace(victim, natural=replace(victim.natural, held_out=held_out))


class DrawsFromNumpy(Halfspace):
    """Draws from numpy's global generator."""

    def train(self, rng: Generator) -> Plane:
        np.random.rand()  # noqa: NPY002
        return super().train(rng)


class RevealsAll(Halfspace):
    """Trains a victim that reveals all it can."""

    def train(self, rng: Generator) -> Plane:
        return replace(super().train(rng), reveals=self.can_reveal)


class Secretive(Halfspace):
    """Keeps scores to itself where they are revealed alone."""

    def train(self, rng: Generator) -> Plane:
        return _as(_Secretive, super().train(rng))


class _Secretive(Plane):
    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        return answer.only({"label"}) if self.reveals == {"score"} else answer


class NoScores(Halfspace):
    """Has no scores of some rows that can occur."""

    def train(self, rng: Generator) -> Plane:
        return _as(_NoScores, super().train(rng))


class _NoScores(Plane):
    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        if answer.score is None:
            return answer
        return replace(answer, score=np.where(X[:, 0] > 0, np.nan, answer.score))


class WithinBounds(Halfspace):
    """Refuses what lies far beyond the bounds."""

    def train(self, rng: Generator) -> Plane:
        return _as(_WithinBounds, super().train(rng))


class _WithinBounds(Plane):
    def answer(self, X: Floats) -> Answer:
        if (2 * self.domain.high < X).any():
            raise ValueError("beyond the bounds")
        return super().answer(X)


class ByBatch(Halfspace):
    """Gives scores that depend on the batch in their last bits."""

    def train(self, rng: Generator) -> Plane:
        return _as(_ByBatch, super().train(rng))


class _ByBatch(Plane):
    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        return answer if answer.score is None else replace(answer, score=_nudged(answer.score))


def _nudged(score: Floats) -> Floats:
    return np.nextafter(score, len(score) % 2)


class NotNormalised(Halfspace):
    """Gives probabilities that do not sum to 1."""

    def train(self, rng: Generator) -> Plane:
        return _as(_NotNormalised, super().train(rng))


class _NotNormalised(Plane):
    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        P = answer.probabilities
        return answer if P is None else replace(answer, probabilities=0.9 * P)


class WritesIntoRows(Halfspace):
    """Writes into what it is asked."""

    def train(self, rng: Generator) -> Plane:
        return _as(_WritesIntoRows, super().train(rng))


class _WritesIntoRows(Plane):
    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        X[:] = 0
        return answer


class Learns(Halfspace):
    """Goes on learning when it is asked."""

    def train(self, rng: Generator) -> Plane:
        return _as(_Learns, super().train(rng))


class _Learns(Plane):
    def answer(self, X: Floats) -> Answer:
        answer = super().answer(X)
        self.b[...] += 0.01
        return answer


class HoldsAFunction(Halfspace):
    """Trains a victim that holds what does not pickle."""

    def train(self, rng: Generator) -> Plane:
        return replace(super().train(rng), more={"hook": lambda: None})


class ForgetsItsIntercept(Halfspace):
    """Trains a victim that forgets its intercept on the way."""

    def train(self, rng: Generator) -> Plane:
        return _as(_Forgetful, super().train(rng))


class _Forgetful(Plane):
    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"b": np.array(5.0)})


class OtherSign(Halfspace):
    """Tells parameters of the other sign."""

    def train(self, rng: Generator) -> Plane:
        victim = super().train(rng)
        return replace(victim, parameters={n: -a for n, a in victim.parameters.items()})


class TwoRows(Halfspace):
    """Tells a coefficient too much."""

    def train(self, rng: Generator) -> Plane:
        victim = super().train(rng)
        coef = np.append(victim.parameters["coef"], 0)
        return replace(victim, parameters={**victim.parameters, "coef": coef})


class NoVictim(Halfspace):
    """Trains no victim."""

    def train(self, rng: Generator) -> Plane:
        return None  # type: ignore[return-value]


@dataclass(frozen=True)
class _Unrealisable(Domain):
    def sample(self, n: int, rng: Generator) -> Floats:
        X = super().sample(n, rng)
        X[0] = np.nan
        return X


class Unrealisable(Halfspace):
    """Has a domain whose samples cannot occur."""

    def domain(self) -> Domain:
        return _Unrealisable(BOX.features)


def _as(cls: type[Plane], victim: Plane) -> Plane:
    """Return the victim as one of another class."""
    return cls(**vars(victim))


FAILS = (
    Fails(WithoutData(), "data-loads", "^raises ArenaError: its file is missing"),
    Fails(AnotherFamily(), "families-known", r"family 'tree', .* \['halfspace'\]"),
    Fails(UnknownFamily(), "families-known", "family 'galaxy'"),
    Fails(NumbersHeldOut(), "accepted-by-the-engine", "held_out is int64, not bool"),
    Fails(OtherModel(), "same-seed-same-victim", "trains another model by the same seed"),
    Fails(OtherRows(), "same-seed-same-victim", "has other natural rows"),
    Fails(DrawsFromNumpy(), "own-randomness-only", "global generator of numpy.random"),
    Fails(RevealsAll(), "reveals-kept", "label, probabilities, score where label was asked for"),
    Fails(Secretive(), "reveals-kept", "gave no score"),
    Fails(NoScores(), "samples-accepted", "gives score that is not finite"),
    Fails(WithinBounds(), "answers-beyond-bounds", "^raises ValueError: beyond the bounds"),
    Fails(ByBatch(), "same-bits-in-any-batch", "answers a row in a batch of 1 otherwise"),
    Fails(NotNormalised(), "probabilities-sum-to-one", "let each row sum to 1"),
    Fails(WritesIntoRows(), "rows-left-alone", "writes into the rows"),
    Fails(HoldsAFunction(), "victim-pickles", "trains a victim that does not pickle"),
    Fails(ForgetsItsIntercept(), "victim-pickles", "answers otherwise once it is pickled"),
    Fails(OtherSign(), "parameters-are-the-models", "answers otherwise than by its parameters"),
    Fails(TwoRows(), "parameters-are-the-models", r"gives coef of shape \(4,\)"),
)


def test_one_that_keeps_to_all_passes() -> None:
    must_pass(Halfspace())
    must_pass(Mixed())


@cases(*FAILS)
def test_one_that_breaks_a_rule_fails_its_check_alone(
    plugin: Target, check: str, reason: str
) -> None:
    must_fail_alone(plugin, check, reason)


def test_every_check_of_targets_is_seen_to_fail() -> None:
    assert never_failed("target", FAILS) == OF_EVERY_PLUGIN


def test_what_several_checks_see_is_said_by_each() -> None:
    def failed(target: Target) -> dict[str, str]:
        return {r.check: r.reason for r in check(target) if r.outcome == "failed"}

    assert "gives NoneType from train" in failed(NoVictim())["families-known"]
    assert "own samples are refused" in failed(Unrealisable())["samples-accepted"]
    assert "when asked again" in failed(Learns())["rows-left-alone"]
