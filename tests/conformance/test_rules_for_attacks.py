"""Every check of attacks, on one that keeps to all and on ones that break it alone."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import numpy as np
import pytest
from expecting import Fails, cases, must_fail_alone, must_pass, never_failed
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import PrivateAttr

from arena import REFUSED, Attack, BudgetExhausted, Domain, Knowledge, Oracle, Surrogate
from arena.conformance import check, plays, specifications

OF_EVERY_PLUGIN = {c.name for c in specifications.CHECKS}
_NUMBER = count()


@dataclass
class Always:
    """Predicts one label."""

    label: int

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.full(len(X), self.label)


class Commonest(Attack):
    """Asks uniform rows one by one, and guesses the commonest label."""

    name = "commonest"
    reference = "none"
    families = frozenset({"halfspace", "softmax", "kernel-svm", "tree"})

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        self.begin(oracle.knowledge, oracle.remaining)
        labels = list[int]()
        while True:
            if oracle.checkpoint_due:
                yield self.learned(labels, oracle)
            if not oracle.remaining:
                return
            answer = oracle.ask(self.row(oracle.knowledge.domain, rng))
            assert answer.label is not None
            labels += [label for label in answer.label.tolist() if self.counts(label)]

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        """Look at what is told."""

    def row(self, domain: Domain, rng: Generator) -> NDArray[np.float64]:
        return domain.sample(1, rng)

    def counts(self, label: int) -> bool:
        return label != REFUSED

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Always(max(set(labels), key=labels.count) if labels else 0)


class FailsOnTrees(Commonest):
    """Fails against a tree."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if knowledge.family == "tree":
            raise RuntimeError("no trees")


class SilentOnTrees(Commonest):
    """Proposes nothing against a tree."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        if oracle.knowledge.family != "tree":
            yield from super().extract(oracle, rng)


class NoSurrogateOfTrees(Commonest):
    """Proposes against a tree what does not predict."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Always(0) if oracle.knowledge.family != "tree" else "tree"  # type: ignore[return-value]


class YieldsForEver(Commonest):
    """Has no end against a tree."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield from super().extract(oracle, rng)
        while oracle.knowledge.family == "tree":
            yield Always(0)


class AsksForEver(Commonest):
    """Takes no answer for an answer against a tree."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield from super().extract(oracle, rng)
        while oracle.knowledge.family == "tree":
            with contextlib.suppress(BudgetExhausted):
                oracle.ask(self.row(oracle.knowledge.domain, rng))


class LoopsForEver(Commonest):
    """Comes never back from a tree, and catches what it can."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        while knowledge.family == "tree":
            with contextlib.suppress(Exception):
                sum(range(1000))


class NeedsMore(Commonest):
    """Says that probabilities are enough, and reads labels."""

    needs: ClassVar[tuple[frozenset[str], ...]] = (
        frozenset({"label"}),
        frozenset({"probabilities"}),
    )


class NeedsTwo(Commonest):
    """Cannot do with one query."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if budget == 1:
            raise IndexError("two at least")


class AsksTwo(Commonest):
    """Asks two rows before it proposes anything."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        oracle.ask(oracle.knowledge.domain.sample(2, rng))
        yield from super().extract(oracle, rng)


class OtherQueries(Commonest):
    """Draws rows by a generator of its own."""

    def row(self, domain: Domain, rng: Generator) -> NDArray[np.float64]:
        return domain.sample(1, np.random.default_rng(next(_NUMBER)))

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Always(0)


class OtherLength(Commonest):
    """Ends a query earlier each time."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        yield Always(0)
        for _ in range(oracle.remaining - next(_NUMBER) % 2):
            oracle.ask(oracle.knowledge.domain.sample(1, rng))


class OtherSurrogates(Commonest):
    """Proposes a label at random."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Always(next(_NUMBER) % 2)


class OtherTimes(Commonest):
    """Proposes at every checkpoint, or at the end alone."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        often = next(_NUMBER) % 2
        for _ in range(oracle.remaining):
            if often and oracle.checkpoint_due:
                yield Always(0)
            oracle.ask(oracle.knowledge.domain.sample(1, rng))
        yield Always(0)


class DrawsFromNumpy(Commonest):
    """Draws from numpy's global generator."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        np.random.rand()  # noqa: NPY002


class SeedsPython(Commonest):
    """Seeds Python's global generator."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        random.seed(0)


class WritesIntoPool(Commonest):
    """Writes into the pool, where it is granted one."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if knowledge.pool is not None:
            knowledge.pool[:] = 0


class WritesIntoRecipe(Commonest):
    """Writes into the recipe, where it is granted one."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if knowledge.hyperparameters is not None:
            knowledge.hyperparameters["seen"] = True  # type: ignore[index]


class Remembers(Commonest):
    """Remembers its first match."""

    _seen: list[str] = PrivateAttr(default_factory=list)

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if not self._seen:
            self._seen.append(knowledge.family)


class Unpicklable(Always):
    """Holds what does not pickle."""

    def __init__(self, label: int) -> None:
        super().__init__(label)
        self.hook = lambda: label


class Forgetful(Always):
    """Forgets its label on the way."""

    def __reduce__(self) -> tuple[type[Always], tuple[int]]:
        return Always, (1 - self.label,)


class Local(Commonest):
    """Proposes what does not pickle."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Unpicklable(0)


class Changed(Commonest):
    """Proposes what another class predicts there."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Forgetful(0)


class OutOfRange(Commonest):
    """Predicts a class of trees that there is not."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Always(2 if oracle.knowledge.family == "tree" else 0)


class ByBatch:
    """Predicts by the median of the batch."""

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return (X[:, 0] > np.median(X[:, 0])).astype(np.int64)


class Batched(Commonest):
    """Proposes what depends on the batch."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return ByBatch()


