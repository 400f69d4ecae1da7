"""October 2026 of a front on an account chain: miners are paid by a bigger pool's transactions, with traps (rule 10).

Enters: a folder. Leaves: the frozen bundle of the month, by the commands alone, against a node that serves a small chain of its own. What is right is said here,
transaction by transaction, from what each was meant to do.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.chains.evm.address import to_checksum

from ..simulation.evm_world import BATCH, CHAIN_ID, TOKEN, Served, Spend, World, address
from .example_month import esep

OCTOBER, NOVEMBER, DAY = 1_793_473_200 - 31 * 86_400, 1_793_473_200, 86_400
"""The first instants of the months in Almaty."""
PAYER, HOT, OTHER_TOKEN = address(20), address(1), address(950)
MINERS = {"201040334324": address(31), "240440639442": address(32), "201140000017": address(33)}
MONTH = "2026-10"
SETTINGS = """\
[pool]
key = "pool"
bin = "201040000023"
name = "Front"
address = "Almaty"
telephone = "+7 700 000 00 00"
email = "pool@example.kz"
executor_name = "A."
executor_telephone = "+7 700 000 00 01"
head_name = "B."

[payers.big]
way = "on-chain"
chain = "eth"

[payers.desk]
way = "off-chain"

[chains.eth]
network = "evm:{chain_id}"
asset = "ETH"
rpc_url = "{url}"
finality = 2
start_height = 1

[[chains.eth.wallets]]
name = "hot"
addresses = ["{hot}"]

[assets.ETH]
chain = "eth"
decimals = 18

[assets.USDT]
chain = "eth"
decimals = 6
contract = "{token}"
"""


@dataclass
class Front:
    """The month as it is played; the node still runs."""

    world: World
    folder: Path
    payments: dict[str, list[str]] = field(default_factory=dict)
    """Rows of the ledger, by id."""
    txids: dict[str, str] = field(default_factory=dict)
    """What each transaction is called here."""
    miners: Sequence[str] = field(default_factory=lambda: list(MINERS.values()))
    """Where each is paid."""

    @property
    def bundle(self) -> Path:
        return self.folder / "var" / "months" / MONTH / "v1"

    def esep(self, *arguments: object) -> int:
        return esep(*arguments, "--config", self.folder / "esep.toml")

    def mine(self, day: float, *spends: tuple[str, Spend]) -> None:
        """A block at so many days into October."""
        self.world.mine([spend for _, spend in spends], after_s=round(OCTOBER + day * DAY) - self.world.now)
        made = self.world.blocks[-1].body["transactions"]
        self.txids |= {name: transaction["hash"][2:] for (name, _), transaction in zip(spends, made, strict=True)}

    def pay(
        self, payment: str, miner: int, units: int, txid: str, day: float, *, asset: str = "ETH", payer: str = "big", to: str = ""
    ) -> None:
        """A row of the ledger: so many base units, by whom, in which transaction or under which reference."""
        where = to or self.miners[miner]
        at = self.at(day)
        self.payments[payment] = [payment, f"a{miner}", asset, where, printed(units, asset), txid, at, payer]

    def at(self, day: float) -> str:
        seconds = round(day * DAY)
        return f"2026-10-{1 + seconds // DAY:02}T{seconds % DAY // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}+05:00"

    def allocate(self, owed: Sequence[tuple[int, str, int]]) -> None:
        """What the miners were credited on the first day: each one's number, asset and base units."""
        head = ["allocation_id", "account", "asset", "allocated_at", "amount", "commission_asset", "commission_amount", "commission_currency", "commission_currency_amount"]  # fmt: skip
        rows = [
            [f"A{n}", f"a{miner}", asset, self.at(0.5), printed(units, asset), "", "", "", ""]
            for n, (miner, asset, units) in enumerate(owed)
        ]
        write(self.folder / "allocations.csv", head, rows)
        assert self.esep("import", "allocations", self.folder / "allocations.csv") == 0

    def watch(self) -> None:
        assert self.esep("watch", "eth", "--once") == 0

    def import_payments(self) -> None:
        head = ["payment_id", "account", "asset", "address", "amount", "txid", "paid_at", "payer"]
        write(self.folder / "payments.csv", head, list(self.payments.values()))
        assert self.esep("import", "payments", self.folder / "payments.csv", "--yes", "--by", "B.") == 0


def printed(units: int, asset: str) -> str:
    decimals = 18 if asset == "ETH" else 6
    return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}}"


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def undone_call(world: World, giver: str, taker: str, value: int) -> None:
    """In the newest transaction a call that was undone, while the transaction went through: nothing moved."""
    frame = {"type": "CALL", "from": giver, "to": taker, "value": hex(value), "error": "execution reverted"}
    world.blocks[-1].traces[-1].setdefault("calls", []).append(frame)


