"""Every network by its name in the settings: its family, and its address format.

Bitcoin-like networks have names, account chains their chain id: `evm:1` is Ethereum, `evm:61` Ethereum Classic. What is known of each is data:
`config/networks.toml`, and a pool's own tables laid over it (ADR 21). Used by files, settings and proofs only: the rules of the report do not depend on a
chain's family (ADR 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.model.message import message
from pipeline.model.packaged import packaged_path

from .bitcoin.networks import NETWORKS, Network, bitcoin_network, network
from .bitcoin.script import canonical_address
from .evm.address import canonical, has_wrong_checksum, is_account_address
from .evm.networks import AccountNetwork, account_network, chain_id_of
from .facts import read_tables

AnyNetwork = Network | AccountNetwork


class Networks:
    """The networks that a pool knows: ours, and its own tables laid over them."""

    def __init__(self, own: Mapping[str, AnyNetwork] | None = None) -> None:
        self._own = dict(own or {})

    @property
    def names(self) -> list[str]:
        """Of all networks that have a table."""
        return list(dict.fromkeys([*_our_tables(), *self._own]))

    @property
    def own(self) -> list[str]:
        """Of those whose facts are the pool's own."""
        return list(self._own)

    def of(self, name: str) -> AnyNetwork:
        """The network of that name. Raises ValueError for a name that is none."""
        if name in self._own:
            return self._own[name]
        if name in NETWORKS:
            return network(name)
        chain_id = chain_id_of(name)
        if chain_id is None:
            known = [known for known in self.names if chain_id_of(known) is None]
            raise ValueError(
                message(
                    "no network is named {name}: use evm:CHAIN_ID, such as evm:1, or one of {known}",
                    name=repr(name),
                    known=", ".join(known),
                )
            )
        return _our_account_networks().get(name) or AccountNetwork(chain_id)


OURS = Networks()
"""Those that come with the program."""


def networks_over(own: Mapping[str, Any], place: str) -> tuple[Networks, list[str]]:
    """Ours with these tables laid over them, key by key; every fault, each beginning with `place`. Tables in a table (`checkpoint`, `forks`) are taken whole."""
    found: dict[str, AnyNetwork] = {}
    faults: list[str] = []
    for name, table in own.items():
        where = f"{place}: {name}"
        if not isinstance(table, dict):
            faults.append(f"{where}: is no table: write [{name}] and the network's keys below it")
            continue
        merged = _our_tables().get(name, {}) | table
        family = merged.get("family")
        made: AnyNetwork | None
        if family == "evm":
            made, wrong = account_network(name, merged, where)
        elif family == "bitcoin":
            made, wrong = bitcoin_network(name, merged, where)
        else:
            made, wrong = None, [f"{where}.family: {'is missing' if family is None else f'{family!r} is not known'}: use bitcoin or evm"]
        if made is not None:
            found[name] = made
        faults += wrong
    return Networks(found), faults


def recorded(networks: Mapping[str, Any]) -> Networks:
    """Networks as a month recorded them (`Rules.network_facts`), by name. Raises ValueError for what is none."""
    found: dict[str, AnyNetwork] = {}
    for name, table in networks.items():
        ours = OURS.of(name) if name in OURS.names else None
        if ours is not None and ours.facts.to_json() == table:
            continue  # the same object, so that what is kept for it stays
        made, faults = (account_network if chain_id_of(name) else bitcoin_network)(name, table, name)
        if made is None:
            raise ValueError("; ".join(faults))
        found[name] = made
    return Networks(found)


@cache
def _our_tables() -> dict[str, dict[str, Any]]:
    return read_tables(packaged_path("networks.toml"))


@cache
def _our_account_networks() -> dict[str, AccountNetwork]:
    made = {name: account_network(name, table, name) for name, table in _our_tables().items() if table["family"] == "evm"}
    assert all(network is not None for network, _ in made.values()), made
    return {name: network for name, (network, _) in made.items() if network is not None}


def read_networks(path: Path) -> tuple[Networks, list[str]]:
    """A pool's own file of networks laid over ours, and every fault in it."""
    try:
        return networks_over(read_tables(path), str(path))
    except OSError as error:
        return OURS, [f"{path}: can't be read: {error.strerror or 'unknown error'}"]
    except ValueError as error:
        return OURS, [f"{path}: {error}"]


def network_of(name: str) -> AnyNetwork:
    """One of our networks by its name. Raises ValueError for a name that is none."""
    return OURS.of(name)


def is_account_network(name: str) -> bool:
    """Whether the name is an account chain's."""
    return chain_id_of(name) is not None


def address_on(network: AnyNetwork | str, text: str) -> str:
    """The address as the network (one of ours where it is a name) writes it. Raises ValueError with what is wrong with it.

    An account's address in mixed case with a wrong checksum is returned as it is written: see `strict_address_on`.
    """
    on = network_of(network) if isinstance(network, str) else network
    if isinstance(on, Network):
        return canonical_address(text, on)
    if not is_account_address(text):
        raise ValueError(message("{text} is not an address of {name}: 0x and 40 hexadecimal digits", text=repr(text), name=on.name))
    return canonical(text)


def strict_address_on(network: AnyNetwork | str, text: str) -> str:
    """`address_on`, for what a person writes now: a wrong checksum is a ValueError, too."""
    on = network_of(network) if isinstance(network, str) else network
    if isinstance(on, AccountNetwork) and has_wrong_checksum(text):
        raise ValueError(message("{text} has a wrong checksum (EIP-55): copy it anew, it may have been mistyped", text=repr(text)))
    return address_on(on, text)
