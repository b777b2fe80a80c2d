"""No query of an attack may void its match: what a target or a defence fails on does not count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from playground import door
from pydantic import ValidationError

from arena import Defense, Domain, Target, Victim
from arena.pairing import TargetSpec
from arena.registry import installed
from arena.seeds import digest, generator
from arena.stage import Stage, prepare
from arena_plugins.defenses.label_flip import LabelFlip

LARGEST = float(np.finfo(np.float64).max)
EXTREMES = (LARGEST, -LARGEST, 1e200, -1e155, 2.0**63, 1e19, 5e-324, -0.0)
PARAMETERS: dict[str, dict[str, Any]] = {
    "label-flip": {"rate": 0.2},
    "consistent": {"defense": LabelFlip(rate=0.2)},
    "value-noise": {"sigma": 1.0},
}
"""Of defences that cannot do without."""

SETS = ("breast_cancer", "diabetes")

OURS = "extraction-arena"
TARGETS = [p.plugin for p in installed().of_kind("target") if p.distribution == OURS]
DEFENSES = [p.plugin for p in installed().of_kind("defense") if p.distribution == OURS]


def extreme(domain: Domain, rng: Generator) -> Iterator[NDArray[np.float64]]:
    """Yield batches that are valid and far from everything."""
    free = np.ones(domain.d, dtype=bool)
    free[domain.categorical] = False
    columns = np.flatnonzero(free)
    for value in EXTREMES:
        for chosen in (columns, columns[:1], columns[::2]):
            X = domain.sample(3, rng)
            X[:, chosen] = value
            yield X
            X[:, chosen[::2]] *= -1
            yield X[:1]


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: str(target.name))
def trained(request: pytest.FixtureRequest) -> tuple[Target, Stage]:
    """A target that reveals all it can."""
    target: type[Target] = request.param
    for name in SETS:
        given: dict[str, Any] = {"dataset": name, "reveals": target.can_reveal}
        with suppress(ValidationError):
            made = target(**given)
            return made, prepare(TargetSpec(made, 1, None, 100, 0))
    raise AssertionError(f"{target.name} is not trained on any of {SETS}")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("defense", DEFENSES, ids=lambda defense: str(defense.name))
def test_no_valid_query_fails_a_target_or_a_defence(
    trained: tuple[Target, Stage], defense: type[Defense]
) -> None:
    target, stage = trained
    made = defense(**PARAMETERS.get(defense.name, {}))
    victim: Victim = stage.victim
    fields = victim.reveals - made.traits.hides
    if not fields or not made.traits.families & target.families():
        pytest.skip("does not protect this target")
    rng = generator(digest("extremes"))
    oracle = door(victim, 10_000, fields=fields, sessions=[made.protect(victim, rng)])
    for X in extreme(victim.domain, rng):
        oracle.ask(X)
    assert oracle.fault == ""
