"""A tournament's matches: who meets whom, why a pair cannot meet, and each match's identity."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from arena.answers import FIELDS
from arena.api import Attack, Defense, Plugin, Target
from arena.errors import ArenaError, closest, one_line
from arena.records import Goal
from arena.seeds import digest
from arena.settings import USUAL_LIMITS, Grants, Limits
from arena.tournament import Entrant, Tournament


@dataclass(frozen=True)
class TargetSpec:
    """A target to be trained for a tournament.

    Attributes:
        target: its specification.
        seed: the tournament's.
        repetition: None when every repetition shares one training.
        size: how many scoring inputs of each kind.
        pool: how many natural rows attacks are given, which scoring then avoids.
    """

    target: Target
    seed: int | str
    repetition: int | None
    size: int
    pool: int

    @property
    def roles(self) -> tuple[Any, ...]:
        """What its seeds depend on."""
        return (self.seed, self.target.identity(), self.repetition)

    @property
    def seeds(self) -> dict[str, str]:
        """The seeds of its training and of its scoring inputs."""
        return {role: digest(role, *self.roles) for role in ("target", "scoring")}

    @property
    def key(self) -> str:
        """Hash of everything its training and its scoring inputs depend on, but for the build."""
        return digest("stage", *self.roles, self.size, self.pool)


@dataclass(frozen=True)
class Sealed:
    """An attack that is opened where it runs, so that its code is imported nowhere else.

    Attributes:
        name: the attack's.
        baseline: whether it is told the public rows.
        silent: whether it asks nothing.
        tree: its identity.
        data: its pickle.
        in_main: whether it is defined in the main module.
    """

    name: str
    baseline: bool
    silent: bool
    tree: list[Any]
    data: bytes
    in_main: bool = False

    def identity(self) -> list[Any]:
        """Return the identity of the attack inside."""
        return self.tree

    def parts(self) -> Iterator[Plugin]:
        """Yield nothing: what is inside is not to be imported here."""
        yield from ()


@dataclass(frozen=True)
class MatchSpec:
    """One attack against one defended target, once.

    Attributes:
        target: the target's name on boards and its training.
        defense: the chain, the first link nearest the model.
        attack: the attack.
        repetition: from 0.
        seed: the tournament's.
        knowledge: what the attack is told.
        budget: queries it may spend.
        checkpoints: growth of the queries from one scored surrogate to the next.
        goal: what is scored at every checkpoint.
        limits: what the attack may use.
        skipped: why the pair cannot meet; empty when it can.
    """

    target: Entrant[Target]
    defense: Entrant[Defense]
    attack: Entrant[Attack | Sealed]
    repetition: int
    seed: int | str
    knowledge: Grants
    budget: int
    checkpoints: float
    goal: Goal
    limits: Limits = USUAL_LIMITS
    retrain: bool = False
    skipped: str = ""

    @property
    def training(self) -> TargetSpec:
        """The target this match is played on."""
        repetition = self.repetition if self.retrain else None
        return TargetSpec(
            self.target.plugin, self.seed, repetition, self.goal.size, self.knowledge.pool
        )

    @property
    def chain(self) -> list[Any]:
        """The canonical tree of the defence chain."""
        return [link.identity() for link in self.defense.plugins]

    @property
    def identity(self) -> tuple[Any, ...]:
        """What the match is: specifications, seed, repetition and knowledge."""
        return (
            *self.training.roles,
            self.chain,
            self.attack.plugin.identity(),
            self.repetition,
            self.knowledge.model_dump(),
        )

    @property
    def key(self) -> str:
        """Hash of the identity."""
        return digest("match", *self.identity)

    @property
    def terms(self) -> str:
        """Hash of what else its record depends on: budget, checkpoints, limits, what is scored."""
        goal = self.goal
        scored = (goal.metric, goal.inputs, goal.size)
        return digest("terms", self.budget, self.checkpoints, *scored, self.limits.model_dump())

    @property
    def seeds(self) -> dict[str, str]:
        """The seed of every role, from that role's own inputs only (Rule 6).

        A defence is no input of an attack that asks nothing.
        """
        training = self.training.roles
        silent = (*training, self.attack.plugin.identity(), self.repetition)
        return {
            **self.training.seeds,
            "public": digest("public", *training, self.repetition),
            "defense": digest("defense", *training, self.chain, self.repetition),
            "attack": digest("attack", *(silent if self.attack.plugin.silent else self.identity)),
        }

    @property
    def title(self) -> str:
        """Attack, defence and target, for messages."""
        return f"{self.attack.label} against {self.defense.label} on {self.target.label}"

    def sealed(self) -> MatchSpec:
        """Return the same match with its attack sealed.

        Raises:
            ArenaError: the attack does not pickle.
        """
        attack = self.attack.plugin
        if isinstance(attack, Sealed):
            return self
        try:
            data = pickle.dumps(attack)
        except Exception as error:
            raise ArenaError(
                f"{attack.name} cannot be sent to a worker ({one_line(error)}); put it in a module"
            ) from error
        in_main = type(attack).__module__ == "__main__"
        inside = Sealed(
            attack.name, attack.baseline, attack.silent, attack.identity(), data, in_main
        )
        return replace(self, attack=Entrant(self.attack.label, (inside,)))

    @property
    def revealed(self) -> frozenset[str]:
        """The answer fields that leave the defence chain."""
        return revealed(self.target.plugin, self.defense.plugins)


def plan(tournament: Tournament) -> tuple[MatchSpec, ...]:
    """Pair every attack with every defended target, repetition by repetition."""
    t = tournament
    reasons = {
        (target.label, defense.label, attack.label): why_not(
            target.plugin, defense.plugins, attack.plugin, t
        )
        for target in t.targets
        for defense in t.defenses
        for attack in t.attacks
    }
    return tuple(
        MatchSpec(
            target=target,
            defense=defense,
            attack=attack,
            repetition=repetition,
            seed=t.seed,
            knowledge=t.knowledge,
            budget=t.budget,
            checkpoints=t.checkpoints,
            goal=t.goal,
            limits=t.limits,
            retrain=t.retrain,
            skipped=reasons[target.label, defense.label, attack.label],
        )
        for target in t.targets
        for defense in t.defenses
        for attack in t.attacks
        for repetition in range(t.repetitions)
    )


def selected(spec: MatchSpec, pattern: str | None) -> bool:
    """Whether a match is one of those ``--only`` names: a glob on attack, defence or target."""
    if pattern is None:
        return True
    in_full = (plugin.identity()[0] for plugin in _plugins(spec))
    return any(fnmatchcase(name, pattern) for name in (*_names(spec), *in_full))


def playable(tournament: Tournament, only: str | None = None) -> tuple[MatchSpec, ...]:
    """Return the first repetition of every pair that meets and that ``--only`` names.

    Raises:
        ArenaError: there is none, and why.
    """
    specs = plan(tournament.with_(repetitions=1))
    chosen = [spec for spec in specs if selected(spec, only)]
    if not chosen:
        names = {name for spec in specs for name in _names(spec)}
        raise ArenaError(
            f"--only '{only}' fits no attack, defence or target; {closest(str(only), names)}"
        )
    meeting = tuple(spec for spec in chosen if not spec.skipped)
    if not meeting:
        reasons = [f"nothing can be played: {spec.title}: {spec.skipped}" for spec in chosen]
        raise ArenaError("\n".join(reasons))
    return meeting


def _names(spec: MatchSpec) -> tuple[str, ...]:
    """Return the names of a match's entries on boards and of their plugins."""
    labels = (spec.attack.label, spec.defense.label, spec.target.label)
    return (*labels, *(plugin.name for plugin in _plugins(spec)))


