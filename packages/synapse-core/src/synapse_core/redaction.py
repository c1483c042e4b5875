"""Which names and texts look like secrets, so that no message shows one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["HIDDEN", "holds_secret", "looks_secret", "looks_secret_value", "redact", "secret_values"]

HIDDEN = "***"

_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTERS = re.compile(r"[^a-z]+")

# Both are searched in the name's words in lower case, joined and enclosed by ``_``.
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|passcode|credential|apikey"
    r"|secrets?_|tokens?_"  # also at the end of a word: githubtoken, clientsecret
    r"|_(?:auth|oauth|authorization|bearer|jwt|cookies?|dsn)_"
    r"|(?:api|access|private|secret|signing|encryption|ssh|auth|master|storage|account)_?keys?_"
    r"|_(?:db|database|user|admin|root|login|smtp|mail|ftp|ldap|my|mysql|pg|postgres|redis|mongo)_?pass_"
    r"|[a-z]_?pwd_"
    r"|_conn(?:ection)?_?str(?:ing)?_"
    r"|_(?:database|db|redis|mongo(?:db)?|mysql|postgres(?:ql)?|amqp|broker|connection|webhook)_?(?:url|uri)_"
)
_NO_SECRET = re.compile(
    r"_(?:oldpwd|(?:max|min|n|num|number|total|count|input|output|prompt|completion)(?:_[a-z]+)*_tokens?"
    r"|(?:pad|eos|bos|unk|mask|cls|sep)_tokens?|tokens?(?:_type)?_(?:ids?|count|limit|length|size|budget)|tokens_per_[a-z]+)_"
)
_SECRET_VALUE = re.compile(
    r"://[^\s/@:]*:[^\s/@]+@"  # user and password in a URL
    r"|(?<![A-Za-z0-9])(?:sk-[\w-]{10,}|gh[opsur]_\w{10,}|github_pat_\w{10,}|glpat-[\w-]{10,}|xox[abprs]-[\w-]{10,}"
    r"|hf_\w{20,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|eyJ[\w-]+\.[\w-]+\.[\w-]*)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_PASSWORD_IN_URL = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
_SHORTEST = 6  # a shorter one would be found in words that are none
_DEEPEST = 6


def looks_secret(name: str) -> bool:
    """Say whether a variable or field of this name is likely to hold a secret."""
    words = f"_{_NO_LETTERS.sub('_', _CAMEL_HUMP.sub('_', name).lower())}_".replace("__", "_")
    return _SECRET_NAME.search(_NO_SECRET.sub("_", words)) is not None


def looks_secret_value(text: str) -> bool:
    """Say whether a text has the form of a well-known kind of secret, or holds one."""
    return _SECRET_VALUE.search(text) is not None


def holds_secret(value: Any, depth: int = 0) -> bool:
    """Say whether a name inside `value`, of a mapping or an object, looks like that of a secret."""
    if depth > _DEEPEST:
        return False
    if not isinstance(value, (Mapping, list, tuple)):
        value = getattr(value, "__dict__", None) or {}
    if isinstance(value, Mapping):
        return any(looks_secret(str(key)) or holds_secret(item, depth + 1) for key, item in value.items())
    return any(holds_secret(item, depth + 1) for item in value)


def secret_values(env: Mapping[str, Any]) -> list[str]:
    """Return the texts in `env`, at any depth, that no message should show; for `redact`."""
    return list(dict.fromkeys(_secrets(env, False, 0)))


def _secrets(value: Any, secret: bool, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if secret or looks_secret_value(value):
            yield value
        for found in _PASSWORD_IN_URL.finditer(value):  # a driver's own message may show it alone
            yield found[1]
    elif depth > _DEEPEST:
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, secret or looks_secret(str(key)), depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _secrets(item, secret, depth + 1)


def redact(text: str, values: Iterable[str], shortest: int = _SHORTEST) -> str:
    """Return `text` with ``***`` in place of every one of `values`, also as `repr` writes it.

    Values of fewer than `shortest` characters are left: they would be found in words that are none.
    """
    found: set[str] = set()
    for value in values:
        if isinstance(value, str):
            bare = value.strip()
            found |= {bare, repr(bare)[1:-1], *bare.splitlines()}
    # The longest first: a shorter one may be a part of it.
    wanted = sorted((value for value in found if len(value) >= shortest), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, wanted)), HIDDEN, text) if wanted else text
