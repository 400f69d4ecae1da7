"""Forgeries of an account chain's month: what its wallets held is proved by the state under the headers, so no call can be told larger (forgery 8)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from pipeline.chains.evidence import AccountProof, Evidence
from pipeline.enrich.frames import UNITS, Facts
from pipeline.log.events.months import Waived
from pipeline.model.errors import MonthError
from tests.integration.account_month import ETHER, HOT, A, chain_events, freeze, log_of, state_of
from tests.unit.store.streams import empty_store

from .forger import check_of, frame, own_copy, rewritten, verdict_on, verified

BALANCES = "account balances"


@pytest.fixture
def accounts(proved: Path, no_forms: None, tmp_path: Path) -> Path:
    return own_copy(proved, tmp_path)


def of(bundle: Path) -> tuple[bool, str, str]:
    """What the check of balances says: whether it holds, its detail, what is on the signer's word."""
    check = check_of(bundle, BALANCES)
    return check.holds, check.detail, "\n".join(check.on_word)


def test_the_honest_month_is_proved_and_its_trace_named_as_the_nodes_word(proved: Path) -> None:
    holds, detail, on_word = of(proved)
    assert holds and detail == "4 balances lie under their headers' state roots; over 3 blocks they change by what was moved"
    assert on_word == "2 balances after months' last blocks: the node's word, no state under a header proves them", "the token's"
    assert all(check.holds for check in verified(proved))
    (transfers,) = [check for check in verified(proved) if check.name == "reported transfers"]
    assert "rests on the node's trace of calls: 1.000000000000000000 ETH" in transfers.on_word[0]


