"""An account chain's tree of blocks, and a pool that pays on it: coins, a token, contracts that pass on, strangers who forge.

Enters: the simulated clock, what the pool and strangers want to send. Leaves: blocks with true hashes, tries and receipts, each with what every
address holds after it: the truth that every balance is held against. A transaction waits until a block takes it, in the order of its
sender's nonces; when its block leaves the chain it waits again, and may fail in one branch and go through in another.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.chains.evm.coding import keccak256

from ..evm_blocks import (  # fmt: skip
    BATCH,
    NOBODY,
    Block,
    Move,
    Spend,
    address,
    placed,
    price_of,
    receipt_of,
    seal,
    trace_of,
    transaction_of,
)
from .chain import PoolChain

GWEI, ETHER = 10**9, 10**18
MAX_FEE_WEI, TIP_WEI = 100 * GWEI, 2 * GWEI
LEGACY_PRICE_WEI = 60 * GWEI
"""What a legacy transaction pays: above every base fee here, so its fee is known before it is mined."""
WALLETS = {"pool": [address(1), address(2)], "treasury": [address(3)]}
OWN = {where: name for name, addresses in WALLETS.items() for where in addresses}
TOKEN = "0xdac17f958d2ee523a2206206994597c13d831ec7"
"""The contract of USDT, which the settings know."""
FORGED = [address(950), address(951)]
"""Contracts that nobody knows and that log what they like."""
STRANGERS = [address(20 + n) for n in range(6)]
PAYERS = {"upstream": address(40), "second": address(41)}
"""Others who pay the pool's miners from coins of their own."""
VENDORS = [address(200 + n) for n in range(4)]


@dataclass
class AccountTx:
    """A transaction as its sender signed it: the same in every branch."""

    txid: str
    """Without 0x, as events carry it."""
    spend: Spend
    nonce: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Mined:
    """What became of a transaction in one block."""

    tx: AccountTx
    is_failed: bool
    gas_used: int
    price_wei: int
    first_log: int

    @property
    def fee_wei(self) -> int:
        return self.gas_used * self.price_wei


@dataclass
class AccountBlock(Block):
    """A block of the tree."""

    parent: AccountBlock | None = None
    mined: list[Mined] = field(default_factory=list)
    nonces: Counter[str] = field(default_factory=Counter)
    """How many transactions of each sender are in the branch so far."""
    miner: str = NOBODY
    base_fee_wei: int = 0
    withdrawals: list[tuple[str, int]] = field(default_factory=list)
    """Addresses and gwei."""

    @property
    def txs(self) -> list[AccountTx]:
        return [mined.tx for mined in self.mined]


