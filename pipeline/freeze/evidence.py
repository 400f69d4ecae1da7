"""Proof that what the report says was transferred stands in the chain: headers, Merkle branches, transactions.

Enters: the store's headers and raw transactions. Leaves: `headers.csv` (a gapless chain of headers from the oldest block
needed to the tip) and `proofs.jsonl` (a line a transaction), and the checks of both, which need nothing but these two files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from ..bitcoin.merkle import meets_target, root_of_branch
from ..bitcoin.networks import Network
from ..bitcoin.script import address_of
from ..bitcoin.wire import double_sha256, parse_header, parse_transaction
from ..errors import VerifyError

HEADERS = {"chain": pl.String, "height": pl.Int64, "hash": pl.String, "mediantime": pl.Int64, "header": pl.String}


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One transaction's place in the chain; hashes are hex in the customary order."""

    chain: str
    txid: str
    block_hash: str
    height: int
    position: int
    branch: list[str]
    raw: str
    """Without witnesses: its double SHA-256 is the txid."""


@dataclass(frozen=True)
class Evidence:
    """What a bundle proves its transfers with."""

    headers: pl.DataFrame
    proofs: list[Proof]


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """`headers.csv` and `proofs.jsonl` in `folder`, in a fixed order."""
    evidence.headers.select(list(HEADERS)).sort("chain", "height").write_csv(folder / "headers.csv", line_terminator="\n")
    lines = [msgspec.json.encode(proof) for proof in sorted(evidence.proofs, key=lambda p: (p.chain, p.height, p.position))]
    (folder / "proofs.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def read_evidence(folder: Path) -> Evidence:
    """What `write_evidence` wrote. Raises VerifyError naming the file and the line that can't be read."""
    try:
        headers = pl.read_csv(folder / "headers.csv", schema=HEADERS)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise VerifyError(f"{folder / 'headers.csv'}: {error}") from error
    proofs = []
    decoder = msgspec.json.Decoder(Proof)
    try:
        lines = (folder / "proofs.jsonl").read_bytes().splitlines()
    except OSError as error:
        raise VerifyError(f"{folder / 'proofs.jsonl'}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            proofs.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise VerifyError(f"{folder / 'proofs.jsonl'}:{number}: {error}") from error
    return Evidence(headers, proofs)


def header_faults(headers: pl.DataFrame, networks: dict[str, Network]) -> list[str]:
    """What is wrong with the chains of headers: gaps, hashes, links, proof of work where the header alone shows it."""
    faults: list[str] = []
    for (chain,), blocks in headers.sort("chain", "height").group_by("chain", maintain_order=True):
        previous: tuple[int, str] | None = None
        for height, block_hash, text in blocks.select("height", "hash", "header").iter_rows():
            where = f"{chain} block {height}"
            try:
                raw = bytes.fromhex(text)
                header = parse_header(raw)
            except ValueError as error:
                faults.append(f"{where}: {error}")
                break
            if header.hash != block_hash:
                faults.append(f"{where}: the header's hash is {header.hash}, not {block_hash}")
            if previous and (height, header.prev) != (previous[0] + 1, previous[1]):
                faults.append(f"{where}: does not follow block {previous[0]} {previous[1]}")
            if meets_target(raw, networks[str(chain)]) is False:
                faults.append(f"{where}: its hash does not meet the target of its proof of work")
            previous = height, header.hash
    return faults


@dataclass(frozen=True)
class ProvenTransfer:
    """A transaction's outputs to one address, summed, as its bytes and its block's header show them."""

    amount: int
    time: int
    block_hash: str
    height: int


def prove_transfers(evidence: Evidence, networks: dict[str, Network]) -> tuple[dict[tuple[str, str, str], ProvenTransfer], list[str]]:
    """(chain, txid, address) → what is proven of it, and the faults of the proofs."""
    headers = {
        (chain, height): (block_hash, header) for chain, height, block_hash, _, header in evidence.headers.select(list(HEADERS)).iter_rows()
    }
    proven: dict[tuple[str, str, str], ProvenTransfer] = {}
    faults: list[str] = []
    for proof in evidence.proofs:
        network = networks[proof.chain]
        try:
            sums = _prove(proof, headers, network)
        except ValueError as error:
            faults.append(f"{proof.chain} transaction {proof.txid}: {error}")
            continue
        block_hash, header = headers[proof.chain, proof.height]
        time = parse_header(bytes.fromhex(header)).time
        for address, amount in sums.items():
            proven[proof.chain, proof.txid, address] = ProvenTransfer(amount, time, block_hash, proof.height)
    return proven, faults


def _prove(proof: Proof, headers: dict[tuple[str, int], tuple[str, str]], network: Network) -> dict[str, int]:
    """The transaction's outputs by address. Raises ValueError when its bytes, branch and header do not agree."""
    block_hash, header = headers.get((proof.chain, proof.height), (None, ""))
    if block_hash != proof.block_hash:
        raise ValueError(f"block {proof.height} {proof.block_hash} is not among the headers")
    raw = bytes.fromhex(proof.raw)
    if len(raw) == 64:
        raise ValueError("64 bytes could be an inner node of the tree: this proves nothing")
    if double_sha256(raw)[::-1].hex() != proof.txid:
        raise ValueError("its bytes hash to another id")
    root = root_of_branch(proof.txid, proof.position, proof.branch)
    if root != parse_header(bytes.fromhex(header)).merkle_root:
        raise ValueError("its branch does not lead to the header's root")
    sums: dict[str, int] = {}
    for output in parse_transaction(raw).outputs:
        address = address_of(output.script, network)
        if address is not None:
            sums[address] = sums.get(address, 0) + output.value
    return sums


def missing_proofs(reported: Iterable[tuple[str, str]], evidence: Evidence) -> list[str]:
    """The reported transactions (chain, txid) that no line of the evidence proves."""
    held = {(proof.chain, proof.txid) for proof in evidence.proofs}
    return [f"{chain} transaction {txid} has no proof" for chain, txid in sorted(set(reported) - held)]
