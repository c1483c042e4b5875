"""Keep what tests leave in the cache folder away from the user's own, and from one another."""

import sys

import pytest

from synapse_core.cache import cache_folder


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SYNAPSE_CACHE_DIR", str(folder))
    monkeypatch.setattr(sys, "path", [*sys.path])  # loading a plugin appends its stub
    cache_folder.cache_clear()
    yield folder
    cache_folder.cache_clear()
