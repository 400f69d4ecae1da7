"""What an item of a source waits for, in words: the templates of every detail, and the way back from the English text that stands in the log.

Enters: named values, or a detail as it was stored (English: facts have no language). Leaves: the English text, or the same as a `Message`, which whoever shows it says in
the reader's language (ADR 13). A detail that an older program worded otherwise stays as it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from pipeline.model.message import Instant, joined, message
from pipeline.texts import N_

GONE: Final = N_("{table} row {row_id} is gone: {why}; find out who deleted it, then accept that it counts as it was, or refuse it")
AHEAD: Final = N_(
    "{table} row {row_id} is dated {at}, {minutes} minutes after it was seen: where the database keeps local time, have the statement name its zone; else accept it"
)
IMMATURE_BLOCK: Final = N_("earnings row {row_id}: {amount} base units for {account}, whose block {height} is not mature")
IMMATURE_CONFIRMATIONS: Final = N_(
    "transactions row {row_id}: {amount} base units for {account}, whose block has {confirmations} of {needed} confirmations"
)
BLOCK_GONE: Final = N_(
    "transactions row {row_id}: {amount} base units for {account}, whose block is gone with {confirmations} of {needed} confirmations: accept it as a credit, or refuse it"
)
NOT_FINAL: Final = N_("allocations row {row_id}: {amount} base units for {account} are not final")
STILL: Final = N_("earnings of {account} on {day}: {amount} base units, still {states}")
EARNINGS_GONE: Final = N_(
    "earnings row {row_id}: {amount} base units for {account} are gone, last seen with status {status}, and block {height} is no orphan: accept it as a credit, or refuse it"
)
PAYOUT_WITHOUT_ID: Final = N_(
    "{table} row {row_id}: {amount} base units for {account}, without a transaction yet: say under which it was paid, or that it was not"
)
PAYOUT_OUTCOME: Final = N_("payouts row {row_id}: {amount} base units to {address}, {why}: say under which it was paid, or that it was not")
PAYOUT_OUTCOME_FAILED: Final = N_(
    "payouts row {row_id}: {amount} base units to {address}, {why} ({failure}): say under which it was paid, or that it was not"
)
PAYOUT_NOT_SENT: Final = N_(
    "transactions row {row_id}: {amount} base units to {address}, written before it was sent, and no transaction id came: say under which it was paid, or that it was not"
)
PAYMENT_OUTCOME: Final = N_(
    "payments row {row_id}: {amount} base units to {address}, without a known outcome: say under which transaction it was paid, or that it was not"
)
NO_TRANSACTION_ID: Final = N_("payments row {row_id}: {text} is no transaction id: say under which it was paid, or that it was not")
PAYOUT_GONE: Final = N_(
    "payouts row {row_id} with transaction {txid} is gone before its 60 days: it counts as it was; find out who deleted it, then accept this, or refuse it"
)
OF_A_CATEGORY: Final = N_(
    "{table} row {row_id}: {amount} base units, a {kind} of the category {category}: accept it as an earning, or refuse it"
)
OF_A_TYPE: Final = N_("{table} row {row_id}: {amount} base units of the type {kind}")
OF_A_WAY: Final = N_("{table} row {row_id}: {amount} base units by {way}: import it as an off-chain payer's payment (rule 10.5)")
OF_NO_BLOCK: Final = N_(
    "transactions row {row_id}: {amount} base units for {account}, of the type {kind}, which belongs to no block: accept it as a credit, or refuse it"
)
OTHER_CHANGE: Final = N_(
    "balance_changes row {row_id}: {amount} base units to account {account}, with the usage {usage}, which Miningcore does not write: accept it as a credit, or refuse it"
)
PAYOUT_COST: Final = N_(
    "transactions row {row_id}: a payout cost {account} {amount} base units, which were taken off the balance and not sent: name an off-chain payer for them (fee_payer), or refuse it, and they stay owed"
)
FEES_WITHOUT_CREDIT: Final = N_("transactions row(s) {names}: a fee without a credit of its block")
FEE_BEFORE_CREDIT: Final = N_("transactions row {row_id}: a fee before any credit of its account")
UNREADABLE_WITH_FEES: Final = N_("transactions row {row_id}, with its fees: {error}")
FEES_DIFFER: Final = N_("transactions row {row_id}: {gross} base units less the fees {fee} are not the {amount} that were credited")
RATE_DIFFERS: Final = N_(
    "block {height}: the recipients were credited {fee} of {gross} base units, and the table of fees says {rate} percent"
)
COMMISSION_DIFFERS: Final = N_("{what}: the commission is {fee} of {gross} base units, and the table of fees says {rate} percent")
SUMS_DIFFER: Final = N_("account {account}: its cleared earnings less its payouts add up to {expected}, accounts says {balance}")
CHANGES_DIFFER: Final = N_("account {account}: balance_changes add up to {changes}, balances says {balance}")
TAKEN_OFF: Final = N_(
    "account {account}: {amount} base units were taken off the balance without a payment: a payment may have been sent and not written"
)
PAID_WITHOUT_RESET: Final = N_(
    "account {account}: {amount} base units were paid of which no balance was reset: a payment may have been sent and not written"
)
RESTATED: Final = N_("the source restates {row_id}: {moves}; accept it if it is the same credit, or refuse it")
MOVED_ACCOUNT: Final = N_("account from {old} to {new}")
MOVED_ASSET: Final = N_("asset from {old} to {new}")
MOVED_MONTH: Final = N_("month from {old} to {new}")
CONTRADICTED: Final = N_("the source says {theirs} of {row_id}, and an import by hand says {ours}; accept the source's, or refuse it")
CONTRADICTS_REGISTRY: Final = N_("{kind} {name}: on {day} {what}: the imported row stands until somebody accepts the source's")
REGISTRY_ROW: Final = N_("{kind} row {row_id}: {what}: it is left out")
UNDATED: Final = N_(
    "{table} row {row_id} ({subjects}) {what} after a look of {first} and before one of {last}: it counts from {again} on until somebody says from which day on it does"
)
UNREADABLE_ROWS: Final = N_("{rows}: {error}")
NO_AMOUNT: Final = N_(
    "{row_id}: {amount} base units: an amount of the ledger is 0 or more, of at most 38 digits; mend the row in the source, or what it corrects"
)

ANOTHER_HOLDER: Final = N_("another miner holds it there")
ENDS_ELSEWHERE: Final = N_("what was imported ends on {end}, and the source says {other}")
GOES_ON: Final = N_("what was imported ends on {end}, and the source says that it goes on")

_WHY: Final = (
    ANOTHER_HOLDER, GOES_ON, ENDS_ELSEWHERE,
    N_("it counts as it was seen last"), N_("its block may be an orphan: it counts as it was seen last"), N_("MPOS never deletes a transaction"),
    N_("Miningcore never deletes a credit"), N_("Miningcore never deletes a payment"),
    N_("deleted, and its coins may have been sent all the same"), N_("written before it was sent, and no transaction id came"),
    N_("appeared"), N_("is gone"), N_("changed"),
    N_("{text} is no amount"), N_("{text} is no instant"), N_("{text} is no Unix time"), N_("{text} is no number of confirmations"),
    N_("{name} is empty"), N_("{name} is too long, {count} characters: at most {limit}"), N_("asset {asset} is not in the settings"), N_("state {state} is none of final, pending, void"),
    N_("{text} is no day: write it like 2026-10-01"), N_("account {number} is not in `accounts`"), N_("the payout of {account} names no address: give it in `addresses`"),
)  # fmt: skip
"""What a placeholder may hold that is words itself."""
_REGISTRY: Final = (
    N_("is missing"), N_("is missing, though {names} is given"), N_("{last} is before {names}, {first}: the period would end before it begins"),
    N_("{id} stands in line {first} already, with other values"), N_("{text} is not a day of the calendar: write it as {ways}"),
    N_("{text} is before 1900, as a spreadsheet has an empty date: empty the cell, or write the day"), N_("{text} has a time, where a day is meant: write it as {ways}"),
    N_("{text} is not written as 2026-10-31: write it so, or set days = {days} in {place}"),
    N_("is too long, {count} characters: at most {limit}"), N_("has a line end in it, after {text}: write it on one line"),
    N_("has {kind} at place {place}, U+{ord} ({name}): remove it"),
    N_("{text} is a class that the rules give themselves: choose another word, such as vendor or exchange"),
    N_("{address} is an address of another network ({others}), not of {name}"), N_("{address} is no address of {name}: wrong length ({count} characters)"),
    N_("{address} is no address of {name}: it has characters that no base58 address has"), N_("{address} mixes capital and small letters"),
    N_("{address} has a wrong checksum: a character is mistyped, missing or swapped"), N_("{address} has a wrong length ({count} characters)"),
    N_("{address} begins like {hrp}1… but its prefix is {found}: a character is wrong or missing"),
    N_("{address} is not an address: it has spaces or characters other than ASCII"), N_("{text} is not an address of {name}: 0x and 40 hexadecimal digits"),
)  # fmt: skip
"""What is wrong with a cell of a registry's row (`pipeline.validate`)."""
_MOVES: Final = (MOVED_ACCOUNT, MOVED_ASSET, MOVED_MONTH)
_ALL: Final = (
    GONE, AHEAD, IMMATURE_BLOCK, IMMATURE_CONFIRMATIONS, BLOCK_GONE, NOT_FINAL, STILL, EARNINGS_GONE, PAYOUT_WITHOUT_ID, PAYOUT_OUTCOME_FAILED, PAYOUT_OUTCOME,
    PAYOUT_NOT_SENT, PAYMENT_OUTCOME, NO_TRANSACTION_ID, PAYOUT_GONE, OF_A_CATEGORY, OF_A_TYPE, OF_A_WAY, OF_NO_BLOCK, OTHER_CHANGE, PAYOUT_COST,
    FEES_WITHOUT_CREDIT, FEE_BEFORE_CREDIT, UNREADABLE_WITH_FEES, FEES_DIFFER, RATE_DIFFERS, COMMISSION_DIFFERS, SUMS_DIFFER, CHANGES_DIFFER, TAKEN_OFF, PAID_WITHOUT_RESET,
    RESTATED, CONTRADICTED, CONTRADICTS_REGISTRY, REGISTRY_ROW, UNDATED, NO_AMOUNT, UNREADABLE_ROWS,
)  # fmt: skip
_WORDS: Final = ("why", "what", "error")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def as_message(detail: str) -> str:
    """A stored detail with the template that it was made of and its values, so that it can be said in any language; the text itself where no template fits."""
    for template in _ALL:
        if (values := _values(template, detail)) is not None:
            if template is REGISTRY_ROW:
                values["what"] = joined("; ", map(_cell_fault, values["what"].split("; ")))
            return message(template, **{name: _inner(name, value) for name, value in values.items()})
    return detail


def _cell_fault(text: str) -> str:
    """`valid_to: is missing`: the column, and what is wrong there."""
    column, separator, what = text.partition(": ")
    return joined(separator, [column, _of(what, _REGISTRY)]) if separator else text


def _inner(name: str, value: str) -> str:
    if name == "moves":
        return joined(", ", [_of(part, _MOVES) for part in value.split(", ")])
    if value.endswith(" UTC"):
        return Instant(value)
    return _of(value, _WHY) if name in _WORDS else value


def _of(text: str, templates: tuple[str, ...]) -> str:
    for template in templates:
        if (values := _values(template, text)) is not None:
            return message(template, **values)
    return text


def _values(template: str, text: str) -> dict[str, str] | None:
    """What stands in the template's places, if the text was made of it."""
    found = _pattern(template).fullmatch(text)
    return found.groupdict() if found else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(template)
    return re.compile("".join(f"(?P<{part}>.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)), re.DOTALL)
