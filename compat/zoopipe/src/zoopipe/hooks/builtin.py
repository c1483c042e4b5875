"""Documented path of the hooks that come along."""

from synapse_flow.hooks.builtin import FieldMapperHook, TimestampHook

__all__ = ["FieldMapperHook", "TimestampHook"]
