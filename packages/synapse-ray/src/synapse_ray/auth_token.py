"""Where the token of a cluster is looked for: the places that Ray's own clients look in."""

from __future__ import annotations

import os
from pathlib import Path

from synapse_core.errors import AuthenticationError

__all__ = ["auth_headers", "wants_token"]

_WHERE_TOKENS_ARE = (
    "it is looked for in RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH names, and in ~/.ray/auth_token, "
    "unless RAY_AUTH_MODE=disabled"
)


def wants_token(who: str, *, found: bool) -> AuthenticationError:
    """Return the error for a cluster that wants a token.

    Args:
        who: The cluster, as the beginning of a sentence.
        found: Whether there was one to send.
    """
    unset = "" if os.environ.get("RAY_AUTH_MODE") else " (RAY_AUTH_MODE=token says that it is to be used)"
    given = f"it did not take the token that was found{unset}" if found else "none was found"
    return AuthenticationError(f"{who} wants a token, and {given}: {_WHERE_TOKENS_ARE}")


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
