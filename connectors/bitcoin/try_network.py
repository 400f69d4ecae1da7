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
from pipeline.model.message import joined, message

from .errors import ChainMoved
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
        found = [_chain(network, status)]
        try:
            found.append(_genesis(network, node))
        except ChainMoved as error:
            return [*found, Tried("genesis", None, str(error))]
        if found[-1].holds is False:
            return found  # a node of another network says nothing about this one
        steps: list[tuple[str, Callable[[Network, Node, NodeStatus], Iterator[Tried]]]] = [
            ("forks", _forks), ("addresses", _addresses), ("checkpoint", _checkpoint), ("work", _headers), ("block", _block), ("reward", _rewards),
        ]  # fmt: skip
        for what, step in steps:
            try:
                found += step(network, node, status)
            except (SourceError, ChainMoved) as error:
                found.append(Tried(what, None, str(error)))
        return found
    finally:
        connection.close()


def _chain(network: Network, status: NodeStatus) -> Tried:
    return Tried(
        "chain",
        status.chain == network.chain,
        message(
            "the node calls it {chain}, the table {chain_2}; its tip is {blocks}",
            chain=repr(status.chain),
            chain_2=repr(network.chain),
            blocks=status.blocks,
        ),
    )


def _genesis(network: Network, node: Node) -> Tried:
    first = node.connection.call("getblockhash", 0, result=str)
    return Tried(
        "genesis",
        first == network.genesis,
        message("the node begins with {first}", first=first)
        + ("" if first == network.genesis else message(", the table says {genesis}", genesis=network.genesis)),
    )


def _forks(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    if not network.marks:
        yield Tried(
            "forks",
            None,
            message("the table has neither forks nor a checkpoint: a fork that begins with the same blocks would not be noticed"),
        )
    for mark in network.marks:
        if mark.height > status.blocks:
            yield Tried(message("block {height}", height=mark.height), None, message("the node is at {blocks}", blocks=status.blocks))
            continue
        here = node.hashes_at([mark.height])[0]
        fault = fork_fault(network, {mark.height: here})
        yield Tried(
            message("block {height}", height=mark.height),
            fault is None,
            fault or message("is {here}", here=here) + ("" if mark.hash else message(", which is none of a fork's")),
        )


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
            yield Tried(
                message("address {kind}", kind=kind), None, message("ours is {ours}; the node prints none for such a script", ours=ours)
            )
        else:
            yield Tried(
                message("address {kind}", kind=kind),
                ours == theirs,
                message("the node prints {theirs}", theirs=theirs)
                + ("" if ours == theirs else message(", the table makes it {ours}", ours=ours)),
            )


def _checkpoint(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    given = network.checkpoint
    if given is None:
        yield Tried("checkpoint", None, message("the table has none: esep verify can't check the work of this network's headers"))
        return
    if given.height > status.blocks:
        return  # told with the forks
    work = int(node.connection.call("getblockheader", given.hash, True, result=_Header).chainwork, 16)
    yield Tried(
        message("checkpoint's work"),
        work >= given.chain_work,
        message(
            "the node counts {work} up to {height}, the table {chain_work}",
            work=format(work, "x"),
            height=given.height,
            chain_work=format(given.chain_work, "x"),
        ),
    )
    height = status.blocks
    (newest,) = node.headers_after(height - 1, None, 1)
    claimed = work_of(newest.header.bits)
    yield Tried(
        message("least work"),
        claimed >= given.least_work,
        message(
            "block {height} claims {claimed} hashes, the table wants {least_work} at least",
            height=height,
            claimed=format(claimed, "x"),
            least_work=format(given.least_work, "x"),
        ),
    )


def _headers(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    first = max(1, status.blocks - NEWEST + 1)
    headers = node.headers_after(first - 1, None, status.blocks - first + 1)
    if not headers:
        yield Tried("work", None, message("the node has no block after the first one"))
        return
    faults, unknown = [], 0
    for each in headers:
        if network.pow == "scrypt-auxpow" and (len(each.raw) > HEADER_SIZE or not is_merge_mined(each.raw)):
            fault = auxpow_fault(each.raw, network)
            faults += [message("block {height}: {fault}", height=each.height, fault=fault)] if fault else []
            continue
        met = meets_target(each.raw[:HEADER_SIZE], network)
        unknown += met is None
        faults += (
            [message("block {height}: its hash does not meet its target, by {pow}", height=each.height, pow=network.pow)]
            if met is False
            else []
        )
    told = message("blocks {first} to {blocks} meet their targets by {pow}", first=first, blocks=status.blocks, pow=network.pow)
    yield Tried(
        "work",
        None if unknown and not faults else not faults,
        joined("; ", faults) or (message("headers do not show it here") if unknown else told),
    )
    yield from _difficulty(network, node, {each.height: each.header for each in headers}, status.blocks)


def _difficulty(network: Network, node: Node, near: dict[int, Header], tip: int) -> Iterator[Tried]:
    """Of the newest blocks, or at the last change of an interval."""
    rule = network.retarget
    if rule is None:
        yield Tried("difficulty", None, message("the table has no retarget: how difficulty is set is not checked"))
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
            faults.append(
                message(
                    "block {height} has {bits}, by the table it is {meant}",
                    height=height,
                    bits=format(near[height].bits, "08x"),
                    meant=format(meant, "08x"),
                )
            )
    if not heights:
        yield Tried("difficulty", None, message("the node has too few blocks"))
    else:
        yield Tried(
            "difficulty",
            not faults,
            joined("; ", faults)
            or message(
                "{count} changes up to block {heights} come out the same, by {rule}",
                count=len(heights),
                heights=heights[-1],
                rule=rule.rule,
            ),
        )


def _block(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    here = node.hashes_at([status.blocks])[0]
    raw = node.connection.call("getblock", here, False, result=str)
    try:
        block = parse_block(bytes.fromhex(raw), network)
        root = MerkleTree(block.txids).root
    except ValueError as error:
        yield Tried("block", False, message("block {blocks} can't be read: {error}", blocks=status.blocks, error=error))
        return
    holds = block.header.hash.hex() == here and root == block.header.merkle_root
    yield Tried(
        "block",
        holds,
        message(
            "block {blocks}: {count} transactions, hash and Merkle root {more} the header's",
            blocks=status.blocks,
            count=len(block.transactions),
            more="are" if holds else message("are not"),
        ),
    )


def _rewards(network: Network, node: Node, status: NodeStatus) -> Iterator[Tried]:
    schedule = network.facts.reward
    if schedule is None:
        yield Tried("reward", None, message("the table has no reward"))
        return
    faults, compared, unknown = [], [], []
    for height in _reward_heights(network, status.blocks):
        meant = block_reward(schedule, height)
        told = _created(network, node, height)
        if meant is None or told is None:
            unknown.append(height)
        elif told != meant:
            faults.append(message("block {height} creates {told}, by the table {meant}", height=height, told=told, meant=meant))
        else:
            compared.append(height)
    said = (
        message("blocks {compared} create what the table says", compared=", ".join(map(str, compared)))
        if compared
        else message("no block could be compared")
    )
    yield Tried(
        "reward",
        None if not compared and not faults else not faults,
        joined("; ", faults) or said + (message("; not known of {unknown}", unknown=unknown) if unknown else ""),
    )


def _reward_heights(network: Network, tip: int) -> list[int]:
    """The tip, the blocks on both sides of the last changes, and one long ago."""
    schedule = network.facts.reward
    assert schedule is not None
    changes = [step.begins for step in schedule.steps]
    if schedule.every:
        changes = list(range(schedule.first_block, tip + 1, schedule.every)[-2:])
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
