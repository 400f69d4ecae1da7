"""The replay node: it answers what the recorded node answered, byte for byte, and plays its sequence as a node lives it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from connectors.standins.bitcoin_node import ReplayNode
from pipeline.chains.bitcoin.wire import parse_block, parse_spent_outputs
from pipeline.model.errors import SourceError

from ..unit.chains.bitcoin.chains import transaction
from .recordings import GENESIS_HASH, START, Chain, txid_of

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"


class Client:
    """A node's client, as plain as can be."""

    def __init__(self, node: ReplayNode) -> None:
        user, _, password = node.cookie_path.read_text().partition(":")
        self.http = httpx.Client(base_url=node.rpc_url, auth=(user, password), timeout=20, trust_env=False)

    def post(self, body: object, **options: object) -> httpx.Response:
        return self.http.post("/", content=body if isinstance(body, str) else json.dumps(body), **options)

    def rpc(self, method: str, *params: object) -> object:
        reply = self.post({"method": method, "params": list(params), "id": "c"}).json()
        assert reply["error"] is None, reply
        return reply["result"]

    def error(self, method: str, *params: object) -> tuple[int, str]:
        reply = self.post({"method": method, "params": list(params), "id": "c"})
        assert reply.status_code in (400, 404, 500)
        return reply.json()["error"]["code"], reply.json()["error"]["message"]

    def rest(self, path: str) -> httpx.Response:
        return self.http.get(f"/rest/{path}", auth=None)


@pytest.fixture(scope="module")
def example() -> Iterator[Client]:
    """The example month, played to its end."""
    with ReplayNode(EXAMPLE) as node:
        node.play_all()
        client = Client(node)
        with client.http:
            yield client


def rows_of(name: str) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress((EXAMPLE / f"{name}.jsonl.gz").read_bytes()).splitlines()]


def recorded() -> list[dict]:
    return [json.loads(line) for line in (EXAMPLE / "rpc.jsonl").read_text().splitlines()]


# --- the recorded node's own answers ---


@pytest.mark.parametrize("answer", recorded(), ids=lambda answer: f"{answer['method']}-{str(answer['params'])[-6:]}")
def test_every_recorded_answer_byte_for_byte(example: Client, answer: dict) -> None:
    reply = example.post({"method": answer["method"], "params": answer["params"], "id": "c"})
    assert reply.text == answer["response"]
    assert reply.headers["content-type"] == "application/json"
    error = json.loads(answer["response"])["error"]
    assert reply.status_code == (200 if error is None else 404 if error["code"] == -32601 else 500)


def test_answers_without_the_recording_of_answers(tmp_path: Path) -> None:
    """Everything that blocks tell is computed: only what no block knows may differ."""
    for name in ("chain.jsonl.gz", "sequence.jsonl.gz"):
        shutil.copy(EXAMPLE / name, tmp_path)
    with ReplayNode(tmp_path) as node:
        node.play_all()
        client = Client(node)
        with client.http:
            for answer in recorded():
                reply = client.post({"method": answer["method"], "params": answer["params"], "id": "c"}).json()
                expected = json.loads(answer["response"])
                if answer["method"] == "getnetworkinfo":
                    assert reply["result"]["subversion"].startswith("/Satoshi:")
                    continue
                if answer["method"] == "getblockchaininfo":
                    assert reply["result"].pop("warnings") == []
                    expected["result"].pop("warnings")
                assert reply == expected


# --- the sequence ---


def test_following_the_tip_sees_every_block(tmp_path: Path) -> None:
    """A client that asks for the tip and walks back meets all 5,117 blocks, stale ones too."""
    blocks = {row["hash"] for row in rows_of("chain")}
    events = rows_of("sequence")
    stale = {event["hash"] for event in events if event["event"] == "disconnect"}
    seen: dict[str, str] = {GENESIS_HASH: ""}
    tips: list[str] = []
    with ReplayNode(EXAMPLE) as node:
        client = Client(node)
        headers = http.client.HTTPConnection("127.0.0.1", client.http.base_url.port)
        with client.http, contextlib.closing(headers):
            while not node.is_finished:
                place = client.rpc("getbestblockhash")
                tips.append(place)
                while place not in seen:
                    headers.request("GET", f"/rest/headers/1/{place}.bin")
                    header = headers.getresponse().read()
                    seen[place] = place = header[4:36][::-1].hex()
        assert node.progress == (len(events), len(events)) == (5119, 5119)
    assert seen.keys() == blocks
    assert stale <= seen.keys() and len(stale) == 3
    assert len(tips) < 5119 / 16 + 10


