"""Writes the package of a new plugin: a module that works, its test, and a tournament to play."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from arena.api import PLUGIN_API, Kind
from arena.errors import ArenaError
from arena.registry import OURS, Registry, installed
from arena.vetting import RESERVED, article, word

LONGEST = 30
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MEANT = (RESERVED, "null", "true", "false")
"""What a tournament file would not read as the name of a plugin."""


def write(kind: Kind, name: str, into: Path, registry: Registry | None = None) -> tuple[Path, ...]:
    """Write the package ``arena-NAME`` into a folder, which is made where there is none.

    Args:
        kind: attack, defense or target.
        name: what tournament files will call it.
        into: the folder that the package's own is made in.
        registry: the plugins that there are; those installed by default.

    Returns:
        The files written, the plugin's module first.

    Raises:
        ArenaError: the name will not do or is taken, the package is there, or it cannot be written.
    """
    _check_name(name)
    _check_free(kind, name, registry or installed())
    folder = into / f"arena-{name}"
    texts = _texts(kind, name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ArenaError(
            f"{folder} exists; nothing was written: choose another name, or another folder by --dir"
        ) from None
    except OSError as error:
        raise ArenaError(_unwritable(folder, error)) from None
    try:
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except BaseException as error:
        # Ours since it was made, and half a package is of no use.
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise ArenaError(_unwritable(folder, error)) from None
        raise
    return tuple(folder / path for path in texts)


def _check_name(name: str) -> None:
    if name in _MEANT:
        raise ArenaError(
            f"'{name}' has a meaning of its own in tournament files; write 'my-{name}', say"
        )
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ArenaError(
            f"'{name}' cannot name a plugin; write lower-case letters, digits and single dashes, "
            f"a letter first, {LONGEST} at most, like '{_suggested(name)}'"
        )


def _suggested(name: str) -> str:
    """Return the valid name that comes closest."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    plain = re.sub(r"[^a-z0-9]+", "-", words).lstrip("-0123456789")
    close = plain[:LONGEST].strip("-")
    return close if close and close not in _MEANT else "my-idea"


def _check_free(kind: Kind, name: str, registry: Registry) -> None:
    module = _module(name)
    for p in registry.of_kind(kind):
        if p.name == name:
            raise ArenaError(
                f"{word(kind)} '{name}' is there already, of {p.distribution} {p.version}; "
                "choose another name"
            )
    found = find_spec(module)
    if found is not None:
        where = found.origin or ", ".join(found.submodule_search_locations or ())
        raise ArenaError(f"module {module} is there already, in {where}; choose another name")


def _module(name: str) -> str:
    return f"arena_{name.replace('-', '_')}"


def _unwritable(folder: Path, error: OSError) -> str:
    return f"{folder} cannot be written: {error.strerror}; name another folder by --dir"


def _texts(kind: Kind, name: str) -> Mapping[Path, str]:
    """Return what is written, by path within the package."""
    module = _module(name)
    camel = "".join(part.capitalize() for part in name.split("-"))
    cls = f"{camel}{kind.capitalize()}"
    ours = version(OURS).partition("+")[0]
    values = {
        "name": name,
        "package": f"arena-{name}",
        "module": module,
        "camel": camel,
        "cls": cls,
        "word": word(kind),
        "article": article(kind).capitalize(),
        "version": ours,
        "next": str(int(ours.split(".")[0]) + 1),
        "api": str(PLUGIN_API),
        # What a target must be given is found.
        "instance": f"*conformance.examples({cls})" if kind == "target" else f"{cls}()",
    }
    templates = {
        f"src/{module}.py": kind,
        f"tests/test_{module}.py": "test",
        "tournament.yaml": f"tournament-{kind}",
        "pyproject.toml": "pyproject",
        "README.md": "README",
    }
    folder = files("arena.templates")
    texts = {
        path: (folder / f"{template}.template").read_text(encoding="utf-8")
        for path, template in templates.items()
    }
    return {Path(path): Template(text).substitute(values) for path, text in texts.items()}
