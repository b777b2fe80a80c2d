"""What a match leaves behind: its record, the same bytes wherever and whenever it was played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a match ended."""

    FINISHED = "finished"
    EXHAUSTED = "exhausted"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    BROKE_A_RULE = "broke-a-rule"
    VOID = "void"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"

    @property
    def counts(self) -> bool:
        """Whether the match counts in ERT."""
        return self not in (Status.VOID, Status.SKIPPED, Status.INTERRUPTED)

    @property
    def faulty(self) -> bool:
        """Whether somebody is at fault: a run with such a match exits 1."""
        return self.attacks_fault or self is Status.VOID

    @property
    def attacks_fault(self) -> bool:
        """Whether the attack is at fault: played again only when asked to."""
        return self in (
            Status.FAILED,
            Status.CRASHED,
            Status.TIMED_OUT,
            Status.OUT_OF_MEMORY,
            Status.BROKE_A_RULE,
        )


@dataclass(frozen=True)
class Ending:
    """How an attack ended.

    Attributes:
        status: how.
        reason: one sentence when it did not end well, else empty.
        traceback: whole, empty when nothing was raised.
    """

    status: Status
    reason: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Goal:
    """What a tournament ranks by.

    Attributes:
        metric: fidelity, accuracy, r2, geometric-error or parameter-error.
        inputs: what fidelity (and r2) is measured on: natural, uniform or balanced.
        reach: the levels, from easy to hard; errors are to be reached from above.
        size: how many scoring inputs, in two disjoint halves.
    """

    metric: str = "fidelity"
    inputs: str = "natural"
    reach: tuple[float, ...] = (0.90, 0.95, 0.99)
    size: int = 4000

    @property
    def is_error(self) -> bool:
        """Whether smaller is better."""
        return self.metric.endswith("error")

    def reached(self, values: tuple[float, ...], level: float) -> bool:
        """Whether every one of a checkpoint's values (one a scoring half) meets the level."""
        if not values:
            return False
        return max(values) <= level if self.is_error else min(values) >= level


@dataclass(frozen=True)
class Checkpoint:
    """One scored surrogate.

    Attributes:
        queries: rows billed when it was kept.
        calls: calls of the oracle until then.
        values: the goal's metric, one value a scoring half; empty where it does not apply.
    """

    queries: int
    calls: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class FloorTerms:
    """What the information floor of a (target, defence) pair depends on.

    Attributes:
        family: the target's family.
        width: the number of encoded columns.
        homogeneous: whether the model has no intercept (it lives in R^d).
        rho: the chance that a label is flipped; None when it depends on the query.
        fields: the answer fields that leave the defence chain undistorted, and the label.
        distorted: those that leave it changed.
    """

    family: str
    width: int
    homogeneous: bool
    rho: float | None
    fields: tuple[str, ...]
    distorted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """A played match.

    Attributes:
        match: hash of the specifications, seed, repetition and knowledge.
        terms: hash of the budget, the checkpoints and what is scored.
        build: hash of the sources that played and of the libraries under them.
        status: how it ended.
        reason: one sentence when it did not end well, else empty.
        queries: rows billed, by the referee.
        calls: calls of the oracle.
        curve: the checkpoints, in order.
        final: every metric of the last surrogate; None where one does not apply.
        utility: share of natural inputs whose label the defence leaves alone, R^2 of their values
            for a regression; None if not measured.
        floor: what the information floor depends on; None where the target never answered.
        seeds: the seed of every role, as hexadecimal.
    """

    match: str
    terms: str
    build: str
    status: Status
    reason: str = ""
    queries: int = 0
    calls: int = 0
    curve: tuple[Checkpoint, ...] = ()
    final: Mapping[str, float | None] = field(default_factory=dict)
    utility: float | None = None
    floor: FloorTerms | None = None
    seeds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnostics:
    """What differs from one playing of a match to the next; kept apart from its record.

    Attributes:
        seconds: wall time.
        peak_memory: the largest resident size of the process that the attack ran in, in MiB.
        traceback: whole, empty when nothing was raised.
        output: what the attack printed, the end of it.
        unenforced: what its isolation should have stopped, and this machine cannot.
        versions: of all that played it, by distribution, and of Python; none in old folders.
    """

    seconds: float = 0.0
    peak_memory: float = 0.0
    traceback: str = ""
    output: str = ""
    unenforced: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One match of a tournament as the board sees it.

    Attributes:
        target: the target's name on the board.
        defense: the defence chain's name on the board.
        attack: the attack's name on the board.
        repetition: from 0.
        skipped: why the pair cannot meet, empty when it can.
        record: None when not played yet or skipped.
        baseline: whether the attack is a baseline.
    """

    target: str
    defense: str
    attack: str
    repetition: int
    skipped: str = ""
    record: Record | None = None
    baseline: bool = False


@dataclass(frozen=True)
class Figure:
    """A published figure to print beside ours.

    Attributes:
        target, attack: names on the board.
        defense: a name on the board; None: any.
        queries: as published.
        goal: the level they reached; None: those of the whole attack.
        value: the metric at the attack's end; None where it was not published.
    """

    target: str
    attack: str
    defense: str | None
    queries: float
    goal: float | None = None
    value: float | None = None


@dataclass(frozen=True)
class BoardTerms:
    """What the standings of a tournament depend on beside its entries.

    Attributes:
        name: the tournament's name.
        goal: metric, inputs and levels.
        budget: queries a match may spend; what a miss costs.
        price: dollars a query.
        repetitions: runs of every pair.
        utility_floor: defences that leave less of the natural labels alone are not ranked.
        published: figures to print beside ours.
        source: where they were published.
    """

    name: str
    goal: Goal
    budget: int
    price: float
    repetitions: int
    utility_floor: float | None = None
    published: tuple[Figure, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Results:
    """A tournament's matches as its boards see them.

    Attributes:
        terms: what the standings depend on beside the matches.
        entries: every match of the tournament, in its order.
    """

    terms: BoardTerms
    entries: tuple[Entry, ...]
