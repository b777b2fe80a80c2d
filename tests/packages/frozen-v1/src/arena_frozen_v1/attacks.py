"""Attacks of version 1: by labels or probabilities, by scores or values, by public rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

import arena
from arena import (
    ANY,
    FAMILIES,
    FIELDS,
    REFUSED,
    Answer,
    Attack,
    BudgetExhausted,
    Domain,
    InvalidQuery,
    Knowledge,
    LinearSurrogate,
    Oracle,
    OracleClosed,
    Surrogate,
    hookimpl,
    kernel_svm,
    recipes,
)

PLUGIN_API = 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Probe(Attack):
    """Asks pool rows, then rows between those of different labels; learns what its family does."""

    name = "frozen-probe"
    reference = "no paper: what version 1 lets an attack do with labels or probabilities"
    needs = ({"label", "probabilities"}, {"label"})
    families = frozenset({"halfspace", "softmax", "tree"})

    batch: int = Field(default=8, ge=1, le=1000, description="rows asked at a time")
    start: Literal["pool", "uniform"] = Field(default="pool", description="what is asked first")
    near: float = Field(
        default=0.5, ge=0, le=1, allow_inf_nan=False, description="the share asked in between"
    )
    limits: tuple[int, ...] = Field(default=(400, 40), description="sizes of two transcripts")
    seeded: bool | None = Field(default=None, description="whether a label is tried first")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate whenever one is due."""
        asks, fits = rng.spawn(2)
        told, asked = oracle.knowledge, recipes.Transcript(oracle)
        must(isinstance(told, Knowledge) and arena.PLUGIN_API >= PLUGIN_API)
        must(told.fields <= set(FIELDS) and told.family in FAMILIES and FAMILIES == ANY)
        must(told.defense is None or all(len(link) == 2 for link in told.defense))
        must_refuse_what_is_wrong(oracle)
        if self.start == "pool" and told.pool is not None:
            asked.ask(told.pool[: self.batch])
        while oracle.remaining:
            must(len(asked.X) == len(asked.y) and not (asked.y == REFUSED).any())
            if oracle.checkpoint_due:
                yield asked.fit(fits)
            labels = asked.ask(self._chosen(told.domain, asked, asks)[: self.limits[0]])
            must(labels.dtype == np.int64 and labels.max() < len(told.classes))
            if oracle.remaining and "probabilities" in told.fields:
                break
        yield from self._by_probabilities(oracle, asks, fits)
        yield Nearest(told.domain, told.domain.encode(asked.X), asked.y)

    def _chosen(self, domain: Domain, asked: recipes.Transcript, rng: Generator) -> Floats:
        """Choose raw rows: uniform ones, and some on the way between two labels."""
        X = domain.sample(self.batch, rng)
        a, b = asked.X[asked.y == 0], asked.X[asked.y != 0]
        n = int(self.near * self.batch)
        if len(a) and len(b) and n:
            A, B = a[rng.integers(len(a), size=n)], b[rng.integers(len(b), size=n)]
            switch = rng.uniform(0.1, 0.9, size=(n, domain.d))
            X[:n] = domain.between(A, B, rng.random(n), switch)
        return domain.project(X)

    def _by_probabilities(
        self, oracle: Oracle, asks: Generator, fits: Generator
    ) -> Iterator[Surrogate]:
        """Yield what is learned from probabilities, as long as there are any."""
        told = oracle.knowledge
        X, P = np.empty((0, told.domain.d)), np.empty((0, len(told.classes)))
        while oracle.remaining:
            n, before = min(self.limits[1], oracle.remaining), oracle.spent
            rows = told.domain.sample(n, asks)
            try:
                answer = oracle.ask(rows)
            except OracleClosed:
                return
            must(oracle.spent == before + n and answer.fields == told.fields)
            must(answer.probabilities is answer.field("probabilities"))
            if answer.probabilities is None or answer.label is None:
                return
            known = answer.rows(np.flatnonzero(answer.label != REFUSED))
            must(known.probabilities is not None and known.only({"label"}).probabilities is None)
            X = np.concatenate([X, rows[answer.label != REFUSED]])
            P = np.concatenate([P, answer.probabilities[answer.label != REFUSED]])
            if oracle.checkpoint_due:
                taught, labels, weights = recipes.soft(X, P)
                model = recipes.fit(told, taught, labels, fits, weights=weights)
                must(model.margin(rows).shape == (n,))
                yield model


