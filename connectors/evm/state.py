"""Reads the state of the pool's addresses after a block: balances and code, in batches.

Enters: a block, addresses, token contracts. Leaves: numbers, or None where the node no longer has the block's state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.log.events.chain import BalanceColumns

from .abi import amount, balance_of
from .answers import number
from .errors import AnswerUnreadable
from .netting import MAX_UNITS
from .node import Node
from .rpc import Call
from .watch import WatchList


class StateReader:
    """Reads state from one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def balances_wei(self, addresses: Sequence[str], height: int, block_hash: str) -> dict[str, int | None]:
        """Each address's balance in the chain's own asset after the block."""
        at = self._node.at(height, block_hash)
        answers = self._node.state([("eth_getBalance", (address.lower(), at)) for address in addresses], height, block_hash)
        return {address: self._number(answer) for address, answer in zip(addresses, answers, strict=True)}

    def contracts(self, addresses: Sequence[str], height: int, block_hash: str) -> set[str] | None:
        """Those of the addresses that have code after the block; None where that state is gone."""
        at = self._node.at(height, block_hash)
        answers = self._node.state([("eth_getCode", (address.lower(), at)) for address in addresses], height, block_hash)
        if None in answers:
            return None
        return {address for address, answer in zip(addresses, answers, strict=True) if answer not in ("0x", "0x0")}

    def rows(self, watch_list: WatchList, asset: str, tokens: Mapping[str, str], height: int, block_hash: str) -> BalanceColumns:
        """The balance of every watched address in every known asset after the block."""
        at = self._node.at(height, block_hash)
        places: list[tuple[str, str, str]] = []
        calls: list[Call] = []
        for address, wallet in watch_list.addresses.items():
            places.append((wallet, address, asset))
            calls.append(("eth_getBalance", (address.lower(), at)))
            for contract, name in tokens.items():
                places.append((wallet, address, name))
                calls.append(("eth_call", ({"to": contract.lower(), "data": balance_of(address)}, at)))
        answers = self._node.state(calls, height, block_hash)
        values = [self._number(answer, is_token=method == "eth_call") for (method, _), answer in zip(calls, answers, strict=True)]
        return BalanceColumns(
            wallet=[wallet for wallet, _, _ in places],
            address=[address for _, address, _ in places],
            asset=[name for _, _, name in places],
            value=[None if value is None or value > MAX_UNITS else str(value) for value in values],
        )

    def _number(self, answer: str | None, *, is_token: bool = False) -> int | None:
        if answer is None:
            return None
        try:
            if is_token:
                return amount(answer) if answer != "0x" else 0  # no code at the contract's address yet
            return number(answer)
        except ValueError as error:
            raise AnswerUnreadable(f"the node at {self._node.name} answered a question for a balance with {answer[:80]!r}") from error
