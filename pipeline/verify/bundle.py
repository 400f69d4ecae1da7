"""Check a bundle offline, with nothing but the bundle (design, section 6).

Enters: a bundle's folder. Leaves: a list of `Check`s, each in words, none skipped silently. It leaves out whether the facts themselves
are true of the pool's ledger and registry: that is what the auditor compares them with.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
from cryptography import x509

from pipeline.assess.manifest import NOT_REPRODUCIBLE
from pipeline.assess.printed import TABLES, printed_parts
from pipeline.chains.bitcoin.coins import CoinNode
from pipeline.chains.bitcoin.wire import Header
from pipeline.model.amounts import from_units
from pipeline.model.errors import EsepError
from pipeline.model.message import Message, joined, message, text_of
from pipeline.model.months import almaty_date
from pipeline.model.rules import Asset
from pipeline.model.system_words import system_words
from pipeline.render.canonical import write_report_csv, write_table_parts
from pipeline.render.totals import printed_totals

from .approvals import check_approvals
from .balances import check_balances
from .coins import check_coins
from .debts import check_debts
from .decisions import check_decisions
from .descriptors import check_descriptors
from .documents import check_documents
from .evidence import ProvenTransaction, header_faults, missing_proofs
from .facts import check_facts
from .files import digest_of, digest_of_lines
from .filters import check_filters
from .finding import WORK, Check, Finding
from .manifest import check_manifest
from .node import NODE, check_node
from .nonces import check_nonces
from .opened import OpenBundle
from .public_time import check_public_time
from .receipts import check_root
from .shapes import MAX_REBUILT_BYTES, REBUILT, SIGNATURES, WORLDLY, read_plain, shape_faults, strict_json
from .signatures import check_signatures
from .wallets import check_wallets
from .work import check_work

SHOWN = 20


def verify_bundle(
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    trusted: Sequence[x509.Certificate] = (),
    left_out: Collection[str] = (),
    node: CoinNode | None = None,
    reads_blocks: bool = False,
    headers: Mapping[int, Header] = MappingProxyType({}),
    root_key: str | None = None,
) -> list[Check]:
    """All checks of the bundle in `folder`, in the order of `CHECKS`; `trusted`: the authorities under which signatures must stand, none for any.

    `root_key`: the pool's root key (hex), of which the bundle must be. `headers`: of Bitcoin, by height, that whoever asks has from elsewhere: public time stamps are held against them. `left_out`: names of checks that are not wanted. `node`: asked of the pool's coins last; `reads_blocks`: and of each block of the month. Raises VerifyError when there is no readable manifest to start from, or no plain files.
    """
    bundle = OpenBundle(folder, trusted, is_node_asked=node is not None, headers=headers, root_key=root_key)
    found = []
    for name, look in CHECKS:
        if name in left_out:
            continue
        progress(name)
        if name in _WITHOUT_FACTS:
            bundle.let_go()
        found.append(_checked(name, look, bundle))
    if node is not None:
        progress(NODE)
        found.append(_checked(NODE, partial(check_node, node=node, reads_blocks=reads_blocks), bundle))
    return found


_UNREADABLE = (
    EsepError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError, AssertionError,
    pl.exceptions.PolarsError, pl.exceptions.PanicException, zipfile.BadZipFile, zlib.error, NotImplementedError, SyntaxError,
)  # fmt: skip
"""Errors that libraries raise for malformed content: a fault of the bundle, not of the program."""


def _checked(name: str, look: Callable[[OpenBundle], Finding], bundle: OpenBundle) -> Check:
    """The result of one check; content that can't be read is a fault."""
    try:
        finding = look(bundle)
    except _UNREADABLE as error:
        if (trouble := _of_the_world(error)) is not None:
            raise trouble from error
        finding = Finding([_unread(error, bundle.folder)], "")
    faults = finding.faults
    shown = joined("; ", faults[:SHOWN]) + (message("; and {count} more", count=len(faults) - SHOWN) if len(faults) > SHOWN else "")
    return Check(
        name,
        not faults,
        shown or finding.proved,
        finding.not_checked,
        finding.on_word,
        finding.undecided,
        is_test_only=finding.is_test_only,
    )


