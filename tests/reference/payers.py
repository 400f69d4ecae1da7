"""Who pays: rule 10.

Enters: a `Case`, its payments, the main chain. Leaves: the payments by who is taken to have paid them, and the payers' transfers in the shape of
`matching.transfers_of`, their payments linked and explained; their issues.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.model.issues import IssueCode
from pipeline.model.months import almaty_date

if TYPE_CHECKING:
    from .registry import Case

Row = dict[str, Any]


def is_pools(case: Case, chain: str, txid: str) -> bool:
    """Whether a main-chain transaction is one of rule 3's: it spends a pool wallet's output, or is a coinbase that pays one."""
    return any(
        (t["is_coinbase"] and any(o["wallet"] is not None for o in case.outputs.get((chain, t["block_hash"], txid), [])))
        or (not t["is_coinbase"] and bool(case.inputs.get((chain, t["block_hash"], txid))))
        for t in case.facts["transactions"]
        if (t["chain"], t["txid"]) == (chain, txid)
    )


def way_of(case: Case, payment: Row) -> str:
    """Rules 10.1, 10.2: `own`, `differs` (own, though another payer is named), `on-chain`, `off-chain` or `unknown`."""
    if payment.get("payer") is None or case.edition < 3:
        return "own"
    payer = case.rules.payers.get(payment["payer"])
    if payer is None:
        return "unknown"
    if payer.way == "off-chain":
        return "off-chain"
    chain = case.chain_of(payment["asset"])
    if payer.chain != chain:
        return "unknown"
    return "differs" if is_pools(case, chain, payment["txid"]) else "on-chain"


def payers_transfers(case: Case, explain: Callable[[Row, int], str], day_of: Callable[[int], Any]) -> list[Row]:
    """Rules 10.2 to 10.6. `explain`: how a sum paid came to be the transfer's amount; `day_of`: an instant's day in Almaty."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for payment in case.payments_of_others:
        payment["holder"] = case.account_holder(payment["account"], day_of(payment["paid_at"]))
        via = payment["payer"] if payment["way"] == "off-chain" else ""
        groups[via, payment["asset"], payment["txid"], payment["address"]].append(payment)
    made = [_attested(case, group, day_of) if via else _on_chain(case, group, explain, day_of) for (via, *_), group in groups.items()]
    return [transfer for transfer in made if transfer is not None]


def _on_chain(case: Case, group: list[Row], explain: Callable[[Row, int], str], day_of: Callable[[int], Any]) -> Row | None:
    asset, txid, address = (group[0][name] for name in ("asset", "txid", "address"))
    chain = case.chain_of(asset)
    found = [t for t in case.facts["transactions"] if (t["chain"], t["txid"]) == (chain, txid)]
    amount = sum(
        o["value"]
        for t in found
        for o in case.outputs.get((chain, t["block_hash"], txid), [])
        if o["address"] == address and o["asset"] == asset and o["wallet"] is None
    )
    if amount == 0:  # 10.4
        tip = max((b for b in case.facts["blocks"] if b["chain"] == chain), key=lambda b: b["height"], default=None)
        for payment in group:
            if tip is not None and payment["paid_at"] <= tip["time"] * 1_000_000:
                case.issue(IssueCode.PAYMENT_NOT_ON_CHAIN, payment["payment_id"], day_of(payment["paid_at"]))
        return None
    block = case.blocks[chain, found[0]["block_hash"]]
    transfer = {
        "chain": chain, "txid": txid, "address": address, "asset": asset, "amount": amount, "at": block["time"], "instant": block["time"] * 1_000_000,
        "date": almaty_date(block["time"]), "block_hash": block["hash"], "height": block["height"], "transaction": None, "payments": group,
        "is_replaced": False, "payer": min(group, key=lambda p: str(p["payment_id"]))["payer"], "via": "",
    }  # fmt: skip
    transfer["explained"] = explain(transfer, sum(p["amount"] for p in group))  # 10.3
    return transfer


def _attested(case: Case, group: list[Row], day_of: Callable[[int], Any]) -> Row:
    """Rule 10.5."""
    instant = min(p["paid_at"] for p in group)
    first = group[0]
    return {
        "chain": case.chain_of(first["asset"]), "txid": first["txid"], "address": first["address"], "asset": first["asset"],
        "amount": sum(p["amount"] for p in group), "at": instant // 1_000_000, "instant": instant, "date": day_of(instant), "block_hash": None,
        "height": None, "transaction": None, "payments": group, "is_replaced": False, "payer": first["payer"], "via": first["payer"],
        "explained": "attested",
    }  # fmt: skip
