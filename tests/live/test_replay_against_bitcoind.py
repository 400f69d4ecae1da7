"""The replay node beside Bitcoin Core itself, with the same blocks: both must answer the same bytes, on everything.

Once with the example month, submitted block by block; once with a chain made here of strange scripts, transactions chained within
a block, reorganisations and a return. Without a `bitcoind` (see `.bitcoind`) these tests are skipped.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from connectors.standins.bitcoin_node import ReplayNode

from ..bitcoin_versions import HAS_SPENT_OUTPUTS, REFUSES_NEGATIVE_TIMES, SPEAKS_JSON_RPC_2, is_same
from ..unit.chains.bitcoin.chains import transaction
from ..unit.chains.bitcoin.test_script import TYPES
from .bitcoind import find_bitcoind, why_not
from .regtest_node import RegtestNode

PROGRAM = find_bitcoind()
EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
OPTIONS = ("-rest", "-txindex", "-blockfilterindex=1")
BATCH = 100

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(PROGRAM is None, reason=why_not()),
]


class Asked:
    """A node, real or replayed, asked over plain HTTP."""

    def __init__(self, url: str, cookie_path: Path) -> None:
        user, _, password = cookie_path.read_text().partition(":")
        self.http = httpx.Client(base_url=url, auth=(user, password), timeout=120, trust_env=False)

    def version(self) -> int:
        """Its major version; a development version's is that of the release before."""
        return int(self.rpc("getnetworkinfo")["version"]) // 10_000

    def batch(self, calls: list[tuple]) -> list[dict]:
        body = [{"method": method, "params": list(params), "id": place} for place, (method, *params) in enumerate(calls)]
        return self.http.post("/", json=body).json()

    def rpc(self, method: str, *params: object) -> object:
        (reply,) = self.batch([(method, *params)])
        assert reply["error"] is None, (method, params, reply["error"])
        return reply["result"]


@pytest.fixture
def real() -> Iterator[Asked]:
    assert PROGRAM is not None
    with RegtestNode(PROGRAM, *OPTIONS) as node:
        asked = Asked(node.rpc_url, node.cookie_path)
        asked.wait_for_indexes = node.wait_for_indexes
        with asked.http:
            yield asked


def same_answers(real: Asked, ours: Asked, calls: list[tuple]) -> list[str]:
    """The calls that are answered differently, singly and in batches."""
    differing = []
    version = real.version()
    for start in range(0, len(calls), BATCH):
        part = calls[start : start + BATCH]
        body = [{"method": method, "params": list(params), "id": place} for place, (method, *params) in enumerate(part)]
        if is_same(version, real.http.post("/", json=body).text, ours.http.post("/", json=body).text):
            continue
        for method, *params in part:
            single = {"method": method, "params": params, "id": 1}
            theirs, mine = real.http.post("/", json=single), ours.http.post("/", json=single)
            if theirs.status_code != mine.status_code or not is_same(version, theirs.text, mine.text):
                differing.append(f"{method} {params}\n  real {theirs.text[:4000]}\n  ours {mine.text[:4000]}")
    return differing


def same_rest(real: Asked, ours: Asked, paths: list[str]) -> list[str]:
    differing = []
    version = real.version()
    for path in paths:
        if version < HAS_SPENT_OUTPUTS and path.startswith("spenttxouts/"):
            continue
        theirs, mine = (asked.http.get(f"/rest/{path}", auth=None) for asked in (real, ours))
        facts = [(reply.status_code, reply.headers.get("content-type"), reply.content) for reply in (theirs, mine)]
        if facts[0] != facts[1] and not (facts[0][:2] == facts[1][:2] and is_same(version, theirs.text, mine.text)):
            differing.append(f"{path}\n  real {theirs.status_code} {theirs.text[:300]}\n  ours {mine.status_code} {mine.text[:300]}")
    return differing


TIP_CALLS = [("getblockchaininfo",), ("getblockcount",), ("getbestblockhash",), ("getindexinfo",), ("getchaintips",)]


