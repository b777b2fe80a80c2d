"""What a plugin author imports: targets, defences, attacks, and what passes between them.

A plugin is a *specification*: a frozen pydantic model whose fields are its parameters. It holds no
state, pickles, and can be hashed; state lives in what its one method returns.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import to_jsonable_python

from arena.answers import FIELDS, Answer
from arena.datasets import Dataset
from arena.domain import Domain, Feature
from arena.linear import linear_labels, linear_values
from arena.tables import Outcomes

PLUGIN_API: Final = 1
"""The version of the contract between the engine and its plugins."""

FAMILIES: Final = frozenset(
    {
        "halfspace",
        "homogeneous-halfspace",
        "softmax",
        "kernel-svm",
        "tree",
        "forest",
        "network",
        "linear-regression",
        "other",
    }
)
"""Target families: what class of models a target is drawn from.

A homogeneous halfspace is one through the origin of R^d, and a halfspace, too.
"""

ANY: Final = FAMILIES
"""The families of an attack that can learn every target."""

Kind = Literal["attack", "defense", "target"]
Needs = tuple[frozenset[str] | set[str], ...]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
P = TypeVar("P", bound="Plugin")


class Plugin(BaseModel):
    """A specification: its fields are its parameters, with type, bounds, default, description.

    Attributes:
        kind: attack, defense or target.
        name: what tournament files and boards call it; lower case, words joined by ``-``.
        reference: the paper and section it follows.
        distribution: the installed distribution it came from, filled in by the registry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: ClassVar[Kind]
    name: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    distribution: ClassVar[str] = "unregistered"

    _from: str = PrivateAttr("")

    def model_post_init(self, context: Any, /) -> None:
        """Remember the distribution, so that a specification keeps it in any other process."""
        self._from = type(self).distribution

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring."""
        lines = (cls.__doc__ or "").strip().splitlines()
        return lines[0].strip() if lines else ""

    def identity(self) -> list[Any]:
        """Return the canonical ``[distribution/name, parameters with defaults]``, JSON-able."""
        parameters = {name: _canonical(getattr(self, name)) for name in type(self).model_fields}
        return [f"{self._from}/{self.name}", parameters]

    def parts(self) -> Iterator[Plugin]:
        """Yield this plugin, and those in its parameters with theirs."""
        yield self
        for plugin in _inner(self, Plugin):
            yield from plugin.parts()

    def title(self) -> str:
        """Return the name on boards: data set, and the parameters that differ from defaults."""
        words, shown = [self.name], []
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Dataset):
                words.append(value.title)
            elif info.is_required() or value != info.get_default():
                shown.append(f"{name}={_short(value)}")
        title = " ".join(words)
        return f"{title}({', '.join(shown)})" if shown else title


def _canonical(value: Any) -> Any:
    if hasattr(value, "identity"):
        return value.identity()
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(_canonical, value), key=json.dumps)
    if isinstance(value, (list, tuple)):
        return [_canonical(v) for v in value]
    return to_jsonable_python(value)


def _inner(plugin: Plugin, kind: type[P]) -> list[P]:
    """Return the plugins of a kind among the parameters of one, and in lists of them."""
    found: list[P] = []
    for name in type(plugin).model_fields:
        value = getattr(plugin, name)
        values = value if isinstance(value, (list, tuple)) else (value,)
        found += [inner for inner in values if isinstance(inner, kind)]
    return found


def _short(value: Any) -> str:
    if isinstance(value, Plugin):
        return value.title()
    if isinstance(value, (set, frozenset)):
        return "+".join(sorted(map(_short, value)))
    if isinstance(value, (list, tuple)):
        return "+".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------- targets


@dataclass(frozen=True)
class Natural:
    """The natural rows of a target's problem; the referee scores on them.

    Attributes:
        X: float64 (m, d), raw rows in the target's domain.
        y: int64 (m,), the true classes; float64 (m,), the true values, for a regression.
        held_out: bool (m,), the rows the target was not trained on.
    """

    X: Floats
    y: Outcomes
    held_out: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Victim(ABC):
    """A trained target. It pickles, and holds everything the referee needs to know of it.

    Attributes:
        domain: the inputs it accepts.
        classes: the names of its classes, by label; none for a regression.
        family: one of ``FAMILIES``.
        reveals: the fields of its answers that are meant for clients.
        natural: the natural rows of its problem.
        hyperparameters: the recipe it was trained by; a tournament may grant it to attacks.
        parameters: the arrays that geometric and parameter error compare: ``coef`` float64
            (width,) and ``intercept`` float64 () of a halfspace or a regression over encoded rows.
    """

    domain: Domain
    classes: tuple[str, ...]
    family: str
    reveals: frozenset[str]
    natural: Natural
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The field that it predicts: label, or value for a regression."""
        return "label" if self.classes else "value"

    @abstractmethod
    def answer(self, X: Floats) -> Answer:
        """Answer validated raw rows X, C-contiguous float64 (n, d).

        ``output`` is always given; the other fields at least when they are in ``reveals``. A row's
        answer is the same bits in any batch (``arena.rowwise`` has kernels for that).
        """


