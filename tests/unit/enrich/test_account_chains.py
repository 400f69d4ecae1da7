"""Account chains by hand (ADR 7): native coins and tokens in one transaction, who bears a fee, balances that are observed."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from pipeline.enrich.enriched import Enriched
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules

from .small_world import ANNA, BORAT, World, at, day, issues_of, rows_of

CHAIN = "ethereum"
USDT_CONTRACT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
FAKE = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
A = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
B = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
WRONG = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ETHER = 10**18
RULES = Rules(
    assets={"ETH": Asset("ETH", CHAIN, 18), "USDT": Asset("USDT", CHAIN, 6, USDT_CONTRACT)},
    finality={CHAIN: 64},
    payout_unit={"ETH": 1, "USDT": 1},
    network={CHAIN: "evm:1"},
)
OCTOBER = Month(2026, 10)


class Accounts(World):
    """A pool with two wallets on an account chain; blocks 9 (September's last), 10 (October) and 11 (November)."""

    def __init__(self) -> None:
        super().__init__()
        self.rows["pool_wallets"] = []
        for wallet in ("hot", "gas"):
            self.add("pool_wallets", chain=CHAIN, wallet=wallet)
        for height, when in ((9, "09-30 23:00"), (10, "10-15 12:00"), (11, "11-01 00:10")):
            self.add("blocks", chain=CHAIN, hash=f"block{height}", height=height, time=at(when), mediantime=at(when))
        self.add("miners", miner_id=ANNA, name="Anna")
        self.add("miners", miner_id=BORAT, name="Borat")
        for account, miner, address in (("a", ANNA, A), ("b", BORAT, B)):
            self.account(account, miner, "2026-01-01")
            self.licence(miner, f"KZ{account}", "2026-01-01")
            self.add("wallets", address=address, chain=CHAIN, miner_id=miner, valid_from=day("2026-01-01"))

    def held(self, height: int, wallet: str, asset: str, value: int | None, address: str = "0xown") -> None:
        self.add(
            "observations",
            chain=CHAIN,
            height=height,
            block_hash=f"block{height}",
            wallet=wallet,
            address=address,
            asset=asset,
            value=value,
        )

    def tx(
        self,
        txid: str,
        inputs: list[tuple[str, str, int]],
        outputs: list[tuple[str, str, int]],
        *,
        fee: int = 0,
        fee_wallet: str | None = None,
        others: int = 0,
        block: str = "block10",
    ) -> None:
        """Inputs (wallet, asset, value), outputs (address or wallet, asset, value); the fee is an input of its wallet, the last one."""
        self.add("transactions", chain=CHAIN, block_hash=block, txid=txid, position=0, is_coinbase=False, other_inputs=others,
                 other_inputs_value=0, fee=fee, fee_asset="ETH", fee_wallet=fee_wallet)  # fmt: skip
        paid = [*inputs, *([(fee_wallet, "ETH", fee)] if fee_wallet else [])]
        for vout, (wallet, asset, value) in enumerate(paid):
            self.add("inputs", chain=CHAIN, block_hash=block, txid=txid, spent_txid=txid, spent_vout=vout, value=value, address=f"0x{wallet}",
                     wallet=wallet, asset=asset)  # fmt: skip
        for vout, (address, asset, value) in enumerate(outputs):
            own = address if address in ("hot", "gas", "late") else None
            self.add("outputs", chain=CHAIN, block_hash=block, txid=txid, vout=vout, value=value, address=f"0x{own}" if own else address,
                     wallet=own, asset=asset, script_type="account", is_unspendable=False)  # fmt: skip

    def allocate_asset(self, allocation_id: str, account: str, asset: str, amount: int) -> None:
        self.add(
            "allocations",
            allocation_id=allocation_id,
            account=account,
            asset=asset,
            allocated_at=at("10-01 00:30") * 1_000_000,
            amount=amount,
        )

    def balances_add_up(self, hot_eth: int, hot_usdt: int, gas_eth: int) -> None:
        """What the wallets hold after October; before it they held 10 ETH, 1,000 USDT and 1 ETH."""
        for height, eth, usdt, gas in ((9, 10 * ETHER, 1_000_000_000, ETHER), (10, hot_eth, hot_usdt, gas_eth)):
            self.held(height, "hot", "ETH", eth)
            self.held(height, "hot", "USDT", usdt)
            self.held(height, "gas", "ETH", gas)
            self.held(height, "gas", "USDT", 0)

    def month(self, rules: Rules = RULES) -> Enriched:
        return self.enrich(OCTOBER, rules)


def blocking(enriched: Enriched) -> list[tuple[str, str]]:
    return enriched.issues.filter(pl.col("severity") == "blocking").select("code", "ref").rows()


def details(enriched: Enriched, code: str) -> list[str]:
    return enriched.issues.filter(pl.col("code") == code)["detail"].to_list()


def balance(enriched: Enriched, wallet: str, asset: str) -> dict[str, Any]:
    return enriched.balances.row(by_predicate=(pl.col("wallet") == wallet) & (pl.col("asset") == asset), named=True)


def test_coins_and_tokens_of_one_transaction_are_reported_apart_and_the_fee_is_borne_by_the_sender() -> None:
    world = Accounts()
    world.allocate_asset("A1", "a", "ETH", 2 * ETHER)
    world.allocate_asset("A2", "a", "USDT", 5_000_000)
    world.allocate_asset("B1", "b", "USDT", 7_000_000)
    world.tx(
        "batch",
        [("hot", "ETH", 2 * ETHER), ("hot", "USDT", 12_000_000)],
        [(A, "ETH", 2 * ETHER), (A, "USDT", 5_000_000), (B, "USDT", 7_000_000)],
        fee=21,
        fee_wallet="gas",
    )
    world.balances_add_up(8 * ETHER, 988_000_000, ETHER - 21)
    enriched = world.month()
    assert blocking(enriched) == []
    assert sorted(rows_of(enriched, "allocation_id", "asset", "amount", "transfer_amount", "txid")) == [
        ("A1", "ETH", 2 * ETHER, 2 * ETHER, "batch"),
        ("A2", "USDT", 5_000_000, 5_000_000, "batch"),
        ("B1", "USDT", 7_000_000, 7_000_000, "batch"),
    ]
    assert balance(enriched, "gas", "ETH") == {"wallet": "gas", "asset": "ETH", "opening": ETHER, "in": 0, "out": 0, "fee": 21, "closing": ETHER - 21,
                                               "unspent": ETHER - 21}  # fmt: skip
    assert (balance(enriched, "hot", "ETH")["fee"], balance(enriched, "hot", "ETH")["out"]) == (0, 2 * ETHER)
    fees = enriched.outflows.filter(pl.col("class") == "fee")
    assert fees.select("asset", "amount").rows() == [("ETH", 21)]
    # One transaction pays one address in two assets: two issues, each with a ref of its own.
    assert issues_of(enriched, "transfer-without-payment") == [f"batch:{A}", f"batch:{A}:USDT", f"batch:{B}:USDT"]


def test_a_failed_transaction_is_its_fee_and_nothing_else() -> None:
    world = Accounts()
    world.tx("failed", [], [], fee=99, fee_wallet="hot")
    world.balances_add_up(10 * ETHER - 99, 1_000_000_000, ETHER)
    enriched = world.month()
    assert blocking(enriched) == []
    assert enriched.outflows.select("class", "asset", "amount").rows() == [("fee", "ETH", 99)]
    assert balance(enriched, "hot", "ETH")["fee"] == 99


def test_a_subtracted_fee_is_looked_for_in_the_assets_of_the_fee_alone() -> None:
    world = Accounts()
    world.tx("t", [("hot", "ETH", 79), ("hot", "USDT", 979)], [(A, "ETH", 79), (A, "USDT", 979)], fee=21, fee_wallet="hot")
    for payment, asset, amount in (("P1", "ETH", 100), ("P2", "USDT", 1000)):
        world.add(
            "payments",
            payment_id=payment,
            account="a",
            asset=asset,
            address=A,
            amount=amount,
            txid="t",
            paid_at=at("10-15 12:00") * 1_000_000,
        )
    enriched = world.month()
    explained = dict(enriched.transfers.select("asset", "explanation").iter_rows())
    assert explained == {"ETH": "subtracted-fee", "USDT": "differs"}
    assert issues_of(enriched, "payment-amount-differs") == [f"t:{A}:USDT"]


def test_a_balance_that_the_movements_do_not_lead_to_is_named_with_its_token() -> None:
    world = Accounts()
    world.tx("t", [("hot", "USDT", 5)], [("0xvendor", "USDT", 5)], fee=0)
    world.balances_add_up(10 * ETHER, 999_999_994, ETHER)  # one unit went that no event tells
    enriched = world.month()
    assert issues_of(enriched, "wallet-does-not-balance") == ["hot:USDT"]
    assert details(enriched, "wallet-does-not-balance") == ["closing 999999995 but unspent 999999994 USDT"]


@pytest.mark.parametrize(
    ("height", "value", "words"),
    [
        (10, None, "the node could not tell the balance of ETH after block 10: its state is gone there"),
        (9, None, "the node could not tell the balance of ETH after block 9: its state is gone there"),
        (10, "absent", "no balance was observed of ETH after block 10"),
    ],
)
def test_a_balance_that_nobody_could_tell_blocks_the_month(height: int, value: object, words: str) -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    rows = world.rows["observations"]
    (row,) = (r for r in rows if (r["height"], r["wallet"], r["asset"]) == (height, "hot", "ETH"))
    if value == "absent":
        rows.remove(row)
    else:
        # Another address of the wallet is known: a part is not the whole.
        world.held(height, "hot", "ETH", 5, address="0xother")
        row["value"] = None
    enriched = world.month()
    assert issues_of(enriched, "wallet-does-not-balance") == ["hot"]
    assert details(enriched, "wallet-does-not-balance") == [words]
    found = balance(enriched, "hot", "ETH")
    assert (found["opening"] is None, found["unspent"] is None) == (height == 9, height == 10)


def test_a_wallet_watched_since_later_opens_with_nothing_and_its_closing_is_proven() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.add("pool_wallets", chain=CHAIN, wallet="late")
    world.held(10, "late", "ETH", 7, address="0xlate")
    world.tx("income", [], [("late", "ETH", 7)])
    enriched = world.month()
    assert issues_of(enriched, "wallet-does-not-balance") == []
    found = balance(enriched, "late", "ETH")
    assert (found["opening"], found["in"], found["closing"], found["unspent"]) == (0, 7, 7, 7)
    world.rows["observations"][-1]["value"] = 8
    assert issues_of(world.month(), "wallet-does-not-balance") == ["late"]


def test_where_nothing_was_observed_of_anybody_no_wallet_opens_with_nothing() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.rows["observations"] = [row for row in world.rows["observations"] if row["height"] != 9]
    assert "hot" in issues_of(world.month(), "wallet-does-not-balance")
    assert "no balance was observed of ETH after block 9" in details(world.month(), "wallet-does-not-balance")


def test_the_month_in_which_reading_began_opens_with_what_was_observed_before_its_first_block() -> None:
    world = Accounts()
    world.rows["blocks"] = [row for row in world.rows["blocks"] if row["height"] != 9]
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    enriched = world.month()
    assert blocking(enriched) == []
    assert balance(enriched, "hot", "ETH")["opening"] == 10 * ETHER


def test_an_open_month_has_no_closing_observation_yet_and_that_is_no_issue() -> None:
    world = Accounts()
    world.rows["blocks"] = [row for row in world.rows["blocks"] if row["height"] != 11]
    world.balances_add_up(0, 0, 0)
    world.rows["observations"] = [row for row in world.rows["observations"] if row["height"] == 9]
    enriched = world.month()
    assert issues_of(enriched, "wallet-does-not-balance") == []
    assert balance(enriched, "hot", "ETH")["unspent"] is None


def test_a_token_that_was_never_observed_nor_moved_has_nothing_to_prove() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    assets = RULES.assets | {"NEW": Asset("NEW", CHAIN, 6, B)}
    enriched = world.month(Rules(assets, RULES.finality, RULES.payout_unit, network=RULES.network))
    assert issues_of(enriched, "wallet-does-not-balance") == []
    assert "NEW" not in enriched.balances["asset"].to_list()


def test_an_unknown_token_that_left_a_wallet_blocks_and_one_that_came_in_does_not() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.tx("forged", [("hot", FAKE, 7)], [(A, FAKE, 7)])
    world.tx("forged2", [("hot", FAKE, 8)], [(A, FAKE, 8)])
    world.tx("gift", [], [("hot", B, 10**30)])
    enriched = world.month()
    assert blocking(enriched) == [("unknown-asset", f"{CHAIN}:{FAKE}")]
    assert details(enriched, "unknown-asset") == ["2 movement(s) out of pool wallets, first in forged"]
    assert enriched.outflows.is_empty() and enriched.transfers.is_empty()
    assert set(enriched.balances["asset"]) == {"ETH", "USDT"}


def test_forged_transfers_are_one_warning_with_their_count() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    for number in range(60):
        world.tx(f"forged{number:02}", [("hot", f"0x{number:040x}", 7)], [(A, f"0x{number:040x}", 7)])
        world.rows["inputs"][-1].update(held=0, signed_by=B)
    enriched = world.month()
    assert blocking(enriched) == []
    assert issues_of(enriched, "forged-transfers") == [CHAIN]
    assert details(enriched, "forged-transfers") == [
        "60 log(s) of 60 contract(s) claim to move tokens out of pool wallets, with no signature and no balance of the pool behind them, first in forged00"
    ]


def test_a_balance_that_did_not_fall_makes_a_forgery() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.tx("lies", [("hot", FAKE, 7)], [(A, FAKE, 7)])
    world.rows["inputs"][-1].update(held=10**30, held_after=10**30, signed_by=B)
    enriched = world.month()
    assert (blocking(enriched), issues_of(enriched, "forged-transfers")) == ([], [CHAIN])


@pytest.mark.parametrize(("held", "signed_by"), [(7, B), (None, B), (None, None)])
def test_what_a_balance_may_stand_behind_is_not_forged(held: int | None, signed_by: str | None) -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.tx("lost", [("hot", FAKE, 7)], [(A, FAKE, 7)])
    world.rows["inputs"][-1].update(held=held, held_after=held and 0, signed_by=signed_by)
    assert blocking(world.month()) == [("unknown-asset", f"{CHAIN}:{FAKE}")]


@pytest.mark.parametrize("labelled", [FAKE, B])
def test_a_standing_decision_sets_a_contract_or_a_sender_aside(labelled: str) -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    for txid, held in (("lies", 7), ("plain", 0)):
        world.tx(txid, [("hot", FAKE, 7)], [(A, FAKE, 7)])
        world.rows["inputs"][-1].update(held=held, signed_by=B)
    world.add("labels", chain=CHAIN, address=labelled, outflow_class="poisoning")
    enriched = world.month()
    assert blocking(enriched) == []
    assert issues_of(enriched, "forged-transfers") == []


def test_a_token_told_by_its_contract_counts_once_the_settings_name_it() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 999_999_993, ETHER)
    world.allocate_asset("A1", "a", "USDT", 7)
    world.tx("early", [("hot", USDT_CONTRACT, 7)], [(A, USDT_CONTRACT, 7)])
    enriched = world.month()
    assert blocking(enriched) == []
    assert rows_of(enriched, "asset", "amount", "txid") == [("USDT", 7, "early")]


