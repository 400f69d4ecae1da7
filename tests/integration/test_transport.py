"""The client that all connectors to nodes share: connections are kept and shared out, and no answer is waited for or read without end."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.transport.client import AnswerTooLarge, NodeAddress, NodeClient
from pipeline.follow.node_errors import NodeUnreachable
from pipeline.model.errors import SettingsError

from .raw_server import always, answer, hang_up, server

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def client(url: str, *, timeout_s: float = 2.0, limit_bytes: int = 1 << 20) -> NodeClient:
    return NodeClient(NodeAddress.of(url, default_port=1, example="x"), timeout_s=timeout_s, limit_bytes=limit_bytes)


def test_connections_are_kept_and_each_thread_has_its_own() -> None:
    clients: set[int] = set()
    together = threading.Barrier(3)

    def behave(peer: socket.socket, request: bytes) -> None:
        clients.add(peer.fileno())
        if b"/together" in request:
            together.wait(60)
        peer.sendall(answer(b"yes"))

    with server(behave) as (url, seen):
        node = client(url)
        for _ in range(5):
            assert node.request("GET", "/one") == (200, b"yes", None)
        assert len(clients) == 1, "one connection, used again"
        with ThreadPoolExecutor(3) as threads:
            assert [a.body for a in threads.map(lambda _: node.request("GET", "/together"), range(3))] == [b"yes"] * 3
        assert len(clients) == 3
        node.close()
        assert node.request("GET", "/after").body == b"yes", "a closed client opens a connection again"
        assert len(seen) == 9
        node.close()


def test_only_a_connection_that_had_answered_before_is_tried_again() -> None:
    with server(hang_up) as (url, seen):
        node = client(url)
        with pytest.raises(NodeUnreachable, match="closed the connection without an answer"):
            node.request("POST", "/", b"{}")
        assert len(seen) == 1
        node.close()

    def first_then_never(peer: socket.socket, request: bytes) -> None:
        if len(seen) > 1:
            hang_up(peer, request)
        else:
            peer.sendall(answer(b"yes"))

    with server(first_then_never) as (url, seen):
        node = client(url)
        assert node.request("POST", "/", b"1").body == b"yes"
        with pytest.raises(NodeUnreachable, match="closed the connection without an answer"):
            node.request("POST", "/", b"2")
        assert [request[-1:] for request in seen] == [b"1", b"2", b"2"]
        node.close()


@pytest.mark.parametrize("reply", [answer(b"x" * 101), CHUNKED + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n"])
def test_an_answer_over_the_limit_is_refused_whether_its_length_is_announced_or_not(reply: bytes) -> None:
    with server(always(reply)) as (url, _):
        node = client(url, limit_bytes=100)
        with pytest.raises(AnswerTooLarge, match=r"101 bytes|more than 100 bytes"):
            node.request("GET", "/")
        node.close()
        enough = client(url, limit_bytes=101)
        assert enough.request("GET", "/").body == b"x" * 101
        enough.close()


def test_an_answer_in_chunks_is_put_together_and_one_cut_short_is_told() -> None:
    with server(always(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as (url, _):
        node = client(url)
        assert [node.request("GET", "/").body for _ in range(2)] == [b"abcde"] * 2
        node.close()

    def cut(peer: socket.socket, request: bytes) -> None:
        peer.sendall(CHUNKED + b"3\r\nab")
        hang_up(peer, request)

    with server(cut) as (url, _), pytest.raises(NodeUnreachable, match="broke off in the middle"):
        client(url).request("GET", "/")


def test_an_answer_that_comes_in_drops_is_given_up_after_the_deadline() -> None:
    def drip(peer: socket.socket, _: bytes) -> None:
        peer.sendall(CHUNKED)
        while True:
            peer.sendall(b"1\r\nx\r\n")
            time.sleep(0.02)

    with server(drip) as (url, _):
        node = NodeClient(NodeAddress.of(url, default_port=1, example="x"), timeout_s=30, limit_bytes=1 << 20, deadline_s=0.2)
        with pytest.raises(NodeUnreachable, match=r"did not finish an answer: not done within 0\.2 s"):
            node.request("GET", "/")
        node.close()


@pytest.mark.parametrize(
    ("url", "name", "path"),
    [
        ("HTTP://Node.Example", "http://node.example:8332", "/"),
        ("https://node.example/v3/KEY?x=1", "https://node.example:443", "/v3/KEY?x=1"),
        ("http://[::1]:7/", "http://[::1]:7", "/"),
    ],
)
def test_an_address_is_named_without_its_secrets(url: str, name: str, path: str) -> None:
    address = NodeAddress.of(url, default_port=8332, example="x")
    assert (address.name, address.path) == (name, path)


@pytest.mark.parametrize("url", ["node:8332", "ftp://node", "http://", "http://[", "http://node:port", "", "http://me:s%40fe@node.example"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"write it as http://127"):
        NodeAddress.of(url, default_port=1, example="http://127.0.0.1:8332")


def test_what_keeps_a_node_from_being_reached_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy with a certificate of its own stands before many a node."""
    certificate, key = tmp_path / "node.pem", ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate.write_bytes(made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def behave(peer: socket.socket, request: bytes) -> None:
        peer.sendall(answer(b"yes"))

    def trouble(url: str) -> str:
        node = client(url)
        with pytest.raises(NodeUnreachable) as said:
            node.request("GET", "/")
        node.close()
        return str(said.value)

    with server(behave, tls=context) as (url, _):
        secure = url.replace("http://127.0.0.1", "https://localhost")
        assert "does not trust the certificate" in trouble(secure) and "SSL_CERT_FILE" in trouble(secure)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        node = client(secure)
        assert node.request("GET", "/").body == b"yes", "what the message says helps"
        node.close()
    plain = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        peer = plain.accept()[0]
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        peer.close()

    threading.Thread(target=refuse, daemon=True).start()
    assert "write http://" in trouble(f"https://127.0.0.1:{plain.getsockname()[1]}")
    plain.close()
    assert "no machine of that name" in trouble("http://node.invalid:8332")
