"""What an account chain's blocks are made of, with true hashes, tries, receipts and blooms; and how an honest node answers from them.

Enters: transactions as somebody wants them, what each one did. Leaves: JSON as nodes give it: transactions, receipts, traces, bodies; and `Answers`,
which answers JSON-RPC from a main chain. What every address holds is the world's own book, kept in each `Block`, apart from
anything that a connector computes. It leaves out who decides what is mined (`evm_world`, `fire.account_chain`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.chains.evm.coding import decode, encode, keccak256
from pipeline.chains.evm.fields import shortest
from pipeline.chains.evm.receipts import TRANSFER_TOPIC, receipt_rlp
from pipeline.chains.evm.transactions import transaction_rlp
from tests.evm_encoding import header_rlp, trie_root

CHAIN_ID = 4242
MAX_FEE, TIP = 100, 10
"""The most that a transaction pays for a unit of gas, and what of it goes to the block's miner; in wei, as every price here."""
DEPOSIT, WITHDRAWAL = keccak256(b"Deposit(address,uint256)"), keccak256(b"Withdrawal(address,uint256)")
INTRINSIC, CALL_GAS = 21_000, 9_000
Move = tuple[str, str, int]
"""From, to and how much."""


def address(number: int) -> str:
    """An address of one's own, in lower case."""
    return "0x" + keccak256(b"address %d" % number)[12:].hex()


NOBODY = address(0)
TOKEN = address(900)
"""A token's contract."""
BATCH = address(901)
"""A contract that passes on what it is paid."""


class NodeFault(Exception):
    """The node answers a call with its own error."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass
class Spend:
    """A transaction to be mined."""

    sender: str
    to: str
    value: int = 0
    calls: list[Move] = field(default_factory=list)
    """Value that calls inside move, one below the other's sibling."""
    tokens: list[Move] = field(default_factory=list)
    """Units that `Transfer` logs of the token tell."""
    is_failed: bool = False
    logs: list[tuple[str, Move]] = field(default_factory=list)
    """`Transfer` logs of other contracts, whoever they name: nothing moves."""

    wraps: list[tuple[str, int]] = field(default_factory=list)
    """Units of the token that its contract mints to a party (above 0, a `Deposit`) or burns (below 0, a `Withdrawal`), without a `Transfer`."""
    authorizations: list[dict[str, str]] = field(default_factory=list)
    """Signed authorizations of code that it carries (EIP-7702), as nodes write them."""
    refunded_gas: int = 0
    """Given back for what it cleared, such as a contract that destroyed itself (before EIP-3529): the gas used may come below the intrinsic."""

    @property
    def gas_used(self) -> int:
        return -self.refunded_gas + INTRINSIC + CALL_GAS * (len(self.calls) + len(self.tokens) + len(self.logs) + len(self.wraps))


@dataclass
class Block:
    """A block with everything that a node could say of it."""

    body: dict[str, Any]
    receipts: list[dict[str, Any]]
    traces: list[dict[str, Any]]
    wei: dict[str, int]
    units: dict[str, int]
    contracts: set[str]

    @property
    def hash(self) -> str:
        return str(self.body["hash"])

    @property
    def height(self) -> int:
        return int(self.body["number"], 16)

    @property
    def time(self) -> int:
        return int(self.body["timestamp"], 16)


# --- making ----------------------------------------------------------------------------------------------------------


def bloom_of(*values: bytes) -> int:
    """The filter of some logged values, bit by bit as the Yellow Paper says."""
    bits = 0
    for value in values:
        digest = keccak256(value)
        for place in (0, 2, 4):
            bits |= 1 << ((digest[place] << 8 | digest[place + 1]) & 2047)
    return bits