def polls(node: ReplayNode, client: Client) -> list[int]:
    """How far each look at the tip plays."""
    played = []
    while not node.is_finished:
        client.rpc("getblockcount")
        played.append(node.progress[0])
    return played


def followed(chain: Chain, tmp_path: Path, events_per_poll: int) -> list[int]:
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=events_per_poll) as node:
        client = Client(node)
        with client.http:
            return polls(node, client)


def test_a_stale_tip_is_shown_once(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(5)
    chain.disconnect()
    chain.disconnect()
    chain.extend(4)
    assert followed(chain, tmp_path, 16) == [5, 11]
    assert followed(chain, tmp_path, 2) == [2, 4, 5, 8, 10, 11]  # after disconnects on to the next connect, past the two
    assert followed(chain, tmp_path, 5) == [5, 10, 11]
    assert followed(chain, tmp_path, 1) == [1, 2, 3, 4, 5, 8, 9, 10, 11]


def test_a_reorganisation_of_one_instant_is_never_half_done(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(4)
    left = [chain.disconnect() for _ in range(3)]
    for _ in range(5):
        chain.connect(chain.mine())
    winner = chain.tip
    chain.extend(2)
    assert followed(chain, tmp_path, 1) == [1, 2, 3, 4, 12, 13, 14]
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=0) as node:
        client = Client(node)
        with client.http:
            node.play_all()
            # More work brought it about: nobody called those blocks invalid.
            assert [(tip["hash"], tip["branchlen"], tip["status"]) for tip in client.rpc("getchaintips")] == [
                (chain.tip, 0, "active"), (left[0], 3, "valid-fork"),
            ]  # fmt: skip
            assert client.rpc("getblockheader", winner)["confirmations"] == 3


def test_reorganise_and_return(tmp_path: Path) -> None:
    chain = Chain()
    first = chain.extend(3)
    chain.disconnect()
    chain.clock += 60
    second = chain.connect(chain.mine())
    chain.clock += 60
    chain.disconnect()
    chain.connect(first[2])
    chain.extend(1)
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=0) as node:
        client = Client(node)
        with client.http:
            node.play(4)
            assert client.rpc("getbestblockhash") == first[1]
            assert client.rpc("getblockheader", first[2])["confirmations"] == -1
            assert client.error("getblock", second) == (-5, "Block not found")
            assert [tip["status"] for tip in client.rpc("getchaintips")] == ["invalid", "active"]
            node.play(1)
            assert client.rpc("getblockhash", 3) == second
            node.play_all()
            assert client.rpc("getblockhash", 3) == first[2]
            header = client.rpc("getblockheader", first[2])
            assert (header["confirmations"], header["nextblockhash"]) == (2, chain.tip)
            assert "nextblockhash" not in client.rpc("getblockheader", second)
            assert [(tip["hash"], tip["status"]) for tip in client.rpc("getchaintips")][1:] == [(second, "invalid")]
    assert followed(chain, tmp_path, 100) == [3, 5, 8]


def test_header_times_that_run_backwards(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(12)
    early = chain.connect(chain.mine(time=chain.clock - 3000))
    chain.extend(1)
    with ReplayNode(chain.write(tmp_path / "recording")) as node:
        node.play_all()
        client = Client(node)
        with client.http:
            header = client.rpc("getblockheader", early)
            assert header["time"] == START + 12 * 600 - 3000 and header["mediantime"] == START + 6 * 600 + 600


def test_initial_download_ends_with_the_first_recent_block(tmp_path: Path) -> None:
    chain = Chain()
    chain.connect(chain.mine(time=chain.clock - 2 * 24 * 3600))
    chain.extend(1)
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=0) as node:
        client = Client(node)
        with client.http:
            seen = []
            for _ in range(3):
                seen.append(client.rpc("getblockchaininfo")["initialblockdownload"])
                node.play(1)
            assert seen == [True, True, False]


# --- spending ---


