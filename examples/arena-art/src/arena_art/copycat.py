"""ART's CopycatCNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from arena import Attack, hookimpl
from arena_art.thieving import ThievingAttack


class Copycat(ThievingAttack):
    """ART's CopycatCNN: a network trained on the labels of random rows of a pool.

    No row is asked twice, so the attack ends with its pool.
    """

    name: ClassVar[str] = "art-copycat"
    reference: ClassVar[str] = (
        "Correia-Silva et al., IJCNN 2018; art.attacks.extraction.CopycatCNN of ART 1.20"
    )

    def attack(self, victim: Any, nb_stolen: int) -> Any:
        """Make ART's attack with so many queries."""
        from art.attacks.extraction import CopycatCNN

        return CopycatCNN(victim, nb_stolen=nb_stolen, **self._training())


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    """Register Copycat."""
    register(Copycat)
