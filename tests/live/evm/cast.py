"""Who takes part: the pool's wallets, its miners, the contracts and the strangers; and how the stage is set before the pool is watched.

Leaves: a `Stage` whose first blocks are mined: contracts made, wallets funded. All keys and addresses follow from names, so that the
same script gives the same transactions on every node.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from rlp import encode as rlp_encode

from .chronicle import Actor, Chronicle, Move, Sent
from .contracts import Contract
from .nodes import Node

NATIVE = "ETC"
ETHER = 10**18
HOT, TREASURY = Actor("pool hot wallet"), Actor("pool treasury")
FOUNDER, STRANGER, RELAYER = Actor("founder"), Actor("stranger"), Actor("relayer")
BALANCES = {
    HOT.address: 10_000 * ETHER,
    TREASURY.address: 500 * ETHER,
    FOUNDER.address: 5_000 * ETHER,
    STRANGER.address: 5_000 * ETHER,
    RELAYER.address: 100 * ETHER,
}
"""Of the first block."""
DECIMALS = {"ETC": 18, "USDX": 6, "KZTX": 18, "TAXT": 8}
SUPPLY = {"USDX": 10**15, "KZTX": 99 * 10**36, "TAXT": 10**16}
TAX_PER_MILLE = 10
MINERS = 204


def somebody(name: str) -> str:
    """An address that nobody has the key of."""
    return str(to_checksum_address(keccak(text=name)[-20:]))


def made_by(creator: str, nonce: int) -> str:
    """The address of the contract that an account makes with that nonce."""
    return str(to_checksum_address(keccak(rlp_encode([bytes.fromhex(creator[2:]), nonce]))[-20:]))


@dataclass(frozen=True)
class Miner:
    number: int

    @property
    def address(self) -> str:
        return somebody(f"miner {self.number}")

    @property
    def account(self) -> str:
        return f"acct{self.number:03}"

    @property
    def name(self) -> str:
        return f"ЖШС «Қазба {self.number}»"

    @property
    def miner_id(self) -> str:
        """A BIN with its control digit (rule 4.5); numbers for which none exists are stepped over."""
        eleven = f"2001400{self.number * 7:04}"
        while (digit := _control(eleven)) is None:
            eleven = str(int(eleven) + 1)
        return f"{eleven}{digit}"

    @property
    def licence(self) -> str:
        return f"KZ00RAA{self.number:08}"


def _control(eleven: str) -> int | None:
    for weights in ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]):
        rest = sum(int(digit) * weight for digit, weight in zip(eleven, weights, strict=True)) % 11
        if rest < 10:
            return rest
    return None


VENDOR, EXCHANGE, COLLECTOR, UNLABELLED = (somebody(name) for name in ("vendor", "exchange", "tax collector", "nobody knows"))


@dataclass
class Stage:
    """All that the script speaks of."""

    chronicle: Chronicle
    contracts: dict[str, Contract]
    at: dict[str, str] = field(default_factory=dict)
    """Addresses of contracts by their name in the script."""
    miners: list[Miner] = field(default_factory=lambda: [Miner(number) for number in range(MINERS)])
    start_height: int = 0
    """The first block that the pool has read."""
    wallet_nonces: dict[str, int] = field(default_factory=dict)

    @property
    def wallets(self) -> dict[str, list[str]]:
        """The pool's wallets and their addresses."""
        return {"hot": [HOT.address], "treasury": [TREASURY.address], "safe": [self.at["safe"], self.at["old safe"]]}

    def call(self, by: Actor, contract: str, place: str, function: str, *arguments: Any, gas: int, **more: Any) -> Sent:
        """Send a call of a contract's function to a place named in the script, or an address."""
        return self.chronicle.send(by, self.at.get(place, place), data=self.contracts[contract].call(function, *arguments), gas=gas, **more)


def expected_places() -> dict[str, str]:
    """Where the founder's contracts will lie: in the order in which they are made."""
    order = ["USDX", "KZTX", "TAXT", "batch", "logic", "safe", "old safe", "liar", "factory", "refuser", "delegate"]
    return {name: made_by(FOUNDER.address, nonce) for nonce, name in enumerate(order)}


def set_stage(node: Node, contracts: dict[str, Contract]) -> Stage:
    """Make the contracts and fund the wallets, in September before the pool is watched."""
    at = expected_places()
    pool = [HOT.address, TREASURY.address, at["safe"], at["old safe"]]
    chronicle = Chronicle(node, NATIVE, pool, BALANCES)
    stage = Stage(chronicle, contracts, at)
    chronicle.tokens = {asset: (contracts["Token"], at[asset]) for asset in SUPPLY}
    chronicle.mine("2025-09-01 10:00", *_makings(stage))
    chronicle.mine("2025-09-01 11:00", *_fundings(stage))
    stage.start_height = 1 + chronicle.mine("2025-09-01 12:00").number
    return stage


def _makings(stage: Stage) -> list[Sent]:
    c = stage.contracts

    def make(code: str, value: int = 0, deposits: tuple[Move, ...] = ()) -> Sent:
        return stage.chronicle.send(FOUNDER, None, value, code, gas=2_000_000, deposits=deposits)

    tokens = [
        make(c["Token"].create(name, DECIMALS[name], SUPPLY[name], TAX_PER_MILLE if name == "TAXT" else 0, COLLECTOR)) for name in SUPPLY
    ]
    return [
        *tokens,
        make(c["Batch"].create()),
        make(c["Wallet"].create()),
        make(c["Proxy"].create(stage.at["logic"]), 300 * ETHER, (Move(stage.at["safe"], NATIVE, 300 * ETHER),)),
        make(c["Proxy"].create(stage.at["logic"]), 40 * ETHER, (Move(stage.at["old safe"], NATIVE, 40 * ETHER),)),
        *(make(c[name].create()) for name in ("Liar", "Factory", "Refuser", "Delegate")),
    ]


def _fundings(stage: Stage) -> list[Sent]:
    """Tokens for the pool; who owns its contract wallets."""
    gifts = {
        (HOT.address, "USDX"): 9 * 10**14,
        (HOT.address, "KZTX"): 90 * 10**36,
        (HOT.address, "TAXT"): 10**15,
        (stage.at["safe"], "USDX"): 5 * 10**12,
        (stage.at["safe"], "KZTX"): 10**30,
    }
    sent = []
    for (address, asset), amount in gifts.items():
        received = amount - (amount * TAX_PER_MILLE // 1000 if asset == "TAXT" else 0)
        deposit = Move(address, asset, received)
        sent.append(stage.call(FOUNDER, "Token", asset, "transfer", address, amount, gas=120_000, deposits=[deposit]))
    for wallet in ("safe", "old safe"):
        sent.append(stage.call(FOUNDER, "Wallet", wallet, "setUp", HOT.address, gas=120_000))
    return sent