def test_transactions_chained_within_a_block_and_strange_scripts(tmp_path: Path) -> None:
    key = b"\x02" + bytes(range(32))
    scripts = {
        "pubkey": b"\x21" + key + b"\xac",
        "multisig": b"\x51\x21" + key + b"\x51\xae",
        "nulldata": b"\x6a\x04abcd",
        "anchor": b"\x51\x02\x4e\x73",
        "witness_unknown": b"\x60\x02ab",
        "witness_v1_taproot": b"\x51\x20" + bytes(31) + b"\x05",
        "nonstandard": b"\x51",
    }
    chain = Chain()
    (first,) = chain.extend(1)
    one = transaction([(chain.coinbase_txid(first), 0, b"", 0)], [(1000 * place, script) for place, script in enumerate(scripts.values())])
    two = transaction([(txid_of(one), 6, b"", 7)], [(5000, b"\x51"), (0, b"")])
    stack = [[], [b"proof"]]
    three_stripped = transaction([(txid_of(two), 0, b"\x51", 1), (txid_of(one), 4, b"", 1)], [(1, b"\x51")])
    three = transaction([(txid_of(two), 0, b"\x51", 1), (txid_of(one), 4, b"", 1)], [(1, b"\x51")], witness=stack)
    chain.clock += 600
    block = chain.mine(one, two)
    raw_root = chain.connect(block)
    chain.extend(1)
    with ReplayNode(chain.write(tmp_path / "recording")) as node:
        node.play_all()
        client = Client(node)
        with client.http:
            printed = client.rpc("getblock", raw_root, 3)
            outputs = printed["tx"][1]["vout"]
            assert [output["scriptPubKey"]["type"] for output in outputs] == list(scripts)
            assert [("address" in output["scriptPubKey"]) for output in outputs] == [False, False, False, True, True, True, False]
            prevout = printed["tx"][2]["vin"][0]["prevout"]
            assert (prevout["generated"], prevout["height"], prevout["value"]) == (False, 2, 0.00006)
            assert printed["tx"][2]["fee"] == 0.00001
            spent = parse_spent_outputs(client.rest(f"spenttxouts/{block}.bin").content)
            assert [[(output.value, output.script) for output in outputs] for outputs in spent] == [
                [], [(50_0000_0000, b"\x51")], [(6000, b"\x51")],
            ]  # fmt: skip
            found = client.rpc("scanblocks", "start", [f"raw({scripts['multisig'].hex()})"])
            assert found["relevant_blocks"] == [block]
            assert client.rpc("scanblocks", "start", [f"raw({scripts['nulldata'].hex()})"])["relevant_blocks"] == []
    assert three_stripped != three


def test_a_transaction_mined_again_after_a_reorganisation(tmp_path: Path) -> None:
    chain = Chain()
    (first,) = chain.extend(1)
    payment = transaction([(chain.coinbase_txid(first), 0, b"", 0)], [(1, b"\x51")])
    chain.clock += 600
    stale = chain.connect(chain.mine(payment))
    chain.disconnect()
    chain.extend(1)
    chain.clock += 600
    kept = chain.connect(chain.mine(payment))
    txid = txid_of(payment).hex()
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=0) as node:
        client = Client(node)
        with client.http:
            node.play(3)
            lost = client.rpc("getrawtransaction", txid, 1)
            assert (lost["blockhash"], lost["confirmations"], "time" in lost) == (stale, 0, False)
            node.play_all()
            found = client.rpc("getrawtransaction", txid, 2)
            assert (found["blockhash"], found["confirmations"], found["vin"][0]["prevout"]["height"]) == (kept, 1, 1)
            assert client.rpc("getrawtransaction", txid, 1, stale)["in_active_chain"] is False
            assert client.error("getrawtransaction", txid, 1, first)[1].startswith("No such transaction found in the provided block")


# --- REST ---


