"""arena: model-extraction attacks against defended prediction APIs, ranked by queries.

Everything a plugin imports comes from here, and so do the three steps of a run::

    tournament = arena.load("tournaments/uci.yaml")
    results = arena.play(tournament)
    board = arena.standings(results)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arena.answers import FIELDS, REFUSED, Answer
from arena.api import (
    ANY,
    FAMILIES,
    PLUGIN_API,
    Attack,
    AttackRef,
    Defense,
    DefenseRef,
    Knowledge,
    LinearSurrogate,
    Natural,
    Oracle,
    Plugin,
    Session,
    Surrogate,
    Target,
    Victim,
)
from arena.datasets import Dataset, RegressionDataset, Table
from arena.domain import Domain, Feature
from arena.errors import ArenaError, BudgetExhausted, InvalidQuery, OracleClosed
from arena.hookspecs import hookimpl
from arena.rowwise import affine, softmax
from arena.splits import Split, one_against_rest, split
from arena.standings import standings

if TYPE_CHECKING:
    from arena import conformance
    from arena.engine import play
    from arena.learners import (
        box_posterior,
        kernel_svm,
        nested_planes,
        nested_spheres,
        pairwise_svm,
        recipes,
    )
    from arena.tournament import load

_LAZY = {
    "load": "arena.tournament",
    "play": "arena.engine",
}
_LAZY_MODULES = {
    name: f"arena.learners.{name}"
    for name in (
        "box_posterior",
        "kernel_svm",
        "nested_planes",
        "nested_spheres",
        "pairwise_svm",
        "recipes",
    )
} | {"conformance": "arena.conformance"}


def __getattr__(name: str) -> Any:
    """Import on first use what pulls in scikit-learn or the engine, so that `--help` is quick."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _LAZY_MODULES:
        return import_module(_LAZY_MODULES[name])
    raise AttributeError(f"module 'arena' has no attribute '{name}'")


__all__ = [
    "ANY",
    "FAMILIES",
    "FIELDS",
    "PLUGIN_API",
    "REFUSED",
    "Answer",
    "ArenaError",
    "Attack",
    "AttackRef",
    "BudgetExhausted",
    "Dataset",
    "Defense",
    "DefenseRef",
    "Domain",
    "Feature",
    "InvalidQuery",
    "Knowledge",
    "LinearSurrogate",
    "Natural",
    "Oracle",
    "OracleClosed",
    "Plugin",
    "RegressionDataset",
    "Session",
    "Split",
    "Surrogate",
    "Table",
    "Target",
    "Victim",
    "affine",
    "box_posterior",
    "conformance",
    "hookimpl",
    "kernel_svm",
    "load",
    "nested_planes",
    "nested_spheres",
    "one_against_rest",
    "pairwise_svm",
    "play",
    "recipes",
    "softmax",
    "split",
    "standings",
]
