"""The wallets' descriptors beside an auditor's bundle (ADR 15): every address that the bundle lists follows from them.

Enters: a bundle with `descriptors.jsonl`, a `WalletDescriptors` a line. Leaves: faults, and what was seen. They join a bundle by a setting, and its manifest does not name them:
who put them there is not proved, but only who has the wallet's extended public key can name descriptors from which its addresses follow. A bundle without them is judged as ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pipeline.assess.wallets import DESCRIPTORS_JSONL, WalletDescriptors, pool_addresses
from pipeline.chains.bitcoin.descriptors import parse_descriptor
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of, canonical_address, script_of
from pipeline.model.message import joined, message

from .files import json_lines
from .finding import Finding
from .opened import OpenBundle
from .shapes import MAX_DESCRIPTORS_BYTES, read_plain


def check_descriptors(bundle: OpenBundle) -> Finding:
    """Each listed address of a wallet that has descriptors follows from one of them, or is named beside them."""
    wallets = read_descriptors(bundle)
    if not wallets:
        return Finding([], "")
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for chain, wallet, address in pool_addresses(bundle.facts).iter_rows():
        listed[chain, wallet].add(address)
    faults: list[str] = []
    seen = []
    told: set[tuple[str, str]] = set()
    for one in wallets:
        network = bundle.networks.get(one.chain)
        place = one.chain, one.wallet
        if not isinstance(network, Network) or place in told:
            faults.append(
                message(
                    "the wallet {wallet} of {chain} has its descriptors twice, or is of no chain of coins",
                    wallet=one.wallet,
                    chain=one.chain,
                )
            )
            continue
        told.add(place)
        try:
            named = {canonical_address(address, network) for address in one.addresses}
            derived = {address for _, script in _derived(one, network) if (address := address_of(script, network)) is not None}
        except ValueError as error:
            faults.append(message("the descriptors of {wallet}: {error}", wallet=one.wallet, error=error))
            continue
        others = listed[place] - derived - named
        faults += [
            message(
                "the {chain} address {address} is listed as {wallet}'s, and follows from none of its descriptors",
                chain=one.chain,
                address=address,
                wallet=one.wallet,
            )
            for address in sorted(others)
        ]
        seen.append(
            message(
                "{count} of {all} listed addresses of {wallet} follow from its descriptors (indexes below {range}), {named} are named beside them",
                count=len(listed[place] & derived),
                all=len(listed[place]),
                wallet=one.wallet,
                range=one.descriptor_range,
                named=len((listed[place] & named) - derived),
            )
        )
    word = message("that the descriptors beside the bundle are all that the wallets have: its manifest does not name them")
    return Finding(faults, joined("; ", seen), on_word=(word,))


def read_descriptors(bundle: OpenBundle) -> list[WalletDescriptors]:
    """The lines; none where the bundle has no such file. Raises ValueError, OSError."""
    path = bundle.folder / DESCRIPTORS_JSONL
    if not path.exists() and not path.is_symlink():
        return []
    return json_lines(read_plain(path, MAX_DESCRIPTORS_BYTES), path.name, WalletDescriptors, what=message("wallet's descriptors"))


def scripts_to_come(bundle: OpenBundle, chain: str) -> set[bytes]:
    """The scripts of the chain's wallets by their descriptors, whether they were used or not; none without descriptors. Raises ValueError, OSError."""
    network = bundle.networks[chain]
    assert isinstance(network, Network)
    ours = [one for one in read_descriptors(bundle) if one.chain == chain]
    named = {script_of(address, network) for one in ours for address in one.addresses}
    return named | {script for one in ours for _, script in _derived(one, network)}


def _derived(one: WalletDescriptors, network: Network) -> Iterator[tuple[int, bytes]]:
    for text in one.descriptors:
        yield from parse_descriptor(text, network).scripts(0, max(one.descriptor_range, 1))
