"""This process's own command line, which Ray shows: as the entrypoint of a driver, and among a node's processes."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from synapse_core.redaction import HIDDEN, looks_secret, looks_secret_value

__all__ = ["hidden_words", "hide_command_line"]

_OPTION = re.compile(r"(--?[A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_ASSIGNMENT = re.compile(r"([\w.-]+)=(.*)", re.DOTALL)
_SETTINGS = {"--env"}
_SHORT = {"-t"}  # of --token


def hide_command_line() -> None:
    """Take the secrets out of it, for everybody who looks from now on; leave it alone where it has none."""
    words = hidden_words(sys.orig_argv)
    if words != list(sys.orig_argv):
        from synapse_ray.ray_internals import set_command_line

        set_command_line(shlex.join(words))


def hidden_words(words: Sequence[str]) -> list[str]:
    """Return a command line without the values of ``--env``, and of options and settings that look like secrets."""
    shown: list[str] = []
    before = ""  # the option whose value comes next
    for word in words:
        option = _OPTION.fullmatch(word)
        if option is not None and option[2] is None:
            shown.append(word)
            before = word
            continue
        if option is not None:
            shown.append(f"{option[1]}={_hidden(option[1], option[2])}")
        else:
            shown.append(_hidden(before, word))
        before = ""
    return shown


def _hidden(option: str, value: str) -> str:
    """Return the value of an option, or a word that belongs to none, as everybody may see it."""
    if option in _SHORT or (option.startswith("--") and looks_secret(option)):
        return HIDDEN
    setting = _ASSIGNMENT.fullmatch(value)
    if setting is not None and (option in _SETTINGS or looks_secret(setting[1])):
        return f"{setting[1]}={HIDDEN}"
    return HIDDEN if looks_secret_value(value) else value