def _of_the_world(error: BaseException | None) -> OSError | None:
    """The system's error behind an exception that says nothing of the bundle: a disk that fails, a file that this user may not read."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in WORLDLY:
            return error
        error = error.__cause__
    return None


def _unread(error: BaseException, folder: Path) -> str:
    """Why something of the bundle can't be read: our own sentence, the system's, or what a library says with the kind of its exception."""
    if isinstance(error, OSError) and error.filename and (said := system_words(error)):
        place = Path(str(error.filename))
        return message(
            "can't be read: {name}: {error}", name=str(place.relative_to(folder) if place.is_relative_to(folder) else place), error=said
        )
    if isinstance(text_of(error), Message):
        return message("can't be read: {error}", error=_bounded(error))
    return message("can't be read: {kind}: {error}", kind=type(error).__name__, error=_bounded(error))


def _bounded(error: BaseException) -> str:
    """What an exception says; of what a bundle makes a library say not more than one line of 500 characters."""
    said = text_of(error)
    return said if isinstance(said, Message) and len(said) <= 500 and "\n" not in said else " ".join(said.split())[:500]


def _check_files(bundle: OpenBundle) -> Finding:
    """Plain files of known names, every one that is named there with its digest, and none that is not named."""
    folder, files = bundle.folder, bundle.manifest["files"]
    faults = shape_faults(folder, files)
    rebuilt = _rebuilt(folder, files)
    faults += [
        _changed(folder / name, name, digest)
        for name, digest in sorted(files.items())
        if name not in rebuilt and (folder / name).is_file() and digest_of(folder / name) != digest
    ]
    unread, undecided = [], ""
    if "month.duckdb" in files:
        unread.append(message("month.duckdb: a convenience for analysts that no check opens; what counts stands in the files beside it"))
    if rebuilt:
        told = message("{names} was rebuilt from the log, which gives it other bytes than those that were frozen", names=", ".join(rebuilt))
        if (folder / SIGNATURES[0]).exists():  # what is signed names other bytes
            undecided = told
        else:  # whoever could change it could change the manifest, too
            unread.append(told)
    if (folder / "submissions").is_dir():
        unread.append(message("submissions: what was filed and answered, as the pool kept it"))
    proved = message("{count} plain files as the manifest says", count=len(files) - len(rebuilt))
    return Finding(faults, proved, not_checked=joined("; ", unread), undecided=undecided)


def _rebuilt(folder: Path, files: Collection[str]) -> list[str]:
    """The files of a bundle rebuilt from the log that are as it was rebuilt. Raises OSError, ValueError for a `REBUILT` that can't be read."""
    if not (folder / REBUILT).exists():
        return []
    told = strict_json(read_plain(folder / REBUILT, MAX_REBUILT_BYTES))
    if not isinstance(told, dict):
        raise ValueError(message("{name} is not what a rebuilt bundle says of itself", name=REBUILT))
    return [name for name in NOT_REPRODUCIBLE if name in files and (folder / name).is_file() and digest_of(folder / name) == told.get(name)]


def _changed(path: Path, name: str, digest: str) -> str:
    """What is wrong with a file of another digest: of a text whether it is its line ends alone, which mail systems and editors rewrite."""
    if path.suffix in (".csv", ".json", ".jsonl") and digest_of_lines(path) == digest:
        return message(
            "{name} was changed: its line ends are Windows's, and that is all; have the bundle copied as a ZIP archive", name=name
        )
    return message("{name} was changed", name=name)


def _check_digest(bundle: OpenBundle) -> Finding:
    """The canonical report is the one that was frozen (rule 8.2)."""
    digest, told = digest_of(bundle.folder / "report.csv"), bundle.manifest["digest"]
    return Finding(
        [] if digest == told else [message("report.csv has {digest}, the manifest says {told}", digest=digest, told=told)], digest
    )


def _check_headers(bundle: OpenBundle) -> Finding:
    """The headers of each chain are whole and follow one another."""
    headers = bundle.evidence.headers
    return Finding(header_faults(headers, bundle.networks), message("{height} headers in an unbroken chain", height=headers.height))


def _check_proofs(bundle: OpenBundle) -> Finding:
    """Every transaction that a row names is proven."""
    evidence = bundle.evidence
    ties = bundle.read_ties().filter((pl.col("txid") != "") & ~pl.col("payer").is_in(bundle.rules.off_chain_payers()))
    known = {proof.txid: proof.chain for proof in evidence.proofs}
    faults = bundle.proven[1] + missing_proofs(((known.get(txid, "?"), txid) for txid in ties["txid"]), evidence)
    return Finding(faults, message("{count} transactions lie in their blocks", count=len(evidence.proofs)))


