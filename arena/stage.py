"""A trained target with its scoring inputs: made once, kept on disk, shared by all its matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arena.answers import Answer
from arena.api import Floats, Target, Victim
from arena.errors import ArenaError
from arena.metrics import (
    Inputs,
    balanced_inputs,
    held_out_inputs,
    natural_inputs,
    uniform_inputs,
)
from arena.pairing import TargetSpec
from arena.seeds import generator


@dataclass(frozen=True)
class Stage:
    """What the referee holds of one target.

    Attributes:
        victim: the trained target.
        pool: float64 (n, d), the unlabelled natural rows attacks may be given.
        inputs: scoring inputs by kind: natural, uniform, balanced (None where a class is not met),
            and held-out real rows with their true classes (None where there are none).
        natural_answer: the victim's answer to the natural inputs; what a defence costs honest
            users is measured on it.
    """

    victim: Victim
    pool: Floats
    inputs: dict[str, Inputs | None]
    natural_answer: Answer


def prepare(spec: TargetSpec) -> Stage:
    """Train a target and draw its scoring inputs.

    Raises:
        ArenaError: its data cannot serve, or what it returns is no victim.
    """
    victim = _trained(spec.target, spec.seeds["target"])
    rng = generator(spec.seeds["scoring"])
    natural = victim.natural
    if spec.pool >= len(natural.X):
        raise ArenaError(
            f"a pool of {spec.pool} rows leaves none of {spec.target.title()}'s {len(natural.X)} "
            "natural rows for scoring; set knowledge.pool lower"
        )
    order = rng.permutation(len(natural.X))
    pooled = np.zeros(len(order), dtype=bool)
    pooled[order[: spec.pool]] = True
    natural_scoring = natural_inputs(victim, spec.size, rng, ~pooled)
    return Stage(
        victim,
        natural.X[pooled],
        {
            "natural": natural_scoring,
            "uniform": uniform_inputs(victim, spec.size, rng),
            "balanced": balanced_inputs(victim, spec.size, rng),
            "held-out": held_out_inputs(natural),
        },
        victim.answer(natural_scoring.X),
    )


def _trained(target: Target, seed: str) -> Victim:
    victim = target.train(generator(seed))
    if not isinstance(victim, Victim):
        raise ArenaError(f"target {target.name} trains {type(victim).__name__}, no arena.Victim")
    rows = victim.natural.X
    if rows.ndim != 2 or rows.shape[1] != victim.domain.d or not len(rows):
        raise ArenaError(
            f"target {target.name} gives natural rows of shape {rows.shape} "
            f"for a domain of {victim.domain.d} features"
        )
    if len(victim.classes) < 2:
        raise ArenaError(f"target {target.name} has one class only; give it data with two")
    return victim
