"""Documented path of hooks."""

from synapse_flow.hooks.base import BaseHook, HookPriority, HookStore
from synapse_flow.hooks.builtin import FieldMapperHook, TimestampHook

__all__ = ["BaseHook", "FieldMapperHook", "HookPriority", "HookStore", "TimestampHook"]
