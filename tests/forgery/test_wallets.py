"""Wallets that are not the pool's (forgery 4): the list of addresses is the facts' own, and each signature must be of that address's key over its own message."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from embit import ec
from embit import script as embit_script

from pipeline.assess.wallets import ownership_message
from pipeline.chains.bitcoin.messages import _to_sign
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import script_of
from pipeline.chains.bitcoin.wire import parse_transaction
from pipeline.enrich.frames import Facts
from pipeline.verify.evidence import read_evidence

from .forger import frame, manifest_of, resealed, rewritten, verdict_on, verified

Lines = list[dict[str, Any]]
LEFT_OUT = ["documents"]
STRANGER = ec.PrivateKey(b"\x11" * 32)


def relisted(bundle: Path, change: Callable[[Lines], Lines]) -> Path:
    path = bundle / "evidence" / "wallets.jsonl"
    lines = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return resealed(bundle)


def signed_by_stranger(bundle: Path) -> Callable[[Lines], Lines]:
    """BIP 322 by another key, over the right message, for a taproot address of the pool's."""
    pool_bin = manifest_of(bundle)["header"]["bin"]

    def change(lines: Lines) -> Lines:
        line = next(line for line in lines if line["address"].startswith("bcrt1p"))
        script = embit_script.Script(script_of(line["address"], network("regtest")))
        text = ownership_message("bitcoin", line["address"], pool_bin)
        digest = _to_sign(bytes(script.data), text).sighash_taproot(0, [script], [0])
        line["signature"] = base64.b64encode(b"\x01\x40" + STRANGER.schnorr_sign(digest).serialize()).decode()
        return lines

    return change


def no_signature(_: Path) -> Callable[[Lines], Lines]:
    return lambda lines: [lines[0] | {"signature": "AA=="}, *lines[1:]]


def one_less(_: Path) -> Callable[[Lines], Lines]:
    return lambda lines: lines[1:]


def one_more(_: Path) -> Callable[[Lines], Lines]:
    return lambda lines: [*lines, lines[0] | {"address": "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"}]


def renamed(_: Path) -> Callable[[Lines], Lines]:
    return lambda lines: [lines[0] | {"wallet": "treasury" if lines[0]["wallet"] == "pool" else "pool"}, *lines[1:]]


def odd(_: Path) -> Callable[[Lines], Lines]:
    return lambda lines: [lines[0] | {"descriptor": "wpkh(xpub…)"}, *lines[1:]]


WALLETS = [
    (signed_by_stranger, "another key signed"),
    (no_signature, "does not show that it is the pool's"),
    (one_less, "lists other addresses"),
    (one_more, "lists other addresses"),
    (renamed, "lists other addresses"),
    (odd, "wallets.jsonl:1"),
]
"""What the catalogue takes: each changes the list, and is caught by the check of wallets, in these words."""


def test_a_bundle_without_the_list_is_caught(bundle: Path) -> None:
    (bundle / "evidence" / "wallets.jsonl").unlink()
    failing, said, _ = verdict_on(resealed(bundle), left_out=LEFT_OUT)
    assert failing == {"wallets"} and "this one lacks it" in said


def test_addresses_that_nobody_signed_for_are_named(bundle: Path) -> None:
    """An owner's withdrawal told as a payout spends an address that its owner would not sign for: it stands on the signer's word, by name."""
    words = {check.name: check.on_word for check in verified(bundle, left_out=LEFT_OUT)}["wallets"]
    assert len(words) == 1 and "nobody signed for bcrt1" in words[0]


def test_a_stranger_s_coin_called_the_pool_s_is_caught(bundle: Path) -> None:
    """A transaction that spends strangers' coins is told to spend the pool's: nothing in the facts created such a coin."""

    raws = {proof.txid: proof.raw for proof in read_evidence(bundle / "evidence").proofs}

    def claimed(facts: Facts) -> Facts:
        ours = facts.inputs.select("txid").unique()
        strange = facts.transactions.filter(~pl.col("is_coinbase") & (pl.col("other_inputs") > 0)).join(ours, on="txid", how="anti")
        of = strange.sort("txid").row(0, named=True)
        address = facts.outputs.filter(pl.col("wallet") == "pool")["address"].drop_nulls().sort()[0]
        spends = parse_transaction(bytes.fromhex(raws[of["txid"]])).inputs
        paid = facts.outputs.filter(pl.col("txid") == of["txid"])["value"].sum()  # what goes in must come out: the facts say no fee
        values = [paid - len(spends) + 1, *[1] * (len(spends) - 1)]
        rows = [
            {"chain": "bitcoin", "block_hash": of["block_hash"], "txid": of["txid"], "spent_txid": source.txid.hex(), "spent_vout": source.vout,
             "value": value, "address": address, "wallet": "pool", "asset": "BTC"}
            for source, value in zip(spends, values, strict=True)
        ]  # fmt: skip
        more = frame("inputs", lambda inputs: pl.concat([inputs, pl.DataFrame(rows, schema=inputs.schema)]))(facts)
        is_it = pl.col("txid") == of["txid"]
        columns = ("other_inputs", "other_inputs_value")
        none = [pl.when(is_it).then(0).otherwise(name).cast(more.transactions.schema[name]).alias(name) for name in columns]
        return frame("transactions", lambda told: told.with_columns(none))(more)

    failing, said, _ = verdict_on(rewritten(bundle, facts=claimed), left_out=LEFT_OUT)
    assert "coins" in failing and "facts against chain" not in failing and "that no transaction of the facts creates" in said
