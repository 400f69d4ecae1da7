"""Every network by its name in the settings: its family, and its address format.

Bitcoin-like networks have names (`bitcoin.networks`), account chains their chain id: `evm:1` is Ethereum, `evm:61` Ethereum Classic.
Used by files, settings and proofs only: the rules of the report do not depend on a chain's family (ADR 7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .bitcoin.networks import NETWORKS, Network, network
from .bitcoin.script import canonical_address
from .evm.address import canonical, has_wrong_checksum, is_account_address

_ACCOUNT = re.compile(r"evm:([1-9][0-9]{0,18})")


@dataclass(frozen=True)
class AccountNetwork:
    """An EVM chain, by its chain id (EIP-155)."""

    chain_id: int


def network_of(name: str) -> Network | AccountNetwork:
    """The network of that name. Raises ValueError for a name that is none."""
    found = _ACCOUNT.fullmatch(name)
    if found:
        return AccountNetwork(int(found[1]))
    if name not in NETWORKS:
        raise ValueError(f"no network is named {name!r}: use evm:CHAIN_ID, such as evm:1, or one of {', '.join(NETWORKS)}")
    return network(name)


def is_account_network(name: str) -> bool:
    """Whether the name is an account chain's."""
    return _ACCOUNT.fullmatch(name) is not None


def address_on(name: str, text: str) -> str:
    """The address as the network of that name writes it. Raises ValueError with what is wrong with it.

    An account's address in mixed case with a wrong checksum is returned as it is written: see `strict_address_on`.
    """
    if not is_account_network(name):
        return canonical_address(text, network(name))
    if not is_account_address(text):
        raise ValueError(f"{text!r} is not an address of {name}: 0x and 40 hexadecimal digits")
    return canonical(text)


def strict_address_on(name: str, text: str) -> str:
    """`address_on`, for what a person writes now: a wrong checksum is a ValueError, too."""
    if is_account_network(name) and has_wrong_checksum(text):
        raise ValueError(f"{text!r} has a wrong checksum (EIP-55): copy it anew, it may have been mistyped")
    return address_on(name, text)
