"""Seeds by role, each a hash of the tournament's seed and of that role's own inputs only.

So adding a plugin, a repetition or a worker changes no other match.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.random import Generator


def digest(*parts: Any) -> str:
    """Hash JSON-able parts to 32 hexadecimal digits, the same on every platform."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def generator(seed: str) -> Generator:
    """Make the generator of one role from its ``digest``."""
    return np.random.Generator(np.random.PCG64(int(seed, 16)))
