"""These tests need the package installed, as `tests/test_third_party_backend.py` of the repository does."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("synapse_subprocess") else ["test_*.py"]
