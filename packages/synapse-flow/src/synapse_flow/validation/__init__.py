"""Validation of many records in one call of pydantic-core."""
