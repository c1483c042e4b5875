"""File systems of URLs, and what goes wrong with them in words that may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from synapse_core.errors import BackendMissingError, ValidationError, nearest
from synapse_core.redaction import redact, secret_values
from synapse_core.safe_text import safe_str
from synapse_flow.failures import store_error
from synapse_flow.urls import shown_url

__all__ = ["beside", "file_system", "is_local", "local_path", "reason"]

_EXTRAS = {"s3": "s3", "s3a": "s3"}
_LOCAL = ("file://", "local://")


def is_local(url: str) -> bool:
    """Say whether a path or URL is one of this machine."""
    return "://" not in url or url.startswith(_LOCAL)


def local_path(url: str) -> str:
    """Return the path that a path or URL of this machine means."""
    return url.partition("://")[2] if url.startswith(_LOCAL) else url


def reason(error: BaseException, url: str, options: Mapping[str, Any]) -> str:
    """Return what an error of a file system says, without the secrets that it was given."""
    text = getattr(error, "strerror", None) or safe_str(error) or type(error).__name__
    return redact(str(text), secret_values({"url": url, **options}))


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        BackendMissingError: No package for it is installed.
        ValidationError: There is no such file system, or it does not take these options.
        BackendUnreachableError: Nobody answers there.
    """
    try:
        return url_to_fs(url, **options)  # type: ignore[no-any-return]
    except ImportError as error:
        scheme = url.partition("://")[0]
        extra = _EXTRAS.get(scheme)
        what = f"type: pip install 'synapse-flow[{extra}]'" if extra else reason(error, url, options)
        raise BackendMissingError(f"no file system for {scheme}:// is installed here; {what}") from None
    except Exception as error:
        kind = store_error(error, ValidationError)
        names = f" and storage_options= with {', '.join(options)}" if options else ""
        raise kind(f"no file system can be made of {shown_url(url)}{names}: {reason(error, url, options)}") from None


def beside(name: str) -> str:
    """Return what is in the folder under a name like this one, as the end of a message; nothing where there is none."""
    folder = Path(name).parent
    if "://" in name or not folder.is_dir():
        return ""
    near = nearest(Path(name).name, [each.name for each in folder.iterdir()])
    return near and f".{near}"
