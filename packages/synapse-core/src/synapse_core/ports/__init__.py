"""Ports: small protocols, one file each, whose docstrings are the contract."""