class Lines(Attack):
    """Solves the linear equations that scores or values are; must be granted all there is."""

    name = "frozen-lines"
    reference = "no paper: what version 1 lets an attack do with scores or values"
    needs = (frozenset({"score"}), frozenset({"value"}))
    families = frozenset({"halfspace", "linear-regression"})
    requires_knowledge = frozenset({"hyperparameters", "pool", "defense"})

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield the solution of least norm whenever it is due."""
        told = oracle.knowledge
        must(told.hyperparameters is not None and told.pool is not None)
        must(told.defense is not None and told.public_X is None and told.public_y is None)
        Z, y = np.empty((0, told.domain.width)), np.empty(0)
        while True:
            if oracle.checkpoint_due:
                A = np.column_stack([Z, np.ones(len(Z))])
                w: Floats = np.linalg.lstsq(A, y, rcond=1e-9)[0].astype(np.float64)
                values = not told.classes
                yield LinearSurrogate(told.domain, w[None, :-1], w[-1:], regression=values)
            if not oracle.remaining:
                return
            X = told.domain.sample(min(3, oracle.remaining), rng)
            X = told.domain.clip(X) if told.domain.geometry == "box" else X
            answer: Answer = oracle.ask(X)
            numbers = answer.score if "score" in told.fields else answer.value
            if numbers is None:
                raise ValueError("frozen-lines needs scores or values, and there are none")
            told_of = np.isfinite(numbers)
            Z = np.concatenate([Z, told.domain.encode(X)[told_of]])
            y = np.concatenate([y, numbers[told_of]])


class Kernel(Attack):
    """Asks the least certain of some uniform rows, by a support vector machine that grows."""

    name = "frozen-kernel"
    reference = "no paper: what version 1 lets an attack do with the machine that it brings"
    families = frozenset({"kernel-svm"})

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield the machine whenever one is due."""
        told = oracle.knowledge
        granted = told.hyperparameters or {}
        gamma, C = float(granted.get("gamma") or 1 / told.domain.width), granted.get("C", 1.0)
        machine = kernel_svm.KernelSVC(gamma, C, tol=1e-4)
        while True:
            if oracle.checkpoint_due:
                known = bool(machine.classes)
                yield Machine(told.domain, machine.snapshot()) if known else recipes.Constant(0)
            if not oracle.remaining:
                return
            X = told.domain.sample(10, rng)
            if machine.classes:
                X = X[machine.margin(told.domain.encode(X)).argsort()]
            X = X[: min(2, oracle.remaining)]
            label = oracle.ask(X).label
            if label is None:
                raise ValueError("frozen-kernel needs labels, and there are none")
            told_of = label != REFUSED
            machine.add(told.domain.encode(X)[told_of], label[told_of])


class Public(Attack):
    """Asks nothing; learns from the labelled public rows that baselines are told."""

    name = "frozen-public"
    reference = "no paper: what version 1 lets a baseline do"
    needs = (frozenset(),)
    families = frozenset({"halfspace", "softmax", "tree", "linear-regression"})
    baseline = True

    recipe: bool = Field(default=True, description="whether it is trained by the target's recipe")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield one surrogate."""
        told = oracle.knowledge
        must(self.silent and self.requirements.needs == (frozenset(),))
        if told.public_X is None or told.public_y is None:
            raise ValueError("frozen-public is a baseline, and is told no public rows")
        if self.recipe:
            yield recipes.refit(told, told.public_X, told.public_y, rng)
        else:
            yield recipes.fit(told, told.public_X, told.public_y, rng)


@dataclass(frozen=True, eq=False)
class Machine:
    """A support vector machine over encoded rows."""

    domain: Domain
    expansion: kernel_svm.KernelExpansion

    def predict(self, X: Floats) -> Integers:
        """Predict the labels of raw rows X (n, d)."""
        return self.expansion.predict(self.domain.encode(X))


@dataclass(frozen=True, eq=False)
class Nearest:
    """The label of the nearest of the encoded rows Z (m, width), whose labels are y (m,)."""

    domain: Domain
    Z: Floats
    y: Integers

    def predict(self, X: Floats) -> Integers:
        """Predict the labels of raw rows X (n, d)."""
        if not len(self.y):
            return np.zeros(len(X), dtype=np.int64)
        apart = (self.domain.encode(X)[:, None, :] - self.Z[None]) ** 2
        labels: Integers = self.y[apart.sum(axis=2).argmin(axis=1)]
        return labels


def must(holds: bool) -> None:
    """Fail where version 1 promises otherwise."""
    if not holds:
        raise RuntimeError("version 1 of the plugin API is broken")


def must_refuse_what_is_wrong(oracle: Oracle) -> None:
    """Fail unless an oracle refuses, and does not bill, what it promises to."""
    d, spent = oracle.knowledge.domain.d, oracle.spent
    try:
        oracle.ask(np.zeros((oracle.remaining + 1, d)))
    except BudgetExhausted:
        must(oracle.spent == spent)
    else:
        must(False)
    try:
        oracle.ask(np.zeros((1, d + 1)))
    except InvalidQuery as error:
        must(isinstance(error, ValueError) and oracle.spent == spent)
    else:
        must(False)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register four attacks."""
    for attack in (Probe, Lines, Kernel, Public):
        register(attack)