def _plugins(spec: MatchSpec) -> tuple[Plugin | Sealed, ...]:
    return (spec.attack.plugin, spec.target.plugin, *spec.defense.plugins)


def revealed(target: Target, chain: tuple[Defense, ...]) -> frozenset[str]:
    """Return the answer fields that leave a defence chain."""
    return frozenset(target.reveals).difference(*(link.traits.hides for link in chain))


def why_not(
    target: Target, chain: tuple[Defense, ...], attack: Attack, tournament: Tournament
) -> str:
    """Say why an attack cannot meet a defended target; empty when it can."""
    requires = attack.requirements
    families = target.families()
    if not requires.families & families:
        learns = _listed(requires.families)
        return f"{attack.name} learns {learns}, the target is {_listed(families)}"
    for link in chain:
        if not link.traits.families & families:
            protects = _listed(link.traits.families)
            return f"{link.name} protects {protects}, the target is {_listed(families)}"
    fields = revealed(target, chain)
    if not any(need <= fields for need in requires.needs):
        wanted = " or ".join(_listed(need) for need in requires.needs)
        return f"{attack.name} needs {wanted}, clients see {_listed(fields) or 'nothing'}"
    if missing := requires.knowledge - tournament.knowledge.granted():
        return f"{attack.name} must be told {_listed(missing)}, which the tournament does not grant"
    return _declined(target, attack) or _undefined(tournament.goal, families)


def _declined(target: Target, attack: Attack) -> str:
    """Say why an attack cannot learn over a target's features, as far as these are known."""
    features = target.known_features()
    try:
        return attack.declines(features) if features else ""
    except Exception as error:
        raise ArenaError(
            f"attack '{attack.name}' of {attack.distribution} fails to say what it declines "
            f"({one_line(error)}); report it there"
        ) from error


def _undefined(goal: Goal, families: frozenset[str]) -> str:
    """Say why a goal's metric is not defined for a target; empty when it is."""
    regression = "linear-regression" in families
    if goal.is_error:
        defined, kind = regression or "halfspace" in families, "linear targets"
    elif goal.metric == "r2":
        defined, kind = regression, "regressions"
    else:
        defined, kind = not regression, "targets with classes"
    return "" if defined else f"{goal.metric} is defined for {kind}, this is {_listed(families)}"


def _listed(names: frozenset[str]) -> str:
    order = [*FIELDS, *sorted(names - set(FIELDS))]
    return ", ".join(name for name in order if name in names)
