"""Every check of defences, on ones that keep to all and on ones that break one alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pytest
from expecting import Fails, cases, must_fail_alone, must_pass, never_failed
from numpy.random import Generator
from numpy.typing import NDArray

from arena import FIELDS, REFUSED, Answer, Defense, Session, Victim
from arena.conformance import check, specifications

Floats = NDArray[np.float64]
OF_EVERY_PLUGIN = {c.name for c in specifications.CHECKS}
_NUMBER = count()
_SEEN = set[bytes]()


@dataclass(frozen=True)
class Answering:
    """Answers by a function."""

    by: Callable[[Floats, Answer], Answer]

    def answer(self, X: Floats, answer: Answer) -> Answer:
        return self.by(X, answer)


class Open(Defense):
    """Leaves answers as they are."""

    name = "open"
    reference = "none"

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return Answering(lambda X, answer: self.change(X, answer, rng))

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return answer


def flipped(answer: Answer, rows: NDArray[np.bool_]) -> Answer:
    """Turn the labels of some rows, bool (n,), to another class; hide the other fields."""
    assert answer.label is not None
    turned = np.where(answer.label == 0, 1, 0)
    return Answer(label=np.where(rows, turned, answer.label))


class Flips(Open):
    """Turns one label in five, and hides all else."""

    hides = frozenset(FIELDS) - {"label"}
    alters = frozenset({"label"})
    families = frozenset({"halfspace", "softmax", "tree"})

    def flip_rate(self) -> float | None:
        return 0.2

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return flipped(answer, rng.random(len(X)) < 0.2)


class FlipsByTwoDraws(Flips):
    """Draws twice a batch, so that a row's numbers depend on the batch and its law does not."""

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return flipped(answer, rng.random((2, len(X))).max(axis=0) < np.sqrt(0.2))


class Blurs(Open):
    """Adds noise to scores, drawn so that a row's numbers depend on the batch."""

    hides = frozenset(FIELDS) - {"label", "score"}
    alters = frozenset({"score"})

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        if answer.score is None:
            return answer.only({"label"})
        noise = rng.standard_normal((2, *answer.score.shape)).sum(axis=0)
        return Answer(answer.label, score=answer.score + self.scale(len(X)) * noise)

    def scale(self, rows: int) -> float:
        return 1.0


class FailsOnLines(Open):
    """Cannot do with one feature."""

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        X[:, :2].sum(axis=1) / (X.shape[1] > 1 or 1 / int("no"))
        return answer


class ShortOnLines(Open):
    """Answers the first row alone where there is one feature."""

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return answer.rows(slice(0, 1)) if X.shape[1] == 1 else answer


class NoSession(Open):
    """Opens no session."""

    def protect(self, victim: Victim, rng: Generator) -> Session:
        return "session"  # type: ignore[return-value]


class Leaks(Open):
    """Says that it hides scores."""

    hides = frozenset({"score"})


class TurnsUndeclared(Open):
    """Turns labels, and does not say so."""

    families = frozenset({"halfspace"})

    def flip_rate(self) -> float | None:
        return None

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return replace(answer, label=flipped(answer, X[:, 0] > 0).label)


class ScalesUndeclared(Open):
    """Doubles scores, and does not say so."""

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return answer if answer.score is None else replace(answer, score=2 * answer.score)


class Halves(Open):
    """Halves probabilities."""

    alters = frozenset({"probabilities"})

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        P = answer.probabilities
        return answer if P is None else replace(answer, probabilities=P / 2)


class RefusesLabels(Open):
    """Refuses the labels of some rows, and nothing else of them."""

    alters = frozenset({"label"})
    families = frozenset({"halfspace"})

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        assert answer.label is not None
        return replace(answer, label=np.where(X[:, 0] > 0, REFUSED, answer.label))


class RefusesAClass(Open):
    """Makes the probability of a class NaN."""

    alters = frozenset({"probabilities"})
    families = frozenset({"halfspace"})

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        if answer.probabilities is None:
            return answer
        P = answer.probabilities.copy()
        P[X[:, 0] > 0, 0] = np.nan
        return replace(answer, probabilities=P)


class OtherEachTime(Flips):
    """Turns the labels of every second session."""

    stateful = True

    def flip_rate(self) -> float | None:
        return None

    def protect(self, victim: Victim, rng: Generator) -> Session:
        turns = next(_NUMBER) % 2 == 0
        return Answering(lambda X, answer: flipped(answer, np.full(len(X), turns)))


