"""Texts of foreign objects never raise, and never keep Ctrl-C from ending the process."""

from typing import Any

import pytest

from synapse_core.safe_text import format_traceback, safe_str, shorten


def failing(raised: type[BaseException]) -> Any:
    def fail(self: Any) -> str:
        raise raised

    return type("Failing", (Exception,), {"__str__": fail, "__repr__": fail})()


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, RecursionError])
def test_a_text_that_cannot_be_made_is_described(raised: type[BaseException]) -> None:
    assert safe_str(failing(raised)) == f"<Failing whose text cannot be made: {raised.__name__}>"
    assert "Failing" in format_traceback(failing(raised))


@pytest.mark.parametrize("make", [safe_str, format_traceback, shorten])
def test_ctrl_c_stays_ctrl_c(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(error: BaseException) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("traceback.format_exception", interrupted)  # which itself lets no error's text interrupt it
    with pytest.raises(KeyboardInterrupt):
        make(failing(KeyboardInterrupt))
