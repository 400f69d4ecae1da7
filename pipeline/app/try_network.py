"""A network's facts tried against a node: which connector asks, by the network's family.

Enters: a network, a node's address, a file with its login. Leaves: what was tried, fact by fact.
"""

from __future__ import annotations

from pathlib import Path

from connectors.bitcoin.try_network import try_network as try_bitcoin
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.networks import AnyNetwork
from pipeline.chains.tried import Tried


def try_network(network: AnyNetwork, url: str, login: Path | None) -> list[Tried]:
    """Every fact of the network that the node can show. Raises SettingsError for an address or a file that can't be used, SourceError for no answer."""
    if isinstance(network, Network):
        return try_bitcoin(network, url, login)
    from connectors.evm.try_network import try_network as try_account_chain

    return try_account_chain(network, url, login)
