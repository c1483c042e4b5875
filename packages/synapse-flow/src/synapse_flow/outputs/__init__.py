"""Outputs: where records go."""
