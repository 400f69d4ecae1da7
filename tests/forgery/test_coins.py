"""A payout left out whole, with its proof and its payments (forgery 3): its coin stays behind, and its change was never created."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.chains.evidence import Evidence
from pipeline.enrich.frames import Facts
from pipeline.model.months import Month
from pipeline.verify.files import read_facts

from .forger import frame, resealed, rewritten, verdict_on, verified

SEPTEMBER, OCTOBER = Month(2026, 9), Month(2026, 10)
LEFT_OUT = ["documents"]
pytestmark = pytest.mark.usefixtures("remembering", "no_forms")


def payouts(facts: Facts, *, is_change_spent: bool) -> list[str]:
    """Transactions of October that pay strangers from the pool's coins alone, and whose outputs to the pool are spent later, or not."""
    ours = facts.inputs["txid"].unique()
    heights = facts.blocks.select(block_hash="hash", height="height")
    of_month = facts.transactions.join(heights, on="block_hash").filter(
        pl.col("height").is_between(429, 4860) & (pl.col("other_inputs") == 0)
    )
    paying = of_month.filter(pl.col("txid").is_in(ours.implode()))["txid"]
    change = facts.outputs.filter(pl.col("wallet").is_not_null() & pl.col("txid").is_in(paying.implode()))
    spent = change.join(facts.inputs, left_on=["txid", "vout"], right_on=["spent_txid", "spent_vout"], how="semi")["txid"].unique()
    paid = facts.outputs.filter(pl.col("wallet").is_null() & pl.col("txid").is_in(paying.implode()))["txid"].unique()
    return sorted(set(paid) & set(spent) if is_change_spent else set(paid) - set(spent))


def without(txid: str) -> dict[str, Any]:
    """What `rewritten` is told so that nothing names the transaction any more: facts, proof, the ledger's payments by it."""

    def facts(whole: Facts) -> Facts:
        for name in ("transactions", "inputs", "outputs", "payments"):
            whole = frame(name, lambda rows: rows.filter(pl.col("txid").is_null() | (pl.col("txid") != txid)))(whole)
        return whole

    def evidence(whole: Evidence) -> Evidence:
        return dataclasses.replace(whole, proofs=[proof for proof in whole.proofs if proof.txid != txid])

    return {"facts": facts, "evidence": evidence}


def facts_of(bundle: Path) -> Facts:
    return read_facts(bundle / "evidence" / "facts")


def test_a_payout_left_out_whose_change_is_spent_later_is_caught(bundle: Path) -> None:
    txid = payouts(facts_of(bundle), is_change_spent=True)[0]
    failing, said, code = verdict_on(rewritten(bundle, **without(txid)), left_out=LEFT_OUT)
    assert "coins" in failing and f"spends {txid}:" in said and "no transaction of the facts creates" in said and code == 8
    assert not failing & {"files", "headers", "proofs", "facts against chain", "recomputed from facts", "debts"}, (
        "all the rest agrees with it"
    )


def test_reading_that_began_later_names_each_coin_without_a_creation(bundle: Path) -> None:
    """There a coin without a creation may be older: it is named, on the signer's word, and a node can say."""
    txid = payouts(facts_of(bundle), is_change_spent=True)[0]
    hidden = without(txid)
    first = 400
    cut = facts_of(bundle)
    old = cut.transactions.join(cut.blocks.filter(pl.col("height") < first).select(block_hash="hash"), on="block_hash", how="semi")["txid"]

    def facts(whole: Facts) -> Facts:
        whole = hidden["facts"](whole)
        for name in ("transactions", "inputs", "outputs"):
            whole = frame(name, lambda rows: rows.filter(~pl.col("txid").is_in(old.implode())))(whole)
        return frame("blocks", lambda blocks: blocks.filter(pl.col("height") >= first))(whole)

    def evidence(whole: Evidence) -> Evidence:
        whole = hidden["evidence"](whole)
        left = [proof for proof in whole.proofs if proof.height >= first]
        return Evidence(whole.headers.filter(pl.col("height") >= min(proof.height for proof in left)), left)

    checks = {check.name: check for check in verified(rewritten(bundle, facts=facts, evidence=evidence), left_out=LEFT_OUT)}
    assert checks["coins"].holds and any("older than block 400" in word and "more" in word for word in checks["coins"].on_word)


