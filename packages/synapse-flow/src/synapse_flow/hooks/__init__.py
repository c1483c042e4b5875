"""Hooks: code of the user that sees entries before and after the validation."""
