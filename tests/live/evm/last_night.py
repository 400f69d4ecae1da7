"""The night to November: payouts around midnight, and a reorganisation of 30 blocks that moves them over it.

The first branch pays on the evening of the 31st, which the second one mines only after midnight; a payout of the first branch's
November comes into the second one's October; and one payment of the first branch gives way to its replacement.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cast import ETHER, HOT, NATIVE, RELAYER, TREASURY
from .chronicle import Move, Sent, almaty
from .month import Month

DEPTH = 30
STEP_S = 7 * 60


class LastNight:
    """Played after the month, in three parts: `first_branch`, `second_branch`, `morning`."""

    def __init__(self, month: Month) -> None:
        self.month, self.pen = month, month.pen
        self.fork = 0
        self._late: list[Sent] = []
        self._early: Sent
        self._replacement: Sent

    def first_branch(self) -> None:
        """30 blocks from 20:37 on, seven minutes apart: the 29th is the last before midnight, the 30th stands exactly on it."""
        month, m = self.month, self.month.miners
        for miner in m[:5]:
            month.books.owe(miner, NATIVE, 2 * ETHER + miner.number, "2025-10-31 00:30")  # a debt carried into November
        month.books.owe(m[201], NATIVE, 0, "2025-10-31 00:30")  # credited nothing
        month.books.owe(m[202], NATIVE, 5 * ETHER, "2025-10-29 00:30")
        self.fork = self.pen.mine("2025-10-31 20:30", month.payout(m[24], ETHER, "2025-10-31 20:29")).number
        gives_way, self._replacement = self._replaced()
        self._late = self._evening()
        self._early = month.payout(m[31], 11 * ETHER, "2025-10-31 23:50", TREASURY)
        native, second, tokens, batch, by_stranger = self._late
        full = {0: [gives_way], 3: [native, second], 10: [tokens], 20: [batch, by_stranger], 29: [self._early]}
        first = almaty("2025-11-01 00:00") - (DEPTH - 1) * STEP_S
        for number in range(DEPTH):
            self.pen.mine(first + number * STEP_S, *full.get(number, []))

    def _replaced(self) -> tuple[Sent, Sent]:
        """Two of one nonce: the first branch mines the one, the second branch the other, which pays the same miner the same."""
        miner, nonce = self.month.miners[25], self.pen.nonce_of(HOT)
        moves = {"spends": [Move(HOT.address, NATIVE, 7 * ETHER)], "pays": [Move(miner.address, NATIVE, 7 * ETHER, "payout")]}
        one = self.pen.send(HOT, miner.address, 7 * ETHER, **moves)  # type: ignore[arg-type]
        other = self.pen.send(HOT, miner.address, 7 * ETHER, nonce=nonce, tip=5 * 10**9, **moves)  # type: ignore[arg-type]
        self.month.books.pay(miner, NATIVE, 7 * ETHER, one, "2025-10-31 20:36", mined_as=other)
        return one, other

    def _evening(self) -> list[Sent]:
        """Plain, in tokens, by the batch contract, and from the contract wallet by a stranger's hand."""
        month, m, at = self.month, self.month.miners, "2025-10-31 20:36"
        shares = [(m[n], ETHER // 2 + n) for n in range(32, 37)]
        safe = month.stage.at["safe"]
        by_stranger = month.order(
            "safe", RELAYER, m[30].address, 2 * ETHER, spends=[Move(safe, NATIVE, 2 * ETHER)],
            pays=[Move(m[30].address, NATIVE, 2 * ETHER, "payout")],
        )  # fmt: skip
        month.books.pay(m[30], NATIVE, 2 * ETHER, by_stranger, at)
        return [
            month.payout(m[26], 3 * ETHER, at),
            month.payout(m[27], 4 * ETHER, at),
            month.token_payout(m[28], "USDX", 987_654_321, at),
            month.batch("pay", sum(a for _, a in shares), shares, at, 0),
            by_stranger,
        ]

    def second_branch(self) -> None:
        """31 blocks in place of the 30: the last of October is the 26th, at 23:55; the rest is November."""
        first = almaty("2025-10-31 20:35")
        october = [first + number * 8 * 60 for number in range(26)]
        november = [almaty("2025-11-01 00:03") + number * 60 for number in range(DEPTH + 1 - len(october))]
        branch: list[tuple[int, Sequence[Sent]]] = [(at, []) for at in october + november]
        branch[1] = (branch[1][0], [self._replacement])
        branch[25] = (branch[25][0], [self._early])
        branch[26] = (branch[26][0], self._late[:2])
        branch[27] = (branch[27][0], self._late[2:])
        self.pen.reorganise(self.fork, branch)

    def morning(self, blocks: int) -> None:
        """November goes on, far enough for October to close."""
        month, m = self.month, self.month.miners
        self.pen.mine("2025-11-01 12:00", month.payout(m[37], ETHER, "2025-11-01 11:59"))
        for number in range(blocks):
            self.pen.mine(almaty("2025-11-01 13:00") + number * 600)
