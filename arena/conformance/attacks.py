"""What an attack is held to."""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from arena.answers import Answer
from arena.api import Attack, Floats, Knowledge
from arena.conformance.instances import remade
from arena.conformance.matches import Matches
from arena.conformance.plays import BUDGET, Game, Proposal, due, opponents, play
from arena.conformance.rules import (
    Check,
    NotApplicable,
    Violation,
    global_randomness_untouched,
    noting,
)
from arena.conformance.toys import Terrain, Toy, toys
from arena.tables import Outcomes

_BUDGETS = (1, 7, BUDGET)
_PROBES, _SINGLE = 64, 8
_TOLD = tuple(field.name for field in dataclasses.fields(Knowledge))
_REFUSED_EVERY = 3
_FEW = 3
"""Toys met with every need."""


def every_family_learned(attack: Attack) -> None:
    """It ends, with a surrogate proposed, against a target of every family in `families`."""
    for toy, fields in opponents(attack, "ordinary"):
        play(attack, toy, fields)


def needs_suffice(attack: Attack) -> None:
    """Each set of fields in `needs` suffices, with the grants of `requires_knowledge` alone."""
    met = False
    for need in attack.requirements.needs:
        ordinary = toys("ordinary", attack.requirements.families)
        for toy in [toy for toy in ordinary if need <= toy.victim.reveals][:_FEW]:
            met = True
            play(attack, toy, need or frozenset({toy.victim.output}))
    if not met:
        raise NotApplicable("no toy of its families reveals what it needs")


def budget_respected(attack: Attack) -> None:
    """It ends when its budget does, however small, with a surrogate proposed by then."""
    toy, fields, _ = next(Matches.of(attack).ended())
    for budget in _BUDGETS:
        play(attack, toy, fields, budget=budget)


def same_seed_same_queries(attack: Attack) -> None:
    """The same seed gives the same queries, in every match and from a copy of the plugin."""
    for toy, game, again in Matches.of(attack).repeated():
        for i, (a, b) in enumerate(zip_longest(game.asked, again.asked)):
            if a is None or b is None or not np.array_equal(a, b, equal_nan=True):
                raise Violation(
                    f"asks another batch {i + 1} of {toy.title} when it is played again by the "
                    "same seed; draw from the rng that extract is given, and start afresh there"
                )


def same_seed_same_surrogates(attack: Attack) -> None:
    """The same seed gives surrogates at the same checkpoints, which predict the same."""
    for toy, game, again in Matches.of(attack).repeated():
        for a, b in zip_longest(game.proposals, again.proposals):
            if a is None or b is None or a.spent != b.spent:
                raise Violation(
                    f"proposes surrogates at other times against {toy.title} when it is played "
                    "again by the same seed; draw from the rng that extract is given"
                )
            here, there = _predicted(a, toy), _predicted(b, toy)
            if here is not None and there is not None and not _agree(here, there).all():
                raise Violation(
                    f"proposes another surrogate against {toy.title} when it is played again by "
                    "the same seed; give learners a random_state drawn from the rng"
                )


def own_randomness_only(attack: Attack) -> None:
    """All its randomness comes from the generator that extract is given."""
    for toy, fields, _ in Matches.of(attack).ended():
        with global_randomness_untouched():
            play(attack, toy, fields)


def given_left_alone(attack: Attack) -> None:
    """It changes nothing of what it is told: domain, recipe, pool, rows."""
    toy, fields, _ = next(Matches.of(attack).ended())
    told = due(attack, toy.revealing(fields), everything=True)
    before = {name: pickle.dumps(getattr(told, name)) for name in _TOLD}
    play(attack, toy, fields, knowledge=told)
    for name in _TOLD:
        if pickle.dumps(getattr(told, name)) != before[name]:
            raise Violation(f"writes into {name} of what the oracle tells it; work on a copy")


def plugin_left_alone(attack: Attack) -> None:
    """It keeps no state: playing leaves the plugin as it was."""
    toy, fields, _ = next(Matches.of(attack).ended())
    # One that has never played: what it keeps, it may keep from its first match on.
    fresh = remade(attack)
    before = repr((fresh.__dict__, fresh.__pydantic_private__))
    play(fresh, toy, fields)
    if repr((fresh.__dict__, fresh.__pydantic_private__)) != before:
        raise Violation("changes itself while it plays; keep state in what extract holds")


def surrogates_travel(attack: Attack) -> None:
    """A surrogate reaches the referee, by pickle or as arrays, and predicts there as before."""
    for toy, _, game in Matches.of(attack).ended():
        for proposal in game.proposals:
            proposal.must_arrive()
        # Of the last alone: an earlier one may share with it what has been learned since.
        there = _predicted(last := game.proposals[-1], toy)
        if there is not None:
            here = np.asarray(last.surrogate.predict(_probes(toy)))
            _must_repeat(here, there, "after its journey to the referee,")


