"""Any query strategy of scikit-activeml as an attack, for labels and for values.

scikit-activeml is imported on first use, so that listing plugins is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator

from arena import ANY, REFUSED, Attack, Knowledge, Oracle, Surrogate, hookimpl, recipes
from arena_activeml.options import Named, Options

if TYPE_CHECKING:
    from arena_activeml.strategies import Player

Floats = NDArray[np.float64]

REGRESSION = frozenset({"linear-regression"})


class ActiveML(Attack):
    """Asks what a query strategy of scikit-activeml chooses from a pool of candidates.

    The first queries are uniform. Every round after them draws a fresh pool: natural rows that
    were granted and not yet asked, then uniform ones. The strategy chooses from it, and only what
    it chooses is asked.
    """

    name: ClassVar[str] = "activeml"
    reference: ClassVar[str] = "scikit-activeml, Kottke et al., 2021"
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"label"}),)
    families: ClassVar[frozenset[str]] = ANY - REGRESSION

    strategy: str = Field(
        description="a class of skactiveml.pool", examples=["UncertaintySampling"]
    )
    options: Named = Field(default=Options(), description="the strategy's own parameters")
    learner: str | None = Field(
        default=None,
        description="a classifier of scikit-learn or scikit-activeml (a regressor, for values) "
        "to consult and to propose; null: the arena's learner of the target's family",
    )
    learner_options: Named = Field(default=Options(), description="the learner's own parameters")
    committee: int = Field(default=5, ge=2, description="models of a committee, where one is asked")
    start: int = Field(default=20, ge=1, description="uniform queries of the first round")
    pool: int = Field(default=200, ge=2, description="rows of a round that may be asked")
    batch: int = Field(default=1, ge=1, description="queries of a round, at least")
    growth: float = Field(
        default=0.05, ge=0, le=1, description="queries of a round, in parts of those before it"
    )

    @model_validator(mode="after")
    def _playable(self) -> Self:
        from arena_activeml import models, strategies

        strategies.checked(self.strategy, self.options, self.name)
        if self.learner is not None:
            models.learner(self.learner, self._values)
        if self.learner is None and self.learner_options:
            raise ValueError("'learner_options' are a learner's; name the learner, too")
        self._consulted()
        return self

    @property
    def _values(self) -> bool:
        return self.families == REGRESSION

    def _consulted(self) -> str | None:
        from arena_activeml import strategies

        single = self.batch == 1 and not self.growth
        return strategies.consulted(
            self.strategy,
            Options(self.options),
            self._values,
            self.learner,
            Options(self.learner_options),
            1 if single else 2,
        )

    def _player(self, knowledge: Knowledge) -> Player:
        from arena_activeml import models, strategies

        model = self._consulted()
        cls = models.learner(model, self._values) if model else None
        modelling = models.Modelling(knowledge, cls, self.learner_options)
        return strategies.Player(self.strategy, self.options, modelling, self.committee)

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint."""
        # Fits draw from a stream of their own: checkpoints do not change what is asked.
        draws, choices, fits = rng.spawn(3)
        domain, player = oracle.knowledge.domain, self._player(oracle.knowledge)
        candidates = Candidates(oracle.knowledge, draws)
        answered = Answered(oracle)
        while True:
            if oracle.checkpoint_due:
                yield self._surrogate(answered, fits)
            if not oracle.remaining:
                return
            if not len(answered.y):
                answered.ask(domain.sample(min(self.start, oracle.remaining), draws))
                continue
            n = max(self.batch, ceil(self.growth * oracle.spent))
            rows = candidates.draw(self.pool)
            Z = domain.encode(np.concatenate([answered.X, rows]))
            most = min(n, oracle.remaining, self.pool)
            chosen = player.choose(Z, answered.y.astype(np.float64), most, choices)[:most]
            if not len(chosen):
                # Some share a batch among regions, and round every share of a small one to none.
                chosen = choices.integers(self.pool, size=1)
            candidates.remove(chosen)
            answered.ask(rows[chosen])

    def _surrogate(self, answered: Answered, rng: Generator) -> Surrogate:
        from arena_activeml import models

        knowledge, X, y = answered.oracle.knowledge, answered.X, answered.y
        if self.learner is None or not len(y) or (not self._values and np.all(y == y[0])):
            return recipes.fit(knowledge, X, y, rng)
        cls = models.learner(self.learner, self._values)
        model = models.Modelling(knowledge, cls, self.learner_options).model(rng)
        fitted = model.fit(knowledge.domain.encode(X), y.astype(np.float64))
        return models.Trained(knowledge.domain, fitted, np.float64 if self._values else np.int64)


class ActiveMLRegression(ActiveML):
    """Asks what a query strategy of scikit-activeml chooses, to learn a regression.

    Strategies that consult a regressor play here, and those that look at inputs alone; the rest
    is as for ``activeml``.
    """

    name: ClassVar[str] = "activeml-regression"
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"value"}),)
    families: ClassVar[frozenset[str]] = REGRESSION

    strategy: str = Field(
        description="a class of skactiveml.pool", examples=["GreedySamplingTarget"]
    )


class Answered:
    """What was asked and answered; refused rows are left out.

    Attributes:
        oracle: whom it asks.
        X: float64 (n, d), raw rows.
        y: int64 (n,), their labels, or float64 (n,), their values.
    """

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.X: Floats = np.empty((0, oracle.knowledge.domain.d))
        self.y: NDArray[Any] = np.empty(0, np.int64 if oracle.knowledge.classes else np.float64)

    def ask(self, X: Floats) -> None:
        """Ask raw rows X (n, d), no more than remain."""
        answer = self.oracle.ask(X)
        if answer.label is not None:
            self._keep(X, answer.label, answer.label != REFUSED)
        elif answer.value is not None:
            self._keep(X, answer.value, np.isfinite(answer.value))

    def _keep(self, X: Floats, y: NDArray[Any], kept: NDArray[np.bool_]) -> None:
        self.X, self.y = np.concatenate([self.X, X[kept]]), np.append(self.y, y[kept])


class Candidates:
    """Rows to choose from: natural ones that were granted, in random order, then uniform ones."""

    def __init__(self, knowledge: Knowledge, rng: Generator) -> None:
        self._domain, self._rng = knowledge.domain, rng
        granted = np.empty((0, knowledge.domain.d)) if knowledge.pool is None else knowledge.pool
        self._natural: Floats = rng.permutation(granted)

    def draw(self, n: int) -> Floats:
        """Return n raw rows, float64 (n, d)."""
        natural = self._natural[:n]
        return np.concatenate([natural, self._domain.sample(n - len(natural), self._rng)])

    def remove(self, chosen: NDArray[np.int64]) -> None:
        """Take the chosen rows of the last draw away, so that none is asked twice."""
        self._natural = np.delete(self._natural, chosen[chosen < len(self._natural)], axis=0)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register the attacks."""
    register(ActiveML)
    register(ActiveMLRegression)
