"""How fast a chain of about 1 MB blocks is read, by every strategy, on a real node: `python -m tests.bench.chain`.

Blocks of ordinary transactions (2 inputs, 3 outputs, witnesses of the usual size) are made on regtest; nobody signs, as
the scripts let anyone spend, so the node has little to check and the making is quick. The pool pays in some blocks and is paid in
others. Every strategy reads the same blocks in the same run, on the same machine as the node: ratios hold better
than seconds, and our own processor time a block holds best. The first lines are ceilings: what fetching alone costs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable, Sequence

import structlog

from connectors.bitcoin import BitcoinChain, BitcoinConnector, Idle
from connectors.bitcoin.fetch import Fetcher
from connectors.bitcoin.search import ScriptSearch
from connectors.bitcoin.strategies import NAMES
from connectors.standins.log_memory import MemoryLog
from pipeline.chains.bitcoin.networks import network
from pipeline.log.events.chain import WatchedWallet

from ..live.regtest_node import RegtestNode, find_program, lock, private_key

REGTEST = network("regtest")
UNLOCK = b"\x6d\x51"  # OP_2DROP OP_TRUE: anyone may spend, with two items of ordinary size
FREE = b"\x00\x20" + hashlib.sha256(UNLOCK).digest()
WITNESS = b"\x03\x48" + b"\x30" * 72 + b"\x21" + b"\x02" * 33 + bytes([len(UNLOCK)]) + UNLOCK
OPTIONS = ("-rest", "-txindex", "-blockfilterindex=1", "-par=2")
SLOW = {"rpc-verbose": 10, "txindex": 4, "rpc-raw": 40, "own-outputs": 40, "scanblocks-rpc": 80}
"""Blocks read by those that would take minutes for all."""
Outpoint = tuple[bytes, int, int]


def transaction(spends: Sequence[Outpoint], outputs: Sequence[tuple[bytes, int]]) -> tuple[bytes, bytes]:
    """A transaction that spends free outputs, and its hash."""
    inputs = b"".join(txid + struct.pack("<I", vout) + b"\x00\xfd\xff\xff\xff" for txid, vout, _ in spends)
    paid = b"".join(struct.pack("<q", value) + bytes([len(script)]) + script for script, value in outputs)
    n_outputs = bytes([len(outputs)]) if len(outputs) < 0xFD else b"\xfd" + struct.pack("<H", len(outputs))
    body = bytes([len(spends)]) + inputs + n_outputs + paid
    txid = hashlib.sha256(hashlib.sha256(b"\x02\0\0\0" + body + b"\0\0\0\0").digest()).digest()
    return b"\x02\0\0\0\0\x01" + body + WITNESS * len(spends) + b"\0\0\0\0", txid


def some_script(number: int) -> bytes:
    program = hashlib.sha256(number.to_bytes(8, "little")).digest()
    return (
        b"\x00\x14" + program[:20],
        b"\x51\x20" + program,
        b"\xa9\x14" + program[:20] + b"\x87",
        b"\x76\xa9\x14" + program[:20] + b"\x88\xac",
    )[number % 4]


class Chain:
    """Makes blocks; every transaction gives its successor in the next block two free outputs."""

    def __init__(self, node: RegtestNode, per_block: int, pool: Sequence[bytes], every: int) -> None:
        self.node, self.per_block, self.pool, self.every = node, per_block, pool, every
        self.number = 0
        free_address = node.rpc.call("decodescript", FREE.hex())["address"]
        hashes = node.mine(free_address, 101)
        block = node.rpc.call("getblock", hashes[0], 2)["tx"][0]
        first = (bytes.fromhex(block["txid"])[::-1], 0, int(block["vout"][0]["value"] * 10**8))
        self.address = node.rpc.call("decodescript", lock("wpkh", private_key("bench")).hex())["address"]
        raw, txid = transaction([first], [(FREE, first[2] // (2 * per_block) - 100)] * (2 * per_block))
        node.mine_with(self.address, [raw.hex()])
        self.free = [(txid, n, first[2] // (2 * per_block) - 100) for n in range(2 * per_block)]

    def payee(self, n: int) -> bytes:
        """Whom the transaction that spends from the `n`th free output pays."""
        return some_script(self.number * 100_000 + n)

    def add_block(self) -> int:
        """One block of `per_block` transactions; its size. In every `every`th the pool is paid, and pays in the next one."""
        raws, free = [], []
        is_ours = self.number % self.every == 0
        for n in range(0, len(self.free), 2):
            spends = self.free[n : n + 2]
            value = sum(v for *_, v in spends) - 200
            payee = self.pool[self.number % len(self.pool)] if is_ours and n == 0 else self.payee(n)
            raw, txid = transaction(spends, [(FREE, value // 2 - 300), (FREE, value // 2 - 300), (payee, 600)])
            raws.append(raw.hex())
            free += [(txid, 0, value // 2 - 300), (txid, 1, value // 2 - 300)]
        self.node.mine_with(self.address, raws)
        self.free = free
        self.number += 1
        return sum(len(raw) // 2 for raw in raws)


def follow(node: RegtestNode, strategy: str, pool: Sequence[bytes], start: int) -> tuple[float, float]:
    """Seconds that reading from `start` to the tip took, and seconds of our own processor time in it."""
    log = MemoryLog()
    wallets = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in pool])]
    with BitcoinConnector(
        log,
        BitcoinChain(
            pool_id="bench",
            chain="bitcoin",
            asset="BTC",
            network="regtest",
            rpc_url=node.rpc_url,
            cookie_path=node.cookie_path,
            wallets=wallets,
            start_height=start,
            first_used_height=start,
            strategy=strategy,
        ),
    ) as connector:
        started, used = time.perf_counter(), time.process_time()
        while not isinstance(connector.step(), Idle):
            pass
        return time.perf_counter() - started, time.process_time() - used


def ceiling(node: RegtestNode, hashes: Sequence[str], fetch: Callable[[Fetcher], Callable[[str], object]]) -> tuple[float, float]:
    """Seconds, and seconds of our own processor time, that fetching the blocks takes when nobody looks at them."""
    fetcher = Fetcher(node.rpc, REGTEST)
    started, used = time.perf_counter(), time.process_time()
    for _ in fetcher.prefetch(fetch(fetcher), hashes):
        pass
    fetcher.close()
    return time.perf_counter() - started, time.process_time() - used


def search_table(raw: bytes) -> None:
    print(f"\nSearching one block of {len(raw):,} bytes, ms (median of 9), by the number of watched scripts:")
    for count in (1, 100, 1_000, 10_000):
        for kinds, name in ((1, "one kind"), (4, "four kinds")):
            search = ScriptSearch([some_script(10**12 + (n * 4 if kinds == 1 else n)) for n in range(count)])
            times = []
            for _ in range(9):
                started = time.perf_counter()
                search.may_contain(raw)
                times.append(time.perf_counter() - started)
            print(f"  {count:>6} scripts, {name:<10} {1000 * statistics.median(times):8.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Blocks a second for every way of reading a chain.")
    parser.add_argument("--blocks", type=int, default=80)
    parser.add_argument("--transactions", type=int, default=2200, help="in a block")
    parser.add_argument("--scripts", type=int, default=1000, help="watched")
    parser.add_argument("--every", type=int, default=20, help="the pool appears in every so many blocks")
    arguments = parser.parse_args()
    program = find_program("bitcoind", "ESEP_BITCOIND")
    if program is None:
        print("chain: skipped, no bitcoind on PATH, and ESEP_BITCOIND does not name one")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    pool = [some_script(10**12 + n) for n in range(arguments.scripts)]
    with RegtestNode(program, *OPTIONS) as node:
        started = time.perf_counter()
        chain = Chain(node, arguments.transactions, pool, arguments.every)
        first = node.rpc.call("getblockcount") + 1
        sizes = [chain.add_block() for _ in range(arguments.blocks)]
        node.mine(chain.address, 20)
        node.wait_for_indexes()
        tip = node.rpc.call("getblockcount")
        print(
            f"{arguments.blocks} blocks of {statistics.mean(sizes) / 1e6:.2f} MB and {arguments.transactions} transactions, {arguments.scripts} scripts watched, "
            f"one block in {arguments.every} is the pool's; made in {time.perf_counter() - started:.0f} s; {os.cpu_count()} cores\n"
        )
        hashes = [node.rpc.call("getblockhash", height) for height in range(first, first + arguments.blocks)]
        rows = [
            ("(fetch only) block.bin", len(hashes), ceiling(node, hashes, lambda f: f.rest_raw)),
            ("(fetch only) block.bin, spenttxouts", len(hashes), ceiling(node, hashes, lambda f: f.rest_bytes)),
            ("(fetch only) getblock 0", len(hashes[:80]), ceiling(node, hashes[:80], lambda f: f.rpc_raw)),
            (
                "(fetch only) getblock 3",
                15,
                ceiling(node, hashes[:8], lambda _: lambda h: node.rpc.call("getblock", h, 3, result=object)),
            ),
        ]
        for name in NAMES:
            wanted = min(SLOW.get(name, arguments.blocks), arguments.blocks)
            start = first + arguments.blocks - wanted
            runs = [follow(node, name, pool, start) for _ in range(1 if name in SLOW else 3)]
            rows.append((name, tip - start + 1 if name not in SLOW else wanted, sorted(runs)[len(runs) // 2]))
        slowest = next(blocks / seconds for name, blocks, (seconds, _) in rows if name == "rpc-verbose")
        print(f"{'strategy':<38}{'blocks':>8}{'seconds':>10}{'blocks/s':>10}{'x rpc-verbose':>15}{'our CPU ms/block':>18}")
        for name, blocks, (seconds, used) in rows:
            print(
                f"{name:<38}{blocks:>8}{seconds:>10.2f}{blocks / seconds:>10.1f}{blocks / seconds / slowest:>15.1f}{1000 * used / blocks:>18.2f}"
            )
        search_table(Fetcher(node.rpc, REGTEST).rest_raw(hashes[-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
