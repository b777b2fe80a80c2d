"""Small victims without data: of every family, over domains of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from arena.answers import Answer
from arena.api import FAMILIES, Floats, Natural, Victim
from arena.domain import Domain, Feature
from arena.rowwise import affine, softmax

Terrain = Literal["ordinary", "mixed", "one-class", "tiny"]

_ROWS = 60
_BEYOND = 100.0
"""An intercept that no row of a box outweighs."""

SPHERE = Domain.euclidean(("x0", "x1", "x2"))
BOX = Domain(
    (
        Feature("width", "continuous", -2.0, 3.0),
        Feature("height", "continuous", 10.0, 11.0),
        Feature("depth", "continuous", 0.0, 1000.0),
    )
)
MIXED = Domain(
    (
        Feature("size", "continuous", -2.0, 3.0),
        Feature("rooms", "integer", 1.0, 6.0),
        Feature("colour", "categorical", 0.0, 2.0, ("red", "green", "blue")),
    )
)
LINE = Domain((Feature("size", "continuous", -2.0, 3.0),))
FLAT = Domain((Feature("size", "continuous", -2.0, 3.0), Feature("flat", "continuous", 4.0, 4.0)))
COIN = Domain((Feature("side", "categorical", 0.0, 1.0, ("heads", "tails")),))
AXIS = Domain.euclidean(("x",))

_RECIPES: Mapping[str, dict[str, Any]] = {
    "halfspace": {"C": 1.0},
    "softmax": {"C": 1.0},
    "kernel-svm": {"C": 1.0, "gamma": 0.5},
    "tree": {"max_depth": 3, "max_leaf_nodes": None, "min_samples_leaf": 1},
    "forest": {"trees": 5, "max_depth": 3, "max_leaf_nodes": None, "min_samples_leaf": 1},
    "network": {"hidden": [3], "alpha": 1e-4},
    "linear-regression": {"alpha": 0.0},
    "other": {},
}
"""The recipe of every family, by the names that targets give its parameters."""

_HOMOGENEOUS = "homogeneous-halfspace"

_FEW = 3
"""Families met on terrain where what matters is the domain."""


@dataclass(frozen=True)
class Toy:
    """A victim to practise on.

    Attributes:
        title: what a sentence calls it.
        victim: reveals all that it can.
        families: those it belongs to.
    """

    title: str
    victim: Victim
    families: frozenset[str]

    def revealing(self, fields: frozenset[str]) -> Victim:
        """Return the victim with fewer fields meant for clients."""
        return replace(self.victim, reveals=fields)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Linear(Victim):
    """Scores W z + b of the encoded row z, W (1 or k, width)."""

    W: Floats
    b: Floats

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d)."""
        z = affine(self.domain.encode(X), self.W, self.b)
        if not self.classes:
            return Answer(value=z[:, 0])
        binary = len(self.b) == 1
        answer = Answer(
            label=(z[:, 0] > 0).astype(np.int64) if binary else z.argmax(axis=1),
            probabilities=softmax(z),
            score=z[:, 0] if binary else z,
        )
        return answer.only({*self.reveals, "label"})


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tree(Victim):
    """Splits by the sign of the first encoded column, then of the last."""

    labels: tuple[int, int, int, int]

    def answer(self, X: Floats) -> Answer:
        """Answer raw rows X (n, d)."""
        Z = self.domain.encode(X)
        leaf = 2 * (Z[:, 0] > 0).astype(np.int64) + (Z[:, -1] > 0)
        label = np.array(self.labels).take(leaf)
        sure = np.array([0.9, 0.7, 0.8, 0.6]).take(leaf)
        probabilities = np.column_stack([1 - sure, sure])
        probabilities[label == 0] = probabilities[label == 0][:, ::-1]
        return Answer(label, probabilities, leaf=leaf).only({*self.reveals, "label"})


def toys(terrain: Terrain, families: frozenset[str]) -> tuple[Toy, ...]:
    """Return the toys of some terrain that belong to one of the families, at least one."""
    found = tuple(toy for toy in _all(terrain) if toy.families & families)
    if terrain == "ordinary":
        return found
    # What asks for one family meets it; what learns any need not meet every learner again.
    met = list(dict.fromkeys(toy.victim.family for toy in found))[:_FEW]
    return tuple(toy for toy in found if toy.victim.family in met)


@cache
def _all(terrain: Terrain) -> tuple[Toy, ...]:
    boxes, spheres = {
        "ordinary": ((BOX,), (SPHERE,)),
        "mixed": ((MIXED,), ()),
        "one-class": ((BOX,), (SPHERE,)),
        "tiny": ((LINE, FLAT, COIN), (AXIS,)),
    }[terrain]
    constant = terrain == "one-class"
    affine_families = (*_RECIPES, *sorted(FAMILIES - {*_RECIPES, _HOMOGENEOUS}))
    return (
        *(_toy("halfspace", domain, constant) for domain in spheres),
        *(_toy(family, domain, constant) for family in affine_families for domain in boxes),
    )


def _toy(family: str, domain: Domain, constant: bool) -> Toy:
    rng = np.random.default_rng(2)
    sphere = domain.geometry == "sphere"
    k = {"linear-regression": 0, "softmax": 3}.get(family, 2)
    X = domain.sample(_ROWS, rng)
    rest: dict[str, Any] = {
        "domain": domain,
        "classes": tuple(f"class {i}" for i in range(k)),
        "family": family,
        "hyperparameters": _RECIPES.get(family, {}),
    }
    held_out = np.arange(_ROWS) % 3 == 0
    # The truth knows every class, even where the model does not.
    truth: Any = np.arange(_ROWS) % k if k else X[:, 0].copy()
    rest["natural"] = Natural(X, truth, held_out)
    victim: Victim
    if family == "tree":
        labels = (1, 1, 1, 1) if constant else (0, 1, 1, 0)
        revealed = frozenset({"label", "probabilities", "leaf"})
        victim = _Tree(reveals=revealed, labels=labels, **rest)
    else:
        W = rng.standard_normal((k if k > 2 else 1, domain.width))
        b = np.zeros(len(W)) if sphere else 0.1 * rng.standard_normal(len(W))
        if constant:
            W, b = (0 * W, b) if sphere else (W, b + _BEYOND * (np.arange(len(W)) == 0))
        revealed = frozenset({"label", "probabilities", "score"} if k else {"value"})
        own = {"coef": W[0], "intercept": b[0, ...]} if len(W) == 1 else {}
        victim = _Linear(reveals=revealed, parameters=own, W=W, b=b, **rest)
    if k and not constant:
        truth = victim.answer(X).field("label")
        victim = replace(victim, natural=Natural(X, truth, held_out))
    more = {_HOMOGENEOUS} if sphere else set()
    return Toy(_title(family, domain, constant), victim, frozenset({family, *more}))


def _title(family: str, domain: Domain, constant: bool) -> str:
    kinds = sorted({feature.kind for feature in domain.features})
    where = f"R^{domain.d}" if domain.geometry == "sphere" else f"a box of {domain.d}"
    flat = " of which one is constant" if domain is FLAT else ""
    one = " that gives one answer to all" if constant else ""
    return f"a toy of family {family} in {where} ({', '.join(kinds)}{flat}){one}"
