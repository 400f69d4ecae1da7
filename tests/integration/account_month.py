"""A month on an account chain by hand, as its connector would tell it: real headers, tries, signed transactions and receipts.

October 2026 of a pool with one wallet: a plain transfer, a token's, one through a batch contract (an internal call), one that failed.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from eth_account import Account

from connectors.standins.log_memory import MemoryLog
from pipeline.app.months import month_state
from pipeline.assess.month import assess_month
from pipeline.chains.evm.headers import header_hash
from pipeline.chains.evm.receipts import TRANSFER_TOPIC, receipt_rlp
from pipeline.freeze.bundle import Content, Version
from pipeline.freeze.freeze import begin_freeze, freeze_month, transactions_to_prove
from pipeline.log.events import encode
from pipeline.log.events.chain import (
    AccountColumns,
    Accounts,
    BalanceColumns,
    Balances,
    Connect,
    Doubt,
    Input,
    Output,
    Stretch,
    Transaction,
    Watch,
    WatchedWallet,
)
from pipeline.log.events.ledger import AllocationColumns, Allocations, Complete
from pipeline.log.events.months import Frozen
from pipeline.log.events.parts import Event
from pipeline.log.events.registry import (
    AccountRow,
    LicenceRow,
    MinerRow,
    Registry,
    WalletRow,
)
from pipeline.log.protocol import Topic
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules
from pipeline.store import Store
from pipeline.store.evidence import read_evidence
from pipeline.store.facts import write_enriched
from pipeline.store.ingest import Ingest
from pipeline.store.publish import export_month
from tests.evm_encoding import header_rlp, prove, state_trie, trie_root

POOL, CHAIN, MONTH = "pool", "ethereum", Month(2026, 10)
ANNA, BORAT = "201040334324", "240440639442"
A = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
B = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
BATCH = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
USDT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
KEY = "0x" + "46" * 32
HOT = Account.from_key(KEY).address
GWEI, ETHER = 10**9, 10**18
RULES = Rules(
    assets={"ETH": Asset("ETH", CHAIN, 18), "USDT": Asset("USDT", CHAIN, 6, USDT)},
    finality={CHAIN: 2},
    payout_unit={"ETH": 1, "USDT": 1},
    has_payments_ledger=False,
    network={CHAIN: "evm:1"},
)
HEADER = dict.fromkeys(("bin", "name", "address", "telephone", "email", "executor_name", "executor_telephone", "head_name"), "x")
GAS = (21_000, 60_000, 100_000, 30_000)
FEES = sum(GAS) * GWEI
BEFORE = {"ETH": 10 * ETHER, "USDT": 1_000_000_000}
AFTER = {"ETH": 7 * ETHER - FEES, "USDT": 995_000_000}


def at(text: str) -> int:
    return int(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo("Asia/Almaty")).timestamp())


STRANGERS = {f"0x{number:040x}": number * ETHER for number in range(1, 40)}


class Delegation(NamedTuple):
    """An authorization of code (EIP-7702) that the wallet's second transaction carries; the ones after it go on one number higher.

    `is_strangers`: that a stranger's transaction right before it carries; `is_told`: and that the log tells, though it moves nothing of the pool's.
    """

    nonce: int = 2
    chain_id: int = 1
    key: str = KEY
    is_strangers: bool = False
    is_told: bool = True


STRANGER_KEY = "0x" + "48" * 32


@cache
def state_of(held: int, delegation: Delegation | None = None) -> tuple[bytes, list[bytes]]:
    """The root of the state in which the pool's wallet holds so many wei, and the nodes that prove it."""
    is_after = held == AFTER["ETH"]
    used = len(GAS) + (delegation is not None) if is_after else 0
    codes = {HOT: b"\xef\x01\x00" + bytes.fromhex(BATCH[2:])} if delegation and is_after else {}
    root, nodes = state_trie({**STRANGERS, HOT: held}, {HOT: used}, codes)
    return root, nodes[HOT]


