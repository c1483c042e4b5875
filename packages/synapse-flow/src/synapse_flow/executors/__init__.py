"""The documented executors: options, and an engine of the registry."""
