"""Forgeries by name, as in `catalogue`, of what the recorded month alone has not: accounts with proved states, decisions signed under a root key, two months beside each other."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from pipeline.chains.evidence import AccountProof, Evidence, Proof
from pipeline.chains.evm.coding import decode, encode
from pipeline.enrich.frames import UNITS, Facts
from pipeline.log.events.keys import KeyGranted
from pipeline.signing.public_time import InBlock, Timestamp, write_proof
from tests.integration.account_month import A, payments_block

from . import test_accounts, test_beginning, test_coins, test_decisions
from .bases import KEYS
from .catalogue import PROOFS, Forgery, _one_cell
from .forger import frame, resealed, rewritten

BALANCES, NONCES, COINS, DECISIONS, TIME, HEADERS = "account balances", "nonces", "coins", "decisions", "public time", "headers"
_TOLD = [transaction.txid for transaction in payments_block("00" * 32)[1]]


def _of_evidence(change: Callable[[Evidence], Evidence]) -> Callable[[Path], object]:
    return lambda bundle: rewritten(bundle, evidence=change)


def _proof(**values: Any) -> Callable[[Path], object]:
    """The first proved transaction of the account month with other values, taken from its neighbour where they are a function."""

    def change(evidence: Evidence) -> Evidence:
        first, second = evidence.proofs[:2]
        given = {name: value(first, second) if callable(value) else value for name, value in values.items()}
        return dataclasses.replace(evidence, proofs=[replace(first, **given), *evidence.proofs[1:]])

    return _of_evidence(change)


def _unsigned(first: Proof, _second: Proof) -> str:
    """The transaction's bytes with a signature that is none."""
    raw = bytes.fromhex(first.raw)
    values: Any = decode(raw[1:])
    return (raw[:1] + encode([*values[:-2], b"", b""])).hex()


def _accounts(change: Callable[[list[AccountProof]], list[AccountProof]]) -> Callable[[Path], object]:
    return _of_evidence(lambda evidence: dataclasses.replace(evidence, accounts=change(evidence.accounts)))


def _richer(name: str, where: pl.Expr) -> Callable[[Path], object]:
    more = pl.when(where).then(pl.col("value") + 1).otherwise("value").cast(UNITS).alias("value")
    return lambda bundle: rewritten(bundle, facts=frame(name, lambda held: held.with_columns(more)))


def _below(proofs: list[AccountProof]) -> list[AccountProof]:
    """The header below the first block is another one than the first block follows."""
    return [replace(proof, header=proof.header.replace("69", "6a")) if proof.header else proof for proof in proofs]


def _number_of_header(bundle: Path) -> None:
    path = bundle / "evidence" / "headers.csv"
    lines = path.read_text().splitlines()
    chain, height, *rest = lines[-1].split(",")
    path.write_text("\n".join([*lines[:-1], ",".join([chain, str(int(height) + 1), *rest])]) + "\n")
    resealed(bundle)


def _of_no_accounts(evidence: Evidence) -> Evidence:
    row = evidence.headers.row(0, named=True)
    proof = AccountProof(chain=row["chain"], height=row["height"], block_hash=row["hash"], address=A, proof=[])
    return dataclasses.replace(evidence, accounts=[proof])


def _spent_before_it_was(bundle: Path) -> None:
    """A payout is told in the chain's last block, so its change is spent before."""
    txid = test_coins.payouts(test_coins.facts_of(bundle), is_change_spent=True)[0]

    def later(facts: Facts) -> Facts:
        last = facts.blocks.sort("height").row(-1, named=True)["hash"]
        for name in ("transactions", "inputs", "outputs"):
            if "block_hash" in getattr(facts, name).columns:
                there = pl.when(pl.col("txid") == txid).then(pl.lit(last)).otherwise("block_hash").alias("block_hash")
                facts = frame(name, lambda rows, there=there: rows.with_columns(there))(facts)  # type: ignore[misc]
        return facts

    rewritten(bundle, facts=later)


def _left_out_of(month: Any) -> Callable[[Path], object]:
    """A transaction of September is left out in one of two bundles beside each other."""

    def forge(bundle: Path) -> None:
        facts = test_coins.facts_of(bundle)
        early = facts.blocks.filter(pl.col("height") <= 428).select(block_hash="hash")
        spending = facts.transactions.join(early, on="block_hash", how="semi").join(facts.inputs, on="txid", how="semi")["txid"].sort()
        created = facts.transactions.join(early, on="block_hash", how="semi").filter("is_coinbase")["txid"].sort()
        test_coins.two_months(bundle, test_coins.without((spending if spending.len() else created)[0]), month)

    return forge


def _other_coins_before(bundle: Path) -> None:
    october = test_coins.two_months(bundle, {}, test_coins.OCTOBER)
    resealed(october, lambda manifest: manifest["coins"]["previous"]["closing"].update(bitcoin="ab" * 32))


