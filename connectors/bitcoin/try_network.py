"""Tries the facts of a Bitcoin-like network against a node: each told as holding, as wrong, or as not shown by that node.

Enters: a network, a node. Leaves: what was tried (`chains.tried`). A node that answers nothing at all raises; one that does not offer a call leaves that fact
undecided. Nothing is written. Left out: what no node shows: the greatest supply, the words before a signed message, the advice for settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.chains.bitcoin.auxpow import auxpow_fault, is_merge_mined
from pipeline.chains.bitcoin.merkle import MerkleTree, meets_target
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Header, parse_block
from pipeline.chains.bitcoin.work import retargeted, scheduled, work_of
from pipeline.chains.forks import fork_fault
from pipeline.chains.rewards import block_reward
from pipeline.chains.tried import Tried
from pipeline.model.errors import SourceError

from .node import Node, NodeStatus
from .rpc import Credentials, NodeConnection

SCRIPTS = {
    "P2PKH": b"\x76\xa9\x14" + bytes(range(20)) + b"\x88\xac",
    "P2SH": b"\xa9\x14" + bytes(range(20)) + b"\x87",
    "P2WPKH": b"\x00\x14" + bytes(range(20)),
    "P2WSH": b"\x00\x20" + bytes(range(32)),
    "P2TR": b"\x51\x20" + bytes(range(32)),
}
"""A script of each kind that has an address."""
NEWEST = 12
"""Headers before the tip that are looked at."""
REWARDS = 6
"""Blocks whose reward is looked at."""


class _Decoded(msgspec.Struct):
    address: str | None = None
    addresses: list[str] = []


class _Header(msgspec.Struct):
    chainwork: str


class _Stats(msgspec.Struct):
    subsidy: int


def try_network(network: Network, url: str, login: Path | None, *, timeout_s: float = 60.0) -> list[Tried]:
    """Every fact that the node can show. `login`: a file of one line USER:PASSWORD, such as a cookie file. Raises SettingsError, SourceError."""
    connection = NodeConnection(url, Credentials(cookie_path=login), timeout_s=timeout_s)
    try:
        status = connection.call("getblockchaininfo", result=NodeStatus)
        node = Node(connection, network, rest="off", with_proofs=network.pow == "scrypt-auxpow")
        found = [_chain(network, status), _genesis(network, node)]
        if found[-1].holds is False:
            return found  # a node of another network says nothing about this one
        steps: list[tuple[str, Callable[[Network, Node, NodeStatus], Iterator[Tried]]]] = [
            ("forks", _forks), ("addresses", _addresses), ("checkpoint", _checkpoint), ("work", _headers), ("block", _block), ("reward", _rewards),
        ]  # fmt: skip
        for what, step in steps:
            try:
                found += step(network, node, status)
            except SourceError as error:
                found.append(Tried(what, None, str(error)))
        return found
    finally:
        connection.close()


def _chain(network: Network, status: NodeStatus) -> Tried:
    return Tried(
        "chain",
        status.chain == network.chain,
        f"the node calls it {status.chain!r}, the table {network.chain!r}; its tip is {status.blocks}",
    )


def _genesis(network: Network, node: Node) -> Tried:
    first = node.connection.call("getblockhash", 0, result=str)
    return Tried(
        "genesis",
        first == network.genesis,
        f"the node begins with {first}" + ("" if first == network.genesis else f", the table says {network.genesis}"),
    )


def _forks(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    if not network.marks:
        yield Tried(
            "forks", None, "the table has neither forks nor a checkpoint: a fork that begins with the same blocks would not be noticed"
        )
    for mark in network.marks:
        if mark.height > status.blocks:
            yield Tried(f"block {mark.height}", None, f"the node is at {status.blocks}")
            continue
        here = node.hashes_at([mark.height])[0]
        fault = fork_fault(network, {mark.height: here})
        yield Tried(f"block {mark.height}", fault is None, fault or f"is {here}" + ("" if mark.hash else ", which is none of a fork's"))


def _addresses(network: Network, node: Node, _: NodeStatus) -> Iterator[Tried]:
    for kind, script in SCRIPTS.items():
        ours = address_of(script, network)
        said = node.connection.call("decodescript", script.hex(), result=_Decoded)
        theirs = said.address or next(iter(said.addresses), None)
        if ours is None and network.hrp is None and kind in ("P2WPKH", "P2WSH", "P2TR"):
            theirs = (
                None if theirs is not None and ":" in theirs else theirs
            )  # what a node without segregated witness makes of the script is not that kind
        if theirs is None and ours is not None:
            yield Tried(f"address {kind}", None, f"ours is {ours}; the node prints none for such a script")
        else:
            yield Tried(
                f"address {kind}", ours == theirs, f"the node prints {theirs}" + ("" if ours == theirs else f", the table makes it {ours}")
            )


def _checkpoint(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    given = network.checkpoint
    if given is None:
        yield Tried("checkpoint", None, "the table has none: esep verify can't check the work of this network's headers")
        return
    if given.height > status.blocks:
        return  # told with the forks
    work = int(node.connection.call("getblockheader", given.hash, True, result=_Header).chainwork, 16)
    yield Tried(
        "checkpoint's work", work >= given.chain_work, f"the node counts {work:x} up to {given.height}, the table {given.chain_work:x}"
    )
    height = status.blocks
    (newest,) = node.headers_after(height - 1, None, 1)
    claimed = work_of(newest.header.bits)
    yield Tried(
        "least work",
        claimed >= given.least_work,
        f"block {height} claims {claimed:x} hashes, the table wants {given.least_work:x} at least",
    )


def _headers(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    first = max(1, status.blocks - NEWEST + 1)
    headers = node.headers_after(first - 1, None, status.blocks - first + 1)
    if not headers:
        yield Tried("work", None, "the node has no block after the first one")
        return
    faults, unknown = [], 0
    for each in headers:
        if network.pow == "scrypt-auxpow" and (len(each.raw) > HEADER_SIZE or not is_merge_mined(each.raw)):
            fault = auxpow_fault(each.raw, network)
            faults += [f"block {each.height}: {fault}"] if fault else []
            continue
        met = meets_target(each.raw[:HEADER_SIZE], network)
        unknown += met is None
        faults += [f"block {each.height}: its hash does not meet its target, by {network.pow}"] if met is False else []
    told = f"blocks {first} to {status.blocks} meet their targets by {network.pow}"
    yield Tried(
        "work", None if unknown and not faults else not faults, "; ".join(faults) or ("headers do not show it here" if unknown else told)
    )
    yield from _difficulty(network, node, {each.height: each.header for each in headers}, status.blocks)


def _difficulty(network: Network, node: Node, near: dict[int, Header], tip: int) -> Iterator[Tried]:
    """Of the newest blocks, or at the last change of an interval."""
    rule = network.retarget
    if rule is None:
        yield Tried("difficulty", None, "the table has no retarget: how difficulty is set is not checked")
        return
    faults, heights = [], []
    if rule.interval == 1:
        heights = [height for height in near if height - 1 - max(rule.reaches_back, 1) in near]
    elif (last := tip - tip % rule.interval) > rule.reaches_back:
        heights = [last]
        wanted = (last - 1 - rule.reaches_back, last - 1, last)
        near = near | {height: node.headers_after(height - 1, None, 1)[0].header for height in wanted}
    for height in heights:
        before = near[height - 1]
        if rule.rule == "asert":
            meant = scheduled(height, before.time, network)
        else:
            meant = retargeted(before.bits, before.time - near[height - 1 - rule.reaches_back].time, network)
        if near[height].bits != meant:
            faults.append(f"block {height} has {near[height].bits:08x}, by the table it is {meant:08x}")
    if not heights:
        yield Tried("difficulty", None, "the node has too few blocks")
    else:
        yield Tried(
            "difficulty",
            not faults,
            "; ".join(faults) or f"{len(heights)} changes up to block {heights[-1]} come out the same, by {rule.rule}",
        )


def _block(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    here = node.hashes_at([status.blocks])[0]
    raw = node.connection.call("getblock", here, False, result=str)
    try:
        block = parse_block(bytes.fromhex(raw), network)
        root = MerkleTree(block.txids).root
    except ValueError as error:
        yield Tried("block", False, f"block {status.blocks} can't be read: {error}")
        return
    holds = block.header.hash.hex() == here and root == block.header.merkle_root
    yield Tried(
        "block",
        holds,
        f"block {status.blocks}: {len(block.transactions)} transactions, hash and Merkle root {'are' if holds else 'are not'} the header's",
    )


def _rewards(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    schedule = network.facts.reward
    if schedule is None:
        yield Tried("reward", None, "the table has no reward")
        return
    faults, compared, unknown = [], [], []
    for height in _reward_heights(network, status.blocks):
        meant = block_reward(schedule, height)
        told = _created(network, node, height)
        if meant is None or told is None:
            unknown.append(height)
        elif told != meant:
            faults.append(f"block {height} creates {told}, by the table {meant}")
        else:
            compared.append(height)
    said = f"blocks {', '.join(map(str, compared))} create what the table says" if compared else "no block could be compared"
    yield Tried(
        "reward",
        None if not compared and not faults else not faults,
        "; ".join(faults) or said + (f"; not known of {unknown}" if unknown else ""),
    )


def _reward_heights(network: Network, tip: int) -> list[int]:
    """The tip, the blocks on both sides of the last changes, and one long ago."""
    schedule = network.facts.reward
    assert schedule is not None
    changes = [step.begins for step in schedule.steps]
    if schedule.every:
        changes = list(range(schedule.first_block, tip + 1, schedule.every))[-2:]
    sides = [height for change in changes for height in (change - 1, change)]
    return sorted({height for height in [1, *sides, tip] if 0 < height <= tip})[-REWARDS:]


def _created(network: Network, node: Node, height: int) -> int | None:
    """What the block creates, as the node says or as a block of a coinbase alone shows; None where neither does."""
    try:
        return node.connection.call("getblockstats", height, ["subsidy"], result=_Stats).subsidy
    except SourceError:
        raw = node.connection.call("getblock", node.hashes_at([height])[0], False, result=str)
        block = parse_block(bytes.fromhex(raw), network)
        return sum(output.value for output in block.transactions[0].outputs) if len(block.transactions) == 1 else None
