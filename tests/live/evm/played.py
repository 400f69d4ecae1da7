"""The month played on a node: who starts the programs, sets the stage and reads out the script."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import provision
from .books import Books
from .cast import BALANCES, Stage, set_stage
from .chronicle import almaty
from .contracts import Contract, compile_contracts
from .month import Month
from .nodes import Anvil, Geth, Node, genesis

NODES = ("anvil", "geth")


@dataclass
class Played:
    stage: Stage
    books: Books
    month: Month


@contextlib.contextmanager
def play(name: str, folder: Path, *, is_silent: bool = False) -> Iterator[Played]:
    """The month up to its last night, on a node that runs meanwhile. `is_silent` stops before the month begins. Raises Missing."""
    contracts = _contracts()
    with _node(name, folder) as node:
        stage = set_stage(node, contracts)
        month = Month(stage, Books())
        if not is_silent:
            month.play()
        yield Played(stage, month.books, month)


def _node(name: str, folder: Path) -> Node:
    first = genesis(almaty("2025-09-01 09:00"), BALANCES)
    return Anvil(provision.anvil(), folder, first) if name == "anvil" else Geth(provision.geth(), folder, first)


@functools.cache
def _contracts() -> dict[str, Contract]:
    return compile_contracts(provision.solc())
