"""Checks the proof of work of the headers that a bundle's proofs are based on, chain by chain.

Enters: a bundle's headers and the networks that its rules name. Leaves: a finding. A chain whose work can't be seen from headers (a test network, merged
mining without its proofs, an account chain) is named as undecided: what rests on its headers agrees with itself, and anybody could have made it.
"""

from __future__ import annotations

import polars as pl

from pipeline.chains.bitcoin.auxpow import bare_header
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, parse_header
from pipeline.chains.bitcoin.work import is_test_network, work_faults, work_of
from pipeline.chains.evm.networks import AccountNetwork

from .finding import Finding
from .opened import OpenBundle


def check_work(bundle: OpenBundle) -> Finding:
    """The work of every chain that the month stands on."""
    faults: list[str] = []
    proved: list[str] = []
    undecided: list[str] = []
    is_test_only = True
    if not bundle.chains:
        faults.append("no chain is named that the month stands on")
    for chain in bundle.chains:
        if chain not in bundle.rules.finality or chain not in bundle.networks:
            faults.append(f"the month stands on the chain {chain}, of which the rules say no finality or no network")
            continue
        blocks = bundle.evidence.headers.filter(pl.col("chain") == chain).sort("height")
        network = bundle.networks[chain]
        why = _why_unseen(network, blocks)
        if why:
            undecided.append(f"{chain}: {why}")
            is_test_only &= isinstance(network, Network) and is_test_network(network)
            continue
        assert isinstance(network, Network)
        checkpoint = network.checkpoint
        assert checkpoint is not None
        headers = [parse_header(bare_header(bytes.fromhex(text), network)) for text in blocks["header"]]
        first = int(blocks["height"][0])
        faults += [f"{chain} {fault}" for fault in work_faults(headers, first, network)]
        if first <= checkpoint.height:
            undecided.append(
                f"{chain}: the headers begin at {first}, before the checkpoint {checkpoint.height}: how little work is too little there is not known"
            )
            is_test_only = False
        total = sum(work_of(header.bits) for header in headers)
        proved.append(
            f"{chain}: {len(headers)} headers of {network.name} from {first} to the tip {first + len(headers) - 1} {headers[-1].hash.hex()} carry "
            f"2^{total.bit_length() - 1} hashes of work, none less than 2^{checkpoint.least_work.bit_length() - 1}"
        )
    tip = "whether the chain shown is the one with the most work: compare the tip's hash with any node"
    return Finding(faults, "; ".join(proved), tip, undecided="; ".join(undecided), is_test_only=is_test_only)


def _why_unseen(network: Network | AccountNetwork, blocks: pl.DataFrame) -> str:
    """Why headers alone show no work; "" when they do."""
    if isinstance(network, AccountNetwork):
        return "no work: not checked: nothing offline shows that an account chain's headers are the network's own"
    if is_test_network(network):
        return f"no work: not checked: {network.name} is a test network, whose blocks anybody can make"
    if network.checkpoint is None:
        return f"no work: not checked: no checkpoint of {network.name} is known"
    if network.pow == "scrypt-auxpow":
        bare = sum(len(text) == 2 * HEADER_SIZE for text in blocks["header"])
        if bare:
            return f"no work: not checked: {bare} headers of {network.name} carry no proof of merged mining (merged_mining_proofs in the settings)"
    return "no header is carried" if blocks.is_empty() else ""
