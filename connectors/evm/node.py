"""Queries to an account chain's node, with checks of each answer.

Enters: a connection. Leaves: blocks by number with verified header hashes; receipts, calls and
state of one block. No block tag but `latest` is used, because not every node knows `finalized`. Raises ChainMoved when the main chain
changed between two queries. Left out: what the answers mean for the pool (`read_block.py`, `scan.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from connectors.transport.json_rpc import Told
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.forks import fork_fault
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .answers import LightBlock, Located, ProvedAccount, RawHeader, Syncing, Tip, number, raw_header
from .commitments import check_withdrawals
from .errors import AnswerUnreadable, ChainMoved, NotYetThere, RpcError, StateMissing, WrongChain
from .features import CALL_TRACER, NodeFeatures, NodeStatus, Traces, is_null, probe
from .movements import Calls
from .rpc import Call, NodeConnection, shows_nothing
from .traces import FlatTrace, TracedTransaction, Untraced, calls_by_transaction, calls_of_trees, decode_nested

STATE_KEPT_BLOCKS = 128
"""Below the tip: a node that answers null about an older block's state or traces is taken at its word, of a newer one it may be late."""
_GONE = object()
"""In place of an answer about a state that the node does not have."""
_journal = Journal("evm")


@dataclass(frozen=True)
class ReadBlock:
    """A block as read: its header, and its JSON for further decoding."""

    header: RawHeader
    light: LightBlock
    told: Told[LightBlock]

    @cached_property
    def raw(self) -> msgspec.Raw:
        """Its JSON: of the few that are read whole."""
        return self.told.raw(near=self.header.hash.encode())


