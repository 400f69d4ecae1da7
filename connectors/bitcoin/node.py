"""Queries to a node: its network, its features, the state of its main chain.

Enters: one connection. Leaves: checked values (`NodeStatus`, `NodeFeatures`, headers that chain to each other). A node on another
network stops the connector. Header hashes are computed, never taken from the node. Left out: the contents of blocks (`strategies.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from pipeline.chains.bitcoin.auxpow import parse_auxpow
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Header, parse_header, parse_headers
from pipeline.chains.forks import fork_fault
from pipeline.model.message import message

from .errors import NOT_THERE, AnswerUnreadable, BlockNotThere, BlockPruned, ChainMoved, NodeBusy, NodeWarmingUp, RpcError, WrongChain
from .indexes import BuildingIndex, read_indexes
from .rpc import NodeConnection

ZERO_HASH = "0" * 64
MAX_REST_HEADERS = 2000
BATCH = 500
"""Calls in one JSON-RPC batch."""
SCAN_TIMEOUT_S = 1800.0
"""For a scan of a month's filters, or of all unspent outputs."""


class _Scan(msgspec.Struct):
    from_height: int
    to_height: int
    relevant_blocks: list[str]
    completed: bool = True


class NodeStatus(msgspec.Struct, frozen=True):
    """`getblockchaininfo`: the node's tip and its progress."""

    chain: str
    blocks: int
    headers: int
    bestblockhash: str
    initialblockdownload: bool = False
    verificationprogress: float = 1.0
    pruned: bool = False
    pruneheight: int | None = None
    chainwork: str | None = None
    """Of the whole main chain, hex."""


class NodeFeatures(NamedTuple):
    """The ways of reading blocks that a node supports."""

    version: int
    subversion: str
    has_rest: bool
    has_rest_spent: bool
    """`/rest/spenttxouts` (Bitcoin Core 30 and later, with -rest)."""
    has_filters: bool
    """A block filter index (-blockfilterindex) and `scanblocks` (Core 25 and later)."""
    has_prevouts: bool
    """`getblock` with verbosity 3 gives what is spent (Core 23 and later)."""
    has_txindex: bool
    building: tuple[BuildingIndex, ...] = ()
    """Indexes that the node is still building: looked at again at the next blocks."""
    lacks_undo_data: bool = False
    """`/rest/spenttxouts` is there, and the undo data of the newest block is not, as after a snapshot was loaded: it is tried again at the next blocks."""

    @property
    def are_final(self) -> bool:
        """Whether nothing is to be tried again at the next blocks."""
        return not self.lacks_undo_data and not self.building

    def building_height(self, index: str) -> int | None:
        """How far an index is built that is being built; None else, or where the node does not say."""
        return next((each.height for each in self.building if each.name == index), None)


class RawHeader(NamedTuple):
    """A header of the main chain at its height, with its 80 bytes, and merged mining's proof where that is wanted."""

    height: int
    header: Header
    raw: bytes


class _NetworkInfo(msgspec.Struct):
    version: int
    subversion: str = ""


class _Tip(msgspec.Struct):
    hash: str


