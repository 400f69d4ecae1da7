"""No service holds us: one deadline and one number of bytes for a whole exchange, tried socket by socket against peers that mean harm."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from connectors.filing.http import HttpFiling, HttpTarget
from connectors.notify.smtp import Mail
from connectors.notify.webhook import Webhook
from connectors.sign.calendar import Calendar
from connectors.sign.ncanode import NcanodeSigner
from connectors.sign.timestamp import TimestampAuthority
from connectors.transport.client import NodeAddress, NodeClient
from connectors.transport.service import Limits, NoAnswer, NotConnected, ServiceAnswer, ask
from pipeline.closing.filing import AnswerMap, BodyMap
from pipeline.closing.notices import Notice
from pipeline.follow.node_errors import NodeUnreachable
from pipeline.model.address import parse_address
from pipeline.model.errors import SigningError, SourceError

from .raw_server import always, answer, server
from .test_filing_http import submitting

PATIENCE_S = 20
"""A peer gives up by itself after so long: what is tried here ends much sooner, or the test's own time limit tells."""
Talk = Callable[[socket.socket], None]
NOTICE = Notice("n", "s", "t")


@contextmanager
def talker(talk: Talk) -> Iterator[int]:
    """A listener on the loopback that talks to whoever connects, asked or not; its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                peer = listening.accept()[0]
            except OSError:
                return
            peer.settimeout(PATIENCE_S)
            threading.Thread(target=quietly, args=(peer,), daemon=True).start()

    def quietly(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            talk(peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def slowly(content: bytes, *, pause_s: float = 0.05, is_endless: bool = False) -> Talk:
    """The content a byte at a time, each well within any timeout between two bytes."""
    wait = threading.Event()

    def talk(peer: socket.socket) -> None:
        while True:
            for place in range(len(content)):
                peer.sendall(content[place : place + 1])
                wait.wait(pause_s)
            if not is_endless:
                return

    return talk


def endlessly(content: bytes) -> Talk:
    def talk(peer: socket.socket) -> None:
        while True:
            peer.sendall(content)

    return talk


def nothing(peer: socket.socket) -> None:
    while peer.recv(65_536):
        pass


INTERIM = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"
HOLDING: dict[str, Talk] = {
    "says nothing": nothing,
    "interim answers without end, slowly": slowly(INTERIM, pause_s=0.01, is_endless=True),
    "status line a byte at a time": slowly(b"HTTP/1.1 200 " + b"O" * 4000),
    "headers a byte at a time": slowly(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000),
    "body a byte at a time": slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 4000, pause_s=0.01),
    "chunks a byte at a time": slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000, pause_s=0.01),
}
FLOODING: dict[str, Talk] = {
    "interim answers without end": endlessly(INTERIM * 100),
    "headers without end": lambda peer: (peer.sendall(b"HTTP/1.1 200 OK\r\n"), endlessly(b"X: y\r\n" * 100)(peer))[0],
    "trailers without end": lambda peer: (
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), endlessly(b"X: y\r\n" * 100)(peer),
    )[0],
    "a chunk's extension without end": lambda peer: (
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"), endlessly(b"x" * 1000)(peer),
    )[0],
    "body without end": lambda peer: (peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), endlessly(b"x" * 65_536)(peer))[0],
}  # fmt: skip


def once(port: int, *, timeout_s: float = 0.6, most_bytes: int = 1 << 20) -> ServiceAnswer:
    address = parse_address(f"http://127.0.0.1:{port}/x", carries_secret=True)
    return ask(address, "POST", {}, b"{}", Limits(timeout_s, most_bytes))


@pytest.mark.parametrize("talk", HOLDING.values(), ids=HOLDING.keys())
def test_a_service_that_keeps_on_slowly_is_given_up_at_the_deadline(talk: Talk) -> None:
    with talker(talk) as port, pytest.raises(NoAnswer, match=r"not done within 0\.6 s"):
        once(port)


@pytest.mark.parametrize("talk", FLOODING.values(), ids=FLOODING.keys())
def test_a_service_that_floods_us_is_cut_off(talk: Talk) -> None:
    with talker(talk) as port:
        try:
            got = once(port, timeout_s=PATIENCE_S)
        except NoAnswer:
            return  # too many headers, or bytes, or the line too long
        assert got.fault == "the answer is longer than 1048576 bytes" and len(got.body) == 1 << 20


def test_a_tls_greeting_that_never_comes_is_no_connection() -> None:
    for talk in (nothing, slowly(b"\x16\x03\x03\x40\x00" + bytes(4000)), endlessly(b"\x16\x03\x03\x00\x01\x00")):
        with talker(talk) as port, pytest.raises(NotConnected):
            ask(parse_address(f"https://127.0.0.1:{port}/", carries_secret=True), "GET", {}, None, Limits(0.6, 1000))


@pytest.mark.parametrize(
    ("headers", "body", "fault"),
    [
        ("Content-Encoding: gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "packed as 'gzip, gzip', which is not read"),
        (
            "Content-Encoding: gzip\r\nContent-Encoding: gzip",
            gzip.compress(gzip.compress(b"x", mtime=0), mtime=0),
            "packed as 'gzip, gzip', which is not read",
        ),
        ("Content-Encoding: br", b"x", "packed as 'br', which is not read"),
        ("Content-Encoding: gzip", gzip.compress(bytes(4 << 20), mtime=0), "unpack to more than 1048576"),
        ("Content-Encoding: deflate", zlib.compress(bytes(4 << 20)), "unpack to more than 1048576"),
        ("Content-Encoding: gzip", gzip.compress(b"x", mtime=0)[:-4], "cut short"),
        ("Content-Encoding: gzip", gzip.compress(b"x", mtime=0) + b"more", "4 bytes follow its end"),
        ("Content-Encoding: gzip", b"not packed", "damaged"),
    ],
)
def test_bytes_are_counted_before_they_are_unpacked_and_packed_is_at_most_once(headers: str, body: bytes, fault: str) -> None:
    reply = f"HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with server(always(reply)) as (url, _):
        got = once(int(url.rpartition(":")[2]), timeout_s=PATIENCE_S)
    assert fault in got.fault and got.body == b""


def test_an_honest_answer_is_read_whole_packed_or_not_after_interim_ones() -> None:
    packed = gzip.compress(b"yes", mtime=0)
    for reply in (
        answer(b"yes"),
        INTERIM * 3 + answer(b"yes"),
        f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\n\r\n",
    ):
        with server(always(reply)) as (url, seen):
            got = once(int(url.rpartition(":")[2]), timeout_s=PATIENCE_S)
            assert (got.status, got.body, got.fault) == (200, b"yes", "") and len(seen) == 1


def test_an_answer_cut_short_is_none() -> None:
    with talker(lambda peer: (peer.recv(65_536), peer.sendall(answer(b"ye", length=3)))[0]) as port, pytest.raises(NoAnswer):
        once(port)


def test_nothing_that_is_no_header_is_sent() -> None:
    with server(always(answer(b"yes"))) as (url, seen):
        address = parse_address(url, carries_secret=True)
        for name, value in (("X", "a\r\nY: b"), ("X\r\nY", "b"), ("X", "é")):
            with pytest.raises(NotConnected, match="nothing was sent"):
                ask(address, "GET", {name: value}, None, Limits(5, 10))
        assert seen == []


# --- every client ---------------------------------------------------------------------------------------------------


@pytest.fixture
def p12(tmp_path: Path) -> Path:
    path = tmp_path / "key.p12"
    path.write_bytes(b"key")
    return path


@pytest.mark.parametrize("talk", [HOLDING["interim answers without end, slowly"], HOLDING["headers a byte at a time"]])
def test_every_client_of_a_service_gives_up_at_its_deadline(talk: Talk, p12: Path) -> None:
    with talker(talk) as port:
        url = f"http://127.0.0.1:{port}"
        told = HttpFiling(HttpTarget(url, timeout_s=0.5), BodyMap(), AnswerMap()).send(submitting(b"{}"), b"{}")
        assert told.outcome == "unknown" and "not done within 0.5 s" in told.message
        with pytest.raises(SourceError, match="webhook: DeadlinePassed"):
            Webhook(url, timeout_s=0.5).send(NOTICE)
        with pytest.raises(SigningError, match=r"not done within 0\.5 s"):
            NcanodeSigner(url, p12, "secret", "201040334324", timeout_s=0.5).certificate()
        with pytest.raises(SigningError, match=r"not done within 0\.5 s"):
            TimestampAuthority(url, timeout_s=0.5).stamp(b"x")
        with pytest.raises(SigningError, match=r"not done within 0\.5 s"):
            Calendar(url, timeout_s=0.5).stamp(bytes(32))
        node = NodeClient(NodeAddress.of(url, default_port=1, example="x"), timeout_s=30, limit_bytes=1 << 20, deadline_s=0.5)
        with pytest.raises(NodeUnreachable, match=r"not done within 0\.5 s"):
            node.request("POST", "/", b"{}")
        node.close()


def test_a_node_that_floods_headers_is_cut_off() -> None:
    with talker(FLOODING["interim answers without end"]) as port:
        node = NodeClient(
            NodeAddress.of(f"http://127.0.0.1:{port}", default_port=1, example="x"), timeout_s=30, limit_bytes=1000, deadline_s=PATIENCE_S
        )
        with pytest.raises(SourceError):
            node.request("POST", "/", b"{}")
        node.close()


@pytest.mark.parametrize(
    "talk",
    [
        nothing,
        slowly(b"220 " + b"x" * 4000),
        slowly(b"220-more follows\r\n", pause_s=0.01, is_endless=True),
        lambda peer: (peer.sendall(b"220 here\r\n"), slowly(b"250-and on\r\n", pause_s=0.01, is_endless=True)(peer))[0],
    ],
    ids=["says nothing", "greeting a byte at a time", "a greeting without end", "an answer without end"],
)
def test_a_mail_server_is_given_up_at_the_deadline(talk: Talk) -> None:
    with talker(talk) as port, pytest.raises(SourceError, match=f"mail server 127.0.0.1:{port}"):
        Mail("127.0.0.1", port, security="none", sender="a@b.kz", receivers=["c@d.kz"], timeout_s=0.6).send(NOTICE)


def test_a_mail_server_that_floods_us_is_cut_off() -> None:
    with talker(endlessly(b"220-more follows\r\n" * 100)) as port, pytest.raises(SourceError, match="mail server"):
        Mail("127.0.0.1", port, security="none", sender="a@b.kz", receivers=["c@d.kz"], timeout_s=PATIENCE_S).send(NOTICE)


def test_the_deadline_is_of_the_whole_and_not_of_each_of_two_exchanges() -> None:
    """Answers that are each in time are taken, one after another: the deadline is an exchange's, not a client's."""
    with server(always(answer(b'{"status": "accepted", "receipt": "R"}'))) as (url, seen):
        filing = HttpFiling(HttpTarget(url, timeout_s=5), BodyMap(), AnswerMap())
        assert [filing.send(submitting(b"{}"), b"{}").outcome for _ in range(3)] == ["accepted"] * 3
        assert len(seen) == 3
