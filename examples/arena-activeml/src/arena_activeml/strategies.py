"""The query strategies of scikit-activeml, and what each of them has to be given.

Nothing here knows a strategy by its name. What its ``query`` cannot do without is read from its
signature; what it accepts is found out by rehearsal, on a pool of a few rows.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from skactiveml import pool
from skactiveml.base import SingleAnnotatorPoolQueryStrategy

from arena import Domain, Feature, Knowledge
from arena_activeml.models import Modelling, learner, seeded
from arena_activeml.options import Options, near

Floats = NDArray[np.float64]

OURS = frozenset({"classes", "missing_label", "random_state"})
"""What a strategy takes and this package decides."""

SUPPLIED = {
    "activeml": frozenset({"classes", "clf", "discriminator", "ensemble", "estimator"}),
    "activeml-regression": frozenset({"discriminator", "ensemble", "estimator", "reg"}),
}
"""What each attack supplies of what a strategy may need."""

INNER = "query_strategy"
"""The parameter by which a strategy wraps another."""

_ALWAYS = frozenset({"X", "y", "batch_size"})
_CLASSIFIERS = ("ParzenWindowClassifier", "MixtureModelClassifier")
_REGRESSORS = ("NICKernelRegressor", "DecisionTreeRegressor")
"""Models to consult, in this order, for a strategy that does not take the arena's learner."""


@cache
def strategies() -> Mapping[str, Any]:
    """Return every query strategy class for pools and a single annotator, by name."""
    found = {name: getattr(pool, name) for name in pool.__all__}
    return {
        name: cls
        for name, cls in found.items()
        if isinstance(cls, type) and issubclass(cls, SingleAnnotatorPoolQueryStrategy)
    }


@dataclass(frozen=True)
class Player:
    """A strategy that is ready to choose.

    Attributes:
        name: the class of the strategy.
        options: its parameters.
        modelling: how the models are made that it consults.
        committee: how many models a committee has.
    """

    name: str
    options: Mapping[str, Any]
    modelling: Modelling
    committee: int

    def choose(self, Z: Floats, y: Floats, n: int, rng: Generator) -> NDArray[np.int64]:
        """Choose rows to ask.

        Args:
            Z: float64 (m, width), encoded rows, those answered before those of the pool.
            y: float64 (a,), the answers to the first a of them.
            n: how many to choose, of the m - a others.
            rng: seeds the strategy and its models.

        Returns:
            int64 (<= n,), which rows of the pool, the first of them 0.
        """
        # A new one every time: some keep what they know of a pool, and this is another.
        strategy = self._made(self.name, self.options, rng)
        unknown = np.full(len(Z) - len(y), np.nan)
        with _global_state(rng):
            given = {
                name: value
                for needed in needs(self.name, self.options)
                for name, value in self._supply(needed, Z[: len(y)], y, rng).items()
            }
            chosen = strategy.query(X=Z, y=np.append(y, unknown), batch_size=n, **given)
        # Some give a column, and may choose fewer than they were asked for.
        return np.asarray(chosen, dtype=np.int64).ravel() - len(y)

    def _supply(self, needed: str, Z: Floats, y: Floats, rng: Generator) -> dict[str, Any]:
        if needed == "ensemble":
            members = self.modelling.committee(self.committee, Z, y, rng)
            return {"ensemble": members, "fit_ensemble": False}
        modelling = self.modelling.discriminating if needed == "discriminator" else self.modelling
        return {needed: modelling.model(rng)}

    def _made(self, name: str, options: Mapping[str, Any], rng: Generator) -> Any:
        cls, values = strategies()[name], dict(options)
        if INNER in values:
            values[INNER] = self._made(*named(values[INNER]), rng)
        if "classes" in inspect.signature(cls).parameters:
            values["classes"] = self.modelling.classes
        return seeded(cls, values, rng)