def calls_on(hashes: list[str]) -> list[tuple]:
    calls: list[tuple] = list(TIP_CALLS)
    for block_hash in hashes:
        calls += [("getblock", block_hash, verbosity) for verbosity in range(4)]
        calls += [("getblockheader", block_hash), ("getblockheader", block_hash, False), ("getblockfilter", block_hash)]
    return calls


def paths_on(hashes: list[str]) -> list[str]:
    forms = (".bin", ".hex", ".json", "")
    paths = ["chaininfo.json", "chaininfo.bin", "nothing"]
    for block_hash in hashes:
        for form in forms:
            paths += [
                f"block/{block_hash}{form}", f"block/notxdetails/{block_hash}{form}", f"spenttxouts/{block_hash}{form}",
                f"headers/3/{block_hash}{form}", f"headers/{block_hash}{form}?count=2",
                f"blockfilter/basic/{block_hash}{form}", f"blockfilterheaders/basic/2/{block_hash}{form}",
            ]  # fmt: skip
    return paths


def read(name: str) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress((EXAMPLE / f"{name}.jsonl.gz").read_bytes()).splitlines()]


def submit(real: Asked, events: list[dict], blocks: dict[str, dict]) -> None:
    for start in range(0, len(events), BATCH):
        calls: list[tuple] = []
        for event in events[start : start + BATCH]:
            calls.append(("setmocktime", event["at"]))
            calls.append(
                ("submitblock", blocks[event["hash"]]["raw"]) if event["event"] == "connect" else ("invalidateblock", event["hash"])
            )
        for call, reply in zip(calls, real.batch(calls), strict=True):
            assert reply["error"] is None and reply["result"] is None, (call[0], reply)


def test_the_example_month(real: Asked) -> None:
    blocks = {row["hash"]: row for row in read("chain")}
    events = read("sequence")
    left = [place for place, event in enumerate(events) if event["event"] == "disconnect"]
    stops = sorted({1, 40, 300, *left, *(place + 1 for place in left), *(place + 6 for place in left), len(events)})
    with ReplayNode(EXAMPLE, events_per_poll=0) as node:
        ours = Asked(node.rpc_url, node.cookie_path)
        with ours.http:
            done = 0
            for stop in stops:
                submit(real, events[done:stop], blocks)
                node.play(stop - done)
                done = stop
                real.wait_for_indexes()
                near = [event["hash"] for event in events[max(0, stop - 4) : stop]]
                assert not same_answers(real, ours, calls_on(near)), f"after {stop} events"
            chosen = [row["hash"] for place, row in enumerate(blocks.values()) if place % 40 == 0 or len(row["raw"]) > 1000]
            chosen += [events[place]["hash"] for place in left]
            assert not same_answers(real, ours, calls_on(chosen))
            assert not same_rest(real, ours, paths_on(chosen[-12:]))
            pool = json.loads((EXAMPLE / "pool.json").read_text())
            addresses = [f"addr({address})" for wallet in pool["wallets"] for address in wallet["addresses"]]
            for span in ([], [1000, 3000]):
                calls = [("scanblocks", "start", addresses, *(span or [0, 5113]), "basic", {"filter_false_positives": True})]
                assert not same_answers(real, ours, calls)


