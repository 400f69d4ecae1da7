"""Finds the blocks in which a token's `Transfer` names a watched address: `eth_getLogs` by topic over ranges, checked by bloom filters.

Enters: headers of a range. Leaves: heights. A range that is too large for the node is halved; so is one whose answer has a suspiciously
round number of logs, because some nodes truncate answers silently. Each log must belong to the block that was read. The header's bloom
filter covers the addresses of all logs: a log that it excludes is an error; a block whose filter matches although the node returned no log
is read whole, unless the filter is so full that it matches nearly everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pipeline.chains.evm.coding import keccak256
from pipeline.chains.evm.receipts import TRANSFER_TOPIC

from .answers import FoundLog, RawHeader, number
from .errors import AnswerUnreadable, ChainMoved, RpcError
from .node import Node
from .rpc import Call
from .wrapped import DEPOSIT_TOPIC, WITHDRAWAL_TOPIC

TRUNCATION_UNIT = 500
"""An answer with a multiple of this number of logs may be truncated."""
MAX_FALSE_POSITIVES = 0.02
"""Bloom filters with a higher probability of a false positive are ignored."""
FIRST_SPAN = 2000
WRAPPINGS = (DEPOSIT_TOPIC, WITHDRAWAL_TOPIC)
MAX_ADDRESSES = 500
"""Watched addresses in one request."""


class LogFinder:
    """Queries one node for logs; remembers how large a range it accepts."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.span = FIRST_SPAN

    def heights(self, headers: Sequence[RawHeader], addresses: Sequence[str], wrapped: Collection[str] = ()) -> set[int]:
        """Heights of the blocks where a `Transfer` has one of the addresses as a party, or a `Deposit` or `Withdrawal` of the wrapped coins' contracts.

        Raises ChainMoved when they are other blocks.
        """
        if not headers or not addresses:
            return set()
        blooms = _Blooms(addresses, [TRANSFER_TOPIC, *WRAPPINGS] if wrapped else [TRANSFER_TOPIC])
        perhaps = {header.height for header in headers if blooms.may_have(header.fields.logs_bloom)}
        if not perhaps:  # the headers exclude any log
            return set()
        found = self._ask(headers, addresses, wrapped)
        wrong = found - perhaps
        if wrong:
            raise AnswerUnreadable(
                f"the node at {self._node.name} gives logs of block {min(wrong)} that its header's bloom filter excludes"
            )
        doubtful = perhaps - found
        return found | {header.height for header in headers if header.height in doubtful and blooms.is_selective(header.fields.logs_bloom)}

    def _ask(self, headers: Sequence[RawHeader], addresses: Sequence[str], wrapped: Collection[str]) -> set[int]:
        hashes = {header.height: header.hash for header in headers}
        found: set[int] = set()
        first, last = headers[0].height, headers[-1].height
        while first <= last:
            end = min(last, first + self.span - 1)
            logs = self._range(first, end, addresses, wrapped)
            if logs is None:
                self.span = max(1, (end - first + 1) // 2)
                continue
            for log in logs:
                if log.removed or log.block_number is None or log.block_hash is None:
                    raise ChainMoved("a log of a block that is no longer in the main chain")
                try:
                    height = number(log.block_number)
                except ValueError as error:
                    raise AnswerUnreadable(f"blockNumber of a log of eth_getLogs at {self._node.name}: {error}") from error
                if hashes.get(height) != log.block_hash[2:].lower():
                    raise ChainMoved(f"a log is of block {height} {log.block_hash}, which is not the one read")
                found.add(height)
            self.span = min(FIRST_SPAN, self.span * 2) if end - first + 1 == self.span else self.span
            first = end + 1
        return found

    def _range(self, first: int, last: int, addresses: Sequence[str], wrapped: Collection[str]) -> list[FoundLog] | None:
        """The logs of a range; None when it must be split."""
        calls: list[Call] = []
        for start in range(0, len(addresses), MAX_ADDRESSES):
            parties = ["0x" + 24 * "0" + address[2:].lower() for address in addresses[start : start + MAX_ADDRESSES]]
            for topics in (["0x" + TRANSFER_TOPIC.hex(), parties], ["0x" + TRANSFER_TOPIC.hex(), None, parties]):
                calls.append(("eth_getLogs", ({"fromBlock": hex(first), "toBlock": hex(last), "topics": topics},)))
            if wrapped:
                where = {"fromBlock": hex(first), "toBlock": hex(last), "address": sorted(contract.lower() for contract in wrapped)}
                calls.append(("eth_getLogs", ({**where, "topics": [["0x" + topic.hex() for topic in WRAPPINGS], parties]},)))
        logs: list[FoundLog] = []
        for answer in self._node.connection.ask(calls):
            if isinstance(answer, RpcError):
                if first == last or not (answer.is_too_large or answer.code in (RpcError.LIMIT_EXCEEDED, -32602, -32000, -32603, -32701)):
                    raise answer
                return None
            some = self._node.connection.read(answer, "eth_getLogs", list[FoundLog])
            if some and len(some) % TRUNCATION_UNIT == 0 and first != last:
                return None
            logs += some
        return logs


class _Blooms:
    """Tests header bloom filters for a log of one of the topics with one of the addresses."""

    def __init__(self, addresses: Iterable[str], topics: Iterable[bytes]) -> None:
        self._topics = [_bits(topic) for topic in topics]
        self._parties = [_bits(bytes(12) + bytes.fromhex(address[2:])) for address in addresses]

    def may_have(self, bloom: str) -> bool:
        filled = int(bloom, 16)
        return any(filled & topic == topic for topic in self._topics) and any(filled & party == party for party in self._parties)

    def is_selective(self, bloom: str) -> bool:
        """Whether a match is meaningful: whether a filter this full has few false positives."""
        share = int(bloom, 16).bit_count() / 2048
        return share**3 * len(self._topics) * len(self._parties) < MAX_FALSE_POSITIVES


def _bits(value: bytes) -> int:
    """The three bits of a 2,048-bit filter that a value sets (Yellow Paper, 4.3.1)."""
    digest = keccak256(value)
    return sum({1 << (int.from_bytes(digest[place : place + 2], "big") & 2047) for place in (0, 2, 4)})
