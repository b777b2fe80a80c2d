"""ART's Rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from arena import Defense, hookimpl
from arena_art.postprocessing import PostprocessorDefense


class RoundedDefense(PostprocessorDefense):
    """Probabilities are rounded to a few decimal places.

    They are not made to sum to 1 again.
    """

    name: ClassVar[str] = "art-rounded"
    reference: ClassVar[str] = (
        "Tramèr et al., USENIX Security 2016, section 7; "
        "art.defences.postprocessor.Rounded of ART 1.20"
    )
    alters: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    decimals: int = Field(default=3, ge=1, le=15, description="decimal places that are kept")

    def postprocessor(self) -> Any:
        """Make ART's postprocessor."""
        from art.defences.postprocessor import Rounded

        return Rounded(decimals=self.decimals)


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register rounding."""
    register(RoundedDefense)
