"""The attacks keep to what arena asks of every plugin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from arena_activeml.attack import ActiveML, ActiveMLRegression

conformance = pytest.importorskip("arena.conformance")


@conformance.parametrize(
    ActiveML(strategy="UncertaintySampling", pool=40),
    ActiveML(strategy="QueryByCommittee", pool=40, learner="DecisionTreeClassifier"),
    ActiveML(strategy="Clue", pool=40, options={"method": "margin_sampling"}),
    ActiveMLRegression(strategy="GreedySamplingTarget", pool=40),
)
def test_conforms(check: Callable[[], None]) -> None:
    """A case for every check of every attack."""
    check()
