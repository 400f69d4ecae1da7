"""A store of the example month: its facts, read plainly, told as events, taken in by ingest, worked out by the rules."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.month import enrich_month
from pipeline.log.events.chain import (
    Connect,
    Input,
    Output,
    Transaction,
    Watch,
    WatchedWallet,
)
from pipeline.log.events.ledger import (
    AllocationColumns,
    Allocations,
    PaymentColumns,
    Payments,
)
from pipeline.log.events.parts import Event
from pipeline.log.events.registry import (
    AccountRow,
    CounterpartyRow,
    LicenceRow,
    MinerRow,
    Registry,
    WalletRow,
)
from pipeline.model.months import Month
from pipeline.store import Store
from pipeline.store.facts import read_facts, write_enriched
from pipeline.store.ingest import Ingest

from ..reference.capture import Capture, read_capture
from ..unit.store.streams import Delivery, complete, hash_of, waiver

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
MONTH = Month(2026, 10)


def fill(store: Store) -> tuple[Capture, Enriched]:
    """Fill the store with the example month and its results."""
    capture = read_capture(EXAMPLE)
    facts = capture.facts
    delivery = (
        Delivery()
        .tell("chain", _chain(facts))
        .tell("ledger", [*_ledger(facts), complete("2026-10-31")])
        .tell("registry", [_registry(facts)])
    )
    delivery.tell("months", [waiver("2026-10", "nothing:0")])
    Ingest(delivery, store).catch_up()
    enriched = enrich_month(read_facts(store.connection), MONTH, capture.rules)
    write_enriched(store, str(MONTH), enriched)
    return capture, enriched


def _chain(facts: dict[str, list[dict[str, Any]]]) -> list[Event]:
    inputs, outputs, transactions = defaultdict(list), defaultdict(list), defaultdict(list)
    for row in facts["inputs"]:
        inputs[row["txid"]].append(
            Input(
                txid=row["spent_txid"],
                vout=row["spent_vout"],
                value=str(row["value"]),
                address=row["address"],
                wallet=row["wallet"],
                asset=row["asset"],
            )
        )
    for row in facts["outputs"]:
        kept = {name: row[name] for name in ("vout", "address", "wallet", "asset", "script_type", "is_unspendable")}
        outputs[row["txid"]].append(Output(**kept, value=str(row["value"]), ref=f"vout:{row['vout']}"))
    for row in facts["transactions"]:
        amounts = {"fee": str(row["fee"]), "other_inputs_value": str(row["other_inputs_value"])}
        kept = {name: row[name] for name in ("txid", "position", "is_coinbase", "other_inputs", "fee_asset")}
        transactions[row["block_hash"]].append(Transaction(**kept, **amounts, inputs=inputs[row["txid"]], outputs=outputs[row["txid"]]))
    chain = facts["blocks"][0]["chain"]
    wallets = [WatchedWallet(name=row["wallet"]) for row in facts["pool_wallets"]]
    events: list[Event] = [Watch(id=f"{chain}:0", seq=0, chain=chain, network="regtest", start_height=0, wallets=wallets)]
    prev = "00" * 32
    for seq, row in enumerate(facts["blocks"], 1):
        events.append(Connect(id=f"{chain}:{seq}", seq=seq, prev=prev, transactions=transactions[row["hash"]], **row))
        prev = row["hash"]
    return events


def _ledger(facts: dict[str, list[dict[str, Any]]]) -> list[Event]:
    events: list[Event] = []
    for kind, columns, name in ((Allocations, AllocationColumns, "allocations"), (Payments, PaymentColumns, "payments")):
        rows = facts[name]
        values = {column: [_text(column, row.get(column, 1)) for row in rows] for column in columns.__struct_fields__}
        events.append(kind(id=f"{name}:1", source=f"{name}.csv", rows=columns(**values)))
    return events


def _text(column: str, value: Any) -> Any:
    return str(value) if column in ("amount", "commission_amount") and value is not None else value


def _registry(facts: dict[str, list[dict[str, Any]]]) -> Event:
    def rows(kind: type, name: str) -> list[Any]:
        return [kind(**{key: None if value is None else str(value) for key, value in row.items()}) for row in facts[name]]

    counterparties = [CounterpartyRow(**row, name=f"the {row['outflow_class']}") for row in facts["labels"]]
    return Registry(
        id="registry:1",
        version=1,
        digest=hash_of("registry"),
        part=0,
        parts=1,
        miners=rows(MinerRow, "miners"),
        licences=rows(LicenceRow, "licences"),
        accounts=rows(AccountRow, "accounts"),
        wallets=rows(WalletRow, "wallets"),
        counterparties=counterparties,
    )
