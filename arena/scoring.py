"""Scores snapshots on a stage, after the attack has ended."""

from __future__ import annotations

from arena.api import Victim
from arena.learners.arrays import Linear
from arena.metrics import geometric_error, parameter_error
from arena.records import Goal
from arena.snapshots import Predictor
from arena.stage import Stage

KINDS = ("natural", "uniform", "balanced")


def goal_values(stage: Stage, goal: Goal, predictor: Predictor) -> tuple[float, ...]:
    """Return the goal's metric of one snapshot, one value a scoring half; () where undefined.

    Raises:
        RuleBroken: the surrogate fails to predict.
    """
    if goal.is_error:
        error = _weights_error(stage.victim, goal.metric, predictor)
        return () if error is None else (error,)
    kind = "held-out" if goal.metric == "accuracy" else goal.inputs
    return _likeness(stage, kind, predictor)


def final_metrics(stage: Stage, predictor: Predictor) -> dict[str, float | None]:
    """Return every metric of one snapshot, the mean of both halves; None where undefined.

    Raises:
        RuleBroken: the surrogate fails to predict.
    """
    metrics: dict[str, float | None] = {}
    for kind in (*KINDS, "held-out"):
        halves = _likeness(stage, kind, predictor)
        # Halved first: the sum of two of the least floats is none.
        metrics[_named(stage.victim, kind)] = sum(h / 2 for h in halves) if halves else None
    for metric in ("geometric-error", "parameter-error"):
        metrics[metric] = _weights_error(stage.victim, metric, predictor)
    return metrics


def _named(victim: Victim, kind: str) -> str:
    if not victim.classes:
        return f"r2 {kind}"
    return "accuracy" if kind == "held-out" else f"fidelity {kind}"


def _likeness(stage: Stage, kind: str, predictor: Predictor) -> tuple[float, ...]:
    """Return the agreement of labels, or the R^2 of values, in each half."""
    inputs = stage.inputs[kind]
    if inputs is None:
        return ()
    predicted = predictor.labels(inputs.X, stage.encoded(kind))
    return inputs.agreement(predicted) if stage.victim.classes else inputs.r2(predicted)


def _weights_error(victim: Victim, metric: str, predictor: Predictor) -> float | None:
    halfspace = predictor.normal if isinstance(predictor, Linear) else None
    if halfspace is None or "coef" not in victim.parameters:
        return None
    coef, intercept = victim.parameters["coef"], victim.parameters["intercept"]
    if coef.size != victim.domain.width:
        return None
    true = coef.reshape(-1), float(intercept.reshape(-1)[0])
    if metric == "parameter-error":
        return parameter_error(*halfspace, *true)
    affine = not victim.domain.identity_encoded
    return geometric_error(*halfspace, *true, affine)
