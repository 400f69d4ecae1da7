"""What the sum of each reported transfer rests on: the chain's own bytes, the word of the pool's node, or the ledger's alone (ADR 7, rule 10.5). Pure.

Enters: the month's reported transfers, the proofs of their transactions. Leaves: the manifest's section `rests_on`, by payer. A transaction's branch or tries and its header
prove address, sum and date; of the chain's own asset on an account chain only where the transaction itself pays the address: what calls inside it brought is in no
root, so the node's trace says it. Whether the proofs hold is checked elsewhere (`evidence`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from pipeline.chains.evidence import Proof
from pipeline.chains.evm.receipts import parse_receipt
from pipeline.chains.evm.transactions import parse_account_transaction
from pipeline.chains.networks import is_account_network
from pipeline.model.amounts import from_units
from pipeline.model.rules import Rules

SINCE = 3
"""The first edition whose manifests may have the section."""


def describe_grounds(transfers: pl.DataFrame, proofs: Iterable[Proof], rules: Rules) -> dict[str, dict[str, dict[str, str]]]:
    """By payer ("" the pool itself), then `proof`, `node` or `ledger`, the sums of distinct transfers by asset, as printed.

    `transfers`: the distinct ones that the report's rows name (txid, address, asset, amount, payer).
    """
    native = {
        asset.chain for asset in rules.assets.values() if asset.contract is None and is_account_network(rules.network.get(asset.chain, ""))
    }
    named = set(transfers.filter(pl.col("payer").is_null() | ~pl.col("payer").is_in(rules.off_chain_payers()))["txid"]) if native else set()
    shown = {(proof.chain, proof.txid): _paid_directly(proof) for proof in proofs if proof.chain in native and proof.txid in named}
    sums: dict[tuple[str, str, str], int] = {}
    for txid, address, name, amount, payer in transfers.select("txid", "address", "asset", "amount", "payer").iter_rows():
        asset, who = rules.assets[name], rules.payers.get(payer or "")
        if who is not None and who.way == "off-chain":
            ground = "ledger"
        elif asset.chain in native and asset.contract is None and shown.get((asset.chain, txid)) != (address, amount):
            ground = "node"
        else:
            ground = "proof"
        sums[payer or "", ground, name] = sums.get((payer or "", ground, name), 0) + amount
    found: dict[str, dict[str, Any]] = {}
    for (payer, ground, name), amount in sorted(sums.items()):
        found.setdefault(payer, {}).setdefault(ground, {})[name] = from_units(amount, rules.assets[name].decimals)
    return found


def _paid_directly(proof: Proof) -> tuple[str | None, int]:
    """The address (EIP-55) that the transaction itself pays, and its value; 0 where its receipt does not say that it went through. (None, 0) for bytes that are none."""
    try:
        transaction, told = parse_account_transaction(bytes.fromhex(proof.raw)), parse_receipt(bytes.fromhex(proof.receipt or ""))
    except ValueError:
        return None, 0
    return transaction.to, transaction.value if told.status == 1 else 0
