"""Tournament files: YAML with line marks in, a validated `Tournament` out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from arena import levels, requires
from arena.api import Attack, Defense, Kind, Plugin, Target
from arena.datasets import Dataset
from arena.errors import ArenaError, closest, is_interrupt, one_line
from arena.mistakes import Mistakes, shown
from arena.records import Figure, Goal
from arena.registry import Registry, build, installed, named
from arena.settings import (
    LARGEST_BUDGET,
    MOST_REPETITIONS,
    USUAL_LIMITS,
    GoalSettings,
    Grants,
    Isolation,
    Limits,
    Settings,
)
from arena.vetting import RESERVED, word
from arena.yamlmarks import Document, parse

P = TypeVar("P", covariant=True)
At = tuple[str | int, ...]


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
        limits: what an attack may use in a match.
        isolation: where attacks run.
        retrain: whether a target is trained anew for every repetition.
        published: figures to print beside ours.
        source: where they were published.
        file: where it was read from; None where it was not.
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
    limits: Limits = USUAL_LIMITS
    isolation: Isolation = "cell"
    retrain: bool = False
    published: tuple[Figure, ...] = ()
    source: str = ""
    file: Path | None = field(default=None, compare=False)

    def with_(self, repetitions: int | None = None, budget: int | None = None) -> Tournament:
        """Return the same tournament with more (or fewer) repetitions or another budget.

        Raises:
            ArenaError: it is out of the bounds a file is held to.
        """
        changes = {"repetitions": repetitions, "budget": budget}
        most = {"repetitions": MOST_REPETITIONS, "budget": LARGEST_BUDGET}
        asked = {name: value for name, value in changes.items() if value is not None}
        for name, value in asked.items():
            if not 1 <= value <= most[name]:
                raise ArenaError(f"{name} should be from 1 to {most[name]:,}, not {value:,}")
        return replace(self, **asked)  # type: ignore[arg-type]


def load(path: str | Path, registry: Registry | None = None) -> Tournament:
    """Read and validate a tournament file; its data sets are loaded as a check.

    Args:
        path: the YAML file.
        registry: the plugins it may name; those installed by default.

    Raises:
        ArenaError: everything that is wrong with it, a line each, with file:line:column.
    """
    path = Path(path)
    document = parse(_read(path), str(path))
    return validated(document, path, registry)


def validated(document: Document, path: Path, registry: Registry | None = None) -> Tournament:
    """Validate what a tournament file holds; its data sets are loaded as a check.

    Args:
        document: what it holds.
        path: the file; the paths in it start from its folder.
        registry: the plugins it may name; those installed by default.

    Raises:
        ArenaError: everything that is wrong with it, a line each, with its place.
    """
    return _Loader(document, path, registry or installed()).tournament()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ArenaError(f"{path}: there is no such tournament file; check the path") from None
    except IsADirectoryError:
        raise ArenaError(f"{path} is a folder; name a tournament file") from None
    except UnicodeDecodeError:
        raise ArenaError(f"{path}: not a text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ArenaError(f"{path}: cannot be read: {error.strerror}; check the path") from None


class _Loader:
    """Validates one document, collecting every mistake before it gives up."""

    def __init__(self, document: Document, path: Path, registry: Registry) -> None:
        self.document = document
        self.path = path
        self.registry = registry
        self.mistakes = Mistakes(document, registry)

    def tournament(self) -> Tournament:
        data = self.document.data
        if not isinstance(data, dict):
            what = "the file is empty" if data is None else f"this is {shown(data)}"
            self.mistakes.add((), f"{what}; write a mapping with targets and attacks")
            self.mistakes.raise_if_any()
        settings = self.settings(data)
        absent = requires.absent(data.get("requires"), self.mistakes)
        self.registry = replace(self.registry, absent=tuple(absent.values()))
        targets: list[Entrant[Target]] = self.entrants("target")
        defenses: list[Entrant[Defense]] = self.entrants("defense")
        attacks: list[Entrant[Attack]] = self.entrants("attack")
        if absent and not self.mistakes.tell(self.registry.to_install):
            self.mistakes.add(("requires", min(absent)), self.registry.to_install)
        levels.check(data.get("goal"), self.mistakes)
        self.mistakes.raise_if_any()
        self.check_data(targets, settings.goal, settings.knowledge.pool)
        self.mistakes.raise_if_any()
        self.check_different("target", targets)
        self.check_different("defense", defenses)
        self.check_different("attack", attacks)
        attacks += self.missing_baselines(attacks)
        self.mistakes.raise_if_any()
        self.check_published(settings, targets, defenses, attacks)
        self.mistakes.raise_if_any()
        goal, published = settings.goal, settings.published
        reach = tuple(sorted(goal.reach, reverse=goal.metric.endswith("error")))
        return Tournament(
            name=settings.name or self.name_by_file(),
            seed=settings.seed,
            repetitions=settings.repetitions,
            budget=settings.budget,
            price=settings.price,
            checkpoints=settings.checkpoints,
            goal=Goal(goal.metric, goal.inputs, reach, goal.size),
            knowledge=settings.knowledge,
            targets=tuple(targets),
            defenses=tuple(defenses),
            attacks=tuple(attacks),
            utility_floor=settings.utility_floor,
            limits=settings.limits,
            isolation=settings.isolation,
            retrain=settings.retrain,
            published=tuple(Figure(**f.model_dump()) for f in published.figures)
            if published
            else (),
            source=published.source if published else "",
            file=self.path,
        )

    def name_by_file(self) -> str:
        stem = self.path.stem
        if stem in (".", "..") or not stem.isprintable():
            self.mistakes.add((), "the file's name cannot name a folder; write a name in it")
            self.mistakes.raise_if_any()
        return stem

    def settings(self, data: dict[str, Any]) -> Settings:
        """Validate all but the plugins; after a mistake, return what stands for them."""
        try:
            return Settings.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            self.mistakes.add_findings(error, (), Settings)
            return Settings(targets=[""], attacks=[""])

    def entrants(self, kind: Kind) -> list[Entrant[Any]]:
        key = f"{kind}s"
        default = [] if kind != "defense" or key in self.document.data else ["none"]
        entries = self.document.data.get(key, default)
        found: list[Entrant[Any]] = []
        places: dict[str, int] = {}
        for i, entry in enumerate(entries if isinstance(entries, list) else []):
            chained = kind == "defense" and isinstance(entry, list)
            entrant = self.chain(entry, (key, i)) if chained else self.one(kind, entry, (key, i))
            if entrant is None:
                continue
            if entrant.label in places:
                line = self.document.mark((key, places[entrant.label]))[0]
                self.mistakes.add(
                    (key, i),
                    f"two {word(kind)}s are named '{entrant.label}', the other in line {line}; "
                    "give one a label",
                )
            places.setdefault(entrant.label, i)
            found.append(entrant)
        return found

    def chain(self, entry: list[Any], at: At) -> Entrant[Defense] | None:
        if not entry:
            self.mistakes.add(at, "a chain of defences is empty; write none, or name a defence")
        links = [self.one("defense", link, (*at, i)) for i, link in enumerate(entry)]
        known = [link for link in links if link is not None]
        if not known or len(known) < len(links):
            return None
        label = " + ".join(link.label for link in known)
        return Entrant(label, tuple(link.plugin for link in known))

    def one(self, kind: Kind, entry: Any, at: At) -> Entrant[Any] | None:
        label = None
        if isinstance(entry, dict) and RESERVED in entry:
            label, entry = entry[RESERVED], _unlabelled(entry)
            if not isinstance(label, str) or not label.strip() or not label.isprintable():
                self.mistakes.add(
                    (*at, RESERVED), f"a label is a text of one line, not {shown(label)}; quote it"
                )
                return None
        try:
            name, parameters = named(entry)
        except ValueError as error:
            self.mistakes.add(at, str(error))
            return None
        try:
            plugin = build(self.registry, kind, name, parameters, self.path.parent)
        except ValidationError as error:
            model = self.registry.find(kind, name).plugin
            self.mistakes.add_findings(error, (*at, name), model)
            return None
        except ArenaError as error:
            self.mistakes.add((*at, name), str(error), key=True)
            return None
        return Entrant(label or plugin.title(), (plugin,))

    def missing_baselines(self, attacks: list[Entrant[Attack]]) -> list[Entrant[Attack]]:
        """Rule 7: the baselines are on every board; the file may set their parameters."""
        present = {type(entrant.plugin) for entrant in attacks}
        labels = [entrant.label for entrant in attacks]
        missing: list[Entrant[Attack]] = []
        for lost in self.registry.disabled_baselines():
            self.mistakes.add(
                ("attacks",), f"'{lost.name}' is a baseline that is on every board; {lost.mend}"
            )
        for found in self.registry.baselines():
            if found.plugin in present:
                continue
            label = found.full_name if found.name in [m.label for m in missing] else found.name
            if label in labels:
                self.mistakes.add(
                    ("attacks", labels.index(label), RESERVED),
                    f"'{label}' is a baseline that is always on the board; choose another label",
                )
            plugin = build(self.registry, "attack", found.full_name, {}, None)
            missing.append(Entrant(label, (plugin,)))  # type: ignore[arg-type]
        return missing

    def check_data(self, targets: list[Entrant[Target]], goal: GoalSettings, pool: int) -> None:
        for i, target in enumerate(targets):
            entry: At = ("targets", i)
            entry = (*entry, named(_unlabelled(self.document.at(entry)))[0])
            at = entry
            try:
                for name, data in _datasets(target.plugin):
                    at = (*entry, name)
                    table = data.load()
                    rows = len(table.X)
                    levels.check_held_out(goal, table, self.mistakes)
                    if pool >= rows:
                        self.mistakes.add(
                            ("knowledge", "pool"),
                            f"a pool of {pool} rows leaves none of {data.title}'s {rows} for "
                            "scoring; make it smaller",
                        )
                at = entry
                target.plugin.check()
                target.plugin.known_features()
            except ArenaError as error:
                self.mistakes.add(at, str(error))
            except BaseException as error:
                if is_interrupt(error):
                    raise
                name = target.plugin.name
                self.mistakes.add(at, f"the check of '{name}' fails: {one_line(error)}; report it")

    def check_published(
        self,
        settings: Settings,
        targets: list[Entrant[Target]],
        defenses: list[Entrant[Defense]],
        attacks: list[Entrant[Attack]],
    ) -> None:
        known = {
            "target": [entrant.label for entrant in targets],
            "defense": [entrant.label for entrant in defenses],
            "attack": [entrant.label for entrant in attacks],
        }
        figures = settings.published.figures if settings.published else []
        for i, figure in enumerate(figures):
            at: At = ("published", "figures", i)
            for kind, labels in known.items():
                name = getattr(figure, kind)
                if name is not None and name not in labels:
                    sentence = f"no {word(kind)} here is named '{name}'; {closest(name, labels)}"
                    self.mistakes.add((*at, kind), sentence)
            if figure.goal is not None and figure.goal not in settings.goal.reach:
                sentence = f"{figure.goal:g} is no level of goal.reach; add it there"
                self.mistakes.add((*at, "goal"), sentence)

    def check_different(self, kind: Kind, entrants: list[Entrant[Any]]) -> None:
        seen: dict[str, Entrant[Any]] = {}
        for i, entrant in enumerate(entrants):
            identity = json.dumps([plugin.identity() for plugin in entrant.plugins])
            if identity in seen:
                self.mistakes.add(
                    (f"{kind}s", i),
                    f"{word(kind)} '{entrant.label}' is the same as '{seen[identity].label}'; "
                    "remove one, or change a parameter",
                )
            seen[identity] = entrant


def _unlabelled(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {key: value for key, value in entry.items() if key != RESERVED}


def _datasets(plugin: Plugin) -> Iterator[tuple[str, Dataset]]:
    for name in type(plugin).model_fields:
        value = getattr(plugin, name)
        if isinstance(value, Dataset):
            yield name, value