def transaction_of(
    spend: Spend, nonce: int, *, price: int | None = None, salt: int = 0, max_fee: int = MAX_FEE, tip: int = TIP
) -> dict[str, Any]:
    """The signed transaction, in no block yet: of type 2, or a legacy one that pays `price` for its gas. `salt` stands for its signature."""
    made = {
        "type": "0x2", "chainId": hex(CHAIN_ID), "nonce": hex(nonce), "gas": hex(2_000_000), "maxFeePerGas": hex(max_fee),
        "maxPriorityFeePerGas": hex(tip), "to": spend.to, "value": hex(spend.value), "accessList": [],
        "input": "0x" if spend.gas_used == INTRINSIC else "0x01020304", "yParity": "0x0", "r": hex(7 + salt), "s": "0x9", "from": spend.sender,
    }  # fmt: skip
    if spend.authorizations:
        made |= {"type": "0x4", "authorizationList": spend.authorizations}
    if price is not None:
        del made["maxFeePerGas"], made["maxPriorityFeePerGas"], made["accessList"], made["yParity"]
        made |= {"type": "0x0", "gasPrice": hex(price), "v": hex(2 * CHAIN_ID + 35)}
    made["hash"] = "0x" + keccak256(transaction_rlp(made)).hex()
    return made


def price_of(transaction: dict[str, Any], base_fee: int) -> int:
    """What the transaction pays for a unit of gas in a block of that base fee; 0 when it does not pay so much."""
    if transaction["type"] == "0x0":
        price = int(transaction["gasPrice"], 16)
    else:
        price = min(int(transaction["maxFeePerGas"], 16), base_fee + int(transaction["maxPriorityFeePerGas"], 16))
    return price if price >= base_fee else 0


def placed(transaction: dict[str, Any], height: int, place: int, price: int) -> dict[str, Any]:
    """The transaction as a block has it."""
    return {**transaction, "blockNumber": hex(height), "transactionIndex": hex(place), "gasPrice": hex(price)}


def receipt_of(
    spend: Spend, transaction: dict[str, Any], *, token: str, is_failed: bool, price: int, gas: int, first_log: int
) -> dict[str, Any]:
    """The receipt of a transaction in its block. `gas`: used in the block with this one; `first_log`: logs before it."""
    told = [] if is_failed else [*((token, move) for move in spend.tokens), *spend.logs]
    logs: list[dict[str, Any]] = []
    bloom = 0
    shown = [(contract, TRANSFER_TOPIC, (sender, receiver), units) for contract, (sender, receiver, units) in told]
    if not is_failed:
        shown += [(token, DEPOSIT if units > 0 else WITHDRAWAL, (party,), abs(units)) for party, units in spend.wraps]
    for number, (contract, topic, parties, units) in enumerate(shown):
        topics = [topic, *(bytes(12) + bytes.fromhex(party[2:]) for party in parties)]
        bloom |= bloom_of(bytes.fromhex(contract[2:]), *topics)
        logs.append(
            {
                "address": contract,
                "topics": ["0x" + one.hex() for one in topics],
                "data": f"0x{units:064x}",
                "removed": False,
                "blockNumber": transaction["blockNumber"],
                "transactionHash": transaction["hash"],
                "transactionIndex": transaction["transactionIndex"],
                "logIndex": hex(first_log + number),
            }
        )
    return {
        "type": transaction["type"], "status": "0x0" if is_failed else "0x1", "cumulativeGasUsed": hex(gas), "logs": logs,
        "logsBloom": f"0x{bloom:0512x}", "transactionHash": transaction["hash"], "transactionIndex": transaction["transactionIndex"],
        "blockNumber": transaction["blockNumber"], "gasUsed": hex(spend.gas_used), "effectiveGasPrice": hex(price), "from": spend.sender,
        "to": spend.to, "contractAddress": None,
    }  # fmt: skip


def trace_of(spend: Spend, *, is_failed: bool) -> dict[str, Any]:
    """callTracer's tree of a transaction."""
    frame: dict[str, Any] = {"type": "CALL", "from": spend.sender, "to": spend.to, "value": hex(spend.value)}
    if is_failed:
        frame["error"] = "execution reverted"
    if spend.calls:
        frame["calls"] = [{"type": "CALL", "from": sender, "to": to, "value": hex(value)} for sender, to, value in spend.calls]
    return frame