class Node:
    """The node behind one connection."""

    def __init__(self, connection: NodeConnection, chain_id: int) -> None:
        self.connection, self.chain_id = connection, chain_id
        self.name = connection.name
        self.features: NodeFeatures | None = None
        self._tip_height = 0
        self.n_states_missing = 0  # questions about a state that was gone
        self.traced_otherwise: set[str] = set()
        """Hashes of blocks that the way of tracing in use does not show, wholly or in part, and the other one does."""
        self.told_untraced: dict[tuple[str, str], str] = {}
        """By block's hash and transaction's id: strangers' transactions that no way of tracing shows, each told once, in words."""

    # --- the node itself -------------------------------------------------------------------------------------------

    def read_status(self) -> NodeStatus:
        """The node's status, in one request. Raises WrongChain for a node of another network."""
        calls: list[Call] = [("eth_chainId", ()), ("eth_syncing", ()), ("eth_getBlockByNumber", ("latest", False))]
        chain_id, syncing, tip = self.connection.ask(calls)
        told = self._number(self.connection.read(_result(chain_id), "eth_chainId", str), "eth_chainId")
        if told != self.chain_id:
            raise WrongChain(message("the node at {name} is of network evm:{told}, not evm:{chain_id}: point rpc_url at the right node", name=self.name, told=told, chain_id=self.chain_id))  # fmt: skip
        progress = self.connection.read(_result(syncing), "eth_syncing", Syncing | bool) if not isinstance(syncing, RpcError) else False
        newest = self.connection.read(_result(tip), "eth_getBlockByNumber", Tip | None)
        if newest is None:
            raise NotYetThere(message("the node at {name} has no block yet: it is starting", name=self.name))
        heights = None
        if isinstance(progress, Syncing):
            heights = (
                self._number(progress.current_block, "eth_syncing.currentBlock"),
                self._number(progress.highest_block, "eth_syncing.highestBlock"),
            )
        self._tip_height = self._number(newest.number, message("number of the latest block"))
        return NodeStatus(self._tip_height, newest.hash[2:].lower(), heights, newest.work())

    def probe_features(self, status: NodeStatus) -> NodeFeatures:
        """The node's features, found by trying them (`features.py`); what is known of this node already stays known."""
        self.features = probe(self.connection, status, self.features)
        return self.features

    def check_forks(self, network: AccountNetwork, tip_height: int) -> bool:
        """Raises WrongChain when the first block, or one after a fork, is another network's. False while the tip is too low to tell.

        Nodes that dropped old blocks refuse some of these questions, or answer null: the other blocks decide then.
        """
        asked = [mark.height for mark in network.marks if mark.height <= tip_height]
        answers = self.connection.ask([("eth_getBlockByNumber", (hex(height), False)) for height in asked])
        hashes = {}
        for height, answer in zip(asked, answers, strict=True):
            if not isinstance(answer, RpcError):
                tip = self.connection.read(answer, "eth_getBlockByNumber", Tip | None)
                if tip is not None:
                    hashes[height] = tip.hash[2:].lower()
        fault = fork_fault(network, hashes)
        if fault:
            raise WrongChain(message("the node at {name} {fault}; point rpc_url at a node of {name_2}", name=self.name, fault=fault, name_2=network.name))  # fmt: skip
        if asked and not hashes:
            _journal.warning("network-not-told-apart", node=self.name, network=network.name, heights=asked)
        return len(asked) == len(network.marks)

    # --- the main chain --------------------------------------------------------------------------------------------

    def hashes_at(self, heights: Sequence[int]) -> list[str | None]:
        """The main chain's hashes; None above the tip."""
        calls: list[Call] = [("eth_getBlockByNumber", (hex(height), False)) for height in heights]
        return [tip and tip.hash[2:].lower() for tip in self.connection.batch(calls, result=Tip | None)]

    def blocks(self, first: int, last: int) -> list[ReadBlock]:
        """The main chain's blocks of a range, each hashed. Raises ChainMoved when one is not there (any more)."""
        calls: list[Call] = [("eth_getBlockByNumber", (hex(height), True)) for height in range(first, last + 1)]
        found = []
        for height, told in zip(range(first, last + 1), self.connection.tell(calls, LightBlock), strict=True):
            block = self._block(told, height)
            if block.header.height != height:
                raise AnswerUnreadable(message("the node at {name} was asked for block {height} and gave block {height_2}", name=self.name, height=height, height_2=block.header.height))  # fmt: skip
            found.append(block)
        return found

    def block(self, block_hash: str) -> ReadBlock:
        """The block of that hash. Raises ChainMoved when the node does not have it."""
        (told,) = self.connection.tell([("eth_getBlockByHash", ("0x" + block_hash, True))], LightBlock)
        block = self._block(told, block_hash)
        if block.header.hash != block_hash:
            raise AnswerUnreadable(message("the node at {name} was asked for block {block_hash} and gave {hash}", name=self.name, block_hash=block_hash, hash=block.header.hash))  # fmt: skip
        return block

    def _block(self, told: Told[LightBlock], asked: int | str) -> ReadBlock:
        """The block, hashed, that was asked for by that height or hash."""
        light = told.value
        if light is None:
            raise ChainMoved(message("the node at {name} does not have {what}", name=self.name, what=_named(asked)))
        try:
            check_withdrawals(light, light.withdrawals)
            return ReadBlock(raw_header(light), light, told)
        except ValueError as error:
            raise AnswerUnreadable(message("{what} at {name}: {error}", what=_named(asked), name=self.name, error=error)) from error

    # --- one block -------------------------------------------------------------------------------------------------

    def receipts(self, block: RawHeader, txids: Sequence[str]) -> list[dict[str, Any]]:
        """The receipts of all transactions of a block, in order, each of that block."""
        if not txids:
            return []
        assert self.features is not None
        found: list[dict[str, Any] | None] | None
        found = self._block_receipts(block) if self.features.has_block_receipts else None
        if found is None:
            found = self.connection.batch([("eth_getTransactionReceipt", ("0x" + txid,)) for txid in txids], result=dict[str, Any] | None)
        if len(found) != len(txids):
            raise AnswerUnreadable(message("the node at {name} gave {count} receipts of the {count_2} transactions of block {height}", name=self.name, count=len(found), count_2=len(txids), height=block.height))  # fmt: skip
        checked = []
        for place, (receipt, txid) in enumerate(zip(found, txids, strict=True)):
            if receipt is None:
                raise NotYetThere(message("the node at {name} has no receipt of transaction {txid} of block {height} yet", name=self.name, txid=txid, height=block.height))  # fmt: skip
            if _hash_in(receipt, "blockHash") != block.hash:
                raise ChainMoved(message("the receipt of {txid} is of block {blockhash}, not {hash}", txid=txid, blockhash=receipt.get("blockHash"), hash=block.hash))  # fmt: skip
            if (
                _hash_in(receipt, "transactionHash") != txid
                or self._number(str(receipt.get("transactionIndex")), "transactionIndex") != place
            ):
                raise AnswerUnreadable(message("the node at {name} gave the receipt of {transactionhash} in place of {txid}'s", name=self.name, transactionhash=receipt.get("transactionHash"), txid=txid))  # fmt: skip
            checked.append(receipt)
        return checked

    def _block_receipts(self, block: RawHeader) -> list[dict[str, Any] | None] | None:
        """All of a block's receipts in one answer; None where the node refuses that now: they are asked for one by one then."""
        assert self.features is not None
        name = "0x" + block.hash if self.features.block_receipts_by == "hash" else hex(block.height)
        try:
            found: list[dict[str, Any] | None] | None = self.connection.call(
                "eth_getBlockReceipts", name, result=list[dict[str, Any] | None] | None
            )
        except RpcError as error:
            _journal.warning("block-receipts-refused", node=self.name, height=block.height, detail=str(error))
            return None
        if found is None:
            raise NotYetThere(message("the node at {name} has no receipts of block {height} {hash} yet", name=self.name, height=block.height, hash=block.hash))  # fmt: skip
        return found

    def calls(self, block: RawHeader, txids: Sequence[str], way: Traces) -> list[Calls | Untraced]:
        """The calls inside each transaction of a block, in order. Raises StateMissing when the node no longer has the state to trace it."""
        if not txids:
            return []
        call: Call = (
            ("trace_block", (hex(block.height),)) if way == "trace_block" else ("debug_traceBlockByHash", ("0x" + block.hash, CALL_TRACER))
        )
        answer = self.connection.ask([call])[0]
        if isinstance(answer, RpcError):
            if answer.is_state_missing:
                raise self._state_gone(block, way, answer.text)
            if answer.is_block_missing:
                raise ChainMoved(str(answer))
            raise answer
        if shows_nothing(answer):
            if self._is_old(block.height):
                raise self._state_gone(block, way, message("it answers {bytes}", bytes=bytes(answer).decode()))
            raise NotYetThere(message("the node at {name} has no trace of block {height} yet", name=self.name, height=block.height))
        try:
            if way == "trace_block":
                return calls_by_transaction(decode_nested(answer, list[FlatTrace]), block.hash, txids)
            return calls_of_trees(decode_nested(answer, list[TracedTransaction]), txids)
        except (ValueError, msgspec.DecodeError) as error:
            raise AnswerUnreadable(message("the traces of block {height} {hash} at {name}: {error}", height=block.height, hash=block.hash, name=self.name, error=error)) from error  # fmt: skip

    def _is_old(self, height: int) -> bool:
        return self._tip_height - height > STATE_KEPT_BLOCKS

    def _state_gone(self, block: RawHeader, way: Traces, text: str) -> StateMissing:
        return StateMissing(message(
            "the node at {name} no longer has the state of block {height}, which {way} needs ({text}): add an archive node to rpc_url, or read the chain while it is fresh",
            name=self.name, height=block.height, way=way, text=text,
        ))  # fmt: skip

    def traced_heights(self, headers: Sequence[RawHeader], addresses: Sequence[str]) -> set[int] | None:
        """Heights of blocks in whose calls `trace_filter` finds one of the addresses; None where the node has no such method, or fails at it."""
        assert self.features is not None
        if not self.features.may_have("trace_filter"):
            return None
        parties = [address.lower() for address in addresses]
        span = {"fromBlock": hex(headers[0].height), "toBlock": hex(headers[-1].height)}
        hashes = {header.height: header.hash for header in headers}
        found: set[int] = set()
        for answer in self.connection.ask([("trace_filter", ({**span, side: parties},)) for side in ("fromAddress", "toAddress")]):
            if isinstance(answer, RpcError) or is_null(answer):
                return None
            for trace in self.connection.read(answer, "trace_filter", list[Located]):
                if hashes.get(trace.block_number) != trace.block_hash[2:].lower():
                    raise ChainMoved(message("a trace is of block {block_number} {block_hash}, which is not the one read", block_number=trace.block_number, block_hash=trace.block_hash))  # fmt: skip
                found.add(trace.block_number)
        return found

    # --- state -----------------------------------------------------------------------------------------------------

    def at(self, height: int, block_hash: str) -> object:
        """The block parameter of a query about state."""
        assert self.features is not None
        return {"blockHash": "0x" + block_hash} if self.features.has_state_by_hash else hex(height)

    def account_proofs(self, addresses: Sequence[str], height: int, block_hash: str) -> list[list[str] | None]:
        """Nodes of the state's trie, root first, that prove each account after one block; None where the node no longer has them. As `state`."""
        at = self.at(height, block_hash)
        found = self.state([("eth_getProof", (address.lower(), (), at)) for address in addresses], height, block_hash, result=ProvedAccount)
        return [answer and answer.account_proof for answer in found]

    def account_proofs_at_once(self, asked: Mapping[tuple[int, str], Sequence[str]]) -> dict[int, list[list[str] | None]]:
        """As `account_proofs`, by height, of the addresses of several blocks in one request. Left out are blocks of which the node does not prove every
        address now, and all of them where it takes no block's hash: these are to be asked for one by one."""
        assert self.features is not None
        if len(asked) < 2 or not self.features.has_state_by_hash:
            return {}
        calls: list[Call] = [("eth_getProof", (a.lower(), (), self.at(*block))) for block, addresses in asked.items() for a in addresses]
        answers = iter(self.connection.ask(calls))
        found: dict[int, list[list[str] | None]] = {}
        for (height, _), addresses in asked.items():
            some = [answer for _, answer in zip(addresses, answers, strict=False)]
            proved = [answer for answer in some if not isinstance(answer, RpcError) and not is_null(answer)]
            if len(proved) == len(some):
                found[height] = [self.connection.read(answer, "eth_getProof", ProvedAccount).account_proof for answer in proved]
        return found

    def state(self, calls: Sequence[Call], height: int, block_hash: str, *, result: Any = str, failed: Any = None) -> list[Any]:
        """The answers to queries about the state after one block, decoded as `result`; None where the node no longer has it.

        The calls name the block by `at`. `failed`: in place of the answer of a contract that itself fails. Raises ChainMoved when the block has left
        the main chain.
        """
        assert self.features is not None
        if not calls:
            return []
        answers = self._state(calls, height, block_hash, result, failed)
        gone = [place for place, answer in enumerate(answers) if answer is _GONE]
        if gone:  # one of several machines behind an address may be late, or answer null but once
            again = self._state([calls[place] for place in gone], height, block_hash, result, failed)
            for place, answer in zip(gone, again, strict=True):
                answers[place] = None if answer is _GONE else answer
            self.n_states_missing += sum(answer is _GONE for answer in again)
        if not self.features.has_state_by_hash and self.hashes_at([height]) != [block_hash]:
            raise ChainMoved(message("block {height} is not {block_hash} any more", height=height, block_hash=block_hash))
        return answers

    def _state(self, calls: Sequence[Call], height: int, block_hash: str, result: Any, failed: Any) -> list[Any]:
        """As `state`; _GONE where the node says that it does not have it."""
        answers: list[Any] = []
        for (method, _), answer in zip(calls, self.connection.ask(calls), strict=True):
            if not isinstance(answer, RpcError):
                answers.append(_GONE if is_null(answer) else self.connection.read(answer, method, result))
            elif method == "eth_call" and answer.is_contracts_own:
                answers.append(failed)
            elif answer.is_state_missing:
                answers.append(_GONE)
            elif answer.is_block_missing:
                if self.hashes_at([height]) != [block_hash]:
                    raise ChainMoved(str(answer))
                answers.append(_GONE)
            else:
                raise answer
        return answers

    def _number(self, text: str, field: str) -> int:
        try:
            return number(text)
        except ValueError as error:
            raise AnswerUnreadable(message("{field} at {name}: {error}", field=field, name=self.name, error=error)) from error


def _named(asked: int | str) -> str:
    return message("block {height}", height=asked) if isinstance(asked, int) else message("block {block_hash}", block_hash=asked)


def _result(answer: msgspec.Raw | RpcError) -> msgspec.Raw:
    if isinstance(answer, RpcError):
        raise answer
    return answer


def _hash_in(answer: Mapping[str, Any], field: str) -> str | None:
    value = answer.get(field)
    return value[2:].lower() if isinstance(value, str) else None
