"""Whose the spending wallets are (ADR 15): the bundle lists the pool's addresses, their keys' signatures hold, and what is reported as a payout spends them.

Enters: a bundle. Leaves: faults, what was seen, and by name the addresses that nobody signed for: that they are the pool's is the signer's word.
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from pipeline.assess.coins import FIRST_EDITION
from pipeline.assess.wallets import WALLETS_JSONL, ListedAddress, ownership_message, pool_addresses
from pipeline.chains.messages import signature_fault
from pipeline.model.message import message

from .files import json_lines
from .finding import Finding
from .opened import OpenBundle

SHOWN = 5
Address = tuple[str, str]
"""Chain and address."""


def check_wallets(bundle: OpenBundle) -> Finding:
    """The list, its signatures, and the payouts' own inputs."""
    faults: list[str] = []
    listed: list[ListedAddress] = []
    if bundle.rules.edition >= FIRST_EDITION:
        if WALLETS_JSONL not in bundle.manifest["files"]:
            return Finding(
                [
                    message(
                        "a bundle of edition {edition} lists the pool's addresses in {wallets_jsonl}: this one lacks it",
                        edition=bundle.rules.edition,
                        wallets_jsonl=WALLETS_JSONL,
                    )
                ],
                "",
            )
        listed = json_lines((bundle.folder / WALLETS_JSONL).read_bytes(), WALLETS_JSONL, ListedAddress, what="line")
        known = pool_addresses(bundle.facts).rows()
        if sorted((line.chain, line.wallet, line.address) for line in listed) != known:
            faults.append(message("{wallets_jsonl} lists other addresses than the facts call the pool's", wallets_jsonl=WALLETS_JSONL))
    signed: set[Address] = set()
    for line in listed:
        if line.signature is None:
            continue
        text = ownership_message(line.chain, line.address, str(bundle.manifest["header"]["bin"]))
        fault = signature_fault(bundle.networks[line.chain], line.address, text, line.signature)
        if fault:
            faults.append(
                message(
                    "the signature of the {chain} address {address} does not show that it is the pool's: {fault}",
                    chain=line.chain,
                    address=line.address,
                    fault=fault,
                )
            )
        else:
            signed.add((line.chain, line.address))
    payouts, stranger = _payouts(bundle)
    faults += stranger
    proved = sum(addresses <= signed for addresses in payouts)
    unsigned = Counter(address for addresses in payouts for address in addresses - signed)
    words = []
    if unsigned:
        often_first = sorted(unsigned.items(), key=lambda found: (-found[1], found[0]))
        shown = ", ".join(address for (_, address), _ in often_first[:SHOWN]) + (
            message(" and {count} more", count=len(unsigned) - SHOWN) if len(unsigned) > SHOWN else ""
        )
        words.append(
            message(
                "that {count} addresses which {count_2} payout transactions spend are the pool's: nobody signed for {shown}",
                count=len(unsigned),
                count_2=len(payouts) - proved,
                shown=shown,
            )
        )
    seen = message(
        "the keys of {count} of {count_2} addresses of the pool's signed for it; {proved} of {count_3} payout transactions spend these alone",
        count=len(signed),
        count_2=len(listed),
        proved=proved,
        count_3=len(payouts),
    )
    return Finding(faults, seen if signed else "", on_word=tuple(words))


def _payouts(bundle: OpenBundle) -> tuple[list[set[Address]], list[str]]:
    """The addresses that each payout transaction spends; payouts that spend nothing of the pool's. A coinbase spends nothing, and pays by itself."""
    outflows = bundle.enriched.outflows.filter(pl.col("class") == "payout").select("chain", "txid").unique().sort("chain", "txid")
    spent = bundle.facts.inputs.group_by("chain", "txid").agg(pl.col("address").unique())
    found = (
        outflows.join(bundle.facts.transactions.select("chain", "txid", "is_coinbase"), on=["chain", "txid"])
        .filter(~pl.col("is_coinbase"))
        .join(spent, on=["chain", "txid"], how="left", maintain_order="left")
    )
    payouts: list[set[Address]] = []
    faults = []
    for chain, txid, _, addresses in found.iter_rows():
        if addresses is None:
            faults.append(
                message("{chain} transaction {txid} is reported as a payout, and spends nothing of the pool's", chain=chain, txid=txid)
            )
        else:
            payouts.append({(chain, address if address is not None else message("an output without an address")) for address in addresses})
    return payouts, faults
