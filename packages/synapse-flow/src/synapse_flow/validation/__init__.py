"""Validation of whole chunks of records in one call of pydantic-core."""
