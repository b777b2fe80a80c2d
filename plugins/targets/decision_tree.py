"""Decision trees (CART)."""

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
class TreeVictim(Victim):
    """A binary tree over encoded rows, which it compares in float32.

    Attributes:
        tree: scikit-learn's low-level tree.
        label_of: int64 (nodes,), the label of every node.
        share_of: float64 (nodes, k), the share of every class in every node.
    """

    tree: Any
    label_of: NDArray[np.int64]
    share_of: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d); the leaf is the number of its node."""
        # What is too large for float32 lies beyond every threshold, as an infinity does.
        with np.errstate(over="ignore"):
            Z = self.domain.encode(X).astype(np.float32)
        leaf = self.tree.apply(Z)
        return Answer(
            label=self.label_of.take(leaf),
            probabilities=self.share_of.take(leaf, axis=0)
            if "probabilities" in self.reveals
            else None,
            leaf=leaf if "leaf" in self.reveals else None,
        )


class DecisionTree(Target):
    """A decision tree over scaled numbers and one-hot categories."""

    name = "decision-tree"
    reference = "Tramèr et al., USENIX Security 2016, section 4.2"
    family: ClassVar[str] = "tree"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label", "probabilities", "leaf"})

    dataset: Dataset = Field(description="the data it is trained from")
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
        description="most leaves, grown best first; null: any number",
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

    def train(self, rng: Generator) -> TreeVictim:
        """Fit on 70 % of the rows."""
        from sklearn.tree import DecisionTreeClassifier

        rows = split(self.dataset.load(), rng, self.bins)
        recipe = {
            "max_depth": self.max_depth,
            "max_leaf_nodes": self.max_leaf_nodes,
            "min_samples_leaf": self.min_samples_leaf,
        }
        model = DecisionTreeClassifier(**recipe, random_state=int(rng.integers(2**31)))
        tree = model.fit(rows.domain.encode(rows.X), rows.y).tree_
        share_of = np.array(tree.value[:, 0, :])
        return TreeVictim(
            domain=rows.domain,
            classes=rows.classes,
            family=self.family,
            reveals=frozenset(self.reveals),
            natural=rows.natural,
            hyperparameters=recipe,
            tree=tree,
            label_of=share_of.argmax(axis=1),
            share_of=share_of,
        )


@hookimpl
def register_targets(register: Callable[[type[Target]], None]) -> None:
    """Register the decision tree."""
    register(DecisionTree)
