"""The watch list: the pool's scripts, each with its wallet.

Enters: wallets as an operator configures them (addresses, descriptors), and the wallets that the log already watches.
Leaves: scripts with their wallet; the union of both lists; how far ranged descriptors must be watched after some of their
addresses have been used. Pure. Faults are collected and reported together (`SettingsError`). Leaves out: reading the chain again for
scripts that are new (`follow.py`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from pipeline.chains.bitcoin.descriptors import MAX_INDEX, ParsedDescriptor, parse_descriptor, without_checksum
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import canonical_address, script_of
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .read_blocks import PAYEE

DEFAULT_RANGE = 1000
"""Indexes watched of a ranged descriptor when the wallet names no range: Bitcoin Core hands out up to 1,000 ahead."""


@dataclass(frozen=True)
class WatchList:
    """Wallets with their scripts on one network."""

    wallets: tuple[WatchedWallet, ...]
    scripts: dict[bytes, str]
    """Every watched script and its wallet's name, or PAYEE."""
    indexes: dict[bytes, int]
    """The index of each script of a ranged descriptor."""
    payees: tuple[str, ...] = ()
    """Addresses that other payers pay (rule 10.2), in order."""

    def extended(self, used: Iterable[bytes], *, gap: int | None) -> tuple[WatchedWallet, ...] | None:
        """The wallets with longer ranges, if a used script is within the last `gap` indexes of its range; else None.

        `gap` None means the last fifth of the range. A range at least doubles, so that a wallet that keeps using new addresses
        causes few rescans.
        """
        highest: dict[str, int] = {}
        for script in used:
            index = self.indexes.get(script)
            if index is not None:
                wallet = self.scripts[script]
                highest[wallet] = max(highest.get(wallet, -1), index)
        longer = {
            wallet.name: new
            for wallet in self.wallets
            if wallet.name in highest
            and (new := _range_after(wallet.descriptor_range, highest[wallet.name], gap)) > wallet.descriptor_range
        }
        if not longer:
            return None
        return tuple(
            msgspec.structs.replace(wallet, descriptor_range=longer.get(wallet.name, wallet.descriptor_range)) for wallet in self.wallets
        )

    def changed_since(self, before: WatchList) -> dict[bytes, str]:
        """Scripts that `before` does not watch, or watches as another wallet's."""
        return {script: wallet for script, wallet in self.scripts.items() if before.scripts.get(script) != wallet}


def _range_after(now: int, highest: int, gap: int | None) -> int:
    length = now
    while length < MAX_INDEX and highest >= length - (math.ceil(length / 5) if gap is None else min(gap, length)):
        length = min(max(2 * length, 1), MAX_INDEX)
        if gap is not None and gap >= length:
            length = gap + highest + 1
    return length


def watch_list(wallets: Sequence[WatchedWallet], network: Network, payees: Iterable[str] = ()) -> WatchList:  # noqa: C901 - one branch for each fault a wallet can have
    """Derive every script of the wallets, and of the addresses that other payers pay. Raises SettingsError with all faults of all wallets.

    A payee that is a pool wallet's address stays the wallet's; one that is no address of the network is watched for nothing: no transaction can pay it.
    """
    faults: list[str] = []
    scripts: dict[bytes, str] = {}
    indexes: dict[bytes, int] = {}
    settled: list[WatchedWallet] = []
    names: set[str] = set()

    shared: set[tuple[str, str, str]] = set()

    def claim(script: bytes, wallet: str, source: str, what: str) -> None:
        """Assign the script to the wallet. A descriptor shared with another wallet is reported once, not once per index."""
        holder = scripts.setdefault(script, wallet)
        if holder != wallet and (wallet, holder, source) not in shared:
            shared.add((wallet, holder, source))
            faults.append(
                message(
                    "wallet {wallet}: {what} is wallet {holder}'s too: a script belongs to one wallet",
                    wallet=repr(wallet),
                    what=what,
                    holder=repr(holder),
                )
            )

    for wallet in wallets:
        name = wallet.name
        if name in names:
            faults.append(message("wallet {name} is there twice: give each wallet its own name", name=repr(name)))
        names.add(name)
        addresses: dict[str, None] = {}
        for address in wallet.addresses:
            try:
                addresses[canonical_address(address, network)] = None
                claim(script_of(address, network), name, address, message("address {address}", address=address))
            except ValueError as error:
                faults.append(message("wallet {name}: {error}", name=repr(name), error=error))
        parsed: list[ParsedDescriptor] = []
        for text in wallet.descriptors:
            try:
                parsed.append(parse_descriptor(text, network))
            except ValueError as error:
                faults.append(message("wallet {name}: {error}", name=repr(name), error=error))
        length = (wallet.descriptor_range or DEFAULT_RANGE) if any(d.is_ranged for d in parsed) else 0
        if length > MAX_INDEX:
            faults.append(
                message(
                    "wallet {name}: descriptor_range {length} is more than there are indexes ({max_index})",
                    name=repr(name),
                    length=length,
                    max_index=MAX_INDEX,
                )
            )
            length = 0
        for descriptor in parsed:
            for index, script in descriptor.scripts(0, length or 1):
                if descriptor.is_ranged:
                    indexes[script] = index
                claim(script, name, descriptor.text, message("index {index} of {text}", index=index, text=descriptor.text))
        if not wallet.addresses and not wallet.descriptors:
            faults.append(message("wallet {name} has neither an address nor a descriptor", name=repr(name)))
        settled.append(
            WatchedWallet(
                name=name, addresses=list(addresses), descriptors=list(dict.fromkeys(wallet.descriptors)), descriptor_range=length
            )
        )
    if faults:
        raise SettingsError(faults, source="wallets")
    named = tuple(sorted(set(payees)))
    for address in named:
        with contextlib.suppress(ValueError):
            scripts.setdefault(script_of(address, network), PAYEE)
    return WatchList(tuple(settled), scripts, indexes, named)


def union(configured: Sequence[WatchedWallet], logged: Sequence[WatchedWallet]) -> tuple[list[WatchedWallet], list[str]]:
    """The configured wallets and whatever else the log watches; with a warning for all that is no longer configured.

    What was once watched stays watched: the proof of balances (rule 3.4) needs a wallet's whole life. An address or
    descriptor that was configured for another wallet moves there; the longer range counts.
    """
    addresses = {address for wallet in configured for address in wallet.addresses}
    descriptors = {without_checksum(text) for wallet in configured for text in wallet.descriptors}
    kept = {
        wallet.name: WatchedWallet(
            name=wallet.name,
            addresses=[a for a in wallet.addresses if a not in addresses],
            descriptors=[d for d in wallet.descriptors if without_checksum(d) not in descriptors],
            descriptor_range=wallet.descriptor_range,
        )
        for wallet in logged
    }
    warnings = [
        message(
            "wallet {name}: {count} address(es) and {count_2} descriptor(s) are no longer configured, and stay watched: what was once watched can't be forgotten",
            name=repr(wallet.name),
            count=len(wallet.addresses),
            count_2=len(wallet.descriptors),
        )
        for wallet in kept.values()
        if wallet.addresses or wallet.descriptors
    ]
    both = []
    for wallet in configured:
        old = kept.pop(wallet.name, None)
        if old is not None:
            wallet = WatchedWallet(
                name=wallet.name,
                addresses=[*wallet.addresses, *old.addresses],
                descriptors=[*wallet.descriptors, *old.descriptors],
                descriptor_range=max(wallet.descriptor_range, old.descriptor_range),
            )
        both.append(wallet)
    both += [wallet for wallet in kept.values() if wallet.addresses or wallet.descriptors]
    return both, warnings
