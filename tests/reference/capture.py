"""A capture directory, read plainly: what a node connected, a ledger and a registry, as lists of facts.

Enters: a directory of the shape of `docs/example/2026-10` (see `docs/example/README.md`). Leaves: the facts of the main
chain as it stands after the whole sequence (`Capture.facts`, by the names and columns of `pipeline.enrich.frames.SHAPES`),
and the rules' parameters. It shares no code with the connectors: blocks are parsed here by a small reader of its own, so
that a misreading of the wire shows as a difference. It leaves out proofs of work and Merkle roots: the node checked them.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from embit import base58, bech32

from pipeline.model.amounts import to_units
from pipeline.model.rules import Asset, Rules

Row = dict[str, Any]
Tables = dict[str, list[Row]]

# Base58 versions of P2PKH and P2SH, and the human-readable part of bech32, by network.
_PREFIXES = {
    "bitcoin": (0x00, 0x05, "bc"), "testnet4": (0x6F, 0xC4, "tb"), "testnet": (0x6F, 0xC4, "tb"),
    "signet": (0x6F, 0xC4, "tb"), "regtest": (0x6F, 0xC4, "bcrt"), "litecoin": (0x30, 0x32, "ltc"),
}  # fmt: skip


@dataclass(frozen=True)
class Capture:
    """A month's facts as the capture gives them, and the rules' parameters that its expected files were made with."""

    facts: Tables
    rules: Rules
    wallets: list[str]
    """The pool's wallets, in the order of `pool.json`."""


def read_capture(directory: Path) -> Capture:
    """Read a whole capture directory. Raises what the file that does not hold raises: this is a test's reader."""
    pool = json.loads((directory / "pool.json").read_text())
    chain, network = pool["chain"], pool["network"]
    asset = Asset("BTC", chain, 8)
    rules = Rules(
        assets={asset.name: asset},
        finality={chain: 6},
        payout_unit={asset.name: 10_000},
        has_payments_ledger=True,
        network={chain: network},
    )
    ours = {address: wallet["name"] for wallet in pool["wallets"] for address in wallet["addresses"]}
    facts = read_chain(directory, chain, asset.name, ours, network)
    facts |= read_ledger(directory, rules) | read_registry(directory)
    facts["pool_wallets"] = [{"chain": chain, "wallet": wallet["name"]} for wallet in pool["wallets"]]
    facts["labels"] = [
        {"chain": chain, "address": party["address"], "outflow_class": party["class"]} for party in pool.get("counterparties", [])
    ]
    return Capture(facts, rules, [wallet["name"] for wallet in pool["wallets"]])


# --- the chain -----------------------------------------------------------------------------------------------------


def read_chain(directory: Path, chain: str, asset: str, ours: dict[str, str], network: str) -> Tables:
    """Blocks, transactions, inputs and outputs of the main chain that touch an address in `ours` (address → wallet)."""
    with gzip.open(directory / "chain.jsonl.gz", "rt") as lines:
        blocks = {block["hash"]: block for block in map(json.loads, lines)}
    facts: Tables = {"blocks": [], "transactions": [], "inputs": [], "outputs": []}
    seen: dict[tuple[str, int], tuple[int, str | None]] = {}  # every output of the main chain: value, address
    for block_hash in main_chain(directory, blocks):
        block = blocks[block_hash]
        facts["blocks"].append(
            {"chain": chain, "hash": block_hash, "height": block["height"], "time": block["time"], "mediantime": block["mediantime"]}
        )
        for position, transaction in enumerate(parse_block(bytes.fromhex(block["raw"]))):
            _add_transaction(facts, seen, transaction, position, block_hash, chain, asset, ours, network)
    return facts


