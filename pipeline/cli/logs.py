"""Structured logs to stderr: readable lines on a terminal, JSON elsewhere; numbers of people and secrets are masked.

What is masked: every run of exactly 12 digits (IIN, BIN), letters beside it or not, that is no part of a decimal number or a hash; values under keys that
name a secret; passwords and cookies in addresses and headers. Masking is the last step before printing, so that nothing added on the way slips past it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, TextIO

from pipeline.model.journal import set_up_with
from pipeline.model.plain import plain

_MINER_ID = re.compile(
    r"(?P<hash>(?<![0-9A-Za-z])(?:0x)?[0-9a-fA-F]{32,}(?![0-9A-Za-z]))|(?<![0-9])(?<![0-9][.,])(?P<number>[0-9]{12})(?![0-9]|[.,][0-9])"
)
"""Twelve digits, letters beside them or not (`BIN201040334324`). Digits before or after a decimal point are an amount's, those of a hash a hash's."""
_LOGIN_IN_URL = re.compile(r"(\w+://)[^/@\s]+@")
_COOKIE = re.compile(r"__cookie__:[^\s\"']+")
_OUR_WORDS = "check|is|keep|make|name|no|put|save|set|they|не|баптауларда"
"""What follows `password:` and the like in our own sentences, which say what to do: the catalogue's messages come through whole."""
_AUTHORIZATION = re.compile(r"(?i)\b(basic|bearer) (?!token\b)[A-Za-z0-9+/=._~-]{4,}")
_ASSIGNED = re.compile(
    rf"(?i)\b(password|passwd|secret|token|cookie)(\"?'?\s*[=:]\s*\"?'?)(?![\"'])(?!(?:{_OUR_WORDS})[ :]\s*[\w\[.{{])[^\s\"',;]+"
)
_SECRET_KEY = re.compile(r"(?i)passw|secret|token|cookie|authori[sz]ation|private|credential")


def mask(text: str) -> str:
    """The text with IINs and BINs as `********dddd` and secrets as `***`."""
    text = _MINER_ID.sub(lambda found: found[0] if found["hash"] else "********" + found[0][-4:], text)
    text = _LOGIN_IN_URL.sub(r"\1***@", text)
    text = _COOKIE.sub("__cookie__:***", text)
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    return _ASSIGNED.sub(r"\1\2***", text)


def mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's processor: masks every value of the event, however deep, and keeps it to its line."""
    return {key: _masked(value, key) for key, value in event.items()}


def _masked(value: Any, key: str = "") -> Any:
    if _SECRET_KEY.search(key) and not key.endswith("_file"):
        return "***"
    if isinstance(value, str):
        text = plain(mask(value))
        return text if key in _OF_LINES else text.replace("\n", "\\n")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return mask(str(value)) if len(str(abs(value))) == 12 else value
    if isinstance(value, float):
        return value
    if isinstance(value, dict):
        return {name: _masked(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(inner) for inner in value]
    return plain(mask(str(value)))


_OF_LINES = ("exception", "stack")


def configure_logs(stream: TextIO | None = None, *, verbose: bool = False) -> None:
    """Send the process's logs to `stream` (stderr): warnings and worse, or all of them from info on when `verbose`."""
    set_up_with(partial(_configure, stream, verbose=verbose))


def _configure(stream: TextIO | None, *, verbose: bool) -> None:
    import structlog

    is_terminal = (stream or sys.stderr).isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=is_terminal) if is_terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20 if verbose else 30),
        # Asked at each line: whoever runs a command within a process may have put another stderr in place since.
        logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
