"""Random forests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Answer, Dataset, Domain, Feature, Target, Victim, hookimpl, split

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ForestVictim(Victim):
    """The mean of the class shares in the leaves of its trees over encoded rows, in float32.

    Attributes:
        trees: scikit-learn's low-level trees.
        share_of: for every tree, float64 (nodes, k), the share of every class in every node.
    """

    trees: tuple[Any, ...]
    share_of: tuple[Floats, ...]

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d)."""
        # What is too large for float32 lies beyond every threshold, as an infinity does.
        with np.errstate(over="ignore"):
            Z = self.domain.encode(X).astype(np.float32)
        shares = np.zeros((len(Z), len(self.classes)))
        for tree, share_of in zip(self.trees, self.share_of, strict=True):
            shares += share_of.take(tree.apply(Z), axis=0)
        shares /= len(self.trees)
        return Answer(
            label=shares.argmax(axis=1),
            probabilities=shares if "probabilities" in self.reveals else None,
        )


class RandomForest(Target):
    """A random forest over scaled numbers and one-hot categories."""

    name = "random-forest"
    reference = "Chandrasekaran et al., USENIX Security 2020, section 4.2"
    family: ClassVar[str] = "forest"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities"})

    dataset: Dataset = Field(description="the data it is trained from")
    trees: int = Field(default=10, ge=1, le=10_000, description="the number of trees")
    max_depth: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="most splits on a path; null: until the leaves are pure",
    )
    max_leaf_nodes: int | None = Field(
        default=None,
        ge=2,
        le=1_000_000,
        description="most leaves of a tree, grown best first; null: any number",
    )
    min_samples_leaf: int = Field(
        default=1, ge=1, le=1_000_000, description="fewest training rows in a leaf"
    )
    bins: int | None = Field(
        default=None,
        ge=2,
        le=10_000,
        description="quantile bins of every numeric feature; null: none",
    )

    def known_features(self) -> tuple[Feature, ...]:
        """Return those of the data, binned as all of its rows would have them.

        Raises:
            ArenaError: the data cannot be loaded.
        """
        table = self.dataset.load()
        return Domain.from_rows(table.features, table.X, self.bins).features

    def train(self, rng: Generator) -> ForestVictim:
        """Fit on 70 % of the rows."""
        from sklearn.ensemble import RandomForestClassifier

        rows = split(self.dataset.load(), rng, self.bins)
        growth = {
            "max_depth": self.max_depth,
            "max_leaf_nodes": self.max_leaf_nodes,
            "min_samples_leaf": self.min_samples_leaf,
        }
        model = RandomForestClassifier(
            self.trees, **growth, random_state=int(rng.integers(2**31)), n_jobs=1
        )
        model.fit(rows.domain.encode(rows.X), rows.y)
        trees = tuple(estimator.tree_ for estimator in model.estimators_)
        return ForestVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters={"trees": self.trees, **growth},
            trees=trees,
            share_of=tuple(np.array(tree.value[:, 0, :]) for tree in trees),
        )


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the random forest."""
    register(RandomForest)