class Recorder:
    """Makes a chain on a real node, and writes down what a capture of it would hold."""

    def __init__(self, real: Asked) -> None:
        self.real = real
        self.clock = 1_790_000_000
        self.events: list[dict] = []
        self.blocks: dict[str, dict] = {}
        self.main = [self._keep(real.rpc("getblockhash", 0))]

    def _keep(self, block_hash: str) -> str:
        if block_hash not in self.blocks:
            header = self.real.rpc("getblockheader", block_hash)
            row = {key: header[key] for key in ("hash", "height", "time", "mediantime")}
            self.blocks[block_hash] = row | {"prev": header.get("previousblockhash"), "raw": self.real.rpc("getblock", block_hash, 0)}
        return block_hash

    def note(self) -> None:
        """Write down how the main chain has changed."""
        height = self.real.rpc("getblockcount")
        while self.main and (len(self.main) - 1 > height or self.real.rpc("getblockhash", len(self.main) - 1) != self.main[-1]):
            self.events.append({"at": self.clock, "event": "disconnect", "hash": self.main.pop()})
        for each in range(len(self.main), height + 1):
            self.main.append(self._keep(self.real.rpc("getblockhash", each)))
            self.events.append({"at": self.clock, "event": "connect", "hash": self.main[-1]})

    def tick(self, seconds: int = 600) -> None:
        self.clock += seconds
        self.real.rpc("setmocktime", self.clock)

    def mine(self, *transactions: bytes, script: bytes = b"\x51") -> str:
        self.tick()
        made = self.real.rpc("generateblock", f"raw({script.hex()})", [raw.hex() for raw in transactions])["hash"]
        self.note()
        return made

    def write(self, directory: Path) -> Path:
        for name, rows in (("chain", self.blocks.values()), ("sequence", self.events)):
            (directory / f"{name}.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
        lines = []
        for method in ("getblockchaininfo", "getnetworkinfo"):
            response = self.real.http.post("/", json={"method": method, "params": [], "id": "c"}).text
            lines.append(json.dumps({"method": method, "params": [], "response": response}))
        (directory / "rpc.jsonl").write_text("\n".join(lines))
        return directory


def double(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()[::-1]


def push(data: bytes) -> bytes:
    assert len(data) < 256
    return bytes([len(data)]) + data if len(data) < 76 else b"\x4c" + bytes([len(data)]) + data


NO_RELATIVE_LOCK = 1 << 31
DROP_TRUE = b"\x75\x51"
SIGNATURE = bytes.fromhex(
    "30440220763cbfa794910dde7a00066c76729382f91cd00471c424fd86e36b796f212c25022062038e1405edfce4a56a45cf7eb70432a2c2771ea7a2fde83218c03b0e79376a"
)
# Anyone may spend these: their scripts, the input's script, its witness.
OPEN = [
    (b"\x51", b"", []),
    (b"\x51", push(SIGNATURE + b"\x01") + push(SIGNATURE + b"\x83"), []),
    (b"", b"\x51", []),
    (b"", b"\x00\x4f\x01\x81\x04\xff\xff\xff\xff\x05\x01\x02\x03\x04\x05\x61\x51", []),
    (b"\x51\x02\x4e\x73", b"", []),
    (b"\x60\x02ab", b"", [b"", b"x" * 300]),
    (b"\x51\x21" + b"\1" * 33, b"", [b"\1"]),
    (b"\xa9\x14" + bytes.fromhex("da1745e9b549bd0bfa1a569971c77eba30cd5a4b") + b"\x87", push(b"\x51"), []),
    (b"\x00\x20" + sha256(DROP_TRUE).digest(), b"", [b"y" * 520, DROP_TRUE]),
    (b"\x75\x51", push(SIGNATURE + b"\x04"), []),
]
STRANGE = [
    *((0, script) for script, _ in TYPES),
    *((1 + place, script) for place, (script, _) in enumerate(TYPES)),
    (12345, b"\x6a" + push(b"z" * 200)),
    (0, b"\x51" * 12_000),
    (2_100_000_000, b"\xba\xbb\xfe\xff\x50\x6a\x4d\x02"),
]


def strange_chain(recorder: Recorder) -> None:
    """Blocks, transactions and reorganisations of every kind that a consensus allows and a wallet never makes."""
    first = [recorder.mine() for _ in range(6)]
    recorder.mine(script=b"\x21\x02" + bytes(31) + b"\x05\xac")
    for _ in range(110):
        recorder.mine()
    coinbases = [bytes.fromhex(recorder.real.rpc("getblock", block_hash, 1)["tx"][0]) for block_hash in first]
    outputs = [(1000 + place, script) for place, (script, _, _) in enumerate(OPEN)]
    one = transaction([(coinbases[0], 0, b"", 0xFFFFFFFF)], outputs + STRANGE, version=3)
    inputs = [(double(one), place, script_sig, NO_RELATIVE_LOCK | place) for place, (_, script_sig, _) in enumerate(OPEN)]
    stacks = [stack for _, _, stack in OPEN]
    many = [(3, b"\x51")] * 300
    two = transaction(inputs, many, witness=stacks, locktime=5, version=0xFFFFFFFE)
    stripped_two = transaction(inputs, many, locktime=5, version=0xFFFFFFFE)
    three = transaction([(double(stripped_two), place, b"", NO_RELATIVE_LOCK) for place in range(260)], [(0, b"\x6a"), (700, b"\x51")])
    recorder.mine(one, two, three)
    recorder.mine(transaction([(double(three), 1, b"", NO_RELATIVE_LOCK)], [(700, b"\x51")]))

    # A reorganisation three deep, in which a payment is mined again elsewhere.
    four = transaction([(coinbases[1], 0, b"", NO_RELATIVE_LOCK)], [(49_0000_0000, b"\x51")])
    five = transaction([(coinbases[2], 0, b"", NO_RELATIVE_LOCK)], [(48_0000_0000, b"\x51")])
    fork = recorder.mine(four)
    recorder.mine()
    recorder.mine(five)
    recorder.real.rpc("invalidateblock", fork)
    recorder.note()
    recorder.mine()
    recorder.mine(five, four)
    # ... and the way back, by more work, at one instant: the branch just left was never called invalid.
    recorder.tick()
    recorder.real.rpc("reconsiderblock", fork)
    recorder.note()
    recorder.mine()
    # A time that runs backwards, as far as consensus lets it.
    recorder.tick(-3000)
    recorder.mine()
    recorder.tick(6000)
    recorder.mine()


def test_a_chain_of_strange_things(real: Asked, tmp_path: Path) -> None:
    recorder = Recorder(real)
    strange_chain(recorder)
    real.wait_for_indexes()
    kinds = [event["event"] for event in recorder.events]
    assert kinds.count("disconnect") >= 5
    with ReplayNode(recorder.write(tmp_path), events_per_poll=0) as node:
        ours = Asked(node.rpc_url, node.cookie_path)
        with ours.http:
            node.play_all()
            hashes = list(recorder.blocks)
            calls = [*calls_on(hashes), ("getnetworkinfo",)]
            txids = [txid for block_hash in recorder.main[1:] for txid in real.rpc("getblock", block_hash, 1)["tx"]]
            calls += [("getrawtransaction", txid, verbosity) for txid in txids for verbosity in range(3)]
            calls += [("getblockhash", height) for height in range(-1, len(recorder.main) + 1)]
            scripts = sorted({script.hex() for _, script in STRANGE} | {script.hex() for script, _, _ in OPEN})
            calls += [
                ("scanblocks", "start", [f"raw({script})"], 0, 100, "basic", {"filter_false_positives": True})
                for script in scripts
                if script
            ]
            calls += [("scanblocks", "start", [f"raw({script})" for script in scripts if script], 100)]
            assert not same_answers(real, ours, calls)
            assert not same_rest(real, ours, paths_on(hashes[-14:]))
            assert {tip["status"] for tip in ours.rpc("getchaintips")} == {"active", "valid-fork"}


ODD_CALLS = [
    ("getblockhash", "1"), ("getblockhash", 1.5), ("getblockhash", 2**40), ("getblockhash", None),
    ("getblock", "3"), ("getblock", "z" * 64), ("getblock", 3), ("getblock", "1" * 64, "x"), ("getblock", "1" * 64, []),
    ("getblockheader", "1" * 64, 1), ("getblockheader", "zz"), ("getblockfilter", "2" * 64), ("getblockfilter", "2"),
    ("getblockfilter", "2" * 64, "extended"), ("getrawtransaction", "1" * 64), ("getrawtransaction", "1" * 63),
    ("getrawtransaction", "1" * 64, 1, "2" * 64), ("getrawtransaction", "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"),
    ("getindexinfo", "txindex"), ("getindexinfo", "other"), ("scanblocks", "status"), ("scanblocks", "abort"), ("scanblocks", "begin"),
    ("scanblocks", "start", ["addr(x)"]), ("scanblocks", "start", ["raw(00)"], 5), ("scanblocks", "start", ["raw(00)"], -1),
    ("scanblocks", "start", ["raw(00)"], 0, 10), ("scanblocks", "start", ["raw(00)"], 0, 0, "extended"), ("scanblocks", "start", [3]),
    ("scanblocks", "start", [{}]), ("scanblocks", "start", ["foo"]), ("scanblocks", "start", ["foo(1)"]), ("scanblocks", "start", ["raw(zz)"]),
    ("scanblocks", "start", ["raw(00)#aaaaaaaa"]), ("waitfornewblock", -1), ("waitfornewblock", 20), ("waitfornewblock", "a"),
    ("waitforblockheight", 0), ("waitforblockheight", 9, 20), ("deriveaddressesx",),
]  # fmt: skip
ODD_BODIES = [
    "", "{", "3", "null", '"a"', "[]", "[1]", "{}", '{"method":3}', '{"method":"getblockcount","params":3}', '{"method":"getblockcount"}',
    '{"method":"getblockcount","jsonrpc":"3"}', '{"method":"getblockcount","jsonrpc":3,"id":1}', '{"method":"getblockcount","jsonrpc":"1.0"}',
    '{"method":"getblockcount","jsonrpc":"2.0"}', '[{"method":"getblockcount","jsonrpc":"2.0"}]', '{"method":"no","jsonrpc":"2.0","id":1}',
    '[{"method":"getblockcount","jsonrpc":"2.0"},{"method":"getblockcount","id":null},{"method":"no","id":"a"}]',
    '{"method":"getblockhash","params":{"height":0},"id":2}', '{"method":"getblockhash","params":{"heigh":0},"id":2}',
    '{"method":"getblockhash","params":{"args":[0]},"id":2}', '{"method":"getblockcount","id":[1,{"a":2.5}]}',
]  # fmt: skip


def test_refusals_and_manners(real: Asked, tmp_path: Path) -> None:
    recorder = Recorder(real)
    recorder.mine()
    real.wait_for_indexes()
    with ReplayNode(recorder.write(tmp_path), events_per_poll=0) as node:
        ours = Asked(node.rpc_url, node.cookie_path)
        with ours.http:
            node.play_all()
            version = real.version()
            calls = [call for call in ODD_CALLS if version >= REFUSES_NEGATIVE_TIMES or call != ("waitfornewblock", -1)]
            differing = same_answers(real, ours, calls)
            for body in ODD_BODIES if version >= SPEAKS_JSON_RPC_2 else [body for body in ODD_BODIES if '"jsonrpc"' not in body]:
                theirs, mine = (asked.http.post("/", content=body) for asked in (real, ours))
                facts = [(each.status_code, each.headers.get("content-type")) for each in (theirs, mine)]
                if facts[0] != facts[1] or not is_same(version, theirs.text, mine.text):
                    differing.append(f"{body}\n  real {facts[0]} {theirs.text}\n  ours {facts[1]} {mine.text}")
            for auth in (None, ("a", "b")):
                for method, path in (("POST", "/"), ("GET", "/"), ("GET", "/other"), ("GET", "/rest/other")):
                    theirs, mine = (asked.http.request(method, path, auth=auth) for asked in (real, ours))
                    facts = [(each.status_code, each.headers.get("www-authenticate"), each.text) for each in (theirs, mine)]
                    differing += [f"{method} {path}: {facts}"] if facts[0] != facts[1] else []
            assert not differing, "\n".join(differing)
