"""A trained target with its scoring inputs: made once, kept on disk, shared by all its matches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from arena.answers import Answer, Unanswerable, delivered
from arena.api import FAMILIES, Floats, Natural, Victim
from arena.errors import ArenaError, InvalidQuery
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
            and held-out real rows with their true classes (None where there are none). For a
            regression, values in place of labels, and no balanced ones.
        natural_answer: the victim's answer to the natural inputs; what a defence costs honest
            users is measured on it.
    """

    victim: Victim
    pool: Floats
    inputs: dict[str, Inputs | None]
    natural_answer: Answer

    def encoded(self, kind: str) -> Floats:
        """Return the encoded scoring inputs of one kind, float64 (n, width); made once."""
        if kind not in self._encoded:
            inputs = self.inputs[kind]
            X = self.pool[:0] if inputs is None else inputs.X
            self._encoded[kind] = self.victim.domain.encode(X)
        return self._encoded[kind]

    @cached_property
    def _encoded(self) -> dict[str, Floats]:
        return {}


def prepare(spec: TargetSpec) -> Stage:
    """Train a target and draw its scoring inputs.

    Raises:
        ArenaError: its data cannot serve, or what it returns is no victim.
    """
    victim = spec.target.train(generator(spec.seeds["target"]))
    if wrong := _fault(victim):
        raise ArenaError(wrong)
    rng = generator(spec.seeds["scoring"])
    natural = victim.natural
    if spec.pool >= len(natural.X):
        raise ArenaError(
            f"a pool of {spec.pool} rows leaves none of its {len(natural.X)} natural rows for "
            "scoring; set knowledge.pool lower"
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


def _fault(victim: object) -> str:
    """Say what is wrong with what a target trained; empty if nothing is."""
    if not isinstance(victim, Victim):
        return f"its train returns {type(victim).__name__}, no arena.Victim"
    if len(victim.classes) == 1:
        return "it has one class only; give it data with two"
    if victim.family not in FAMILIES:
        return f"its family '{victim.family}' is none of arena.FAMILIES"
    infinite = [name for name, array in victim.parameters.items() if not np.isfinite(array).all()]
    if infinite:
        return f"its parameter '{infinite[0]}' is not finite"
    return _natural_fault(victim.natural, victim) or _answer_fault(victim)


def _natural_fault(natural: Natural, victim: Victim) -> str:
    X, n, d = natural.X, len(natural.X), victim.domain.d
    if X.ndim != 2 or X.shape[1] != d or not n:
        return f"its natural rows have shape {X.shape}; its domain has {d} features"
    if natural.y.shape != (n,) or natural.held_out.shape != (n,):
        return f"its natural y or held_out is not of shape ({n},)"
    if natural.y.dtype.kind not in ("iu" if victim.classes else "f"):
        what = "the indices of classes" if victim.classes else "values, as it has no classes"
        return f"its natural y is {natural.y.dtype}; give {what}"
    if natural.held_out.dtype != bool:
        return f"its natural held_out is {natural.held_out.dtype}, not bool"
    try:
        victim.domain.validate(X)
    except InvalidQuery:
        return "its natural rows hold what cannot be asked: NaN, infinities or unknown categories"
    return ""


def _answer_fault(victim: Victim) -> str:
    rows = np.ascontiguousarray(victim.natural.X)
    fields = victim.reveals | {victim.output}
    try:
        answer = delivered(victim.answer(rows), len(rows), len(victim.classes), fields)
    except Unanswerable as error:
        return f"it {error}"
    for name in fields:
        array = answer.field(name)
        if array is not None and not np.isfinite(array).all():
            return f"its {name} is not finite on its natural rows"
    return ""
