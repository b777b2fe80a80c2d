"""The matches of an attack that several checks look at, each played once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from arena.api import Attack
from arena.conformance.plays import Endless, Game, opponents, play
from arena.conformance.rules import NotApplicable
from arena.conformance.toys import Toy
from arena.errors import is_interrupt


class Matches:
    """The matches of one attack against ordinary opponents."""

    _latest: ClassVar[Matches | None] = None

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._played: dict[tuple[str, bool], Game | BaseException] = {}

    @classmethod
    def of(cls, attack: Attack) -> Matches:
        """Return those of an attack, kept until another one is asked for."""
        found = cls._latest
        if found is None or found._attack is not attack:
            found = cls._latest = cls(attack)
        return found

    def ended(self) -> Iterator[tuple[Toy, frozenset[str], Game]]:
        """Yield opponents with whom a match comes to its end, and that match.

        What does not is the finding of every-family-learned.

        Raises:
            NotApplicable: there are none.
        """
        met = False
        for toy, fields in opponents(self._attack, "ordinary"):
            game = self._game(toy, fields, again=False)
            if isinstance(game, Game):
                met = True
                yield toy, fields, game
            elif isinstance(game, Endless):
                break
        if not met:
            raise NotApplicable("none of its matches comes to its end; see every-family-learned")

    def repeated(self) -> Iterator[tuple[Toy, Game, Game]]:
        """Yield the ended matches, each with that of a copy of the attack by the same seed.

        Raises:
            NotApplicable: there are none.
            Exception: what ends the match of the copy.
        """
        for toy, fields, game in self.ended():
            again = self._game(toy, fields, again=True)
            if not isinstance(again, Game):
                raise again
            yield toy, game, again

    def _game(self, toy: Toy, fields: frozenset[str], again: bool) -> Game | BaseException:
        key = toy.title, again
        if key not in self._played:
            attack = self._attack.model_copy(deep=True) if again else self._attack
            try:
                self._played[key] = play(attack, toy, fields)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                self._played[key] = error
        return self._played[key]
