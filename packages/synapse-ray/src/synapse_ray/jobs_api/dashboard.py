"""A client of a Ray dashboard. What goes wrong is translated here, once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

import httpx

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_ray.addresses import shown_url
from synapse_ray.auth_token import auth_headers, wants_token
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import (
    Answer,
    JobDetails,
    LostAnswerError,
    Node,
    failed,
    head_of,
    job_of,
    nodes_of,
    not_a_dashboard,
)
from synapse_ray.jobs_api.rest_paths import Request

__all__ = ["AsyncDashboard", "Dashboard"]

T = TypeVar("T")

_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_MISSING_FILE = "A file is not found at"


class Dashboard:
    """Asks one dashboard, over kept connections; safe to use from many threads.

    Requests that may be repeated are, for some seconds, where a connection breaks.

    Args:
        url: Its address.

    Attributes:
        address: The same.
        url: The same for messages, without a password.
    """

    def __init__(self, url: str) -> None:
        self.address = url.rstrip("/")
        self.url = shown_url(self.address)
        try:
            self._client = httpx.Client(base_url=self.address, headers=_headers(), timeout=_timeout(None))
        except (httpx.InvalidURL, ValueError) as error:
            raise BackendError(
                f"{self.url!r} is no address of a dashboard: {error}. It looks like http://HOST:8265"
            ) from None
        self._checked: str | None = None

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ray_version(self) -> str:
        """Return the cluster's version of Ray; asked once.

        Raises:
            BackendUnreachableError: Nobody answers there, or somebody else does.
        """
        if self._checked is None:
            answer = self.ask(rest_paths.version())
            found = answer.data() if answer.status == 200 else None
            if not isinstance(found, dict) or "ray_version" not in found:
                raise not_a_dashboard(self.url)
            self._checked = str(found["ray_version"])
        return self._checked

    def python_version(self) -> str | None:
        """Return the cluster's version of Python, where it says."""
        answer = self.ask(rest_paths.cluster_metadata())
        found = answer.data() if answer.status == 200 else {}
        version = (found.get("data") or {}).get("pythonVersion") if isinstance(found, dict) else None
        return None if version is None else str(version)

    def job(self, job_id: str, *, repeat: bool | None = None) -> JobDetails | None:
        """Return what the cluster knows of a job; ``None`` for an unknown id. `repeat` is as in `ask`."""
        request = rest_paths.job_info(job_id, is_asked_often=repeat is False)
        return job_of(self.ask(request, repeat=repeat), self.ray_version)

    def nodes(self, *, repeat: bool | None = None) -> list[Node]:
        """Return the cluster's nodes, the lost ones too. `repeat` is as in `ask`."""
        return nodes_of(self.ask(rest_paths.nodes(), repeat=repeat))

    def head_id(self, *, repeat: bool | None = None) -> str:
        """Return the id of the head node, which is another one after a restart. `repeat` is as in `ask`."""
        return head_of(self.nodes(repeat=repeat), self.url).node_id

    def ask(self, request: Request, *, repeat: bool | None = None) -> Answer:
        """Send a request and return the answer, whatever its status.

        Args:
            request: The request.
            repeat: Whether it may be repeated where its answer is lost. Default: unless it is a POST.

        Raises:
            AuthenticationError: The cluster wants a token that we have not.
            LostAnswerError: The connection broke, every time.
            BackendUnreachableError: Nobody listens there.
        """
        may_repeat = request.method != "POST" if repeat is None else repeat
        return self._repeating(lambda: self._sent(request), _PAUSES if may_repeat else ())

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[Iterator[bytes] | None]:
        """Give the body of an answer as it arrives; ``None`` where there is no such file.

        Raises:
            LostAnswerError: The connection broke before, or while it arrived.
            BackendError: The dashboard cannot give it.
        """
        try:
            with self._client.stream(**_arguments(request)) as answer:
                if answer.status_code == 200:
                    yield answer.iter_raw(1024 * 1024)
                    return
                answer.read()
                _no_file(_checked(answer, answer.text, self.url))
                yield None
        except httpx.TransportError as error:
            raise _translated(error, self.url) from error

    def read_file(self, node_id: str, name: str) -> bytes | None:
        """Return a short file of a node's log folder; ``None`` where there is none."""

        def read() -> bytes | None:
            with self.open(rest_paths.log_file(node_id, name, is_short=True)) as pieces:
                return None if pieces is None else b"".join(pieces)

        return self._repeating(read, _PAUSES)

    def _sent(self, request: Request) -> Answer:
        try:
            sent = self._client.request(**_arguments(request))
        except httpx.TransportError as error:
            raise _translated(error, self.url) from error
        return _checked(sent, sent.text, self.url)

    def _repeating(self, ask: Callable[[], T], pauses: Sequence[float]) -> T:
        """Ask again after each of the pauses where the connection breaks, unless that is no help."""
        for pause in pauses:
            try:
                return ask()
            except BackendUnreachableError as error:
                broke = error.__cause__
                if not isinstance(broke, httpx.TransportError) or _is_nobody(broke):
                    raise
                if isinstance(broke, httpx.ReadTimeout):  # which has taken its time already
                    raise
                if self._checked is None and _is_refused(broke):
                    raise
                time.sleep(pause)
        return ask()


