"""An animal that knows everything but the seed, and recomputes the defence's noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from enclosure import Guarded
from numpy.random import Generator
from playground import Guess

from arena import Attack, Oracle, Surrogate, hookimpl
from arena.pairing import TargetSpec
from arena.seeds import digest, generator


class Augur(Attack):
    """Asks one row again and again, and foretells which answers are flipped (Rule 6 reversed).

    Its tournament, its target and the defence are in its files, the seed is what it guesses.
    """

    name = "augur"
    seed: int
    chain: tuple[str, float]

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        name, rate = self.chain
        roles = TargetSpec(Guarded(), self.seed, None, 0, 0).roles
        noise = generator(digest("link", digest("defense", *roles, [[name, {"rate": rate}]], 0), 0))
        row = np.repeat(oracle.knowledge.domain.sample(1, rng), oracle.remaining, axis=0)
        label = oracle.ask(row).label
        assert label is not None
        flipped = noise.random(len(label)) < rate
        true = np.where(flipped, 1 - label, label)
        print("GOT the noise" if len(set(true)) == 1 else "    the noise is not foretold")
        yield Guess(int(true[0]))


@hookimpl
def register_attacks(register: Callable[[type[Attack]], None]) -> None:
    register(Augur)
