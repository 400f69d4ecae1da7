"""Whatever stands at the node's address, the connector says what is wrong, and says whether waiting can mend it."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import pytest

from connectors.bitcoin.errors import (
    AccessRefused,
    AnswerUnreadable,
    BlockNotThere,
    BlockPruned,
    NodeBusy,
    NodeUnreachable,
    NodeWarmingUp,
    RpcError,
)
from connectors.bitcoin.rpc import Credentials, NodeConnection
from connectors.transport.client import AnswerTooLarge
from pipeline.model.errors import SettingsError, SourceError

from .raw_server import Behaviour, always, answer, hang_up, server


def half_an_answer(client: socket.socket, request: bytes) -> None:
    client.sendall(answer(b'{"result":', length=100))
    hang_up(client, request)


OK = answer(b'{"result": 7, "error": null, "id": 1}')
TROUBLES: list[tuple[Behaviour, type[SourceError], bool, str]] = [
    (hang_up, NodeUnreachable, True, "closed the connection without an answer"),
    (half_an_answer, NodeUnreachable, True, "broke off in the middle of an answer"),
    (lambda client, request: None, NodeUnreachable, True, r"did not answer within 0\.3 s"),
    (always(b"SSH-2.0-OpenSSH_9.6\r\n" + b"\r\n"), AnswerUnreadable, True, "does not speak HTTP"),
    (always(answer(b"<html>Hello</html>")), AnswerUnreadable, True, "is rpc_url the node's RPC port"),
    (always(answer(b'{"result": "seven"}')), AnswerUnreadable, True, "something unexpected"),
    (always(answer(b"[" * 100_000)), AnswerUnreadable, True, "no JSON-RPC reply"),
    (always(answer(b"", length=10**12)), AnswerTooLarge, True, "announced an answer"),
    (always(answer(b"\xff\xfe\x00")), AnswerUnreadable, True, "no JSON-RPC reply"),
    (always(answer(b"oops", "502 Bad Gateway")), NodeBusy, True, "502: oops"),
    (always(answer(b"", "504 Gateway Timeout")), NodeBusy, True, "504: no reason given"),
    (always(answer(b"", "301 Moved\r\nLocation: http://example.org")), AnswerUnreadable, True, "HTTP 301"),
    (always(answer(b"Work queue depth exceeded", "503 Service Unavailable")), NodeBusy, True, "Work queue depth exceeded.*rpcworkqueue"),
    (always(answer(b"", "429 Too Many Requests")), NodeBusy, True, "overloaded"),
    (always(answer(b"", "403 Forbidden")), AccessRefused, False, "forbids getblockcount .*rpcwhitelist"),
    (always(answer(b"", "401 Unauthorized")), AccessRefused, False, "rpcauth"),
    (
        always(answer(b'{"result":null,"error":{"code":-28,"message":"Verifying blocks..."},"id":1}', "500 Internal")),
        NodeWarmingUp, True, r"is starting: Verifying blocks\.\.\.",
    ),
    (
        always(answer(b'{"result":null,"error":{"code":-1,"message":"Block not available (pruned data)"},"id":1}', "500 Internal")),
        BlockPruned, False, "prune=0",
    ),
    (
        always(answer(b'{"result":null,"error":{"code":-1,"message":"Block not available (not fully downloaded)"},"id":1}', "500 Internal")),
        BlockNotThere, True, r"not fully downloaded.*snapshot \(loadtxoutset\)",
    ),
    (
        always(answer(b'{"result":null,"error":{"code":-1,"message":"Undo data expected but can\'t be read. This could be due to disk corruption or a conflict with a pruning event."},"id":1}', "500 Internal")),
        BlockNotThere, True, "Undo data expected",
    ),
    (always(answer(b'{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}', "404 Not Found")), RpcError, False, "has no method"),
]  # fmt: skip


@pytest.mark.parametrize(("behave", "kind", "is_retryable", "says"), TROUBLES, ids=[says[:30] for *_, says in TROUBLES])
def test_each_trouble_has_its_own_words(behave: Behaviour, kind: type[SourceError], is_retryable: bool, says: str):
    with server(behave) as (url, _):
        connection = NodeConnection(url, Credentials(user="me", password="hunter2"), timeout_s=0.3)
        with pytest.raises(SourceError, match=says) as trouble:
            connection.call("getblockcount", result=int)
        connection.close()
    assert type(trouble.value) is kind
    assert trouble.value.is_retryable is is_retryable
    assert "hunter2" not in str(trouble.value)


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(NodeUnreachable, match="nothing listens at"):
        NodeConnection(url, Credentials(user="me"), timeout_s=1).call("getblockcount")


def test_a_restarted_node_s_new_cookie_is_read(tmp_path: Path):
    cookie = tmp_path / ".cookie"
    cookie.write_text("__cookie__:old")
    expected = {"value": b"__cookie__:old"}

    def behave(client: socket.socket, request: bytes) -> None:
        is_known = b"Basic " + base64.b64encode(expected["value"]) in request
        client.sendall(OK if is_known else answer(b"", "401 Unauthorized"))

    with server(behave) as (url, seen):
        connection = NodeConnection(url, Credentials(cookie_path=cookie), timeout_s=2)
        assert connection.call("getblockcount", result=int) == 7
        expected["value"] = b"__cookie__:new"
        with pytest.raises(AccessRefused, match="does not accept the cookie") as refused:
            connection.call("getblockcount")
        assert refused.value.is_retryable, "the node may not have written it yet"
        cookie.write_text("__cookie__:new")
        assert connection.call("getblockcount", result=int) == 7
        assert len(seen) == 1 + 1 + 2
        connection.close()


def test_a_connection_closed_while_idle_is_opened_again():
    def behave(client: socket.socket, request: bytes) -> None:
        client.sendall(OK)
        hang_up(client, request)

    with server(behave) as (url, seen):
        connection = NodeConnection(url, Credentials(user="me"), timeout_s=2)
        for _ in range(3):
            assert connection.call("getblockcount", result=int) == 7
        # A request may have reached the closing connection as well before it was sent again: it is the same one.
        assert {json.loads(request.partition(b"\r\n\r\n")[2])["id"] for request in seen} == {1, 2, 3}
        connection.close()


def test_a_batch_comes_back_in_the_order_asked():
    replies = b'[{"result": 20, "id": 1}, {"result": 10, "id": 0}]'
    with server(always(answer(replies))) as (url, _):
        connection = NodeConnection(url, Credentials(user="me"), timeout_s=2)
        assert connection.batch("getblockhash", [(1,), (2,)], result=int) == [10, 20]
        assert connection.batch("getblockhash", [], result=int) == []
        with pytest.raises(AnswerUnreadable, match="2 answers to a batch of 3"):
            connection.batch("getblockhash", [(1,), (2,), (3,)])
        connection.close()


def test_amounts_are_never_floats():
    from decimal import Decimal

    with server(always(answer(b'{"result": {"value": 0.10000001}, "id": 1}'))) as (url, _):
        connection = NodeConnection(url, Credentials(user="me"), timeout_s=2)
        assert connection.call("x") == {"value": Decimal("0.10000001")}
        connection.close()


def test_an_address_that_is_none():
    for url in ("127.0.0.1:8332", "ftp://node", "http://"):
        with pytest.raises(SettingsError, match="write it as"):
            NodeConnection(url, Credentials())


def test_secrets_of_the_url_are_not_shown():
    with pytest.raises(SettingsError, match="holds a user or password") as refused:
        NodeConnection("http://me:s%40fe@localhost:1", Credentials())
    assert "s%40fe" not in str(refused.value) and "s@fe" not in str(refused.value)
    connection = NodeConnection("http://localhost:1/key", Credentials(user="me", password="s@fe"))
    assert connection.name == "http://localhost:1"
    assert connection._credentials.header() == "Basic " + base64.b64encode(b"me:s@fe").decode()
    assert "s@fe" not in repr(connection._credentials)
