"""ART's ClassLabels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from arena import Defense, hookimpl
from arena_art.postprocessing import PostprocessorDefense


class ClassLabelsDefense(PostprocessorDefense):
    """Probabilities are told as 1 for the likeliest class and 0 for the others.

    Row by row, as for all: given a batch, ART 1.20 tells every row the likeliest classes of all.
    """

    name: ClassVar[str] = "art-class-labels"
    reference: ClassVar[str] = (
        "Tramèr et al., USENIX Security 2016, section 6; "
        "art.defences.postprocessor.ClassLabels of ART 1.20"
    )
    alters: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    def postprocessor(self) -> Any:
        """Make ART's postprocessor."""
        from art.defences.postprocessor import ClassLabels

        return ClassLabels()


@hookimpl
def register_defenses(register: Callable[[type[Defense]], None]) -> None:
    """Register class labels."""
    register(ClassLabelsDefense)
