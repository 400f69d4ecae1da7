"""A front's month on anvil and on geth (rule 10): an upstream pays miners by a plain transfer, by a contract's calls and in a token; the month is frozen and verified.

What is right comes from what each transaction was sent to do; the node's own balances of the miners are asked beside it. Both nodes are given the same transactions at
the same instants and show internal calls each in its own way.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from pathlib import Path

import pytest
from eth_account import Account

from pipeline.chains.evm.address import to_checksum
from pipeline.verify.bundle import verify_bundle

from ..integration.payers_month import DAY, MONTH, NOVEMBER, OCTOBER, SETTINGS, Front, write_registry
from ..simulation.evm_world import World
from .evm import provision
from .evm.chronicle import Actor
from .evm.contracts import Contract, compile_contracts
from .evm.nodes import CHAIN_ID, Anvil, Geth, Node, genesis
from .evm.provision import Missing

pytestmark = pytest.mark.live

ETHER = 10**18
UPSTREAM, HOT = Actor("upstream"), Actor("pool hot wallet")
MINERS = [Actor(f"miner {n}").address for n in range(3)]


class Upstream:
    """Signs and sends what the upstream does, a block each."""

    def __init__(self, node: Node, front: Front) -> None:
        self.node, self.front, self._nonces = node, front, itertools.count()

    def sign(self, to: str | None, data: str = "0x", value: int = 0) -> tuple[str, str]:
        """A signed transaction and its id."""
        fields = {
            "chainId": CHAIN_ID,
            "nonce": next(self._nonces),
            "value": value,
            "data": data,
            "gas": 1_500_000,
            **({"to": to} if to else {}),
        }
        signed = Account.sign_transaction({**fields, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9}, UPSTREAM.key)
        return "0x" + signed.raw_transaction.hex().removeprefix("0x"), signed.hash.hex().removeprefix("0x")

    def send(self, name: str, day: float, to: str | None, data: str = "0x", value: int = 0, *, fails: bool = False) -> str:
        """Mined at so many days into October; the contract that it made, if any."""
        raw, self.front.txids[name] = self.sign(to, data, value)
        self.node.mine([raw], round(OCTOBER + day * DAY))
        receipt = self.node.rpc.call("eth_getTransactionReceipt", "0x" + self.front.txids[name])
        assert receipt["status"] == ("0x0" if fails else "0x1")
        return to_checksum(receipt["contractAddress"]) if receipt["contractAddress"] else ""


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    try:
        return compile_contracts(provision.solc())
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("name", ["anvil", "geth"])
def test_a_fronts_month_is_frozen_and_verified(name: str, contracts: dict[str, Contract], tmp_path: Path) -> None:
    first = genesis(OCTOBER - DAY, {UPSTREAM.address: 1000 * ETHER, HOT.address: ETHER})
    try:
        node: Node = (
            Anvil(provision.anvil(), tmp_path / "node", first) if name == "anvil" else Geth(provision.geth(), tmp_path / "node", first)
        )
    except Missing as missing:
        pytest.skip(str(missing))
    front = Front(World(1), tmp_path / "front", miners=MINERS)
    with node:
        told = play(node, front, contracts)
        bundle = front.bundle
        for miner in MINERS:
            held = int(node.rpc.call("eth_getBalance", miner, "latest"), 16)
            assert held == sum(units for where, asset, units in told.values() if (where, asset) == (miner, "ETH"))
    with (bundle / "transfers.csv").open(encoding="utf-8", newline="") as file:
        rows = [(r["payer"], r["txid"], r["address"], r["asset"], int(r["amount_sat"]), r["explanation"]) for r in csv.DictReader(file)]
    paid: Counter[tuple[str, str, str]] = Counter()
    for payment, (where, asset, units) in told.items():
        paid[front.payments[payment][5], where, asset] += units
    assert sorted(rows) == sorted(("big", txid, where, asset, units, "exact") for (txid, where, asset), units in paid.items())
    checks = {check.name: check for check in verify_bundle(bundle)}
    assert [check for check in checks.values() if not check.holds] == []
    assert checks["reported transfers"].on_word[0].startswith("4 transfer(s) of which the sum rests on the node's trace of calls")
    assert front.esep("replay", MONTH) == 0


def play(node: Node, front: Front, contracts: dict[str, Contract]) -> dict[str, tuple[str, str, int]]:
    """October, to its frozen bundle. Leaves what each payment that is right says: to whom, of what, how much."""
    upstream, told = Upstream(node, front), dict[str, tuple[str, str, int]]()

    def pay(payment: str, miner: int, units: int, name: str, day: float, asset: str = "ETH", *, is_right: bool = True) -> None:
        front.pay(payment, miner, units, front.txids[name], day, asset=asset)
        if is_right:
            told[payment] = MINERS[miner], asset, units

    batch = upstream.send("made", 0.2, None, contracts["Batch"].create())
    token = upstream.send("token made", 0.3, None, contracts["Token"].create("USDT", 6, 10**12, 0, UPSTREAM.address))
    front.folder.mkdir()
    text = SETTINGS.format(chain_id=CHAIN_ID, url=node.url, hot=HOT.address, token=token)
    (front.folder / "esep.toml").write_text(text, encoding="utf-8")
    write_registry(front)
    upstream.send("plain", 1, MINERS[0], value=3 * ETHER)
    pay("P1", 0, 3 * ETHER, "plain", 1)
    upstream.send("batch", 2, batch, contracts["Batch"].call("pay", MINERS, [5, 70, 900], 0), 1000)  # 25 come back
    for n, units in enumerate((5, 70, 900)):
        pay(f"P2{n}", n, units, "batch", 2)
    upstream.send("undone", 3, batch, contracts["Batch"].call("payAndUndo", MINERS[1]), 600)
    pay("P3", 1, 600, "undone", 3, is_right=False)
    upstream.send("failed", 4, batch, contracts["Batch"].call("payAndFail", MINERS[1]), 600, fails=True)
    pay("P4", 1, 600, "failed", 4, is_right=False)
    upstream.send("token", 5, token, contracts["Token"].call("transfer", MINERS[2], 45))
    pay("P5", 2, 45, "token", 5, "USDT")
    upstream.send("allowed", 5.5, token, contracts["Token"].call("approve", batch, 10**9))
    upstream.send("tokens", 6, batch, contracts["Batch"].call("payTokens", token, MINERS, [1, 2, 3]))
    for n, units in enumerate((1, 2, 3)):
        pay(f"P6{n}", n, units, "tokens", 6, "USDT")
    front.watch()
    front.import_payments()
    front.watch()  # what is past is found by its id
    # Two that are in no block yet; a block that leaves takes the one along, and it comes back in another.
    raw, front.txids["coming"] = upstream.sign(batch, contracts["Batch"].call("pay", [MINERS[0]], [11], 0), 11)
    pay("P7", 0, 11, "coming", 20)
    front.import_payments()
    fork = node.block().number
    node.mine([raw], round(OCTOBER + 20 * DAY))
    node.mine([], round(OCTOBER + 20.5 * DAY))
    front.watch()
    node.reorganise(fork, [([], round(OCTOBER + 21 * DAY)), ([raw], round(OCTOBER + 22 * DAY)), ([], round(OCTOBER + 22.5 * DAY))])
    front.watch()
    for hours in (1, 2, 3, 4):
        node.mine([], NOVEMBER + 3600 * hours)
    front.watch()
    front.allocate([(0, "ETH", 3 * ETHER + 16), (1, "ETH", 70), (2, "ETH", 900), (0, "USDT", 1), (1, "USDT", 2), (2, "USDT", 48)])
    assert front.esep("import", "complete", "2026-10-31") == 0
    assert front.esep("freeze", MONTH, "--by", "B.") == 3
    for payment in ("P3", "P4"):
        assert front.esep("waive", MONTH, "payment-not-on-chain", payment, "--by", "B.", "--reason", "the upstream's mistake") == 0
    assert front.esep("freeze", MONTH, "--by", "B.") == 0
    return told
