"""What a test does when the service that it needs does not answer."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["require_service"]


def require_service(reason: str) -> NoReturn:
    """Skip the running test on a laptop, and fail it where ``CI`` is set: there, nothing is missing by accident.

    Args:
        reason: Which service did not answer, where, and how to start it.

    Example:
        ::

            try:
                client = connect(address)
            except ConnectionError as error:
                require_service(f"no cluster at {address}: {error}; start one with `ray start --head`")
    """
    if os.environ.get("CI"):
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)
