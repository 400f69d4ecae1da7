"""Receipts of account chains: whether a transaction went through, what it logged, and which tokens that moved.

Enters: a node's JSON, or the bytes that the header's receipts root commits to. Leaves: those bytes, or what they say. A receipt of
type 1 and up has its type before the list, as its transaction has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .address import to_checksum
from .coding import decode, encode
from .fields import Nested, as_bytes, as_list, as_number, data, entry, number, quantity

TRANSFER_TOPIC = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
"""Keccak-256 of `Transfer(address,address,uint256)` (ERC-20)."""
_TYPED = frozenset((1, 2, 3, 4))


@dataclass(frozen=True)
class Log:
    """What a contract logged."""

    address: str
    """The contract's, EIP-55."""
    topics: list[bytes]
    data: bytes


@dataclass(frozen=True)
class Receipt:
    """What the chain keeps of a transaction's run."""

    kind: int
    status: int | None
    """1: success; 0: failure; None before Byzantium, where the receipt has a state root instead."""
    cumulative_gas_used: int
    bloom: bytes
    logs: list[Log]


@dataclass(frozen=True)
class TokenMovement:
    """A token's `Transfer` log: base units from one address to another, EIP-55."""

    contract: str
    sender: str
    receiver: str
    value: int


def receipt_rlp(receipt: Mapping[str, Any]) -> bytes:
    """The receipt's bytes, as the header's receipts root commits to them, from `eth_getTransactionReceipt`'s answer.

    Raises ValueError for a type that this program does not know, or a field that is missing or malformed.
    """
    return _encoded(*_told(receipt))


def read_receipt(receipt: Mapping[str, Any]) -> tuple[bytes, Receipt]:
    """`receipt_rlp`, and what those bytes say: `parse_receipt` of them, without decoding what was just encoded."""
    kind, values = _told(receipt)
    return _encoded(kind, values), _receipt(kind, values)


def _encoded(kind: int, values: list[Nested]) -> bytes:
    return bytes([kind]) + encode(values) if kind else encode(values)


def _told(receipt: Mapping[str, Any]) -> tuple[int, list[Nested]]:
    """The receipt's type and the values that its bytes hold."""
    kind = number(receipt, "type") if receipt.get("type") is not None else 0
    if kind and kind not in _TYPED:
        raise ValueError(f"a receipt of type {kind} is not known to this program: upgrade it")
    outcome = data(receipt, "root", 32) if receipt.get("status") is None else quantity(receipt, "status")
    logs = receipt.get("logs")
    if not isinstance(logs, list):
        raise ValueError(f"logs is {logs!r}, not a list")
    entries: list[Nested] = [_log(entry(log, "logs")) for log in logs]
    return kind, [outcome, quantity(receipt, "cumulativeGasUsed"), data(receipt, "logsBloom", 256), entries]


def _log(log: Mapping[str, Any]) -> Nested:
    topics = log.get("topics")
    if not isinstance(topics, list):
        raise ValueError(f"topics is {topics!r}, not a list")
    return [data(log, "address", 20), [data({"topics": topic}, "topics", 32) for topic in topics], data(log, "data")]


def parse_receipt(raw: bytes) -> Receipt:
    """What the receipt's bytes say. Raises ValueError for bytes that are no receipt, or of an unknown type."""
    if not raw:
        raise ValueError("a receipt has at least one byte")
    kind = 0 if raw[0] >= 0xC0 else raw[0]
    if kind and kind not in _TYPED:
        raise ValueError(f"a receipt of type {kind} is not known to this program: upgrade it")
    return _receipt(kind, as_list(decode(raw[1:] if kind else raw), "receipt"))


def _receipt(kind: int, values: list[Nested]) -> Receipt:
    if len(values) != 4:
        raise ValueError(f"a receipt has 4 fields, this one has {len(values)}")
    outcome = as_bytes(values[0], "status")
    if len(outcome) != 32 and outcome not in (b"", b"\x01"):
        raise ValueError(f"a receipt's status is 0 or 1, not {outcome.hex()}")
    return Receipt(
        kind=kind,
        status=None if len(outcome) == 32 else len(outcome),
        cumulative_gas_used=as_number(values[1], "cumulativeGasUsed"),
        bloom=as_bytes(values[2], "logsBloom", 256),
        logs=[_parse_log(log) for log in as_list(values[3], "logs")],
    )


def receipt_as_told(answer: Mapping[str, Any]) -> Receipt:
    """A receipt of a type that this program can't encode, as the node tells it. Raises ValueError for a malformed field."""
    logs = answer.get("logs")
    if not isinstance(logs, list):
        raise ValueError("logs is not a list")
    return Receipt(
        kind=number(answer, "type"),
        status=number(answer, "status"),
        cumulative_gas_used=number(answer, "cumulativeGasUsed"),
        bloom=data(answer, "logsBloom", 256),
        logs=[_parse_log(_log(entry(log, "logs"))) for log in logs],
    )


def _parse_log(raw: Nested) -> Log:
    values = as_list(raw, "log")
    if len(values) != 3:
        raise ValueError(f"a log has 3 fields, this one has {len(values)}")
    topics = [as_bytes(topic, "topic", 32) for topic in as_list(values[1], "topics")]
    return Log(to_checksum("0x" + as_bytes(values[0], "address", 20).hex()), topics, as_bytes(values[2], "data"))


def token_movement(log: Log) -> TokenMovement | None:
    """The token movement of an ERC-20 `Transfer` log (both parties indexed, the amount in the data); None for any other log.

    An ERC-721's has four topics and moves no amount. A movement of 0 is none (ADR 7) and is left to the caller.
    """
    if len(log.topics) != 3 or log.topics[0] != TRANSFER_TOPIC or len(log.data) != 32:
        return None
    if any(topic[:12] != bytes(12) for topic in log.topics[1:]):
        return None
    sender, receiver = (to_checksum("0x" + topic[12:].hex()) for topic in log.topics[1:])
    return TokenMovement(log.address, sender, receiver, int.from_bytes(log.data, "big"))


def token_movements(receipt: Receipt) -> list[TokenMovement]:
    """Every token's movement in the receipt, in the logs' order; none where the transaction failed."""
    return [] if receipt.status == 0 else list(_movements(receipt.logs))


def _movements(logs: Iterable[Log]) -> Iterable[TokenMovement]:
    for log in logs:
        movement = token_movement(log)
        if movement is not None and movement.value:
            yield movement
