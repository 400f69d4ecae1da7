"""Two real geth nodes of one chain: the first keeps its newest states only, the second is an archive node. One is killed and started again, then the other.

What is told is what an archive node alone tells, and both nodes stand behind it (ADR 20)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from connectors.evm import EvmChain, EvmConnector, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.follow.connector import NodeLogin
from pipeline.log.events import decode
from pipeline.log.events.chain import Accounts, Balances, Connect, Stretch, WatchedWallet, Witnessed

from .evm import provision
from .evm.chronicle import Actor
from .evm.nodes import CHAIN_ID, Geth, genesis
from .evm.provision import Missing

pytestmark = pytest.mark.live

ETHER, BEGIN, FINALITY = 10**18, 1_793_000_000, 6
HOT = Actor("pool hot wallet")
MINER = to_checksum("0x" + 40 * "b")


class Chain:
    """The chain, and who signs on it."""

    def __init__(self, node: Geth) -> None:
        self.node = node
        self._at, self._nonces = itertools.count(BEGIN + 12, 12), itertools.count()

    def payment(self) -> str:
        fields = {"chainId": CHAIN_ID, "nonce": next(self._nonces), "value": ETHER, "gas": 21_000, "to": MINER}
        signed = Account.sign_transaction({**fields, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}, HOT.key)
        return "0x" + signed.raw_transaction.hex().removeprefix("0x")

    def mine(self, n_blocks: int, *, every: int) -> None:
        """Blocks, every so many of them with a payment."""
        for number in range(n_blocks):
            self.node.mine([self.payment()] if number % every == 0 else [], next(self._at))

    def build(self) -> dict[str, Any]:
        """A block with a payment that the first node does not get yet."""
        return self.node.build([self.payment()], next(self._at))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    try:
        program = provision.geth()
    except Missing as missing:
        pytest.skip(str(missing))
    with Geth(program, tmp_path, genesis(BEGIN, {HOT.address: 1000 * ETHER}), is_archive=False) as node:
        chain = Chain(node)  # type: ignore[arg-type]
        chain.mine(200, every=20)
        yield chain


def connector(log: MemoryLog, *urls: str) -> EvmConnector:
    return EvmConnector(
        log,
        EvmChain(
            pool_id="pool", chain="eth", asset="ETH", network=f"evm:{CHAIN_ID}", rpc_url=urls[0], start_height=1, finality=FINALITY, blocks_a_step=16,
            wallets=[WatchedWallet(name="hot", addresses=[HOT.address])], further_nodes=[NodeLogin(rpc_url=url) for url in urls[1:]],
            witnesses=len(urls), timeout_s=10.0,
        ),
    )  # fmt: skip


def to_tip(evm: EvmConnector) -> None:
    for _ in range(200):
        if isinstance(evm.step(), Idle):
            return
    raise AssertionError("never at the tip")


def told(log: MemoryLog) -> tuple[dict[int, Any], list[Any], list[Any]]:
    """Each block's transactions, balances, and what is proved of them, by height."""
    events = [decode(record.value) for record in log.read({})]
    blocks: dict[int, Any] = {}
    for event in events:
        if isinstance(event, Connect):
            blocks[event.height] = event.hash, event.transactions
        elif isinstance(event, Stretch):
            blocks |= {event.height + n: (block_hash, []) for n, block_hash in enumerate(event.hash)}
    held = [(event.height, event.rows) for event in events if isinstance(event, Balances)]
    # a proof at the border of two steps is told with either: how often depends on where steps end
    return blocks, held, sorted({(event.height, *event.rows.value) for event in events if isinstance(event, Accounts)})


def test_a_pruned_node_and_an_archive_node_tell_what_the_archive_node_alone_tells_whichever_is_killed(chain: Chain) -> None:
    pruned, archive = (chain.node.url_of(role) for role in ("read", "builder"))
    log = MemoryLog()
    with connector(log, pruned, archive) as evm:
        to_tip(evm)
        first, second = evm.describe().nodes
        assert first.is_followed and "no longer has the state" in (first.trouble or ""), first
        assert not second.is_in_trouble

        chain.node.stop_one("read")
        built = [chain.build() for _ in range(3)]
        to_tip(evm)
        first, second = evm.describe().nodes
        assert second.is_followed and first.is_in_trouble and "nothing listens" in (first.trouble or "")
        assert max(told(log)[0]) == 203, "followed at the other node"

        chain.node.start_one("read")
        for each in built:
            chain.node.give(each)
        chain.mine(FINALITY, every=3)
        to_tip(evm)
        assert [report.is_in_trouble for report in evm.look_at_nodes()] == [False, False]

        chain.node.stop_one("builder")
        to_tip(evm)
        assert [report.is_in_trouble for report in evm.look_at_nodes()] == [False, True]
        chain.node.start_one("builder")
        chain.mine(3, every=1)
        to_tip(evm)
    alone = MemoryLog()
    with connector(alone, archive) as evm:
        to_tip(evm)
    assert told(log) == told(alone)
    assert all(value is not None for _, rows in told(log)[1] for value in rows.value), (
        "the archive node told the state below the first block"
    )
    events = [decode(record.value) for record in log.read({})]
    both = [event for event in events if isinstance(event, Witnessed) and len(event.nodes) == 2]
    assert both and {node for event in both for node in event.nodes} == {pruned, archive}
