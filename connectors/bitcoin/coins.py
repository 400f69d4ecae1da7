"""What a node says of coins: which are unspent, who spends the others, which transactions touch them (`pipeline.chains.bitcoin.coins`).

Enters: a connection, scripts, outpoints. Leaves: values. Every block that is read is checked against its hash. The set of unspent outputs is the node's own
word: nothing in the chain commits to it. Left out: what follows from it (`pipeline.verify.node`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from pipeline.chains.bitcoin.coins import Outpoint, Spend, Unspent, UnspentCoin
from pipeline.chains.bitcoin.filters import BlockFilter
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Block
from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .errors import AnswerUnreadable, ChainMoved, NotOffered, RpcError, WrongChain
from .fetch import Fetcher, base_units
from .node import SCAN_TIMEOUT_S, Node, NodeStatus
from .read_blocks import parsed_block
from .rpc import Credentials, NodeConnection

BLOCKS_AT_ONCE = 100


class _Unspent(msgspec.Struct):
    txid: str
    vout: int
    amount: Decimal
    height: int


class _Set(msgspec.Struct):
    success: bool
    unspents: list[_Unspent]
    height: int


class _Transaction(msgspec.Struct):
    blockhash: str | None = None


class _BlockHeight(msgspec.Struct):
    height: int


class _Filter(msgspec.Struct):
    filter: str
    header: str


@contextmanager
def _moved_is_trouble() -> Iterator[None]:
    """The main chain changed between two requests, or is shorter than was asked: the caller asks again."""
    try:
        yield
    except ChainMoved as error:
        raise AnswerUnreadable(message("{error}: ask again", error=error)) from error


class NodeOfCoins:
    """A node, asked of coins. Close it when done."""

    def __init__(self, url: str, login: Path | Credentials | None, networks: Sequence[Network], *, timeout_s: float = 120.0) -> None:
        """`login`: a file of one line USER:PASSWORD, as a node's cookie file is, or what is in it. `networks`: those that the node may be of.

        Raises SettingsError for an address or a file that can't be used, SourceError when the node does not answer or is of none of the networks.
        """
        if "@" in url:
            raise SettingsError(
                [message("--node: an address holds no password: put USER:PASSWORD into a file and name it with --node-login")]
            )
        credentials = login if isinstance(login, Credentials) else Credentials(cookie_path=login)
        self.connection = NodeConnection(url, credentials, timeout_s=timeout_s)
        self.name = self.connection.name
        genesis = self.connection.call("getblockhash", 0, result=str)
        begin_so = [network for network in networks if network.genesis == genesis]
        if not begin_so:
            told = ", ".join(sorted({network.name for network in networks})) or "no chain of coins"
            raise SettingsError(
                [
                    message(
                        "--node: the node at {name} has the first block {genesis}; the bundle is of {told}",
                        name=self.name,
                        genesis=genesis,
                        told=told,
                    )
                ]
            )
        self.network = self._told_apart(begin_so)
        self.network_name = self.network.name
        self._node = Node(self.connection, self.network)
        self._fetcher = Fetcher(self.connection, self.network)

    def _told_apart(self, begin_so: Sequence[Network]) -> Network:
        """Which of the networks with one first block the node is of, by blocks after the forks. Raises WrongChain for none."""
        tip_height = self.tip_height()
        for network in begin_so[:-1]:
            try:
                Node(self.connection, network).check_forks(tip_height)
            except WrongChain:
                continue
            return network
        Node(self.connection, begin_so[-1]).check_forks(tip_height)
        return begin_so[-1]

    def close(self) -> None:
        """End the threads and connections."""
        self._fetcher.close()
        self.connection.close()

    def tip_height(self) -> int:
        return self.connection.call("getblockchaininfo", result=NodeStatus).blocks

    def hash_at(self, height: int) -> str:
        return self._hashes_at([height])[0]

    def _hashes_at(self, heights: Sequence[int]) -> list[str]:
        with _moved_is_trouble():
            return self._node.hashes_at(heights)

    def unspent(self, scripts: Collection[bytes]) -> Unspent:
        objects = [f"raw({script.hex()})" for script in sorted(scripts)]
        found = self.connection.call("scantxoutset", "start", objects, result=_Set, timeout_s=SCAN_TIMEOUT_S)
        if not found.success:
            raise AnswerUnreadable(message("scantxoutset at {name} did not finish: ask again", name=self.name))
        return Unspent(found.height, [UnspentCoin(coin.txid, coin.vout, self._units(coin), coin.height) for coin in found.unspents])

    def _units(self, coin: _Unspent) -> int:
        try:
            return base_units(coin.amount)
        except ValueError as error:
            raise AnswerUnreadable(message("scantxoutset at {name}: {error}", name=self.name, error=error)) from error

    def spends(self, coins: Collection[Outpoint], after: int) -> dict[Outpoint, Spend]:
        wanted, found = {(bytes.fromhex(txid), vout) for txid, vout in coins}, dict[Outpoint, Spend]()
        for height, block in self._blocks(after + 1, self.tip_height()) if wanted else ():
            for tx in block.transactions:
                for source in tx.inputs:
                    if (source.txid, source.vout) in wanted:
                        found[source.txid.hex(), source.vout] = Spend(tx.txid.hex(), height)
            if len(found) == len(wanted):
                break
        return found

    def created_at(self, txid: str) -> int | None:
        try:
            block_hash = self.connection.call("getrawtransaction", txid, True, result=_Transaction).blockhash
        except RpcError:
            return None
        return None if block_hash is None else self.connection.call("getblockheader", block_hash, True, result=_BlockHeight).height

    def filter_header(self, block_hash: str) -> str | None:
        try:
            return self.connection.call("getblockfilter", block_hash, result=_Filter).header
        except RpcError:
            return None

    def filters(self, first: int, last: int) -> Iterator[BlockFilter]:
        """The basic filters of the main chain's blocks, in order, without blocks. Raises NotOffered where the node keeps none, or not so far yet."""
        for start in range(first, last + 1, BLOCKS_AT_ONCE):
            heights = range(start, min(start + BLOCKS_AT_ONCE, last + 1))
            hashes = self._hashes_at(heights)
            try:
                told = self.connection.batch("getblockfilter", [(hash_,) for hash_ in hashes], result=_Filter)
                headers = self.connection.batch("getblockheader", [(hash_, False) for hash_ in hashes], result=str)
            except RpcError as error:
                raise NotOffered(
                    message(
                        "the node at {name} gives no filters of blocks {start} to {heights} (blockfilterindex=1): {text}",
                        name=self.name,
                        start=start,
                        heights=heights[-1],
                        text=error.text,
                    )
                ) from error
            for height, each, header in zip(heights, told, headers, strict=True):
                try:
                    yield BlockFilter(
                        height=height,
                        block_header=bytes.fromhex(header)[:HEADER_SIZE],
                        filter=bytes.fromhex(each.filter),
                        filter_header=each.header,
                    )
                except ValueError as error:
                    raise AnswerUnreadable(
                        message("the filter of block {height} at {name}: {error}", height=height, name=self.name, error=error)
                    ) from error

    def block(self, block_hash: str) -> bytes:
        """The block's bytes, checked against its hash."""
        assert self.network is not None
        with _moved_is_trouble():
            raw = self._fetcher.rpc_raw(block_hash)
        parsed_block(raw, block_hash, self.network)
        return raw

    def touching(self, scripts: Collection[bytes], coins: Collection[Outpoint], first: int, last: int) -> Iterator[Spend]:
        watched, known = set(scripts), {(bytes.fromhex(txid), vout) for txid, vout in coins}
        for height, block in self._blocks(first, last, self._relevant(scripts, first, last)):
            for tx in block.transactions:
                paid = [(tx.txid, vout) for vout, output in enumerate(tx.outputs) if output.script in watched]
                known.update(paid)
                if paid or any((source.txid, source.vout) in known for source in tx.inputs):
                    yield Spend(tx.txid.hex(), height)

    def _relevant(self, scripts: Collection[bytes], first: int, last: int) -> set[str] | None:
        """The blocks that the node's filters name, which never miss one; None where it has no filters."""
        with _moved_is_trouble():
            features = self._node.probe_features(self.hash_at(last))
            if not features.has_filters or self._node.filters_reach() < last:
                return None
            return self._node.scan_filters(sorted(scripts), first, last)

    def _blocks(self, first: int, last: int, only: set[str] | None = None) -> Iterator[tuple[int, Block]]:
        """The main chain's blocks in order, each checked against its hash."""
        assert self.network is not None
        for start in range(first, last + 1, BLOCKS_AT_ONCE):
            heights = range(start, min(start + BLOCKS_AT_ONCE, last + 1))
            hashes = self._hashes_at(heights)
            named = [(height, hash_) for height, hash_ in zip(heights, hashes, strict=True) if only is None or hash_ in only]
            with _moved_is_trouble():
                raws = self._fetcher.prefetch(self._fetcher.rpc_raw, [hash_ for _, hash_ in named])
                for (height, hash_), raw in zip(named, raws, strict=True):
                    yield height, parsed_block(raw, hash_, self.network)
