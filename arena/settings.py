"""The keys of a tournament file: their types, bounds and defaults."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST_REPETITIONS: Final = 10_000
LARGEST_BUDGET: Final = 1_000_000_000

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _names_a_folder(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"{name!r} cannot name a folder; write letters, digits, '.', '_' and '-', "
            "a letter or a digit first"
        )
    return name


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GoalSettings(_Settings):
    """What the tournament ranks by: a metric, the inputs it is measured on, the levels to reach."""

    metric: Literal["fidelity", "accuracy", "r2", "geometric-error", "parameter-error"] = Field(
        "fidelity",
        description="agreement with the target, with the truth, R^2 of the target's values, or an "
        "error of weights",
    )
    inputs: Literal["natural", "uniform", "balanced"] = Field(
        "natural", description="what fidelity is measured on, and r2, which knows no balanced ones"
    )
    reach: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(
        [0.90, 0.95, 0.99], description="the levels that boards rank"
    )
    size: int = Field(
        4000, ge=40, le=1_000_000, multiple_of=2, description="scoring inputs, in two halves"
    )


class Grants(_Settings):
    """What every attack is told."""

    hyperparameters: bool = Field(True, description="the target's recipe")
    pool: int = Field(0, ge=0, description="unlabelled natural rows, of no use to natural scoring")
    defense: bool = Field(False, description="the defence chain and its parameters")

    def granted(self) -> frozenset[str]:
        """Return the names of the grants in force."""
        return frozenset(name for name, value in self.model_dump().items() if value)


class Limits(_Settings):
    """What an attack may use in one match, and its surrogates while they are scored."""

    wall: float = Field(1800.0, gt=0, le=1e6, description="seconds, queries answered included")
    cpu: int = Field(1800, ge=1, le=1_000_000, description="seconds of processor time")
    memory: int = Field(4096, ge=64, le=1 << 24, description="MiB")
    files: int = Field(256, ge=16, le=65536, description="open files")
    output: int = Field(
        16, ge=1, le=1 << 16, description="MiB that it may print, or write into any one file"
    )


USUAL_LIMITS: Final = Limits.model_validate({})

Isolation = Literal["cell", "none"]


class Figure(_Settings):
    """A published figure: queries to a level, or those of a whole attack and where it ended."""

    target: str = Field(description="a target's name on the board")
    attack: str = Field(description="an attack's name on the board")
    defense: str | None = Field(None, description="a defence's name on the board; null: any")
    queries: float = Field(ge=0, description="as published")
    goal: float | None = Field(None, description="the level they reached; null: the attack's end")
    value: float | None = Field(None, description="the metric at the attack's end, as published")


class Published(_Settings):
    """Figures to print beside ours."""

    source: str = Field(min_length=1, description="where they were published")
    figures: Annotated[list[Figure], Field(min_length=1)]


class Settings(_Settings):
    """A tournament file; its plugins are read apart."""

    name: Annotated[str, AfterValidator(_names_a_folder)] | None = Field(
        None,
        description="names the folder of results; the file's stem by default",
        json_schema_extra={"pattern": _NAME},
    )
    requires: list[str] = Field(
        [],
        description="packages that must be installed, each as pip reads it",
        examples=[["arena-pack>=0.1"]],
    )
    seed: int | Literal["secret"] = Field(
        0, description="every match's seeds derive from it; 'secret' draws one"
    )
    repetitions: int = Field(5, ge=1, le=MOST_REPETITIONS, description="runs of every pair")
    budget: int = Field(500, ge=1, le=LARGEST_BUDGET, description="queries a match may spend")
    price: float = Field(0.0001, ge=0, le=1_000_000, description="dollars a query")
    checkpoints: float = Field(
        1.05,
        ge=1,
        le=10,
        description="growth of the queries from one scored surrogate to the next; 1: all",
    )
    goal: GoalSettings = Field(default_factory=lambda: GoalSettings.model_validate({}))
    knowledge: Grants = Field(default_factory=lambda: Grants.model_validate({}))
    utility_floor: float | None = Field(
        None,
        ge=0,
        le=1,
        description="a defence that leaves a smaller share of natural labels is not ranked",
    )
    limits: Limits = Field(default_factory=lambda: USUAL_LIMITS)
    isolation: Isolation = Field(
        "cell", description="where attacks run: a process of their own each, or, to debug, ours"
    )
    retrain: bool = Field(False, description="train every target anew for every repetition")
    published: Published | None = Field(None, description="figures to print beside ours")
    targets: Annotated[list[Any], Field(min_length=1)]
    defenses: Annotated[list[Any], Field(min_length=1)] = Field(
        ["none"], description="a defence, or a chain of them, the first nearest the model"
    )
    attacks: Annotated[list[Any], Field(min_length=1)]
