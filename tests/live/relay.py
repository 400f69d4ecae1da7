"""A TCP relay on a loopback port, through which a test's processes reach a service, and which can be cut and healed at will.

Enters: the port of a service on loopback. Leaves: a port to reach it at. A cut is what a network's partition looks like to both sides: nothing arrives any
more, and nobody is told. What was sent meanwhile arrives after the healing where connections outlive the cut, as TCP sends it again; else both ends are
told then that the connection is gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Self, TypeVar

from ..ports import free_port

CHUNK_BYTES = 1 << 16
T = TypeVar("T")


class Cut(Enum):
    """What a cut does."""

    SILENT = "nothing arrives"
    ANSWERS = "requests arrive, answers do not"
    REFUSED = "connections end, new ones are refused"


class Relay:
    """Relays connections at `port` to `target`, both on loopback, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self._loop = asyncio.new_event_loop()
        self._cut: Cut | None = None
        self._requests_pass, self._answers_pass = asyncio.Event(), asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"relay to {target}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._heal_now()
        self._server = self._call(asyncio.start_server(self._relay, "127.0.0.1", self.port, limit=CHUNK_BYTES))
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def is_cut(self) -> bool:
        return self._cut is not None

    def cut(self, how: Cut) -> None:
        """Let nothing through, or no answers, until `heal`."""

        async def now() -> None:
            self._cut = how
            self._answers_pass.clear()
            if how is not Cut.ANSWERS:
                self._requests_pass.clear()
            if how is Cut.REFUSED:
                self._abort_all()

        self._call(now())

    def heal(self, *, keeps_connections: bool = True) -> None:
        """Let all through again; connections that were cut go on, or end at both sides."""

        async def now() -> None:
            if not keeps_connections:
                self._abort_all()
            self._heal_now()

        self._call(now())

    def _heal_now(self) -> None:
        self._cut = None
        self._requests_pass.set()
        self._answers_pass.set()

    def _abort_all(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _end_all(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its end."""
        ends = {writer}
        try:
            if self._cut is Cut.REFUSED:
                return
            self._ends |= ends
            await self._requests_pass.wait()
            service_reader, service_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK_BYTES)
            ends.add(service_writer)
            self._ends |= ends
            await asyncio.gather(
                self._pump(reader, service_writer, self._requests_pass), self._pump(service_reader, writer, self._answers_pass)
            )
        except OSError:
            pass  # the other end sees that its connection is gone
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event) -> None:
        """Bytes of one direction, while they pass, until that direction is closed."""
        while chunk := await reader.read(CHUNK_BYTES):
            await passes.wait()
            writer.write(chunk)
            await writer.drain()
        await passes.wait()
        writer.write_eof()
