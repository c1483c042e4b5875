"""Run actions as jobs of Ray's Jobs API, over HTTP only."""
