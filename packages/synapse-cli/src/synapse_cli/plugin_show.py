"""`synapse plugin show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synapse_cli.completion import complete_action
from synapse_cli.kit import discover_plugin, json_option, own_streams, print_data, print_json, print_table
from synapse_cli.plugin_lookup import find_plugin, plugin_options

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["show"]


@click.command()
@click.argument("action", shell_complete=complete_action)
@plugin_options
@json_option
def show(action: str, path: Path | None, plugin_code: str | None, as_json: bool) -> None:
    """Show ACTION and its params as a table; with --json, the JSON Schema of its params."""
    discovery = discover_plugin(find_plugin(path, plugin_code))
    config = discovery.get_action_config(action)
    with own_streams(stdout_is_talk=True):  # the plugin's modules may print
        resolved = discovery.resolve(action)
    model = resolved.params_model
    if as_json:
        print_json(model.model_json_schema() if model is not None else {"type": "object"})
        return
    print_data(f"{discovery.code} / {action}")
    if about := config.description or resolved.description:
        print_data(f"  {about}")
    print_data(f"  entrypoint: {config.entrypoint}")
    for name in ("input_type", "output_type"):
        if stated := getattr(config, name) or getattr(resolved, name):
            print_data(f"  {name}: {stated}")
    print_data("")
    if model is None:
        print_data("Takes any params: it has no params model.")
    elif not model.model_fields:
        print_data("Takes no params.")
    else:
        print_table(["PARAM", "TYPE", "DEFAULT", "RULES", "ABOUT"], _rows(model))


def _rows(model: type[BaseModel]) -> list[tuple[str, ...]]:
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    return [
        (
            name,
            _type(field, schema.get("$defs", {})),
            "(required)" if name in required else _value(field.get("default")),
            _rules(field),
            str(field.get("description", "")),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return _type({**definitions.get(name, {}), "title": name}, {}) if "enum" in definitions.get(name, {}) else name
    if "enum" in field:
        return " | ".join(map(_value, field["enum"]))
    if "const" in field:
        return _value(field["const"])
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " | ".join(_type(option, definitions) for option in field[key])
    if field.get("type") == "array":
        return f"list[{_type(field.get('items', {}), definitions)}]"
    return str(field.get("format") or field.get("type") or "any")


def _value(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


_RULES = {
    "minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "multipleOf": "multiple of",
    "minLength": "length >=", "maxLength": "length <=", "minItems": "items >=", "maxItems": "items <=",
    "pattern": "matches",
}  # fmt: skip


def _rules(field: dict[str, Any]) -> str:
    options = [field, *field.get("anyOf", [])]
    return ", ".join(f"{words} {option[key]}" for key, words in _RULES.items() for option in options if key in option)