def seal(
    block: Block, transactions: Sequence[dict[str, Any]], *, parent: Block | None, time: int, miner: str, base_fee: int,
    withdrawals: Sequence[tuple[str, int]] = (), salt: int = 0, uncles: Sequence[dict[str, Any]] = (),
) -> None:  # fmt: skip
    """Give the block, whose receipts and books are made, its body and its hash. `withdrawals` are addresses and gwei, `uncles` headers with their hashes."""
    bloom = 0
    for receipt in block.receipts:
        bloom |= int(receipt["logsBloom"], 16)
    gas = int(block.receipts[-1]["cumulativeGasUsed"], 16) if block.receipts else 0
    block.body = {
        "parentHash": parent.hash if parent else "0x" + 64 * "0", "miner": miner,
        "sha3Uncles": "0x" + keccak256(encode([decode(header_rlp(uncle)) for uncle in uncles])).hex(),
        "stateRoot": "0x" + keccak256(json.dumps([block.wei, block.units, salt]).encode()).hex(),
        "transactionsRoot": "0x" + trie_root([transaction_rlp(t) for t in transactions]).hex(),
        "receiptsRoot": "0x" + trie_root([receipt_rlp(r) for r in block.receipts]).hex(), "logsBloom": f"0x{bloom:0512x}",
        "difficulty": "0x0", "number": hex(parent.height + 1 if parent else 0), "gasLimit": hex(30_000_000), "gasUsed": hex(gas),
        "timestamp": hex(time), "extraData": "0x", "mixHash": "0x" + 64 * "0", "nonce": "0x" + 16 * "0", "baseFeePerGas": hex(base_fee),
        "withdrawalsRoot": "0x" + trie_root([_withdrawal_rlp(n, where, gwei) for n, (where, gwei) in enumerate(withdrawals)]).hex(),
        "uncles": [uncle["hash"] for uncle in uncles], "transactions": list(transactions),
        "withdrawals": [
            {"index": hex(n), "validatorIndex": hex(n + 7), "address": where, "amount": hex(gwei)} for n, (where, gwei) in enumerate(withdrawals)
        ],
    }  # fmt: skip
    block.body["hash"] = "0x" + keccak256(header_rlp(block.body)).hex()
    for item in (*transactions, *block.receipts, *(log for receipt in block.receipts for log in receipt["logs"])):
        item["blockHash"] = block.hash


def _withdrawal_rlp(index: int, where: str, gwei: int) -> bytes:
    return encode([shortest(index), shortest(index + 7), bytes.fromhex(where[2:]), shortest(gwei)])


# --- answering -------------------------------------------------------------------------------------------------------


