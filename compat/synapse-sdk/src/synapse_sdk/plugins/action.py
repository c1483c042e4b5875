"""Documented path of `BaseAction` and `action`."""

from synapse_core import (
    BaseAction,
    action,
)

__all__ = [
    "BaseAction",
    "action",
]
