"""What is true, told twice without the program's help: by the world's own records, and by reading the log event by event.

Enters: a life; or the log's records up to some positions. Leaves: facts as lists of dictionaries, which the oracle of `tests.reference`
judges; and the canonical report printed from the oracle's rows. Nothing of ingest, store, enrichment or printing is used here.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.chains.bitcoin.script import script_of
from pipeline.enrich.frames import SHAPES
from pipeline.log.protocol import Positions, Record

from ...reference.registry import Row, Tables
from ..bitcoin_world import SimBlock, SimTx
from .chain import DATA, OWN, REGTEST, WALLETS, address

if TYPE_CHECKING:
    from .life import Life

COLUMNS = ("n", "miner_id", "miner_name", "licence_number", "licence_issue_date", "wallet", "allocation_date", "asset", "amount",
           "transfer_amount", "transfer_date", "commission_asset", "commission_asset_amount", "commission_currency",
           "commission_currency_amount")  # fmt: skip
_AMOUNTS = {"amount": "asset", "transfer_amount": "asset", "commission_asset_amount": "commission_asset"}
"""Columns of amounts, and that of their asset."""
_DAYS = ("issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to")
_PLACE = ("chain", "block_hash", "txid")


def digest_of_rows(rows: Iterable[Row], decimals: Mapping[str, int]) -> str:
    """SHA-256 of the canonical report (rule 8.2) that the oracle's rows make; `decimals` of each asset."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_text(row, name, decimals) for name in COLUMNS])
    return hashlib.sha256(text.getvalue().encode()).hexdigest()


def _text(row: Row, name: str, decimals: Mapping[str, int]) -> str:
    value = row[name]
    if value is None:
        return ""
    if name in _AMOUNTS:
        places = decimals[row[_AMOUNTS[name]]]
        return f"{value // 10**places}.{value % 10**places:0{places}}"
    return value.isoformat() if isinstance(value, date) else str(value)


# --- by the log ------------------------------------------------------------------------------------------------------


