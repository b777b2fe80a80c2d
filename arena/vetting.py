"""What a plugin class must be like to be registered."""

from __future__ import annotations

import json
import re
import warnings
from functools import cache
from typing import Any

from pluggy import PluginManager, PluginValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from arena import hookspecs
from arena.answers import FIELDS
from arena.api import FAMILIES, PLUGIN_API, Attack, Defense, Kind, Plugin, Target
from arena.errors import ArenaError, closest

KINDS: dict[Kind, type[Plugin]] = {"attack": Attack, "defense": Defense, "target": Target}
GRANTS = ("hyperparameters", "pool", "defense")
"""What an attack may require to be told."""

OLDEST_API = 1
"""The oldest version of the plugin API whose plugins work; docs/plugin-api.md says how long."""

RESERVED = "label"
"""The key beside a plugin's in a tournament file."""

_METHODS = {"attack": "extract", "defense": "protect", "target": "train"}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def word(kind: str) -> str:
    """Return what a kind is called in a sentence."""
    return "defence" if kind == "defense" else kind


def article(kind: str) -> str:
    """Return a kind with its article."""
    return f"an {kind}" if kind == "attack" else f"a {word(kind)}"


def registered_by(module: Any) -> list[type[Plugin]]:
    """Return the classes that the hooks of a module register.

    Raises:
        ArenaError: what is wrong with a hook, or with a class.
        BaseException: whatever a hook raises.
    """
    classes: list[type[Plugin]] = []
    manager = PluginManager("arena")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except PluginValidationError as error:
        raise ArenaError(_hook_fault(error)) from None
    for kind in KINDS:
        hook = getattr(manager.hook, f"register_{kind}s")
        hook(register=lambda cls, kind=kind: classes.append(vetted(kind, cls)))
    return classes


def _hook_fault(error: PluginValidationError) -> str:
    text = " ".join(str(error).split())
    if unknown := re.search(r"unknown hook '(\w+)'", text):
        hooks = [n for n in vars(hookspecs) if n.startswith("register_")]
        return f"it implements an unknown hook '{unknown[1]}'; {closest(unknown[1], hooks)}"
    if definition := re.search(r"hookimpl definition: (\w+)\s*(\([^)]*\))", text):
        return f"its hook {definition[1]}{definition[2]} has the wrong signature; take (register)"
    return text


def vetted(kind: Kind, cls: Any) -> type[Plugin]:
    """Return what a hook registered, when it is a plugin class of the kind.

    Raises:
        ArenaError: what is wrong with it.
    """
    base = KINDS[kind]
    if not (isinstance(cls, type) and issubclass(cls, base)):
        if isinstance(cls, Plugin):
            raise ArenaError(
                f"it registers an instance of {type(cls).__name__}; register the class"
            )
        what = getattr(cls, "__name__", repr(cls))
        fault = f"it registers {what}, which is no subclass of arena.{base.__name__}"
        other = [k for k, b in KINDS.items() if isinstance(cls, type) and issubclass(cls, b)]
        raise ArenaError(f"{fault}; implement register_{other[0]}s" if other else fault)
    if fault := _fault(kind, cls) or _traits_fault(cls) or _parameters_fault(cls):
        raise ArenaError(f"{word(kind)} {cls.__name__}: {fault}")
    return cls


def _fault(kind: Kind, cls: type[Plugin]) -> str:
    method = _METHODS[kind]
    if not isinstance(cls.name, str) or not _NAME.fullmatch(cls.name) or cls.name == RESERVED:
        return f"its name {cls.name!r} is not lower-case words joined by '-', other than 'label'"
    if not cls.__dict__.get("__doc__") or not cls.summary():
        return "it has no docstring, whose first line is its summary"
    if getattr(cls, method) is getattr(KINDS[kind], method):
        return f"it does not define {method}"
    return "" if cls.model_config.get("frozen") else "its parameters are not frozen"


def _traits_fault(cls: type[Plugin]) -> str:
    """Check what a class says of itself against the words there are."""
    if issubclass(cls, Attack):
        if not isinstance(cls.needs, tuple) or not cls.needs:
            return "its needs must be a tuple of sets of answer fields, any one of which suffices"
        needs = [("needs", need, FIELDS) for need in cls.needs]
        traits = [
            *needs,
            ("families", cls.families, FAMILIES),
            ("requires_knowledge", cls.requires_knowledge, GRANTS),
        ]
    elif issubclass(cls, Defense):
        traits = [
            ("hides", cls.hides, FIELDS),
            ("alters", cls.alters, FIELDS),
            ("families", cls.families, FAMILIES),
        ]
    elif issubclass(cls, Target):
        shown = frozenset(cls.model_fields["reveals"].default or ())
        traits = [
            ("family", {cls.family}, FAMILIES),
            ("can_reveal", cls.can_reveal, FIELDS),
            ("reveals", shown, cls.can_reveal),
        ]
    for name, values, known in traits:
        if not isinstance(values, set | frozenset):
            return f"its {name} must be a set of names, not {values!r}"
        if unknown := sorted(map(str, values.difference(known))):
            return f"its {name} cannot be '{unknown[0]}'; {closest(unknown[0], known)}"
    return ""


@cache
def parameters_schema(cls: type[Plugin]) -> dict[str, Any]:
    """Return the JSON Schema of a plugin's parameters, made once: read it, do not change it."""
    return cls.model_json_schema()


def _parameters_fault(cls: type[Plugin]) -> str:
    """Check that parameters can be described, written and left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            schema = parameters_schema(cls)
            json.dumps(schema)
    except (PydanticInvalidForJsonSchema, PydanticUserError, UserWarning, TypeError) as error:
        text = " ".join(str(error).split())
        return f"its parameters cannot be written in a tournament file: {text}"
    required = schema.get("required", [])
    if getattr(cls, "baseline", False) and required:
        return f"it is a baseline, so its parameter '{required[0]}' must have a default"
    return ""


def written_for(module: Any) -> int:
    """Return the version of the plugin API that a module is written for, as its PLUGIN_API says.

    One that says nothing is taken to be written for the current version.

    Raises:
        ArenaError: this arena does not take that version.
    """
    api = getattr(module, "PLUGIN_API", PLUGIN_API)
    if not isinstance(api, int) or isinstance(api, bool):
        raise ArenaError(f"its PLUGIN_API is {api!r}; give a whole number, as in PLUGIN_API = 1")
    if api > PLUGIN_API:
        raise ArenaError(
            f"it is written for plugin API {api}, and this arena's is {PLUGIN_API}; "
            "install a newer extraction-arena"
        )
    if api < OLDEST_API:
        raise ArenaError(
            f"it is written for plugin API {api}, and this arena takes none older than "
            f"{OLDEST_API}; install a newer version of it, or an older extraction-arena"
        )
    return api
