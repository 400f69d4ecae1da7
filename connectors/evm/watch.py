"""The watch list of an account chain: the pool's addresses, each with its wallet.

Enters: wallets as an operator configures them, and those the log already watches. Leaves: addresses in EIP-55 with their wallet;
the union of both lists. Pure. Faults are collected and reported together (`SettingsError`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.chains.evm.address import has_wrong_checksum, is_account_address, to_checksum
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SettingsError
from pipeline.model.message import message


@dataclass(frozen=True)
class WatchList:
    """Wallets with their addresses."""

    wallets: tuple[WatchedWallet, ...]
    addresses: dict[str, str]
    """Every watched address, EIP-55, and its wallet's name."""
    spellings: frozenset[str]
    """The addresses as nodes write them: in lower case, or in EIP-55."""

    def changed_since(self, before: WatchList) -> dict[str, str]:
        """Addresses that `before` does not watch, or watches as another wallet's."""
        return {address: wallet for address, wallet in self.addresses.items() if before.addresses.get(address) != wallet}

    def only(self, addresses: dict[str, str]) -> WatchList:
        """This list narrowed to some addresses."""
        return WatchList(self.wallets, addresses, _spellings(addresses))


def watch_list(wallets: Sequence[WatchedWallet]) -> WatchList:
    """The addresses of the wallets. Raises SettingsError with all faults of all wallets."""
    faults: list[str] = []
    addresses: dict[str, str] = {}
    settled: list[WatchedWallet] = []
    for wallet in wallets:
        if any(other.name == wallet.name for other in settled):
            faults.append(message("wallet {name} is there twice: give each wallet its own name", name=repr(wallet.name)))
        if wallet.descriptors:
            faults.append(message("wallet {name}: an account chain has no descriptors: give its addresses", name=repr(wallet.name)))
        if not wallet.addresses:
            faults.append(message("wallet {name} has no address", name=repr(wallet.name)))
        own: dict[str, None] = {}
        for text in wallet.addresses:
            if not is_account_address(text):
                faults.append(
                    message(
                        "wallet {name}: {text} is not an address: 0x and 40 hexadecimal digits", name=repr(wallet.name), text=repr(text)
                    )
                )
            elif has_wrong_checksum(text):
                faults.append(
                    message(
                        "wallet {name}: the letters' case of {text} is not its checksum (EIP-55): compare it with its source",
                        name=repr(wallet.name),
                        text=text,
                    )
                )
            else:
                address = to_checksum(text)
                own[address] = None
                holder = addresses.setdefault(address, wallet.name)
                if holder != wallet.name:
                    faults.append(
                        message(
                            "wallet {name}: {address} is wallet {holder}'s too: an address belongs to one wallet",
                            name=repr(wallet.name),
                            address=address,
                            holder=repr(holder),
                        )
                    )
        settled.append(WatchedWallet(name=wallet.name, addresses=list(own)))
    if faults:
        raise SettingsError(faults, source="wallets")
    return WatchList(tuple(settled), addresses, _spellings(addresses))


def _spellings(addresses: dict[str, str]) -> frozenset[str]:
    return frozenset(addresses) | {address.lower() for address in addresses}


def union(configured: Sequence[WatchedWallet], logged: Sequence[WatchedWallet]) -> tuple[list[WatchedWallet], list[str]]:
    """The configured wallets and whatever else the log watches; with a warning for all that is no longer configured.

    What was once watched stays watched: the proof of balances (rule 3.4) needs a wallet's whole life. An address that was
    configured for another wallet moves there.
    """
    claimed = {address for wallet in configured for address in wallet.addresses}
    kept = {wallet.name: [a for a in wallet.addresses if a not in claimed] for wallet in logged}
    warnings = [
        message(
            "wallet {name}: {count} address(es) are no longer configured, and stay watched: what was once watched can't be forgotten",
            name=repr(name),
            count=len(addresses),
        )
        for name, addresses in kept.items()
        if addresses
    ]
    both = [WatchedWallet(name=w.name, addresses=[*w.addresses, *kept.pop(w.name, [])]) for w in configured]
    return both + [WatchedWallet(name=name, addresses=addresses) for name, addresses in kept.items() if addresses], warnings
