"""What a target is held to."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from arena.answers import FIELDS, Answer, Unanswerable, delivered
from arena.api import FAMILIES, Floats, Target, Victim
from arena.conformance.instances import remade
from arena.conformance.rules import (
    Check,
    NotApplicable,
    Violation,
    global_randomness_untouched,
    same_bits,
)
from arena.errors import ArenaError, InvalidQuery, one_line
from arena.pairing import TargetSpec
from arena.seeds import digest, generator
from arena.stage import prepare

_ROWS = 64
_SCORED = 200
_FAR = 1e3


def data_loads(target: Target) -> None:
    """`check()` finds nothing wrong with its data and parameters."""
    target.check()


def families_known(target: Target) -> None:
    """`families()` and its victim's family are among arena.FAMILIES, the latter in the former."""
    families, family = target.families(), _trained(target).family
    if unknown := sorted(map(str, set(families) - FAMILIES)):
        raise Violation(f"says it is of family '{unknown[0]}'; choose from arena.FAMILIES")
    if family not in families:
        raise Violation(
            f"trains a victim of family '{family}', which its families() {sorted(families)} does "
            "not hold; give the victim family=self.family"
        )


def accepted_by_the_engine(target: Target) -> None:
    """The engine can score against it: a victim with natural rows, classes and finite answers."""
    spec = TargetSpec(target, "conformance", None, _SCORED, 0)
    try:
        prepare(spec)
    except ArenaError as error:
        raise Violation(f"cannot be scored against: {error}") from error


def same_seed_same_victim(target: Target) -> None:
    """The same generator state gives the same victim, also from a copy of the plugin."""
    first = _revealing_all(target)
    X = _rows(first)
    for other in (_revealing_all(target), _revealing_all(target.model_copy(deep=True))):
        same = np.array_equal(first.natural.X, other.natural.X, equal_nan=True)
        same = same and np.array_equal(first.natural.held_out, other.natural.held_out)
        if not same or first.domain != other.domain:
            raise Violation(
                "has other natural rows or another domain by the same seed; split by the rng that "
                "train is given (arena.split does)"
            )
        if not same_bits(first.answer(X.copy()), other.answer(X.copy())):
            raise Violation(
                "trains another model by the same seed; give learners a random_state drawn from "
                "the rng that train is given"
            )


def own_randomness_only(target: Target) -> None:
    """All its randomness comes from the generator that train is given."""
    with global_randomness_untouched():
        victim = _trained(target)
        victim.answer(_rows(victim))


def reveals_kept(target: Target) -> None:
    """It reveals each field of `can_reveal` that its `reveals` asks for, and its victim says so."""
    can = sorted(target.can_reveal, key=FIELDS.index)
    for names in (*((name,) for name in can), tuple(can)):
        victim = _trained(remade(target, reveals=names))
        if victim.reveals != frozenset(names):
            raise Violation(
                f"trains a victim that says it reveals {', '.join(sorted(victim.reveals))} where "
                f"{', '.join(names)} was asked for; give it reveals=frozenset(self.reveals)"
            )
        _delivered(victim, _rows(victim), victim.reveals)


def samples_accepted(target: Target) -> None:
    """Rows drawn from its domain are valid, and are answered well-formed and finite."""
    victim = _revealing_all(target)
    X = _rows(victim)
    try:
        victim.domain.validate(X)
    except InvalidQuery as error:
        raise Violation(f"has a domain whose own samples are refused ({error})") from error
    answer = _delivered(victim, X, victim.reveals | {victim.output})
    for name, array in answer.arrays().items():
        if not np.isfinite(array).all():
            raise Violation(f"gives {name} that is not finite for a row of its own domain")


def answers_beyond_bounds(target: Target) -> None:
    """Numbers far beyond the bounds and fractions in integer features are answered as others."""
    victim = _revealing_all(target)
    domain = victim.domain
    X = _rows(victim)
    numeric = np.setdiff1d(np.arange(domain.d), domain.categorical)
    with np.errstate(all="ignore"):
        for far in (X[:, numeric] + 0.5, _FAR * X[:, numeric], -_FAR * X[:, numeric]):
            rows = X.copy()
            rows[:, numeric] = far
            _delivered(victim, rows, victim.reveals | {victim.output})


def same_bits_in_any_batch(target: Target) -> None:
    """A row's answer is the same bits in any batch."""
    victim = _revealing_all(target)
    X = _rows(victim)
    whole = victim.answer(X.copy())
    for size in (1, 3):
        for start in range(0, len(X), size):
            rows = slice(start, start + size)
            if not same_bits(whole.rows(rows), victim.answer(X[rows].copy())):
                raise Violation(
                    f"answers a row in a batch of {size} otherwise than among {len(X)}; use "
                    "arena.affine and arena.softmax in place of X @ W"
                )


