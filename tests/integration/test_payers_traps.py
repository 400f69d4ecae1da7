"""October 2026 of a front on an account chain, with traps around who pays: what is right was worked out by hand from rules 3, 5, 6 and 10.

The payer is a miner, too; one of its transactions brings coins and tokens, and a call of it fails; the ledger forgets to name it once, and another payout of the
pool's fits that payment; a transaction moves over the month's end.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.chains.evm.address import to_checksum

from ..simulation.evm_world import BATCH, Served, Spend, World, address
from .payers_month import DAY, HOT, MINERS, MONTH, OCTOBER, PAYER, Front, begin, rows, undone_call

FIRST, SECOND, _ = MINERS.values()
THIRD = PAYER
"""The payer's own address is the third miner's wallet."""
CUSTODIAN = address(21)


def _play(front: Front) -> None:
    front.mine(1, ("plain", Spend(PAYER, FIRST, 1000)))
    front.pay("P1", 0, 1000, front.txids["plain"], 1)
    front.mine(2, ("to the payer", Spend(CUSTODIAN, BATCH, 300, calls=[(BATCH, THIRD, 300)])))
    front.pay("P2", 2, 300, front.txids["to the payer"], 2)
    front.mine(3, ("to itself", Spend(PAYER, BATCH, 500, calls=[(BATCH, SECOND, 400), (BATCH, THIRD, 100)])))
    front.pay("P30", 1, 400, front.txids["to itself"], 3)
    front.pay("P31", 2, 100, front.txids["to itself"], 3)  # it lost 400 by it: the transaction brought it nothing
    front.mine(4, ("both", Spend(PAYER, BATCH, 40, calls=[(BATCH, SECOND, 40)], tokens=[(PAYER, FIRST, 25), (PAYER, THIRD, 9)])))
    undone_call(front.world, BATCH, FIRST, 50)
    front.pay("P40", 0, 50, front.txids["both"], 4)  # the call that failed
    front.pay("P41", 0, 25, front.txids["both"], 4, asset="USDT")
    front.pay("P42", 1, 40, front.txids["both"], 4)
    front.pay("P43", 2, 9, front.txids["both"], 4, asset="USDT")  # to itself: no output
    front.mine(5, ("own", Spend(HOT, FIRST, 77)), ("unnamed", Spend(PAYER, FIRST, 77)))
    front.pay("P5", 0, 77, front.txids["unnamed"], 5, payer="")
    front.mine(6, ("other's wallet", Spend(PAYER, SECOND, 11)))
    front.pay("P6", 0, 11, front.txids["other's wallet"], 6, to=SECOND)
    front.mine(6.5, ("mixed", Spend(HOT, SECOND, 20)))
    front.pay("P7", 1, 20, front.txids["mixed"], 6.5, payer="")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("traps")
    world = World(2, time=OCTOBER - DAY)
    front = Front(world, folder, miners=[FIRST, SECOND, THIRD])
    with Served(world) as served:
        begin(front, served.url)
        _play(front)
        moving = ("moving", Spend(PAYER, SECOND, 60))
        front.mine(30.99, moving)
        front.pay("P8", 1, 60, front.txids["moving"], 30.99)
        front.watch()
        front.allocate([(0, "ETH", 1088), (1, "ETH", 520), (2, "ETH", 300), (0, "USDT", 25)])
        front.import_payments()
        front.watch()
        before = front.txids["moving"]
        world.replace(1)
        world.salt -= 1  # the same transaction, in a block of November
        front.mine(31.01, moving)
        assert front.txids["moving"] == before
        for more in (31.2, 31.3, 31.4):
            front.mine(more)
        front.watch()
        assert front.esep("import", "complete", "2026-10-31") == 0
        for payment in ("P31", "P40", "P43", "P5"):
            assert front.esep("waive", MONTH, "payment-not-on-chain", payment, "--by", "B.", "--reason", "the ledger's mistake") == 0
        assert front.esep("freeze", MONTH, "--by", "B.") == 0
        yield front


def test_the_transfers_are_those_worked_out_by_hand(front: Front) -> None:
    told = {
        (row["payer"], row["txid"], row["address"].lower(), row["asset"], int(row["amount_sat"]), row["explanation"], row["date"])
        for row in rows(front.bundle / "transfers.csv")
    }
    t = front.txids
    assert told == {
        ("big", t["plain"], FIRST, "ETH", 1000, "exact", "2026-10-02"),
        ("big", t["to the payer"], THIRD, "ETH", 300, "exact", "2026-10-03"),
        ("big", t["to itself"], SECOND, "ETH", 400, "exact", "2026-10-04"),
        ("big", t["both"], SECOND, "ETH", 40, "exact", "2026-10-05"),
        ("big", t["both"], FIRST, "USDT", 25, "exact", "2026-10-05"),
        ("", t["own"], FIRST, "ETH", 77, "none", "2026-10-06"),
        ("big", t["other's wallet"], SECOND, "ETH", 11, "exact", "2026-10-07"),
        ("", t["mixed"], SECOND, "ETH", 20, "exact", "2026-10-07"),
        ("big", t["moving"], SECOND, "ETH", 60, "exact", "2026-11-01"),
    }


def test_a_payment_that_names_no_payer_is_no_replacement_of_the_pools_own_payout(front: Front) -> None:
    """Its transaction is in the main chain, and is not the pool's: rule 5.2 seeks nothing in its place."""
    told = {(row["code"], row["ref"]) for row in rows(front.bundle / "issues.csv")}
    assert told == {
        ("payment-not-on-chain", "P31"),
        ("payment-not-on-chain", "P40"),
        ("payment-not-on-chain", "P43"),
        ("payment-not-on-chain", "P5"),
        ("transfer-without-payment", f"{front.txids['own']}:{to_checksum(FIRST)}"),
        ("wallet-holder-differs", "P6"),
    }


def test_the_reports_rows_are_those_worked_out_by_hand(front: Front) -> None:
    """The first miner was paid 1000 + 77 (the pool's own) + 11; of the second one 60 left the month with its transaction."""
    ids = list(MINERS)
    told = [
        (ids.index(row["miner_id"]), row["asset"], row["amount"], row["transfer_amount"], row["transfer_date"])
        for row in rows(front.bundle / "report.csv")
    ]
    wei = "0.0000000000000{:05}".format
    assert sorted(told) == sorted(
        [
            (0, "ETH", wei(1000), wei(1000), "2026-10-02"),
            (0, "ETH", wei(77), wei(77), "2026-10-06"),
            (0, "ETH", wei(11), wei(11), "2026-10-07"),
            (0, "USDT", "0.000025", "0.000025", "2026-10-05"),
            (1, "ETH", wei(400), wei(400), "2026-10-04"),
            (1, "ETH", wei(40), wei(40), "2026-10-05"),
            (1, "ETH", wei(20), wei(20), "2026-10-07"),
            (1, "ETH", wei(60), "", ""),
            (2, "ETH", wei(300), wei(300), "2026-10-03"),
        ]
    )


def test_it_replays(front: Front) -> None:
    assert front.esep("replay", MONTH) == 0
