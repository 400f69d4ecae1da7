"""A chain with a crowd in it: one block with thousands of outputs of ours, and thousands of wallets watched.

Enters: how many. Leaves: a simulated node's world whose second block pays every wallet of the pool in one transaction, the connector that follows
it, and measurements. The bytes are those of real blocks; the connector, ingest and the proof of balances are the program's.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.log_sqlite.log import SqliteLog
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.merkle import MerkleTree
from pipeline.chains.bitcoin.wire import double_sha256
from pipeline.enrich.balance import prove_balances
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.protocol import EventLog
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Asset, Rules
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest

from ..simulation.bitcoin_world import SimBlock, SimTx, SimulatedNode, World, transaction
from .measure import Measured, Measurements

REWARD_SAT = 5_000_000_000
FEE_SAT = 7_000
RULES = Rules(assets={"BTC": Asset("BTC", "bitcoin", 8)}, finality={"bitcoin": 6}, payout_unit={}, network={"bitcoin": "regtest"})


def scripts(count: int) -> list[bytes]:
    """So many P2WPKH scripts, all different."""
    return [b"\x00\x14" + hashlib.sha256(n.to_bytes(8, "little")).digest()[:20] for n in range(count)]


def wallets(count: int) -> list[WatchedWallet]:
    """A wallet for each of `scripts`."""
    return [WatchedWallet(name=f"w{n:05}", descriptors=[f"raw({script.hex()})"]) for n, script in enumerate(scripts(count))]


class Crowd(World):
    """A reward to the first wallet, then a block whose one transaction pays every wallet, then quiet blocks."""

    def __init__(self, count: int, quiet: int = 8) -> None:
        super().__init__(seed=1)
        self.is_still = True
        self.paid = [(10_000 + n, script) for n, script in enumerate(scripts(count))]
        reward = self._coinbase(1, [(REWARD_SAT, self.paid[0][1])])
        self.tip = self._with([reward])
        total = sum(value for value, _ in self.paid)
        self.change_sat = REWARD_SAT - total - FEE_SAT
        pays = [*self.paid, (self.change_sat, self.paid[0][1])]
        raw = transaction([(reward.txid, 0)], pays)
        self.payout = SimTx(double_sha256(raw)[::-1].hex(), raw, [((reward.txid, 0), REWARD_SAT, self.paid[0][1])], pays)
        self.tip = self._with([self._coinbase(2, [(REWARD_SAT, b"\x51")]), self.payout])
        for height in range(3, 3 + quiet):
            self.tip = self._with([self._coinbase(height, [(REWARD_SAT, b"\x51")])])

    def _coinbase(self, height: int, pays: Sequence[tuple[int, bytes]]) -> SimTx:
        raw = transaction([("0" * 64, 0xFFFFFFFF)], pays, struct.pack("<BI", 4, height))
        return SimTx(double_sha256(raw)[::-1].hex(), raw, [], list(pays))

    def _with(self, txs: list[SimTx]) -> SimBlock:
        self.clock += 600
        root = MerkleTree([bytes.fromhex(tx.txid) for tx in txs]).root[::-1]
        header = struct.pack("<i", 0x20000000) + bytes.fromhex(self.tip.hash)[::-1] + root + struct.pack("<III", self.clock, 0x207FFFFF, 0)
        raw = header + bytes([len(txs)]) + b"".join(tx.raw for tx in txs)
        block = SimBlock(double_sha256(header)[::-1].hex(), self.tip.height + 1, raw, self.clock, self.tip, txs)
        self.blocks[block.hash] = block
        return block

    @property
    def month(self) -> Month:
        """The month that the payout's block lies in."""
        day = almaty_date(self.clock)
        return Month(day.year, day.month)


def follow(log: EventLog, world: World, watched: list[WatchedWallet]) -> None:
    """Follow the world's chain to its tip."""
    with BitcoinConnector(
        log,
        BitcoinChain(
            pool_id="pool",
            chain="bitcoin",
            asset="BTC",
            network="regtest",
            rpc_url="http://127.0.0.1:1",
            wallets=watched,
            start_height=1,
            strategy="rest",
        ),
        connection=SimulatedNode(world, has_rest=True),
    ) as following:
        while not isinstance(following.step(), Idle):
            pass


def measure_wallets(count: int) -> list[Measured]:
    """Opening and following a chain of ordinary blocks, with one wallet and with `count`."""
    world = World(seed=3)
    world.extend(500)
    world.is_still = True
    measurements = Measurements()
    for some in (1, count):
        with measurements.step(f"{some:,} wallet(s), 500 blocks") as step:
            follow(MemoryLog(), world, wallets(some))
            step.rows = 500
    return measurements.taken


def measure_block(directory: Path, count: int) -> list[Measured]:
    """The crowd's block: followed to an SQLite log, taken into a store on disk, balances proven."""
    measurements = Measurements()
    world = Crowd(count)
    (directory / "log.sqlite").unlink(missing_ok=True)
    (directory / "store.duckdb").unlink(missing_ok=True)
    with SqliteLog(directory / "log.sqlite") as log:
        with measurements.step("follow") as step:
            follow(log, world, wallets(count))
            step.rows = count
        largest = max(len(record.value) for record in log.read({}, limit_bytes=1 << 40))
        print(f"the block's event has {largest:,} bytes", flush=True, file=sys.stderr)
        with Store.open(directory / "store.duckdb") as store:
            with measurements.step("ingest") as step:
                step.rows = Ingest(log, store).catch_up().rows
            with measurements.step("facts and balances") as step:
                balances = prove_balances(read_facts(store.connection), world.month, RULES)
                step.rows = balances.height
    assert balances["fault"].null_count() == balances.height == count, "every wallet balances"
    return measurements.taken
