"""Paths and URLs as they may be shown."""

from __future__ import annotations

import re

from synapse_core.redaction import HIDDEN

__all__ = ["shown_url"]

# Of a name and a password, neither of which has to be written as the rules of URLs want it: up to the last @.
_PASSWORD = re.compile(r"(://[^\s/:]*):.*@", re.DOTALL)
_PORT = re.compile(r"^https?://[^\s/:]*:\d{1,5}[/?]")
_NEXT = re.compile(r"::(?=\w[\w+.-]*://)")  # what a chain of file systems is joined with
_HAS_QUERY = ("md:", "motherduck:")


def shown_url(url: str) -> str:
    """Return a path or URL as messages show it: without a password, and without a query, which may hold a token.

    In doubt more is hidden than is secret.
    """
    return "::".join(map(_shown, _NEXT.split(url)))


def _shown(url: str) -> str:
    if "://" not in url and not url.startswith(_HAS_QUERY):
        return url
    if not _PORT.match(url):
        url = _PASSWORD.sub(rf"\1:{HIDDEN}@", url)
    return url.partition("?")[0]