class Target(Plugin):
    """A model to protect, trained from real data; ``reveals`` chooses from ``can_reveal``."""

    kind: ClassVar[Kind] = "target"
    family: ClassVar[str] = "other"
    can_reveal: ClassVar[frozenset[str]] = frozenset({"label"})

    reveals: tuple[str, ...] = Field(
        default=("label",), description="the answer fields that clients see"
    )

    @field_validator("reveals")
    @classmethod
    def _revealable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in cls.can_reveal]
        if unknown or not value:
            what = f"cannot reveal {unknown[0]!r}" if unknown else "must reveal something"
            can = ", ".join(sorted(cls.can_reveal, key=FIELDS.index))
            raise ValueError(f"{cls.name} {what}; choose from: {can}")
        return tuple(sorted(set(value), key=FIELDS.index))

    def families(self) -> frozenset[str]:
        """Return every family this target belongs to (a binary logistic is also a halfspace)."""
        return frozenset({self.family})

    def known_features(self) -> tuple[Feature, ...] | None:
        """Return its domain's features before it is trained; None where training decides.

        Their bounds, and the edges of bins, may become others.
        """
        return None

    def check(self) -> None:
        """Find out, before anything is played, whether this target can be trained.

        Raises:
            ArenaError: what is wrong with its data, in one sentence.
        """
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Dataset):
                value.load()

    def train(self, rng: Generator) -> Victim:
        """Train the model; the same generator state gives the same victim."""
        raise NotImplementedError


# ------------------------------------------------------------------------------------ defences


class Session(Protocol):
    """A defence during one match; it may remember what it has seen."""

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Protect the answer to raw rows X (n, d): return what the client gets instead."""


@dataclass(frozen=True)
class Traits:
    """What a defence does.

    Attributes:
        hides: answer fields that never leave it.
        alters: answer fields that may leave it changed.
        stateful: whether an answer depends on earlier queries; if not, its law does not depend on
            how queries are batched.
        families: the target families it can protect.
    """

    hides: frozenset[str]
    alters: frozenset[str]
    stateful: bool
    families: frozenset[str]


class Defense(Plugin):
    """A way of answering that makes extraction costlier; its class attributes are its `Traits`."""

    kind: ClassVar[Kind] = "defense"
    hides: ClassVar[frozenset[str]] = frozenset()
    alters: ClassVar[frozenset[str]] = frozenset()
    stateful: ClassVar[bool] = False
    families: ClassVar[frozenset[str]] = ANY

    @property
    def traits(self) -> Traits:
        """What it does; a wrapper also does what the defences in its parameters do."""
        inner = [defense.traits for defense in _inner(self, Defense)]
        return Traits(
            hides=frozenset(self.hides).union(*(t.hides for t in inner)),
            alters=frozenset(self.alters).union(*(t.alters for t in inner)),
            stateful=self.stateful or any(t.stateful for t in inner),
            families=frozenset(self.families).intersection(*(t.families for t in inner)),
        )

    def flip_rate(self) -> float | None:
        """Return rho, the chance that a label is flipped whatever the query; None if it depends.

        The information floor of a board rests on it.
        """
        return None if "label" in self.traits.alters else 0.0

    def protect(self, victim: Victim, rng: Generator) -> Session:
        """Open a fresh session before one match."""
        raise NotImplementedError


# ------------------------------------------------------------------------------------- attacks


@dataclass(frozen=True)
class Knowledge:
    """What an attack is told before its first query; arrays and plain data only.

    Attributes:
        domain: the inputs the target accepts.
        classes: the names of the classes, by label; none for a regression.
        fields: the answer fields that leave the defence chain.
        family: the target's family.
        hyperparameters: the target's recipe, None unless granted.
        pool: float64 (n, d), unlabelled natural rows, None unless granted.
        defense: the canonical tree of the defence chain, None unless granted.
        public_X: float64 (n, d), another random 70 % of the public rows: for baselines only.
        public_y: int64 (n,), their true classes (float64, values): for baselines only.
    """

    domain: Domain
    classes: tuple[str, ...]
    fields: frozenset[str]
    family: str
    hyperparameters: Mapping[str, Any] | None = None
    pool: Floats | None = None
    defense: list[Any] | None = None
    public_X: Floats | None = None
    public_y: Outcomes | None = None


class Oracle(ABC):
    """The door to the target: an attack's whole world, with its generator of random numbers."""

    knowledge: Knowledge

    @abstractmethod
    def ask(self, X: Floats) -> Answer:
        """Ask raw rows X (n, d); each is one query, billed before it is answered.

        Raises:
            BudgetExhausted: n is more than what remains; nothing was billed.
            InvalidQuery: not a float matrix of width d (nothing billed), or a value that is not
                finite or no category (billed).
            OracleClosed: the match is over.
        """

    @property
    @abstractmethod
    def spent(self) -> int:
        """Queries billed so far."""

    @property
    @abstractmethod
    def remaining(self) -> int:
        """Queries left."""

    @property
    @abstractmethod
    def checkpoint_due(self) -> bool:
        """Whether a surrogate yielded now is kept for scoring: fit one only then."""


