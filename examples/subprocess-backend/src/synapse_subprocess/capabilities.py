"""What the executor claims; light, so that the plugin host can say it without the executor."""

from synapse_core.ports.executor import Capabilities

SUBPROCESS_CAPABILITIES = Capabilities(returns_result=True, isolated=True, parallel=True, environment=True, events=True)
