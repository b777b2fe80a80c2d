"""Small halfspaces with known weights, for tests of what attacks and defends them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arena import Answer, Dataset, Domain, Natural, Session, Victim
from arena_plugins.targets.halfspace import Halfspace, HalfspaceVictim

Floats = NDArray[np.float64]


def halfspace(w: Any, intercept: float = 0.0, domain: Domain | None = None) -> HalfspaceVictim:
    """Make the halfspace <w, x> + intercept > 0 of R^d, or of the encoded rows of a domain."""
    w = np.asarray(w, dtype=np.float64)
    domain = domain or Domain.euclidean([f"x{j}" for j in range(len(w))])
    X = np.ascontiguousarray(np.random.default_rng(0).standard_normal((60, domain.d)))
    X = domain.project(X)
    y = (domain.encode(X) @ w + intercept > 0).astype(np.int64)
    return HalfspaceVictim(
        domain=domain,
        classes=("no", "yes"),
        family="halfspace",
        reveals=frozenset({"label", "score"}),
        natural=Natural(X, y, np.arange(60) % 3 == 0),
        parameters={"coef": w, "intercept": np.array(intercept)},
        w=w[None],
        b=np.array([intercept]),
    )


@cache
def trained(dataset: str, space: Any = "sphere", seed: int = 0) -> HalfspaceVictim:
    """Train a halfspace on real data."""
    data = Dataset.model_validate(dataset)
    target = Halfspace(dataset=data, space=space, reveals=("label", "score"))
    return target.train(np.random.default_rng(seed))


def unit(v: Floats) -> Floats:
    length: Floats = v / np.linalg.norm(v)
    return length


def protected(session: Session, victim: Victim, X: Floats) -> Answer:
    """Ask a defended victim."""
    X = np.ascontiguousarray(X)
    return session.answer(X, victim.answer(X))


def row_by_row(session: Session, victim: Victim, X: Floats) -> dict[str, bytes]:
    """Ask one row at a time; return the bytes of every field."""
    parts = [protected(session, victim, X[i : i + 1]).arrays() for i in range(len(X))]
    return {name: b"".join(part[name].tobytes() for part in parts) for name in parts[0]}


def content(answer: Answer) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in answer.arrays().items()}


def labels(answer: Answer) -> NDArray[np.int64]:
    assert answer.label is not None
    return answer.label


def scores(answer: Answer) -> Floats:
    assert answer.score is not None
    return answer.score