@dataclass
class AccountChain(PoolChain):
    """The tree of blocks. `tip` is the best one now; branches and waiting are those of every simulated chain."""

    random: random.Random
    start_s: int
    has_safe: bool = False
    """The treasury is a contract: strangers' transactions make it pay."""
    is_treasury_new: bool = False
    """The treasury holds nothing in the beginning."""
    blocks: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    _nonces: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.clock = self.start_s
        rich = [*(where for where in OWN if not (self.is_treasury_new and OWN[where] == "treasury")), *STRANGERS, *PAYERS.values()]
        units = dict.fromkeys(rich, 5 * 10**12)
        contracts = {TOKEN, BATCH, *FORGED, *(WALLETS["treasury"] if self.has_safe else ())}
        genesis = AccountBlock({}, [], [], dict.fromkeys([*rich, BATCH], 10**4 * ETHER), units, contracts)
        seal(genesis, [], parent=None, time=self.start_s - 1, miner=NOBODY, base_fee=10 * GWEI)
        self.blocks[genesis.hash] = genesis
        self.tip: AccountBlock = genesis
        for _ in range(12):
            self._mine_one()

    # --- sending ---------------------------------------------------------------------------------------------------

    def send(self, spend: Spend, *, is_legacy: bool = False) -> AccountTx | None:  # type: ignore[override]
        """Sign and send; None when the sender has not enough of the chain's own coin, or of the token, beside all that waits."""
        waiting = [tx for tx in self.waiting() if tx.spend.sender == spend.sender]
        wei = sum(tx.spend.value + tx.spend.gas_used * MAX_FEE_WEI for tx in waiting) + spend.value + spend.gas_used * MAX_FEE_WEI
        if self.tip.wei.get(spend.sender, 0) < wei:
            return None
        if self.tip.units.get(spend.sender, 0) < sum(_given(tx.spend) for tx in waiting) + _given(spend):
            return None
        nonce = self._nonces[spend.sender]
        self._nonces[spend.sender] += 1
        return self._sign(spend, nonce, price=LEGACY_PRICE_WEI if is_legacy else None)

    def replace(self, old: AccountTx, fee: int) -> AccountTx | None:  # type: ignore[override]
        """The same payment once more under the same nonce for a higher price; the first is given up."""
        self.given_up.add(old.txid)
        return self._sign(old.spend, old.nonce, price=LEGACY_PRICE_WEI + fee)

    def _sign(self, spend: Spend, nonce: int, *, price: int | None) -> AccountTx:
        signature = int.from_bytes(keccak256(repr((spend, nonce)).encode())[:16], "big")
        body = transaction_of(spend, nonce, price=price, salt=signature, max_fee=MAX_FEE_WEI, tip=TIP_WEI)
        tx = AccountTx(body["hash"][2:], spend, nonce, body)
        self.sent[tx.txid] = tx
        return tx

    def stray(self, rng: random.Random) -> None:
        """Something that strangers do, or that the pool does within itself."""
        stranger, own, value = rng.choice(STRANGERS), rng.choice(list(OWN)), rng.randrange(1, 3 * ETHER)
        first, treasury = WALLETS["pool"][0], WALLETS["treasury"][0]
        internal = Spend(first, treasury, value)
        if self.has_safe and rng.random() < 0.5:
            internal = Spend(stranger, treasury, calls=[(treasury, rng.choice([first, stranger, BATCH]), value // 7)])
        spends = [
            Spend(stranger, own, value),
            Spend(stranger, own, value, is_failed=True),
            Spend(stranger, TOKEN, tokens=[(stranger, own, value % 10**9)]),
            Spend(stranger, TOKEN, tokens=[(own, stranger, 0)]),  # a payment of nothing in the pool's name
            Spend(stranger, FORGED[0], logs=[(FORGED[0], (stranger, own, value))]),
            Spend(stranger, BATCH, 6, calls=[(BATCH, rng.choice(STRANGERS), 6)]),
            Spend(first, TOKEN, tokens=[(first, treasury, 10**6 + value % 10**6)]),
            internal,
        ]
        self.send(rng.choice(spends))

    def forge(self, rng: random.Random) -> AccountTx | None:
        """A contract that nobody knows logs that the pool paid in its token."""
        contract = rng.choice(FORGED)
        moves = [
            (contract, (rng.choice(list(OWN)), rng.choice(STRANGERS), rng.choice([1, 2**255, 10**30]))) for _ in range(rng.randint(1, 2))
        ]
        return self.send(Spend(rng.choice(STRANGERS), contract, logs=moves))

    def pay_inside(self, rng: random.Random) -> AccountTx | None:
        """A stranger's contract pays the pool by a call that no body and no log shows."""
        value = rng.randrange(1, ETHER)
        return self.send(Spend(rng.choice(STRANGERS), BATCH, value, calls=[(BATCH, rng.choice(list(OWN)), value)]))

    # --- mining ----------------------------------------------------------------------------------------------------

    def _mine_one(self, *, payee: bytes | None = None, at: int | None = None) -> None:
        parent, rng = self.tip, self.random
        time = max(parent.time + 1, (self.clock if at is None else at) - rng.choice((0, 0, 0, 1200, 9000)))
        own = list(OWN)
        block = AccountBlock(
            {}, [], [], dict(parent.wei), dict(parent.units), parent.contracts, parent=parent, nonces=Counter(parent.nonces),
            miner=rng.choice(own) if rng.random() < 0.08 else NOBODY, base_fee_wei=rng.randint(5, 40) * GWEI,
            withdrawals=[(rng.choice(own), rng.randrange(10**6, 3 * 10**9))] if rng.random() < 0.1 else [],
        )  # fmt: skip
        for where, gwei in block.withdrawals:
            block.wei[where] = block.wei.get(where, 0) + gwei * GWEI
        transactions: list[dict[str, Any]] = []
        for tx in sorted(self.sent.values(), key=lambda tx: tx.nonce):
            if tx.txid in self.given_up or tx.nonce != block.nonces[tx.spend.sender] or rng.random() < 0.25:
                continue  # it is there already, or waits for a later block
            self._take(block, tx, transactions)
        seal(
            block, transactions, parent=parent, time=time, miner=block.miner, base_fee=block.base_fee_wei, withdrawals=block.withdrawals,
            salt=rng.getrandbits(32),
        )  # fmt: skip
        self.blocks[block.hash] = block
        self.tip = block

    def _take(self, block: AccountBlock, tx: AccountTx, transactions: list[dict[str, Any]]) -> None:
        """The transaction into the block, if its sender can pay for it."""
        spend, price = tx.spend, price_of(tx.body, block.base_fee_wei)
        if not price or block.wei.get(spend.sender, 0) < spend.value + spend.gas_used * price:
            return
        first_log = sum(len(receipt["logs"]) for receipt in block.receipts)
        is_failed = not _execute(block, spend, price)
        body = placed(tx.body, _height(block), len(transactions), price)
        gas = (int(block.receipts[-1]["cumulativeGasUsed"], 16) if block.receipts else 0) + spend.gas_used
        receipt = receipt_of(spend, body, token=TOKEN, is_failed=is_failed, price=price, gas=gas, first_log=first_log)
        transactions.append(body)
        block.receipts.append(receipt)
        block.traces.append(trace_of(spend, is_failed=is_failed))
        block.mined.append(Mined(tx, is_failed, spend.gas_used, price, first_log))
        block.nonces[spend.sender] += 1


def _height(block: AccountBlock) -> int:
    assert block.parent is not None
    return block.parent.height + 1


def _given(spend: Spend) -> int:
    """Units of the token that the sender gives."""
    return sum(units for sender, _, units in spend.tokens if sender == spend.sender)


def _execute(block: AccountBlock, spend: Spend, price_wei: int) -> bool:
    """Book the transaction; whether it went through. Its gas is paid all the same."""
    block.wei[spend.sender] -= spend.gas_used * price_wei
    block.wei[block.miner] = block.wei.get(block.miner, 0) + spend.gas_used * (price_wei - block.base_fee_wei)
    if spend.is_failed:
        return False
    wei, units = dict(block.wei), dict(block.units)
    if not (_move(wei, [(spend.sender, spend.to, spend.value), *spend.calls]) and _move(units, spend.tokens)):
        return False
    block.wei, block.units = wei, units
    return True


def _move(held: dict[str, int], moves: Sequence[Move]) -> bool:
    for sender, receiver, value in moves:
        if held.get(sender, 0) < value:
            return False
        held[sender] = held.get(sender, 0) - value
        held[receiver] = held.get(receiver, 0) + value
    return True
