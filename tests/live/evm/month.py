"""October 2025 of an invented pool: the script, day by day. What each line is meant to do stands in the line, in whole numbers.

Enters: a stage. Leaves: the month on the node, in the chronicle and in the books. It stops twice for whoever follows the chain:
before and after a reorganisation of 30 blocks, which moves payouts over the month's midnight (`last_night.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from .books import Books
from .cast import (
    COLLECTOR,
    ETHER,
    EXCHANGE,
    FOUNDER,
    HOT,
    NATIVE,
    RELAYER,
    STRANGER,
    TREASURY,
    UNLABELLED,
    VENDOR,
    Miner,
    Stage,
    made_by,
    somebody,
)
from .chronicle import Actor, Move, Sent
from .orders import order_data

BATCH_GAS = 15_000_000
REFUSED = "0x000000000000000000000000000000000000dEaD"
LOOK_ALIKE = somebody("looks like a miner")


class Month:
    """The script's state: the stage, the books, and how many orders each contract wallet has executed."""

    def __init__(self, stage: Stage, books: Books) -> None:
        self.stage, self.books, self.pen = stage, books, stage.chronicle
        self.miners = stage.miners

    def play(self) -> None:
        """All of the month but its last night."""
        self._september()
        self._plain_payouts()
        self._token_payouts()
        self._batches()
        self._failures()
        self._contract_wallets()
        self._self_destructions()
        self._tax()
        self._lies()
        self._replacement()
        self._creations()
        self._deposits()
        self._fee_recipients()
        self._own_moves()
        self._delegated_account()

    # --- the parts of a payout -------------------------------------------------------------------------------------

    def payout(self, miner: Miner, amount: int, at: str, by: Actor = HOT, kind: int = 2) -> Sent:
        """A plain payment of the chain's own asset, entered in the ledger."""
        sent = self.pen.send(
            by, miner.address, amount, gas=21_000 + (2400 if kind == 1 else 0), spends=[Move(by.address, NATIVE, amount)],
            pays=[Move(miner.address, NATIVE, amount, "payout")], kind=kind,
        )  # fmt: skip
        self.books.pay(miner, NATIVE, amount, sent, at)
        return sent

    def token_payout(self, miner: Miner, asset: str, amount: int, at: str) -> Sent:
        """A token's `transfer`, entered in the ledger."""
        sent = self.stage.call(
            HOT, "Token", asset, "transfer", miner.address, amount, gas=120_000, spends=[Move(HOT.address, asset, amount)],
            pays=[Move(miner.address, asset, amount, "payout")],
        )  # fmt: skip
        self.books.pay(miner, asset, amount, sent, at)
        return sent

    def batch(
        self, function: str, value: int, shares: Sequence[tuple[Miner, int]], at: str, *arguments: int, more: Sequence[Move] = ()
    ) -> Sent:
        """A call of the batch contract that pays these miners; `more` is where the rest goes."""
        paid = [Move(miner.address, NATIVE, amount, "payout") for miner, amount in shares]
        sent = self.stage.call(
            HOT, "Batch", "batch", function, [m.address for m, _ in shares], [a for _, a in shares], *arguments, gas=BATCH_GAS, value=value,
            spends=[Move(HOT.address, NATIVE, value)], pays=[*paid, *more],
        )  # fmt: skip
        for miner, amount in shares:
            self.books.pay(miner, NATIVE, amount, sent, at)
        return sent

    def order(
        self, wallet: str, by: Actor, to: str, value: int = 0, data: str = "0x", spends: Sequence[Move] = (), pays: Sequence[Move] = ()
    ) -> Sent:
        """An order signed by the wallet's owner and brought by anybody."""
        number = self.stage.wallet_nonces.get(wallet, 0)
        self.stage.wallet_nonces[wallet] = number + 1
        calldata = order_data(self.stage.contracts["Wallet"], self.stage.at[wallet], number, to, value, data, HOT.key)
        return self.pen.send(by, self.stage.at[wallet], data=calldata, gas=400_000, spends=spends, pays=pays)

    # --- the days --------------------------------------------------------------------------------------------------

    def _september(self) -> None:
        """The pool is watched from here on. One payout on the last second of September, one on the first of October."""
        m = self.miners
        self.pen.mine("2025-09-20 12:00")
        self.pen.mine("2025-09-25 12:00", self.payout(m[0], 3 * ETHER, "2025-09-25 11:59"))
        self.pen.mine("2025-09-30 23:59:59", self.payout(m[1], 2 * ETHER + 1, "2025-09-30 23:50"))
        self.pen.mine("2025-10-01 00:00:00", self.payout(m[1], ETHER + 7, "2025-09-30 23:55"))

    def _plain_payouts(self) -> None:
        """Several in a block, of each kind of transaction; among blocks with nothing of the pool's."""
        m, at = self.miners, "2025-10-02 11:59"
        self.pen.mine(
            "2025-10-02 12:00",
            self.payout(m[2], 123456789012345678, at, kind=0),
            self.pen.send(STRANGER, RELAYER.address, ETHER),
            self.payout(m[3], 1, at, kind=1),
            self.payout(m[2], 5 * ETHER, at),
        )
        for hour in range(13, 18):
            self.pen.mine(f"2025-10-02 {hour}:00")

    def _token_payouts(self) -> None:
        """Six decimals, and eighteen with all 38 digits."""
        m, at = self.miners, "2025-10-03 11:59"
        self.pen.mine("2025-10-03 12:00", *(self.token_payout(m[n], "USDX", 1_234_567 * (n + 1), at) for n in range(5)))
        at = "2025-10-04 11:59"
        self.pen.mine(
            "2025-10-04 12:00",
            self.token_payout(m[4], "KZTX", 12_345_678_901_234_567_890_123_456_789_012_345_678, at),
            self.token_payout(m[5], "KZTX", 10**18 + 1, at),
            self.token_payout(m[5], "KZTX", 1, at),
        )

    def _batches(self) -> None:
        """200 miners in one transaction; a batch that keeps its price and gives change; tokens straight and through the contract."""
        m, stage = self.miners, self.stage
        shares = [(miner, ETHER // 10 + miner.number) for miner in m[:200]]
        self.pen.mine("2025-10-05 12:00", self.batch("pay", sum(a for _, a in shares), shares, "2025-10-05 11:59", 0))
        few = [(m[n], ETHER + n) for n in (7, 8, 7)]
        kept, change = Move(stage.at["batch"], NATIVE, 777, "vendor"), Move(HOT.address, NATIVE, 4 * ETHER, "change")
        value = sum(a for _, a in few) + kept.amount + change.amount
        self.pen.mine("2025-10-06 12:00", self.batch("pay", value, few, "2025-10-06 11:59", 777, more=[kept, change]))
        self.books.counterparties.append((stage.at["batch"], "vendor", "batch service"))
        approve = stage.call(HOT, "Token", "USDX", "approve", stage.at["batch"], 10**12, gas=120_000)
        self.pen.mine(
            "2025-10-07 12:00", approve, *(self._token_batch(f, "2025-10-07 11:59") for f in ("payTokens", "collectAndPayTokens"))
        )

    def _token_batch(self, function: str, at: str) -> Sent:
        shares = [(self.miners[n], 10_000_000 + n) for n in range(20, 30)]
        moved = Move(HOT.address, "USDX", sum(a for _, a in shares))
        sent = self.stage.call(
            HOT, "Batch", "batch", function, self.stage.at["USDX"], [m.address for m, _ in shares], [a for _, a in shares], gas=2_000_000,
            spends=[moved], pays=[Move(m.address, "USDX", a, "payout") for m, a in shares],
        )  # fmt: skip
        for miner, amount in shares:
            self.books.pay(miner, "USDX", amount, sent, at)
        return sent

    def _failures(self) -> None:
        """Whatever fails moves nothing but the fee; what is undone inside a transaction that succeeds moves nothing either."""
        m, stage, send = self.miners, self.stage, self.pen.send
        shares = [(m[10], ETHER), (m[11], 2 * ETHER)]
        back = Move(HOT.address, NATIVE, 5 * ETHER, "change")
        self.pen.mine(
            "2025-10-08 12:00",
            send(HOT, stage.at["refuser"], ETHER, gas=60_000, is_failing=True),
            stage.call(HOT, "Token", "USDX", "transfer", m[12].address, 10**15, gas=120_000, is_failing=True),
            stage.call(HOT, "Token", "USDX", "transfer", m[12].address, 10**6, gas=30_000, is_failing=True),
            stage.call(HOT, "Token", "USDX", "transfer", REFUSED, 10**6, gas=120_000),
            self._try_to_pay(shares, back, "2025-10-08 11:59"),
            stage.call(
                HOT, "Batch", "batch", "payAndUndo", m[13].address, gas=400_000, value=ETHER, spends=[Move(HOT.address, NATIVE, ETHER)],
                pays=[Move(HOT.address, NATIVE, ETHER, "internal")],
            ),
            stage.call(HOT, "Batch", "batch", "payAndFail", m[13].address, gas=400_000, value=ETHER, is_failing=True),
        )  # fmt: skip

    def _try_to_pay(self, shares: Sequence[tuple[Miner, int]], back: Move, at: str) -> Sent:
        """Pay two miners and, between them, one contract that refuses its share."""
        (first, one), (second, two) = shares
        value = one + two + back.amount
        sent = self.stage.call(
            HOT, "Batch", "batch", "tryToPay", [first.address, self.stage.at["refuser"], second.address], [one, ETHER, two], gas=900_000,
            value=value, spends=[Move(HOT.address, NATIVE, value)],
            pays=[Move(first.address, NATIVE, one, "payout"), Move(second.address, NATIVE, two, "payout"), back],
        )  # fmt: skip
        for miner, amount in shares:
            self.books.pay(miner, NATIVE, amount, sent, at)
        return sent

    def _contract_wallets(self) -> None:
        """The contract wallet pays by its owner's order, brought by a stranger, then by the pool itself; then an order that fails inside."""
        m, stage, safe = self.miners, self.stage, self.stage.at["safe"]
        spends, pays = [Move(safe, NATIVE, 9 * ETHER)], [Move(m[14].address, NATIVE, 9 * ETHER, "payout")]
        by_stranger, by_pool = (self.order("safe", by, m[14].address, 9 * ETHER, spends=spends, pays=pays) for by in (RELAYER, HOT))
        data = stage.contracts["Token"].call("transfer", m[15].address, 10**9)
        tokens = self.order(
            "safe",
            RELAYER,
            stage.at["USDX"],
            0,
            data,
            spends=[Move(safe, "USDX", 10**9)],
            pays=[Move(m[15].address, "USDX", 10**9, "payout")],
        )
        fails_inside = self.order("safe", RELAYER, stage.at["refuser"], ETHER)
        at = "2025-10-09 11:59"
        self.books.pay(m[14], NATIVE, 9 * ETHER, by_stranger, at)
        self.books.pay(m[14], NATIVE, 9 * ETHER, by_pool, at)
        self.books.pay(m[15], "USDX", 10**9, tokens, at)
        self.pen.mine("2025-10-09 12:00", by_stranger, by_pool, tokens, fails_inside)
        paid_in = Move(safe, NATIVE, 3 * ETHER, "internal")
        self.pen.mine(
            "2025-10-09 13:00",
            self.pen.send(STRANGER, safe, ETHER, gas=60_000, deposits=[Move(safe, NATIVE, ETHER)]),
            self.pen.send(HOT, safe, 3 * ETHER, gas=60_000, spends=[Move(HOT.address, NATIVE, 3 * ETHER)], pays=[paid_in]),
        )

    def _self_destructions(self) -> None:
        """Money forced upon the pool; a payout by a contract that vanishes as it is made; a wallet of the pool's that gives itself up."""
        m, stage, code = self.miners, self.stage, self.stage.contracts["Vanishing"]
        forced = Move(HOT.address, NATIVE, ETHER // 3)
        paid = Move(m[16].address, NATIVE, 6 * ETHER, "payout")
        vanishing = self.pen.send(
            HOT, None, 6 * ETHER, code.create(m[16].address), gas=200_000, spends=[Move(HOT.address, NATIVE, 6 * ETHER)], pays=[paid]
        )
        self.books.pay(m[16], NATIVE, 6 * ETHER, vanishing, "2025-10-10 11:59")
        old = stage.at["old safe"]
        given = Move(TREASURY.address, NATIVE, 40 * ETHER, "internal")
        self.pen.mine(
            "2025-10-10 12:00",
            self.pen.send(STRANGER, None, ETHER // 3, code.create(HOT.address), gas=200_000, deposits=[forced]),
            vanishing,
            stage.call(
                HOT, "Wallet", "old safe", "close", TREASURY.address, gas=200_000, spends=[Move(old, NATIVE, 40 * ETHER)], pays=[given]
            ),
        )

    def _tax(self) -> None:
        """A token that takes a hundredth of each transfer: the miner gets 99, and the ledger says so."""
        m, stage, amount = self.miners, self.stage, 10**11
        net = amount - amount // 100
        sent = stage.call(
            HOT, "Token", "TAXT", "transfer", m[17].address, amount, gas=150_000, spends=[Move(HOT.address, "TAXT", amount)],
            pays=[Move(m[17].address, "TAXT", net, "payout"), Move(COLLECTOR, "TAXT", amount - net, "token-fee")],
        )  # fmt: skip
        self.books.pay(m[17], "TAXT", net, sent, "2025-10-11 11:59")
        self.books.counterparties.append((COLLECTOR, "token-fee", "collector of a token"))
        self.pen.mine("2025-10-11 12:00", sent)

    def _lies(self) -> None:
        """Poisoning: logs in the pool's name by a contract that is no token, payments of nothing by strangers, unwanted gifts."""
        stage, hot, most = self.stage, HOT.address, 2**256 - 1

        def lie(function: str, source: str, target: str, number: int, **told: Sequence[Move]) -> Sent:
            forged, gifts = told.get("forged", ()), told.get("gifts", ())
            return stage.call(STRANGER, "Liar", "liar", function, source, target, number, gas=120_000, forged=forged, gifts=gifts)

        nothing = stage.call(STRANGER, "Token", "USDX", "transferFrom", hot, LOOK_ALIKE, 0, gas=120_000)
        self.pen.mine(
            "2025-10-12 11:00",
            nothing,
            lie("claim", STRANGER.address, hot, 10**9, gifts=[Move(hot, stage.at["liar"], 10**9)]),
            *(lie("claim", STRANGER.address, hot, most, gifts=[Move(hot, stage.at["liar"], most)]) for _ in range(2)),
        )
        self.pen.mine(
            "2025-10-12 12:00",
            lie("claim", hot, LOOK_ALIKE, 5_000_000, forged=[Move(LOOK_ALIKE, stage.at["liar"], 5_000_000)]),
            *(lie("claim", hot, LOOK_ALIKE, most, forged=[Move(LOOK_ALIKE, stage.at["liar"], most)]) for _ in range(2)),
            lie("claimUnindexed", hot, LOOK_ALIKE, 5_000_000),
            lie("claimCollectible", STRANGER.address, hot, 7),
        )

    def _replacement(self) -> None:
        """A payment that was sent too cheaply and never mined: another of the same nonce took its place; the ledger knows the first."""
        m, nonce = self.miners[18], self.pen.nonce_of(HOT)
        moved = {"spends": [Move(HOT.address, NATIVE, 8 * ETHER)], "pays": [Move(m.address, NATIVE, 8 * ETHER, "payout")]}
        first = self.pen.send(HOT, m.address, 8 * ETHER, tip=1, most=2 * 10**10, **moved)  # type: ignore[arg-type]
        self.pen.offer(first)
        second = self.pen.send(HOT, m.address, 8 * ETHER, tip=3 * 10**9, nonce=nonce, **moved)  # type: ignore[arg-type]
        self.books.pay(m, NATIVE, 8 * ETHER, first, "2025-10-13 11:30", mined_as=second)
        self.pen.mine("2025-10-13 12:00", second)

    def _creations(self) -> None:
        """Contracts made with money: by the pool, by a factory that the pool pays, and one that can't be made."""
        c, stage, send = self.stage.contracts, self.stage, self.pen.send
        vault = made_by(HOT.address, self.pen.nonce_of(HOT))
        made = made_by(stage.at["factory"], 1)
        self.books.counterparties += [(vault, "vendor", "vault"), (made, "vendor", "vault of the factory")]

        def spent(address: str, amount: int) -> dict[str, list[Move]]:
            return {"spends": [Move(HOT.address, NATIVE, amount)], "pays": [Move(address, NATIVE, amount, "vendor")]}

        self.pen.mine(
            "2025-10-14 12:00",
            send(HOT, None, 2 * ETHER, c["Vault"].create(), gas=200_000, **spent(vault, 2 * ETHER)),  # type: ignore[arg-type]
            stage.call(HOT, "Factory", "factory", "make", gas=300_000, value=ETHER, **spent(made, ETHER)),
            send(HOT, None, ETHER, c["Stillborn"].create(), gas=200_000, is_failing=True),
        )

    def _deposits(self) -> None:
        """Strangers pay the pool: plainly, inside a call, in tokens; and a miner, which is nobody's business."""
        stage, hot = self.stage, HOT.address
        inside = [STRANGER.address, hot, TREASURY.address]
        tax = 10**9 - 10**7
        self.pen.mine(
            "2025-10-15 12:00",
            self.pen.send(STRANGER, hot, ETHER, deposits=[Move(hot, NATIVE, ETHER)]),
            stage.call(
                STRANGER, "Batch", "batch", "pay", inside, [1, 2 * ETHER, 3 * ETHER], 0, gas=400_000, value=6 * ETHER,
                deposits=[Move(hot, NATIVE, 2 * ETHER), Move(TREASURY.address, NATIVE, 3 * ETHER)],
            ),
            self.pen.send(STRANGER, self.miners[19].address, ETHER),
            stage.call(FOUNDER, "Token", "USDX", "transfer", hot, 10**7, gas=120_000, deposits=[Move(hot, "USDX", 10**7)]),
            stage.call(FOUNDER, "Token", "TAXT", "transfer", hot, 10**9, gas=150_000, deposits=[Move(hot, "TAXT", tax)]),
        )  # fmt: skip

    def _fee_recipients(self) -> None:
        """The treasury is who blocks pay their priority fees to: a stranger's, then the pool's own; and, where blocks have them, withdrawals."""
        at = "2025-10-16 11:59"
        self.pen.mine("2025-10-16 11:00", self.pen.send(STRANGER, RELAYER.address, 1, tip=7 * 10**9), fee_recipient=TREASURY.address)
        paid = self.payout(self.miners[20], ETHER, at)
        self.pen.mine("2025-10-16 12:00", paid, self.payout(self.miners[21], ETHER, at, TREASURY), fee_recipient=TREASURY.address)
        if self.pen.node.can_withdraw:
            self.pen.mine("2025-10-16 13:00", withdrawals=[(TREASURY.address, 5 * 10**9), (VENDOR, 10**9), (HOT.address, 1)])

    def _own_moves(self) -> None:
        """Within the pool, to itself, nothing at all; to a vendor, to an exchange, and to somebody whom nobody knows."""
        send, hot = self.pen.send, HOT.address
        self.books.counterparties += [(VENDOR, "vendor", "equipment supplier"), (EXCHANGE, "exchange", "exchange deposit")]

        def moved(address: str, amount: int, outflow_class: str, asset: str = NATIVE) -> dict[str, list[Move]]:
            return {"spends": [Move(hot, asset, amount)], "pays": [Move(address, asset, amount, outflow_class)]}

        self.pen.mine(
            "2025-10-18 12:00",
            send(HOT, TREASURY.address, 30 * ETHER, **moved(TREASURY.address, 30 * ETHER, "internal")),  # type: ignore[arg-type]
            send(HOT, hot, ETHER, **moved(hot, ETHER, "internal")),  # type: ignore[arg-type]
            send(HOT, hot),
            send(HOT, VENDOR, 4 * ETHER, **moved(VENDOR, 4 * ETHER, "vendor")),  # type: ignore[arg-type]
            self.stage.call(HOT, "Token", "USDX", "transfer", EXCHANGE, 10**8, gas=120_000, **moved(EXCHANGE, 10**8, "exchange", "USDX")),
            send(HOT, UNLABELLED, 31_337, **moved(UNLABELLED, 31_337, "unknown")),  # type: ignore[arg-type]
        )

    def _delegated_account(self) -> None:
        """The treasury lets its account run a contract's code: a stranger's transaction makes it pay, then one of its own; then it stops."""
        m, stage = self.miners, self.stage
        for day, by in ((22, RELAYER), (23, TREASURY)):
            shares = [(m[n], ETHER + day) for n in (22, 23)]
            delegates = [(TREASURY, stage.at["delegate"])] if by is RELAYER else []
            sent = stage.call(
                by, "Delegate", TREASURY.address, "pay", [x.address for x, _ in shares], [a for _, a in shares], gas=400_000,
                spends=[Move(TREASURY.address, NATIVE, sum(a for _, a in shares))],
                pays=[Move(x.address, NATIVE, a, "payout") for x, a in shares], delegates=delegates,
            )  # fmt: skip
            for miner, amount in shares:
                self.books.pay(miner, NATIVE, amount, sent, f"2025-10-{day} 11:59")
            self.pen.mine(f"2025-10-{day} 12:00", sent)
        nobody = "0x" + "00" * 20
        self.pen.mine("2025-10-24 12:00", self.pen.send(RELAYER, RELAYER.address, gas=100_000, delegates=[(TREASURY, nobody)]))
