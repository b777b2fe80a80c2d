"""What a tournament file requires to be installed, as PEP 508 writes it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from shlex import quote
from typing import Any

from arena.mistakes import Mistakes, shown


def absent(requires: Any, mistakes: Mistakes) -> tuple[str, ...]:
    """Note which requirements are none, or are installed in another version than they ask for.

    Args:
        requires: what the file holds under its key; what is no list of texts is told elsewhere.
        mistakes: of the file.

    Returns:
        The requirements that are not installed, as pip reads them.
    """
    texts = requires if isinstance(requires, list) else []
    missing = [_absent(text, i, mistakes) for i, text in enumerate(texts) if isinstance(text, str)]
    return tuple(text for text in missing if text)


def _absent(text: str, i: int, mistakes: Mistakes) -> str:
    # Few files require anything, and few processes read a file.
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        sentence = f"requires: {shown(text)} is no requirement; write one as arena-pack>=0.1"
        mistakes.add(("requires", i), sentence)
        return ""
    if requirement.marker and not requirement.marker.evaluate():
        return ""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return str(requirement)
    try:
        fits = requirement.specifier.contains(found, prereleases=True)
    except InvalidVersion:
        fits = False
    if not fits:
        wanted = str(requirement)
        mistakes.add(
            ("requires", i),
            f"this file requires {wanted}, and {requirement.name} {found} is installed: "
            f"arena install {quote(wanted)}",
        )
    return ""
