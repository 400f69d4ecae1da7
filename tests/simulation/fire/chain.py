"""The pool's chain: blocks of real bytes, a tree of branches, and a pool that spends from it.

Enters: the simulated clock, what the pool wants to send. Leaves: blocks, each with the coins that exist after it: the truth that every
balance is held against. A transaction waits until a block takes it; when its block leaves the chain it waits again, unless what it
spends is gone for good. Block times run backwards now and then, but never behind the median of eleven, as consensus has it.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from pipeline.chains.bitcoin.merkle import MerkleTree
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.bitcoin.wire import double_sha256

from ..bitcoin_world import GENESIS_RAW, Outpoint, SimBlock, SimTx, transaction

REGTEST = network("regtest")
BLOCK_S = 8 * 3600
WALLETS = {
    "pool": [b"\x00\x14" + bytes([n]) * 20 for n in range(1, 4)],
    "treasury": [b"\x00\x14" + b"\x09" * 20, b"\x51\x20" + b"\x07" * 32],
}
OWN = {script: name for name, scripts in WALLETS.items() for script in scripts}
STRANGER = b"\x00\x14" + b"\xee" * 20
DATA = b"\x6a\x04esep"
REWARD_SAT = 312_500_000
Order = tuple[str, str, bytes, int, int]
"""What another's coinbase is to pay: payer, account, script, what is sent, what is booked."""


def address(script: bytes) -> str:
    """The address of a script of ours or theirs."""
    found = address_of(script, REGTEST)
    assert found is not None
    return found


