"""The plugin's ``config.yaml`` as it travels: without the values that are passed on by another channel."""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["without_values"]

_MARK = b"env"  # of both keys; most configs have neither, and are not parsed


def without_values(content: bytes) -> bytes:
    """Return a config without the values of ``env`` and of ``runtime_env``'s ``env_vars``.

    They may be secrets, and a package is unpacked where everybody on the node reads it. Workers have them from the
    executor. All else, comments included, stays as it is written; and so does what is no config at all.
    """
    if _MARK not in content:
        return content
    try:
        text = content.decode("utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        whole = yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError, ValueError):
        return content
    if not isinstance(root, yaml.MappingNode) or not isinstance(whole, dict):
        return content
    wanted, spans = dict(whole), []
    for key, value in root.value:
        if key.value == "env" and whole.get("env"):
            wanted["env"] = {}
            spans.append(_span(value))
        elif key.value == "runtime_env" and isinstance(whole.get("runtime_env"), dict):
            variables = whole["runtime_env"].get("env_vars")
            if variables and isinstance(value, yaml.MappingNode):
                wanted["runtime_env"] = {**whole["runtime_env"], "env_vars": {}}
                spans += [_span(inner) for name, inner in value.value if name.value == "env_vars"]
    if wanted == whole:
        return content
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + "{}" + ("\n" if text[start:end].endswith("\n") else "") + text[end:]
    return (text if _reads_as(text, wanted) else yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)).encode()


def _span(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _reads_as(text: str, wanted: dict[str, Any]) -> bool:
    """Say whether the text still is that config: an alias may have pointed into what was cut out."""
    try:
        return bool(yaml.safe_load(text) == wanted)
    except yaml.YAMLError:
        return False