def header_of(
    number: int, prev: str, when: str, transactions: list[bytes], receipts: list[bytes], held: int, delegation: Delegation | None = None
) -> bytes:
    block: dict[str, Any] = {
        "parentHash": f"0x{prev}", "sha3Uncles": "0x" + "11" * 32, "miner": "0x" + "22" * 20, "stateRoot": "0x" + state_of(held, delegation)[0].hex(),
        "transactionsRoot": "0x" + trie_root(transactions).hex(), "receiptsRoot": "0x" + trie_root(receipts).hex(), "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0", "number": hex(number), "gasLimit": "0x1c9c380", "gasUsed": "0x33450", "timestamp": hex(at(when)), "extraData": "0x",
        "mixHash": "0x" + "44" * 32, "nonce": "0x" + "00" * 8, "baseFeePerGas": "0x7", "withdrawalsRoot": "0x" + "55" * 32,
    }  # fmt: skip
    return header_rlp(block)


def _signed(
    nonce: int, to: str, value: int, gas: int, data: str = "0x", delegation: Delegation | None = None, *, key: str = KEY
) -> tuple[str, bytes]:
    fees: dict[str, Any] = {"type": 2, "maxFeePerGas": GWEI, "maxPriorityFeePerGas": GWEI, "chainId": 1}
    if delegation is not None:
        given = {"chainId": delegation.chain_id, "address": BATCH, "nonce": delegation.nonce}
        fees |= {"type": 4, "authorizationList": [Account.sign_authorization(given, delegation.key)]}
    made = Account.sign_transaction({"nonce": nonce, "to": to, "value": value, "gas": gas, "data": data, **fees}, key)
    return bytes(made.hash).hex(), bytes(made.raw_transaction)


def receipt_of(position: int, *, status: int = 1, logs: list[dict[str, Any]] | None = None, kind: int = 2) -> bytes:
    used = sum(GAS[: position + 1])
    return receipt_rlp(
        {"type": hex(kind), "status": hex(status), "cumulativeGasUsed": hex(used), "logsBloom": "0x" + "00" * 256, "logs": logs or []}
    )


def token_log(receiver: str, value: int) -> dict[str, Any]:
    topics = ["0x" + TRANSFER_TOPIC.hex(), *("0x" + address[2:].lower().rjust(64, "0") for address in (HOT, receiver))]
    return {"address": USDT, "topics": topics, "data": f"0x{value:064x}"}


@cache
def payments_block(prev: str, delegation: Delegation | None = None) -> tuple[bytes, list[Transaction]]:
    """The header and the told transactions of the one block that pays."""
    more = int(delegation is not None)
    strangers = delegation if delegation is not None and delegation.is_strangers else None
    first, own = (1, None) if strangers else (0, delegation)
    signed = [
        _signed(0, A, 2 * ETHER, 21_000),
        _signed(1 + first, USDT, 0, 90_000, "0xa9059cbb" + B[2:].lower().rjust(64, "0") + f"{5_000_000:064x}", own),
        _signed(2 + more, BATCH, ETHER, 200_000, "0x12345678"),
        _signed(3 + more, BATCH, 5 * ETHER, 30_000, "0x12345678"),
    ]
    receipts = [
        receipt_of(0),
        receipt_of(1, logs=[token_log(B, 5_000_000)], kind=4 if own else 2),
        receipt_of(2),
        receipt_of(3, status=0),
    ]
    moved: list[list[tuple[str, str, int, str]]] = [
        [(A, "ETH", 2 * ETHER, "tx")], [(B, "USDT", 5_000_000, "log:0")], [(A, "ETH", ETHER, "call:0")], [],
    ]  # fmt: skip
    gas = list(GAS)
    if strangers:
        for given, item in (
            (signed, _signed(0, BATCH, 0, 60_000, delegation=strangers, key=STRANGER_KEY)),
            (receipts, receipt_of(0, kind=4)), (moved, []), (gas, 0),
        ):  # fmt: skip
            given.insert(1, item)  # type: ignore[attr-defined]
    raws = [raw for _, raw in signed]
    told = []
    for position, (txid, raw) in enumerate(signed):
        if not gas[position]:
            if delegation is not None and delegation.is_told:
                told.append(_strangers(txid, position, raws, receipts))
            continue
        paid = [(asset, value) for _, asset, value, _ in moved[position]] + [("ETH", gas[position] * GWEI)]
        told.append(
            Transaction(
                txid=txid,
                position=position,
                is_coinbase=False,
                inputs=[
                    Input(txid=txid, vout=n, value=str(value), address=HOT, wallet="hot", asset=asset)
                    for n, (asset, value) in enumerate(paid)
                ],
                other_inputs=0,
                other_inputs_value="0",
                outputs=[
                    Output(vout=n, value=str(value), address=address, asset=asset, script_type="account", ref=ref)
                    for n, (address, asset, value, ref) in enumerate(moved[position])
                ],
                fee=str(gas[position] * GWEI),
                fee_asset="ETH",
                fee_wallet="hot",
                raw=raw.hex(),
                receipt=receipts[position].hex(),
                transaction_proof=[node.hex() for node in prove(raws, position)],
                receipt_proof=[node.hex() for node in prove(receipts, position)],
            )
        )
    return header_of(101, prev, "10-10 12:00", raws, receipts, AFTER["ETH"], delegation), told