@runtime_checkable
class Surrogate(Protocol):
    """An extracted model. It pickles; one with ``coef_`` and ``intercept_`` crosses as arrays."""

    def predict(self, X: Floats) -> NDArray[Any]:
        """Predict the labels of raw rows X (n, d): whole numbers (n,); values for a regression."""


@dataclass(frozen=True)
class LinearSurrogate:
    """A linear surrogate over encoded rows.

    Attributes:
        domain: encodes the raw rows.
        coef_: float64 (1, width): label 1 where the score is positive; or (k, width): the largest.
        intercept_: float64 (1,) or (k,).
        regression: whether the score is what it predicts, float64 (n,), and not a label.
    """

    domain: Domain
    coef_: Floats
    intercept_: Floats
    regression: bool = False

    def predict(self, X: Floats) -> Outcomes:
        """Predict the labels of raw rows X (n, d), or the values."""
        Z = self.domain.encode(X)
        if self.regression:
            return linear_values(Z, self.coef_, self.intercept_)
        return linear_labels(Z, self.coef_, self.intercept_)


@dataclass(frozen=True)
class Requirements:
    """What a match must offer an attack.

    Attributes:
        needs: any one of these sets of answer fields suffices.
        families: the target families it can learn.
        knowledge: the grants it cannot do without.
    """

    needs: tuple[frozenset[str], ...]
    families: frozenset[str]
    knowledge: frozenset[str]


class Attack(Plugin):
    """A strategy that asks queries and proposes surrogates.

    Attributes:
        needs: sets of answer fields, any one of which suffices.
        families: the target families it can learn.
        requires_knowledge: which of ``hyperparameters``, ``pool``, ``defense`` it must be granted.
        baseline: always on the board, and told the labelled public rows.
    """

    kind: ClassVar[Kind] = "attack"
    needs: ClassVar[Needs] = (frozenset({"label"}),)
    families: ClassVar[frozenset[str]] = ANY
    requires_knowledge: ClassVar[frozenset[str]] = frozenset()
    baseline: ClassVar[bool] = False

    @property
    def silent(self) -> bool:
        """Whether it asks nothing: no answer field is among what it needs."""
        return all(not need for need in self.requirements.needs)

    @property
    def requirements(self) -> Requirements:
        """What it requires; a wrapper requires what the attacks in its parameters require."""
        inner = _inner(self, Attack)
        if not inner:
            needs = tuple(frozenset(n) for n in self.needs)
            return Requirements(needs, frozenset(self.families), self.requires_knowledge)
        parts = [attack.requirements for attack in inner]
        needs = parts[0].needs
        for part in parts[1:]:
            needs = tuple(a | b for a in needs for b in part.needs)
        return Requirements(
            needs,
            frozenset.intersection(self.families, *(p.families for p in parts)),
            self.requires_knowledge.union(*(p.knowledge for p in parts)),
        )

    def declines(self, features: Sequence[Feature]) -> str:
        """Say why it cannot learn over these features, before anything is played; '' if it can.

        A wrapper declines what the attacks in its parameters decline.
        """
        return next(filter(None, (a.declines(features) for a in _inner(self, Attack))), "")

    def extract(self, oracle: Oracle, rng: Generator) -> Iterator[Surrogate]:
        """Ask, learn, and yield a surrogate whenever ``oracle.checkpoint_due``."""
        raise NotImplementedError


# ------------------------------------------------------- parameters that are themselves plugins


def _resolver(kind: Kind) -> Callable[[Any, ValidationInfo], Any]:
    def resolve(value: Any, info: ValidationInfo) -> Any:
        build = (info.context or {}).get("build")
        if not isinstance(value, Plugin):
            if build is None:
                raise ValueError(f"give an instance of arena.{kind.capitalize()}")
            value = build(kind, value)
        if isinstance(value, Attack) and value.silent:
            raise ValueError(f"'{value.name}' asks nothing; wrap an attack that asks")
        return value

    return resolve


def _written(kind: Kind) -> WithJsonSchema:
    """Describe how a file writes it; ``arena schema`` puts the plugins of the kind in its place."""
    return WithJsonSchema({"type": ["string", "object"], "x-arena-plugin": kind})


AttackRef = Annotated[Attack, BeforeValidator(_resolver("attack")), _written("attack")]
"""A parameter that is an attack: ``eat`` or ``{eat: {candidates: 50}}`` in a tournament file."""

DefenseRef = Annotated[Defense, BeforeValidator(_resolver("defense")), _written("defense")]
"""A parameter that is a defence, written as in a tournament file."""