class LogReader:
    """The log's events, folded one by one."""

    def __init__(self) -> None:
        self.read_to: dict[str, int] = {}
        self._main: list[tuple[Row, list[dict[str, Any]]]] = []
        self._watched: list[Row] = []
        self._payees: list[Row] = []
        self._prev_of_first: str | None = None
        self._balances: dict[tuple[str, str, str, str], Row] = {}
        self._doubts: list[Row] = []
        self._rows: dict[str, dict[tuple[str, ...], tuple[int, Row]]] = {"allocations": {}, "payments": {}}
        self._registry: dict[int, dict[int, dict[str, Any]]] = {}
        self._sought: dict[tuple[str, str], None] = {}
        self.taken_back: set[str] = set()
        """Ids that were told of some block, or counted as not looked for again: which blocks tell them depends on when."""
        self.named: set[str] = set()
        """Ids that payments name, in any version, whoever paid."""
        self.named_addresses: set[str] = set()
        self._labels: dict[tuple[str, str], str] = {}

    def read(self, records: Iterable[Record], until: Positions) -> LogReader:
        """Take in the records before `until`, in each partition's order."""
        for record in records:
            place = f"{record.topic}/{record.partition}"
            if self.read_to.get(place, 0) <= record.offset < until.get(place, 0):
                self.read_to[place] = record.offset + 1
                if not record.id.startswith("foreign:"):
                    self._take(json.loads(record.value))
        return self

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "watch":
            self._watched = [{"chain": event["chain"], "wallet": wallet["name"]} for wallet in event["wallets"]]
            self._payees = [{"chain": event["chain"], "address": where} for where in event.get("payees", [])]
        elif kind == "balances":
            place = {"chain": event["chain"], "height": event["height"], "block_hash": event["hash"]}
            for wallet, where, asset, value in zip(*(event["rows"][n] for n in ("wallet", "address", "asset", "value")), strict=True):
                row = {**place, "wallet": wallet, "address": where, "asset": asset, "value": None if value is None else int(value)}
                self._balances[event["hash"], wallet, where, asset] = row
        elif kind == "doubt":
            self._doubts.append({name: event[name] for name in ("chain", "height", "hash", "time", "detail")} | {"txid": event.get("txid")})
        elif kind == "connect":
            self._begin(event)
            block = {name: event[name] for name in ("chain", "hash", "height", "time", "mediantime")}
            self._main.append((block, event["transactions"]))
        elif kind == "stretch":
            self._begin(event)
            for n, block_hash in enumerate(event["hash"]):
                block = {"chain": event["chain"], "hash": block_hash, "height": event["height"] + n}
                self._main.append((block | {"time": event["time"][n], "mediantime": event["mediantime"][n]}, []))
        elif kind == "disconnect":
            block, _ = self._main.pop()
            assert block["hash"] == event["hash"], "what leaves is the last block"
        elif kind in ("retold", "sought", "not-traced"):
            self._take_payers(kind, event)
        elif kind in (*self._rows, "payer-payments"):
            self._take_rows(kind.removeprefix("payer-"), event["rows"])
            if kind != "allocations":
                self.named |= set(event["rows"]["txid"])
                self.named_addresses |= set(event["rows"]["address"])
        elif kind == "registry":
            self._registry.setdefault(event["version"], {})[event["part"]] = event
        elif kind == "label":
            self._labels[event["chain"], event["address"]] = event["outflow_class"]

    def _take_payers(self, kind: str, event: dict[str, Any]) -> None:
        """What is told of transactions that payments of payers name (rule 10.2)."""
        if kind == "retold":
            told = next(told for block, told in reversed(self._main) if block["hash"] == event["hash"])
            again = {tx["txid"] for tx in event["transactions"]}
            told[:] = [tx for tx in told if tx["txid"] not in again] + event["transactions"]
            self.taken_back |= again
        elif kind == "sought":
            self._sought |= dict.fromkeys((event["chain"], txid) for txid in event["txids"])
        elif kind == "not-traced":
            for txid in event["txids"]:
                self._sought.pop((event["chain"], txid), None)
            self.taken_back |= set(event["txids"])

    def _begin(self, event: dict[str, Any]) -> None:
        if not self._main:
            self._prev_of_first = event["prev"]

    def _take_rows(self, kind: str, columns: dict[str, list[Any]]) -> None:
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            version = row.pop("version")
            key = (row[f"{kind.removesuffix('s')}_id"],)
            if version > self._rows[kind].get(key, (0, {}))[0]:
                whole = {name: int(row[name]) for name in ("amount", "commission_amount") if row.get(name) is not None}
                self._rows[kind][key] = version, {**row, **whole}

    def tables(self) -> Tables:
        """The facts in force."""
        facts: Tables = {name: [] for name in SHAPES}
        facts["pool_wallets"] = list(self._watched)
        known = {self._prev_of_first, *(block["hash"] for block, _ in self._main)}
        facts["observations"] = [row for row in self._balances.values() if row["block_hash"] in known]
        facts["doubts"] = list(self._doubts)
        facts["payees"] = list(self._payees)
        facts["sought"] = [{"chain": chain, "txid": txid} for chain, txid in self._sought]
        for block, transactions in self._main:
            facts["blocks"].append(block)
            for tx in transactions:
                place = {"chain": block["chain"], "block_hash": block["hash"], "txid": tx["txid"]}
                kept = {name: tx.get(name) for name in ("position", "is_coinbase", "other_inputs", "fee_asset", "fee_wallet")}
                amounts = {name: int(tx[name]) for name in ("other_inputs_value", "fee")}
                facts["transactions"].append({**place, **kept, **amounts})
                for spend in tx["inputs"]:
                    names = {"spent_txid": spend["txid"], "spent_vout": spend["vout"], "value": int(spend["value"])}
                    facts["inputs"].append({**place, **names, **{n: spend[n] for n in ("address", "wallet", "asset")},
                                            "signed_by": spend.get("signed_by"),
                                            **{n: None if spend.get(n) is None else int(spend[n]) for n in ("held", "held_after")}})  # fmt: skip
                for output in tx["outputs"]:
                    names = ("vout", "address", "wallet", "asset", "script_type", "is_unspendable")
                    facts["outputs"].append({**place, "value": int(output["value"]), **{n: output.get(n) for n in names}})
                    facts["outputs"][-1]["is_unspendable"] = bool(output.get("is_unspendable"))
        for kind, rows in self._rows.items():
            facts[kind] = [row for _, row in rows.values()]
        whole = [v for v, parts in self._registry.items() if len(parts) == next(iter(parts.values()))["parts"]]
        for part in self._registry[max(whole)].values() if whole else ():
            for kind in ("miners", "licences", "accounts", "wallets"):
                facts[kind] += [{**row, **{n: _day(row.get(n)) for n in _DAYS if n in row or kind == "licences"}} for row in part[kind]]
        facts["labels"] = [{"chain": c, "address": a, "outflow_class": k} for (c, a), k in self._labels.items()]
        return shaped(facts)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


