"""The documented ``synapse_sdk`` import paths: re-exports of the Synapse packages, and nothing else."""
