"""Compact block filters beside a frozen month's bundle, from the chain's node (ADR 19).

Enters: the settings, a bundle's folder. Leaves: `filters/CHAIN.jsonl` in it for each chain of coins. They join the bundle as signatures do: nothing that was
frozen changes, and what they show is checked by `esep verify`, against a node that the auditor trusts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.chains.bitcoin.filters import BlockFilter, matches
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import parse_header
from pipeline.model.durable import atomic_file
from pipeline.model.errors import SourceError
from pipeline.model.journal import Journal
from pipeline.model.message import grouped, message
from pipeline.settings import Settings
from pipeline.settings.models import ChainSettings
from pipeline.verify.filters import FilterSpan, filter_spans
from pipeline.verify.opened import OpenBundle
from pipeline.verify.shapes import FILTERS_FOLDER

if TYPE_CHECKING:
    from connectors.bitcoin.coins import NodeOfCoins

_journal = Journal("esep")


class AddedFilters(NamedTuple):
    """The filters of one chain that now lie in a bundle."""

    chain: str
    blocks: int
    matched: int
    """Blocks carried whole."""
    size: int
    """Bytes."""


def add_filters(
    settings: Settings, folder: Path, *, only: Collection[str] | None = None, progress: Callable[[str], None] = lambda _: None
) -> list[AddedFilters]:
    """Ask the settings' nodes for the filters of the bundle's month, chain by chain (`only` these); files that are there already are written anew.

    Raises SourceError where a node does not answer or keeps no filters (`blockfilterindex=1`), VerifyError for a folder that is no bundle.
    """
    added = []
    for span in filter_spans(OpenBundle(folder, ())):
        ours = settings.chains.get(span.chain)
        if ours is None or (only is not None and span.chain not in only):
            continue
        node = node_of_coins(ours, span.network)
        try:
            added.append(lay_filters(folder, span, node, progress))
        finally:
            node.close()
    return added


def node_of_coins(ours: ChainSettings, network: Network) -> NodeOfCoins:
    """A chain's first node, asked of its coins. Raises SettingsError, SourceError."""
    password = ours.password.get_secret_value() if ours.password else None
    from connectors.bitcoin.coins import NodeOfCoins
    from connectors.bitcoin.rpc import Credentials

    login = Credentials(user=ours.user, password=password, cookie_path=ours.cookie_file)
    return NodeOfCoins(ours.rpc_url[0], login, [network], timeout_s=float(ours.timeout_s))


def lay_filters(bundle: Path, span: FilterSpan, node: NodeOfCoins, progress: Callable[[str], None] = lambda _: None) -> AddedFilters:
    """The chain's file beside the bundle, whole or not at all. Raises as `add_filters`."""
    folder = bundle / FILTERS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{span.chain}.jsonl"
    blocks = matched = 0
    with atomic_file(path, mode=0o400) as file:
        for row in _rows(span, node):
            file.write(msgspec.json.encode(row) + b"\n")
            blocks += 1
            matched += row.block is not None
            if not blocks % 100:
                progress(
                    message(
                        "{chain}: {blocks} of {last} filters",
                        chain=span.chain,
                        blocks=grouped(blocks),
                        last=grouped(span.last - span.first + 1),
                    )
                )
    return AddedFilters(span.chain, blocks, matched, path.stat().st_size)


def _rows(span: FilterSpan, node: NodeOfCoins) -> Iterator[BlockFilter]:
    before = node.filter_header(node.hash_at(span.first - 1)) if span.first else "00" * 32
    for told in node.filters(span.first, span.last):
        block_hash = parse_header(told.block_header).hash
        whole = node.block(block_hash.hex()) if matches(told.filter, block_hash, span.scripts) else None
        yield msgspec.structs.replace(told, before=before if told.height == span.first else None, block=whole)


def add_wanted_filters(settings: Settings, folder: Path, *, progress: Callable[[str], None] = lambda _: None) -> None:
    """Those of the chains whose settings want them. The freeze stands whatever a node says: its trouble is told, and `esep filters` asks again."""
    chains = {chain for chain, ours in settings.chains.items() if ours.compact_filters}
    if not chains:
        return
    try:
        add_filters(settings, folder, only=chains, progress=progress)
    except SourceError as error:
        _journal.warning("no filters yet: esep filters MONTH asks again", folder=str(folder), reason=str(error))