class AsyncDashboard:
    """The same for a running event loop, as far as following a log needs it.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = shown_url(url)
        self._client = httpx.AsyncClient(base_url=url, headers=_headers(), timeout=_timeout(None))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def ask(self, request: Request) -> Answer:
        """Send a request and return the answer; raises `LostAnswerError` at once where the connection breaks."""
        try:
            sent = await self._client.request(**_arguments(request))
        except httpx.TransportError as error:
            raise _translated(error, self.url) from error
        return _checked(sent, sent.text, self.url)

    @contextlib.asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """Give the body of an answer as it arrives, as `Dashboard.open`."""
        try:
            async with self._client.stream(**_arguments(request)) as answer:
                if answer.status_code == 200:
                    yield answer.aiter_raw(1024 * 1024)
                    return
                await answer.aread()
                _no_file(_checked(answer, answer.text, self.url))
                yield None
        except httpx.TransportError as error:
            raise _translated(error, self.url) from error


def _headers() -> dict[str, str]:
    # A file of a node is read as it arrives: a proxy on the way is not to compress it.
    return {"Accept-Encoding": "identity", **auth_headers()}


def _arguments(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": request.params,
        "json": request.json,
        "content": request.content,
        "timeout": _timeout(request.seconds),
    }


def _timeout(seconds: float | None) -> httpx.Timeout:
    return httpx.Timeout(seconds or _SECONDS, connect=_CONNECT_SECONDS)


def _checked(sent: httpx.Response, text: str, url: str) -> Answer:
    if sent.status_code in (401, 403):
        raise wants_token(f"the cluster at {url}", found=bool(sent.request.headers.get("Authorization")))
    if "text/html" in sent.headers.get("content-type", "") or sent.is_redirect:
        raise not_a_dashboard(url)
    return Answer(sent.status_code, text, url)


def _no_file(answer: Answer) -> None:
    """Return where the answer says that there is no such file; raise for everything else."""
    if _MISSING_FILE in answer.text:
        return
    raise failed(answer, "reading a file of a node")


def _is_nobody(error: httpx.TransportError) -> bool:
    """Say whether there is no such address, so that asking again is no help."""
    return isinstance(error, (httpx.ConnectTimeout, httpx.UnsupportedProtocol)) or (
        isinstance(error, httpx.ConnectError) and not _is_refused(error)
    )


def _is_refused(error: httpx.TransportError) -> bool:
    """Say whether nobody listens there just now, which a dashboard that answered before may mend."""
    return isinstance(error, httpx.ConnectError) and "refused" in str(error).lower()


def _translated(error: httpx.TransportError, url: str) -> BackendUnreachableError:
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.RemoteProtocolError) and "illegal" in reason:  # what answers speaks no HTTP
        return not_a_dashboard(url)
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)):
        return BackendUnreachableError(
            f"no Ray dashboard answers at {url}: {reason}. Start a cluster with `ray start --head`, or name another "
            "one with dashboard_address='http://HOST:8265' (--ray-address)"
        )
    return LostAnswerError(f"the connection to {url} broke: {reason}")