@dataclass
class PoolChain:
    """The tree of blocks. `tip` is the best one now."""

    random: random.Random
    start_s: int
    blocks: dict[str, SimBlock] = field(default_factory=dict)
    sent: dict[str, SimTx] = field(default_factory=dict)
    """Everything that the pool or a stranger ever sent, by txid, in order."""
    given_up: set[str] = field(default_factory=set)
    is_still: bool = False
    orders: list[Order] = field(default_factory=list)
    paid_in_coinbases: list[tuple[str, Order]] = field(default_factory=list)
    """Orders that were mined, with the coinbase's id; its block may have left the chain since."""
    abandoned: SimBlock | None = None
    _counter: int = 0
    _chain: list[SimBlock] = field(default_factory=list)

    def __post_init__(self) -> None:
        genesis = SimBlock(REGTEST.genesis, 0, GENESIS_RAW, 1296688602, None)
        self.blocks[genesis.hash] = genesis
        self.tip = genesis
        self.clock = self.start_s
        for n in range(12):
            self._mine_one(payee=WALLETS["pool"][0] if n in (1, 5, 8) else STRANGER)

    def chain(self, tip: SimBlock | None = None) -> list[SimBlock]:
        """From the genesis block to a tip."""
        tip = tip or self.tip
        if self._chain and self._chain[-1] is tip:
            return self._chain
        if self._chain and self._chain[-1] is tip.parent:
            self._chain.append(tip)
            return self._chain
        found: list[SimBlock] = []
        block: SimBlock | None = tip
        while block is not None:
            if block.height < len(self._chain) and self._chain[block.height] is block:
                found += reversed(self._chain[: block.height + 1])
                break
            found.append(block)
            block = block.parent
        self._chain = found[::-1]
        return self._chain

    def confirmed(self) -> dict[str, SimBlock]:
        """The block of every transaction of the main chain."""
        return {tx.txid: block for block in self.chain() for tx in block.txs}

    # --- time goes on --------------------------------------------------------------------------------------------

    def mine_until(self, now: int) -> None:
        """Blocks up to an instant."""
        while self.clock < now - BLOCK_S // 2:
            self.clock = min(now, self.clock + self.random.randint(BLOCK_S // 3, BLOCK_S * 5 // 3))
            self._mine_one()

    def fork(self, depth: int, extra: int) -> int:
        """A branch from `depth` below the tip, longer than what it replaces; how many blocks left."""
        chain = self.chain()
        depth = min(depth, len(chain) - 14)
        if depth < 1:
            return 0
        old = chain[-depth:]
        self.abandoned = self.tip
        self.tip = chain[-1 - depth]
        times = [block.time for block in old] + [self.clock] * extra
        for time in times:
            self._mine_one(at=time + self.random.randint(-600, 3600))
        return depth

    def come_back(self) -> bool:
        """The branch that was left grows longer again and is the chain."""
        if self.abandoned is None:
            return False
        missing = self.tip.height - self.abandoned.height + 1
        self.tip, self.abandoned = self.abandoned, None
        for _ in range(max(1, missing)):
            self._mine_one()
        return True

    # --- spending ------------------------------------------------------------------------------------------------

    def free_coins(self, scripts: list[bytes]) -> list[tuple[Outpoint, int, bytes]]:
        """Coins of the tip that nothing waiting spends, largest first."""
        busy = {outpoint for tx in self.waiting() for outpoint, _, _ in tx.spends}
        found = [(o, v, s) for o, (v, s) in self.tip.coins.items() if s in scripts and o not in busy]
        return sorted(found, key=lambda coin: (-coin[1], coin[0]))

    def waiting(self) -> list[SimTx]:
        """What was sent and is in no block of the main chain."""
        confirmed = self.confirmed()
        return [tx for tx in self.sent.values() if tx.txid not in confirmed and tx.txid not in self.given_up]

    def send(
        self, pays: list[tuple[int, bytes]], fee: int, *, wallet: str = "pool", has_data: bool = False, strangers_sat: int = 0
    ) -> SimTx | None:
        """Pay from a wallet; None when it has not enough. `strangers_sat`: at least so much comes from a stranger's coin."""
        needed = sum(value for value, _ in pays) + fee
        spends: list[tuple[Outpoint, int, bytes]] = []
        if strangers_sat:
            spends += self.free_coins([STRANGER])[:1]
        own = 0
        for coin in self.free_coins(WALLETS[wallet]):
            if own and sum(value for _, value, _ in spends) >= needed:
                break
            spends.append(coin)
            own += 1
        change = sum(value for _, value, _ in spends) - needed
        if not own or change < 0:
            return None
        outputs = [*pays, *([(change, self.random.choice(WALLETS[wallet]))] if change else []), *([(0, DATA)] if has_data else [])]
        self.random.shuffle(outputs)
        return self._note(self._tx([o for o, _, _ in spends], outputs, spends))

    def send_others(self, pays: list[tuple[int, bytes]], fee: int) -> SimTx | None:
        """Others pay from coins of their own; None when they have not enough."""
        needed, spends = sum(value for value, _ in pays) + fee, []
        for coin in self.free_coins([STRANGER]):
            spends.append(coin)
            if (change := sum(value for _, value, _ in spends) - needed) >= 0:
                return self._note(self._tx([o for o, _, _ in spends], [*pays, (change, STRANGER)], spends))
        return None

    def deposit(self, value: int) -> SimTx | None:
        """A stranger pays the pool."""
        coins = self.free_coins([STRANGER])
        if not coins:
            return None
        outpoint, has, script = coins[0]
        value = min(value, has)
        pays = [(value, WALLETS["pool"][1]), (has - value, STRANGER)]
        return self._note(self._tx([outpoint], pays, [(outpoint, has, script)]))

    def replace(self, old: SimTx, fee: int) -> SimTx | None:
        """The same payment once more with a higher fee out of its change; the first is given up. None when it has no room."""
        change = next(((n, v, s) for n, (v, s) in enumerate(old.pays) if s in OWN and v > fee), None)
        if change is None:
            return None
        n, value, script = change
        pays = [*old.pays[:n], (value - fee, script), *old.pays[n + 1 :]]
        new = self._tx([o for o, _, _ in old.spends], pays, old.spends)
        self.given_up.add(old.txid)
        return self._note(new)

    def _note(self, tx: SimTx) -> SimTx:
        self.sent[tx.txid] = tx
        return tx

    # --- bytes ---------------------------------------------------------------------------------------------------

    def _mine_one(self, *, payee: bytes | None = None, at: int | None = None) -> None:
        parent = self.tip
        chain = self.chain(parent)
        median = sorted(b.time for b in chain[-11:])[len(chain[-11:]) // 2]
        time = max(median + 1, (self.clock if at is None else at) - self.random.choice((0, 0, 0, 1200, 9000)))
        self._counter += 1
        coins = dict(parent.coins)
        if payee is None:
            payee = WALLETS["pool"][0] if self.random.random() < 0.12 else STRANGER
        orders = self.orders if payee == STRANGER else []
        pays = [(REWARD_SAT, payee), (0, DATA), *((sent, script) for _, _, script, sent, _ in orders)]
        coinbase = self._tx([("0" * 64, 0xFFFFFFFF)], pays, [], script_sig=struct.pack("<BI", 4, self._counter))
        self.paid_in_coinbases += [(coinbase.txid, order) for order in orders]
        self.orders = [] if orders else self.orders
        txs = [coinbase]
        known = {tx.txid for block in chain for tx in block.txs} if self.sent else set()
        for tx in list(self.sent.values()):
            if tx.txid in known or tx.txid in self.given_up or any(o not in coins for o, _, _ in tx.spends):
                continue
            if self.random.random() < 0.25:
                continue  # it waits for a later block
            for outpoint, _, _ in tx.spends:
                del coins[outpoint]
            coins |= {(tx.txid, n): pay for n, pay in enumerate(tx.pays) if pay[1] != DATA and (pay[1] in OWN or pay[1] == STRANGER)}
            txs.append(tx)
        if payee in OWN or self._counter % 9 == 0:
            coins[coinbase.txid, 0] = coinbase.pays[0]
        root = MerkleTree([bytes.fromhex(tx.txid) for tx in txs]).root[::-1]
        header = (
            struct.pack("<i", 0x20000000) + bytes.fromhex(parent.hash)[::-1] + root + struct.pack("<III", time, 0x207FFFFF, self._counter)
        )
        raw = header + bytes([len(txs)]) + b"".join(tx.raw for tx in txs)
        block = SimBlock(double_sha256(header)[::-1].hex(), parent.height + 1, raw, time, parent, txs, coins)
        self.blocks[block.hash] = block
        self.tip = block

    def _tx(
        self, inputs: list[Outpoint], pays: list[tuple[int, bytes]], spends: list[tuple[Outpoint, int, bytes]], *, script_sig: bytes = b""
    ) -> SimTx:
        raw = transaction(inputs, pays, script_sig)
        return SimTx(double_sha256(raw)[::-1].hex(), raw, spends, pays)