def probabilities_sum_to_one(target: Target) -> None:
    """Its probabilities lie in [0, 1] and sum to 1."""
    if "probabilities" not in target.can_reveal:
        raise NotApplicable("it cannot reveal probabilities")
    victim = _revealing_all(target)
    P = victim.answer(_rows(victim)).probabilities
    if P is None:
        raise NotApplicable("it reveals no probabilities; see reveals-kept")
    if (P < 0).any() or (P > 1).any() or not np.allclose(P.sum(axis=1), 1, rtol=0, atol=1e-9):
        worst = P[np.abs(P.sum(axis=1) - 1).argmax()]
        raise Violation(f"gives probabilities {worst.tolist()}; let each row sum to 1")


def rows_left_alone(target: Target) -> None:
    """Its victim changes neither the rows it is asked nor, by answering them, its answers."""
    victim = _revealing_all(target)
    X = _rows(victim)
    given = X.copy()
    first = victim.answer(given).copy()
    if not np.array_equal(given, X):
        raise Violation("writes into the rows X that it is asked; work on a copy")
    if not same_bits(first, victim.answer(X.copy())):
        raise Violation("answers the same rows otherwise when asked again; keep no state")


def victim_pickles(target: Target) -> None:
    """Its victim pickles, and answers the same bits afterwards."""
    victim = _revealing_all(target)
    try:
        again = pickle.loads(pickle.dumps(victim))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise Violation(
            f"trains a victim that does not pickle ({one_line(error)}); define its class at the "
            "top of a module and keep arrays in it"
        ) from error
    X = _rows(victim)
    if not same_bits(victim.answer(X.copy()), again.answer(X.copy())):
        raise Violation("trains a victim that answers otherwise once it is pickled")


def parameters_are_the_models(target: Target) -> None:
    """`parameters` of a halfspace or a regression, if given, are those that it answers by."""
    victim = _trained(target)
    if not {"coef", "intercept"} <= victim.parameters.keys() or len(victim.classes) > 2:
        raise NotApplicable("its victim has no coef and intercept of one hyperplane")
    X = _rows(victim)
    coef, intercept = (np.asarray(victim.parameters[n]) for n in ("coef", "intercept"))
    if coef.shape != (victim.domain.width,) or intercept.shape != ():
        raise Violation(
            f"gives coef of shape {coef.shape} and intercept {intercept.shape}; give "
            f"({victim.domain.width},) and ()"
        )
    scores = victim.domain.encode(X) @ coef + intercept
    answer = _delivered(victim, X, frozenset({victim.output}))
    if answer.value is not None:
        agrees = np.allclose(answer.value, scores)
    else:
        clear = np.abs(scores) > 1e-9 * max(1.0, float(np.abs(scores).max()))
        positive = np.asarray(answer.label) == 1
        agrees = np.array_equal(positive[clear], scores[clear] > 0)
    if not agrees:
        raise Violation(
            "answers otherwise than by its parameters; give the coef and intercept over encoded "
            "rows, label 1 where the score is positive"
        )


CHECKS = tuple(
    map(
        Check.of,
        (
            *(data_loads, families_known, accepted_by_the_engine, same_seed_same_victim),
            *(own_randomness_only, reveals_kept, samples_accepted, answers_beyond_bounds),
            *(same_bits_in_any_batch, probabilities_sum_to_one, rows_left_alone),
            *(victim_pickles, parameters_are_the_models),
        ),
    )
)


def _trained(target: Target) -> Victim:
    victim: Any = target.train(generator(digest("conformance", "target")))
    if not isinstance(victim, Victim):
        raise Violation(f"gives {type(victim).__name__} from train; return an arena.Victim")
    return victim


def _rows(victim: Victim) -> Floats:
    """Return rows that can occur, C-contiguous float64 (n, d)."""
    X = victim.domain.sample(_ROWS, generator(digest("conformance", "rows")))
    return np.ascontiguousarray(X)


def _revealing_all(target: Target) -> Victim:
    """Train the target to reveal all that it can."""
    return _trained(remade(target, reveals=tuple(sorted(target.can_reveal, key=FIELDS.index))))


def _delivered(victim: Victim, X: Floats, fields: frozenset[str]) -> Answer:
    try:
        named = sorted(fields, key=FIELDS.index)
        return delivered(victim.answer(X.copy()), len(X), len(victim.classes), named)
    except Unanswerable as error:
        raise Violation(f"{error}; give every revealed field, a row a query") from error
