"""A pool's months on a scripted chain: blocks where and when a test wants them, the real connector, log, store and closing on top.

`Pool` keeps an `App` over a folder with settings, follows the world's chain through the simulated node, and lets the schedule look at an
instant of the test's choice. What a month is filed with goes to a sandbox over HTTP.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.standins.filing_service import SandboxServer
from pipeline.app.app import App
from pipeline.app.months import FreezeOutcome
from pipeline.chains.bitcoin.merkle import MerkleTree
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.bitcoin.wire import double_sha256
from pipeline.closing.advance import MonthStatus
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.miner_id import control_digit
from pipeline.model.months import ALMATY, Month
from pipeline.settings import load_settings
from pipeline.validate.review import Consent

from .bitcoin_world import OURS, REGTEST, THEIRS, SimBlock, SimTx, SimulatedNode, World

CONSENT = Consent(to_oddities=True)
MINER = b"\x00\x14" + b"\x64" * 20
BIN = f"20104000002{control_digit('20104000002')}"
MINER_ID = f"90010130001{control_digit('90010130001')}"


def at(text: str) -> int:
    """`2026-10-05 12:00` in Almaty, Unix seconds."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=ALMATY).timestamp())


def address(script: bytes) -> str:
    found = address_of(script, REGTEST)
    assert found is not None
    return found


class ScriptedWorld(World):
    """A chain of exactly the blocks that a test asks for, each with its proof of work."""

    def __init__(self) -> None:
        super().__init__(0)
        self.is_still = True

    def mine(self, time: int, *txs: SimTx, parent: SimBlock | None = None, reward: bytes = THEIRS[0]) -> SimBlock:
        """A block at `time` on `parent`, or on the tip; it is the tip from now on."""
        parent = parent or self.tip
        self.counter += 1
        coinbase = self._tx([("0" * 64, 0xFFFFFFFF)], struct.pack("<BI", 4, self.counter), [(5_000_000_000, reward)], [])
        root = MerkleTree([bytes.fromhex(tx.txid) for tx in (coinbase, *txs)]).root[::-1]
        head = struct.pack("<i", 0x20000000) + bytes.fromhex(parent.hash)[::-1] + root + struct.pack("<II", time, 0x207FFFFF)
        nonce = 0
        while double_sha256(head + struct.pack("<I", nonce))[::-1] >= b"\x7f\xff\xff":
            nonce += 1
        header = head + struct.pack("<I", nonce)
        raw = header + bytes([len(txs) + 1]) + b"".join(tx.raw for tx in (coinbase, *txs))
        block = SimBlock(double_sha256(header)[::-1].hex(), parent.height + 1, raw, time, parent, [coinbase, *txs])
        self.blocks[block.hash] = self.tip = block
        return block

    def quiet(self, since: int, until: int, *, every_s: int = 12 * 3600, parent: SimBlock | None = None) -> None:
        """Blocks with nothing of the pool's from `since` up to `until`."""
        self.tip = parent or self.tip
        for time in range(since, until, every_s):
            self.mine(time)

    def pay(self, coin: tuple[str, int, int], pays: Sequence[tuple[int, bytes]]) -> SimTx:
        """A payment from a coin of the pool's (txid, vout, value); what is over goes back to it, less 1,000 for the fee."""
        txid, vout, value = coin
        change = value - sum(amount for amount, _ in pays) - 1000
        return self._tx([(txid, vout)], b"", [*pays, (change, OURS[0])], [((txid, vout), value, OURS[0])])


def settings_of(service: SandboxServer, *, payments: bool, more: str = "") -> str:
    return f"""var = "."
[pool]
key = "sim"
bin = "{BIN}"
name = "«Мысал» майнинг пулы"
address = "Алматы қ."
telephone = "+7 700 000 00 00"
email = "pool@example.kz"
executor_name = "Мысалова А."
executor_telephone = "+7 700 000 00 01"
head_name = "Үлгібаев Б."
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "http://127.0.0.1:1"
finality = 6
start_height = 1
[[chains.bitcoin.wallets]]
name = "pool"
addresses = ["{address(OURS[0])}"]
[ledger]
payments = {str(payments).lower()}
[closing]
first_month = "2026-10"
hold_hours = 0
file_day = 1
file_hour = 0
[filing]
way = "http"
url = "{service.url}/submissions"
status_url = "{service.url}/submissions/{{submission_id}}"
{more}
"""