def _other_line_before(bundle: Path) -> None:
    """Both bundles state the same digest, and the facts of neither leave such a line open."""
    october = test_coins.two_months(bundle, {}, test_coins.OCTOBER)
    resealed(october.parent.parent / "2026-09" / "v1", lambda manifest: manifest["debts"].update(closing_line_digest="ab" * 32))
    resealed(october, lambda manifest: manifest["debts"]["previous"].update(closing_line_digest="ab" * 32))


def _two(month: Any, key: str) -> Forgery:
    named = "does not open with it" if key == "there" else "did not close with it"
    return Forgery(3, f"a transaction of the month before left out, {key}", _left_out_of(month), COINS, named)


Lines = list[dict[str, str]]


def _lines(change: Callable[[Lines], Lines], manifest: Callable[[Any], Any] = lambda _: None) -> Callable[[Path], object]:
    def forge(bundle: Path) -> None:
        path = bundle / test_decisions.DECISIONS
        path.write_text("".join(json.dumps(line) + "\n" for line in change(test_decisions.lines_of(bundle))))
        resealed(bundle, manifest)

    return forge


def _last(**values: Callable[[dict[str, str]], str]) -> Callable[[Path], object]:
    return _lines(lambda lines: [*lines[:-1], {**lines[-1], **{name: value(lines[-1]) for name, value in values.items()}}])


def _invented(manifest: Any) -> None:
    manifest["waivers"][0]["reason"] = "forged"


def _rooted(manifest: Any) -> None:
    manifest["keys"]["root"] = "1" * 64


def _keyless(manifest: Any) -> None:
    del manifest["keys"]


def _without_proofs(bundle: Path) -> None:
    (bundle / test_decisions.DECISIONS).unlink()
    resealed(bundle)


def _broken_signature(line: dict[str, str]) -> str:
    raw = bytearray(base64.b64decode(line["signature"]))
    raw[80] ^= 1  # of the signature itself
    return base64.b64encode(raw).decode()


def _stranger(lines: Lines) -> Lines:
    return [*lines, test_decisions.line_by(Ed25519PrivateKey.generate(), test_decisions.another(), lines)]


def _by(name: str, event: Any, lines: Lines) -> dict[str, str]:
    return test_decisions.line_by(KEYS[name], event, lines)


def _granted() -> KeyGranted:
    return KeyGranted(
        id="key-granted:x", key="1" * 64, owner="A. Person", roles=["decide"], by="B. Head", reason="forged", at=1_900_000_000
    )


def _no_list(bundle: Path) -> None:
    (bundle / "evidence" / "wallets.jsonl").unlink()
    resealed(bundle)


def _stamped(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def forge(bundle: Path) -> None:
        digest = hashlib.sha256((resealed(bundle) / "manifest.json").read_bytes()).digest()
        (bundle / "manifest.json.ots").write_bytes(change(digest))

    return forge


def _header_at(bundle: Path) -> None:
    """A stamp that names a block of the bundle's own headers which does not have it: the chain is told to be the main network."""
    height = (
        pl.read_csv(bundle / "evidence" / "headers.csv", infer_schema=False)
        .filter(pl.col("chain") == "bitcoin")["height"]
        .cast(pl.Int64)
        .max()
    )
    resealed(bundle, lambda manifest: manifest["rules"]["network"].update(bitcoin="bitcoin"))
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).digest()
    (bundle / "manifest.json.ots").write_bytes(write_proof(Timestamp(digest, [InBlock(int(height))])))  # type: ignore[arg-type]


def _beginnings() -> list[tuple[Callable[[Path], object], str]]:
    """One of each words, since a forgery is named by them."""
    return list({named: (forge, named) for forge, named in test_beginning.BEGINNINGS}.values())


