"""Inputs: where records come from."""
