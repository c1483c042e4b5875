"""Run each action in a fresh Python process."""