class SharesWhatItSaw(Flips):
    """Turns the label of a row that any open session has seen."""

    stateful = True

    def flip_rate(self) -> float | None:
        return None

    def protect(self, victim: Victim, rng: Generator) -> Session:
        _SEEN.clear()
        return super().protect(victim, rng)

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        seen = np.array([row.tobytes() in _SEEN for row in X])
        _SEEN.update(row.tobytes() for row in X)
        return flipped(answer, seen)


class DrawsFromNumpy(Open):
    """Draws from numpy's global generator."""

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        np.random.rand()  # noqa: NPY002
        return answer


class WritesIntoRows(Open):
    """Writes into the rows it is given."""

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        X[:] = 0
        return answer


class WritesIntoVictim(Open):
    """Writes into the victim it is given."""

    def protect(self, victim: Victim, rng: Generator) -> Session:
        victim.natural.held_out[0] ^= True
        return super().protect(victim, rng)


class FlipsTheFirst(Flips):
    """Turns the label of the first row of every batch."""

    def flip_rate(self) -> float | None:
        return None

    def change(self, X: Floats, answer: Answer, rng: Generator) -> Answer:
        return flipped(answer, np.arange(len(X)) == 0)


class BlursBatches(Blurs):
    """Adds more noise to scores the larger the batch."""

    def scale(self, rows: int) -> float:
        return float(rows)


class FlipsMore(Flips):
    """Says that it turns fewer labels than it does."""

    def flip_rate(self) -> float | None:
        return 0.1


class FlipsTooMuch(Flips):
    """Says that it turns more labels than there are."""

    def flip_rate(self) -> float | None:
        return 1.5


FAILS = (
    Fails(FailsOnLines(), "answers-fit", "^raises ValueError: .*, on a toy .* asked 40 rows$"),
    Fails(ShortOnLines(), "answers-fit", r"gave label of shape \(1,\) to 40 queries"),
    Fails(NoSession(), "answers-fit", "gives str from protect"),
    Fails(Leaks(), "hidden-fields-hidden", "lets score out of a toy"),
    Fails(TurnsUndeclared(), "label-preserved", "changes label on a toy"),
    Fails(ScalesUndeclared(), "other-fields-preserved", "changes score on a toy"),
    Fails(Halves(), "probabilities-sum-to-one", r"gives probabilities \["),
    Fails(RefusesLabels(), "refusals-whole", "refuses a row in label and not in probabilities"),
    Fails(RefusesAClass(), "refusals-whole", "gives probabilities with some NaN in a row"),
    Fails(OtherEachTime(), "same-seed-same-answers", "gives other answers by the same seed"),
    Fails(SharesWhatItSaw(), "sessions-share-nothing", "after another session was asked"),
    Fails(DrawsFromNumpy(), "own-randomness-only", "global generator of numpy.random"),
    Fails(WritesIntoRows(), "rows-left-alone", "writes into the rows"),
    Fails(WritesIntoVictim(), "rows-left-alone", "changes the victim"),
    Fails(FlipsTheFirst(), "batches-do-not-matter", "answers label of a toy .* by another law"),
    Fails(BlursBatches(), "batches-do-not-matter", "answers score of a toy .* by another law"),
    Fails(FlipsMore(), "flip-rate-true", r"turns \d+ of 2000 labels .* flip rate is 0.1;"),
    Fails(FlipsTooMuch(), "flip-rate-true", "has a flip rate of 1.5"),
)


@pytest.mark.parametrize(
    ("defense", "skipped"),
    [
        (Open(), ()),
        (Flips(), ("label-preserved", "other-fields-preserved")),
        (FlipsByTwoDraws(), ("label-preserved", "other-fields-preserved")),
        (Blurs(), ("other-fields-preserved",)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Defense) else "",
)
def test_one_that_keeps_to_all_passes(defense: Defense, skipped: tuple[str, ...]) -> None:
    must_pass(defense, *skipped)


@cases(*FAILS)
def test_one_that_breaks_a_rule_fails_its_check_alone(
    plugin: Defense, check: str, reason: str
) -> None:
    must_fail_alone(plugin, check, reason)


def test_every_check_of_defences_is_seen_to_fail() -> None:
    assert never_failed("defense", FAILS) == OF_EVERY_PLUGIN


def test_batches_may_matter_to_one_that_says_so() -> None:
    class Stateful(FlipsTheFirst):
        """Turns the label of the first row of every batch, and says that it is stateful."""

        stateful = True

    (result,) = (r for r in check(Stateful()) if r.check == "batches-do-not-matter")
    assert (result.outcome, result.reason) == ("skipped", "it declares itself stateful")
