"""Figures, each side by side with what a person would write or run instead: ``python -m benchmarks``."""