class Node:
    """Queries to one node over one connection."""

    def __init__(self, connection: NodeConnection, network: Network, *, rest: str = "auto", with_proofs: bool = False) -> None:
        """`with_proofs`: headers come with merged mining's proofs."""
        self._with_proofs = with_proofs
        self.connection = connection
        self.network = network
        self.rest = rest
        self._has_rest = False
        self._has_wait = True

    @property
    def name(self) -> str:
        return self.connection.name

    # --- identity and features -----------------------------------------------------------------------------------------------

    def read_status(self) -> NodeStatus:
        """The node's status now. Raises WrongChain when it is on another network."""
        status = self.connection.call("getblockchaininfo", result=NodeStatus)
        if status.chain != self.network.chain:
            raise WrongChain(
                message(
                    "the node at {name} is on chain {chain}, and {name_2} needs {chain_2}: point rpc_url at the right node, or correct `network`",
                    name=self.name,
                    chain=repr(status.chain),
                    name_2=self.network.name,
                    chain_2=repr(self.network.chain),
                )
            )
        return status

    def is_syncing(self, status: NodeStatus) -> bool:
        """Whether the node reports that it is behind the headers it knows. (A regtest chain without new blocks stays in
        initial block download for ever.)"""
        return status.headers > status.blocks or (status.initialblockdownload and self.network.chain != "regtest")

    def check_genesis(self) -> None:
        """Raises WrongChain unless the chain begins with the network's first block."""
        genesis = self.connection.call("getblockhash", 0, result=str)
        if genesis != self.network.genesis:
            raise WrongChain(
                message(
                    "the node at {name} has the first block {genesis}, and {name_2} begins with {genesis_2}: it is on another network",
                    name=self.name,
                    genesis=genesis,
                    name_2=self.network.name,
                    genesis_2=self.network.genesis,
                )
            )

    def check_forks(self, tip_height: int) -> bool:
        """Raises WrongChain when a block up to the node's tip is that of a fork of the network. False while the tip is too low to tell."""
        known = self.network.marks
        heights = [mark.height for mark in known if mark.height <= tip_height]
        fault = fork_fault(self.network, dict(zip(heights, self.hashes_at(heights), strict=True)))
        if fault:
            raise WrongChain(
                message(
                    "the node at {name} {fault}; point rpc_url at a node of {name_2}", name=self.name, fault=fault, name_2=self.network.name
                )
            )
        return len(heights) == len(known)

    def probe_features(self, tip: str) -> NodeFeatures:
        """The node's features, found by trying them."""
        info = self.connection.call("getnetworkinfo", result=_NetworkInfo)
        is_core = info.subversion.startswith("/Satoshi:")
        self._has_rest = self.rest != "off" and self._answers(f"/rest/headers/1/{tip}.bin") is True
        has_spent = self._answers(f"/rest/spenttxouts/{tip}.bin", of=tip) if self._has_rest else False
        indexes = read_indexes(self.connection)
        return NodeFeatures(
            version=info.version,
            subversion=info.subversion,
            has_rest=self._has_rest,
            has_rest_spent=has_spent is True,
            has_filters=is_core and info.version >= 250000 and indexes.filters_height >= 0,
            has_prevouts=is_core and info.version >= 230000,
            has_txindex=indexes.has_transactions,
            building=indexes.building,
            lacks_undo_data=has_spent is None,
        )

    def filters_reach(self) -> int:
        """The height up to which the block filter index has been built; -1 without one."""
        return read_indexes(self.connection).filters_height

    def _answers(self, path: str, *, of: str = "") -> bool | None:
        """Whether REST has the path; None where it has, and lacks the data of the block `of` now. Raises NodeBusy or NodeWarmingUp where it can't be told."""
        status, body = self.connection.get(path)
        said = body[:200].decode(errors="replace").lower()
        if status == 429 or (status == 503 and ("queue" in said or "temporarily unavailable:" in said)):
            rest_body(self.name, path, status, body)
        if of and status == 404 and (names_block(path, said) or any(words in said for words in NOT_THERE)):
            return None
        return status == 200

    def get(self, path: str) -> bytes:
        """The body of a REST answer. Raises ChainMoved when the node does not know what is asked."""
        status, body = self.connection.get(path)
        return rest_body(self.name, path, status, body)

    def scan_filters(self, scripts: Iterable[bytes], first: int, last: int) -> set[str]:
        """The blocks of those heights that the node's filters name for the scripts: none too few, some in vain.

        Raises ChainMoved when the node has not looked at all of them.
        """
        objects = [f"raw({script.hex()})" for script in scripts]
        try:
            answer = self.connection.call("scanblocks", "start", objects, first, last, "basic", result=_Scan, timeout_s=SCAN_TIMEOUT_S)
        except RpcError as error:
            if "height" in error.text:
                raise ChainMoved(str(error)) from error
            raise
        if not answer.completed or (answer.from_height, answer.to_height) != (first, last):
            raise ChainMoved(
                message(
                    "scanblocks at {name} covered {from_height} to {to_height}, not {first} to {last}",
                    name=self.name,
                    from_height=answer.from_height,
                    to_height=answer.to_height,
                    first=first,
                    last=last,
                )
            )
        return set(answer.relevant_blocks)

    # --- the main chain --------------------------------------------------------------------------------------------

    def hashes_at(self, heights: Sequence[int]) -> list[str]:
        """The main chain's hashes. Raises ChainMoved when one of the heights is above the tip."""
        hashes: list[str] = []
        try:
            for start in range(0, len(heights), BATCH):
                hashes += self.connection.batch("getblockhash", [(height,) for height in heights[start : start + BATCH]], result=str)
        except RpcError as error:
            if error.code == RpcError.INVALID_PARAMETER:
                raise ChainMoved(message("the chain became shorter: {error}", error=error)) from error
            raise
        return hashes

    def headers_after(self, height: int, block_hash: str | None, count: int) -> list[RawHeader]:
        """Up to `count` headers of the main chain that follow the block given, in order, each chained to the one before.

        `block_hash` None asks for those from `height + 1` on, whatever they follow. Raises ChainMoved when that block
        has left the main chain, or the chain changes meanwhile.
        """
        if self._has_rest and block_hash is not None and block_hash != ZERO_HASH:
            raw = self.get(f"/rest/headers/{min(count + 1, MAX_REST_HEADERS)}/{block_hash}.bin")
            try:
                parsed = parse_headers(raw, self.network, with_proofs=self._with_proofs)
            except ValueError as error:
                raise AnswerUnreadable(
                    message("headers after {block_hash} at {name}: {error}", block_hash=block_hash, name=self.name, error=error)
                ) from error
            if not parsed or parsed[0][0].hash.hex() != block_hash:
                raise ChainMoved(
                    message("block {block_hash} is not in the main chain of the node at {name}", block_hash=block_hash, name=self.name)
                )
            headers = parsed[1:]
        else:
            headers = self._headers_by_rpc(height + 1, count)
        prev = None if block_hash is None else bytes.fromhex(block_hash)
        for header, _ in headers:
            if prev is not None and header.prev != prev:
                raise ChainMoved(message("block {hash} does not follow {prev}", hash=header.hash.hex(), prev=prev.hex()))
            prev = header.hash
        return [RawHeader(height + 1 + n, header, raw) for n, (header, raw) in enumerate(headers)]

    def _headers_by_rpc(self, first: int, count: int) -> list[tuple[Header, bytes]]:
        hashes = self.hashes_at(range(first, first + count))
        headers: list[tuple[Header, bytes]] = []
        for start in range(0, len(hashes), BATCH):
            part = hashes[start : start + BATCH]
            try:
                texts = self.connection.batch("getblockheader", [(block_hash, False) for block_hash in part], result=str)
            except RpcError as error:
                if error.code == RpcError.NOT_FOUND:
                    raise ChainMoved(str(error)) from error
                raise
            for block_hash, text in zip(part, texts, strict=True):
                headers.append(_header(text, block_hash, self.network if self._with_proofs else None))
        return headers

    def wait_for_block(self, timeout_s: float) -> str | None:
        """The tip's hash once a new block has come, or the time is out; None at once when the node can't be waited on."""
        if not self._has_wait:
            return None
        try:
            tip = self.connection.call(
                "waitfornewblock", int(timeout_s * 1000), result=_Tip, timeout_s=timeout_s + self.connection.timeout_s
            )
        except RpcError:
            self._has_wait = False
            return None
        return tip.hash


