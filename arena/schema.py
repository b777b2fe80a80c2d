"""The JSON Schema of a tournament file, with the plugins that are installed, for editors."""

from __future__ import annotations

from typing import Any

from arena.registry import KINDS, Registered, Registry
from arena.tournament import Settings


def tournament_schema(registry: Registry) -> dict[str, Any]:
    """Return the JSON Schema of tournament files in this environment."""
    schema = Settings.model_json_schema(ref_template="#/$defs/{model}")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "arena tournament"
    definitions = schema.setdefault("$defs", {})
    for kind in KINDS:
        plugins = registry.of_kind(kind)
        for plugin in plugins:
            definitions |= _definitions(plugin)
        definitions[kind] = _entry([plugin for plugin in plugins], labelled=False)
        definitions[f"{kind}-entry"] = _entry([plugin for plugin in plugins], labelled=True)
    one = {kind: {"$ref": f"#/$defs/{kind}-entry"} for kind in KINDS}
    chain = {"type": "array", "minItems": 1, "items": one["defense"]}
    properties = schema["properties"]
    properties["targets"]["items"] = one["target"]
    properties["attacks"]["items"] = one["attack"]
    properties["defenses"]["items"] = {"anyOf": [one["defense"], chain]}
    return schema


def _definitions(plugin: Registered) -> dict[str, Any]:
    schema = plugin.plugin.model_json_schema(ref_template="#/$defs/{model}")
    inner: dict[str, Any] = schema.pop("$defs", {})
    schema["description"] = plugin.plugin.summary()
    return {**inner, _key(plugin): schema}


def _key(plugin: Registered) -> str:
    return f"{plugin.kind}.{plugin.distribution}.{plugin.name}"


def _entry(plugins: list[Registered], labelled: bool) -> dict[str, Any]:
    names = [name for p in plugins for name in (p.name, p.full_name)]
    parameters: dict[str, Any] = {}
    for p in plugins:
        reference = {"anyOf": [{"$ref": f"#/$defs/{_key(p)}"}, {"type": "null"}]}
        parameters |= {p.full_name: reference}
        parameters.setdefault(p.name, reference)
    properties = {**parameters, "label": {"type": "string"}} if labelled else parameters
    return {
        "anyOf": [
            {"enum": names},
            {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 2 if labelled else 1,
            },
        ]
    }
