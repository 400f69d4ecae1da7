"""Checks the proof of work of the headers that a bundle's proofs are based on, chain by chain.

Enters: a bundle's headers, those since the checkpoint that lie beside it, and the networks that its rules name. Leaves: a finding. A chain whose work can't be seen from headers (a test network, merged
mining without its proofs, an account chain) is named as undecided: what rests on its headers agrees with itself, and anybody could have made it. So is one whose
headers are not tied to its network's checkpoint: they have the least work asked of each block, and their beginning may be invented.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from pipeline.chains.bitcoin.auxpow import bare_header, is_merge_mined
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, parse_header
from pipeline.chains.bitcoin.work import is_test_network, work_faults, work_of
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.model.message import joined, message

from .checkpoint import tie_to_checkpoint, unread_headers
from .finding import Finding
from .opened import OpenBundle


def check_work(bundle: OpenBundle) -> Finding:
    """The work of every chain that the month stands on."""
    faults: list[str] = []
    proved: list[str] = []
    undecided: list[str] = []
    left = [message("whether the chain shown is the one with the most work: compare the tip's hash with any node")]
    read = set[str]()
    is_test_only = True
    if not bundle.chains:
        faults.append(message("no chain is named that the month stands on"))
    for chain in bundle.chains:
        if chain not in bundle.rules.finality or chain not in bundle.networks:
            faults.append(message("the month stands on the chain {chain}, of which the rules say no finality or no network", chain=chain))
            continue
        blocks = bundle.evidence.headers.filter(pl.col("chain") == chain).sort("height")
        network = bundle.networks[chain]
        why = _why_unseen(network, blocks)
        if why:
            undecided.append(message("{chain}: {why}", chain=chain, why=why))
            is_test_only &= isinstance(network, Network) and is_test_network(network)
            continue
        assert isinstance(network, Network)
        shown = _shown(bundle, chain, network, blocks)
        faults += [f"{chain} {fault}" for fault in shown.faults]
        if shown.undecided:
            undecided.append(message("{chain}: {why}", chain=chain, why=shown.undecided))
            is_test_only = False
        proved.append(shown.proved)
        left += shown.left
        read.add(chain)
    strange, unread = unread_headers(bundle, read)
    left += [message("{name}: no work of this chain is judged, so nothing reads it", name=name) for name in unread]
    return Finding(faults + strange, joined("; ", proved), joined("; ", left), undecided=joined("; ", undecided), is_test_only=is_test_only)


class _Shown(NamedTuple):
    """What the headers of one chain show."""

    faults: list[str]
    undecided: str
    proved: str
    left: list[str]


def _shown(bundle: OpenBundle, chain: str, network: Network, blocks: pl.DataFrame) -> _Shown:
    """The work of one main network's headers, with those that tie them to its checkpoint where they lie beside the bundle."""
    checkpoint, retarget = network.checkpoint, network.retarget
    assert checkpoint is not None and retarget is not None
    own = [parse_header(bare_header(bytes.fromhex(text), network)) for text in blocks["header"]]
    first_own = int(blocks["height"][0])
    tie = tie_to_checkpoint(bundle, chain)
    headers, first = [*tie.headers, *own], first_own - len(tie.headers)
    # The bundle's own headers are judged alone, too: how many blocks a month has does not hide in the years before it.
    faults = [*tie.faults, *work_faults(headers, first, network), *(work_faults(own, first_own, network) if tie.headers else ())]
    undecided = tie.why_not
    last = first_own + len(own) - 1
    # Below a checkpoint that they reach, the headers are those that its hash commits to, whatever work they claim.
    if last < checkpoint.height:
        undecided = message(
            "the headers end at {last}, before the checkpoint {height}: how little work is too little there is not known",
            last=last,
            height=checkpoint.height,
        )
    total = sum(work_of(header.bits) for header in headers)
    proved = message(
        "{chain}: {count} headers of {name} from {first} to the tip {first_2} {hash} carry 2^{bit_length} hashes of work, none after the checkpoint {height} less than 2^{bit_length_2}",
        chain=chain,
        count=len(headers),
        name=network.name,
        first=first,
        first_2=last,
        hash=headers[-1].hash.hex(),
        bit_length=total.bit_length() - 1,
        height=checkpoint.height,
        bit_length_2=checkpoint.least_work.bit_length() - 1,
    )
    if not tie.why_not and last >= checkpoint.height:
        after = sum(work_of(header.bits) for place, header in enumerate(headers, first) if place > checkpoint.height)
        proved += message(
            "; they are tied to the checkpoint {height} {hash}, and with it the chain has at least {work} hashes of work (chainwork, hexadecimal)",
            height=checkpoint.height,
            hash=checkpoint.hash,
            work=format(checkpoint.chain_work + after, "x"),
        )
    left = []
    if first < retarget.first_block:
        left.append(
            message(
                "{chain}: the difficulty of the blocks before {first_block}, which {name} set by other rules",
                chain=chain,
                first_block=retarget.first_block,
                name=network.name,
            )
        )
    return _Shown(list(dict.fromkeys(faults)), undecided, proved, left)


def _why_unseen(network: Network | AccountNetwork, blocks: pl.DataFrame) -> str:
    """Why headers alone show no work; "" when they do."""
    if isinstance(network, AccountNetwork):
        return message("no work: not checked: nothing offline shows that an account chain's headers are the network's own")
    if is_test_network(network):
        return message("no work: not checked: {name} is a test network, whose blocks anybody can make", name=network.name)
    if network.checkpoint is None:
        return message("no work: not checked: no checkpoint of {name} is known", name=network.name)
    if network.pow == "scrypt-auxpow":
        bare = sum(len(text) == 2 * HEADER_SIZE and is_merge_mined(bytes.fromhex(text)) for text in blocks["header"])
        if bare:
            return message(
                "no work: not checked: {bare} headers of {name} carry no proof of merged mining (merged_mining_proofs in the settings)",
                bare=bare,
                name=network.name,
            )
    return message("no header is carried") if blocks.is_empty() else ""
