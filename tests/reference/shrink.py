"""The smallest world that still fails, for a reader.

Enters: a world and a question asked of it. Leaves: a world of which no single fact can be dropped while the answer stays
yes, or as near to it as the time allows. A transaction goes with its inputs and outputs, a miner with nothing: every remainder is a world the facts allow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from .registry import Row, Tables
from .worlds import World


def shrink(world: World, fails: Callable[[World], bool], *, timeout_s: float = 20.0) -> World:
    """Drop facts by halves, then one by one, as long as `fails` still holds. `fails(world)` must hold at the start.

    After `timeout_s` the smallest world found so far is what comes back.
    """
    assert fails(world)
    deadline = time.monotonic() + timeout_s

    def still_fails(smaller: World) -> bool:
        return time.monotonic() < deadline and fails(smaller)

    size = -1
    while size != _size(world):
        size = _size(world)
        for name in ("transactions", "payments", "allocations", "openings", "labels", "licences", "wallets", "accounts", "miners",
                     "outputs", "inputs", "blocks"):  # fmt: skip
            world = _shrink_table(world, name, still_fails)
    return world


def describe(world: World) -> str:
    """The world's rows, a line each."""
    lines = [f"seed {world.seed}, month {world.month}, {world.rules}"]
    for name, rows in world.facts.items():
        lines += [f"  {name}: {row}" for row in rows]
    return "\n".join(lines)


def _size(world: World) -> int:
    return sum(len(rows) for rows in world.facts.values())


def _shrink_table(world: World, name: str, fails: Callable[[World], bool]) -> World:
    step = max(1, len(world.facts[name]) // 2)
    while step:
        at = 0
        while at < len(world.facts[name]):
            gone = world.facts[name][at : at + step]
            smaller = replace(world, facts=_without(world.facts, name, gone))
            if smaller.facts != world.facts and fails(smaller):
                world = smaller
            else:
                at += step
        step //= 2
    return world


def _without(facts: Tables, name: str, gone: list[Row]) -> Tables:
    if name == "blocks":
        used = {row["block_hash"] for row in facts["transactions"]}
        gone = [row for row in gone if row["hash"] not in used]
    after = {**facts, name: [row for row in facts[name] if row not in gone]}
    if name == "transactions":
        places = {(row["chain"], row["block_hash"], row["txid"]) for row in gone}
        for part in ("inputs", "outputs"):
            after[part] = [row for row in facts[part] if (row["chain"], row["block_hash"], row["txid"]) not in places]
    return after
