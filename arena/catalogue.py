"""Plugins described for people and scripts."""

from __future__ import annotations

import json
from typing import Any

from tabulate import tabulate

from arena.api import PLUGIN_API, Attack, Defense, Plugin, Target
from arena.disabling import Disabled
from arena.registry import Broken, Registered, Registry
from arena.vetting import parameters_schema

SCHEMA = 1


def catalogue(registry: Registry) -> dict[str, Any]:
    """Return every plugin, every broken entry point and what is disabled, JSON-able.

    ``{"schema": 1, "plugins": [...], "broken": [{entry_point, distribution, version, reason,
    place}], "disabled": [{name, kind, distribution, version, by}]}``, a plugin as in `describe`;
    ``kind`` is null where nothing was imported.
    """
    return {
        "schema": SCHEMA,
        "plugins": [describe(p) for p in registry.plugins],
        "broken": [_describe_broken(b) for b in registry.broken],
        "disabled": [_describe_disabled(d) for d in registry.disabled],
    }


def describe(registered: Registered) -> dict[str, Any]:
    """Return one plugin: what it is, where it is from, its parameters and traits, JSON-able.

    ``{kind, name, distribution, version, plugin_api, module, summary, reference, parameters}``,
    ``plugin_api`` the version of the plugin API that it is written for, with parameters
    ``{name: JSON Schema with "required"}``, and of an attack ``{needs, families,
    requires_knowledge, baseline, wraps}``, of a defence ``{hides, alters, stateful, families,
    wraps}``, of a target ``{family, can_reveal}``.
    """
    cls = registered.plugin
    return {
        "kind": registered.kind,
        "name": registered.name,
        "distribution": registered.distribution,
        "version": registered.version,
        "plugin_api": registered.api,
        "module": registered.module,
        "summary": cls.summary(),
        "reference": cls.reference,
        "parameters": _parameters(registered),
        **_traits(registered),
    }


def _describe_broken(broken: Broken) -> dict[str, str]:
    return {
        "entry_point": broken.entry_point,
        "distribution": broken.distribution,
        "version": broken.version,
        "reason": broken.reason,
        "place": broken.place,
    }


def _describe_disabled(disabled: Disabled) -> dict[str, str | None]:
    return {
        "name": disabled.name,
        "kind": disabled.kind,
        "distribution": disabled.distribution,
        "version": disabled.version,
        "by": disabled.by,
    }


