"""What the local executor claims; light, so that the plugin host can say it without the executor."""

from __future__ import annotations

from synapse_core.ports.executor import Capabilities

__all__ = ["LOCAL_CAPABILITIES"]

LOCAL_CAPABILITIES = Capabilities(returns_result=True, shares_memory=True, parallel=True, environment=True, events=True)