class Wavering(Commonest):
    """Proposes what predicts something else each time."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        return Wave()


class Wave:
    """Predicts another label each time."""

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.full(len(X), next(_NUMBER) % 2)


class TwoClasses(Commonest):
    """Cannot learn from one class."""

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        if not oracle.remaining and len(labels) == plays.BUDGET and len(set(labels)) < 2:
            raise ValueError("one class")
        return super().learned(labels, oracle)


class WaitsForTwo(Commonest):
    """Proposes nothing before it has met two classes."""

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        labels = set[int]()
        while len(labels) < 2 and oracle.remaining < plays.BUDGET // 2:
            labels |= set(np.asarray(oracle.ask(self.row(oracle.knowledge.domain, rng)).label))
        yield from super().extract(oracle, rng)


class TwoFeatures(Commonest):
    """Cannot learn over one feature."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        knowledge.domain.low[1]


class NumbersOnly(Commonest):
    """Cannot learn over categories."""

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if knowledge.domain.d > 1 and len(knowledge.domain.categorical):
            raise ValueError("could not convert 'red' to a number")


class CountsRefused(Commonest):
    """Takes a refusal for a class."""

    def counts(self, label: int) -> bool:
        return bool(np.bincount([label]).any())


class Declines(Commonest):
    """Says what it cannot do."""

    name = "declines"

    def begin(self, knowledge: Knowledge, budget: int) -> None:
        if knowledge.domain.categorical.size or knowledge.domain.d == 1:
            raise ValueError("declines learns over two numbers and more")

    def counts(self, label: int) -> bool:
        if label == REFUSED:
            raise ValueError("a row was refused, and declines can do without none")
        return True


class DeclinesTooMuch(Commonest):
    """Says that it cannot do what every attack must."""

    name = "declines-too-much"

    def learned(self, labels: list[int], oracle: Oracle) -> Surrogate:
        if not oracle.remaining and len(labels) == plays.BUDGET and len(set(labels)) < 2:
            raise ValueError("declines-too-much needs two classes")
        return super().learned(labels, oracle)


FAILS = (
    Fails(FailsOnTrees(), "every-family-learned", r"^raises RuntimeError: no trees, against a toy"),
    Fails(SilentOnTrees(), "every-family-learned", "ends without proposing a surrogate"),
    Fails(NoSurrogateOfTrees(), "every-family-learned", "proposes str, which has no predict"),
    Fails(YieldsForEver(), "every-family-learned", "yields for ever without asking"),
    Fails(AsksForEver(), "every-family-learned", "asks more than what remains, again and again"),
    Fails(NeedsMore(), "needs-suffice", "revealing probabilities"),
    Fails(NeedsTwo(), "budget-respected", "two at least, .* with a budget of 1$"),
    Fails(AsksTwo(), "budget-respected", "no surrogate before it asks more than what remains"),
    Fails(OtherQueries(), "same-seed-same-queries", "asks another batch 1 of a toy"),
    Fails(OtherLength(), "same-seed-same-queries", "asks another batch 40 of a toy"),
    Fails(OtherSurrogates(), "same-seed-same-surrogates", "proposes another surrogate"),
    Fails(OtherTimes(), "same-seed-same-surrogates", "proposes surrogates at other times"),
    Fails(DrawsFromNumpy(), "own-randomness-only", "global generator of numpy.random"),
    Fails(SeedsPython(), "own-randomness-only", "global generator of random;"),
    Fails(WritesIntoPool(), "given-left-alone", "writes into pool"),
    Fails(WritesIntoRecipe(), "given-left-alone", "writes into hyperparameters"),
    Fails(Remembers(), "plugin-left-alone", "changes itself while it plays"),
    Fails(Local(), "surrogates-travel", "its surrogate does not pickle"),
    Fails(Changed(), "surrogates-travel", "predicts 0 of a row and, after its journey .* 1"),
    Fails(OutOfRange(), "surrogates-usable", "its predict gives 2"),
    Fails(Batched(), "surrogates-usable", "asked row by row"),
    Fails(TwoClasses(), "survives-one-class", "one class, .* that gives one answer to all"),
    Fails(DeclinesTooMuch(), "survives-one-class", "^raises ValueError: declines-too-much needs"),
    Fails(TwoFeatures(), "survives-tiny-domains", "^raises IndexError"),
    Fails(NumbersOnly(), "survives-mixed-features", "^raises ValueError: could not convert"),
    Fails(CountsRefused(), "survives-refusals", "negative"),
)


def test_one_that_keeps_to_all_passes() -> None:
    must_pass(Commonest())


@cases(*FAILS)
def test_one_that_breaks_a_rule_fails_its_check_alone(
    plugin: Commonest, check: str, reason: str
) -> None:
    must_fail_alone(plugin, check, reason)


def test_every_check_of_attacks_is_seen_to_fail() -> None:
    assert never_failed("attack", FAILS) == OF_EVERY_PLUGIN


def test_a_loop_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays, "LONGEST", 0.2)
    must_fail_alone(LoopsForEver(), "every-family-learned", "has not ended after 0.2 seconds")


def test_a_surrogate_that_wavers_is_unusable() -> None:
    failed = {r.check: r.reason for r in check(Wavering()) if r.outcome == "failed"}
    assert "asked once more, " in failed["surrogates-usable"]


def test_declining_in_a_sentence_is_no_failure() -> None:
    must_pass(Declines(), "survives-mixed-features", "survives-refusals")
    reasons = {r.check: r.reason for r in check(Declines())}
    assert reasons["survives-refusals"].startswith("it declines: a row was refused, and declines")
