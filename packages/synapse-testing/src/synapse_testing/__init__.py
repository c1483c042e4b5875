"""Conformance suites and test helpers."""
