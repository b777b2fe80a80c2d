"""Property-based tests in two sizes: a few examples always, many when slow tests are run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MANY = 5000

few_or_many = pytest.mark.parametrize(
    "examples", [pytest.param(120, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)


def explore(examples: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Check so many examples of a strategy; one that takes 20 seconds hangs.

    Few examples are the same every time, many are others every time.
    """

    def checked(example: Any) -> None:
        with within(20):
            check(example)

    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    options = settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=quiet,
        derandomize=examples < MANY,
    )
    options(given(strategy)(checked))()


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise where something hangs."""

    def hangs(number: int, frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"still at it after {seconds} s")

    previous = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