class Pool:
    """The pool over a folder; its clock is `now`."""

    def __init__(self, folder: Path, world: ScriptedWorld, service: SandboxServer, *, payments: bool = True, more: str = "") -> None:
        self.folder, self.world = folder, world
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "esep.toml"
        self.config.write_text(settings_of(service, payments=payments, more=more), encoding="utf-8")
        self.now = at("2026-10-01 00:00")
        self.app = App(load_settings(self.config, {}), lambda: self.now)
        self.desk = self.app.desk

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.app.__exit__()

    def register(self) -> None:
        """One licensed miner with an account and a wallet."""
        files = {
            "miners": f"miner_id,name\n{MINER_ID},ЖШС «Кенші»\n",
            "licences": "miner_id,licence_number,issue_date,valid_from,valid_to,suspended_from,suspended_to\n"
            f"{MINER_ID},KZ11,2025-01-01,2025-01-01,,,\n",
            "accounts": f"account,miner_id,valid_from,valid_to\nacc,{MINER_ID},2025-01-01,\n",
            "wallets": f"address,chain,miner_id,valid_from,valid_to\n{address(MINER)},bitcoin,{MINER_ID},2025-01-01,\n",
        }
        where = self.folder / "registry"
        where.mkdir(exist_ok=True)
        for name, text in files.items():
            (where / f"{name}.csv").write_text(text, encoding="utf-8")
        self.app.imports.registry(where)

    def allocate(self, *rows: tuple[str, str, str]) -> None:
        """Allocations: id, instant in Almaty, amount in BTC."""
        head = "allocation_id,account,asset,allocated_at,amount,commission_asset,commission_amount,commission_currency,commission_currency_amount"
        lines = [f"{name},acc,BTC,{_iso(time)},{amount},,,," for name, time, amount in rows]
        path = self.folder / "allocations.csv"
        path.write_text("\n".join([head, *lines, ""]), encoding="utf-8")
        self.app.imports.ledger(path, "allocations", consent=CONSENT)

    def book(self, *rows: tuple[str, str, str, str]) -> None:
        """Payments to the miner: id, instant in Almaty, amount in BTC, txid."""
        lines = [f"{name},acc,BTC,{address(MINER)},{amount},{txid},{_iso(time)}" for name, time, amount, txid in rows]
        path = self.folder / "payments.csv"
        path.write_text("\n".join(["payment_id,account,asset,address,amount,txid,paid_at", *lines, ""]), encoding="utf-8")
        self.app.imports.ledger(path, "payments", consent=CONSENT)

    def follow(self) -> None:
        """Follow the world's chain to its tip."""
        node = SimulatedNode(self.world, has_rest=True)
        wallets = [WatchedWallet(name="pool", addresses=[address(OURS[0])])]
        with BitcoinConnector(
            self.app.log,
            BitcoinChain(
                pool_id=self.app.pool,
                chain="bitcoin",
                asset="BTC",
                network="regtest",
                rpc_url="http://127.0.0.1:1",
                wallets=wallets,
                start_height=1,
            ),
            connection=node,
        ) as following:
            for _ in range(1000):
                if isinstance(following.step(), Idle):
                    return
        raise AssertionError("it does not come to rest")

    def look(self, now: str) -> dict[str, MonthStatus]:
        """One look of the schedule at an instant in Almaty."""
        self.now = at(now)
        return {str(status.month): status for status in self.desk.look()}

    def amend(self, month: Month, *, reason: str) -> FreezeOutcome:
        """A person freezes the month's further version."""
        with self.app.stores.current() as store:
            return self.app.months.freeze(store, month, by="A. Person", reason=reason)

    def bundle(self, month: str, version: int = 1) -> Path:
        return self.folder / "months" / month / f"v{version}"


def _iso(text: str) -> str:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=ALMATY).isoformat()
