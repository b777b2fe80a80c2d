"""Entry points: what they are of, and what is wrong with one that names nothing."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from email import message_from_string
from email.message import Message
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint

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


def package_of(point: EntryPoint) -> str:
    """Return the outermost package that an entry point names."""
    return _module(point).partition(".")[0]


def file_of(point: EntryPoint) -> str:
    """Return the file of the module that an entry point names; empty where none is imported."""
    module = sys.modules.get(_module(point))
    return str(getattr(module, "__file__", None) or "")


def misnamed(point: EntryPoint, error: BaseException) -> str:
    """Say what is wrong with an entry point that names nothing.

    Args:
        point: one that could not be loaded.
        error: what was raised.

    Returns:
        A sentence; empty where it names a module, which fails.
    """
    module, _, attribute = point.value.partition(":")
    if not _MODULE.fullmatch(_module(point)):
        return f"its entry point '{point.value}' is no module; write it as 'package.module'"
    if frames(error):
        return ""
    if isinstance(error, ModuleNotFoundError):
        return f"its entry point names the module '{module}', which is not installed; correct it"
    if isinstance(error, AttributeError):
        return f"its entry point names '{attribute}', which {module} has not; name the module alone"
    return ""


def _module(point: EntryPoint) -> str:
    return re.split(r"[:\[]", point.value, maxsplit=1)[0].strip()
