"""What is wrong with a place: that it is not there, does not answer, lets nobody in, or is taken."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

from synapse_core.errors import (
    AuthenticationError,
    BackendUnreachableError,
    ExecutionError,
    PluginError,
    ValidationError,
)

__all__ = ["DamagedInputError", "OutputTakenError", "PlaceNotFoundError", "database_error", "store_error"]

# By name, since the packages that have them need not be installed.
_NOT_LET_IN = {
    "CredentialRetrievalError",
    "DefaultCredentialsError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "TokenRetrievalError",
}
_NO_ANSWER = {"ClientConnectorError", "ConnectTimeoutError", "EndpointConnectionError", "ReadTimeoutError"}
_DATABASE_REFUSES = re.compile(r"authentication failed|access denied|no password supplied", re.I)
_DATABASE_IS_SILENT = re.compile(
    r"connection refused|timed out|timeout expired|can't connect|could not connect|could not translate host|"
    r"failed to resolve host|name or service not known|no route to host|network is unreachable",
    re.I,
)


class PlaceNotFoundError(ValidationError, LookupError):
    """There is no such file, object or database to read."""


class DamagedInputError(ExecutionError):
    """What is read is cut off, or has changed since it was compressed: what came of it so far is worth nothing."""


class OutputTakenError(ExecutionError):
    """Another run writes there now; this one has done nothing."""


def store_error(error: BaseException, otherwise: type[PluginError] = ExecutionError) -> type[PluginError]:
    """Return what a failure of a file system is an error of: of who may come in, of who answers, or `otherwise`."""
    for each in _with_causes(error):
        names = {cls.__name__ for cls in type(each).__mro__}
        if names & _NOT_LET_IN:
            return AuthenticationError
        if names & _NO_ANSWER or isinstance(each, (ConnectionError, TimeoutError, socket.gaierror)):
            return BackendUnreachableError
    return otherwise


def database_error(words: str) -> type[PluginError]:
    """Return what it is an error of that a database cannot be opened, by what its driver says."""
    if _DATABASE_REFUSES.search(words):
        return AuthenticationError
    return BackendUnreachableError if _DATABASE_IS_SILENT.search(words) else ExecutionError


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and not any(error is each for each in seen):
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__