def test_rest_gives_the_bytes(example: Client) -> None:
    best = example.rpc("getbestblockhash")
    raw = example.rpc("getblock", best, 0)
    assert example.rest(f"block/{best}.bin").content == bytes.fromhex(raw)
    assert example.rest(f"block/{best}.hex").text == raw + "\n"
    assert example.rest(f"block/{best}.json").json() == example.rpc("getblock", best, 3)
    assert example.rest(f"block/notxdetails/{best}.json").json() == example.rpc("getblock", best, 1)
    assert example.rest("chaininfo.json").json() == example.rpc("getblockchaininfo")
    assert example.rest("blockhashbyheight/5113.hex").text == best + "\n"
    assert example.rest("blockhashbyheight/5113.bin").content == bytes.fromhex(best)[::-1]
    assert example.rest("blockhashbyheight/5113.json").json() == {"blockhash": best}


def test_rest_headers_follow_the_main_chain(example: Client) -> None:
    start = example.rpc("getblockhash", 100)
    deprecated, current = example.rest(f"headers/2000/{start}.bin").content, example.rest(f"headers/{start}.bin?count=2000").content
    assert deprecated == current and len(current) == 80 * 2000
    assert len(example.rest(f"headers/{start}.bin").content) == 80 * 5
    assert len(example.rest(f"headers/2000/{example.rpc('getblockhash', 5110)}.bin").content) == 80 * 4
    stale = example.rpc("getchaintips")[1]["hash"]
    assert example.rest(f"headers/5/{stale}.bin").content == b""


def test_rest_spent_outputs_match_what_blocks_spend(example: Client) -> None:
    for height in (0, 1, 289, 290):
        block_hash = example.rpc("getblockhash", height)
        block = parse_block(example.rest(f"block/{block_hash}.bin").content)
        spent = parse_spent_outputs(example.rest(f"spenttxouts/{block_hash}.bin").content)
        assert [len(outputs) for outputs in spent] == [0 if tx.is_coinbase else len(tx.inputs) for tx in block.transactions]
        for tx, outputs in zip(block.transactions, spent, strict=True):
            for spend, output in zip(tx.inputs, outputs, strict=False):
                source = example.rpc("getrawtransaction", spend.txid.hex(), 1)["vout"][spend.vout]
                assert bytes.fromhex(source["scriptPubKey"]["hex"]) == output.script


NONE = "1" * 64


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        (f"block/{NONE}.bin", 404, f"{NONE} not found\r\n"),
        (f"spenttxouts/{NONE}.bin", 404, f"{NONE} not found\r\n"),
        ("block/zz.bin", 400, "Invalid hash: zz\r\n"),
        (f"block/{GENESIS_HASH}", 404, "output format not found (available: .bin, .hex, .json)\r\n"),
        (f"block/{GENESIS_HASH}.xml", 400, f"Invalid hash: {GENESIS_HASH}.xml\r\n"),
        (f"headers/0/{GENESIS_HASH}.bin", 400, "Header count is invalid or out of acceptable range (1-2000): 0\r\n"),
        (f"headers/{GENESIS_HASH}.bin?count=2001", 400, "Header count is invalid or out of acceptable range (1-2000): 2001\r\n"),
        ("headers/1/2/3.bin", 400, "Invalid URI format. Expected /rest/headers/<hash>.<ext>?count=<count>\r\n"),
        ("blockhashbyheight/-1.json", 400, "Invalid height: -1\r\n"),
        ("blockhashbyheight/99999.json", 404, "Block height out of range\r\n"),
        ("spenttxouts/a/b.bin", 400, "Invalid URI format. Expected /rest/spenttxouts/<hash>.<ext>\r\n"),
        ("chaininfo.bin", 404, "output format not found (available: json)\r\n"),
        (f"blockfilter/extended/{GENESIS_HASH}.bin", 400, "Unknown filtertype extended\r\n"),
        ("mempool/info.json", 404, ""),
    ],
)
def test_rest_refusals(example: Client, path: str, status: int, text: str) -> None:
    reply = example.rest(path)
    assert (reply.status_code, reply.text) == (status, text)


# --- JSON-RPC's manners ---


