"""The month played on a node: who starts the programs, sets the stage and reads out the script."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import provision
from .books import Books
from .cast import BALANCES, ETHER, NATIVE, RELAYER, Stage, set_stage
from .chronicle import Move, almaty
from .contracts import Contract, compile_contracts
from .month import Month
from .nodes import Anvil, Geth, Node, genesis

NODES = ("anvil", "geth")


@dataclass
class Played:
    stage: Stage
    books: Books
    month: Month

    def pay_from_the_contract_wallet(self) -> None:
        """In October, by a stranger's hand. Then November comes."""
        pen, safe = self.stage.chronicle, self.stage.at["safe"]
        miner = self.stage.miners[0]
        amount = 2 * ETHER
        order = self.month.order(
            "safe",
            RELAYER,
            miner.address,
            amount,
            spends=[Move(safe, NATIVE, amount)],
            pays=[Move(miner.address, NATIVE, amount, "payout")],
        )
        pen.mine("2025-10-02 12:00", order)
        for hour in (1, 2):
            pen.mine(f"2025-11-01 0{hour}:00")


@contextlib.contextmanager
def play(name: str, folder: Path, *, is_silent: bool = False) -> Iterator[Played]:
    """The month up to its last night, on a node that runs meanwhile. `is_silent` stops before the month begins. Raises Missing.

    Nodes are `anvil`, `geth`, and `geth that shows no calls`.
    """
    contracts = _contracts()
    with _node(name, folder) as node:
        stage = set_stage(node, contracts)
        month = Month(stage, Books())
        if not is_silent:
            month.play()
        yield Played(stage, month.books, month)


def _node(name: str, folder: Path) -> Node:
    first = genesis(almaty("2025-09-01 09:00"), BALANCES)
    if name == "anvil":
        return Anvil(provision.anvil(), folder, first)
    return Geth(provision.geth(), folder, first, shows_calls=name == "geth")


@functools.cache
def _contracts() -> dict[str, Contract]:
    return compile_contracts(provision.solc())
