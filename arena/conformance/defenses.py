"""What a defence is held to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.random import Generator

from arena.answers import FIELDS, REFUSED, Answer, Unanswerable, delivered
from arena.api import Defense, Floats, Session, Victim
from arena.conformance import laws
from arena.conformance.rules import (
    Check,
    NotApplicable,
    Violation,
    global_randomness_untouched,
    noting,
    same_bits,
)
from arena.conformance.toys import Terrain, Toy, toys
from arena.seeds import digest, generator

_ROWS = 40
_MANY = 2000
"""Rows that rates are measured on."""

_DISTINCT = 8
_HALF_A_PERCENT = 0.005
"""What rounding to whole percents moves a probability by, at most."""


@dataclass(frozen=True)
class _Scene:
    """A toy, the fields its clients are meant to see, and rows to ask."""

    toy: Toy
    victim: Victim
    X: Floats

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        revealing = sorted(self.victim.reveals, key=FIELDS.index)
        return f"{self.toy.title} revealing {', '.join(revealing)}"

    @property
    def bare(self) -> Answer:
        """The victim's own answer, a fresh one."""
        return self.victim.answer(self.X.copy()).copy()


def answers_fit(defense: Defense) -> None:
    """It gives an Answer of as many rows, with every field it does not hide, whatever the batch."""
    for scene in _scenes(defense, "ordinary", "mixed", "tiny"):
        session = _session(defense, scene)
        for rows in (scene.X, scene.X[:1], scene.X[1:3]):
            _asked(defense, session, replace(scene, X=rows))


def hidden_fields_hidden(defense: Defense) -> None:
    """No field that `hides` names leaves it."""
    hides = defense.traits.hides
    for scene in _fitting(defense):
        answer = _answered(defense, scene)
        if leaked := [name for name in FIELDS if name in hides & answer.fields]:
            raise Violation(
                f"lets {leaked[0]} out of {scene.toy.title}, which its hides names; leave it out "
                "of the answer, or out of hides"
            )


def label_preserved(defense: Defense) -> None:
    """Unless `alters` names the label, every label leaves it as it came."""
    _must_preserve(defense, frozenset({"label"}))


def other_fields_preserved(defense: Defense) -> None:
    """A field but the label that neither `hides` nor `alters` names leaves it as it came."""
    _must_preserve(defense, frozenset(FIELDS) - {"label"})


def probabilities_sum_to_one(defense: Defense) -> None:
    """Probabilities lie in [0, 1] and sum to 1, but for rounding to whole percents."""
    for scene in _fitting(defense):
        P = _answered(defense, scene).probabilities
        if P is None:
            continue
        P = P[np.isfinite(P).all(axis=1)]
        slack = _HALF_A_PERCENT * P.shape[1] + 1e-9
        wrong = (np.abs(P.sum(axis=1) - 1) > slack) | ((P < 0) | (P > 1)).any(axis=1)
        if wrong.any():
            raise Violation(
                f"gives probabilities {P[wrong][0].tolist()} for a row of {scene.toy.title}; "
                "normalise them, or hide them"
            )


def refusals_whole(defense: Defense) -> None:
    """A row that is refused is so in every field: label and leaf -1, numbers NaN."""
    for scene in _fitting(defense):
        refused: dict[str, Any] = {}
        for name, array in _answered(defense, scene).arrays().items():
            whole = array == REFUSED if array.dtype.kind in "iu" else np.isnan(array)
            refused[name] = whole if whole.ndim == 1 else whole.all(axis=1)
            if whole.ndim == 2 and (whole.any(axis=1) != refused[name]).any():
                raise Violation(f"gives {name} with some NaN in a row; use answer.refused(rows)")
        for name, rows in refused.items():
            if (rows != next(iter(refused.values()))).any():
                raise Violation(
                    f"refuses a row in {next(iter(refused))} and not in {name}, or the reverse; "
                    "use answer.refused(rows)"
                )


def same_seed_same_answers(defense: Defense) -> None:
    """The same seed and queries give the same answers, also from a copy of the plugin."""
    for scene in _fitting(defense):
        first = _answered(defense, scene)
        for other in (defense, defense.model_copy(deep=True)):
            if not same_bits(first, _answered(other, scene)):
                raise Violation(
                    f"gives other answers by the same seed on {scene.toy.title}; draw from the "
                    "rng that protect is given, and start afresh in every protect"
                )


def sessions_share_nothing(defense: Defense) -> None:
    """A session answers as it would if no other had ever been opened or asked."""
    for scene in _fitting(defense):
        alone = _answered(defense, scene)
        first, second = (_session(defense, scene) for _ in range(2))
        _asked(defense, first, scene)
        if not same_bits(alone, _asked(defense, second, scene)):
            raise Violation(
                f"gives other answers on {scene.toy.title} after another session was asked; keep "
                "what is remembered in the session that protect returns"
            )


def own_randomness_only(defense: Defense) -> None:
    """All its randomness comes from the generator that protect is given."""
    for scene in _fitting(defense):
        with global_randomness_untouched():
            _answered(defense, scene)


def rows_left_alone(defense: Defense) -> None:
    """It changes neither the rows that were asked nor the victim: other matches share them."""
    for scene in _fitting(defense):
        before = pickle.dumps(scene.victim)
        session = _session(defense, scene)
        X = scene.X.copy()
        session.answer(X, scene.bare)
        if not np.array_equal(X, scene.X):
            raise Violation("writes into the rows X it is given; work on a copy")
        if pickle.dumps(scene.victim) != before:
            raise Violation("changes the victim it is given; keep state in the session")


