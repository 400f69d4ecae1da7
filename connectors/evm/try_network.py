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
from pipeline.model.message import message
from pipeline.model.system_words import system_words

from .answers import number
from .errors import AnswerUnreadable, ChainMoved
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
                message("chain id"),
                told == network.chain_id,
                message("the node is of evm:{told}", told=told)
                + ("" if told == network.chain_id else message(", the table of {name}", name=network.name)),
            )
        ]
        if told != network.chain_id:
            return found
        node = Node(connection, network.chain_id)
        height = node.read_status().height
        for what, step in (("genesis", _genesis), ("forks", _forks), ("blocks", _blocks)):
            try:
                found += step(network, node, height)
            except (SourceError, ChainMoved) as error:
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
            [
                message(
                    "--node-login: {login} can't be read: {why}",
                    login=login,
                    why=system_words(error) if isinstance(error, OSError) else message("it is not UTF-8 text"),
                )
            ]
        ) from error
    return user, password


def _quantity(connection: NodeConnection, method: str, *params: object) -> int:
    try:
        return number(connection.call(method, *params, result=str))
    except ValueError as error:
        raise AnswerUnreadable(message("{method} at {name}: {error}", method=method, name=connection.name, error=error)) from error


def _hash_at(node: Node, height: int) -> str | None:
    block = node.connection.call("eth_getBlockByNumber", hex(height), False, result=_Block | None)
    return block.hash.removeprefix("0x").lower() if block is not None else None


def _genesis(network: AccountNetwork, node: Node, _: int) -> Iterator[Tried]:
    first = _hash_at(node, 0)
    if network.facts.genesis is None or first is None:
        yield Tried("genesis", None, message("the table has none; the node begins with {first}", first=first))
    else:
        same = first == network.facts.genesis
        yield Tried(
            "genesis",
            same,
            message("the node begins with {first}", first=first)
            + ("" if same else message(", the table says {genesis}", genesis=network.facts.genesis)),
        )


def _forks(network: AccountNetwork, node: Node, tip: int) -> Iterator[Tried]:
    if not network.facts.forks:
        yield Tried("forks", None, message("the table has none: a fork of one chain id and one first block would not be noticed"))
    for fork in network.facts.forks:
        here = _hash_at(node, fork.height) if fork.height <= tip else None
        if here is None:
            yield Tried(message("block {height}", height=fork.height), None, message("the node is at {tip}, or has it no more", tip=tip))
            continue
        holds = here not in fork.others and fork.hash in (None, here)
        looks = message(": it looks like a node of {others}", others=fork.others[here]) if here in fork.others else ""
        yield Tried(
            message("block {height}", height=fork.height),
            holds,
            message("is {here}", here=here)
            + ("" if holds else message(", where {name} has {hash}{looks}", name=network.name, hash=fork.hash, looks=looks)),
        )


def _blocks(network: AccountNetwork, node: Node, tip: int) -> Iterator[Tried]:
    """Headers hash to what the node says, and an empty block's miner gets what the schedule says."""
    first = max(1, tip - NEWEST + 1)
    blocks = node.blocks(first, tip)
    yield Tried(
        "headers",
        True,
        message(
            "blocks {first} to {tip} hash to what the node says: {count} headers of a format known here",
            first=first,
            tip=tip,
            count=len(blocks),
        ),
    )
    if network.facts.reward is None:
        yield Tried("reward", None, message("the table has no reward: blocks that a pool wallet mined are not counted"))
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
            return Tried("reward", None, message("the node does not tell balances at block {height}: {error}", height=height, error=error))
        return Tried(
            "reward",
            after - before == meant,
            message(
                "block {height}, without transactions, gave its miner {after}, by the table {meant}",
                height=height,
                after=after - before,
                meant=meant,
            ),
        )
    return Tried(
        "reward",
        None,
        message("each of the {newest} newest blocks has transactions: what a miner gets for the block alone does not show", newest=NEWEST),
    )
