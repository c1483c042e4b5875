"""Documented paths of plugins, actions and executors."""
