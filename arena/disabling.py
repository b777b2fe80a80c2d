"""Plugins that a user has disabled by name, in the environment, so that every process knows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from arena.api import Kind

VARIABLE = "ARENA_DISABLE"
"""Names, with commas between: ``name`` or ``distribution/name``, of plugins or entry points."""


@dataclass(frozen=True)
class Disabled:
    """A plugin that the user has disabled.

    Attributes:
        name: the plugin's; its entry point's where that is disabled.
        distribution: what installed it.
        version: of that distribution.
        by: the disabled name that is its.
        kind: attack, defense or target; None where it was not imported.
        point: the entry point that was not imported; None where it was.
    """

    name: str
    distribution: str
    version: str
    by: str
    kind: Kind | None = None
    point: EntryPoint | None = None

    @property
    def mend(self) -> str:
        """How to enable it, as the end of a sentence."""
        return f"take '{self.by}' out of {VARIABLE} (or of --disable) to enable it"


def wanted() -> str:
    """Return what the environment disables, as it is written there."""
    return os.environ.get(VARIABLE, "")


def names(text: str) -> tuple[str, ...]:
    """Split what is written into names; blanks around them and empty ones are left out."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def naming(disabled: tuple[str, ...], distribution: str, name: str) -> str:
    """Return which of the disabled names is that of a plugin or entry point; '' if none is."""
    return next((d for d in disabled if d in (name, f"{distribution}/{name}")), "")


@contextmanager
def also(text: str) -> Iterator[None]:
    """Disable for a while what ``text`` names, too, here and in every process that is started."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = ",".join((*names(wanted()), *names(text)))
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