def _parameters(registered: Registered) -> dict[str, Any]:
    schema = parameters_schema(registered.plugin)
    required = schema.get("required", [])
    definitions = schema.get("$defs", {})
    return {
        name: {**_inlined(entry, definitions), "required": name in required}
        for name, entry in schema.get("properties", {}).items()
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put what a schema refers to in its place, and leave out titles."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    referred = definitions.get(str(schema.get("$ref")).rpartition("/")[2], {})
    whole = {**referred, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {
        key: _inlined(value, definitions)
        for key, value in whole.items()
        if key != "title" or not isinstance(value, str)
    }


def _traits(registered: Registered) -> dict[str, Any]:
    cls = registered.plugin
    if issubclass(cls, Attack):
        return {
            "needs": [sorted(need) for need in cls.needs],
            "families": sorted(cls.families),
            "requires_knowledge": sorted(cls.requires_knowledge),
            "baseline": cls.baseline,
            "wraps": _wrapped(cls, Attack),
        }
    if issubclass(cls, Defense):
        return {
            "hides": sorted(cls.hides),
            "alters": sorted(cls.alters),
            "stateful": cls.stateful,
            "families": sorted(cls.families),
            "wraps": _wrapped(cls, Defense),
        }
    if issubclass(cls, Target):
        return {"family": cls.family, "can_reveal": sorted(cls.can_reveal)}
    return {}


def _wrapped(cls: type[Plugin], kind: type[Plugin]) -> list[str]:
    """Return the names of the parameters that are plugins of a kind."""
    return [name for name, field in cls.model_fields.items() if field.annotation is kind]


def listing(registry: Registry) -> str:
    """Render the list of plugins, what of it is old, what is broken and why, what is disabled."""
    rows = [
        (p.kind, p.name, p.plugin.summary(), f"{p.distribution} {p.version}")
        for p in registry.plugins
    ]
    text = tabulate(rows, headers=("kind", "name", "summary", "from"), tablefmt="simple")
    for p in registry.plugins:
        if p.api < PLUGIN_API:
            text += (
                f"\nold: '{p.name}' of {p.distribution} {p.version} is written for plugin API "
                f"{p.api}, and this arena's is {PLUGIN_API}; install a newer version of it"
            )
    for b in registry.broken:
        text += f"\nbroken: '{b.entry_point}' of {b.distribution} {b.version}: {b.told}"
    for d in registry.disabled:
        text += f"\ndisabled: '{d.name}' of {d.distribution} {d.version}; {d.mend}"
    return text + "\n"


def requirements(registry: Registry) -> str:
    """Pin every distribution that brings a working plugin, a line each, as pip reads it."""
    pins = {f"{p.distribution}=={p.version}" for p in registry.plugins}
    return "".join(f"{pin}\n" for pin in sorted(pins))


def page(registered: Registered) -> str:
    """Render everything about one plugin."""
    about = describe(registered)
    lines = [f"{about['name']}  ({about['kind']}, {about['distribution']} {about['version']})"]
    lines += ["", about["summary"]]
    if about["reference"]:
        lines += [f"Source: {about['reference']}"]
    lines += ["", "parameters:" if about["parameters"] else "no parameters"]
    for name, values, description in parameters(registered):
        lines.append(f"  {name}: {values}")
        if description:
            lines.append(f"      {description}")
    lines += ["", *(f"{name}: {value}" for name, value in traits(registered))]
    lines.append(f"module: {about['module']}")
    return "\n".join(lines) + "\n"


def parameters(registered: Registered) -> list[tuple[str, str, str]]:
    """Return the name of every parameter, its type and default in words, and its description."""
    return [
        (name, _in_words(entry), " ".join(entry.get("description", "").split()))
        for name, entry in _parameters(registered).items()
    ]


def traits(registered: Registered) -> list[tuple[str, str]]:
    """Return what a plugin needs, hides, reveals and so on, by name, in words."""
    given = _traits(registered)
    inner = given.pop("wraps", [])
    named = {name.replace("_", " "): _shown(value) for name, value in given.items()}
    if not inner:
        return list(named.items())
    # A wrapper requires what the attack inside does, and does what the defence inside does.
    names = [name for name in ("needs", "hides", "alters", "families") if name in named]
    kept = [(name, value) for name, value in named.items() if name not in names]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return [*kept, (listed, f"those of its parameter {' and '.join(inner)}")]


def _in_words(entry: dict[str, Any]) -> str:
    text = " or ".join(_type(kind) for kind in entry.get("anyOf", [entry]))
    if entry["required"]:
        return f"{text}, required"
    # JSON Schema leaves out a default that is made anew for each.
    return f"{text}, default {_written(entry['default'])}" if "default" in entry else text


def _type(entry: dict[str, Any]) -> str:
    """Write a JSON Schema in a few words."""
    if "x-arena-plugin" in entry:
        return f"{entry['x-arena-plugin']} plugin"
    if "enum" in entry or "const" in entry:
        return " | ".join(str(value) for value in entry.get("enum", [entry.get("const")]))
    if entry.get("type") == "array":
        return f"list of {_type(entry['items'])}" if entry.get("items") else "list"
    if "properties" in entry:
        return "{" + ", ".join(entry["properties"]) + "}"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    given = [f" {sign} {entry[bound]:g}" for bound, sign in bounds.items() if bound in entry]
    return str(entry.get("type", "value")) + " and".join(given)


def _written(default: Any) -> str:
    """Write a default as a tournament file does."""
    return json.dumps(default) if default in (None, [], {}) else _shown(default)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return " or ".join(_shown(v) if v else "nothing" for v in value)
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
