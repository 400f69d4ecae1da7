"""Ties a bundle's headers to their network's checkpoint, by headers that joined the bundle after its freeze (ADR 4).

Enters: a bundle, which may have `headers/CHAIN.bin`: the headers between the checkpoint and the first one of `evidence/headers.csv`, one after another as nodes give
them. Leaves: these headers, their faults, or why the chain is tied to no checkpoint. They need no signature: each follows the one before, the first follows a block that
the verifier knows, the bundle's own first header follows the last, and each carries its own work. How much work that is, is judged in `work`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipeline.chains.bitcoin.auxpow import auxpow_fault, bare_header
from pipeline.chains.bitcoin.merkle import meets_target
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import Header, parse_header, parse_headers
from pipeline.model.message import message

from .opened import OpenBundle
from .shapes import HEADERS_FOLDER, MAX_HEADERS_BYTES, read_plain


class Gap(NamedTuple):
    """The headers that lie between a network's checkpoint and the first header that a bundle carries."""

    chain: str
    network: Network
    after: int
    """The checkpoint's height."""
    after_hash: str
    last: int
    """The height of the block before the bundle's first header."""
    last_hash: str


class Tie(NamedTuple):
    """How a chain's headers hang on its network's checkpoint."""

    headers: list[Header]
    """Of the blocks before the bundle's first header, in order, without a gap to it."""
    faults: list[str]
    why_not: str
    """Why the chain is tied to no checkpoint; "" where it is, or where a fault says so."""


def headers_path(folder: Path, chain: str) -> Path:
    """Where a chain's headers lie beside the bundle in `folder`."""
    return folder / HEADERS_FOLDER / f"{chain}.bin"


def gap_before(bundle: OpenBundle, chain: str) -> Gap | None:
    """The headers that would tie the chain's own ones to the checkpoint; None where no checkpoint lies below them."""
    network = bundle.networks[chain]
    if not isinstance(network, Network) or network.checkpoint is None:
        return None
    blocks = bundle.evidence.headers.filter(pl.col("chain") == chain).sort("height")
    if blocks.is_empty():
        return None
    first, raw = int(blocks["height"][0]), bytes.fromhex(blocks["header"][0])
    if first <= network.checkpoint.height:
        return None
    prev = parse_header(bare_header(raw, network)).prev.hex()
    return Gap(chain, network, network.checkpoint.height, network.checkpoint.hash, first - 1, prev)


def tie_to_checkpoint(bundle: OpenBundle, chain: str) -> Tie:
    """The headers between the checkpoint and the bundle's first one, checked one by one."""
    gap, path = gap_before(bundle, chain), headers_path(bundle.folder, chain)
    if gap is None:
        return Tie([], [], "")
    if not path.exists():
        if gap.last > gap.after:
            return Tie(
                [],
                [],
                message(
                    "not tied to a checkpoint: the headers begin at {first}, and those since the checkpoint {height} are not beside the bundle (esep headers)",
                    first=gap.last + 1,
                    height=gap.after,
                ),
            )
        return Tie([], _checkpoint_faults(gap, gap.last_hash), "")
    name = f"{HEADERS_FOLDER}/{path.name}"
    faults: list[str] = []
    parsed: list[tuple[Header, bytes]] = []
    try:
        parsed = parse_headers(read_plain(path, MAX_HEADERS_BYTES), gap.network, with_proofs=True)
    except (OSError, ValueError) as error:
        faults.append(message("{name}: {error}", name=name, error=error))
        return Tie([], faults, "")
    start = gap.last + 1 - len(parsed)
    if not parsed or start < 0:
        faults.append(message("{name}: {count} headers can't end at block {last}", name=name, count=len(parsed), last=gap.last))
        return Tie([], faults, "")
    faults = [message("{name}: {fault}", name=name, fault=fault) for fault in _faults(parsed, start, gap)]
    if start > gap.after + 1:
        return Tie(
            [],
            faults,
            message(
                "not tied to a checkpoint: the headers beside the bundle begin at {start}, after the checkpoint {height}",
                start=start,
                height=gap.after,
            ),
        )
    if start == gap.after + 1:
        faults = _checkpoint_faults(gap, parsed[0][0].prev.hex()) + faults
    return Tie([header for header, _ in parsed], faults, "")


def _checkpoint_faults(gap: Gap, prev: str) -> list[str]:
    """The block after the checkpoint names it as the one before."""
    faults = []
    if prev != gap.after_hash:
        faults.append(
            message(
                "block {first} does not follow the checkpoint {height} {hash}", first=gap.after + 1, height=gap.after, hash=gap.after_hash
            )
        )
    return faults


def _faults(parsed: list[tuple[Header, bytes]], start: int, gap: Gap) -> list[str]:
    """Headers that do not follow one another up to the bundle's own first one, or lack the work that they claim."""
    faults = []
    for place, (header, raw) in enumerate(parsed):
        height = start + place
        if place and header.prev != parsed[place - 1][0].hash:
            faults.append(message("block {height} does not follow block {before}", height=height, before=height - 1))
        if fault := _own_work_fault(raw, gap.network):
            faults.append(message("block {height}: {fault}", height=height, fault=fault))
    if parsed[-1][0].hash.hex() != gap.last_hash:
        faults.append(message("the bundle's first header, block {first}, does not follow the last one", first=gap.last + 1))
    return faults


def _own_work_fault(raw: bytes, network: Network) -> str:
    """Why the header has not the work that it claims; "" where it has."""
    if network.pow == "scrypt-auxpow":
        return auxpow_fault(raw, network)
    is_met = meets_target(raw, network) is not False
    return "" if is_met else message("its hash does not meet the target of its proof of work")


def unread_headers(bundle: OpenBundle, read: set[str]) -> tuple[list[str], list[str]]:
    """Files of headers beside the bundle that belong to no chain of it, as faults; and those of its chains that no check read, by name."""
    folder = bundle.folder / HEADERS_FOLDER
    faults, unread = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.stem in read:
            continue
        name = f"{HEADERS_FOLDER}/{path.name}"
        if path.stem in bundle.chains and path.stem in bundle.networks:
            unread.append(name)
        else:
            faults.append(message("{name}: the month stands on no chain of that name", name=name))
    return faults, unread
