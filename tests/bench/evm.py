"""Blocks a second of following an account chain, beside ethereum-etl and cryo, on one anvil chain in one run.

Enters: the path of anvil's program; folders of Python environments with `ethereum-etl` and `cryo-python`, where they are to be compared. Leaves: a
line for each. A chain of blocks full of transfers is made; a pool wallet pays in some of them. Ours reads through to the log in memory, whole
blocks, receipts and calls of the pool's payouts included, and so reads more than the others do. Then the bytes that anvil gave are replayed by another
process, to one that was begun for it and collects garbage as the program does: what remains is the client's own cost. Its first reading has in it all that a process does but
once (modules loaded on the way, memory taken, caches filled), the later ones have not. Run: `python -m tests.bench.evm ANVIL [--etl FOLDER] [--cryo FOLDER] [--blocks 2000]
[--keep FILE]`. Making the chain takes longest; with a node's URL in place of the program's path, one that has such a chain already is read; with FILE, what anvil gave is kept
there, and where the file is there already, replayed alone.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import multiprocessing
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import structlog

from connectors.evm import EvmChain, EvmConnector, Idle
from connectors.evm.rpc import NodeConnection
from connectors.standins.log_memory import MemoryLog
from pipeline.cli import COLLECTOR
from pipeline.log.events.chain import WatchedWallet

from ..ports import free_port

CHAIN_ID = 31337
TRANSFERS = 50
PAYOUT_EVERY = 100
READINGS = 6
"""Of a replay."""
POOL = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
"""Anvil's second account; the first one makes the traffic."""
TRAFFIC = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def wait_for(connection: NodeConnection, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(f"anvil ended with {process.returncode}")
        try:
            connection.call("eth_chainId", result=str)
            return
        except Exception as error:  # noqa: BLE001 - told when the deadline has passed
            last = error
            time.sleep(0.05)
    raise last


def make_chain(connection: NodeConnection, n_blocks: int) -> None:
    """Blocks of TRANSFERS plain transfers; in each PAYOUT_EVERY-th the pool pays too."""
    connection.call("evm_setAutomine", False, result=Any)
    for block in range(n_blocks):
        calls: list[tuple[str, list[object]]] = []
        for n in range(TRANSFERS):
            sender = POOL if n == 0 and block % PAYOUT_EVERY == 0 else TRAFFIC
            to = f"0x{0xA000000 + block * TRANSFERS + n:040x}"
            calls.append(
                ("eth_sendTransaction", [{"from": sender, "to": to, "value": hex(1000 + n), "gas": "0x5208", "gasPrice": hex(10**10)}])
            )
        connection.batch([*calls, ("evm_mine", [])], result=Any)


class Taken(NamedTuple):
    """What following the whole chain took."""

    wall_s: float
    cpu_s: float
    """Of this process, all threads: what the client itself costs, however busy the machine is."""
    n_requests: int
    n_payouts: int


def read_chain(url: str, n_blocks: int) -> Taken:
    """Follow the whole chain."""
    log = MemoryLog()
    with EvmConnector(
        log,
        EvmChain(
            pool_id="pool",
            chain="eth",
            asset="ETH",
            network=f"evm:{CHAIN_ID}",
            rpc_url=url,
            start_height=1,
            finality=64,
            wallets=[WatchedWallet(name="hot", addresses=[POOL])],
            timeout_s=300.0,
        ),
    ) as evm:
        begun, cpu_begun = time.perf_counter(), time.process_time()
        while not isinstance(evm.step(), Idle):
            pass
        wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_begun
        found = evm.describe()
    assert found.height == n_blocks, found
    events = [record.value for record in log.read({}, limit_bytes=1 << 40)]
    n_payouts, *n_proofs = (
        sum(event.count(part) for event in events) for part in (b'"is_coinbase":false', b'"transaction_proof":["', b'"receipt_proof":["')
    )
    assert n_proofs == [n_payouts, n_payouts], f"{n_payouts} payouts with {n_proofs} proofs"
    n_states = sum(event.count(b'"type":"accounts"') for event in events)
    # Anvil's first block has no state that its header proves.
    assert n_states >= 2 * n_payouts - 1, f"{n_payouts} payouts, and {n_states} proved states before or after one"
    return Taken(wall_s, cpu_s, found.n_requests, n_payouts)


class Recorder:
    """Passes requests on to a node and keeps what it answered, by the request's bytes."""

    def __init__(self, netloc: str) -> None:
        self.kept: dict[bytes, bytes] = {}
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                node = http.client.HTTPConnection(netloc, timeout=300)
                node.request("POST", "/", body, {"Content-Type": "application/json"})
                answer = node.getresponse().read()
                node.close()
                recorder.kept[body] = answer
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def record(self, n_blocks: int) -> dict[bytes, bytes]:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        read_chain(f"http://127.0.0.1:{self.server.server_address[1]}", n_blocks)
        self.server.shutdown()
        self.server.server_close()
        thread.join()
        return self.kept


def replay(kept: dict[bytes, bytes], port: int, ready: Any) -> None:
    """Answer from what was kept: in a process of its own, with as little work as possible."""
    whole = {body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer for body, answer in kept.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.wfile.write(whole[self.rfile.read(int(self.headers["content-length"]))])

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    ready.set()
    server.serve_forever()


def timed(command: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begun


def others(args: argparse.Namespace, url: str, folder: Path) -> dict[str, Callable[[], float]]:
    """The programs that ours is compared with."""
    runs: dict[str, Callable[[], float]] = {}
    if args.etl is not None:
        etl, last = str(args.etl / "bin" / "ethereumetl"), str(args.blocks)

        def run_etl() -> float:
            outputs = ["--blocks-output", str(folder / "blocks.csv"), "--transactions-output", str(folder / "transactions.csv")]
            blocks_s = timed([etl, "export_blocks_and_transactions", "-s", "1", "-e", last, "-p", url, "-w", "5", *outputs])
            return blocks_s + timed(
                [etl, "export_token_transfers", "-s", "1", "-e", last, "-p", url, "-w", "5", "--output", str(folder / "tokens.csv")]
            )

        runs["ethereum-etl, blocks, transactions, token transfers"] = run_etl
    if args.cryo is not None:
        script = (
            "import cryo,sys\n"
            "for kind in ('blocks','transactions','erc20_transfers'):\n"
            "    cryo.freeze(kind, blocks=[f'1:{int(sys.argv[2]) + 1}'], rpc=sys.argv[1], output_dir=sys.argv[3], overwrite=True, no_verbose=True)\n"
        )

        def run_cryo() -> float:
            return timed([str(args.cryo / "bin" / "python"), "-c", script, url, str(args.blocks), str(folder / "cryo")])

        runs["cryo, blocks, transactions, ERC-20 transfers"] = run_cryo
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("anvil", help="anvil's program, or the URL of one that has a chain of this kind")
    parser.add_argument("--etl", type=Path, help="a Python environment with ethereum-etl")
    parser.add_argument("--cryo", type=Path, help="a Python environment with cryo-python")
    parser.add_argument("--blocks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2, help="how often each program reads the chain")
    parser.add_argument("--keep", type=Path, help="a file for the node's answers; where it is there, they are replayed alone")
    args = parser.parse_args()
    if args.keep is not None and args.keep.exists():
        time_replay(dict(msgspec.msgpack.decode(args.keep.read_bytes(), type=list[tuple[bytes, bytes]])), args.blocks)
        return
    anvil = None
    if args.anvil.startswith("http://"):
        url = args.anvil
    else:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        anvil = subprocess.Popen([args.anvil, "--port", str(port), "--silent", "--balance", "1000000000"])
    try:
        if anvil is not None:
            connection = NodeConnection(url, timeout_s=300.0)
            wait_for(connection, anvil)
            make_chain(connection, args.blocks)
            connection.close()
        kept = compare(args, url)
    finally:
        if anvil is not None:
            anvil.terminate()
            anvil.wait()
    if args.keep is not None:
        args.keep.write_bytes(msgspec.msgpack.encode(list(kept.items())))
    time_replay(kept, args.blocks)


def line(name: str, n_blocks: int, taken_s: float, more: str = "") -> None:
    print(f"{name:62} {n_blocks / taken_s:8,.0f} blocks/s  {more}", flush=True)


def load() -> str:
    """How busy the machine is: the last minute's load average."""
    return f"load {os.getloadavg()[0]:.1f}"


def compare(args: argparse.Namespace, url: str) -> dict[bytes, bytes]:
    """Read the chain from anvil with every program, in turns; what ours was answered."""
    with tempfile.TemporaryDirectory() as folder:
        runs = others(args, url, Path(folder))
        for _ in range(args.rounds):
            for name, run in runs.items():
                line(name + ", on anvil", args.blocks, run(), load())
            taken = read_chain(url, args.blocks)
            line(
                "esep, to the log, on anvil",
                args.blocks,
                taken.wall_s,
                f"{taken.n_requests / args.blocks:.3f} requests a block, {taken.n_payouts} payouts told, {load()}",
            )
    return Recorder(urlsplit(url).netloc).record(args.blocks)


def time_replay(kept: dict[bytes, bytes], n_blocks: int) -> None:
    ready = multiprocessing.Event()
    replay_port = free_port()
    replaying = multiprocessing.Process(target=replay, args=(kept, replay_port, ready), daemon=True)
    replaying.start()
    ready.wait(60)
    try:
        reading = multiprocessing.get_context("spawn").Process(
            target=read_again_and_again, args=(replay_port, n_blocks, sum(map(len, kept.values()))), daemon=True
        )
        reading.start()
        reading.join()
        if reading.exitcode:
            raise SystemExit(f"the replay was not read: the process ended with {reading.exitcode}")
    finally:
        replaying.terminate()
        replaying.join()


def read_again_and_again(port: int, n_blocks: int, n_bytes: int) -> None:
    """Read the replay in a process begun for it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    gc.set_threshold(*COLLECTOR)
    for reading in range(1, 1 + READINGS):
        taken = read_chain(f"http://127.0.0.1:{port}", n_blocks)
        line(
            f"esep, to the log, on a replay, reading {reading}",
            n_blocks,
            taken.wall_s,
            f"{n_bytes / n_blocks / 1000:.1f} kB a block, {load()}",
        )
        line("esep, to the log, on a replay, our CPU time alone", n_blocks, taken.cpu_s, f"{taken.cpu_s / n_blocks * 1e6:.0f} us a block")


if __name__ == "__main__":
    main()
