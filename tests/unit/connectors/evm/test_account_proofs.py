"""Which blocks' states are asked for, and what is told of an answer that is missing, late or forged."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from connectors.evm.account_proofs import AccountProver
from connectors.evm.answers import RawHeader
from connectors.evm.errors import RpcError
from connectors.evm.features import NodeFeatures
from connectors.evm.node import Node
from connectors.evm.rpc import NodeConnection
from connectors.evm.watch import watch_list
from pipeline.chains.evm.headers import header_hash
from pipeline.log.events.chain import Output, Transaction, WatchedWallet
from tests.evm_encoding import header_rlp, state_trie

HOT, COLD = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
WATCHED = watch_list([WatchedWallet(name="hot", addresses=[HOT]), WatchedWallet(name="cold", addresses=[COLD])])
ROOT, NODES = state_trie({HOT: 5, COLD: 7})


def header(height: int) -> RawHeader:
    raw = header_rlp({
        "parentHash": "0x" + "00" * 32, "sha3Uncles": "0x" + "11" * 32, "miner": "0x" + "22" * 20, "stateRoot": "0x" + ROOT.hex(), "transactionsRoot": "0x" + "33" * 32,
        "receiptsRoot": "0x" + "44" * 32, "logsBloom": "0x" + "00" * 256, "difficulty": "0x0", "number": hex(height), "gasLimit": "0x1", "gasUsed": "0x1",
        "timestamp": hex(1_790_000_000 + height), "extraData": "0x", "mixHash": "0x" + "44" * 32, "nonce": "0x" + "00" * 8,
    })  # fmt: skip
    return RawHeader(height, header_hash(raw), "00" * 32, 1_790_000_000 + height, raw, None)  # type: ignore[arg-type]


class Asked:
    """A node in so far as it is asked for proofs."""

    name = "node"

    def __init__(self, answer: Any = None, *, offers: bool = True) -> None:
        self.features, self.answer = SimpleNamespace(may_have=lambda _: offers), answer
        self.asked: list[tuple[int, list[str]]] = []
        self.asked_at_once: list[tuple[int, list[str]]] = []
        self.proves_at_once: set[int] = set()

    def account_proofs_at_once(self, asked: dict[tuple[int, str], list[str]]) -> dict[int, list[list[str]]]:
        self.asked_at_once += [(height, addresses) for (height, _), addresses in asked.items()]
        return {
            height: [["0x" + node.hex() for node in NODES[address]] for address in addresses]
            for (height, _), addresses in asked.items()
            if height in self.proves_at_once
        }

    def account_proofs(self, addresses: list[str], height: int, _: str) -> list[list[str] | None]:
        self.asked.append((height, addresses))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or [["0x" + node.hex() for node in NODES[address]] for address in addresses]

    def block(self, block_hash: str) -> SimpleNamespace:
        return SimpleNamespace(header=next(h for h in map(header, range(20)) if h.hash == block_hash))


def paid(asset: str = "ETH", wallet: str | None = "hot") -> Transaction:
    output = Output(vout=0, value="1", address=HOT, wallet=wallet, asset=asset, script_type="account", ref="tx")
    return Transaction(
        txid="ab" * 32, position=0, is_coinbase=False, inputs=[], other_inputs=1, other_inputs_value="1", outputs=[output], fee="0", fee_asset="ETH",
    )  # fmt: skip


def around(node: Asked, found: dict[int, list[Transaction]], ends: dict[int, str] | None = None) -> dict[int, Any]:
    headers = [header(height) for height in (11, 12, 13, 14)]
    return AccountProver(node).around(headers, found, ends or {}, WATCHED, "ETH", (10, header(10).hash))  # type: ignore[arg-type]


def test_the_block_before_and_the_block_itself_are_asked_for_what_it_moves_and_a_months_last_for_all() -> None:
    node = Asked()
    proved = around(node, {11: [paid()], 13: [paid()], 14: [paid("0xToken"), paid(wallet=None)]}, {12: header(12).hash})
    assert node.asked == [(10, [HOT]), (11, [HOT]), (12, [HOT, COLD]), (13, [HOT])], (
        "a month's last block has all; tokens and strangers have none"
    )
    assert proved[10].header.hash == header(10).hash and proved[12].rows.value == ["5", "7"] and proved[12].rows.wallet == ["hot", "cold"]
    assert proved[11].rows.proof == [[node.hex() for node in NODES[HOT]]]


def test_all_are_asked_at_once_and_alone_only_those_that_were_not_proved_then() -> None:
    node = Asked()
    node.proves_at_once = {10, 13}
    proved = around(node, {11: [paid()], 13: [paid()]}, {12: header(12).hash})
    assert node.asked_at_once == [(10, [HOT]), (11, [HOT]), (12, [HOT, COLD]), (13, [HOT])]
    assert node.asked == [(11, [HOT]), (12, [HOT, COLD])]
    assert {height: one.rows.value for height, one in proved.items()} == {10: ["5"], 11: ["5"], 12: ["5", "7"], 13: ["5"]}


class Answering(NodeConnection):
    """A connection whose node proves what it is asked, but for some blocks."""

    def __init__(self, without: dict[str, msgspec.Raw | RpcError]) -> None:
        super().__init__("http://127.0.0.1:1")
        self.without, self.batches = without, []  # type: ignore[var-annotated]

    def ask(self, calls: Any) -> list[msgspec.Raw | RpcError]:
        self.batches.append([(method, params[0], params[2]) for method, params in calls])
        proof = msgspec.Raw(b'{"accountProof": ["0x00"], "balance": "0x1"}')
        return [self.without.get(params[2]["blockHash"][2:] if isinstance(params[2], dict) else "", proof) for _, params in calls]


@pytest.mark.parametrize("answer", [msgspec.Raw(b"null"), RpcError("x", method="eth_getProof", code=-32000, text="missing trie node")])
def test_the_proofs_of_several_blocks_are_one_request_and_a_block_with_one_missing_is_left_out(answer: msgspec.Raw | RpcError) -> None:
    node = Node(connection := Answering({"bb": answer}), 1)
    node.features = NodeFeatures("", (), "hash", has_state_by_hash=True, has_trace_filter=False, has_account_proofs=True)
    told = node.account_proofs_at_once({(1, "aa"): [HOT, COLD], (2, "bb"): [HOT], (3, "cc"): [COLD]})
    assert told == {1: [["0x00"], ["0x00"]], 3: [["0x00"]]}
    hot, cold = HOT.lower(), COLD.lower()
    at_a, at_b, at_c = ({"blockHash": "0x" + name} for name in ("aa", "bb", "cc"))
    assert connection.batches == [
        [("eth_getProof", hot, at_a), ("eth_getProof", cold, at_a), ("eth_getProof", hot, at_b), ("eth_getProof", cold, at_c)]
    ]


def test_one_block_or_a_node_that_takes_no_hash_is_not_asked_at_once() -> None:
    node = Node(connection := Answering({}), 1)
    node.features = NodeFeatures("", (), "hash", has_state_by_hash=True, has_trace_filter=False, has_account_proofs=True)
    assert node.account_proofs_at_once({(1, "aa"): [HOT]}) == {}
    node.features = replace(node.features, has_state_by_hash=False)
    assert node.account_proofs_at_once({(1, "aa"): [HOT], (2, "bb"): [HOT]}) == {}
    assert connection.batches == []


@pytest.mark.parametrize(
    "node",
    [
        Asked(offers=False),
        Asked([None]),
        Asked(RpcError("x", method="eth_getProof", code=-32000, text="distance to target block exceeds maximum proof window")),
        Asked([["0x" + node.hex() for node in NODES[COLD]][:1]]),
        Asked([["0x00"]]),
        Asked([["zz"]]),
        Asked([[]]),
    ],
    ids=["not offered", "state is gone", "refused", "cut short", "other root", "no hex", "no nodes"],
)
def test_what_is_not_proved_is_not_told_and_stops_nothing(node: Asked) -> None:
    assert around(node, {12: [paid()]}) == {}
