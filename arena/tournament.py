"""Tournament files: YAML with line marks in, a validated `Tournament` out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)

from arena.api import Attack, Defense, Kind, Plugin, Target
from arena.errors import ArenaError, closest
from arena.records import Goal
from arena.registry import Registry, build, installed, named
from arena.yamlmarks import Document, parse

P = TypeVar("P", bound=Plugin)
At = tuple[str | int, ...]

_FEWEST_ERRORS = 10
"""A level must allow this many disagreements in a scoring half, or it cannot be told from 1."""


class GoalSettings(BaseModel):
    """What the tournament ranks by: a metric, the inputs it is measured on, the levels to reach."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: Literal["fidelity", "accuracy", "geometric-error", "parameter-error"] = Field(
        "fidelity", description="agreement with the target, with the truth, or an error of weights"
    )
    inputs: Literal["natural", "uniform", "balanced"] = Field(
        "natural", description="what fidelity is measured on"
    )
    reach: Annotated[list[StrictFloat | StrictInt], Field(min_length=1)] = Field(
        [0.90, 0.95, 0.99], description="the levels that boards rank, at least one"
    )
    size: Annotated[StrictInt, Field(ge=20, le=1_000_000)] = Field(
        4000, description="scoring inputs, in two disjoint halves"
    )


class Grants(BaseModel):
    """What every attack is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hyperparameters: StrictBool = Field(True, description="the target's recipe")
    pool: Annotated[StrictInt, Field(ge=0)] = Field(
        0, description="unlabelled natural rows; scoring never uses them"
    )
    defense: StrictBool = Field(False, description="the defence chain and its parameters")

    def granted(self) -> frozenset[str]:
        """Return the names of the grants in force."""
        return frozenset(name for name, value in self.model_dump().items() if value)


PluginEntry = Annotated[
    str | dict[str, Any], Field(description="name, or {name: {parameter: value}}")
]


class Settings(BaseModel):
    """A tournament file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = Field(
        None, description="names the folder of results; the file's stem by default"
    )
    seed: StrictInt | Literal["secret"] = Field(
        0, description="every match's seeds derive from it; 'secret' draws one"
    )
    repetitions: Annotated[StrictInt, Field(ge=1, le=100_000)] = Field(
        5, description="runs of every pair"
    )
    budget: Annotated[StrictInt, Field(ge=1)] = Field(500, description="queries a match may spend")
    price: Annotated[StrictFloat | StrictInt, Field(ge=0)] = Field(
        0.0001, description="dollars a query"
    )
    checkpoints: Annotated[StrictFloat | StrictInt, Field(ge=1, le=10)] = Field(
        1.05, description="growth of the queries from one scored surrogate to the next; 1: all"
    )
    goal: GoalSettings = Field(default_factory=lambda: GoalSettings.model_validate({}))
    knowledge: Grants = Field(default_factory=lambda: Grants.model_validate({}))
    utility_floor: Annotated[StrictFloat | StrictInt, Field(ge=0, le=1)] | None = Field(
        None, description="a defence that leaves a smaller share of natural labels is not ranked"
    )
    retrain: StrictBool = Field(False, description="train every target anew for every repetition")
    targets: Annotated[list[PluginEntry], Field(min_length=1)]
    defenses: Annotated[list[PluginEntry | list[PluginEntry]], Field(min_length=1)] = Field(
        ["none"], description="a defence, or a chain of them, the first nearest the model"
    )
    attacks: Annotated[list[PluginEntry], Field(min_length=1)]


@dataclass(frozen=True)
class Entrant(Generic[P]):
    """One line of a tournament file: its name on boards and its specification.

    A defence entrant is a chain of plugins, targets and attacks hold exactly one.
    """

    label: str
    plugins: tuple[P, ...]

    @property
    def plugin(self) -> P:
        """The one specification of a target or an attack."""
        return self.plugins[0]


