"""How ART is imported and where its random numbers come from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from tempfile import TemporaryDirectory
from threading import RLock
from unittest.mock import patch

from numpy.random import Generator, mtrand

_DRAWING = RLock()


@cache
def load() -> None:
    """Import ART: about half a second where scikit-learn is imported, so only on first use.

    ART reads and writes ``~/.art`` when it is imported, which a cell may not; its home is a
    folder that is gone afterwards.
    """
    with TemporaryDirectory() as home, patch.dict(os.environ, HOME=home), warnings.catch_warnings():
        # It tells that PyTorch is not there, and nothing here uses it.
        warnings.simplefilter("ignore", UserWarning)
        import_module("art")


@contextmanager
def drawing_from(rng: Generator) -> Iterator[None]:
    """Let ``numpy.random``, from which ART draws, draw from a generator of ours meanwhile.

    The draws advance ``rng``; afterwards ``numpy.random`` goes on where it was, but for the second
    half of a pair of normal numbers, which numpy drops. Threads take turns: ``numpy.random`` is
    one for all of them.
    """
    with _DRAWING:
        before = mtrand.get_bit_generator()
        mtrand.set_bit_generator(rng.bit_generator)
        try:
            yield
        finally:
            mtrand.set_bit_generator(before)
