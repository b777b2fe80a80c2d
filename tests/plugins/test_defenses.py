"""What every defence does to answers, and what it must not let show."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from arena import FIELDS, REFUSED, Answer, Defense, Domain, Natural, Session, Victim
from arena_plugins.defenses import label_flip, label_only, none, rounding
from arena_plugins.defenses.label_flip import LabelFlip
from arena_plugins.defenses.label_only import LabelOnly
from arena_plugins.defenses.none import NoDefense
from arena_plugins.defenses.rounding import Rounding

Floats = NDArray[np.float64]

MODULES: dict[type[Defense], ModuleType] = {
    NoDefense: none,
    LabelOnly: label_only,
    Rounding: rounding,
    LabelFlip: label_flip,
}
CHAINS: list[tuple[Defense, ...]] = [
    (NoDefense(),),
    (LabelOnly(),),
    (Rounding(digits=1),),
    (LabelFlip(rate=0.3),),
    (Rounding(digits=1), LabelFlip(rate=0.4)),
    (LabelFlip(rate=0.2), LabelFlip(rate=0.2), LabelOnly()),
]


@dataclass(frozen=True, kw_only=True)
class Known(Victim):
    """A victim of which defences may know the classes."""

    def answer(self, X: Floats) -> Answer:
        raise AssertionError("a defence has no need to ask the victim")


def victim(k: int) -> Victim:
    return Known(
        domain=Domain.euclidean(["x"]),
        classes=tuple(f"class {c}" for c in range(k)),
        family="other",
        reveals=frozenset(FIELDS),
        natural=Natural(np.empty((0, 1)), np.empty(0, np.int64), np.empty(0, np.bool_)),
    )


def honest(n: int, k: int, seed: int = 0, refused: float = 0.0) -> Answer:
    """Answers whose fields agree: the label has the largest probability and score."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(k), size=n)
    label = P.argmax(axis=1)
    label[rng.random(n) < refused] = REFUSED
    score = np.log(P[:, 1] / P[:, 0]) if k == 2 else np.log(P)
    return Answer(label, P, score, rng.integers(9, size=n), rng.random(n))


def sessions(chain: Sequence[Defense], k: int, seed: int = 5) -> list[Session]:
    return [
        link.protect(victim(k), np.random.default_rng([seed, i])) for i, link in enumerate(chain)
    ]


def through(links: Sequence[Session], answer: Answer) -> Answer:
    X = np.zeros((len(array(answer, "label")), 1))
    for link in links:
        answer = link.answer(X, answer)
    return answer


def protected(defense: Defense, answer: Answer, k: int, seed: int = 5) -> Answer:
    return through(sessions([defense], k, seed), answer)


def array(answer: Answer, name: str) -> NDArray[Any]:
    found = answer.field(name)
    assert found is not None
    return found


def content(answer: Answer) -> dict[str, bytes]:
    return {name: array(answer, name).tobytes() for name in answer.fields}


# ------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("chain", CHAINS, ids=lambda c: "+".join(link.name for link in c))
@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    k=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_the_stream_does_not_depend_on_how_queries_are_batched(
    chain: tuple[Defense, ...], sizes: list[int], k: int, seed: int
) -> None:
    answer = honest(sum(sizes), k, seed, refused=0.2)
    whole = content(through(sessions(chain, k), answer))
    cuts = np.cumsum([0, *sizes])
    for ends in (pairwise(cuts), pairwise(range(sum(sizes) + 1))):
        links = sessions(chain, k)
        parts = [content(through(links, answer.rows(slice(i, j)))) for i, j in ends]
        assert all(part.keys() == whole.keys() for part in parts)
        assert {name: b"".join(part[name] for part in parts) for name in whole} == whole


@pytest.mark.parametrize("chain", CHAINS, ids=lambda c: "+".join(link.name for link in c))
def test_traits_tell_what_a_defence_does(chain: tuple[Defense, ...]) -> None:
    for k in (2, 4):
        answer = honest(500, k)
        before = content(answer)
        for link in chain:
            after = protected(link, answer, k)
            assert content(answer) == before
            assert after.fields == set(FIELDS) - link.hides
            changed = {name for name in after.fields if content(after)[name] != before[name]}
            assert changed == link.alters
            assert not link.stateful


@pytest.mark.parametrize(("cls", "module"), MODULES.items())
def test_each_module_registers_its_one_defence(cls: type[Defense], module: ModuleType) -> None:
    seen: list[type[Defense]] = []
    module.register_defenses(register=seen.append)
    assert seen == [cls]
    assert cls.summary().endswith(".")
    assert all(info.description for info in cls.model_fields.values())


def test_names() -> None:
    assert [cls.name for cls in MODULES] == ["none", "label-only", "rounding", "label-flip"]


def test_defences_pickle() -> None:
    for link in [link for chain in CHAINS for link in chain]:
        assert pickle.loads(pickle.dumps(link)) == link


# ------------------------------------------------------------------------------- none, label-only


def test_none_passes_answers_on() -> None:
    answer = honest(5, 3)
    assert protected(NoDefense(), answer, 3) is answer
    assert NoDefense().flip_rate() == 0


def test_label_only_keeps_the_label_alone() -> None:
    answer = honest(5, 3, refused=0.5)
    after = protected(LabelOnly(), answer, 3)
    assert after.fields == {"label"}
    assert after.label is answer.label
    assert LabelOnly().flip_rate() == 0


# --------------------------------------------------------------------------------------- rounding


def test_rounding_rounds_and_does_not_renormalise() -> None:
    answer = Answer(
        np.array([0, 1]),
        np.array([[1 / 3, 1 / 3, 1 / 3], [0.125, 0.5, 0.375]]),
        np.array([[0.126, -1.0, 2.555], [0.0, -0.004, 7.0]]),
    )
    after = protected(Rounding(), answer, 3)
    assert array(after, "probabilities").tolist() == [[0.33, 0.33, 0.33], [0.12, 0.5, 0.38]]
    assert array(after, "score").tolist() == np.round(array(answer, "score"), 2).tolist()


