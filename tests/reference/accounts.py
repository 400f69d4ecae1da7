"""What only account chains have (ADR 7): assets known by contract, addresses with a checksum, balances observed, answers that changed.

Enters: a `Case`. Leaves: its facts in assets of the settings alone, the issues `unknown-asset`, `bad-address`, `node-answer-changed` and `traces-differ`, and
what was observed of a wallet. Read from ADR 7 and `docs/evm.md`; it shares nothing with the program, Keccak-256 is the library's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from pipeline.model.issues import IssueCode
from pipeline.model.months import almaty_date
from pipeline.model.rules import Rules

if TYPE_CHECKING:
    from .registry import Case, Row, Tables

NAMED = ("inputs", "outputs", "observations")
"""Facts whose asset may be a contract that no settings named when they were told."""


def in_known_assets(facts: Tables, rules: Rules) -> tuple[Tables, list[Row]]:
    """The facts with contracts by the names that the settings give them now, without what they don't name; and the inputs of the latter."""
    names = {(asset.chain, asset.name): asset.name for asset in rules.assets.values()}
    names |= {(asset.chain, asset.contract): asset.name for asset in rules.assets.values() if asset.contract is not None}
    known = dict(facts)
    for table in NAMED:
        rows = facts.get(table, [])
        known[table] = [{**row, "asset": names[row["chain"], row["asset"]]} for row in rows if (row["chain"], row["asset"]) in names]
    return known, [row for row in facts["inputs"] if (row["chain"], row["asset"]) not in names]


def check_accounts(case: Case) -> None:
    """Issues of tokens that nobody knows and that left a pool wallet, of addresses mistyped, of answers that changed."""
    poisoners = {(row["chain"], row["address"]) for row in case.facts["labels"] if row["outflow_class"] == "poisoning"}
    for row in case.strangers:
        chain, block = row["chain"], case.blocks[row["chain"], row["block_hash"]]
        if poisoners & {(chain, row["asset"]), (chain, row.get("signed_by"))}:
            continue
        before, after = row.get("held"), row.get("held_after")
        if before == 0 or (before is not None and after is not None and after >= before):
            case.issue(IssueCode.FORGED_TRANSFERS, chain, almaty_date(block["time"]))
        else:
            case.issue(IssueCode.UNKNOWN_ASSET, f"{chain}:{row['asset']}", almaty_date(block["time"]))
    for row in case.facts.get("doubts", []):
        if row.get("txid") is None:
            case.issue(IssueCode.NODE_ANSWER_CHANGED, f"{row['chain']}:{row['height']}", almaty_date(row["time"]))
        elif (row["chain"], row["hash"]) in case.blocks:
            case.issue(IssueCode.TRACES_DIFFER, row["txid"], almaty_date(row["time"]))
    held = [
        row["address"] for row in case.facts["wallets"]
        if row["valid_from"] <= case.month.last and (row["valid_to"] is None or row["valid_to"] > case.month.first)
    ]  # fmt: skip
    judged = [p for p in case.payments_of_all_assets if p["payment_id"] not in case.of_any_form]  # 10.1, 10.5
    paid = [p["address"] for p in judged if case.is_in_month(almaty_date(p["paid_at"] // 1_000_000))]
    for address in {*held, *paid, *(row["address"] for row in case.facts["labels"])}:
        if is_mistyped(address):
            case.issue(IssueCode.BAD_ADDRESS, address)


def checksummed(address: str) -> str:
    """EIP-55: a letter is a capital where the hash of the address in lower case has a digit of 8 or more."""
    digits = address.removeprefix("0x").lower()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(mark, 16) >= 8 else c for c, mark in zip(digits, marks, strict=False))


def is_mistyped(address: str) -> bool:
    """In letters of both cases, and not in those of its checksum. What is written in one case has no checksum."""
    digits = address.removeprefix("0x")
    if len(digits) != 40 or len(address) != 42 or any(c not in "0123456789abcdefABCDEF" for c in digits):
        return False
    return digits not in (digits.lower(), digits.upper()) and address != checksummed(address)


def observed(case: Case, chain: str, wallet: str, asset: str, height: int) -> tuple[bool, int | None]:
    """Whether anything was observed of the wallet's asset after the block of that height; and how much, None where of some address nobody could tell."""
    values = [
        row["value"] for row in case.facts["observations"]
        if (row["chain"], row["wallet"], row["asset"], row["height"]) == (chain, wallet, asset, height)
    ]  # fmt: skip
    return bool(values), None if not values or None in values else sum(values)


def token_ref(case: Case, ref: str, asset: str) -> str:
    """The ref of an issue, and of a token's the asset: one transaction, or one wallet, may have several."""
    return f"{ref}:{asset}" if case.rules.assets[asset].contract is not None else ref
