"""When a bundle was there, by public time: `manifest.json.ots`, an OpenTimestamps proof that joined it after its freeze (ADR 17). Offline.

Enters: the proof, the manifest's digest, headers: those that the bundle proves, and those of a file that the auditor gives. Leaves: the Bitcoin block that the manifest stood
before, where its header is at hand; else that this is not checked here; and promises, which are a calendar's word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from pipeline.chains.bitcoin.wire import Header, parse_header
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.model.message import joined, message
from pipeline.signing.public_time import MOST_PROOF_BYTES, InBlock, Promise, ProofUnreadable, Timestamp, read_proof

from .finding import Finding
from .given import MAINNET
from .opened import OpenBundle
from .shapes import read_plain

PROOF = "manifest.json.ots"


def check_public_time(bundle: OpenBundle) -> Finding:
    """What the proof beside the manifest comes to; nothing where there is none."""
    path = bundle.folder / PROOF
    if not path.exists():
        return Finding([], "", message("no public time stamp") if bundle.headers_given else "")
    try:
        proof = read_proof(read_plain(path, MOST_PROOF_BYTES))
    except (OSError, ProofUnreadable) as error:
        return Finding([message("{proof}: {error}", proof=PROOF, error=error)], "")
    if proof.message != hashlib.sha256((bundle.folder / "manifest.json").read_bytes()).digest():
        return Finding([message("{proof}: it is of another manifest", proof=PROOF)], "")
    return judge_proof(proof, _own_headers(bundle), bundle.headers_given)


def judge_proof(proof: Timestamp, own: Mapping[int, Header], given: Mapping[int, Header]) -> Finding:
    """What a proof of the manifest comes to by the bundle's own headers, and those given."""
    faults, seen, unchecked, words = [], [], [], []
    for stamped, end in proof.ends():
        if isinstance(end, Promise):
            words.append(message("that the manifest is to be stamped: on the word of the calendar {url}, which promised it", url=end.url))
        elif not isinstance(end, InBlock):
            unchecked.append(message("an attestation of a kind that nobody here knows"))
        elif (header := own.get(end.height) or given.get(end.height)) is None:
            unchecked.append(
                message(
                    "the manifest's public time stamp in Bitcoin block {height}: its header is not at hand (--headers)", height=end.height
                )
            )
        elif header.merkle_root[::-1] != stamped:
            faults.append(message("{proof}: Bitcoin block {height} does not have it", proof=PROOF, height=end.height))
        else:
            at = datetime.fromtimestamp(header.time, UTC)
            source = message("whose header the bundle proves") if end.height in own else message("by the headers given")
            seen.append(
                message(
                    "the manifest was there before Bitcoin block {height} ({hash}) of {at} UTC, {source}",
                    height=end.height,
                    hash=header.hash.hex(),
                    at=format(at, "%Y-%m-%d %H:%M:%S"),
                    source=source,
                )
            )
    return Finding(faults, joined("; ", sorted(set(seen))), joined("; ", sorted(set(unchecked))), tuple(sorted(set(words))))


def _own_headers(bundle: OpenBundle) -> dict[int, Header]:
    """Bitcoin's own headers in the bundle, by height."""
    chains = [chain for chain, network in bundle.networks.items() if not isinstance(network, AccountNetwork) and network.name == MAINNET]
    rows = bundle.evidence.headers.filter(pl.col("chain").is_in(chains))
    return {height: parse_header(bytes.fromhex(text)) for height, text in rows.select("height", "header").iter_rows()}
