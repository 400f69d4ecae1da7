"""What is sent, mined and undone on a node, and what each transaction was meant to do: the scenario's own books.

Enters: a node, the script's calls. Leaves: the main chain's blocks with their transactions, and after each block what every wallet of
the pool holds, counted from the script alone in whole numbers. `check` asks the node the same by web3: a second witness, and
none of them is the program under test.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from eth_account import Account
from web3 import Web3

from .contracts import Contract
from .nodes import CHAIN_ID, NOBODY, Block, Node

ALMATY = ZoneInfo("Asia/Almaty")
GWEI = 10**9
MAX_FEE = 100 * GWEI
Holding = tuple[str, str]
"""An address and an asset."""


def almaty(text: str) -> int:
    """Unix seconds of `2025-10-31 23:59:30` on a clock in Almaty."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ALMATY).timestamp())


@functools.cache
def _key(name: str) -> bytes:
    return bytes(Web3.keccak(text=name))


@functools.cache
def _address(name: str) -> str:
    return str(Account.from_key(_key(name)).address)


@dataclass(frozen=True)
class Actor:
    """Somebody with a key, made from the name."""

    name: str

    @property
    def key(self) -> bytes:
        return _key(self.name)

    @property
    def address(self) -> str:
        return _address(self.name)


@dataclass(frozen=True)
class Move:
    """An amount that leaves or reaches an address; `outflow_class` is what the rules make of it when the pool paid it."""

    address: str
    asset: str
    amount: int
    outflow_class: str = ""


@dataclass
class Sent:
    """A signed transaction, what it was meant to do to the pool, and what became of it."""

    hash: str
    raw: str
    sender: str
    is_failing: bool
    spends: list[Move]
    """What leaves the pool's addresses."""
    pays: list[Move]
    """Where that goes, the pool's own addresses among it: each is an outflow."""
    deposits: list[Move]
    """What reaches the pool's addresses from strangers."""
    forged: list[Move] = field(default_factory=list)
    """What a contract that is no token claims that the pool paid."""
    gifts: list[Move] = field(default_factory=list)
    """What such a contract claims that the pool received."""
    authorizes: list[str] = field(default_factory=list)
    """The accounts whose authorizations of code it carries."""
    block: Block | None = None
    fee: int = 0


@dataclass
class Mined:
    block: Block
    sent: list[Sent]
    rewards: list[Move]
    """What the block itself credits to the pool."""
    holds: dict[Holding, int] = field(default_factory=dict)
    """What the pool's addresses hold after the block."""