@dataclass(frozen=True)
class Tournament:
    """A validated tournament file.

    Attributes:
        name: names the folder of results.
        seed: a whole number, ``secret``, or the hexadecimal digits drawn for a secret one.
        repetitions: runs of every pair.
        budget: queries a match may spend.
        price: dollars a query.
        checkpoints: growth of the queries from one scored surrogate to the next.
        goal: what boards rank by.
        knowledge: what every attack is told.
        targets: the targets, with their names on boards.
        defenses: the defence chains.
        attacks: the attacks, baselines included.
        utility_floor: least share of natural labels a ranked defence leaves alone.
        retrain: whether a target is trained anew for every repetition.
    """

    name: str
    seed: int | str
    repetitions: int
    budget: int
    price: float
    checkpoints: float
    goal: Goal
    knowledge: Grants
    targets: tuple[Entrant[Target], ...]
    defenses: tuple[Entrant[Defense], ...]
    attacks: tuple[Entrant[Attack], ...]
    utility_floor: float | None = None
    retrain: bool = False

    def with_(self, repetitions: int | None = None, budget: int | None = None) -> Tournament:
        """Return the same tournament with more (or fewer) repetitions or another budget."""
        return replace(
            self,
            repetitions=repetitions if repetitions is not None else self.repetitions,
            budget=budget if budget is not None else self.budget,
        )


