"""What each form of an address means."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_ray.addresses import dashboard_url, parse_address, shown_url
from synapse_ray.connection import open_connection
from synapse_ray.jobs_api.dashboard import Dashboard


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("written", "kind", "text", "host", "dashboard"),
    [
        (None, "auto", "auto", None, None),
        ("auto", "auto", "auto", None, None),
        ("local", "local", "local", None, None),
        ("head:6379", "direct", "head:6379", "head", None),
        ("[::1]:6379", "direct", "[::1]:6379", "::1", None),
        ("ray://head:10001", "client", "ray://head:10001", "head", "http://head:8265"),
        ("ray://head", "client", "ray://head:10001", "head", "http://head:8265"),
        ("ray://[::1]:10001", "client", "ray://[::1]:10001", "::1", "http://[::1]:8265"),
        ("http://head:8265/", "http", "http://head:8265", "head", "http://head:8265"),
        ("https://ray.example.org", "http", "https://ray.example.org", "ray.example.org", "https://ray.example.org"),
    ],
)
def test_an_address_is_read(written: str, kind: str, text: str, host: str, dashboard: str) -> None:
    address = parse_address(written)
    assert (address.kind, address.text, address.host) == (kind, text, host)
    assert dashboard_url(address) == dashboard


def test_auto_means_the_environments_address_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert parse_address("auto").text == "head:6379"
    assert parse_address("other:1").text == "other:1"
    assert str(parse_address("auto")) == "head:6379 (which RAY_ADDRESS names)"
    assert str(parse_address("head:6379")) == "head:6379"
    monkeypatch.setenv("RAY_ADDRESS", "head")
    with pytest.raises(BackendError, match="RAY_ADDRESS='head' is no address"):
        parse_address("auto")


@pytest.mark.parametrize(
    "written",
    [
        *("head", "head:", "head:port", "head:99999", "ftp://head:1", "ray://", "http://", ":6379", " ", ""),
        *("ray://head:1000l", "http://head:port", "http://[::1", "http://head:99999"),
    ],
)
def test_anything_else_is_an_error_that_shows_the_forms(written: str) -> None:
    with pytest.raises(BackendError, match=r"HOST:PORT"):
        parse_address(written)


def test_a_password_in_an_address_is_not_shown() -> None:
    for address in ("http://me:secret@head:port", "https://me:secret@head"):
        with pytest.raises(BackendError, match="head") as caught:
            open_connection(address)
        assert "secret" not in str(caught.value)


def test_the_port_of_a_dashboard_is_no_control_store() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        with pytest.raises(
            BackendError, match=rf"{address}: a web server answers there.* mode 'job' under http://{address}"
        ):
            open_connection(address)
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@host/bucket/a@b?token=x", "s3://host/bucket/a@b"),
        ("https://me:secret@ray.example.org", "https://ray.example.org"),
        ("head:6379", "head:6379"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_dashboards_password_is_used_and_not_shown() -> None:
    dashboard = Dashboard("http://me:secret@127.0.0.1:1/")
    assert (dashboard.address, dashboard.url) == ("http://me:secret@127.0.0.1:1", "http://127.0.0.1:1")
    with pytest.raises(BackendUnreachableError, match=r"at http://127\.0\.0\.1:1:") as caught:
        dashboard.ray_version()
    assert "secret" not in str(caught.value)
