"""ART's GaussianNoise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from arena import Defense, hookimpl
from arena_art.postprocessing import PostprocessorDefense


class GaussianNoiseDefense(PostprocessorDefense):
    """Probabilities get Gaussian noise, are cut at 0 and made to sum to 1 again.

    The noise is fresh for every row. The label is the likeliest class of the noisy probabilities. A
    row that noise leaves nothing of is told as zeros, with the model's label.
    """

    name: ClassVar[str] = "art-gaussian-noise"
    reference: ClassVar[str] = "art.defences.postprocessor.GaussianNoise of ART 1.20, of no paper"
    alters: ClassVar[frozenset[str]] = frozenset({"label", "probabilities"})

    scale: float = Field(
        default=0.2, gt=0, le=1e6, description="the standard deviation of the noise"
    )

    def postprocessor(self) -> Any:
        """Make ART's postprocessor."""
        from art.defences.postprocessor import GaussianNoise

        return GaussianNoise(scale=self.scale)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register Gaussian noise."""
    register(GaussianNoiseDefense)
