"""Addresses of Ray clusters, in the forms that people write, and what each form means."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from synapse_core.errors import BackendError

__all__ = ["ClusterAddress", "dashboard_url", "parse_address", "private_cluster", "shown_url"]

_DASHBOARD_PORT = 8265
_CLIENT_PORT = 10001
_FORMS = "'auto', 'local', 'HOST:PORT', 'ray://HOST:10001', or for the Jobs API 'http://HOST:8265'"


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """What an address means.

    Attributes:
        kind: ``auto`` finds a running cluster, ``local`` starts a private one, ``direct`` is ``HOST:PORT`` of the
            cluster's control store, ``client`` is Ray's client protocol, ``http`` a dashboard.
        text: The address as Ray takes it.
        host: The host, where it names one.
        is_from_environment: Whether ``RAY_ADDRESS`` names it, and not the caller.
    """

    kind: Literal["auto", "local", "direct", "client", "http"]
    text: str
    host: str | None = None
    is_from_environment: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        shown = shown_url(self.text)
        return f"{shown} (which RAY_ADDRESS names)" if self.is_from_environment else shown


def parse_address(address: str | None) -> ClusterAddress:
    """Read an address; ``None`` and ``auto`` mean ``RAY_ADDRESS`` where that is set, else any running cluster.

    Raises:
        BackendError: It has none of the known forms.
    """
    text = "auto" if address is None else address.strip()
    given = os.environ.get("RAY_ADDRESS", "").strip()
    if text == "auto" and given not in ("", "auto"):
        return replace(_parsed(given, f"RAY_ADDRESS={shown_url(given)!r}"), is_from_environment=True)
    return _parsed(text, repr(shown_url(text)))


def _parsed(text: str, shown: str) -> ClusterAddress:
    if text in ("auto", "local"):
        return ClusterAddress("auto" if text == "auto" else "local", text)
    scheme, separator, _ = text.partition("://")
    with contextlib.suppress(ValueError):  # a port that is no number or too large, or half an IPv6 address
        if separator and scheme in ("http", "https", "ray"):
            parts = urlsplit(text)
            if parts.hostname:
                with_port = text if parts.port or scheme != "ray" else f"{text.rstrip('/')}:{_CLIENT_PORT}"
                return ClusterAddress("client" if scheme == "ray" else "http", with_port.rstrip("/"), parts.hostname)
        elif not separator:
            host, colon, port = _split(text)
            if host and colon and port.isdigit() and urlsplit(f"ray://{text}").port:
                return ClusterAddress("direct", text, host)
    raise BackendError(f"{shown} is no address of a Ray cluster. Known forms: {_FORMS}")


def _split(text: str) -> tuple[str, str, str]:
    """Split ``HOST:PORT``; an IPv6 host stands in brackets."""
    host, colon, port = text.rpartition(":")
    return host.strip("[]"), colon, port


def dashboard_url(address: ClusterAddress) -> str | None:
    """Return the dashboard's URL as far as the address says it; ``None`` where the cluster has to be asked."""
    if address.kind == "http":
        return address.text
    if address.kind == "client":
        host = f"[{address.host}]" if address.host and ":" in address.host else address.host
        return f"http://{host}:{_DASHBOARD_PORT}"
    return None


def shown_url(url: str) -> str:
    """Return a URL, or an address without a scheme, for messages: without what may be a password in it."""
    scheme, separator, rest = url.rpartition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def private_cluster(found: str = "ray_address='local' is a cluster inside one process") -> BackendError:
    """Return the error for jobs that would go to a private cluster, and be lost with its process.

    Args:
        found: What was found, as the beginning of a sentence.
    """
    return BackendError(
        f"{found}, and jobs go to one that runs by itself. Start one with `ray start --head`, or let "
        "ray_address='auto' start one with start_ray=True (--start-ray)"
    )