def surrogates_usable(attack: Attack) -> None:
    """Every surrogate predicts a label (a value) for each row, by that row alone."""
    for toy, _, game in Matches.of(attack).ended():
        domain, X = toy.victim.domain, _probes(toy)
        for proposal in game.arrived:
            labels = proposal.labels(X, domain)
            _must_repeat(labels, proposal.labels(X, domain), "asked once more,")
            single = [proposal.labels(X[i : i + 1], domain) for i in range(_SINGLE)]
            _must_repeat(labels[:_SINGLE], np.concatenate(single), "asked row by row,")


def survives_one_class(attack: Attack) -> None:
    """It ends, with usable surrogates, against a target that gives one answer to all."""
    for toy, fields in opponents(attack, "one-class"):
        _all_usable(play(attack, toy, fields), toy)


def survives_tiny_domains(attack: Attack) -> None:
    """It learns over one feature or category, and beside a constant one, or declines."""
    _survive(attack, "tiny")


def survives_mixed_features(attack: Attack) -> None:
    """It learns over continuous, integer and categorical features together, or declines."""
    _survive(attack, "mixed")


def survives_refusals(attack: Attack) -> None:
    """It goes on where a row is refused, marked arena.REFUSED or NaN, or declines."""
    toy, fields, _ = next(Matches.of(attack).ended())
    with _declining(attack) as declined:
        for budget in (2, BUDGET):
            game = play(attack, toy, fields, budget=budget, sessions=(_Refusing(),))
            _all_usable(game, toy)
    if declined:
        raise NotApplicable(declined[0])


CHECKS = tuple(
    map(
        Check.of,
        (
            *(every_family_learned, needs_suffice, budget_respected),
            *(same_seed_same_queries, same_seed_same_surrogates, own_randomness_only),
            *(given_left_alone, plugin_left_alone, surrogates_travel, surrogates_usable),
            *(survives_one_class, survives_tiny_domains, survives_mixed_features),
            survives_refusals,
        ),
    )
)


class _Refusing:
    """Refuses the first row, and then every third."""

    def __init__(self) -> None:
        self._seen = 0

    def answer(self, X: Floats, answer: Answer) -> Answer:
        """Return the answer with some rows refused."""
        place = self._seen + np.arange(len(X))
        self._seen += len(X)
        return answer.refused(place % _REFUSED_EVERY == 0)


def _survive(attack: Attack, terrain: Terrain) -> None:
    survived, declined = False, list[str]()
    for toy, fields in opponents(attack, terrain):
        with _declining(attack) as sentences:
            _all_usable(play(attack, toy, fields), toy)
            survived = True
        declined += sentences
    if not survived:
        raise NotApplicable(declined[0])


@contextmanager
def _declining(attack: Attack) -> Iterator[list[str]]:
    """Take a ValueError of its own that names it for what it is: it says what it cannot do.

    Yields:
        A list that holds what it said, once it did.
    """
    said = list[str]()
    try:
        yield said
    except ValueError as error:
        own = type(error) is ValueError and re.search(rf"\b{re.escape(attack.name)}\b", str(error))
        if not own:
            raise
        said.append(f"it declines: {error}")


def _all_usable(game: Game, toy: Toy) -> None:
    with noting(f"against {toy.title}"):
        for proposal in game.arrived:
            proposal.labels(_probes(toy), toy.victim.domain)


def _probes(toy: Toy) -> Floats:
    """Draw rows to predict, float64 (n, d), always the same."""
    return toy.victim.domain.sample(_PROBES, np.random.default_rng(3))


def _predicted(proposal: Proposal, toy: Toy) -> Outcomes | None:
    """Predict, or return None where that is the finding of surrogates-travel or -usable."""
    try:
        return proposal.labels(_probes(toy), toy.victim.domain)
    except Violation:
        return None


def _agree(a: Outcomes, b: Outcomes) -> NDArray[np.bool_]:
    """Tell where labels are equal, and values nearly so, bool (n,)."""
    return np.isclose(a, b) if b.dtype.kind == "f" else a == b


def _must_repeat(first: Outcomes, again: Outcomes, when: str) -> None:
    differ = np.flatnonzero(~_agree(first, again))
    if differ.size:
        i = differ[0]
        raise Violation(
            f"proposes a surrogate that predicts {first[i]} of a row and, {when} {again[i]}; "
            "let predict depend on its row alone, and pickling keep all that it needs"
        )
