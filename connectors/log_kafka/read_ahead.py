"""The next batch of records, read by a thread of its own while its caller takes in the one before.

Enters: what is to be read. Leaves: its records, where just that is asked for next. What was read ahead is committed and does not change, so it is what a later read would begin
with. An error is nobody's yet: whoever asks reads again, and gets it then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from pipeline.log.protocol import Record

Request = TypeVar("Request")


class ReadAhead(Generic[Request]):
    """At most one batch at a time; threads may share it."""

    def __init__(self, read: Callable[[Request], list[Record]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._next: tuple[Request, Future[list[Record]]] | None = None

    def begin(self, request: Request) -> None:
        """Read this next, unless something is read ahead already."""
        with self._lock:
            if self._next is None:
                self._next = request, self._thread.submit(self._read, request)

    def take(self, request: Request) -> list[Record]:
        """What was read ahead for this request; [] where it was another one, or it failed."""
        with self._lock:
            if self._next is None:
                return []
            (asked, batch), self._next = self._next, None
        if asked != request:
            batch.cancel()
            return []
        return batch.result() if batch.exception() is None else []

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
