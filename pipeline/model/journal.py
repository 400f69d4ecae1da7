"""The process's log lines: structlog, imported and set up with the first line that is written.

Most commands write none, and importing structlog takes as long as what many of them do. Enters: what happened, with values. Leaves: a line, as the outermost
frame set it up (`set_up_with`): secrets and people's numbers are masked there. No other module imports structlog, so no line escapes that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

_waiting: Final[list[Callable[[], None]]] = []
"""Sets structlog up, if that was not done yet."""


class Journal:
    """One part of the program's log lines: `info`, `warning`, `error`, `exception`, `bind` as structlog's loggers have them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        import structlog

        while _waiting:
            _waiting.pop()()
        return getattr(structlog.get_logger(self._name), method)


def set_up_with(configure: Callable[[], None]) -> None:
    """Set structlog up by `configure`: at once if it is imported already, else with the first line."""
    if "structlog" in sys.modules:
        _waiting.clear()
        configure()
    else:
        _waiting[:] = [configure]