OTHERS: tuple[Forgery, ...] = (
    # 8: what accounts held, and which transactions are proved there
    Forgery(8, "a call of a thousand", lambda bundle: rewritten(bundle, facts=test_accounts.larger), BALANCES, "over block 101", base="accounts"),
    *(Forgery(8, f"an account's proof: {name}", lambda bundle, forge=forge: rewritten(bundle, evidence=forge), BALANCES, named, base="accounts") for name, forge, named in test_accounts.PROOFS),  # type: ignore[misc]
    Forgery(8, "another header below the first block", _accounts(_below), BALANCES, "is not the one that the headers follow", base="accounts"),
    Forgery(8, "accounts of a chain that has none", _of_evidence(_of_no_accounts), BALANCES, "its chain has no accounts"),
    Forgery(8, "a balance told other than its state", _richer("proved_balances", pl.col("height") == 101), BALANCES, ", the facts say ", base="accounts"),
    Forgery(8, "a state left out of the facts alone", lambda bundle: rewritten(bundle, facts=test_accounts.without_state), BALANCES, "the facts leave it out", base="accounts"),
    Forgery(8, "an opening told other than its state", _richer("observations", (pl.col("height") == 99) & (pl.col("asset") == "ETH")), BALANCES, "the balance told there is", base="accounts"),
    Forgery(2, "a header's number", _number_of_header, HEADERS, "the header's number is", base="accounts"),
    Forgery(2, "no receipt", _proof(receipt=None), PROOFS, "its proof lacks the receipt or the nodes of the tries", base="accounts"),
    Forgery(2, "another transaction's place", _proof(raw=lambda _, second: second.raw), PROOFS, "another transaction stands at its place", base="accounts"),
    Forgery(2, "another transaction's receipt", _proof(receipt=lambda _, second: second.receipt), PROOFS, "another receipt stands at its place", base="accounts"),
    Forgery(2, "another transaction's id", _proof(txid="ab" * 32), PROOFS, "its bytes hash to another id", base="accounts"),
    Forgery(3, "a transaction of an account left out", lambda bundle: rewritten(bundle, **test_coins.without(_TOLD[1])), NONCES, "what it sent between them is left out", base="accounts"),
    Forgery(4, "a signer told otherwise", lambda bundle: rewritten(bundle, facts=frame("inputs", lambda told: told.with_columns(signed_by=pl.lit(A)))), NONCES, "signed it, the facts say", base="accounts"),
    Forgery(3, "a transaction that nobody signed", _proof(raw=_unsigned), NONCES, "its signature can't be read", base="accounts"),
    # 3: two months beside each other
    Forgery(3, "a coin spent before it was created", _spent_before_it_was, COINS, "before it was created"),
    _two(test_coins.SEPTEMBER, "there"),
    _two(test_coins.OCTOBER, "here"),
    Forgery(3, "other coins of the month before", _other_coins_before, COINS, "the manifest states other closing coins of 2026-09"),
    Forgery(3, "another closing line than the facts of the month before leave", _other_line_before, "debts", "leave another line open than it states"),
    *(Forgery(3, f"a beginning: {named}", forge, "debts", named, base="line") for forge, named in _beginnings()),
    Forgery(4, "no list of addresses", _no_list, "wallets", "this one lacks it"),
    # 6: decisions and keys
    Forgery(6, "a waiver that nobody signed", _lines(lambda lines: lines, _invented), DECISIONS, "is not signed by their key", base="keys"),
    Forgery(6, "a waiver changed after it was signed", _last(value=lambda line: line["value"].replace("refund pending", "forged")), DECISIONS, "it was changed after it was signed", base="keys"),
    Forgery(6, "a signature that does not hold", _last(signature=_broken_signature), DECISIONS, "its signature does not hold", base="keys"),
    Forgery(6, "a signature that is none", _last(signature=lambda _: "AA=="), DECISIONS, "these bytes are no signature", base="keys"),
    Forgery(6, "a decision of another stream", _last(key=lambda _: "another"), DECISIONS, "it is of months of 'another'", base="keys"),
    Forgery(6, "a waiver signed by a stranger", _lines(_stranger), DECISIONS, "the root key granted nothing to the key", base="keys"),
    Forgery(6, "a waiver signed by somebody who left", _lines(lambda lines: [*lines, _by("left", test_decisions.another("C. Left"), lines)]), DECISIONS, "was revoked before", base="keys"),
    Forgery(6, "a key granted by another key", _lines(lambda lines: [*lines, _by("person", _granted(), lines)]), DECISIONS, "stands among the decisions", base="keys"),
    Forgery(6, "a waiver in another's name", _lines(lambda lines: [*lines, _by("person", test_decisions.another("B. Head"), lines)]), DECISIONS, "in the name of 'B. Head'", base="keys"),
    Forgery(6, "decisions in another order", _lines(lambda lines: [*lines[:2], lines[-1], *lines[2:-1]]), DECISIONS, "stands after append", base="keys"),
    Forgery(6, "a revocation left out", _lines(lambda lines: [line for line in lines if '"key-revoked"' not in line["value"]]), DECISIONS, "are not those that the root key granted and revoked", base="keys"),
    Forgery(6, "another root key", _lines(lambda lines: lines, _rooted), DECISIONS, "never says that it counts", base="keys"),
    Forgery(6, "no keys", _lines(lambda lines: lines, _keyless), DECISIONS, "stands in a bundle that names no root key", base="keys"),
    Forgery(6, "no proofs of decisions", _without_proofs, DECISIONS, "is missing", base="keys"),
    Forgery(6, "a label told otherwise", _one_cell("labels", "outflow_class", "exchange"), DECISIONS, "'vendor' was signed", base="keys"),
    Forgery(6, "a root key of the forger's own", test_decisions.rooted_anew, DECISIONS, "which is asked for", base="keys", root_key="ab" * 32),
    Forgery(6, "no root key where one is asked for", lambda bundle: resealed(bundle), DECISIONS, "names no root key, and", root_key="ab" * 32),
    # public time
    Forgery(6, "a stamp of another manifest", _stamped(lambda _: write_proof(Timestamp(b"\7" * 32, [InBlock(900_000)]))), TIME, "it is of another manifest"),
    Forgery(6, "a stamp that ends too early", _stamped(lambda digest: write_proof(Timestamp(digest, [InBlock(900_000)]))[:-1]), TIME, "it ends too early"),
    Forgery(6, "a stamp by a block that does not have it", _header_at, TIME, "does not have it"),
)  # fmt: skip
"""Every one, in the order of their kinds."""