def load(path: str | Path, registry: Registry | None = None) -> Tournament:
    """Read and validate a tournament file; its data sets are loaded as a check.

    Args:
        path: the YAML file.
        registry: the plugins it may name; those installed by default.

    Raises:
        ArenaError: everything that is wrong with it, a line each, with file:line:column.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ArenaError(f"{path}: there is no such tournament file; check the path") from None
    except IsADirectoryError:
        raise ArenaError(f"{path} is a folder; name a tournament file") from None
    except UnicodeDecodeError:
        raise ArenaError(f"{path}: not a text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ArenaError(f"{path}: cannot be read: {error.strerror}") from None
    document = parse(text, str(path))
    return _Loader(document, path, registry or installed()).tournament()


class _Loader:
    """Validates one document, collecting every problem before it gives up."""

    def __init__(self, document: Document, path: Path, registry: Registry) -> None:
        self.document = document
        self.path = path
        self.registry = registry
        self.problems: list[str] = []

    def tournament(self) -> Tournament:
        if not isinstance(self.document.data, dict):
            raise ArenaError(
                f"{self.document.where(())}: a tournament is a mapping with targets and attacks"
            )
        settings = self.settings(self.document.data)
        targets = self.entrants("target", settings.targets)
        defenses = self.entrants("defense", settings.defenses)
        attacks = self.entrants("attack", settings.attacks)
        self.check_levels(settings.goal)
        if not self.problems:
            self.check_data(targets)
        if self.problems:
            raise ArenaError("\n".join(dict.fromkeys(self.problems)))
        return Tournament(
            name=settings.name or self.path.stem,
            seed=settings.seed,
            repetitions=settings.repetitions,
            budget=settings.budget,
            price=float(settings.price),
            checkpoints=float(settings.checkpoints),
            goal=Goal(
                settings.goal.metric,
                settings.goal.inputs,
                tuple(float(level) for level in settings.goal.reach),
                settings.goal.size,
            ),
            knowledge=settings.knowledge,
            targets=tuple(targets),
            defenses=tuple(defenses),
            attacks=(*attacks, *self.missing_baselines(attacks)),
            utility_floor=settings.utility_floor,
            retrain=settings.retrain,
        )

    def settings(self, data: dict[str, Any]) -> Settings:
        try:
            return Settings.model_validate(data)
        except ValidationError as error:
            raise ArenaError("\n".join(self.explain(error, ()))) from None

    def entrants(self, kind: Kind, entries: Iterable[Any]) -> list[Entrant[Any]]:
        found: list[Entrant[Any]] = []
        for i, entry in enumerate(entries):
            at: At = (f"{kind}s", i)
            entrant = (
                self.chain(entry, at) if isinstance(entry, list) else self.one(kind, entry, at)
            )
            if entrant is None:
                continue
            if entrant.label in [other.label for other in found]:
                self.problem(at, f"two {kind}s are named '{entrant.label}'; give one a label")
            found.append(entrant)
        return found

    def chain(self, entry: list[Any], at: At) -> Entrant[Any] | None:
        if not entry:
            self.problem(at, "a chain of defences is empty; write none, or name a defence")
            return None
        links = [self.one("defense", link, (*at, i)) for i, link in enumerate(entry)]
        if None in links:
            return None
        known = [link for link in links if link is not None]
        return Entrant(
            " + ".join(link.label for link in known), tuple(link.plugin for link in known)
        )

    def one(self, kind: Kind, entry: Any, at: At) -> Entrant[Any] | None:
        label = None
        if isinstance(entry, dict) and len(entry) > 1 and "label" in entry:
            label = entry["label"]
            entry = {key: value for key, value in entry.items() if key != "label"}
            if not isinstance(label, str) or not label.strip():
                self.problem((*at, "label"), "a label is a text; write it in quotes")
                return None
        try:
            name, parameters = named(entry)
            plugin = build(self.registry, kind, name, parameters, self.path.parent)
        except ValidationError as error:
            self.problems += self.explain(error, (*at, name))
            return None
        except (ArenaError, ValueError) as error:
            self.problem(at, str(error))
            return None
        return Entrant(label or plugin.title(), (plugin,))

    def missing_baselines(self, attacks: list[Entrant[Attack]]) -> list[Entrant[Attack]]:
        """Rule 7: the baselines are on every board; the file may set their parameters."""
        present = {type(entrant.plugin) for entrant in attacks}
        return [
            Entrant(found.name, (build(self.registry, "attack", found.full_name, {}, None),))  # type: ignore[arg-type]
            for found in self.registry.baselines()
            if found.plugin not in present
        ]

    def check_levels(self, goal: GoalSettings) -> None:
        finest = 1 - _FEWEST_ERRORS / (goal.size / 2)
        seen: list[float] = []
        for i, level in enumerate(goal.reach):
            at: At = ("goal", "reach", i)
            if level in seen:
                self.problem(at, f"level {level:g} stands twice; keep one")
            seen.append(level)
            if goal.metric.endswith("error"):
                if level <= 0:
                    self.problem(at, f"an error of {level:g} cannot be reached; ask more than 0")
            elif not 0 < level < 1:
                self.problem(at, f"a level of {level:g} is not between 0 and 1")
            elif level > finest + 1e-12:
                need = math.ceil(2 * _FEWEST_ERRORS / (1 - level) - 1e-6)
                self.problem(
                    at,
                    f"level {level:g} is too fine for {goal.size} scoring inputs; "
                    f"ask at most {math.floor(finest * 1e4) / 1e4:g}, or set goal.size to {need}",
                )

    def check_data(self, targets: list[Entrant[Target]]) -> None:
        for i, entrant in enumerate(targets):
            try:
                entrant.plugin.check()
            except (ArenaError, ValueError) as error:
                self.problem(("targets", i), str(error))

    def problem(self, at: At, sentence: str) -> None:
        self.problems.append(f"{self.document.where(at)}: {sentence}")

    def explain(self, error: ValidationError, at: At) -> list[str]:
        """Say each of pydantic's findings as one sentence at its line and column."""
        sentences: dict[str, None] = {}
        for finding in error.errors(include_url=False):
            loc = tuple(
                part for part in finding["loc"] if self.is_on_path(at, part, finding["loc"])
            )
            path = (*at, *loc)
            field = ".".join(str(part) for part in loc)
            if finding["type"] == "extra_forbidden":
                names = self.allowed(at, loc)
                where = self.document.where(path, key=True)
                text = f"unknown key '{loc[-1]}'; {closest(str(loc[-1]), names)}"
            elif finding["type"] == "missing":
                where = self.document.where(path[:-1])
                text = f"'{loc[-1]}' is missing; add it"
            else:
                where = self.document.where(path)
                text = _sentence(field, finding)
            sentences[f"{where}: {text}"] = None
        return list(sentences)

    def is_on_path(self, at: At, part: str | int, loc: tuple[str | int, ...]) -> bool:
        """Tell the file's own keys from the names pydantic gives to the branches of a union."""
        if isinstance(part, int):
            return True
        in_file = any(part in path for path in self.document.marks if path[: len(at)] == at)
        return in_file or part == loc[-1]

    def allowed(self, at: At, loc: tuple[str | int, ...]) -> list[str]:
        model: Any = Settings
        if at and isinstance(at[0], str):
            kind: Any = at[0].removesuffix("s")
            model = self.registry.find(kind, str(at[-1])).plugin
        for part in loc[:-1]:
            info = model.model_fields.get(part)
            model = info.annotation if info else None
            if not hasattr(model, "model_fields"):
                return []
        return [*model.model_fields]


def _sentence(field: str, finding: Any) -> str:
    message = str(finding["msg"])
    if finding["type"] == "value_error":
        text = message.removeprefix("Value error, ")
        return f"{field}: {text}" if field else text
    value = repr(finding["input"])
    shown = value if len(value) <= 60 else value[:57] + "..."
    text = message.replace("Input should", "should").replace("List should", "should")
    return f"{field} {text}, not {shown}" if field else f"{text}, not {shown}"
