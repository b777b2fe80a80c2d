"""Plugins described for people and scripts."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from arena.api import Attack, Defense, Target
from arena.registry import Registered, Registry

SCHEMA = 1


def catalogue(registry: Registry) -> dict[str, Any]:
    """Return every plugin and every broken entry point, JSON-able."""
    return {
        "schema": SCHEMA,
        "plugins": [describe(p) for p in registry.plugins],
        "broken": [
            {
                "entry_point": b.entry_point,
                "distribution": b.distribution,
                "version": b.version,
                "reason": b.reason,
            }
            for b in registry.broken
        ],
    }


def describe(registered: Registered) -> dict[str, Any]:
    """Return one plugin: what it is, where it is from, its parameters and traits, JSON-able."""
    cls = registered.plugin
    return {
        "kind": registered.kind,
        "name": registered.name,
        "distribution": registered.distribution,
        "version": registered.version,
        "module": registered.module,
        "summary": cls.summary(),
        "reference": cls.reference,
        "parameters": _parameters(registered),
        **_traits(registered),
    }


def _parameters(registered: Registered) -> dict[str, Any]:
    schema = registered.plugin.model_json_schema()
    required = schema.get("required", [])
    shown = {}
    for name, entry in schema.get("properties", {}).items():
        kept = {key: value for key, value in entry.items() if key != "title"}
        if "$ref" in kept:
            kept = {"type": str(kept["$ref"]).rpartition("/")[2].lower(), **kept}
            del kept["$ref"]
        shown[name] = {**kept, "required": name in required}
    return shown


def _traits(registered: Registered) -> dict[str, Any]:
    cls = registered.plugin
    if issubclass(cls, Attack):
        return {
            "needs": [sorted(need) for need in cls.needs],
            "families": sorted(cls.families),
            "requires_knowledge": sorted(cls.requires_knowledge),
            "baseline": cls.baseline,
        }
    if issubclass(cls, Defense):
        return {
            "hides": sorted(cls.hides),
            "alters": sorted(cls.alters),
            "stateful": cls.stateful,
        }
    if issubclass(cls, Target):
        return {"family": cls.family, "can_reveal": sorted(cls.can_reveal)}
    return {}


def listing(registry: Registry) -> str:
    """Render the list of plugins, and what is broken with its reason."""
    rows = [
        (p.kind, p.name, p.plugin.summary(), f"{p.distribution} {p.version}")
        for p in registry.plugins
    ]
    text = tabulate(rows, headers=("kind", "name", "summary", "from"), tablefmt="simple")
    for b in registry.broken:
        text += f"\nbroken: '{b.entry_point}' of {b.distribution} {b.version}: {b.reason}"
    return text + "\n"


def page(registered: Registered) -> str:
    """Render everything about one plugin."""
    about = describe(registered)
    lines = [f"{about['name']}  ({about['kind']}, {about['distribution']} {about['version']})"]
    lines += ["", about["summary"]]
    if about["reference"]:
        lines += [f"Source: {about['reference']}"]
    lines += ["", "parameters:" if about["parameters"] else "no parameters"]
    for name, entry in about["parameters"].items():
        lines.append(f"  {name}: {_one_line(entry)}")
        if entry.get("description"):
            lines.append(f"      {entry['description']}")
    lines.append("")
    known = {"kind", "name", "distribution", "version", "summary", "reference", "parameters"}
    for trait in about.keys() - known:
        value = about[trait]
        lines.append(f"{trait.replace('_', ' ')}: {_shown(value)}")
    lines[-len(about.keys() - known) :] = sorted(lines[-len(about.keys() - known) :])
    return "\n".join(lines) + "\n"


def _one_line(entry: dict[str, Any]) -> str:
    kinds = [k.get("type", k.get("enum", "value")) for k in entry.get("anyOf", [entry])]
    text = " or ".join(str(k) for k in kinds)
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    for part in entry.get("anyOf", [entry]):
        text += "".join(f" {sign} {part[b]}" for b, sign in bounds.items() if b in part)
    if entry["required"]:
        return f"{text}, required"
    return f"{text}, default {_shown(entry.get('default'))}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return " or ".join(_shown(v) if v else "nothing" for v in value)
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