@contextmanager
def _global_state(rng: Generator) -> Iterator[None]:
    """Seed numpy's global state, from which some strategies cluster, and put it back after."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(rng.integers(2**31)))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def named(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Split a strategy inside another, ``Name`` or ``{Name: {option: value}}``.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and len(value) == 1:
        [(name, options)] = value.items()
        if options is None or isinstance(options, Mapping):
            return name, options or {}
    raise ValueError(f"'{INNER}' must be a strategy, as Name or {{Name: {{option: value}}}}")


def needs(name: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what ``query`` of a strategy cannot do without, that of one inside included."""
    signature = inspect.signature(strategies()[name].query).parameters.values()
    required = tuple(
        p.name
        for p in signature
        if p.default is p.empty
        and p.kind is p.POSITIONAL_OR_KEYWORD
        and p.name not in _ALWAYS | {"self"}
    )
    return required + (needs(*named(options[INNER])) if INNER in options else ())


def checked(name: str, options: Mapping[str, Any], attack: str) -> None:
    """Check a strategy's name and those of its options.

    Args:
        name: the strategy's.
        options: its parameters.
        attack: the name of the attack that it is to be.

    Raises:
        ValueError: a name is unknown, or the strategy needs what is not supplied.
    """
    if name not in strategies():
        raise ValueError(f"unknown strategy '{name}'; {near(name, strategies())}")
    takes = inspect.signature(strategies()[name]).parameters
    for option in options:
        if option in OURS:
            raise ValueError(f"option '{option}' of strategy '{name}' is set by arena; leave it")
        if option not in takes:
            known = takes.keys() - OURS
            raise ValueError(f"strategy '{name}' has no option '{option}'; {near(option, known)}")
    if INNER in options:
        checked(*named(options[INNER]), attack)
    elif INNER in takes:
        raise ValueError(f"strategy '{name}' wraps another; name it as '{INNER}' in options")
    required = [p.name for p in takes.values() if p.default is p.empty and p.name not in options]
    for needed in (*required, *needs(name, options)):
        if needed not in SUPPLIED[attack]:
            others = [f"'{other}'" for other, supplied in SUPPLIED.items() if needed in supplied]
            mend = f"use {others[0]}" if others else "name another strategy"
            raise ValueError(
                f"strategy '{name}' needs '{needed}', which '{attack}' cannot supply; {mend}"
            )


@cache
def consulted(
    name: str, options: Options, values: bool, model: str | None, settings: Options, batch: int
) -> str | None:
    """Find the first model that a strategy takes, by rehearsal.

    Args:
        name: the strategy's.
        options: its parameters.
        values: whether answers are values, not labels.
        model: the class name of the only model to try; None for any.
        settings: its parameters.
        batch: how many rows must be chosen at a time.

    Returns:
        The class name of the model; None for the arena's own learner.

    Raises:
        ValueError: it takes none of them, or refuses its options.
    """
    refusals = []
    for tried in [model] if model else [None, *(_REGRESSORS if values else _CLASSIFIERS)]:
        cls = learner(tried, values) if tried else None
        try:
            _rehearse(Player(name, options, Modelling(_toy(values), cls, settings), 2), batch)
        except Exception as error:
            refusals.append(" ".join(str(error).split()))
        else:
            return tried
    raise ValueError(f"strategy '{name}' refuses to play: {refusals[0]}")


def _rehearse(player: Player, batch: int) -> None:
    rng = np.random.default_rng(0)
    Z = rng.uniform(-1.0, 1.0, (24, 2))
    y = np.arange(8.0) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        player.choose(Z, y, batch, rng)


def _toy(values: bool) -> Knowledge:
    domain = Domain(tuple(Feature(name, "continuous", -1.0, 1.0) for name in "ab"))
    if values:
        return Knowledge(domain, (), frozenset({"value"}), "linear-regression")
    return Knowledge(domain, ("no", "yes"), frozenset({"label"}), "halfspace")