def test_versions_of_json_rpc(example: Client) -> None:
    assert example.post({"method": "getblockcount"}).text == '{"result":5113,"error":null}\n'
    assert example.post({"jsonrpc": "1.0", "method": "getblockcount", "id": 1}).text == '{"result":5113,"error":null,"id":1}\n'
    assert example.post({"jsonrpc": "2.0", "method": "getblockcount", "id": "é"}).text == '{"jsonrpc":"2.0","result":5113,"id":"é"}\n'
    unknown = example.post({"jsonrpc": "2.0", "method": "nosuch", "id": 1})
    assert (unknown.status_code, unknown.text) == (200, '{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}\n')
    notification = example.post({"jsonrpc": "2.0", "method": "getblockcount"})
    assert (notification.status_code, notification.content) == (204, b"")
    assert example.post({"method": "getblockhash", "params": {"height": 0}, "id": 1}).json()["result"] == GENESIS_HASH


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("{", 500, '{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}\n'),
        ("3", 500, '{"result":null,"error":{"code":-32700,"message":"Top-level object parse error"},"id":null}\n'),
        ("{}", 400, '{"result":null,"error":{"code":-32600,"message":"Missing method"}}\n'),
        ('{"method":3,"id":1}', 400, '{"result":null,"error":{"code":-32600,"message":"Method must be a string"},"id":1}\n'),
        (
            '{"method":"getblockcount","params":3,"id":1}',
            400,
            '{"result":null,"error":{"code":-32600,"message":"Params must be an array or object"},"id":1}\n',
        ),
        (
            '{"method":"getblockcount","jsonrpc":"3","id":1}',
            400,
            '{"result":null,"error":{"code":-32600,"message":"JSON-RPC version not supported"},"id":1}\n',
        ),
        ("[]", 200, "[]\n"),
    ],
)
def test_malformed_requests(example: Client, body: str, status: int, text: str) -> None:
    reply = example.post(body)
    assert (reply.status_code, reply.text) == (status, text)


def test_batches(example: Client) -> None:
    calls = [{"method": "getblockhash", "params": [height], "id": height} for height in range(200)]
    reply = example.post([*calls, {"method": "nosuch", "id": "x"}, 7, {"jsonrpc": "2.0", "method": "getblockcount"}])
    assert reply.status_code == 200
    replies = reply.json()
    assert [each["id"] for each in replies] == [*range(200), "x", None]
    assert [each["result"] for each in replies[:200]] == [example.rpc("getblockhash", height) for height in range(200)]
    assert [each["error"]["code"] for each in replies[200:]] == [-32601, -32600]
    assert example.post([{"jsonrpc": "2.0", "method": "getblockcount"}]).status_code == 204


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        ("getblock", ["3", 1], -8, "blockhash must be of length 64 (not 1, for '3')"),
        ("getblock", ["z" * 64], -8, f"blockhash must be hexadecimal string (not '{'z' * 64}')"),
        ("getblock", [GENESIS_HASH, "x"], -3, "JSON value of type string is not of expected type number"),
        ("getblockhash", [1.5], -1, "JSON integer out of range"),
        ("getblockhash", [-1], -8, "Block height out of range"),
        (
            "getblockhash",
            ["1"],
            -3,
            'Wrong type passed:\n{\n    "Position 1 (height)": "JSON value of type string is not of expected type number"\n}',
        ),
        ("getblockhash", [], -1, "getblockhash height\n"),
        ("getblockcount", [1], -1, "getblockcount\n"),
        ("getblockfilter", [GENESIS_HASH, "extended"], -5, "Unknown filtertype"),
        ("scanblocks", ["begin"], -8, "Invalid action 'begin'"),
        ("scanblocks", ["start", [], 99999], -1, "Invalid start_height"),
        ("scanblocks", ["start", [], 5, 3], -1, "Invalid stop_height"),
        ("waitfornewblock", [-1], -1, "Negative timeout"),
        ("waitfornewblock", [1, "ab"], -8, "current_tip must be of length 64 (not 2, for 'ab')"),
        ("waitfornewblock", [1.5], -1, "JSON integer out of range"),
        ("deriveaddresses", ["raw(00)"], -32601, "Method not found"),
        ("call", [], -32601, "Method not found"),
    ],
)
def test_refusals(example: Client, method: str, params: list, code: int, message: str) -> None:
    assert example.error(method, *params) == (code, message)


def test_named_parameters(example: Client) -> None:
    by_name = example.post({"method": "getblock", "params": {"blockhash": GENESIS_HASH, "verbose": 0}, "id": 1}).json()
    mixed = example.post({"method": "getblock", "params": {"args": [GENESIS_HASH], "verbosity": 0}, "id": 1}).json()
    assert by_name["result"] == mixed["result"] == example.rpc("getblock", GENESIS_HASH, 0)
    wrong = example.post({"method": "getblockhash", "params": {"heigh": 4}, "id": 2}).json()
    assert wrong["error"] == {"code": -8, "message": "Unknown named parameter heigh"}


