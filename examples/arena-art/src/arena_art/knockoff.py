"""ART's KnockoffNets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Attack, Knowledge, hookimpl
from arena_art.thieving import ThievingAttack


class Knockoff(ThievingAttack):
    """ART's KnockoffNets: a network trained on rows of a pool, random or chosen by a bandit.

    ``random`` asks no row twice, and is what art-copycat does. ``adaptive`` chooses a group of the
    pool by a gradient bandit and one of its rows at random, one query at a time. The paper's groups
    are classes of labelled images; here, where a pool has no labels, they are the rows nearest to
    each of some random ones.
    """

    name: ClassVar[str] = "art-knockoff"
    reference: ClassVar[str] = (
        "Orekondy et al., CVPR 2019; art.attacks.extraction.KnockoffNets of ART 1.20"
    )

    sampling_strategy: Literal["random", "adaptive"] = Field(
        default="random", description="how rows are chosen"
    )
    reward: Literal["cert", "div", "loss", "all"] = Field(
        default="all",
        description="of the bandit: how certain the victim is, how its answers vary, how wrong the "
        "network is, or all; ART divides all by their variance, and fails where one never varies, "
        "as certainty does not where labels alone are told",
    )
    nb_actions: int = Field(
        default=10, ge=2, description="groups of the pool that the bandit chooses among"
    )

    def attack(self, victim: Any, nb_stolen: int) -> Any:
        """Make ART's attack with so many queries."""
        from art.attacks.extraction import KnockoffNets

        return KnockoffNets(
            victim,
            nb_stolen=nb_stolen,
            sampling_strategy=self.sampling_strategy,
            reward=self.reward,
            verbose=False,
            **self._training(),
        )

    def actions(
        self, knowledge: Knowledge, x: NDArray[np.float64], rng: Generator
    ) -> NDArray[np.int64] | None:
        """Return the groups of the pool x (n, d) where the bandit is to choose among them."""
        if self.sampling_strategy == "random":
            return None
        Z = knowledge.domain.encode(x)
        centres = Z[rng.permutation(len(Z))[: self.nb_actions]]
        distance = (centres**2).sum(axis=1) - 2 * Z @ centres.T
        # Empty groups have no number, since ART counts the numbers there are.
        return np.unique(distance.argmin(axis=1), return_inverse=True)[1]

    def most(self, budget: int, rows: int) -> int:
        """Return how many queries a run can ask; the bandit may ask a row again."""
        return budget if self.sampling_strategy == "adaptive" else min(budget, rows)


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register Knockoff Nets."""
    register(Knockoff)
