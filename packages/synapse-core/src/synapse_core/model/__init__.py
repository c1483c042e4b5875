"""Frozen values of the domain."""
