"""Coins wrapped, paid and unwrapped on anvil, as the connector tells them: the wallet's balance in both assets is what the node says."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from connectors.evm import EvmChain, EvmConnector, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.log.events import decode
from pipeline.log.events.chain import Connect, Doubt, Transaction, WatchedWallet

from .evm import provision
from .evm.chronicle import Actor
from .evm.contracts import compile_contracts
from .evm.nodes import CHAIN_ID, Anvil, genesis
from .evm.provision import Missing

pytestmark = pytest.mark.live

ETHER = 10**18
HOT = Actor("pool hot wallet")
POOL, MINER = HOT.address, to_checksum("0x" + 40 * "b")
BEGIN = 1_793_000_000


def test_wrapping_and_unwrapping_close_to_the_wei(tmp_path: Path) -> None:
    try:
        program, compiled = provision.anvil(), compile_contracts(provision.solc())["Wrapped"]
    except Missing as missing:
        pytest.skip(str(missing))
    log = MemoryLog()
    with Anvil(program, tmp_path, genesis(BEGIN, {POOL: 100 * ETHER})) as node:
        call = node.rpc.call
        at = itertools.count(BEGIN + 12, 12)
        nonces = itertools.count()

        def send(to: str | None, data: str, value: int = 0) -> Any:
            fields = {
                "chainId": CHAIN_ID,
                "nonce": next(nonces),
                "value": value,
                "data": data,
                "gas": 1_000_000,
                **({"to": to} if to else {}),
            }
            signed = Account.sign_transaction({**fields, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}, HOT.key)
            sent = "0x" + signed.hash.hex().removeprefix("0x")
            node.mine(["0x" + signed.raw_transaction.hex().removeprefix("0x")], next(at))
            receipt = call("eth_getTransactionReceipt", sent)
            assert receipt["status"] == "0x1"
            return receipt

        weth = to_checksum(send(None, compiled.code)["contractAddress"])
        send(weth, compiled.call("deposit"), 7 * ETHER)
        send(weth, "0x", 2 * ETHER)
        send(weth, compiled.call("transfer", MINER, ETHER))
        send(weth, compiled.call("withdraw", 3 * ETHER))
        for _ in range(4):
            node.mine([], next(at))
        chain = EvmChain(
            pool_id="pool", chain="etc", asset="ETC", network=f"evm:{CHAIN_ID}", rpc_url=node.url, start_height=1, finality=2,
            wallets=[WatchedWallet(name="hot", addresses=[POOL])], tokens={weth: "WETC"}, wrapped=frozenset((weth,)),
        )  # fmt: skip
        with EvmConnector(log, chain) as connector:
            while not isinstance(connector.step(), Idle):
                pass
        held = (
            int(call("eth_getBalance", POOL, "latest"), 16),
            int(call("eth_call", {"to": weth, "data": compiled.call("balanceOf", POOL)}, "latest"), 16),
        )
    events = [decode(record.value) for record in log.read({})]
    told = [one for event in events if isinstance(event, Connect) for one in event.transactions]
    assert (100 * ETHER + gained(told, "ETC"), gained(told, "WETC")) == held
    assert held[1] == 5 * ETHER
    assert [one.other_inputs for one in told] == [0, 0, 0, 0, 0]
    assert not [event for event in events if isinstance(event, Doubt)], "both ways of tracing agree"


def gained(told: list[Transaction], asset: str) -> int:
    got = sum(int(output.value) for one in told for output in one.outputs if output.wallet is not None and output.asset == asset)
    return got - sum(int(spent.value) for one in told for spent in one.inputs if spent.asset == asset)
