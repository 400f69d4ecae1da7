"""Proof that what the report says was transferred stands in the chain: headers, Merkle branches or tries, transactions.

Enters: the store's headers and raw transactions. Leaves: `headers.csv` (a gapless chain of headers from the oldest block
needed to the tip) and `proofs.jsonl` (a line a transaction), and the checks of both, which need nothing but these two files.
What is shown how on an account chain is in `account_evidence`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from pipeline.chains.bitcoin.auxpow import auxpow_fault, bare_header, is_merge_mined
from pipeline.chains.bitcoin.merkle import meets_target, root_of_branch
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Tx, double_sha256, link_of, parse_header, parse_transaction
from pipeline.chains.evidence import HEADERS, AccountProof, Evidence, Networks, Proof
from pipeline.chains.evm.headers import parse_header as parse_account_header
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.model.errors import VerifyError
from pipeline.model.message import message, text_of
from pipeline.model.system_words import system_words

from .account_evidence import header_fault, prove_account_transaction
from .files import json_lines

_Line = TypeVar("_Line")


def read_evidence(folder: Path) -> Evidence:
    """What `write_evidence` wrote. Raises VerifyError naming the file and the line that can't be read."""
    try:
        (folder / "headers.csv").stat()
        headers = pl.read_csv(folder / "headers.csv", schema=HEADERS)
    except OSError as error:
        raise VerifyError(message("{path}: {strerror}", path=folder / "headers.csv", strerror=system_words(error) or str(error))) from error
    except pl.exceptions.PolarsError as error:
        raise VerifyError(message("{folder}: {error}", folder=folder / "headers.csv", error=error)) from error
    proofs = _read_lines(folder / "proofs.jsonl", Proof)
    accounts = folder / "account_proofs.jsonl"
    return Evidence(headers, proofs, _read_lines(accounts, AccountProof) if accounts.exists() else [])


def _read_lines(path: Path, kind: type[_Line]) -> list[_Line]:
    """A JSON document a line, each of this kind. Raises VerifyError naming the line."""
    try:
        return json_lines(path.read_bytes(), str(path), kind, what="proof")
    except OSError as error:
        raise VerifyError(message("{path}: {strerror}", path=path, strerror=system_words(error))) from error
    except ValueError as error:
        raise VerifyError(text_of(error)) from error


def header_faults(headers: pl.DataFrame, networks: Networks) -> list[str]:
    """The faults of the chains of headers: gaps, hashes, links, and proof of work if the header alone shows it."""
    faults: list[str] = []
    for (chain,), blocks in headers.sort("chain", "height").group_by("chain", maintain_order=True):
        previous: tuple[int, str] | None = None
        for height, block_hash, text in blocks.select("height", "hash", "header").iter_rows():
            try:
                found, prev, wrong = _look_at_header(bytes.fromhex(text), height, networks[str(chain)])
            except ValueError as error:
                faults.append(message("{where}: {error}", where=_where(chain, height), error=error))
                break
            if found != block_hash:
                faults.append(
                    message(
                        "{where}: the header's hash is {found}, not {block_hash}",
                        where=_where(chain, height),
                        found=found,
                        block_hash=block_hash,
                    )
                )
            if previous and (height, prev) != (previous[0] + 1, previous[1]):
                faults.append(
                    message(
                        "{where}: does not follow block {previous} {previous_2}",
                        where=_where(chain, height),
                        previous=previous[0],
                        previous_2=previous[1],
                    )
                )
            faults += [message("{where}: {what}", where=_where(chain, height), what=what) for what in wrong]
            previous = height, found
    return faults


def _where(chain: object, height: int) -> str:
    return message("{chain} block {height}", chain=chain, height=height)


def _look_at_header(raw: bytes, height: int, network: Network | AccountNetwork) -> tuple[str, str, list[str]]:
    """The header's hash, its parent's hash, and the header's own faults."""
    if isinstance(network, AccountNetwork):
        return header_fault(raw, height)
    block_hash, prev = link_of(bare_header(raw, network))
    if network.pow == "scrypt-auxpow" and (len(raw) > HEADER_SIZE or not is_merge_mined(raw)):
        fault = auxpow_fault(raw, network)
        return block_hash.hex(), prev.hex(), [fault] if fault else []
    wrong = [message("its hash does not meet the target of its proof of work")] if meets_target(raw, network, block_hash) is False else []
    return block_hash.hex(), prev.hex(), wrong


