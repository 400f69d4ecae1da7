"""Tries the facts of an account chain against a node: each told as holding, as wrong, or as not shown by that node.

Enters: a network, a node. Leaves: what was tried (`chains.tried`). A reward shows in the balance of a miner over a block without transactions, which an archive node, or
any node for its newest blocks, has. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.rewards import block_reward, including_reward
from pipeline.chains.tried import Tried
from pipeline.model.errors import SettingsError, SourceError

from .answers import number
from .errors import AnswerUnreadable
from .node import Node, ReadBlock
from .rpc import NodeConnection

NEWEST = 64
"""Blocks before the tip among which one without transactions is looked for."""


class _Block(msgspec.Struct):
    hash: str


def try_network(network: AccountNetwork, url: str, login: Path | None, *, timeout_s: float = 60.0) -> list[Tried]:
    """Every fact that the node can show. `login`: a file of one line USER:PASSWORD. Raises SettingsError, SourceError."""
    user, password = _login(login)
    connection = NodeConnection(url, user=user, password=password, timeout_s=timeout_s)
    try:
        told = _quantity(connection, "eth_chainId")
        found = [
            Tried(
                "chain id",
                told == network.chain_id,
                f"the node is of evm:{told}" + ("" if told == network.chain_id else f", the table of {network.name}"),
            )
        ]
        if told != network.chain_id:
            return found
        node = Node(connection, network.chain_id)
        height = node.read_status().height
        for what, step in (("genesis", _genesis), ("forks", _forks), ("blocks", _blocks)):
            try:
                found += step(network, node, height)
            except SourceError as error:
                found.append(Tried(what, None, str(error)))
        return found
    finally:
        connection.close()


def _login(login: Path | None) -> tuple[str | None, str | None]:
    if login is None:
        return None, None
    try:
        user, _, password = login.read_text(encoding="utf-8").strip().partition(":")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"--node-login: {login} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"]
        ) from error
    return user, password


def _quantity(connection: NodeConnection, method: str, *params: object) -> int:
    try:
        return number(connection.call(method, *params, result=str))
    except ValueError as error:
        raise AnswerUnreadable(f"{method} at {connection.name}: {error}") from error


def _hash_at(node: Node, height: int) -> str | None:
    block = node.connection.call("eth_getBlockByNumber", hex(height), False, result=_Block | None)
    return block.hash.removeprefix("0x").lower() if block is not None else None


def _genesis(network: AccountNetwork, node: Node, _: int) -> Iterator[Tried]:
    first = _hash_at(node, 0)
    if network.facts.genesis is None or first is None:
        yield Tried("genesis", None, f"the table has none; the node begins with {first}")
    else:
        same = first == network.facts.genesis
        yield Tried("genesis", same, f"the node begins with {first}" + ("" if same else f", the table says {network.facts.genesis}"))


def _forks(network: AccountNetwork, node: Node, tip: int) -> Iterator[Tried]:
    if not network.facts.forks:
        yield Tried("forks", None, "the table has none: a fork of one chain id and one first block would not be noticed")
    for fork in network.facts.forks:
        here = _hash_at(node, fork.height) if fork.height <= tip else None
        if here is None:
            yield Tried(f"block {fork.height}", None, f"the node is at {tip}, or has it no more")
            continue
        holds = here not in fork.others and fork.hash in (None, here)
        looks = f": it looks like a node of {fork.others[here]}" if here in fork.others else ""
        yield Tried(f"block {fork.height}", holds, f"is {here}" + ("" if holds else f", where {network.name} has {fork.hash}{looks}"))


def _blocks(network: AccountNetwork, node: Node, tip: int) -> Iterator[Tried]:
    """Headers hash to what the node says, and an empty block's miner gets what the schedule says."""
    first = max(1, tip - NEWEST + 1)
    blocks = node.blocks(first, tip)
    yield Tried("headers", True, f"blocks {first} to {tip} hash to what the node says: {len(blocks)} headers of a format known here")
    if network.facts.reward is None:
        yield Tried("reward", None, "the table has no reward: blocks that a pool wallet mined are not counted")
        return
    empty = [block for block in blocks if not block.light.transactions and not block.light.withdrawals]
    yield _reward(network, node, empty)


def _reward(network: AccountNetwork, node: Node, empty: list[ReadBlock]) -> Tried:
    schedule = network.facts.reward
    assert schedule is not None
    for block in reversed(empty):
        height, miner = block.header.height, block.header.fields.miner
        meant = (block_reward(schedule, height) or 0) + including_reward(schedule, height, len(block.light.uncles))
        try:
            before, after = (_quantity(node.connection, "eth_getBalance", miner, hex(at)) for at in (height - 1, height))
        except SourceError as error:
            return Tried("reward", None, f"the node does not tell balances at block {height}: {error}")
        return Tried(
            "reward",
            after - before == meant,
            f"block {height}, without transactions, gave its miner {after - before}, by the table {meant}",
        )
    return Tried(
        "reward", None, f"each of the {NEWEST} newest blocks has transactions: what a miner gets for the block alone does not show"
    )
