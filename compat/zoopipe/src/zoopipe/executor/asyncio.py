"""Documented path of `AsyncIOExecutor`."""

from synapse_flow.executors.asyncio import AsyncIOExecutor

__all__ = ["AsyncIOExecutor"]