def batches_do_not_matter(defense: Defense) -> None:
    """Unless it is stateful, the law of an answer is the same in any batch."""
    if defense.traits.stateful:
        raise NotApplicable("it declares itself stateful")
    for scene in _fitting(defense):
        # Drawn in another order, its numbers may still follow the same law.
        if not same_bits(_answered(defense, scene), _one_by_one(defense, scene)):
            _must_follow_one_law(defense, scene)


def flip_rate_true(defense: Defense) -> None:
    """`flip_rate()` is None or the chance with which it turns a label."""
    rate: object = defense.flip_rate()
    if rate is None:
        return
    if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 <= float(rate) <= 1:
        raise Violation(f"has a flip rate of {rate!r}; return 0 to 1, or None if it depends")
    for scene in _fitting(defense):
        if not scene.victim.classes or "label" in defense.traits.hides:
            continue
        many = replace(scene, X=scene.toy.victim.domain.sample(_MANY, _rng("many")))
        given, label = many.bare.label, _answered(defense, many).label
        if given is None or label is None:
            continue
        turned = int((given != label).sum())
        if not laws.plausible(turned, _MANY, float(rate)):
            raise Violation(
                f"turns {turned} of {_MANY} labels of {scene.toy.title}, and says that its flip "
                f"rate is {float(rate):g}; let flip_rate return the chance, or None if it depends"
            )


CHECKS = tuple(
    map(
        Check.of,
        (
            *(answers_fit, hidden_fields_hidden, label_preserved, other_fields_preserved),
            *(probabilities_sum_to_one, refusals_whole),
            *(same_seed_same_answers, sessions_share_nothing, own_randomness_only),
            *(rows_left_alone, batches_do_not_matter, flip_rate_true),
        ),
    )
)


def _scenes(defense: Defense, *terrains: Terrain) -> Iterator[_Scene]:
    """Yield what it can protect: each toy with all its fields, and with what it predicts alone.

    Raises:
        NotApplicable: nothing would leave it.
    """
    met = False
    families = defense.traits.families
    for toy in (toy for terrain in terrains for toy in toys(terrain, families)):
        output = toy.victim.output
        for fields in dict.fromkeys((toy.victim.reveals, frozenset({output}))):
            if fields - defense.traits.hides:
                met = True
                # A copy: a defence may change what it is given, and toys are shared.
                victim = deepcopy(toy.revealing(fields))
                yield _Scene(toy, victim, toy.victim.domain.sample(_ROWS, _rng("rows")))
    if not met:
        raise NotApplicable("it hides all that the toys of its families reveal")


def _fitting(defense: Defense) -> Iterator[_Scene]:
    """Yield the ordinary scenes that it answers; what it fails to is the finding of answers-fit.

    Raises:
        NotApplicable: there are none.
    """
    met = False
    for scene in _scenes(defense, "ordinary"):
        try:
            _answered(defense, replace(scene, victim=deepcopy(scene.victim)))
        except Exception:
            continue
        met = True
        yield scene
    if not met:
        raise NotApplicable("it answers none of the toys; see answers-fit")


def _rng(role: str) -> Generator:
    return generator(digest("conformance", role))


def _session(defense: Defense, scene: _Scene) -> Session:
    with noting(f"on {scene.title}"):
        session: Any = defense.protect(scene.victim, _rng("session"))
    if not callable(getattr(session, "answer", None)):
        what = type(session).__name__
        raise Violation(f"gives {what} from protect, which has no answer(X, answer); return one")
    opened: Session = session
    return opened


def _answered(defense: Defense, scene: _Scene) -> Answer:
    return _asked(defense, _session(defense, scene), scene)


def _asked(defense: Defense, session: Session, scene: _Scene) -> Answer:
    """Ask a session as the door does.

    Raises:
        Violation: it gives what the door would not deliver.
        Exception: what its own code raises.
    """
    with noting(f"on {scene.title}, asked {len(scene.X)} rows"):
        answer = session.answer(scene.X.copy(), scene.bare)
        fields = sorted(scene.victim.reveals - defense.traits.hides, key=FIELDS.index)
        try:
            delivered(answer, len(scene.X), len(scene.victim.classes), fields)
        except Unanswerable as error:
            raise Violation(
                f"{error}; answer every row, in every field it is given and does not hide"
            ) from error
    return answer


def _must_preserve(defense: Defense, fields: frozenset[str]) -> None:
    traits = defense.traits
    declared = fields - traits.alters - traits.hides
    if not declared:
        raise NotApplicable("it declares that it alters or hides what this is about")
    for scene in _fitting(defense):
        before, after = scene.bare, _answered(defense, scene)
        for name in sorted(declared & before.fields & after.fields, key=FIELDS.index):
            if not np.array_equal(before.field(name), after.field(name), equal_nan=True):  # type: ignore[arg-type]
                raise Violation(
                    f"changes {name} on {scene.toy.title}, which its alters does not name; name "
                    "it there, or leave it alone"
                )


def _must_follow_one_law(defense: Defense, scene: _Scene) -> None:
    """Compare the answers to a few rows asked often, in one batch and one by one."""
    X = np.tile(scene.X[:_DISTINCT], (_MANY // _DISTINCT, 1))
    batch = _answered(defense, replace(scene, X=X))
    single = _one_by_one(defense, replace(scene, X=X))
    if name := laws.differing(batch, single, np.arange(len(X)) % _DISTINCT):
        raise Violation(
            f"answers {name} of {scene.toy.title} by another law in a batch than row by row; "
            "draw for every row, or declare stateful = True"
        )


def _one_by_one(defense: Defense, scene: _Scene) -> Answer:
    session = _session(defense, scene)
    rows = [replace(scene, X=scene.X[i : i + 1]) for i in range(len(scene.X))]
    parts = [_asked(defense, session, row).arrays() for row in rows]
    return Answer(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
