"""core-geth beside the connector: Ethereum Classic's rules with eras of twelve blocks, uncles, its two ways of tracing, a reorganisation.

The truth here is the node's own balances, and ECIP-1017's arithmetic, written down a second time.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from eth_account import Account

from connectors.evm import EvmChain, EvmConnector, Reorganised
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.evm.address import to_checksum
from pipeline.chains.networks import OURS
from pipeline.chains.rewards import RewardFacts
from pipeline.log.events.chain import Connect, Disconnect, Doubt, Transaction, WatchedWallet

from ..integration.example_month import esep
from .evm import provision
from .evm.chronicle import Actor
from .evm.contracts import Contract, compile_contracts
from .evm.core_geth import ERA, CoreGeth
from .evm.follow import events_of, to_tip
from .evm.nodes import CHAIN_ID
from .evm.provision import Missing

pytestmark = pytest.mark.live

ETHER, GWEI = 10**18, 10**9
HOT, RIG, STRANGER = Actor("pool hot wallet"), Actor("pool rewards"), Actor("a stranger")
MINERS = [to_checksum("0x" + 40 * digit) for digit in "bcd"]
POOL = {"hot": HOT.address, "rewards": RIG.address}
UNDONE = 5
LOST_BY_POOL, LOST_TO_POOL = (RIG.address, STRANGER.address), (STRANGER.address, RIG.address)


def classic() -> RewardFacts:
    """The schedule that Esep knows of Ethereum Classic, its eras shortened."""
    reward = OURS.of("evm:61").facts.reward
    assert isinstance(reward, RewardFacts) and reward.uncles is not None
    return msgspec.structs.replace(reward, every=ERA, uncles=msgspec.structs.replace(reward.uncles, flat_begins=ERA + 1))


@dataclass
class Followed:
    """A chain that was followed: up to the blocks that were then undone, and on from there."""

    node: CoreGeth
    log: MemoryLog = field(default_factory=MemoryLog)
    left: list[str] = field(default_factory=list)
    """Hashes of the blocks that were undone, the newest first."""

    def connector(self, log: MemoryLog, internal_calls: str = "auto") -> EvmConnector:
        return EvmConnector(
            log,
            EvmChain(
                pool_id="pool", chain="etc", asset="ETC", network=f"evm:{CHAIN_ID}", rpc_url=self.node.url, start_height=1, finality=4,
                wallets=[WatchedWallet(name=name, addresses=[address]) for name, address in POOL.items()], block_reward=classic(),
                internal_calls=internal_calls,  # type: ignore[arg-type]
            ),
        )  # fmt: skip

    def hash_at(self, height: int) -> str:
        return str(self.node.rpc.call("eth_getBlockByNumber", hex(height), False)["hash"])[2:]

    def balance(self, address: str, height: int) -> int:
        return int(self.node.rpc.call("eth_getBalance", address, hex(height)), 16)


class Purse:
    """The pool's hot wallet: it signs as Ethereum Classic's wallets do, without a base fee."""

    def __init__(self, node: CoreGeth, batch: Contract) -> None:
        self.node, self.batch = node, batch
        self._nonces = itertools.count()

    def send(self, to: str | None, value: int, data: str = "0x", **more: object) -> str:
        fields = {
            "chainId": CHAIN_ID,
            "nonce": next(self._nonces),
            "value": value,
            "data": data,
            "gas": 1_000_000,
            "gasPrice": 3 * GWEI,
            **more,
        }
        signed = Account.sign_transaction({**fields, **({"to": to} if to else {})}, HOT.key)
        return self.node.send("0x" + signed.raw_transaction.hex().removeprefix("0x"))


def play(followed: Followed, batch: Contract) -> None:
    """Three eras: payouts of four kinds, and in each era a stale block of the pool's and one that the pool's block includes."""
    node = followed.node
    purse = Purse(node, batch)
    node.mine(2, RIG.address)
    purse.send(MINERS[0], ETHER)
    created = purse.send(None, 0, batch.code)
    node.mine(1, RIG.address)
    place = to_checksum(node.rpc.call("eth_getTransactionReceipt", created)["contractAddress"])
    purse.send(MINERS[1], 2 * ETHER, type=1, accessList=[{"address": MINERS[1], "storageKeys": []}])
    purse.send(place, 9 * ETHER, batch.call("pay", MINERS, [ETHER, 2 * ETHER, 3 * ETHER], ETHER))
    purse.send(place, 4 * ETHER, batch.call("payAndUndo", MINERS[2]))
    node.mine(1, STRANGER.address)
    for era in range(3):
        for loser, winner in (LOST_BY_POOL, LOST_TO_POOL):
            node.stale(loser, winner)
        purse.send(MINERS[era], (era + 1) * ETHER)
        node.mine(max(1, (era + 1) * ERA + 1 - node.height()), RIG.address)
    node.mine(UNDONE, STRANGER.address)
    with followed.connector(followed.log) as evm:
        to_tip(evm)
        followed.left = [followed.hash_at(node.height() - back) for back in range(UNDONE)]
        node.branch(UNDONE, UNDONE + 2, RIG.address)
        assert [step.n_disconnected for step in to_tip(evm) if isinstance(step, Reorganised)] == [UNDONE]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    try:
        program, batch = provision.core_geth(), compile_contracts(provision.solc(), "shanghai")["Batch"]
    except Missing as missing:
        pytest.skip(str(missing))
    with CoreGeth(program, tmp_path_factory.mktemp("core-geth"), {HOT.address: 1000 * ETHER}) as node:
        followed = Followed(node)
        play(followed, batch)
        yield followed


def told(log: MemoryLog) -> dict[int, list[Transaction]]:
    """What the main chain's blocks have of the pool's."""
    blocks: dict[int, list[Transaction]] = {}
    for event in events_of(log):
        if isinstance(event, Connect):
            blocks[event.height] = event.transactions
        elif isinstance(event, Disconnect):
            blocks.pop(event.height, None)
    return blocks


def gains(transactions: list[Transaction], wallet: str) -> int:
    got = sum(int(output.value) for one in transactions for output in one.outputs if output.wallet == wallet)
    return got - sum(int(spent.value) for one in transactions for spent in one.inputs if spent.wallet == wallet)


def test_each_block_changes_each_wallet_by_what_the_node_holds(followed: Followed) -> None:
    blocks = told(followed.log)
    for height in range(1, followed.node.height() + 1):
        for wallet, address in POOL.items():
            meant = followed.balance(address, height) - followed.balance(address, height - 1)
            assert gains(blocks.get(height, []), wallet) == meant, (height, wallet)


def test_rewards_of_blocks_and_uncles_are_those_of_each_era(followed: Followed) -> None:
    """Of an era's first reward four fifths are left in the next one; an uncle has eight parts less its distance in the first era, and a thirty-second later."""
    kinds: Counter[tuple[str, int]] = Counter()
    for height, transactions in told(followed.log).items():
        block = followed.node.rpc.call("eth_getBlockByNumber", hex(height), False)
        era = (height - 1) // ERA
        reward = 5 * ETHER * 4**era // 5**era
        for output in (output for one in transactions for output in one.outputs if output.wallet == "rewards"):
            if output.ref == "reward":
                assert int(output.value) == reward + len(block["uncles"]) * (reward // 32)
                kinds["includes" if block["uncles"] else "mined", era] += 1
            elif output.ref.startswith("uncle:"):
                uncle = followed.node.rpc.call("eth_getUncleByBlockNumberAndIndex", hex(height), hex(int(output.ref[6:])))
                distance = height - int(uncle["number"], 16)
                assert int(output.value) == (reward * (8 - distance) // 8 if era == 0 else reward // 32)
                kinds["uncle", era] += 1
    assert all(kinds[kind, era] for kind in ("mined", "includes", "uncle") for era in range(3)), kinds


def test_the_undone_blocks_are_told_as_undone(followed: Followed) -> None:
    assert [event.hash for event in events_of(followed.log) if isinstance(event, Disconnect)] == followed.left


def test_both_ways_of_tracing_tell_the_same_and_agree(followed: Followed) -> None:
    assert not [event for event in events_of(followed.log) if isinstance(event, Doubt)]
    for way in ("trace_block", "debug_trace"):
        log = MemoryLog()
        with followed.connector(log, way) as evm:
            to_tip(evm)
        assert told(log) == told(followed.log), way
    paid = Counter(output.address for block in told(log).values() for one in block for output in one.outputs if output.address in MINERS)
    assert paid == {MINERS[0]: 3, MINERS[1]: 3, MINERS[2]: 2}, "plain and by calls; the payment that was undone is none"


def test_its_table_is_tried_by_the_command(followed: Followed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_text(
        f'["evm:{CHAIN_ID}"]\nfamily = "evm"\ngenesis = "{followed.hash_at(0)}"\n["evm:{CHAIN_ID}".reward]\nschedule = "eras"\n'
        f'reward = "{5 * ETHER}"\nevery = {ERA}\nkeep = [4, 5]\nfirst_block = 1\n["evm:{CHAIN_ID}".reward.uncles]\nincluding = [1, 32]\n'
    )
    assert esep("network", "check", f"evm:{CHAIN_ID}", "--node", followed.node.url, "--networks", tmp_path / "own.toml", "--json") == 0
    found = {each["what"]: each["holds"] for each in json.loads(capsys.readouterr().out)}
    assert all(found[what] is True for what in ("chain id", "genesis", "headers", "reward")), found
