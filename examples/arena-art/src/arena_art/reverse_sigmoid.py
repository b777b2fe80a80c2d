"""ART's ReverseSigmoid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from arena import Defense, hookimpl
from arena_art.postprocessing import PostprocessorDefense


class ReverseSigmoidDefense(PostprocessorDefense):
    """Probabilities are pulled together by a reverse sigmoid, which makes them ambiguous.

    The perturbation pulls probabilities near 0 or 1 the most. With large ``beta`` or many classes
    another class may become the likeliest, and then is the label.
    """

    name: ClassVar[str] = "art-reverse-sigmoid"
    reference: ClassVar[str] = (
        "Lee et al., IEEE Security and Privacy Workshops 2019; "
        "art.defences.postprocessor.ReverseSigmoid of ART 1.20"
    )
    alters: ClassVar[frozenset[str]] = frozenset({"label", "probabilities"})

    beta: float = Field(default=1.0, gt=0, le=1e6, description="the magnitude of the perturbation")
    gamma: float = Field(default=0.1, gt=0, le=1e6, description="how fast it grows away from 1/2")

    def postprocessor(self) -> Any:
        """Make ART's postprocessor."""
        from art.defences.postprocessor import ReverseSigmoid

        return ReverseSigmoid(beta=self.beta, gamma=self.gamma)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register the reverse sigmoid."""
    register(ReverseSigmoidDefense)