def larger(facts: Facts) -> Facts:
    """The call inside the batch is told as 1,000 ETH, from a wallet of 10; another call brings as much in, so that the month closes."""
    call = facts.outputs.filter(pl.col("ref" if "ref" in facts.outputs.columns else "vout") == 0).filter(
        (pl.col("address") == A) & (pl.col("value") == ETHER)
    )
    txid = call["txid"][0]
    more = 999 * ETHER

    def grown(values: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
        added = pl.when((pl.col("txid") == txid) & where).then(pl.lit(more, UNITS)).otherwise(pl.lit(0, UNITS))
        return values.with_columns((pl.col("value") + added).cast(UNITS).alias("value"))

    facts = frame("outputs", lambda outputs: grown(outputs, pl.col("address") == A))(facts)
    facts = frame("inputs", lambda inputs: grown(inputs, (pl.col("spent_vout") == 0)))(facts)
    block = facts.blocks.filter(pl.col("height") == 102).row(0, named=True)
    gift = facts.outputs.filter(pl.col("txid") == txid).head(1).with_columns(
        txid=pl.lit("ab" * 32), block_hash=pl.lit(block["hash"]), value=pl.lit(more, UNITS), address=pl.lit(HOT), wallet=pl.lit("hot")
    )  # fmt: skip
    came = facts.transactions.filter(pl.col("txid") == txid).with_columns(
        txid=pl.lit("ab" * 32), block_hash=pl.lit(block["hash"]), other_inputs=pl.lit(1, pl.Int32), other_inputs_value=pl.lit(more, UNITS),
        fee=pl.lit(0, UNITS), fee_wallet=pl.lit(None, pl.String),
    )  # fmt: skip
    facts = frame("outputs", lambda outputs: pl.concat([outputs, gift]))(facts)
    return frame("transactions", lambda transactions: pl.concat([transactions, came]))(facts)


def without_state(facts: Facts) -> Facts:
    return frame("proved_balances", lambda balances: balances.clear())(facts)


def test_a_call_told_as_a_thousand_from_a_wallet_of_ten_is_an_issue_that_blocks(accounts: Path) -> None:
    forged = rewritten(accounts, facts=larger)
    failing, said, code = verdict_on(forged, left_out=["documents"])
    assert {BALANCES, "manifest"} <= failing and code == 8
    assert f"over block 101 {HOT} changes by -" in said and "(10000000000000000000 before)" in said
    issues = pl.read_csv(forged / "issues.csv", infer_schema=False)
    found = issues.filter((pl.col("code") == "wallet-does-not-balance") & (pl.col("ref") == "hot@101"))
    assert found["severity"].to_list() == ["blocking"]


def test_who_lets_such_a_call_pass_is_named(accounts: Path) -> None:
    def waive(given: list[Waived]) -> list[Waived]:
        refs = [("wallet-does-not-balance", ref) for ref in ("hot@101", "hot@102")]
        return [
            *given,
            *(Waived(id=f"w{ref}", month="2026-10", code=code, ref=ref, by="A. Forger", reason="trust me", at=1) for code, ref in refs),
        ]

    _, _, on_word = of(rewritten(accounts, facts=larger, waivers=waive))
    assert f"over block 101 {HOT} changes by" in on_word and "let pass by A. Forger (trust me)" in on_word


def test_without_the_proofs_all_of_it_is_on_the_nodes_word(accounts: Path) -> None:
    bare = rewritten(accounts, facts=without_state, evidence=lambda evidence: dataclasses.replace(evidence, accounts=[]))
    holds, detail, on_word = of(bare)
    assert holds and detail == ""
    assert "4 balances after months' last blocks: the node's word" in on_word
    assert "what 1 accounts held before and after a block that moved some of it" in on_word


def first(evidence: Evidence, change: Callable[[AccountProof], AccountProof]) -> Evidence:
    """Each proof changed after block 101."""
    return dataclasses.replace(evidence, accounts=[change(proof) if proof.height == 101 else proof for proof in evidence.accounts])


def replaced(**values: object) -> Callable[[Evidence], Evidence]:
    return lambda evidence: first(evidence, lambda proof: replace(proof, **values))


OTHER = [node.hex() for node in state_of(1_000 * ETHER)[1]]


PROOFS = [
    ("other state", replaced(proof=OTHER), "its proof does not begin at the header's root"),
    ("no nodes", replaced(proof=[]), "its proof does not begin at the header's root"),
    ("other block", replaced(block_hash="ab" * 32), "is not among the headers"),
    ("other account", replaced(address=A), "nothing proves it"),
    ("other height", replaced(height=7), "is not among the headers"),
    ("cut short", lambda evidence: first(evidence, lambda proof: AccountProof(**{f: getattr(proof, f) for f in proof.__struct_fields__} | {"proof": proof.proof[:1]})), "its proof does not hold"),
    ("left out", lambda evidence: dataclasses.replace(evidence, accounts=evidence.accounts[:-1]), "and nothing proves it"),
    ("twice", lambda evidence: dataclasses.replace(evidence, accounts=[*evidence.accounts, evidence.accounts[0]]), "is proved twice"),
]  # fmt: skip
"""What the catalogue takes, too: the forged evidence, and what is said of it."""


@pytest.mark.parametrize(("forge", "named"), [pytest.param(forge, named, id=name) for name, forge, named in PROOFS])
def test_a_forged_proof_of_an_account_is_caught(accounts: Path, forge: Callable[[Evidence], Evidence], named: str) -> None:
    failing, said, code = verdict_on(rewritten(accounts, evidence=forge), left_out=["documents"])
    assert BALANCES in failing and named in said and code == 8


def test_a_balance_told_other_than_the_state_is_caught(accounts: Path) -> None:
    richer = pl.when(pl.col("height") == 101).then(pl.col("value") + 1).otherwise("value").cast(UNITS).alias("value")
    failing, said, _ = verdict_on(
        rewritten(accounts, facts=frame("proved_balances", lambda held: held.with_columns(richer))), left_out=["documents"]
    )
    assert BALANCES in failing and f"{HOT} held 6" in said and "the facts say" in said


def test_a_state_left_out_of_the_facts_alone_is_caught(accounts: Path) -> None:
    failing, said, _ = verdict_on(rewritten(accounts, facts=without_state), left_out=["documents"])
    assert BALANCES in failing and "is proved, but the facts leave it out" in said


def test_an_opening_told_other_than_the_state_below_the_first_block_is_caught(accounts: Path) -> None:
    richer = (
        pl.when((pl.col("height") == 99) & (pl.col("asset") == "ETH"))
        .then(pl.col("value") + 1)
        .otherwise("value")
        .cast(UNITS)
        .alias("value")
    )
    failing, said, _ = verdict_on(
        rewritten(accounts, facts=frame("observations", lambda held: held.with_columns(richer))), left_out=["documents"]
    )
    assert BALANCES in failing and "the balance told there is" in said


def test_a_month_that_its_states_contradict_does_not_close(tmp_path: Path) -> None:
    """The same at home: a node whose trace tells 1,000 ETH of a call."""
    events = chain_events(is_proved=True)
    connect = next(event for event in events if getattr(event, "transactions", None))
    told = connect.transactions[2]  # type: ignore[attr-defined]
    big = str(1_000 * ETHER)
    lying = replace(told, inputs=[replace(told.inputs[0], value=big), *told.inputs[1:]], outputs=[replace(told.outputs[0], value=big)])
    events[events.index(connect)] = replace(connect, transactions=[*connect.transactions[:2], lying, connect.transactions[3]])  # type: ignore[attr-defined]
    with empty_store() as store, pytest.raises(MonthError, match=r"wallet-does-not-balance \(2\)"):
        freeze(log_of(events), store, tmp_path / "months")
