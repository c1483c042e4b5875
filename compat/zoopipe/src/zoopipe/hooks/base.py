"""Documented path of hooks."""

from synapse_flow.hooks.base import BaseHook, HookPriority, HookStore

__all__ = ["BaseHook", "HookPriority", "HookStore"]