def _check_transfers(bundle: OpenBundle) -> Finding:
    """Address, combined sum and date of every row are what the chain's bytes say (columns 6, 10, 11).

    A sum that calls inside a transaction may have paid is in no bytes (ADR 7): it is named, and its date is checked all the same. What an off-chain
    payer paid is in no bytes either: it rests on the ledger's word (rule 10.5).
    """
    rules, proven = bundle.rules, bundle.proven[0]
    faults: list[str] = []
    seen, traced, attested, off_chain = 0, dict[str, None](), Counter[str](), set(bundle.rules.off_chain_payers())
    for row, txid, payer in bundle.tied_rows():
        if payer in off_chain:
            attested[payer] += 1
            continue
        if not txid:
            if row["transfer_date"] or row["transfer_amount"]:
                faults.append(message("row {n} shows a transfer without naming its transaction", n=row["n"]))
            continue
        asset = rules.assets[row["asset"]]
        transaction = proven.get((asset.chain, txid))
        fault = _sum_fault(transaction, row, asset, txid)
        if transaction is None or (fault and not (transaction.may_call and asset.contract is None)):
            faults.append(message("row {n}: {fault}", n=row["n"], fault=fault))
        elif almaty_date(transaction.time).isoformat() != row["transfer_date"]:
            faults.append(
                message(
                    "row {n}: the block is of {time}, the row says {transfer_date}",
                    n=row["n"],
                    time=almaty_date(transaction.time),
                    transfer_date=row["transfer_date"],
                )
            )
        elif fault:
            traced[
                message(
                    "{transfer_amount} {name} to {wallet} in {txid}",
                    transfer_amount=row["transfer_amount"],
                    name=asset.name,
                    wallet=row["wallet"],
                    txid=txid,
                )
            ] = None
        seen += 1
    said = message("{seen} rows show the address, sum and date that the chain shows", seen=seen)
    more = message("; and {count} more", count=len(traced) - SHOWN) if len(traced) > SHOWN else ""
    word = message(
        "{count} transfer(s) of which the sum rests on the node's trace of calls: {traced}{more}",
        count=len(traced),
        traced="; ".join(list(traced)[:SHOWN]),
        more=more,
    )
    on_word = [word] if traced else []
    on_word += [
        message("{count} row(s) that {payer} paid off chain: the ledger's word alone (rule 10.5)", count=count, payer=payer)
        for payer, count in attested.items()
    ]
    return Finding(
        faults, said + (message(", {count} of them but for their sum", count=len(traced)) if traced else ""), on_word=tuple(on_word)
    )


def _sum_fault(transaction: ProvenTransaction | None, row: dict[str, Any], asset: Asset, txid: str) -> str:
    """How the transaction's bytes contradict the row's sum; "" if they agree."""
    units = transaction.amounts.get((row["wallet"], asset.contract)) if transaction else None
    if units is None:
        return message("nothing proves a payment to its wallet in {txid}", txid=txid)
    shown = from_units(units, asset.decimals)
    return (
        ""
        if shown == row["transfer_amount"]
        else message("the transaction pays {shown}, the row says {transfer_amount}", shown=shown, transfer_amount=row["transfer_amount"])
    )


def _check_recomputed(bundle: OpenBundle) -> Finding:
    """The report and its tables, recomputed from the bundle's facts, have the same bytes."""
    enriched = bundle.enriched
    with Path(os.devnull).open("wb") as nowhere:
        tables = {"report.csv": write_report_csv(printed_parts(enriched, bundle.rules), nowhere)}
        tables |= {name: write_table_parts(printed(enriched), nowhere) for name, printed in TABLES.items() if name != "issues.csv"}
    faults = [
        message("{name} comes out different", name=name) for name, digest in tables.items() if digest_of(bundle.folder / name) != digest
    ]
    if printed_totals(enriched.totals, bundle.rules.assets) != bundle.manifest["totals"]:
        faults.append(message("the totals come out different"))
    return Finding(faults, message("{tables} and the totals come out the same", tables=", ".join(tables)))


def _check_receipts(bundle: OpenBundle) -> Finding:
    """Miners' receipts lead to this report: the root of its rows is the one stated."""
    return check_root(bundle.folder, bundle.manifest)


def _check_signatures(bundle: OpenBundle) -> Finding:
    """The signatures added after the freeze are the pool's, over exactly these bytes."""
    report = check_signatures(bundle.folder, bundle.manifest, bundle.trusted)
    return Finding(
        report.faults, joined("; ", report.proved), joined("; ", report.not_checked), tuple(report.on_word), joined("; ", report.undecided)
    )


CHECKS: tuple[tuple[str, Callable[[OpenBundle], Finding]], ...] = (
    (message("files"), _check_files),
    (message("report digest"), _check_digest),
    (message("headers"), _check_headers),
    (WORK, check_work),
    (message("proofs"), _check_proofs),
    (message("reported transfers"), _check_transfers),
    (message("recomputed from facts"), _check_recomputed),
    (message("facts against chain"), check_facts),
    (message("account balances"), check_balances),
    (message("coins"), check_coins),
    (message("filters"), check_filters),
    (message("nonces"), check_nonces),
    (message("wallets"), check_wallets),
    (message("descriptors"), check_descriptors),
    (message("manifest"), check_manifest),
    (message("decisions"), check_decisions),
    (message("debts"), check_debts),
    (message("receipts"), _check_receipts),
    (message("documents"), check_documents),
    (message("approvals"), check_approvals),
    (message("signatures"), _check_signatures),
    (message("public time"), check_public_time),
)
"""Every check by its name, which is told in the reader's language, in the order of execution and display."""
_WITHOUT_FACTS = {message("receipts"), message("documents")}
"""The first checks that ask for no facts: memory is theirs from there on."""
