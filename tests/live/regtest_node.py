"""A real node on regtest, and a signer small enough to check by eye: for tests that need chains nobody recorded."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embit import ec, hashes
from embit import script as embit_script
from embit.script import Script, Witness
from embit.transaction import Transaction, TransactionInput, TransactionOutput

from connectors.bitcoin.rpc import Credentials, NodeConnection
from pipeline.model.errors import SourceError

from ..ports import free_port

START_TIMEOUT_S = 240.0


def find_program(name: str, variable: str) -> str | None:
    """The program's path, from the environment variable or PATH."""
    return os.environ.get(variable) or shutil.which(name)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and kill it when it has not done so within 30 s."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    if process.poll() is None:
        process.kill()
        process.wait()


class RegtestNode:
    """A node of its own, on the loopback only, in a directory that goes with it."""

    def __init__(self, program: str, *options: str, folder: Path | None = None, credentials: Credentials | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="regtest-") if folder is None else None
        self.folder = folder or Path(self._temporary.name if self._temporary else ".")
        self._program, self._options = program, options
        self.port = free_port()
        self.rpc_url = f"http://127.0.0.1:{self.port}"
        self.cookie_path = self.folder / "regtest" / ".cookie"
        self._process: subprocess.Popen[bytes] | None = None
        self.rpc = NodeConnection(self.rpc_url, credentials or Credentials(cookie_path=self.cookie_path), timeout_s=120)

    def start(self, *more: str) -> None:
        common = ["-regtest", f"-datadir={self.folder}", f"-rpcport={self.port}", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-server"]
        quiet = ["-listen=0", "-connect=0", "-dnsseed=0", "-printtoconsole=0", "-fallbackfee=0.0001", "-dbcache=50"]
        self._process = subprocess.Popen(
            [self._program, *common, *quiet, *self._options, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.rpc.call("getblockchaininfo")
                return
            except SourceError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._process.kill()
                    said = self._process.communicate()[1].decode()
                    self._process = None
                    raise RuntimeError(f"{self._program} did not start: {said}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self.rpc.close()
            end(self._process)
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def __enter__(self) -> RegtestNode:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def mine(self, address: str, count: int = 1) -> list[str]:
        return list(self.rpc.call("generatetoaddress", count, address))

    def mine_with(self, address: str, transactions: Sequence[str]) -> str:
        """A block of exactly these raw transactions, in this order, the mempool's policy aside."""
        return str(self.rpc.call("generateblock", address, list(transactions))["hash"])

    def wait_for_indexes(self) -> None:
        height = self.rpc.call("getblockcount")
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(index["best_block_height"] < height for index in self.rpc.call("getindexinfo").values()):
            assert time.monotonic() < deadline, "the indexes do not keep up"
            time.sleep(0.02)


@dataclass(frozen=True)
class Coin:
    """An output to spend: where it is, and how it is locked."""

    txid: str
    vout: int
    value: int
    kind: str
    key: ec.PrivateKey

    @property
    def script(self) -> bytes:
        return lock(self.kind, self.key)


def private_key(seed: str) -> ec.PrivateKey:
    return ec.PrivateKey(hashes.sha256(seed.encode()))


KINDS = ("pkh", "sh-wpkh", "wpkh", "tr", "wsh-multi", "multi", "anchor", "unknown")


def lock(kind: str, key: ec.PrivateKey) -> bytes:
    """The output script of a kind for one key."""
    public = key.get_public_key()
    match kind:
        case "pkh":
            made = embit_script.p2pkh(public)
        case "sh-wpkh":
            made = embit_script.p2sh(embit_script.p2wpkh(public))
        case "wpkh":
            made = embit_script.p2wpkh(public)
        case "tr":
            made = embit_script.p2tr(public)
        case "wsh-multi":
            made = embit_script.p2wsh(Script(_one_of_one(public)))
        case "multi":
            made = Script(_one_of_one(public))
        case "anchor":
            made = Script(bytes.fromhex("51024e73"))
        case "unknown":
            made = Script(b"\x52\x20" + public.sec()[1:])
        case _:
            raise ValueError(kind)
    return bytes(made.data)


def _one_of_one(public: ec.PublicKey) -> bytes:
    return b"\x51\x21" + public.sec() + b"\x51\xae"


def spend(coins: Sequence[Coin], outputs: Sequence[tuple[bytes, int]], *, sequence: int = 0xFFFFFFFD) -> tuple[str, str]:
    """A signed transaction in hex, and its txid."""
    tx = Transaction(
        version=2,
        vin=[TransactionInput(bytes.fromhex(coin.txid), coin.vout, sequence=sequence) for coin in coins],
        vout=[TransactionOutput(value, Script(script)) for script, value in outputs],
    )
    for place, coin in enumerate(coins):
        _sign(tx, place, coin, coins)
    return tx.serialize().hex(), tx.txid().hex()


def _sign(tx: Transaction, place: int, coin: Coin, coins: Sequence[Coin]) -> None:
    public, vin = coin.key.get_public_key(), tx.vin[place]

    def signature(digest: bytes) -> bytes:
        return bytes(coin.key.sign(digest).serialize()) + b"\x01"

    match coin.kind:
        case "pkh":
            signed = signature(tx.sighash_legacy(place, Script(coin.script)))
            vin.script_sig = Script(bytes([len(signed)]) + signed + b"\x21" + public.sec())
        case "wpkh" | "sh-wpkh":
            signed = signature(tx.sighash_segwit(place, embit_script.p2pkh(public), coin.value))
            vin.witness = Witness([signed, public.sec()])
            if coin.kind == "sh-wpkh":
                redeem = embit_script.p2wpkh(public).data
                vin.script_sig = Script(bytes([len(redeem)]) + redeem)
        case "tr":
            digest = tx.sighash_taproot(place, [Script(c.script) for c in coins], [c.value for c in coins])
            vin.witness = Witness([coin.key.taproot_tweak(b"").schnorr_sign(digest).serialize()])
        case "wsh-multi":
            inner = Script(_one_of_one(public))
            vin.witness = Witness([b"", signature(tx.sighash_segwit(place, inner, coin.value)), inner.data])
        case "multi":
            signed = signature(tx.sighash_legacy(place, Script(coin.script)))
            vin.script_sig = Script(b"\x00" + bytes([len(signed)]) + signed)
        case "anchor" | "unknown":
            pass  # anyone may spend them


def coinbase_of(node: RegtestNode, block_hash: str, kind: str, key: ec.PrivateKey) -> Coin:
    block: dict[str, Any] = node.rpc.call("getblock", block_hash, 2)
    output = block["tx"][0]["vout"][0]
    return Coin(block["tx"][0]["txid"], 0, int(output["value"] * 10**8), kind, key)
