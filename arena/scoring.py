"""Scores snapshots on a stage, after the attack has ended."""

from __future__ import annotations

from arena.api import Victim
from arena.metrics import Inputs, geometric_error, parameter_error
from arena.records import Goal
from arena.snapshots import Linear, Snapshot, predict
from arena.stage import Stage

KINDS = ("natural", "uniform", "balanced")


def goal_values(stage: Stage, goal: Goal, snapshot: Snapshot) -> tuple[float, ...]:
    """Return the goal's metric of one snapshot, one value a scoring half; () where undefined.

    Raises:
        RuleBroken: the surrogate fails to predict.
    """
    if goal.is_error:
        error = _weights_error(stage.victim, goal.metric, snapshot)
        return () if error is None else (error,)
    inputs = stage.inputs["held-out" if goal.metric == "accuracy" else goal.inputs]
    return () if inputs is None else _agreement(stage, inputs, snapshot)


def final_metrics(stage: Stage, snapshot: Snapshot) -> dict[str, float | None]:
    """Return every metric of one snapshot, the mean of both halves; None where undefined.

    Raises:
        RuleBroken: the surrogate fails to predict.
    """
    metrics: dict[str, float | None] = {}
    for kind in (*KINDS, "held-out"):
        inputs = stage.inputs[kind]
        name = "accuracy" if kind == "held-out" else f"fidelity {kind}"
        metrics[name] = None if inputs is None else sum(_agreement(stage, inputs, snapshot)) / 2
    for metric in ("geometric-error", "parameter-error"):
        metrics[metric] = _weights_error(stage.victim, metric, snapshot)
    return metrics


def _agreement(stage: Stage, inputs: Inputs, snapshot: Snapshot) -> tuple[float, float]:
    victim = stage.victim
    encoded = victim.domain.encode(inputs.X) if isinstance(snapshot, Linear) else inputs.X
    return inputs.agreement(predict(snapshot, inputs.X, encoded, len(victim.classes)))


def _weights_error(victim: Victim, metric: str, snapshot: Snapshot) -> float | None:
    halfspace = snapshot.normal if isinstance(snapshot, Linear) else None
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