@pytest.mark.parametrize("digits", [0, 3, 10])
def test_rounding_keeps_digits_labels_and_leaves(digits: int) -> None:
    answer = honest(200, 3, refused=0.1)
    after = protected(Rounding(digits=digits), answer, 3)
    for name in ("probabilities", "score"):
        error = np.abs(array(after, name) - array(answer, name)).max()
        assert 0.3 * 10.0**-digits < error <= 0.5001 * 10.0**-digits
    for name in ("label", "leaf", "value"):
        assert array(after, name) is array(answer, name)
    assert Rounding(digits=digits).flip_rate() == 0


def test_rounding_leaves_what_is_hidden_hidden() -> None:
    assert protected(Rounding(), honest(5, 2).only({"label", "score"}), 2).fields == {
        "label",
        "score",
    }


# ------------------------------------------------------------------------------------- label-flip


@pytest.mark.parametrize(("rate", "k"), [(0.0, 2), (0.1, 2), (0.49, 2), (0.3, 3), (0.4, 7)])
def test_labels_flip_at_the_rate_to_any_other_class_alike(rate: float, k: int) -> None:
    n = 40_000
    for truth in (0, k - 1):
        answer = Answer(label=np.full(n, truth))
        label = array(protected(LabelFlip(rate=rate), answer, k), "label")
        counts = np.bincount(label, minlength=k)
        share = np.full(k, rate / (k - 1))
        share[truth] = 1 - rate
        # Five standard deviations of a binomial count.
        assert (np.abs(counts - n * share) <= 5 * np.sqrt(n * share * (1 - share))).all()
    assert LabelFlip(rate=rate).flip_rate() == rate


def test_every_row_has_a_fresh_coin() -> None:
    label = array(protected(LabelFlip(rate=0.3), Answer(label=np.zeros(20_000, int)), 2), "label")
    pairs = np.bincount(label[:-1] + 2 * label[1:], minlength=4) / (len(label) - 1)
    np.testing.assert_allclose(pairs, [0.49, 0.21, 0.21, 0.09], atol=0.02)


def test_sessions_follow_their_generator() -> None:
    answer, flip = honest(300, 3), LabelFlip(rate=0.3)
    first, again, other = (content(protected(flip, answer, 3, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("digits", [None, 10])
def test_no_field_betrays_a_flip(k: int, digits: int | None) -> None:
    answer = honest(4000, k)
    if digits is not None:
        answer = protected(Rounding(digits=digits), answer, k)
    after = protected(LabelFlip(rate=0.4), answer, k)
    label, P, score = (array(after, name) for name in ("label", "probabilities", "score"))
    flipped = label != array(answer, "label")
    assert flipped.any()
    assert np.array_equal(P.argmax(axis=1), label)
    assert np.array_equal(np.sort(P), np.sort(array(answer, "probabilities")))
    if k == 2:
        assert np.array_equal(score > 0, label == 1)
        assert np.array_equal(np.abs(score), np.abs(array(answer, "score")))
    else:
        assert np.array_equal(score.argmax(axis=1), label)
        assert np.array_equal(np.sort(score), np.sort(array(answer, "score")))
    # All fields of a row changed with its label, and only then.
    for name in ("probabilities", "score"):
        same = (array(after, name) == array(answer, name)).reshape(4000, -1).all(axis=1)
        assert np.array_equal(same, ~flipped)
    assert not {"leaf", "value"} & after.fields


def test_a_flip_leaves_the_other_classes_alone() -> None:
    answer = honest(2000, 4)
    after = protected(LabelFlip(rate=0.4), answer, 4)
    a, b = array(answer, "label"), array(after, "label")
    other = np.ones((2000, 4), dtype=bool)
    other[np.arange(2000), a] = other[np.arange(2000), b] = False
    for name in ("probabilities", "score"):
        assert np.array_equal(array(after, name)[other], array(answer, name)[other])


def test_refused_rows_are_left_as_they_are() -> None:
    answer = honest(3000, 3, refused=0.5)
    after = protected(LabelFlip(rate=0.49), answer, 3)
    refused = array(answer, "label") == REFUSED
    assert np.array_equal(array(after, "label") == REFUSED, refused)
    assert content(after.rows(refused)) == content(
        answer.rows(refused).only({"label", "probabilities", "score"})
    )
    share = (array(after, "label") != array(answer, "label"))[~refused].mean()
    assert 0.45 < share < 0.53


def test_a_flip_needs_a_label() -> None:
    session = sessions([LabelFlip(rate=0.1)], 2)[0]
    with pytest.raises(ValueError, match="label-flip needs a label"):
        session.answer(np.zeros((1, 1)), Answer(score=np.ones(1)))


# ------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (Rounding, {"digits": -1}),
        (Rounding, {"digits": 11}),
        (Rounding, {"digits": 1.5}),
        (LabelFlip, {"rate": -0.01}),
        (LabelFlip, {"rate": 0.5}),
        (LabelFlip, {"rate": float("nan")}),
        (LabelFlip, {}),
        (LabelOnly, {"rate": 0.1}),
        (NoDefense, {"rate": 0.1}),
    ],
)
def test_parameters_out_of_bounds_are_refused(
    cls: type[Defense], parameters: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        cls.model_validate(parameters)


def test_parameters_at_their_bounds() -> None:
    assert [Rounding(digits=d).digits for d in (0, 10)] == [0, 10]
    assert Rounding().digits == 2
    assert LabelFlip(rate=0).flip_rate() == 0
