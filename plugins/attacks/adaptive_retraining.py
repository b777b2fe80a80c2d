"""Adaptive retraining: rounds of queries near the surrogate's own boundary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import ANY, Attack, Domain, Oracle, Surrogate, hookimpl, recipes


class AdaptiveRetraining(Attack):
    """Adaptive retraining: rounds of queries where the surrogate of the last round is least sure.

    Every query is the one of least margin among uniform candidates of its own, so a round is
    spread along the whole boundary. The paper's rounds are equal parts of the budget; here they
    grow with what is spent, so that no count depends on a budget that is not used up.
    """

    name: ClassVar[str] = "adaptive-retraining"
    reference: ClassVar[str] = "Tramèr et al., USENIX Security 2016, section 6"
    families: ClassVar[frozenset[str]] = ANY - {"linear-regression"}

    start: int = Field(default=20, ge=1, description="uniform queries of the first round")
    growth: float = Field(
        default=0.05, gt=0, le=1, description="queries of a round, in parts of those before it"
    )
    candidates: int = Field(default=25, ge=1, description="uniform rows that a query is drawn from")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate at every checkpoint."""
        transcript = recipes.Transcript(oracle)
        while True:
            surrogate = transcript.fit(rng)
            if oracle.checkpoint_due:
                yield surrogate
            if not oracle.remaining:
                return
            n = ceil(self.growth * oracle.spent) if oracle.spent else self.start
            transcript.ask(self._uncertain(surrogate, oracle.knowledge.domain, n, rng))

    def _uncertain(
        self, surrogate: recipes.Learned, domain: Domain, n: int, rng: Generator
    ) -> NDArray[np.float64]:
        """Choose n raw rows, each the least sure of its candidates."""
        Z = domain.sample(n * self.candidates, rng)
        margin = surrogate.margin(Z).reshape(n, self.candidates)
        chosen: NDArray[np.float64] = Z[np.arange(n) * self.candidates + margin.argmin(axis=1)]
        return chosen


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register adaptive retraining."""
    register(AdaptiveRetraining)
