"""Parameters that belong to somebody else's class, by name."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator


class Options(dict[str, Any]):
    """A mapping that is never changed, so that a specification that holds it can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


Named = Annotated[dict[str, Any], AfterValidator(Options)]
"""A parameter that is a mapping from names to JSON values."""
