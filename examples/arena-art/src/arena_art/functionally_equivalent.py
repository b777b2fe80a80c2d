"""ART's FunctionallyEquivalentExtraction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from arena import Attack, Domain, Knowledge, Oracle, Surrogate, hookimpl, recipes
from arena_art import toolbox

Floats = NDArray[np.float64]


class FunctionallyEquivalent(Attack):
    """ART's FunctionallyEquivalentExtraction: reads the weights of a two-layer ReLU network.

    Walks along a random line, finds where its slope changes (a unit switches there), and solves
    for the weights from second differences. For one hidden layer, whose logits are told, over
    features that are numbers; queries go beyond their bounds. Where ART gives up, as where it finds
    fewer kinks than there are units, the attack tries another line while the budget lasts. Before
    the end it has nothing to propose but a guess.
    """

    name: ClassVar[str] = "art-functionally-equivalent"
    reference: ClassVar[str] = (
        "Jagielski et al., USENIX Security 2020; "
        "art.attacks.extraction.FunctionallyEquivalentExtraction of ART 1.20"
    )
    needs: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"score"}),)
    families: ClassVar[frozenset[str]] = frozenset({"network"})

    num_neurons: int | None = Field(
        default=None, ge=1, description="hidden units; by default the target's, if told, or else 4"
    )
    samples: int = Field(
        default=100, ge=1, le=1_000_000, description="uniform rows asked for the second layer, x"
    )
    delta_0: float = Field(default=0.05, gt=0, le=1e6, description="first step of the search")
    fraction_true: float = Field(
        default=0.3, gt=0, le=1, description="share of the outputs that must show a kink"
    )
    rel_diff_slope: float = Field(
        default=1e-5, gt=0, le=1, description="relative difference of slopes at a kink"
    )
    rel_diff_value: float = Field(
        default=1e-6, gt=0, le=1, description="relative difference of values at a kink"
    )
    delta_init_value: float = Field(
        default=0.1, gt=0, le=1e6, description="first step of the search for weights"
    )
    delta_value_max: int = Field(default=50, ge=1, description="the last such step")
    d2_min: float = Field(
        default=4e-4, gt=0, le=1e6, description="least sum of absolute second derivatives"
    )
    d_step: float = Field(default=0.01, gt=0, le=1e6, description="by how much that step grows")
    delta_sign: float = Field(
        default=0.02, gt=0, le=1e6, description="step of the search for signs"
    )
    unit_vector_scale: int = Field(
        default=10_000, ge=1, description="how far a unit is driven to tell its sign"
    )
    ftol: float = Field(default=1e-8, gt=0, le=1, description="tolerance of the least squares")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Yield a guess, then the network that was read.

        Raises:
            ValueError: features are categories or bins.
        """
        domain = oracle.knowledge.domain
        if domain.width != domain.d or domain.categorical.size:
            raise ValueError(
                f"{self.name} needs features that are numbers, and some are encoded one-hot; "
                "play it on another data set"
            )
        num_neurons = self.num_neurons or _units(oracle.knowledge)
        toolbox.load()
        from arena_art import victim

        yield recipes.Constant(0)
        logits = victim.Logits(oracle)
        while oracle.remaining:
            network = self._read(logits, num_neurons, domain, rng)
            if network is not None:
                yield network
                return

    def _read(
        self, victim: Any, num_neurons: int, domain: Domain, rng: Generator
    ) -> ReluNetwork | None:
        """Run ART once; None where it gives up."""
        from art.attacks.extraction import FunctionallyEquivalentExtraction

        x = domain.encode(domain.sample(self.samples, rng))
        own = {"num_neurons", "samples"}
        with toolbox.drawing_from(rng), np.errstate(all="ignore"):
            attack = FunctionallyEquivalentExtraction(victim, num_neurons=num_neurons)
            try:
                attack.extract(x, **self.model_dump(exclude=own))
            except (AssertionError, ValueError):
                # Too few or too many kinks, or numbers that are none, by a division by 0. The start
                # of a line is finite, and billed: this comes to an end.
                return None
        return ReluNetwork(domain, attack.w_0, attack.b_0, attack.w_1, attack.b_1)


@dataclass(frozen=True, eq=False)
class ReluNetwork:
    """Two layers over encoded rows.

    Attributes:
        domain: encodes the raw rows.
        w_0: float64 (width, h), of the hidden layer.
        b_0: float64 (h, 1).
        w_1: float64 (h, k), of the logits.
        b_1: float64 (k, 1).
    """

    domain: Domain
    w_0: Floats
    b_0: Floats
    w_1: Floats
    b_1: Floats

    def predict(self, X: Floats) -> NDArray[np.int64]:
        """Predict the labels of raw rows X (n, d)."""
        hidden = np.maximum(self.domain.encode(X) @ self.w_0 + self.b_0.T, 0.0)
        labels: NDArray[np.int64] = (hidden @ self.w_1 + self.b_1.T).argmax(axis=1)
        return labels


def _units(knowledge: Knowledge) -> int:
    """Return the hidden units of the target's recipe, where one hidden layer is told; or else 4."""
    hidden = (knowledge.hyperparameters or {}).get("hidden", ())
    return int(hidden[0]) if len(hidden) == 1 else 4


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register functionally equivalent extraction."""
    register(FunctionallyEquivalent)