class Answers:
    """An honest node over a main chain."""

    blocks: list[Block]
    """The main chain, from the genesis block."""
    token: str = TOKEN
    """The one token's contract."""

    def _with_hash(self, block_hash: str) -> Block | None:
        """A block of whatever branch."""
        raise NotImplementedError

    def _stale(self, block_hash: str) -> dict[str, Any] | None:
        """The header of a block that left the main chain, as an uncle is shown."""
        found = self._with_hash(block_hash)
        return {key: value for key, value in found.body.items() if key not in ("transactions", "withdrawals")} if found else None

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    def answer(self, method: str, params: list[Any]) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case for each method of the node
        """The result. Raises KeyError for a method it does not know."""
        match method:
            case "eth_chainId":
                return hex(CHAIN_ID)
            case "eth_syncing":
                return False
            case "web3_clientVersion":
                return "World/1"
            case "eth_getBlockByNumber":
                height = self.height if params[0] == "latest" else int(params[0], 16)
                return _shown(self.blocks[height], params[1]) if height <= self.height else None
            case "eth_getBlockByHash":
                found = self.by_hash(params[0])
                return _shown(found, params[1]) if found else None
            case "eth_getUncleByBlockHashAndIndex":
                found = self.by_hash(params[0])
                place = int(params[1], 16)
                return self._stale(found.body["uncles"][place]) if found and place < len(found.body["uncles"]) else None
            case "eth_getBlockReceipts":
                found = self.by_hash(params[0])
                return found.receipts if found else None
            case "eth_getTransactionByHash":
                return next((t for block in self.blocks for t in block.body["transactions"] if t["hash"] == params[0]), None)
            case "eth_getTransactionReceipt":
                return next((r for block in self.blocks for r in block.receipts if r["transactionHash"] == params[0]), None)
            case "eth_getLogs":
                return self._logs(params[0])
            case "trace_block":
                return self._frames(int(params[0], 16))
            case "trace_filter":
                return self._filtered(params[0])
            case "debug_traceBlockByHash":
                found = self.by_hash(params[0])
                if found is None:
                    raise NodeFault(-32000, "block not found")
                return [{"txHash": t["hash"], "result": trace} for t, trace in zip(found.body["transactions"], found.traces, strict=True)]
            case "eth_getBalance":
                return hex(self.state_of(params[1]).wei.get(params[0], 0))
            case "eth_getCode":
                return "0x60" if params[0] in self.state_of(params[1]).contracts else "0x"
            case "eth_call":
                state = self.state_of(params[1])
                if params[0]["to"] != self.token:
                    if params[0]["to"] in state.contracts:
                        raise NodeFault(3, "execution reverted")
                    return "0x"
                return f"0x{state.units.get('0x' + params[0]['data'][-40:], 0):064x}"
        raise KeyError(method)

    def by_hash(self, block_hash: str) -> Block | None:
        """A block of the main chain."""
        found = self._with_hash(block_hash)
        return found if found is not None and found.height <= self.height and self.blocks[found.height] is found else None

    def state_of(self, where: Any) -> Block:
        """The block after which the state is asked for."""
        found = self.by_hash(where["blockHash"]) if isinstance(where, dict) else self.blocks[int(where, 16)]
        if found is None:
            raise NodeFault(-32000, "header not found")
        return found

    def _logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for block in self.blocks[int(wanted["fromBlock"], 16) : int(wanted["toBlock"], 16) + 1]:
            for receipt in block.receipts:
                for log in receipt["logs"]:
                    if log["address"] in wanted.get("address", [log["address"]]) and all(
                        want is None or (topic in want if isinstance(want, list) else topic == want)
                        for want, topic in zip(wanted["topics"], log["topics"], strict=False)
                    ):
                        found.append(log)
        return found

    def _frames(self, height: int) -> list[dict[str, Any]]:
        block = self.blocks[height]
        return [frame for place, trace in enumerate(block.traces) for frame in _flat(block, trace, place)]

    def _filtered(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """The frames of `trace_filter`, of which this one asks for one side at a time."""
        (side, parties) = next((key, value) for key, value in wanted.items() if key in ("fromAddress", "toAddress"))
        heights = range(int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16) + 1)
        frames = [frame for height in heights for frame in self._frames(height)]
        return [frame for frame in frames if frame["action"]["from" if side == "fromAddress" else "to"] in parties]


def _shown(block: Block, is_full: bool) -> dict[str, Any]:
    return block.body if is_full else {**block.body, "transactions": [t["hash"] for t in block.body["transactions"]]}


def _flat(block: Block, trace: dict[str, Any], place: int) -> list[dict[str, Any]]:
    """callTracer's tree as `trace_block` lists it."""
    frames = []
    todo: list[tuple[list[int], dict[str, Any]]] = [([], trace)]
    while todo:
        path, frame = todo.pop(0)
        shown: dict[str, Any] = {
            "type": "call", "traceAddress": path, "blockHash": block.hash, "blockNumber": block.height, "transactionPosition": place,
            "transactionHash": block.body["transactions"][place]["hash"],
            "action": {"from": frame["from"], "to": frame["to"], "value": frame["value"], "callType": "call"},
        }  # fmt: skip
        if "error" in frame:
            shown["error"] = frame["error"]
        frames.append(shown)
        todo += [([*path, n], below) for n, below in enumerate(frame.get("calls", []))]
    return frames
