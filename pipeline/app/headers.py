"""The headers since a network's checkpoint beside a frozen month's bundle, from the chain's node (ADR 4).

Enters: the settings, a bundle's folder. Leaves: `headers/CHAIN.bin` in it for each chain whose network has a checkpoint below the bundle's own headers. What was fetched is
kept below `var/headers` in files of `KEPT` headers, so that an interrupted fetch goes on where it ended and the next month asks only for what is new. They join the
bundle as signatures do: nothing that was frozen changes, and `esep verify` checks each of them by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import parse_headers
from pipeline.model.durable import atomic_file, write_atomically
from pipeline.model.errors import SourceError
from pipeline.model.journal import Journal
from pipeline.model.message import grouped, message
from pipeline.settings import Settings
from pipeline.settings.models import ChainSettings
from pipeline.verify.checkpoint import Gap, gap_before, headers_path
from pipeline.verify.opened import OpenBundle

from .filters import node_of_coins

if TYPE_CHECKING:
    from connectors.bitcoin.coins import NodeOfCoins

_journal = Journal("esep")
KEPT = 5000
"""Headers in one file below `var/headers`."""


class AddedHeaders(NamedTuple):
    """The headers of one chain that now lie beside a bundle."""

    chain: str
    checkpoint: int
    """Its height."""
    headers: int
    size: int
    """Bytes."""


def are_wanted(ours: ChainSettings, network: Network) -> bool:
    """Whether a freeze fetches them: as the settings say, else wherever a header is its own proof of work (with merged mining they take about 1 kB a block)."""
    wanted = ours.headers_from_checkpoint
    return network.pow != "scrypt-auxpow" if wanted is None else wanted


def add_headers(
    settings: Settings, folder: Path, *, only_wanted: bool = False, progress: Callable[[str], None] = lambda _: None
) -> list[AddedHeaders]:
    """Ask the settings' nodes for the headers that tie the bundle's chains to checkpoints; files that are there already are written anew.

    Chains without such headers (test networks, account chains, headers from the checkpoint on) are passed over. Raises SourceError where a node does not answer or
    has another chain, VerifyError for a folder that is no bundle.
    """
    bundle = OpenBundle(folder, ())
    added = []
    for chain in sorted(set(bundle.networks) & set(settings.chains)):
        gap, ours = gap_before(bundle, chain), settings.chains[chain]
        if gap is None or gap.last == gap.after or (only_wanted and not are_wanted(ours, gap.network)):
            continue
        node = node_of_coins(ours, gap.network)
        try:
            added.append(_lay(folder, gap, node, settings.var / "headers" / chain / str(gap.after), progress))
        finally:
            node.close()
    return added


def _lay(bundle: Path, gap: Gap, node: NodeOfCoins, kept: Path, progress: Callable[[str], None]) -> AddedHeaders:
    """The chain's file beside the bundle, whole or not at all. Raises SourceError where the node's headers do not lead to the bundle's."""
    path = headers_path(bundle, gap.chain)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_file(path, mode=0o400) as file:
        for done, raw in _parts(gap, node, kept):
            file.write(raw)
            progress(
                message("{chain}: {done} of {count} headers", chain=gap.chain, done=grouped(done), count=grouped(gap.last - gap.after))
            )
    return AddedHeaders(gap.chain, gap.after, gap.last - gap.after, path.stat().st_size)


def _parts(gap: Gap, node: NodeOfCoins, kept: Path) -> Iterator[tuple[int, bytes]]:
    """The headers in parts of `KEPT`, each with how many there are by then; whole parts come from `kept`, or go there."""
    from connectors.bitcoin.headers import headers_since

    height, block_hash = gap.after, gap.after_hash
    while height < gap.last:
        count = min(KEPT, gap.last - height)
        path = kept / f"{height + 1:09}.bin"
        found = _read_part(path, gap.network, block_hash) if count == KEPT else None
        if found is None:
            told = list(headers_since(node, height, block_hash, height + count))
            found = b"".join(each.raw for each in told), told[-1].header.hash.hex()
            if count == KEPT:
                write_atomically(path, found[0])
        raw, block_hash = found
        height += count
        if height == gap.last and block_hash != gap.last_hash:
            for part in kept.iterdir():
                part.unlink()
            raise SourceError(
                message(
                    "{chain}: block {last} of the node is {hash}, and the bundle's headers follow {last_hash}: ask again, at a node that has the bundle's chain",
                    chain=gap.chain,
                    last=gap.last,
                    hash=block_hash,
                    last_hash=gap.last_hash,
                )
            )
        yield height - gap.after, raw


def _read_part(path: Path, network: Network, before: str) -> tuple[bytes, str] | None:
    """A part that was kept, and its last block's hash; None where it is not there, or not whole, or does not follow the block `before`."""
    try:
        raw = path.read_bytes()
        headers = [header for header, _ in parse_headers(raw, network)]
    except (FileNotFoundError, ValueError):
        return None
    follows = [before, *(header.hash.hex() for header in headers)]
    if len(headers) != KEPT or any(header.prev.hex() != follows[place] for place, header in enumerate(headers)):
        return None
    return raw, follows[-1]


def add_wanted_headers(settings: Settings, folder: Path, *, progress: Callable[[str], None] = lambda _: None) -> None:
    """Those that a freeze fetches by itself. The freeze stands whatever a node says: its trouble is told, and `esep headers` asks again."""
    try:
        add_headers(settings, folder, only_wanted=True, progress=progress)
    except SourceError as error:
        _journal.warning("no headers from the checkpoint yet: esep headers MONTH asks again", folder=str(folder), reason=str(error))