def write_registry(front: Front) -> None:
    """The miners, their licences, accounts and wallets, imported."""
    ids, folder = list(MINERS), front.folder / "registry"
    write(folder / "miners.csv", ["miner_id", "name"], [[miner, f"Miner {n}"] for n, miner in enumerate(ids)])
    head = ["miner_id", "licence_number", "issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to"]
    write(folder / "licences.csv", head, [[m, f"KZ{n}", "2026-01-01", "2026-01-01", "", "", ""] for n, m in enumerate(ids)])
    write(
        folder / "accounts.csv",
        ["account", "miner_id", "valid_from", "valid_to"],
        [[f"a{n}", m, "2026-01-01", ""] for n, m in enumerate(ids)],
    )
    wallets = [[where, "eth", miner, "2026-01-01", ""] for miner, where in zip(ids, front.miners, strict=True)]
    write(folder / "wallets.csv", ["address", "chain", "miner_id", "valid_from", "valid_to"], wallets)
    write(folder / "counterparties.csv", ["address", "chain", "class", "name"], [])
    assert front.esep("import", "registry", folder) == 0


def _play(front: Front) -> None:
    first, second, third = MINERS.values()
    front.mine(1, ("plain", Spend(PAYER, first, 1000)))
    front.pay("P01", 0, 1000, front.txids["plain"], 1)
    calls = [(BATCH, first, 300), (BATCH, second, 400), (BATCH, third, 500)]
    front.mine(2, ("batch", Spend(PAYER, BATCH, 1200, calls=calls)))
    for n, (_, _, value) in enumerate(calls):
        front.pay(f"P02{n}", n, value, front.txids["batch"], 2)
    front.mine(3, ("failed", Spend(PAYER, second, 700, is_failed=True)))
    front.pay("P03", 1, 700, front.txids["failed"], 3)
    front.mine(4, ("undone", Spend(PAYER, BATCH, 90, calls=[(BATCH, first, 90)])))
    undone_call(front.world, BATCH, second, 600)
    front.pay("P040", 0, 90, front.txids["undone"], 4)
    front.pay("P041", 1, 600, front.txids["undone"], 4)
    front.mine(5, ("token", Spend(PAYER, TOKEN, tokens=[(PAYER, first, 25), (PAYER, second, 35)])))
    front.pay("P050", 0, 25, front.txids["token"], 5, asset="USDT")
    front.pay("P051", 1, 35, front.txids["token"], 5, asset="USDT")
    front.mine(6, ("look-alike", Spend(PAYER, OTHER_TOKEN, logs=[(OTHER_TOKEN, (PAYER, third, 45))])))
    front.pay("P06", 2, 45, front.txids["look-alike"], 6, asset="USDT")
    front.mine(7, ("back", Spend(PAYER, BATCH, 100, calls=[(BATCH, third, 100), (third, PAYER, 40)])))
    front.pay("P07", 2, 60, front.txids["back"], 7)  # what it keeps
    front.mine(8, ("own", Spend(HOT, second, 800)), ("strange", Spend(PAYER, second, 5)))
    front.pay("P08", 1, 800, front.txids["own"], 8)  # the ledger gives it to the payer; the pool itself paid
    front.pay("P09", 2, 10, "INV-7", 9, payer="desk", to="shot 7")
    front.pay("P10", 0, 7, front.txids["plain"], 10, to=HOT)  # a pool wallet is no miner's
    # A transaction that leaves the chain, and what came in its place.
    front.mine(20, ("lost", Spend(PAYER, third, 111)))
    front.pay("P11", 2, 111, front.txids["lost"], 20)


def rows(path: Path) -> list[dict[str, str]]:
    """A table of the bundle."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def begin(front: Front, url: str) -> None:
    """Settings, registry, and the block before the first one of the month."""
    text = SETTINGS.format(chain_id=CHAIN_ID, url=url, hot=to_checksum(HOT), token=to_checksum(TOKEN))
    (front.folder / "esep.toml").write_text(text, encoding="utf-8")
    write_registry(front)
    front.mine(0.1)


@contextmanager
def play(folder: Path) -> Iterator[Front]:
    """The month up to its freeze: blocks, a reorganisation, imports before and after the blocks that they name."""
    world = World(1, time=OCTOBER - DAY)
    front = Front(world, folder)
    with Served(world) as served:
        begin(front, served.url)
        _play(front)
        front.mine(20.5)
        front.watch()
        front.allocate([(0, "ETH", 1390), (1, "ETH", 1900), (2, "ETH", 700), (0, "USDT", 25), (1, "USDT", 35), (2, "USDT", 45)])
        front.import_payments()
        front.watch()  # what is past is found
        world.replace(2)
        front.mine(21, ("again", Spend(PAYER, MINERS["201140000017"], 111)))
        front.mine(21.5)
        front.watch()  # taken back
        # The upstream names the new transaction; and one that is in no block yet.
        front.pay("P12", 2, 111, front.txids["again"], 21)
        salt, world.salt = world.salt, world.salt
        front.mine(25, ("coming", Spend(PAYER, MINERS["240440639442"], 31)))
        front.pay("P13", 1, 31, front.txids["coming"], 25)
        del world.blocks[-1:]
        world.now, world.salt = world.blocks[-1].time, salt
        del front.payments["P11"]  # restated below: the ledger keeps the row, the person waives it
        front.pay("P11", 2, 111, front.txids["lost"], 20)
        front.import_payments()
        front.watch()
        front.mine(25, ("coming", Spend(PAYER, MINERS["240440639442"], 31)))
        assert front.txids["coming"] == front.payments["P13"][5]
        for more in (30.9, 31.2, 31.3, 31.4):
            front.mine(more)
        front.watch()
        assert front.esep("import", "complete", "2026-10-31") == 0
        yield front
