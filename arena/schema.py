"""The JSON Schema of a tournament file, with the plugins that are installed, for editors."""

from __future__ import annotations

from typing import Any

from arena.registry import Registered, Registry
from arena.settings import Settings
from arena.vetting import KINDS, RESERVED


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
        definitions[kind] = _entry(plugins, labelled=False)
        definitions[f"{kind}-entry"] = _entry(plugins, labelled=True)
    one = {kind: {"$ref": f"#/$defs/{kind}-entry"} for kind in KINDS}
    chain = {"type": "array", "minItems": 1, "items": one["defense"]}
    properties = schema["properties"]
    properties["targets"]["items"] = one["target"]
    properties["attacks"]["items"] = one["attack"]
    properties["defenses"]["items"] = {"anyOf": [one["defense"], chain]}
    return schema


def _definitions(plugin: Registered) -> dict[str, Any]:
    # Two plugins may each have a model of one name: what a plugin defines is kept under its own.
    own = _key(plugin)
    schema = plugin.plugin.model_json_schema(ref_template=f"#/$defs/{own}.{{model}}")
    inner: dict[str, Any] = schema.pop("$defs", {})
    schema["description"] = plugin.plugin.summary()
    definitions = {own: schema, **{f"{own}.{name}": model for name, model in inner.items()}}
    return {name: _with_plugins(model) for name, model in definitions.items()}


def _with_plugins(schema: Any) -> Any:
    """Put the plugins of a kind in the place of a parameter that is one."""
    if isinstance(schema, list):
        return [_with_plugins(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-arena-plugin" in schema:
        kept = {key: schema[key] for key in ("description",) if key in schema}
        return {**kept, "$ref": f"#/$defs/{schema['x-arena-plugin']}"}
    return {key: _with_plugins(part) for key, part in schema.items()}


def _key(plugin: Registered) -> str:
    return f"{plugin.kind}.{plugin.distribution}.{plugin.name}"


def _entry(plugins: tuple[Registered, ...], labelled: bool) -> dict[str, Any]:
    """Describe ``name`` or ``{name: {parameter: value}}``, perhaps with a label beside."""
    bare: list[str] = []
    parameters: dict[str, Any] = {}
    for plugin in plugins:
        fields = plugin.plugin.model_fields.values()
        needs_parameters = any(field.is_required() for field in fields)
        reference = {"$ref": f"#/$defs/{_key(plugin)}"}
        for name in _names(plugin, plugins):
            parameters[name] = (
                reference if needs_parameters else {"anyOf": [reference, {"type": "null"}]}
            )
            bare += [] if needs_parameters else [name]
    entry: dict[str, Any] = {
        "type": "object",
        "properties": parameters,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    if labelled:
        label = {"type": "string", "pattern": r"\S", "description": "its name on boards"}
        entry["properties"] = {**parameters, RESERVED: label}
        entry["maxProperties"] = 2
        entry["if"] = {"required": [RESERVED]}
        entry["then"] = {"minProperties": 2}
        entry["else"] = {"maxProperties": 1}
    return {"anyOf": [{"enum": bare}, entry] if bare else [entry]}


def _names(plugin: Registered, plugins: tuple[Registered, ...]) -> list[str]:
    same = [p for p in plugins if p.name == plugin.name]
    return [plugin.full_name, *([plugin.name] if len(same) == 1 else [])]