def _strangers(txid: str, position: int, raws: list[bytes], receipts: list[bytes]) -> Transaction:
    """A stranger's transaction as it is told for the authorization that it carries."""
    return Transaction(
        txid=txid, position=position, is_coinbase=False, inputs=[], other_inputs=0, other_inputs_value="0", outputs=[], fee="0", fee_asset="ETH",
        raw=raws[position].hex(), receipt=receipts[position].hex(), transaction_proof=[node.hex() for node in prove(raws, position)],
        receipt_proof=[node.hex() for node in prove(receipts, position)],
    )  # fmt: skip


def chain_events(
    after: dict[str, int | None] | None = None,
    *,
    is_proved: bool = False,
    delegation: Delegation | None = None,
    told_from: int | None = 100,
) -> list[Event]:
    """From the watch list to two blocks of November; what the wallet held after October may be told otherwise. `is_proved`: with account proofs.

    `told_from`: from which block on the follower tells authorizations of code; None: it is one of before it could.
    """
    below = header_of(99, hashlib.sha256(b"block 98").hexdigest(), "09-30 23:59", [], [], BEFORE["ETH"])
    before = header_hash(below)
    first = header_of(100, before, "10-01 00:10", [], [], BEFORE["ETH"])
    paying, told = payments_block(header_hash(first), delegation)
    last = header_of(102, header_hash(paying), "10-31 23:59", [], [], AFTER["ETH"], delegation)
    next_ = header_of(103, header_hash(last), "11-01 00:01", [], [], AFTER["ETH"], delegation)
    events: list[Event] = []

    def base() -> dict[str, Any]:
        return {"id": f"{CHAIN}:{len(events)}", "seq": len(events), "chain": CHAIN}

    def held(height: int, block: str, values: dict[str, int | None]) -> Balances:
        texts = [None if value is None else str(value) for value in values.values()]
        rows = BalanceColumns(wallet=["hot"] * len(values), address=[HOT] * len(values), asset=list(values), value=texts)
        return Balances(**base(), height=height, hash=block, rows=rows)

    def joined(header: bytes, prev: str, height: int, when: str, transactions: list[Transaction]) -> Connect:
        return Connect(**base(), height=height, hash=header_hash(header), prev=prev, time=at(when), mediantime=at(when), header=header.hex(),
                       transactions=transactions)  # fmt: skip

    def proved(header: bytes, height: int, wei: int, *, is_below: bool = False) -> list[Accounts]:
        rows = AccountColumns(
            wallet=["hot"], address=[HOT], value=[str(wei)], proof=[[node.hex() for node in state_of(wei, delegation)[1]]]
        )
        told = Accounts(
            **base(), height=height, hash=header_hash(header), asset="ETH", header=header.hex() if is_below else None, rows=rows
        )
        return [told] if is_proved else []

    wallet = WatchedWallet(name="hot", addresses=[HOT])
    events.append(Watch(**base(), network="evm:1", start_height=100, wallets=[wallet], internal_calls="debug_trace",
                        authorizations_from=told_from))  # fmt: skip
    events.append(held(99, before, dict(BEFORE)))
    events += proved(below, 99, BEFORE["ETH"], is_below=True)
    events.append(joined(first, before, 100, "10-01 00:10", []))
    events += proved(first, 100, BEFORE["ETH"])
    events.append(joined(paying, header_hash(first), 101, "10-10 12:00", told))
    events += proved(paying, 101, AFTER["ETH"])
    events.append(Doubt(**base(), height=101, hash=header_hash(paying), time=at("10-10 12:00"), detail="a log was missing"))
    events.append(Stretch(**base(), height=102, prev=header_hash(paying), hash=[header_hash(last)], time=[at("10-31 23:59")],
                          mediantime=[at("10-31 23:59")], header=[last.hex()]))  # fmt: skip
    events += proved(last, 102, AFTER["ETH"])
    events.append(held(102, header_hash(last), dict(AFTER) if after is None else after))
    events.append(joined(next_, header_hash(last), 103, "11-01 00:01", []))
    return events


