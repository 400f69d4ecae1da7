"""Forgeries of what a payer's transactions paid on an account chain (rule 10): the transaction, its receipt and their proofs contradict each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from pipeline.chains.evidence import Evidence
from pipeline.enrich.frames import UNITS, Facts
from tests.integration.payers_month import MONTH, Front, play

from .forger import frame, own_copy, rewritten, verified

LOST = ("P03", "P041", "P06", "P10", "P11")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with play(tmp_path_factory.mktemp("front")) as front:
        for payment in LOST:
            assert front.esep("waive", MONTH, "payment-not-on-chain", payment, "--by", "B.", "--reason", "a mistake") == 0
        assert front.esep("freeze", MONTH, "--by", "B.") == 0
        yield front


def failing(bundle: Path) -> set[str]:
    """The small chain's signatures are invented, so the check of nonces fails on the honest bundle, too."""
    return {check.name for check in verified(bundle) if not check.holds} - {"nonces"}


def larger(txid: str, by: int) -> Callable[[Facts], Facts]:
    """What the transaction paid, and what the ledger says of it, told larger."""
    more = pl.when(pl.col("txid") == txid).then(pl.lit(by, UNITS)).otherwise(pl.lit(0, UNITS))

    def forge(facts: Facts) -> Facts:
        facts = frame("outputs", lambda frame_: frame_.with_columns((pl.col("value") + more).cast(UNITS).alias("value")))(facts)
        return frame("payments", lambda frame_: frame_.with_columns((pl.col("amount") + more).cast(UNITS).alias("amount")))(facts)

    return forge


def test_the_honest_month_written_anew_holds(front: Front, tmp_path: Path) -> None:
    assert failing(rewritten(own_copy(front.bundle, tmp_path))) == set()


def test_a_sum_that_a_tokens_log_contradicts(front: Front, tmp_path: Path) -> None:
    forged = rewritten(own_copy(front.bundle, tmp_path), facts=larger(front.txids["token"], 1))
    assert failing(forged) == {"reported transfers"}


def test_a_sum_of_the_chains_own_asset_that_calls_may_have_paid_is_named_as_the_nodes_word(front: Front, tmp_path: Path) -> None:
    """Its transaction had gas for calls, which are in no root, and no state of the recipient is in the bundle."""
    forged = rewritten(own_copy(front.bundle, tmp_path), facts=larger(front.txids["again"], 1))
    (check,) = [check for check in verified(forged) if check.name == "reported transfers"]
    assert check.holds and check.on_word[0].startswith("6 transfer(s) of which the sum rests on the node's trace of calls")
    assert f"in {front.txids['again']}" in check.on_word[0]


def test_a_failed_transaction_told_as_paid(front: Front, tmp_path: Path) -> None:
    def paid(facts: Facts) -> Facts:
        like = facts.outputs.filter(pl.col("txid") == front.txids["coming"])
        block = facts.transactions.filter(pl.col("txid") == front.txids["failed"])["block_hash"][0]
        made = like.with_columns(txid=pl.lit(front.txids["failed"]), block_hash=pl.lit(block), value=pl.lit(700, UNITS))
        return frame("outputs", lambda outputs: pl.concat([outputs, made]))(facts)

    assert failing(rewritten(own_copy(front.bundle, tmp_path), facts=paid)) == {"reported transfers"}


def test_a_look_alikes_log_told_as_the_token(front: Front, tmp_path: Path) -> None:
    def renamed(facts: Facts) -> Facts:
        is_it = pl.col("txid") == front.txids["look-alike"]
        return frame("outputs", lambda o: o.with_columns(asset=pl.when(is_it).then(pl.lit("USDT")).otherwise("asset")))(facts)

    assert failing(rewritten(own_copy(front.bundle, tmp_path), facts=renamed)) == {"reported transfers"}


def test_a_payment_that_was_never_looked_for(front: Front, tmp_path: Path) -> None:
    def unsought(facts: Facts) -> Facts:
        return frame("sought", lambda sought: sought.filter(pl.col("txid") != front.txids["lost"]))(facts)

    assert "manifest" in failing(rewritten(own_copy(front.bundle, tmp_path), facts=unsought))


@pytest.mark.parametrize("part", ["receipt", "transaction_proof", "receipt_proof"])
def test_a_transaction_without_its_proof(front: Front, tmp_path: Path, part: str) -> None:
    def bare(evidence: Evidence) -> Evidence:
        proofs = [replace(proof, **{part: None}) if proof.txid == front.txids["token"] else proof for proof in evidence.proofs]
        return dataclasses.replace(evidence, proofs=proofs)

    forged = rewritten(own_copy(front.bundle, tmp_path), evidence=bare)
    assert "proofs" in failing(forged)
