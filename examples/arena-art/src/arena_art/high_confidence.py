"""ART's HighConfidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from arena import Defense, hookimpl
from arena_art.postprocessing import PostprocessorDefense


class HighConfidenceDefense(PostprocessorDefense):
    """Probabilities below a cutoff are told as 0.

    What is left is not made to sum to 1 again; nothing may be left.
    """

    name: ClassVar[str] = "art-high-confidence"
    reference: ClassVar[str] = "art.defences.postprocessor.HighConfidence of ART 1.20, of no paper"
    alters: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    cutoff: float = Field(
        default=0.25, gt=0, le=1, description="the least probability that is told"
    )

    def postprocessor(self) -> Any:
        """Make ART's postprocessor."""
        from art.defences.postprocessor import HighConfidence

        return HighConfidence(cutoff=self.cutoff)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register the cutoff."""
    register(HighConfidenceDefense)
