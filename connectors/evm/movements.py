"""The asset movements of one transaction: from its own value, its calls and its logs. Pure.

Enters: a transaction as the node gives it, its parsed receipt, its calls if they were read. Leaves: movements of the chain's own asset
and of tokens, in the order `tx`, `call:…`, `log:…`, each with its reference (ADR 7). Movements of 0 are left out; a failed transaction
has none. Left out: which addresses are the pool's (`netting.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.fields import number
from pipeline.chains.evm.receipts import Receipt, token_movement

from .wrapped import wrappings


@dataclass(frozen=True, slots=True)
class Movement:
    """An amount of an asset moved from one address to another (EIP-55)."""

    asset: str
    """The asset's name; a contract's address for a token that is not known."""
    sender: str | None
    """None: newly issued (a block's reward)."""
    recipient: str
    value: int
    """Base units, above 0."""
    ref: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call within a transaction that moves value and was not reverted."""

    path: tuple[int, ...]
    sender: str
    recipient: str
    value: int


@dataclass(frozen=True)
class Calls:
    """The calls of one transaction according to the node's trace."""

    is_failed: bool
    inner: Sequence[Call]


def movements_of(
    transaction: Mapping[str, Any],
    receipt: Receipt,
    first_log: int,
    calls: Calls | None,
    *,
    created: str | None,
    asset: str,
    tokens: Mapping[str, str],
    wrapped: Collection[str] = (),
) -> list[Movement]:
    """Every movement of one transaction. `first_log` is the index in the block of its first log; `created` the contract it made;
    `tokens` names known contracts; `wrapped`: those of wrapped coins (`wrapped.py`). Raises ValueError for a malformed field."""
    failed = receipt.status == 0 if receipt.status is not None else calls is not None and calls.is_failed
    if failed:
        return []
    found = []
    value, to = number(transaction, "value"), transaction.get("to") or created
    if value:
        if to is None:
            raise ValueError("it makes a contract, and its receipt names none")
        found.append(Movement(asset, to_checksum(transaction["from"]), to_checksum(to), value, "tx"))
    for call in calls.inner if calls is not None else ():
        if call.value:
            found.append(Movement(asset, call.sender, call.recipient, call.value, "call:" + ".".join(map(str, call.path))))
    wraps = wrappings(receipt.logs, wrapped)
    for place, log in enumerate(receipt.logs):
        index = first_log + place
        if (wrap := wraps.get(place)) is not None:
            found.append(Movement(tokens.get(wrap.contract, wrap.contract), wrap.sender, wrap.recipient, wrap.value, f"log:{index}"))
        token = token_movement(log)
        if token is not None and token.value:
            name = tokens.get(token.contract, token.contract)
            found.append(Movement(name, token.sender, token.receiver, token.value, f"log:{index}"))
    return found
