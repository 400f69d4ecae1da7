"""A bundle verified with a node at hand: the one place where the verifier meets a connector (ADR 15).

Enters: a bundle's folder, a node's address, a file with its login. Leaves: the checks of `verify`, the node's among them. The address holds no secret, and
nothing of the login reaches a message or a log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cryptography import x509

from connectors.bitcoin.coins import NodeOfCoins
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import Header
from pipeline.model.rules import Rules
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import Check
from pipeline.verify.opened import networks_of
from pipeline.verify.shapes import read_manifest


def verify_with_node(
    folder: Path,
    url: str,
    login: Path | None,
    progress: Callable[[str], None] = lambda _: None,
    *,
    trusted: Sequence[x509.Certificate] = (),
    reads_blocks: bool = False,
    headers: Mapping[int, Header] = MappingProxyType({}),
    root_key: str | None = None,
) -> list[Check]:
    """All checks of the bundle, and what the node at `url` says of its coins. `login`: a file of one line USER:PASSWORD, such as a cookie file.

    Raises SettingsError for an address or a file that can't be used, SourceError where the node does not answer, VerifyError as `verify_bundle`.
    """
    networks = networks_of(Rules.from_json(read_manifest(folder)["rules"])).values()
    node = NodeOfCoins(url, login, [network for network in networks if isinstance(network, Network)])
    try:
        return verify_bundle(folder, progress, trusted=trusted, node=node, reads_blocks=reads_blocks, headers=headers, root_key=root_key)
    finally:
        node.close()