class Chronicle:
    """The script's pen. `native` is the chain's own asset, `pool` the pool's addresses."""

    def __init__(self, node: Node, native: str, pool: Sequence[str], balances: dict[str, int]) -> None:
        self.node, self.native, self.pool = node, native, list(pool)
        self.tokens: dict[str, tuple[Contract, str]] = {}
        """Contract and address of each asset that is a token."""
        self.chain: list[Mined] = []
        self.undone: list[Mined] = []
        self._nonces: dict[str, int] = {}
        self._first = {(address, native): balances.get(address, 0) for address in self.pool}

    # --- sending ---------------------------------------------------------------------------------------------------

    def send(
        self,
        by: Actor,
        to: str | None,
        value: int = 0,
        data: str = "0x",
        *,
        gas: int = 21_000,
        tip: int = GWEI,
        most: int = MAX_FEE,
        kind: int = 2,
        nonce: int | None = None,
        is_failing: bool = False,
        spends: Sequence[Move] = (),
        pays: Sequence[Move] = (),
        deposits: Sequence[Move] = (),
        forged: Sequence[Move] = (),
        gifts: Sequence[Move] = (),
        delegates: Sequence[tuple[Actor, str]] = (),
    ) -> Sent:
        """Sign a transaction with the sender's next nonce, or the one given. What it spends must be what it pays, in each asset."""
        for asset in {move.asset for move in [*spends, *pays]}:
            assert _total(spends, asset) == _total(pays, asset), f"the script does not add up in {asset}"
        nonce = self._next_nonce(by) if nonce is None else nonce
        fields: dict[str, Any] = {"chainId": CHAIN_ID, "nonce": nonce, "value": value, "data": data, "gas": gas}
        fields |= {"to": to} if to else {}
        fields |= {"gasPrice": most // 2} if kind < 2 else {"maxFeePerGas": most, "maxPriorityFeePerGas": tip}
        fields |= {"accessList": [{"address": to or NOBODY, "storageKeys": []}]} if kind == 1 else {}
        if delegates:
            fields["authorizationList"] = [self._authorise(who, code) for who, code in delegates]
        signed = Account.sign_transaction(fields, by.key)
        return Sent(
            "0x" + bytes(signed.hash).hex(), "0x" + bytes(signed.raw_transaction).hex(), by.address, is_failing,
            list(spends), list(pays), list(deposits), list(forged), list(gifts), [who.address for who, _ in delegates],
        )  # fmt: skip

    def _next_nonce(self, by: Actor) -> int:
        nonce = self._nonces.get(by.address, 0)
        self._nonces[by.address] = nonce + 1
        return nonce

    def _authorise(self, who: Actor, code: str) -> Any:
        """`who` lets its account run the code of a contract (EIP-7702); that takes one of its nonces."""
        return Account.sign_authorization({"chainId": CHAIN_ID, "address": code, "nonce": self._next_nonce(who)}, who.key)

    def nonce_of(self, by: Actor) -> int:
        """The next nonce, not taken."""
        return self._nonces.get(by.address, 0)

    def offer(self, one: Sent) -> None:
        """Give a transaction to the node that will never be mined."""
        self.node.rpc.call("eth_sendRawTransaction", one.raw)

    # --- mining ----------------------------------------------------------------------------------------------------

    def mine(self, at: int | str, *sent: Sent, fee_recipient: str = NOBODY, withdrawals: Sequence[tuple[str, int]] = ()) -> Block:
        """A block of these transactions at an instant (a text is Almaty's clock), entered into the books."""
        at = almaty(at) if isinstance(at, str) else at
        block = self.node.mine([one.raw for one in sent], at, fee_recipient, withdrawals)
        self._enter(block, list(sent), fee_recipient, withdrawals)
        return block

    def reorganise(self, fork: int, branch: Sequence[tuple[int, Sequence[Sent]]]) -> None:
        """All blocks above height `fork` are undone; this branch stands in their place."""
        gone = [mined for mined in self.chain if mined.block.number > fork]
        self.undone += gone
        del self.chain[len(self.chain) - len(gone) :]
        for mined in gone:
            for one in mined.sent:
                one.block = None
        blocks = self.node.reorganise(fork, [([one.raw for one in sent], at) for at, sent in branch])
        for block, (_, sent) in zip(blocks, branch, strict=True):
            self._enter(block, list(sent))

    def _enter(self, block: Block, sent: list[Sent], fee_recipient: str = NOBODY, withdrawals: Sequence[tuple[str, int]] = ()) -> None:
        holds = dict(self.chain[-1].holds if self.chain else self._first)
        base_fee = int(self.node.rpc.call("eth_getBlockByNumber", hex(block.number), False)["baseFeePerGas"], 16) if sent else 0
        tips = 0
        for one in sent:
            receipt = self.node.rpc.call("eth_getTransactionReceipt", one.hash)
            assert (receipt["status"] == "0x1") is not one.is_failing, f"transaction {one.hash} came out otherwise than the script says"
            used, price = int(receipt["gasUsed"], 16), int(receipt["effectiveGasPrice"], 16)
            one.block, one.fee = block, used * price
            tips += used * (price - base_fee)
            _book(holds, one, self.native, self.pool)
        credits = [(fee_recipient, tips), *((address, gwei * GWEI) for address, gwei in withdrawals)]
        rewards = [Move(address, self.native, amount, "reward") for address, amount in credits if address in self.pool and amount]
        for reward in rewards:
            holds[reward.address, self.native] += reward.amount
        self.chain.append(Mined(block, sent, rewards, holds))

    # --- the second witness ----------------------------------------------------------------------------------------

    def check(self, since: int = 0) -> int:
        """Compare the books with what the node says of every block from a height on; how many balances that were."""
        w3 = Web3(Web3.HTTPProvider(self.node.url))
        compared = 0
        for mined in self.chain:
            if mined.block.number < since or not (mined.sent or mined.rewards):
                continue
            for (address, asset), amount in mined.holds.items():
                said = self._said(w3, address, asset, mined.block.number)
                assert said == amount, f"{asset} of {address} after block {mined.block.number}: the node says {said}, the script {amount}"
                compared += 1
        return compared

    def _said(self, w3: Web3, address: str, asset: str, height: int) -> int:
        if asset == self.native:
            return int(w3.eth.get_balance(w3.to_checksum_address(address), height))
        contract, place = self.tokens[asset]
        token = w3.eth.contract(address=w3.to_checksum_address(place), abi=contract.abi)
        return int(token.functions.balanceOf(address).call(block_identifier=height))


def _total(moves: Sequence[Move], asset: str) -> int:
    return sum(move.amount for move in moves if move.asset == asset)


def _book(holds: dict[Holding, int], one: Sent, native: str, pool: Sequence[str]) -> None:
    if not one.is_failing:
        for move in one.spends:
            holds[move.address, move.asset] -= move.amount
        for move in [*one.pays, *one.deposits]:
            if move.address in pool:
                holds[move.address, move.asset] = holds.get((move.address, move.asset), 0) + move.amount
    if one.sender in pool:
        holds[one.sender, native] -= one.fee