# --- by the world ----------------------------------------------------------------------------------------------------


def facts_of_world(life: Life, payees: list[Row]) -> Tables:
    """What the world knows of itself: its best chain, its office's books. `payees`: the log's, held against the books by the judge."""
    facts = facts_of_office(life)
    facts["payees"] = payees
    scripts = OWN.keys() | {script_of(row["address"], REGTEST) for row in payees}
    facts["pool_wallets"] = [{"chain": "bitcoin", "wallet": name} for name in WALLETS]
    chain = life.chain.chain()
    for block in chain[life.start_height :]:
        times = sorted(ancestor.time for ancestor in chain[max(0, block.height - 10) : block.height + 1])
        facts["blocks"].append(
            {"chain": "bitcoin", "hash": block.hash, "height": block.height, "time": block.time, "mediantime": times[len(times) // 2]}
        )
        for position, tx in enumerate(block.txs):
            _add_transaction(facts, block, position, tx, scripts)
    return shaped(facts)


def facts_of_office(life: Life) -> Tables:
    """The ledger, the registry and the labels as the world knows them; nothing yet of the chain."""
    facts: Tables = {name: [] for name in SHAPES}
    us = 1_000_000
    facts["allocations"] = [row | {"allocated_at": row["allocated_at"] * us} for row in life.office.ledger["allocations"].values()]
    facts["payments"] = [row | {"paid_at": row["paid_at"] * us} for row in life.office.ledger["payments"].values()]
    for kind in ("miners", "accounts", "wallets"):
        facts[kind] = [dict(row) for row in life.office.tables[kind]]
    facts["licences"] = [{"suspended_from": None, "suspended_to": None, **row} for row in life.office.tables["licences"]]
    facts["labels"] = [{"chain": life.chain_name, "address": where, "outflow_class": kind} for where, kind in life.labels.items()]
    return facts


def shaped(facts: Tables) -> Tables:
    """Every row with all the columns of the seam: what a Bitcoin pool never says is null there."""
    return {name: [{**dict.fromkeys(SHAPES[name]), **row} for row in rows] for name, rows in facts.items()}


def _add_transaction(facts: Tables, block: SimBlock, position: int, tx: SimTx, scripts: Collection[bytes]) -> None:
    """If it spends the pool's, or pays one of the scripts."""
    mine = [(outpoint, value, script) for outpoint, value, script in tx.spends if script in OWN]
    if not mine and not any(script in scripts for _, script in tx.pays):
        return
    others = [value for _, value, script in tx.spends if script not in OWN]
    place = dict(zip(_PLACE, ("bitcoin", block.hash, tx.txid), strict=True))
    # Of strangers' transactions neither what they spend nor their fee is asked for.
    fee = sum(value for _, value, _ in tx.spends) - sum(value for value, _ in tx.pays) if position and mine else 0
    facts["transactions"].append(
        {**place, "position": position, "is_coinbase": position == 0, "other_inputs": len(others), "other_inputs_value": sum(others) if mine else 0,
         "fee": fee, "fee_asset": "BTC"}
    )  # fmt: skip
    for (txid, vout), value, script in mine:
        facts["inputs"].append(
            {**place, "spent_txid": txid, "spent_vout": vout, "value": value, "address": address(script), "wallet": OWN[script],
             "asset": "BTC"}
        )  # fmt: skip
    for vout, (value, script) in enumerate(tx.pays):
        is_data = script == DATA
        kind = "nulldata" if is_data else "witness_v1_taproot" if script[0] == 0x51 else "witness_v0_keyhash"
        facts["outputs"].append(
            {**place, "vout": vout, "value": value, "address": None if is_data else address(script), "wallet": OWN.get(script),
             "asset": "BTC", "script_type": kind, "is_unspendable": is_data}
        )  # fmt: skip


def as_set(rows: Iterable[Row]) -> set[tuple[tuple[str, Any], ...]]:
    """Rows without their order."""
    return {tuple(sorted(row.items(), key=lambda item: item[0])) for row in rows}
