"""Entry points: what they are of, and why one could not be loaded."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_string
from email.message import Message
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint

from arena.errors import one_line
from arena.traces import frames

_MODULE = re.compile(r"\w+(\.\w+)*")


def distribution_of(point: EntryPoint) -> str:
    """Return the distribution that an entry point is of, ``unknown`` where that has no name."""
    return str(_metadata(point.dist)["Name"] or "unknown") if point.dist else "unknown"


def version_of(point: EntryPoint) -> str:
    """Return the version of that distribution, ``?`` where it has none."""
    return str(_metadata(point.dist)["Version"] or "?") if point.dist else "?"


@lru_cache(maxsize=1024)
def _metadata(distribution: Distribution) -> Message:
    text = ""
    with suppress(UnicodeDecodeError):
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    # Without the long description, which takes longer to parse than all the rest.
    return message_from_string(text.partition("\n\n")[0])


def owns(point: EntryPoint, module: str) -> bool:
    """Whether a module is of the outermost package that an entry point names."""
    return _module(point).partition(".")[0] == module.partition(".")[0]


def file_of(point: EntryPoint) -> str:
    """Return the file of the module that an entry point names; empty where none is imported."""
    module = sys.modules.get(_module(point))
    return str(getattr(module, "__file__", None) or "")


def import_fault(point: EntryPoint, error: BaseException) -> str:
    """Say why an entry point could not be loaded: what it names is not there, or raised."""
    module, _, attribute = point.value.partition(":")
    if not _MODULE.fullmatch(_module(point)):
        return f"its entry point '{point.value}' is no module; write it as 'package.module'"
    ours = not frames(error)
    if ours and isinstance(error, ModuleNotFoundError):
        return f"its entry point names the module '{module}', which is not installed; correct it"
    if ours and isinstance(error, AttributeError):
        return f"its entry point names '{attribute}', which {module} has not; name the module alone"
    return f"import fails with {one_line(error)}"


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave garbage for a while: of what imports make, to look for it takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _module(point: EntryPoint) -> str:
    return re.split(r"[:\[]", point.value, maxsplit=1)[0].strip()