def test_waiting_for_blocks(tmp_path: Path) -> None:
    chain = Chain()
    made = chain.extend(8)
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=2) as node:
        client = Client(node)
        with client.http:
            assert client.rpc("waitfornewblock", 1000) == {"hash": made[1], "height": 2}
            assert client.rpc("waitfornewblock", 1000, made[0])["height"] == 4
            assert client.rpc("waitforblockheight", 6, 1000) == {"hash": made[5], "height": 6}
            assert client.rpc("waitforblockheight", 99, 30)["height"] == 8
            assert client.rpc("waitfornewblock", 30) == {"hash": made[7], "height": 8}
            assert node.is_finished


def test_waiting_is_woken_by_a_block(tmp_path: Path) -> None:
    chain = Chain()
    first, second = chain.extend(2)
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=0) as node:
        node.play(1)
        answers: list[object] = []

        def wait() -> None:
            client = Client(node)
            with client.http:
                answers.append(client.rpc("waitfornewblock", 15_000, first))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.3)
        assert not answers
        node.play(1)
        thread.join(timeout=20)
        assert answers == [{"hash": second, "height": 2}]


def test_closing_ends_waiting_clients(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(1)
    outcomes: list[object] = []
    with ReplayNode(chain.write(tmp_path / "recording")) as node:
        node.play_all()

        def wait() -> None:
            client = Client(node)
            with client.http:
                try:
                    outcomes.append(client.rpc("waitfornewblock"))
                except httpx.TransportError as error:
                    outcomes.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.2)
    thread.join(timeout=60)
    assert not thread.is_alive() and len(outcomes) == 1


# --- HTTP ---


def test_cookie_file(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(1)
    directory = chain.write(tmp_path / "recording")
    with ReplayNode(directory, cookie_path=tmp_path / ".cookie") as node:
        user, _, password = node.cookie_path.read_text().partition(":")
        assert user == "__cookie__" and len(bytes.fromhex(password)) == 32
        assert node.cookie_path.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / ".cookie").exists()
    with ReplayNode(directory) as node:
        folder = node.cookie_path.parent
        assert node.cookie_path.exists() and folder != directory
    assert not folder.exists()


@pytest.mark.parametrize("authorization", [None, "Basic " + base64.b64encode(b"a:b").decode(), "Basic !", "Bearer x"])
def test_wrong_password(example: Client, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}
    reply = httpx.post(example.http.base_url, json={}, headers=headers, trust_env=False)
    assert (reply.status_code, reply.content, reply.headers["www-authenticate"]) == (401, b"", 'Basic realm="jsonrpc"')


