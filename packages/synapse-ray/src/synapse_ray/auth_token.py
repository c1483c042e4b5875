"""Where the token of a cluster is looked for: the places that Ray's own clients look in."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["WHERE_TOKENS_ARE", "auth_headers"]

WHERE_TOKENS_ARE = (
    "it is looked for in RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH names, and in ~/.ray/auth_token, "
    "unless RAY_AUTH_MODE=disabled"
)


def auth_headers() -> dict[str, str]:
    """Return the header that a cluster with token authentication wants; empty where there is no token."""
    token = _find_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _find_token() -> str:
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return ""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    try:
        path = Path(named) if named else Path.home() / ".ray" / "auth_token"
        return path.read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, UnicodeDecodeError):  # none there, or a user without a home
        return ""
