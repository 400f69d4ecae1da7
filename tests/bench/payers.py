"""What payers cost (rule 10) on full blocks: `python -m tests.bench.payers`.

A front of 1,000 miners, of whom 300 a day are paid by an upstream: two payments a block, each in a transaction of its own, which is the dearest way. Blocks of about 1 MB
with 2,200 transactions and more are made on regtest, and read by the connector: without payers; with the miners' addresses known from the start; and with addresses that the
ledger names only when the blocks have been read, so that they are searched again. All in one run, on the machine that the node runs on: the ratio holds better than the seconds.
On a chain like Bitcoin nothing is looked up by its id (ADR 18), so an index of transactions makes no difference to payers: `own-outputs` and `txindex` are measured to show it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

import structlog

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.script import address_of
from pipeline.log.events.chain import WatchedWallet

from ..live.bitcoind import find_bitcoind
from ..live.regtest_node import RegtestNode
from .chain import OPTIONS, REGTEST, Chain, some_script

MINERS = 10**13
"""Where the numbers of the miners' scripts begin."""
SLOW = {"rpc-verbose": 8, "txindex": 3, "rpc-raw": 30, "own-outputs": 30}
"""Blocks read by those that would take minutes for all."""
STRATEGIES = ("scanblocks-rest", "rest", "rpc-raw", "own-outputs", "txindex")


class Front(Chain):
    """Two transactions of every block pay a miner each; the pool's own wallet appears in one block of `every`."""

    def __init__(self, node: RegtestNode, per_block: int, pool: Sequence[bytes], every: int, miners: Sequence[bytes]) -> None:
        self.miners = miners
        self.n_paid = 0
        super().__init__(node, per_block, pool, every)

    def payee(self, n: int) -> bytes:
        if n in (2, 4):
            self.n_paid += 1
            return self.miners[self.n_paid % len(self.miners)]
        return super().payee(n)


class Reading(NamedTuple):
    """One reading of the blocks."""

    seconds: float
    cpu_s: float
    log_bytes: int
    n_told: int
    """Payees' transactions in the log."""


def read(node: RegtestNode, strategy: str, pool: Sequence[bytes], start: int, payees: Collection[str], *, is_late: bool = False) -> Reading:
    """Follow from `start` to the tip. `is_late`: the payees are named afterwards, and what is measured is what comes then."""
    log, named = MemoryLog(), set[str]()
    settings = BitcoinChain(
        pool_id="bench", chain="bitcoin", asset="BTC", network="regtest", rpc_url=node.rpc_url, cookie_path=node.cookie_path,
        wallets=[WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in pool])], start_height=start,
        first_used_height=start, strategy=strategy,
    )  # fmt: skip
    with BitcoinConnector(log, settings, payees=lambda: named) as connector:

        def to_tip() -> None:
            while not isinstance(connector.step(), Idle):
                pass

        if is_late:
            to_tip()
        named |= set(payees)
        before = log_bytes(log)
        started, used = time.perf_counter(), time.process_time()
        to_tip()
        taken = time.perf_counter() - started, time.process_time() - used
    text = b"".join(record.value for record in log.read({}, limit_bytes=1 << 40))
    return Reading(*taken, log_bytes(log) - before, text.count(b'"raw":"'))


def log_bytes(log: MemoryLog) -> int:
    return sum(len(record.value) for record in log.read({}, limit_bytes=1 << 40))


def median(readings: Sequence[Reading]) -> Reading:
    return Reading(
        statistics.median(r.seconds for r in readings),
        statistics.median(r.cpu_s for r in readings),
        readings[0].log_bytes,
        readings[0].n_told,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.payers", description="What payers cost on full blocks.")
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--transactions", type=int, default=2600, help="in a block")
    parser.add_argument("--miners", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    arguments = parser.parse_args()
    program = find_bitcoind()
    if program is None:
        print("payers: skipped, no bitcoind: see ESEP_BITCOIND")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    pool = [some_script(10**12 + n) for n in range(4)]
    miners = [some_script(MINERS + n) for n in range(arguments.miners)]
    payees = {address for script in miners if (address := address_of(script, REGTEST)) is not None}
    with RegtestNode(program, *OPTIONS) as node:
        chain = Front(node, arguments.transactions, pool, 20, miners)
        first = node.rpc.call("getblockcount") + 1
        sizes = [chain.add_block() for _ in range(arguments.blocks)]
        node.mine(chain.address, 20)
        node.wait_for_indexes()
        print(
            f"{arguments.blocks} blocks of {statistics.mean(sizes) / 1e6:.2f} MB and {arguments.transactions} transactions; {arguments.miners} miners, two paid in each block; median of {arguments.runs}"
        )
        print(
            f"{'strategy':<17}{'blocks':>7}{'blocks/s':>10}{'with':>8}{'named late':>12}{'time ratio':>12}{'CPU ratio':>11}{'ms CPU/payment':>16}{'log B/payment':>15}{'late B/payment':>16}"
        )
        for name in arguments.strategies.split(","):
            wanted = min(SLOW.get(name, arguments.blocks), arguments.blocks)
            start = first + arguments.blocks - wanted
            n_payments = 2 * wanted
            runs = 1 if name == "txindex" else arguments.runs
            taken: dict[str, list[Reading]] = {"without": [], "with": [], "late": []}
            for _ in range(runs):  # in turn, so that a busy moment of the machine meets all alike
                taken["without"].append(read(node, name, pool, start, ()))
                taken["with"].append(read(node, name, pool, start, payees))
                taken["late"].append(read(node, name, pool, start, payees, is_late=True))
            without, known, late = (median(taken[which]) for which in ("without", "with", "late"))
            assert known.n_told - without.n_told == n_payments, (known, without, n_payments)
            blocks = wanted + 20
            print(
                f"{name:<17}{blocks:>7}{blocks / without.seconds:>10.1f}{blocks / known.seconds:>8.1f}{blocks / late.seconds:>12.1f}{known.seconds / without.seconds:>12.2f}"
                f"{known.cpu_s / without.cpu_s:>11.2f}{1000 * (known.cpu_s - without.cpu_s) / n_payments:>16.2f}{(known.log_bytes - without.log_bytes) / n_payments:>15.0f}{late.log_bytes / n_payments:>16.0f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