def _header(text: str, block_hash: str, proved_on: Network | None) -> tuple[Header, bytes]:
    """`proved_on`: the network whose proof of merged mining is wanted with the header."""
    try:
        raw = bytes.fromhex(text)
        header = parse_header(raw[:HEADER_SIZE])  # merged mining's proof may follow
        if proved_on is None:
            raw = raw[:HEADER_SIZE]
        else:
            parse_auxpow(raw, proved_on)
    except ValueError as error:
        raise AnswerUnreadable(message("header of {block_hash}: {error}", block_hash=block_hash, error=error)) from error
    if header.hash.hex() != block_hash:
        raise AnswerUnreadable(
            message("the header given for block {block_hash} is that of {hash}", block_hash=block_hash, hash=header.hash.hex())
        )
    return header, raw


def names_block(path: str, said: str) -> bool:
    """Whether an answer names the block that a path asks for, and does not only repeat the path, as a server without REST may."""
    return path.rpartition("/")[2].removesuffix(".bin").lower() in said.lower() and "/rest/" not in said.lower()


def rest_body(node: str, path: str, status: int, body: bytes) -> bytes:
    """The body of a REST answer of that status."""
    if status == 200:
        return body
    said = body[:200].decode(errors="replace").strip()
    if status == 503 and "queue" not in said.lower():
        raise NodeWarmingUp(message("the node at {node} is starting: {said}", node=node, said=said))
    if status in (429, 503):
        raise NodeBusy(
            message(
                "the node at {node} is overloaded ({status}: {said}): trying again; rpcworkqueue can be raised",
                node=node,
                status=status,
                said=said,
            )
        )
    if status == 404 and any(words in said.lower() for words in NOT_THERE):
        raise BlockNotThere(node, path, said)
    if status == 404 and "pruned" in said:
        raise BlockPruned(
            message(
                "{path} at {node}: {said}. The node deleted a block that has not been read yet: use a node that keeps it (prune=0)",
                path=path,
                node=node,
                said=said,
            )
        )
    if status == 404 and names_block(path, said) and ("not found" in said.lower() or "not available" in said.lower()):
        raise ChainMoved(message("{path} at {node}: {said}", path=path, node=node, said=said))
    raise AnswerUnreadable(
        message(
            "{path} at {node} was answered with HTTP {status}: {said}; was REST switched off (rest=1)?",
            path=path,
            node=node,
            status=status,
            said=said or "nothing",
        )
    )