def main_chain(directory: Path, blocks: dict[str, Any]) -> list[str]:
    """Hashes of the main chain in order, as the recorded sequence of connects and disconnects leaves it."""
    stack: list[str] = []
    with gzip.open(directory / "sequence.jsonl.gz", "rt") as lines:
        for step in map(json.loads, lines):
            if step["event"] == "disconnect":
                assert stack.pop() == step["hash"], "a disconnect names the last block"
                continue
            # The recording may begin above the genesis block: then the blocks below the first are its ancestors.
            if not stack:
                parent = blocks[step["hash"]]["prev"]
                below = []
                while parent in blocks:
                    below.append(parent)
                    parent = blocks[parent]["prev"]
                stack.extend(reversed(below))
            assert not stack or blocks[step["hash"]]["prev"] == stack[-1], "a connect continues the chain"
            stack.append(step["hash"])
    return stack


def _add_transaction(
    facts: Tables, seen: dict[tuple[str, int], tuple[int, str | None]], transaction: Row, position: int, block_hash: str, chain: str,
    asset: str, ours: dict[str, str], network: str,
) -> None:  # fmt: skip
    place = {"chain": chain, "block_hash": block_hash, "txid": transaction["txid"]}
    outputs = []
    for vout, (value, script) in enumerate(transaction["outputs"]):
        address = address_of(script, network)
        seen[transaction["txid"], vout] = (value, address)
        outputs.append(
            {**place, "vout": vout, "value": value, "address": address, "wallet": ours.get(address or ""), "asset": asset,
             "script_type": script_type(script), "is_unspendable": script[:1] == b"\x6a"}
        )  # fmt: skip
    is_coinbase = transaction["inputs"][0][0] == "00" * 32
    inputs, strangers = [], []
    for spent_txid, spent_vout in [] if is_coinbase else transaction["inputs"]:
        value, address = seen[spent_txid, spent_vout]
        wallet = ours.get(address or "")
        if wallet is None:
            strangers.append(value)
            continue
        inputs.append(
            {
                **place,
                "spent_txid": spent_txid,
                "spent_vout": spent_vout,
                "value": value,
                "address": address,
                "wallet": wallet,
                "asset": asset,
            }
        )
    if not inputs and not any(output["wallet"] for output in outputs):
        return
    spent = sum(row["value"] for row in inputs) + sum(strangers)
    fee = 0 if is_coinbase else spent - sum(output["value"] for output in outputs)
    facts["transactions"].append(
        {**place, "position": position, "is_coinbase": is_coinbase, "other_inputs": len(strangers),
         "other_inputs_value": sum(strangers), "fee": fee, "fee_asset": asset}
    )  # fmt: skip
    facts["inputs"].extend(inputs)
    facts["outputs"].extend(outputs)


class _Reader:
    """A cursor over bytes, little-endian as Bitcoin writes them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        assert self.at <= len(self.data), "a block ends too early"
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def compact(self) -> int:
        first = self.number(1)
        return self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first]) if first >= 0xFD else first


def parse_block(raw: bytes) -> list[Row]:
    """A block's transactions: txid, inputs as (txid, vout), outputs as (value, script)."""
    reader = _Reader(raw)
    reader.take(80)
    transactions = [_parse_transaction(reader) for _ in range(reader.compact())]
    assert reader.at == len(raw), "nothing follows a block"
    return transactions


def _parse_transaction(reader: _Reader) -> Row:
    version = reader.take(4)
    has_witness = reader.data[reader.at : reader.at + 2] == b"\x00\x01"
    if has_witness:
        reader.take(2)
    body = reader.at
    inputs, outputs = [], []
    for _ in range(reader.compact()):
        inputs.append((reader.take(32)[::-1].hex(), reader.number(4)))
        reader.take(reader.compact())
        reader.take(4)
    for _ in range(reader.compact()):
        value = reader.number(8)
        outputs.append((value, reader.take(reader.compact())))
    core = reader.data[body : reader.at]
    if has_witness:
        for _ in inputs:
            for _ in range(reader.compact()):
                reader.take(reader.compact())
    stripped = version + core + reader.take(4)
    return {"txid": _double_sha256(stripped)[::-1].hex(), "inputs": inputs, "outputs": outputs}