def test_strangers_who_lose_beside_the_pool_are_mixed_inputs() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 999_999_999, ETHER)
    world.tx("mixed", [("hot", "USDT", 1)], [("0xvendor", "USDT", 3)], others=1)
    assert ("mixed-inputs", "mixed") in blocking(world.month())


def test_a_wrong_checksum_blocks_the_months_in_which_it_stands() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.add("wallets", address=WRONG, chain=CHAIN, miner_id=ANNA, valid_from=day("2026-10-20"))
    enriched = world.month()
    assert blocking(enriched) == [("bad-address", WRONG)]
    assert issues_of(world.enrich(Month(2026, 9), RULES), "bad-address") == []


def test_a_block_that_was_told_differently_is_a_warning_of_its_month() -> None:
    world = Accounts()
    world.balances_add_up(10 * ETHER, 1_000_000_000, ETHER)
    world.add("doubts", chain=CHAIN, height=10, hash="x", time=at("10-15 12:00"), detail="a log is gone")
    world.add("doubts", chain=CHAIN, height=9, hash="x", time=at("09-30 23:00"), detail="another")
    enriched = world.month()
    assert blocking(enriched) == []
    assert issues_of(enriched, "node-answer-changed") == [f"{CHAIN}:10"]
    assert details(enriched, "node-answer-changed") == ["a log is gone"]


def test_internal_calls_told_differently_block_their_month_while_the_block_stands() -> None:
    world = Accounts()
    world.allocate_asset("A1", "a", "ETH", ETHER)
    world.tx("paid", [("hot", "ETH", ETHER)], [(A, "ETH", ETHER)])
    world.balances_add_up(9 * ETHER, 1_000_000_000, ETHER)
    row = next(row for row in world.rows["blocks"] if row["hash"] == world.rows["transactions"][-1]["block_hash"])
    told = {name: row[name] for name in ("chain", "height", "hash", "time")}
    world.add("doubts", **told, detail="they differ", txid="paid")
    world.add("doubts", **told, detail="they differ still", txid="paid")
    world.add("doubts", **{**told, "hash": "left the main chain"}, detail="they differ", txid="gone")
    enriched = world.month()
    assert issues_of(enriched, "traces-differ") == ["paid"] == [ref for code, ref in blocking(enriched) if code == "traces-differ"]
    assert details(enriched, "traces-differ") == ["they differ still"]
    assert issues_of(enriched, "node-answer-changed") == []