def test_what_no_node_was_asked_of_is_said(bundle: Path) -> None:
    """A payout whose change is unspent leaves its coin in the closing set: here only a node, or the next month, contradicts it."""
    txid = payouts(facts_of(bundle), is_change_spent=False)[0]
    spent = facts_of(bundle).inputs.filter(pl.col("txid") == txid).row(0, named=True)
    forged = rewritten(bundle, **without(txid))
    checks = {check.name: check for check in verified(forged, left_out=LEFT_OUT)}
    assert checks["coins"].holds and any("--node asks a node" in word for word in checks["coins"].on_word)
    line = next(
        line for line in (forged / "coins.csv").read_text().splitlines() if f",{spent['spent_txid']},{spent['spent_vout']}," in line
    )
    assert line.endswith(",,"), "the coin that it spent stays behind in the closing set"


def two_months(bundle: Path, hidden: dict[str, Any], of: Month) -> Path:
    """September's and October's bundles beside each other, one of them forged; October's."""
    september = bundle.parent.parent / "2026-09" / "v1"
    shutil.copytree(bundle, september)
    rewritten(
        september,
        month=SEPTEMBER,
        manifest=lambda manifest: manifest.update(frozen_at=manifest["frozen_at"] - 1),
        **(hidden if of == SEPTEMBER else {}),
    )
    return rewritten(bundle, before=september, **(hidden if of == OCTOBER else {}))


@pytest.mark.parametrize("of", [SEPTEMBER, OCTOBER], ids=str)
def test_the_bundle_of_the_month_before_contradicts_it(bundle: Path, of: Month) -> None:
    """A transaction of September is left out in one of two bundles: both sets of coins are compared one by one."""
    facts = facts_of(bundle)
    early = facts.blocks.filter(pl.col("height") <= 428).select(block_hash="hash")
    spending = facts.transactions.join(early, on="block_hash", how="semi").join(facts.inputs, on="txid", how="semi")["txid"].sort()
    created = facts.transactions.join(early, on="block_hash", how="semi").filter("is_coinbase")["txid"].sort()
    txid = (spending if spending.len() else created)[0]
    failing, said, _ = verdict_on(two_months(bundle, without(txid), of), left_out=LEFT_OUT)
    assert "coins" in failing
    assert ("did not close with it" in said) or ("does not open with it" in said)


def test_two_honest_months_close_and_open_with_the_same_coins(bundle: Path) -> None:
    october = two_months(bundle, {}, OCTOBER)
    checks = {check.name: check for check in verified(october, left_out=LEFT_OUT)}
    assert checks["coins"].holds, checks["coins"].detail
    assert not any("2026-09" in word for word in checks["coins"].on_word), "the bundle beside it shows it: nobody's word is needed"
    shutil.rmtree(october.parent.parent / "2026-09")
    words = {check.name: check.on_word for check in verified(october, left_out=LEFT_OUT)}["coins"]
    assert any("2026-09 closed with the coins that this month opens with" in word for word in words)
    resealed(october, lambda manifest: manifest["coins"]["previous"]["closing"].update(bitcoin="ab" * 32))
    words = {check.name: check.on_word for check in verified(october, left_out=LEFT_OUT)}["coins"]
    assert any("opens with other coins" in word for word in words)


def stripped(bundle: Path) -> None:
    (bundle / "coins.csv").unlink()
    resealed(bundle, lambda manifest: manifest.pop("coins") and None)


def a_line_less(bundle: Path) -> None:
    path = bundle / "coins.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    resealed(bundle)


def a_spend_taken_back(bundle: Path) -> None:
    path = bundle / "coins.csv"
    lines = path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines[1:], 1) if not line.endswith(",,"))
    lines[place] = ",".join([*lines[place].split(",")[:-2], "", ""])
    path.write_text("\n".join(lines) + "\n")
    resealed(bundle)


def another_digest(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest["coins"]["chains"]["bitcoin"].update(closing_digest="ab" * 32))


def another_height(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest["coins"]["chains"]["bitcoin"].update(closing_height=4859))


def a_payout_left_out(bundle: Path) -> None:
    rewritten(bundle, **without(payouts(facts_of(bundle), is_change_spent=True)[0]))


def a_payout_left_out_of_an_earlier_edition(bundle: Path) -> None:
    """A forger may name an edition that had no coins: the facts are the same."""
    hidden = without(payouts(facts_of(bundle), is_change_spent=True)[0])
    forged = rewritten(bundle, **hidden, rules=lambda rules: dataclasses.replace(rules, edition=2))
    assert not (forged / "coins.csv").exists()


COINS = [
    (a_payout_left_out, "no transaction of the facts creates"),
    (a_payout_left_out_of_an_earlier_edition, "no transaction of the facts creates"),
    (stripped, "this one lacks them"),
    (a_line_less, "coins.csv comes out different"),
    (a_spend_taken_back, "coins.csv comes out different"),
    (another_digest, "the manifest's coins come out different"),
    (another_height, "the manifest's coins come out different"),
]
"""What the catalogue takes: each is caught by the check of coins, in these words."""
