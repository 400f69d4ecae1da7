"""A calendar of OpenTimestamps on the loopback: promises to stamp digests, and stamps them into a block of a chain of its own when it is told to."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pipeline.chains.bitcoin.wire import Header, parse_header
from pipeline.signing.public_time import InBlock, Promise, Timestamp, apply, write_timestamp

APPEND, PREPEND, HASH = 0xF0, 0xF1, (0x08, b"")


class CalendarOfOurOwn:
    """What it promised, and the blocks it made."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.promised: dict[str, bytes] = {}
        """What is to be stamped, by its hex."""
        self.stamped: dict[str, Timestamp] = {}
        self.headers: dict[int, Header] = {}
        self.answer: tuple[int, bytes] | None = None
        """Instead of an honest one."""

    def take(self, digest: bytes) -> bytes:
        stamp = Timestamp(digest)
        salted = stamp.operations.setdefault((APPEND, b"salt of the calendar's"), Timestamp(digest + b"salt of the calendar's"))
        message = apply(HASH, salted.message)
        salted.operations[HASH] = Timestamp(message, [Promise(self.url)])
        self.promised[message.hex()] = message
        return write_timestamp(stamp)

    def mine(self, height: int, time: int) -> Header:
        """Stamp all that is promised: each beside a stranger's digest under the Merkle root of one block for each."""
        for name, message in self.promised.items():
            if name in self.stamped:
                continue
            stamp = Timestamp(message)
            joined = stamp.operations.setdefault((PREPEND, b"\7" * 32), Timestamp(b"\7" * 32 + message))
            once = joined.operations.setdefault(HASH, Timestamp(apply(HASH, joined.message)))
            root = hashlib.sha256(once.message).digest()
            once.operations[HASH] = Timestamp(root, [InBlock(height)])
            self.stamped[name] = stamp
            raw = (2).to_bytes(4, "little") + bytes(32) + root + time.to_bytes(4, "little") + (0x207FFFFF).to_bytes(4, "little") + bytes(4)
            self.headers[height] = parse_header(raw)
            height += 1
        return self.headers[max(self.headers)]


@contextmanager
def calendar() -> Iterator[CalendarOfOurOwn]:
    ours = CalendarOfOurOwn()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._reply(*(ours.answer or (200, ours.take(self.rfile.read(int(self.headers["Content-Length"]))))))

        def do_GET(self) -> None:
            name = self.path.removeprefix("/timestamp/")
            if name in ours.stamped and ours.answer is None:
                self._reply(200, write_timestamp(ours.stamped[name]))
            else:
                self._reply(*(ours.answer or (404, b"Pending confirmation in Bitcoin blockchain")))

        def _reply(self, status: int, content: bytes) -> None:
            ours.asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    ours.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield ours
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
