"""What the attacks share that train a thieved classifier on predictions of the victim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import ANY, Attack, Knowledge, Oracle, Surrogate, recipes
from arena_art import toolbox

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier

Floats = NDArray[np.float64]
Units = Annotated[int, Field(ge=1, le=10_000)]


class ThievingAttack(Attack):
    """An ART attack that asks rows of a pool and trains a network on what it is told.

    It is run with ``nb_stolen`` queries, then with more and more up to the budget, each time from
    the same random numbers: a run asks what the one before asked, which is paid already, and
    goes on. Each surrogate is thus what ART steals with so many queries.
    """

    needs: ClassVar[tuple[frozenset[str], ...]] = (
        frozenset({"label"}),
        frozenset({"probabilities"}),
    )
    families: ClassVar[frozenset[str]] = ANY - {"linear-regression"}

    nb_stolen: int = Field(default=20, ge=1, description="queries of the first run")
    growth: float = Field(
        default=1.5,
        gt=1,
        le=100,
        description="how many times the queries of a run the next has, until the budget is spent",
    )
    batch_size_fit: int = Field(default=32, ge=1, description="rows in a step of training")
    batch_size_query: int = Field(default=64, ge=1, description="rows asked at a time")
    nb_epochs: int = Field(default=50, ge=1, description="passes over the rows in training")
    use_probability: bool = Field(
        default=False, description="learn the probabilities, where told, not the likeliest class"
    )
    samples: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="uniform rows in the pool, where no natural pool is granted",
    )
    hidden: tuple[Units, ...] = Field(
        default=(32,), min_length=1, description="units of the hidden layers of the thieved network"
    )
    learning_rate: float = Field(
        default=0.01, gt=0, allow_inf_nan=False, description="of Adam, in training"
    )

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a surrogate after every run."""
        toolbox.load()
        from arena_art import thieved, victim

        knowledge = oracle.knowledge
        yield recipes.Constant(0)
        x = _pool(knowledge, self.samples, rng)
        y = self.actions(knowledge, x, rng)
        seed = int(rng.integers(2**63))
        purchases = victim.Purchases(oracle)
        for nb_stolen in self._runs(self.most(oracle.remaining, len(x))):
            run = np.random.default_rng(seed)
            purchases.rewind()
            network = thieved.Thieved(
                knowledge.domain, len(knowledge.classes), self._network(run), purchases.refused
            )
            with toolbox.drawing_from(run):
                attack = self.attack(victim.black_box(purchases), nb_stolen)
                attack.extract(x, y, thieved_classifier=network)
            yield network.surrogate()

    def attack(self, victim: Any, nb_stolen: int) -> Any:
        """Make ART's attack with so many queries."""
        raise NotImplementedError

    def actions(self, knowledge: Knowledge, x: Floats, rng: Generator) -> NDArray[np.int64] | None:
        """Return the groups of the pool x (n, d) that ART chooses among, int64 (n,), or None."""
        return None

    def most(self, budget: int, rows: int) -> int:
        """Return how many queries a run can ask, by the budget and the rows of the pool."""
        return min(budget, rows)

    def _runs(self, most: int) -> Iterator[int]:
        n = self.nb_stolen
        while n < most:
            yield n
            n = max(n + 1, int(n * self.growth))
        if most:
            yield most

    def _network(self, rng: Generator) -> MLPClassifier:
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(
            self.hidden,
            learning_rate_init=self.learning_rate,
            random_state=int(rng.integers(2**31)),
        )

    def _training(self) -> dict[str, Any]:
        """Return the parameters that ART's attacks have in common."""
        return {
            "batch_size_fit": self.batch_size_fit,
            "batch_size_query": self.batch_size_query,
            "nb_epochs": self.nb_epochs,
            "use_probability": self.use_probability,
        }


def _pool(knowledge: Knowledge, samples: int, rng: Generator) -> Floats:
    if knowledge.pool is not None:
        return knowledge.pool
    return knowledge.domain.sample(samples, rng)
