"""Every plugin of this repository keeps to the rules."""

from __future__ import annotations

from typing import Any

import pytest

from arena import conformance
from arena.api import Plugin
from arena.datasets import NAMES
from arena.registry import Registered, installed

OURS = tuple(p for p in installed().plugins if p.distribution == "extraction-arena")
CLASSIFIERS = tuple(p for p in OURS if p.kind == "target" and p.name != "linear-regression")
DECLINING = {
    ("dimension-coupling", "survives-tiny-domains"): "couples two features",
    ("lowd-meek", "survives-mixed-features"): "needs continuous features",
    ("lowd-meek", "survives-refusals"): "can do without none",
}
"""What attacks of ours say that they cannot do."""

SLOW = ("adaptive-retraining", "line-search", "majority")
"""Seconds each; .ci/run checks all by the wheel."""

VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("eat", {"candidates": 5}),
    ("majority", {"repeats": 2, "attack": {"majority": {"repeats": 1, "attack": "random"}}}),
    ("label-flip", {"rate": 0.45}),
    ("consistent", {"defense": {"label-flip": {"rate": 0.3}}}),
    ("value-noise", {"sigma": 10.0, "law": "uniform"}),
    ("halfspace", {"dataset": "wine", "space": "box"}),
    ("logistic", {"dataset": "pima", "reveals": ["label", "probabilities", "score"]}),
    ("logistic", {"dataset": "wine", "bins": 5}),
)


def marked(registered: Registered) -> Any:
    """Put off what takes seconds."""
    marks = [pytest.mark.slow] if registered.name in SLOW else []
    return pytest.param(registered, marks=marks)


@pytest.mark.parametrize("registered", [marked(p) for p in OURS], ids=lambda p: p.name)
def test_a_built_in_conforms(registered: Registered) -> None:
    (plugin,) = conformance.examples(registered.plugin)
    must_conform(plugin)


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_a_built_in_conforms_by_other_parameters(name: str, parameters: dict[str, Any]) -> None:
    (plugin,) = conformance.examples(name, parameters)
    must_conform(plugin)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", NAMES)
@pytest.mark.parametrize("registered", CLASSIFIERS, ids=lambda p: p.name)
def test_a_target_conforms_on_every_data_set(registered: Registered, dataset: str) -> None:
    (plugin,) = conformance.examples(registered.plugin, {"dataset": dataset})
    must_conform(plugin)


def must_conform(plugin: Plugin) -> None:
    results = conformance.check(plugin)
    assert [r for r in results if r.outcome == "failed"] == []
    declined = {
        (plugin.name, r.check): r.reason for r in results if r.reason.startswith("it declines")
    }
    expected = {at: words for at, words in DECLINING.items() if at[0] == plugin.name}
    assert declined.keys() == expected.keys()
    for at, words in expected.items():
        assert words in declined[at]