def test_paths_and_methods(example: Client) -> None:
    assert example.http.get("/").status_code == 405
    assert example.http.post("/wallet/").status_code == 404
    assert example.http.get("/rest/nothing").status_code == 404
    head = example.http.head("/rest/chaininfo.json")
    assert head.content == b"" and int(head.headers["content-length"]) > 100


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / SPDY/3\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"501"),
        (b"GET /rest/blockhashbyheight/1.hex HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /rest/blockhashbyheight/1.hex HTTP/1.1\r\nConnection: close\r\n\r\n", b"200"),
    ],
)
def test_http_that_ends_the_connection(example: Client, sent: bytes, status: bytes) -> None:
    address = (example.http.base_url.host, example.http.base_url.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.split()[1] == status


def test_many_clients_at_once(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(400)
    faults: list[str] = []
    with ReplayNode(chain.write(tmp_path / "recording"), events_per_poll=3) as node:

        def follow() -> None:
            client = Client(node)
            with client.http:
                height = 0
                while height < 400:
                    count = client.rpc("getblockcount")
                    block_hash = client.rpc("getblockhash", count)
                    if count < height or client.rpc("getblockheader", block_hash)["height"] != count:
                        faults.append(f"{height} then {count}")
                    height = count

        threads = [threading.Thread(target=follow) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert not any(thread.is_alive() for thread in threads)
    assert not faults


# --- recordings that do not hold ---


def test_recordings_that_do_not_hold(tmp_path: Path) -> None:
    def refused(change, match: str) -> None:
        chain = Chain()
        chain.extend(3)
        change(chain)
        with pytest.raises(SourceError, match=match):
            ReplayNode(chain.write(tmp_path / "recording"))

    def blocks(chain: Chain) -> list[dict]:
        return list(chain.blocks.values())

    refused(lambda chain: chain.blocks.pop(GENESIS_HASH), r"chain.jsonl.gz: it has no genesis block")
    refused(lambda chain: chain.blocks.pop(blocks(chain)[2]["hash"]), r"chain.jsonl.gz:3: the block before .* is missing")
    refused(lambda chain: blocks(chain)[2].update(time=5), r"chain.jsonl.gz:3: block .* is not what its own bytes say")
    refused(lambda chain: blocks(chain)[2].update(mediantime=5), "is not what its own bytes say")
    refused(lambda chain: blocks(chain)[2].update(height=3), "is not what its own bytes say|is missing")
    refused(
        lambda chain: blocks(chain)[2].update(raw=blocks(chain)[2]["raw"][:-2]), r"chain.jsonl.gz:3: block .* can't be read: .* ends early"
    )
    refused(lambda chain: blocks(chain)[2].update(raw="zz"), "can't be read")
    refused(lambda chain: blocks(chain)[2].update(raw=blocks(chain)[2]["raw"][:-10] + "52" + "00" * 4), "Merkle root")
    refused(lambda chain: blocks(chain)[2].pop("raw"), r"chain.jsonl.gz:3: Object missing required field `raw`")
    refused(lambda chain: chain.events.pop(1), r"sequence.jsonl.gz:2: can't connect block .*: the tip is .* at height 1")
    refused(lambda chain: chain.events[1].update(event="disconnect"), r"sequence.jsonl.gz:2: can't disconnect")
    refused(lambda chain: chain.events[1].update(event="skip"), r"sequence.jsonl.gz:2: can't skip")
    refused(lambda chain: chain.events[1].update(hash=NONE), r"sequence.jsonl.gz:2: block 1111.* is not in the recording")
    spends_nothing = transaction([(bytes(31) + b"\1", 0, b"", 0)], [(1, b"\x51")])
    refused(lambda chain: chain.connect(chain.mine(spends_nothing)), r"sequence.jsonl.gz:4: .* is nowhere unspent before it")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"chain\.jsonl\.gz: can't be read: No such file"):
        ReplayNode(tmp_path)
    chain = Chain()
    chain.extend(2)
    directory = chain.write(tmp_path / "recording")
    whole = (directory / "chain.jsonl.gz").read_bytes()
    for broken in (whole[: len(whole) // 2], b"not gzip", whole[:40] + b"\xff" * 20 + whole[60:]):
        (directory / "chain.jsonl.gz").write_bytes(broken)
        with pytest.raises(SourceError, match=r"chain\.jsonl\.gz"):
            ReplayNode(directory)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        chain.write(directory)
        with pytest.raises(SourceError, match=r"port \d+ can't be opened on 127.0.0.1 \(Address already in use\)"):
            ReplayNode(directory, port=taken.getsockname()[1])
    with pytest.raises(ValueError, match="events_per_poll is -1"):
        ReplayNode(directory, events_per_poll=-1)


def test_as_a_program(tmp_path: Path) -> None:
    chain = Chain()
    chain.extend(2)
    directory = chain.write(tmp_path / "recording")
    command = [sys.executable, "-m", "connectors.standins.bitcoin_node"]
    with subprocess.Popen([*command, directory, "--cookie", tmp_path / "cookie"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        words = program.stdout.readline().split()
        url = next(word for word in words if word.startswith("http://")).rstrip(",")
        reply = httpx.get(f"{url}/rest/chaininfo.json", trust_env=False).json()
        assert reply["blocks"] == 2 and (tmp_path / "cookie").exists()
        program.send_signal(2)
        assert program.wait(timeout=60) == 0
    refused = subprocess.run([*command, tmp_path / "nowhere"], capture_output=True, text=True, check=False)
    assert refused.returncode == SourceError.exit_code and "can't be read" in refused.stderr