def other_events() -> dict[Topic, list[Event]]:
    """Ledger and registry: what Anna and Borat are owed, all of it paid."""
    owed = [("A1", "a", "ETH", 2 * ETHER), ("A2", "a", "ETH", ETHER), ("B1", "b", "USDT", 5_000_000)]
    empty: list[None] = [None] * len(owed)
    rows = AllocationColumns(
        allocation_id=[id_ for id_, *_ in owed], version=[1] * len(owed), account=[account for _, account, *_ in owed],
        asset=[asset for *_, asset, _ in owed], allocated_at=[at("10-05 00:30") * 1_000_000 + n for n in range(len(owed))],
        amount=[str(amount) for *_, amount in owed], commission_asset=list(empty), commission_amount=list(empty),
        commission_currency=list(empty), commission_currency_amount=list(empty),
    )  # fmt: skip
    miners = ((ANNA, "a", A), (BORAT, "b", B))
    registry = Registry(
        id="registry:1", version=1, digest="ab" * 32, part=0, parts=1,
        miners=[MinerRow(miner_id=miner, name=f"Miner {account}") for miner, account, _ in miners],
        licences=[LicenceRow(miner_id=m, licence_number=f"KZ{a}", issue_date="2026-01-01", valid_from="2026-01-01") for m, a, _ in miners],
        accounts=[AccountRow(account=account, miner_id=miner, valid_from="2026-01-01") for miner, account, _ in miners],
        wallets=[WalletRow(address=wallet, chain=CHAIN, miner_id=miner, valid_from="2026-01-01") for miner, _, wallet in miners],
    )  # fmt: skip
    return {
        "ledger": [Allocations(id="allocations:1", source="a.csv", rows=rows), Complete(id="complete:1", through="2026-10-31")],
        "registry": [registry],
    }


def log_of(events: list[Event]) -> MemoryLog:
    log = MemoryLog()
    for topic, key, told in (("chain", f"{POOL}/{CHAIN}", events), *((topic, POOL, told) for topic, told in other_events().items())):
        with log.writer(topic, key) as writer:  # type: ignore[arg-type]
            writer.append([encode(event) for event in told])
    return log


def freeze(log: MemoryLog, store: Store, folder: Path) -> tuple[Path, Frozen]:
    """The month frozen in `folder` from the log. Raises MonthError when it can't close."""
    Ingest(log, store).catch_up()
    state = month_state(store, MONTH)
    frozen: list[Frozen] = []
    assessed = assess_month(state, MONTH, RULES)
    write_enriched(store, str(MONTH), assessed.enriched)
    version = Version(MONTH, 1, RULES, HEADER, ["en"], at("11-02 10:00"), "A. Person", "test")
    evidence = read_evidence(store.connection, transactions_to_prove(assessed.enriched, RULES, state.facts))
    bundle, event = freeze_month(
        Content(version, state, assessed, evidence), begin_freeze(version, assessed, folder), folder,
        export=lambda path: export_month(store.connection, str(MONTH), path), append=frozen.append,
    )  # fmt: skip
    return bundle.folder, event
