"""Forged facts, with everything that is made of them written anew: the chain's bytes in the same bundle say otherwise (forgery 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline.chains.evidence import Evidence
from pipeline.enrich.frames import Facts

from .forger import frame, rewritten, verdict_on

Forge = Callable[[Facts], Facts]


def spending(facts: Facts) -> pl.DataFrame:
    """Transactions of October that spend two of the pool's inputs at least."""
    counted = facts.inputs.group_by("txid").len().filter(pl.col("len") > 1)
    late = facts.blocks.filter(pl.col("height") > 4200).select(block_hash="hash")
    return facts.transactions.filter(pl.col("other_inputs") == 0).join(counted, on="txid").join(late, on="block_hash").sort("txid")


def at_first(txid: str, column: str, value: pl.Expr) -> pl.Expr:
    is_first = (pl.col("txid") == txid) & (pl.int_range(pl.len()) == pl.arg_where(pl.col("txid") == txid).first())
    return (
        pl.when(is_first)
        .then(value)
        .otherwise(pl.col(column))
        .cast(pl.Int128 if column in ("value", "fee") else None or pl.String)
        .alias(column)
    )


def outpoints(facts: Facts) -> Facts:
    """What a transaction spends is said to be another coin, which stays unspent."""
    txid = spending(facts)["txid"][0]
    return frame("inputs", lambda inputs: inputs.with_columns(at_first(txid, "spent_txid", pl.lit("ab" * 32))))(facts)


def fee(facts: Facts) -> Facts:
    """A fee is told higher, and the input too, so that the wallet balances no worse."""
    txid = spending(facts)["txid"][0]
    more = frame("transactions", lambda t: t.with_columns(at_first(txid, "fee", pl.col("fee") + 5_000)))
    return frame("inputs", lambda inputs: inputs.with_columns(at_first(txid, "value", pl.col("value") + 5_000)))(more(facts))


def fee_alone(facts: Facts) -> Facts:
    txid = spending(facts)["txid"][0]
    return frame("transactions", lambda t: t.with_columns(at_first(txid, "fee", pl.col("fee") + 5_000)))(facts)


def own_output(facts: Facts) -> Facts:
    """A coin of the pool's that it spends later is called a stranger's where it was made."""
    spent = facts.inputs.select(txid="spent_txid", vout="spent_vout")
    coin = (
        facts.outputs.filter(pl.col("wallet").is_not_null())
        .join(spent, on=["txid", "vout"], how="semi")
        .sort("txid", "vout")
        .row(0, named=True)
    )
    is_it = (pl.col("txid") == coin["txid"]) & (pl.col("vout") == coin["vout"])
    return frame("outputs", lambda outputs: outputs.with_columns(pl.when(is_it).then(None).otherwise("wallet").alias("wallet")))(facts)


def left_out_output(facts: Facts) -> Facts:
    """A miner's output is left out of a proved transaction, and counted to its fee."""
    txid = spending(facts)["txid"][0]
    gone = facts.outputs.filter((pl.col("txid") == txid) & pl.col("wallet").is_null()).sort("vout").head(1)
    fewer = frame("outputs", lambda outputs: outputs.join(gone, on=["txid", "vout"], how="anti"))
    return frame("transactions", lambda t: t.with_columns(at_first(txid, "fee", pl.col("fee") + int(gone["value"][0]))))(fewer(facts))


def block_time(facts: Facts) -> Facts:
    """A block of early October is told to be of the month before."""
    return frame(
        "blocks", lambda b: b.with_columns(pl.when(pl.col("height") == 4300).then(pl.col("time") - 86_400).otherwise("time").alias("time"))
    )(facts)


def left_out_transaction(facts: Facts) -> Facts:
    """A transaction is left out of the facts, its proof not."""
    txid = spending(facts)["txid"][0]
    for name in ("transactions", "inputs", "outputs"):
        facts = frame(name, lambda f: f.filter(pl.col("txid") != txid))(facts)
    return facts


