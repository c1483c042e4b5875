"""The flow as an action."""

from synapse_flow.actions import FlowAction


class ImportAction(FlowAction):
    """Check people, and write them as JSON lines."""

    flow = "people"