def _double_sha256(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def script_type(script: bytes) -> str:
    """Bitcoin Core's name for the scripts that the rules tell apart (an OP_RETURN with more than pushes is `nulldata` here too)."""
    if script[:1] == b"\x6a":
        return "nulldata"
    named: dict[str, Callable[[bytes], bool]] = {
        "pubkeyhash": lambda s: len(s) == 25 and s[:3] == b"\x76\xa9\x14" and s[23:] == b"\x88\xac",
        "scripthash": lambda s: len(s) == 23 and s[:2] == b"\xa9\x14" and s[22:] == b"\x87",
        "witness_v0_keyhash": lambda s: len(s) == 22 and s[:2] == b"\x00\x14",
        "witness_v0_scripthash": lambda s: len(s) == 34 and s[:2] == b"\x00\x20",
        "witness_v1_taproot": lambda s: len(s) == 34 and s[:2] == b"\x51\x20",
        "anchor": lambda s: s == b"\x51\x02\x4e\x73",
        "witness_unknown": _is_witness,
    }
    return next((name for name, holds in named.items() if holds(script)), "nonstandard")


def _is_witness(script: bytes) -> bool:
    return 4 <= len(script) <= 42 and (0x51 <= script[0] <= 0x60) and script[1] == len(script) - 2


def address_of(script: bytes, network: str) -> str | None:
    """The address that a script pays, or None where it has none (OP_RETURN, bare keys and multisig, anything odd)."""
    public_key_hash, script_hash, human = _PREFIXES[network]
    kind = script_type(script)
    if kind == "pubkeyhash":
        return str(base58.encode_check(bytes([public_key_hash]) + script[3:23]))
    if kind == "scripthash":
        return str(base58.encode_check(bytes([script_hash]) + script[2:22]))
    if kind.startswith(("witness", "anchor")):
        version = script[0] - 0x50 if script[0] else 0
        return str(bech32.encode(human, version, list(script[2:])))
    return None


# --- ledger and registry -------------------------------------------------------------------------------------------


def read_ledger(directory: Path, rules: Rules) -> Tables:
    """Allocations, payments and, where the directory has them, openings."""
    return {
        "allocations": [_allocation(row, rules) for row in _csv(directory / "allocations.csv")],
        "payments": [
            {**row, "amount": _units(row["amount"], row["asset"], rules), "paid_at": _micros(row["paid_at"])}
            for row in _csv(directory / "payments.csv")
        ],
        "openings": [
            {**row, "amount": _units(row["amount"], row["asset"], rules), "owed_at": _micros(row["owed_at"])}
            for row in (_csv(directory / "openings.csv") if (directory / "openings.csv").exists() else [])
        ],
    }


def _allocation(row: dict[str, str], rules: Rules) -> Row:
    commission = row["commission_amount"]
    return {
        "allocation_id": row["allocation_id"],
        "account": row["account"],
        "asset": row["asset"],
        "allocated_at": _micros(row["allocated_at"]),
        "amount": _units(row["amount"], row["asset"], rules),
        "commission_asset": row["commission_asset"] or None,
        "commission_amount": _units(commission, row["commission_asset"], rules) if commission else None,
        "commission_currency": row["commission_currency"] or None,
        "commission_currency_amount": row["commission_currency_amount"] or None,
    }


def read_registry(directory: Path) -> Tables:
    """Miners, licences, accounts and wallets, with their days."""
    return {
        name: [{key: _day(value) if key.endswith(("_date", "_from", "_to")) else value for key, value in row.items()} for row in rows]
        for name in ("miners", "licences", "accounts", "wallets")
        for rows in [_csv(directory / f"{name}.csv")]
    }


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


def _units(text: str, asset: str, rules: Rules) -> int:
    return to_units(text, rules.assets[asset].decimals)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _micros(text: str) -> int:
    at = datetime.fromisoformat(text)
    assert at.tzinfo is not None, f"{text} has no offset"
    whole = int(at.astimezone(UTC).replace(microsecond=0).timestamp())
    return whole * 1_000_000 + at.microsecond