@dataclass(frozen=True)
class ProvenTransaction:
    """What a transaction pays, as its bytes and its block's header show it."""

    time: int
    """Of the block, Unix seconds."""
    block_hash: str
    height: int
    amounts: dict[tuple[str, str | None], int]
    """Base units to each address, summed, by address and token's contract (None: the chain's own asset)."""
    may_call: bool = False
    """Whether calls inside it may have paid more; its bytes do not show that."""
    position: int = 0
    """Within its block."""
    tx: Tx | None = None
    """Its parts; None on account chains."""


Proven = dict[tuple[str, str], ProvenTransaction]
"""By chain and txid."""


def prove_transactions(evidence: Evidence, networks: Networks) -> tuple[Proven, list[str]]:
    """What is proven of each transaction, and the faults of the proofs."""
    heights = pl.Series(sorted({proof.height for proof in evidence.proofs if 0 <= proof.height < 1 << 63}), dtype=HEADERS["height"])
    named = evidence.headers.filter(pl.col("height").is_in(heights.implode()))
    headers = {(chain, height): (block_hash, header) for chain, height, block_hash, _, header in named.select(list(HEADERS)).iter_rows()}
    proven: Proven = {}
    faults: list[str] = []
    for proof in evidence.proofs:
        try:
            if (proof.chain, proof.txid) in proven:
                raise ValueError(message("is proved twice"))
            block_hash, header = headers.get((proof.chain, proof.height), (None, ""))
            if block_hash != proof.block_hash:
                raise ValueError(
                    message("block {height} {block_hash} is not among the headers", height=proof.height, block_hash=proof.block_hash)
                )
            proven[proof.chain, proof.txid] = _prove(proof, bytes.fromhex(header), networks[proof.chain])
        except ValueError as error:
            faults.append(message("{chain} transaction {txid}: {error}", chain=proof.chain, txid=proof.txid, error=error))
    return proven, faults


def _prove(proof: Proof, header: bytes, network: Network | AccountNetwork) -> ProvenTransaction:
    """What the transaction pays. Raises ValueError when its bytes, branch or tries, and header do not agree."""
    if isinstance(network, AccountNetwork):
        shown = prove_account_transaction(
            header,
            txid=proof.txid,
            position=proof.position,
            raw=proof.raw,
            receipt=proof.receipt,
            transaction_proof=proof.transaction_proof,
            receipt_proof=proof.receipt_proof,
        )
        return ProvenTransaction(parse_account_header(header).time, proof.block_hash, proof.height, shown.amounts, shown.may_call)
    raw = bytes.fromhex(proof.raw)
    if len(raw) == 64:
        raise ValueError(message("64 bytes could be an inner node of the tree: this proves nothing"))
    txid = double_sha256(raw)[::-1]
    if txid.hex() != proof.txid:
        raise ValueError(message("its bytes hash to another id"))
    parsed = parse_header(bare_header(header, network))
    if root_of_branch(txid, proof.position, [bytes.fromhex(neighbour) for neighbour in proof.branch]) != parsed.merkle_root:
        raise ValueError(message("its branch does not lead to the header's root"))
    sums: Counter[tuple[str, str | None]] = Counter()
    tx = parse_transaction(raw, network)
    for output in tx.outputs:
        address = address_of(output.script, network)
        if address is not None:
            sums[address, None] += output.value
    return ProvenTransaction(parsed.time, proof.block_hash, proof.height, dict(sums), position=proof.position, tx=tx)


def missing_proofs(reported: Iterable[tuple[str, str]], evidence: Evidence) -> list[str]:
    """The reported transactions (chain, txid) without a proof in the evidence, as faults."""
    held = {(proof.chain, proof.txid) for proof in evidence.proofs}
    return [message("{chain} transaction {txid} has no proof", chain=chain, txid=txid) for chain, txid in sorted(set(reported) - held)]
