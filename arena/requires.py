"""What a tournament file requires to be installed, as PEP 508 writes it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from shlex import quote
from typing import Any

from arena.mistakes import Mistakes, shown


def absent(requires: Any, mistakes: Mistakes) -> dict[int, str]:
    """Note what is no requirement, and what is installed in another version than is required.

    Args:
        requires: what the file holds under its key; what is no list of texts is told elsewhere.
        mistakes: of the file.

    Returns:
        The requirements that are not installed, by their place in the list.
    """
    texts = requires if isinstance(requires, list) else []
    found = {i: _absent(text, i, mistakes) for i, text in enumerate(texts) if isinstance(text, str)}
    return {i: text for i, text in found.items() if text}


def _absent(text: str, i: int, mistakes: Mistakes) -> str:
    # Few files require anything, and few commands read a file.
    from packaging.requirements import Requirement

    try:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate():
            return ""
    except ValueError:
        sentence = f"requires: {shown(text)} is no requirement; write one like arena-pack>=0.1"
        mistakes.add(("requires", i), sentence)
        return ""
    wanted = str(requirement)
    try:
        found = version(requirement.name)
        fits = requirement.specifier.contains(found, prereleases=True)
    except PackageNotFoundError:
        return wanted
    except ValueError:
        # The version that is installed is none that could be compared.
        fits = False
    if not fits:
        mistakes.add(
            ("requires", i),
            f"this file requires {wanted}, and {requirement.name} {found} is installed: "
            f"arena install {quote(wanted)}",
        )
    return ""