def invented_input(facts: Facts) -> Facts:
    """An input of the pool's is called a stranger's."""
    txid = spending(facts)["txid"][0]
    gone = facts.inputs.filter(pl.col("txid") == txid).head(1)
    value = int(gone["value"][0])
    fewer = frame("inputs", lambda inputs: inputs.join(gone, on=["txid", "spent_txid", "spent_vout"], how="anti"))
    is_it = pl.col("txid") == txid
    return frame(
        "transactions",
        lambda t: t.with_columns(
            pl.when(is_it).then(1).otherwise("other_inputs").cast(pl.Int32).alias("other_inputs"),
            pl.when(is_it).then(value).otherwise("other_inputs_value").cast(pl.Int128).alias("other_inputs_value"),
        ),
    )(fewer(facts))


def place(facts: Facts) -> Facts:
    txid = spending(facts)["txid"][0]
    return frame(
        "transactions",
        lambda t: t.with_columns(pl.when(pl.col("txid") == txid).then(7).otherwise("position").cast(pl.Int32).alias("position")),
    )(facts)


FACTS: list[tuple[Forge, str]] = [
    (outpoints, "its inputs are others than the facts say"),
    (fee, "is not what that one pays"),
    (fee_alone, "the facts say that its fee is"),
    (own_output, "is the pool's in one place"),
    (left_out_output, "its outputs are others than the facts say"),
    (block_time, "block 4300 has the time"),
    (left_out_transaction, "is proved, but the facts leave it out"),
    (invented_input, "is not what that one pays"),
    (place, "the facts say 7 in"),
]


@pytest.mark.parametrize(("forge", "named"), FACTS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.usefixtures("no_forms")
def test_facts_that_contradict_the_bytes_are_caught_and_named(bundle: Path, forge: Forge, named: str) -> None:
    failing, said, code = verdict_on(rewritten(bundle, facts=forge), left_out=["documents"])
    assert "facts against chain" in failing and named in said and code == 8
    assert not failing & {"files", "report digest", "recomputed from facts", "debts"}, "all the rest agrees with the forgery"


@pytest.mark.usefixtures("no_forms")
def test_a_transaction_left_out_of_the_proofs_is_caught(bundle: Path) -> None:
    def fewer(evidence: Evidence) -> Evidence:
        return dataclasses.replace(evidence, proofs=evidence.proofs[1:])

    failing, said, _ = verdict_on(rewritten(bundle, evidence=fewer), left_out=["documents"])
    assert "facts against chain" in failing and "nothing proves it" in said


@pytest.mark.usefixtures("no_forms")
def test_a_transaction_proved_twice_is_caught(bundle: Path) -> None:
    failing, said, _ = verdict_on(
        rewritten(bundle, evidence=lambda e: dataclasses.replace(e, proofs=[*e.proofs, e.proofs[0]])), left_out=["documents"]
    )
    assert "proofs" in failing and "is proved twice" in said


@pytest.mark.usefixtures("no_forms")
def test_a_median_time_that_the_headers_do_not_give_is_caught(bundle: Path) -> None:
    """So a chain that ends early can't claim to have passed the month."""

    def later(frame_: pl.DataFrame) -> pl.DataFrame:
        is_tip = pl.col("height") == pl.col("height").max()
        return frame_.with_columns(pl.when(is_tip).then(pl.col("mediantime") + 100).otherwise("mediantime").alias("mediantime"))

    failing, said, _ = verdict_on(
        rewritten(bundle, facts=frame("blocks", later), evidence=lambda e: dataclasses.replace(e, headers=later(e.headers))),
        left_out=["documents"],
    )
    assert "facts against chain" in failing and "has the median time" in said


def test_the_honest_bundle_written_anew_holds(bundle: Path) -> None:
    """The toolkit itself makes no fault: what is caught is the forgery."""
    assert verdict_on(rewritten(bundle)) == (set(), "", 0)
