"""Documented paths of models."""
