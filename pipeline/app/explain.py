"""The story of one row of the form: from the ledger's allocation to the block that proves its transfer, each step with its rule.

Enters: a month's book (a frozen version or a draft) and the row's number. Leaves: `Story`, which `esep explain` prints and the console shows. Nothing is asked of a node
or fetched: all of it is in the month's file. Left out: printing.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from pipeline.chains.evidence import HEADERS, Evidence, Proof
from pipeline.enrich.match import WINDOW_US
from pipeline.model.amounts import from_units
from pipeline.model.errors import MonthError
from pipeline.model.message import Amount, joined, message
from pipeline.model.months import almaty_date
from pipeline.model.rules import Rules
from pipeline.store.month_rows import MonthRows
from pipeline.texts import N_
from pipeline.verify.evidence import prove_transactions
from pipeline.verify.opened import networks_of

from .story import BookFacts, Fact, InForce, Part, Step, Story, class_words, instant_of_micros, link_to

OPENING = "opening:"


def explain_row(rows: MonthRows, book: BookFacts, n: int) -> Story:
    """The story of row `n`. Raises MonthError for a number that the form does not have."""
    with rows.held() as held:
        found = held.rows("form.row", n=n)
        if not found:
            raise MonthError(message("{month} has no row {n}: the form's first column numbers its rows", month=book.month, n=n))
        row = found[0]
        return Story(book.month, book.version, book.digest, n, row, _printed_row(row, book.rules), _Teller(held, book, row).steps())


def _printed_row(row: dict[str, Any], rules: Rules) -> dict[str, str]:
    found = {}
    for name, asset in (("amount", row["asset"]), ("transfer_amount", row["asset"]), ("commission_asset_amount", row["commission_asset"])):
        if row[name] is not None:
            found[name] = from_units(row[name], rules.assets[asset].decimals)
    return found


class _Teller:
    """Tells the steps of one row."""

    def __init__(self, rows: MonthRows, book: BookFacts, row: dict[str, Any]) -> None:
        self._rows, self._book, self._rules, self._row = rows, book, book.rules, row
        self._asset = self._rules.assets[row["asset"]]
        self._key = {"txid": row["txid"], "address": row["wallet"] or "", "asset": row["asset"], "payer": row["payer"] or ""}
        self._versions = self._ledger_versions(row["allocation_id"])
        self._transfer = self._read_transfer()

    def steps(self) -> list[Step]:
        """All steps; those of a transfer only where the row has one."""
        found = [self._allocation(), self._holder(), self._licence(), self._settlement()]
        if self._row["txid"] is None:
            return found
        found += [self._payment(), self._moved()]
        if self._transfer is not None and self._transfer["block_hash"] is None:
            return found
        chain = self._rows.rows("story.transaction", txid=self._row["txid"])
        if chain:
            found += [self._transaction(chain[0]), self._block(chain[0]), self._proof(chain[0])]
        return found

    def _amount(self, name: str, units: int | None, asset: str | None = None) -> Fact:
        asset = asset or self._asset.name
        text = "" if units is None else from_units(units, self._rules.assets[asset].decimals)
        return Fact(name, text, "amount", asset)

    # --- the ledger

    def _ledger_versions(self, allocation_id: str) -> list[dict[str, Any]]:
        name = "story.opening" if allocation_id.startswith(OPENING) else "story.allocation"
        return self._rows.rows(name, allocation_id=allocation_id)

    def _allocation(self) -> Step:
        row, is_opening = self._row, self._row["allocation_id"].startswith(OPENING)
        parts = [Part(message("the ledger's row"), [Fact(message("id"), row["allocation_id"], "id")])]
        first, last = (self._versions[0], self._versions[-1]) if self._versions else (None, None)
        if first is not None and last is not None:
            if len(self._versions) == 1:
                parts.append(Part(message("as it was always seen"), self._version_facts(first)))
            else:
                parts.append(Part(message("first seen, as version 1"), self._version_facts(first)))
                parts.append(Part(message("last seen, as version {number}", number=last["version"]), self._version_facts(last)))
        says = message("The pool credited the miner on {day}.", day=row["allocation_date"])
        if is_opening:
            says = message(
                "What was owed to the account before the first month reported, as declared; it counts as allocated on {day}.",
                day=row["allocation_date"],
            )
        elif row["is_carried"]:
            says = message(
                "The pool credited the miner on {day}, in an earlier month: the row is carried, and says when it was transferred.",
                day=row["allocation_date"],
            )
        rules = ("6.4", "1.2") if is_opening else (("1.2", "1.3", "6.3") + (("7.4",) if row["is_carried"] else ()))
        return Step("allocation", message("Allocation"), rules, says, parts)

    def _version_facts(self, version: dict[str, Any]) -> list[Fact]:
        facts = [
            Fact(message("account"), version["account"], "id"),
            self._amount(message("amount"), version["amount"], version["asset"]),
            Fact(message("allocated at"), instant_of_micros(version["allocated_at"]), "instant"),
        ]
        if version.get("commission_amount") is not None:
            facts.append(self._amount(message("commission"), version["commission_amount"], version["commission_asset"]))
        if version.get("commission_currency_amount"):
            facts.append(
                Fact(message("commission in currency"), f"{version['commission_currency_amount']} {version['commission_currency']}")
            )
        return facts

    # --- the registry

    def _day(self) -> date:
        """The day by which holder and licence are looked up: that of the instant, also for an opening at 00:00 (rule 6.4)."""
        return almaty_date(self._versions[-1]["allocated_at"] // 1_000_000) if self._versions else self._row["allocation_date"]

    def _holder(self) -> Step:
        account = self._versions[-1]["account"] if self._versions else ""
        held = self._rows.rows("story.holders", account=account)
        parts = [Part(_who(one["miner_id"], one["name"]), _dates(one)) for one in held]
        says = message(
            "On {day} account {account} was held by {miner}.",
            day=self._day(),
            account=account,
            miner=self._row["miner_name"] or self._row["miner_id"] or "",
        )
        return Step("holder", message("Holder on that day"), ("4.4", "4.1"), says, parts)

    def _licence(self) -> Step:
        licences = self._rows.rows("story.licences", miner_id=self._row["miner_id"] or "")
        day, chosen = self._day(), self._row["licence_number"]
        parts = []
        for one in licences:
            dates = [Fact(message("issued"), str(one["issue_date"]), "day"), *_dates(one)]
            if one["suspended_from"] is not None:
                dates += [
                    Fact(message("suspended from"), str(one["suspended_from"]), "day"),
                    Fact(message("suspended until"), str(one["suspended_to"] or ""), "day"),
                ]
            title = (
                message("licence {number}, which the row shows", number=one["licence_number"])
                if one["licence_number"] == chosen
                else message("licence {number}", number=one["licence_number"])
            )
            parts.append(Part(title, dates))
        shown = next((one for one in licences if one["licence_number"] == chosen), None)
        if chosen is None:
            says = message("The miner has no licence that was issued by {day}.", day=day)
        elif shown is not None and _is_in_force(shown, day):
            says = message("On {day} licence {number} was in force.", day=day, number=chosen)
        else:
            says = message(
                "On {day} no licence was in force: the row shows the last one issued by that day, {number}.", day=day, number=chosen
            )
        return Step("licence", message("Licence on that day"), ("4.3",), says, parts)

    # --- settlement

    def _settlement(self) -> Step:
        row = self._row
        same = self._same_allocation()
        parts = []
        for one in same:
            words = message("row {n}", n=one["n"]) if one["n"] != row["n"] else message("row {n}, this one", n=one["n"])
            facts = [self._amount(message("amount"), one["amount"])]
            facts.append(
                Fact(message("transferred on"), str(one["transfer_date"] or ""), "day")
                if one["txid"]
                else Fact(message("transferred on"), message("not yet"))
            )
            parts.append(Part(words, facts))
        if row["txid"] is None:
            says = message(
                "{amount} {asset} of the allocation was not settled by the month's end.",
                amount=Amount(from_units(row["amount"], self._asset.decimals)),
                asset=row["asset"],
            )
        else:
            says = message(
                "{amount} {asset} of the allocation was settled by this transfer: the oldest allocation first, by the oldest transfer first.",
                amount=Amount(from_units(row["amount"], self._asset.decimals)),
                asset=row["asset"],
            )
        return Step("settlement", message("Settlement"), ("6.1", "7.2", "7.3"), says, parts)

    def _same_allocation(self) -> list[dict[str, Any]]:
        """The rows of the same allocation: neighbours (rule 7.5), sought until both edges are of other ones."""
        n, name, span = self._row["n"], self._row["allocation_id"], 100
        while True:
            found = self._rows.rows("story.same_allocation", first=n - span, last=n + span, allocation_id=name)
            if not {n - span, n + span} & {one["n"] for one in found}:
                return found
            span *= 100

    # --- payment and transfer

    def _read_transfer(self) -> dict[str, Any] | None:
        found = self._rows.rows("story.transfer", **self._key) if self._row["txid"] is not None else []
        return found[0] if found else None

    def _payment(self) -> Step:
        row, transfer = self._row, self._transfer
        explanation = (transfer["explanation"] if transfer else None) or "none"
        linked = self._linked_payments(explanation)
        parts = []
        for one in linked:
            versions = self._rows.rows("story.payment", payment_id=one["payment_id"])
            facts = [
                Fact(message("account"), one["account"], "id"),
                self._amount(message("amount"), one["amount"], one["asset"]),
                Fact(message("paid at"), instant_of_micros(one["paid_at"]), "instant"),
                Fact(message("transaction"), one["txid"], "txid"),
            ]
            if len(versions) > 1:
                facts.append(self._amount(message("amount as first seen"), versions[0]["amount"], versions[0]["asset"]))
                facts.append(Fact(message("version"), str(one["version"]), "count"))
            parts.append(Part(message("payment {id}", id=one["payment_id"]), facts))
        settings = [InForce("ledger.payments", "true" if self._rules.has_payments_ledger else "false")]
        if explanation.endswith("rounding"):
            settings.append(InForce(f"payout_unit.{row['asset']}", str(self._rules.payout_unit.get(row["asset"], 1))))
        rules = ("5.2", "5.3", "5.5") if linked else ("5.4", "5.5")
        if row["payer"]:
            rules = ("10.1", "10.2", "10.3") if transfer and transfer["block_hash"] else ("10.1", "10.5")
            payer = self._rules.payers.get(row["payer"])
            settings.append(InForce(f"payers.{row['payer']}.way", payer.way if payer else ""))
        return Step("payment", message("Payment in the ledger"), rules, _explained(explanation, len(linked)), parts, settings)

    def _linked_payments(self, explanation: str) -> list[dict[str, Any]]:
        """The payments that the transfer was matched with, as its explanation says (rules 5.2, 5.3)."""
        if explanation == "none" or self._transfer is None:
            return []
        if explanation.startswith("replaced+"):
            return self._rows.rows("story.replaced_payments", **self._key, at_us=self._transfer["at"] * 1_000_000, window_us=WINDOW_US)
        return self._rows.rows("story.payments", **self._key)

    def _moved(self) -> Step:
        row, transfer = self._row, self._transfer
        if transfer is None:
            return Step(
                "transfer",
                message("Transfer"),
                ("5.1",),
                message("The month's file does not have the transfer: it is of an earlier month's version."),
            )
        chain = transfer["chain"]
        outputs = self._rows.rows("story.outputs", txid=row["txid"], address=row["wallet"] or "", asset=row["asset"])
        facts = [
            Fact(message("to address"), row["wallet"] or "", "address"),
            self._amount(message("amount"), transfer["amount"]),
            self._amount(message("settles"), transfer["credited"]),
            Fact(message("explanation"), transfer["explanation"] or "", "explanation"),
        ]
        parts = [Part(message("the transfer"), facts)]
        if len(outputs) > 1:
            parts += [
                Part(message("output {number}", number=one["vout"]), [self._amount(message("amount"), one["value"])]) for one in outputs
            ]
        parts += [
            Part(message("{who} held the address", who=_who(one["miner_id"], one["name"])), _dates(one))
            for one in self._rows.rows("story.wallets", address=row["wallet"] or "", chain=chain)
        ]
        if row["payer"] and transfer["block_hash"] is None:
            says = message("{payer} paid outside any chain: the transfer rests on the ledger's word alone.", payer=row["payer"])
            return Step("transfer", message("Transfer"), ("10.5",), says, parts)
        says = message("All outputs of the transaction to one address are one transfer.")
        return Step("transfer", message("Transfer"), ("5.1", "3.1", "4.2"), says, parts)

    # --- the chain

    def _transaction(self, found: dict[str, Any]) -> Step:
        facts = [Fact(message("transaction"), found["txid"], "txid"), self._amount(message("fee"), found["fee"], found["fee_asset"])]
        parts = [Part(message("the transaction"), facts)]
        parts += [
            Part(
                message("out of wallet {wallet}", wallet=one["wallet"]),
                [self._amount(message("amount"), one["value"], one["asset"]), Fact(message("coins"), str(one["coins"]), "count")],
            )
            for one in self._rows.rows("story.inputs", txid=found["txid"])
            if one["asset"] in self._rules.assets
        ]
        parts += [
            Part(
                message("outputs: {name}", name=class_words(one["class"])),
                [self._amount(message("amount"), one["amount"], one["asset"]), Fact(message("outputs"), str(one["outputs"]), "count")],
            )
            for one in self._rows.rows("story.outflows", txid=found["txid"])
            if one["asset"] in self._rules.assets
        ]
        says = (
            message("A coinbase: the coins were mined in it.")
            if found["is_coinbase"]
            else message("The transaction spent coins of the pool.")
        )
        if row_payer := self._row["payer"]:
            says = message("The transaction of {payer}: it spent none of the pool's coins.", payer=row_payer)
        link = link_to(self._book.explorers, found["chain"], found["txid"])
        return Step("transaction", message("Transaction"), ("3.1", "3.2"), says, parts, link=link)

    def _block(self, found: dict[str, Any]) -> Step:
        tip = self._rows.rows("story.tip", chain=found["chain"])
        confirmations = tip[0]["height"] - found["height"] + 1 if tip and tip[0]["height"] is not None else 0
        facts = [
            Fact(message("height"), str(found["height"]), "count"),
            Fact(message("hash"), found["block_hash"], "block"),
            Fact(message("header's time"), instant_of_micros(found["time"] * 1_000_000), "instant"),
            Fact(message("confirmations when the month was worked out"), str(confirmations), "count"),
        ]
        settings = [InForce(f"chains.{found['chain']}.finality", str(self._rules.finality.get(found["chain"], "")))]
        if (needed := self._rules.witnesses.get(found["chain"])) is not None:
            settings.append(InForce(f"chains.{found['chain']}.witnesses", str(needed)))
        says = message("The block's header says when it was made: in Almaty that was {day}.", day=almaty_date(found["time"]))
        return Step("block", message("Block"), ("1.2", "1.3", "8.1"), says, [Part(message("the block"), facts)], settings)

    def _proof(self, found: dict[str, Any]) -> Step:
        title, rules = message("Proof"), ("8.2",)
        if found["raw"] is None or found["header"] is None or (found["branch"] is None and found["transaction_proof"] is None):
            says = message("The node gave no proof for this block: nothing but the nodes' word shows the transaction.")
            return Step("proof", title, rules, says)
        proof = Proof(
            chain=found["chain"], txid=found["txid"], block_hash=found["block_hash"], height=found["height"], position=found["position"],
            branch=list(found["branch"] or []), raw=found["raw"], receipt=found["receipt"],
            transaction_proof=found["transaction_proof"], receipt_proof=found["receipt_proof"],
        )  # fmt: skip
        header = pl.DataFrame(
            [(found["chain"], found["height"], found["block_hash"], found["mediantime"], found["header"])], schema=HEADERS, orient="row"
        )
        proven, faults = prove_transactions(Evidence(header, [proof], []), networks_of(self._rules))
        shown = proven.get((found["chain"], found["txid"]))
        facts = [
            Fact(message("place in the block"), str(found["position"]), "count"),
            Fact(message("hashes on the way to the header"), str(len(found["branch"] or found["transaction_proof"] or [])), "count"),
        ]
        parts = [Part(message("the proof"), facts)]
        if faults or shown is None:
            return Step("proof", title, rules, message("The proof does not hold: {why}", why=joined("; ", faults)), parts, is_proved=False)
        contract = self._asset.contract
        paid = shown.amounts.get((self._row["wallet"] or "", contract))
        if paid is not None:
            facts.append(self._amount(message("pays the address, by its own bytes"), paid))
        amount = self._transfer["amount"] if self._transfer else None
        if paid == amount or shown.may_call:
            says = message(
                "Checked just now: the transaction's bytes hash to its id, and its place in the block leads to the header's root."
            )
            return Step("proof", title, rules, says, parts, is_proved=True)
        says = message("The transaction is in the block, but its bytes pay the address another amount.")
        return Step("proof", title, rules, says, parts, is_proved=False)


def _who(miner_id: str, name: str | None) -> str:
    return name or miner_id


def _dates(one: dict[str, Any]) -> list[Fact]:
    until = (
        Fact(message("valid until"), str(one["valid_to"]), "day")
        if one["valid_to"] is not None
        else Fact(message("valid until"), message("no end"))
    )
    return [Fact(message("valid from"), str(one["valid_from"]), "day"), until]


def _is_in_force(licence: dict[str, Any], day: date) -> bool:
    """Rule 4.3, of one licence; the same as `enrich.identify.licences_on` has for all of them."""
    is_valid = licence["valid_from"] <= day and (licence["valid_to"] is None or day < licence["valid_to"])
    suspended = licence["suspended_from"]
    return bool(
        is_valid and not (suspended is not None and suspended <= day and (licence["suspended_to"] is None or day < licence["suspended_to"]))
    )


_EXPLAINED: dict[str, str] = {
    "exact": N_("The payments come to what the chain shows."),
    "subtracted-fee": N_("The chain shows less than the payments: the transaction's fee was taken off the receivers."),
    "rounding": N_("The chain shows the payments rounded to the pool's payout unit."),
    "differs": N_("The chain shows another amount than the payments, and no rule explains it: the chain's amount counts."),
    "attested": N_("The payer's reference stands for a transaction: the ledger's word alone says that it paid."),
}


def _explained(explanation: str, payments: int) -> str:
    """How the payments and the transfer agree, in a sentence (rules 5.2, 5.3)."""
    reason = explanation.removeprefix("replaced+")
    if explanation == "none" or not payments:
        return message("The ledger lists no payment for this transfer: the chain's amount counts, for the holder of the address.")
    said = message(_EXPLAINED[reason]) if reason in _EXPLAINED else reason
    if explanation != reason:
        return message("The payment's own transaction never reached the chain: this one replaced it. {said}", said=said)
    return said
