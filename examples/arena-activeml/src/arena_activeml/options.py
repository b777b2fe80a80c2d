"""Parameters that belong to somebody else's class, and names that come close to one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator


class Options(dict[str, Any]):
    """A mapping that is never changed, so that a specification that holds it can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


Named = Annotated[dict[str, Any], AfterValidator(Options)]
"""A parameter that is a mapping from names to JSON values."""


def near(name: str, known: Iterable[str]) -> str:
    """Say which of the known names come close, as the end of a sentence."""
    names = sorted(known)
    found = get_close_matches(name, names, n=3, cutoff=0.5)
    if found:
        return "did you mean " + " or ".join(f"'{n}'" for n in found) + "?"
    return "known are: " + (", ".join(names) if names else "none")
