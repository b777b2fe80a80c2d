"""A target, and attacks that print, or use more than they may; imported in cells, so light."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from playground import Guess, Open, Toy

from arena import Attack, Oracle, Surrogate
from arena.registry import Registered, Registry


def _waits() -> None:
    time.sleep(300)


def _computes() -> None:
    while True:
        pass


def _hoards() -> None:
    kept = [np.ones(1 << 20) for _ in range(1000)]
    raise AssertionError(f"{len(kept)} arrays fit")


def _opens() -> None:
    kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(1000)]
    raise AssertionError(f"{len(kept)} files fit")


def _prints() -> None:
    for _ in range(1000):
        print("x" * (1 << 20))


def _writes() -> None:
    with Path("large").open("wb") as file:
        for _ in range(1000):
            file.write(bytes(1 << 20))


USES: dict[str, Callable[[], None]] = {
    "wall": _waits,
    "cpu": _computes,
    "memory": _hoards,
    "files": _opens,
    "output": _prints,
    "file": _writes,
}


class Greedy(Attack):
    """Asks, proposes, says so, then uses as much of something as there is."""

    name = "greedy"
    of: str

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        oracle.ask(oracle.knowledge.domain.sample(3, rng))
        yield Guess(0)
        print(f"wants all of {self.of}")
        USES[self.of]()


class Chatty(Attack):
    """Prints, on both streams, and takes a known amount of memory."""

    name = "chatty"
    mebibytes: int = 0

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        kept = np.ones(self.mebibytes << 17)
        print("to standard output \N{SNOWMAN}")
        os.write(2, b"to standard error \xff\n")
        yield Guess(int(kept.size < 0))


class Clustering(Attack):
    """Asks the centres that scikit-learn finds, which looks for its threads first."""

    name = "clustering"

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        from sklearn.cluster import KMeans

        domain = oracle.knowledge.domain
        found = KMeans(4, n_init=1, random_state=0).fit(domain.sample(20, rng))
        oracle.ask(domain.project(found.cluster_centers_))
        yield Guess(0)


class Plain(Toy):
    """A toy of its own name."""

    name = "plain"


class Nothing(Open):
    """No defence, of its own name."""

    name = "none"


def registry() -> Registry:
    """Return these as if a distribution ``tests`` had installed them."""
    classes: tuple[Any, ...] = (Plain, Nothing, Greedy, Chatty)
    for cls in classes:
        cls.distribution = "tests"
    return Registry(tuple(Registered(cls, "tests", "1", __name__) for cls in classes))
