"""A pool's October on an account chain that is followed at nodes of a test's choice, from settings to the frozen bundle.

Enters: a behaviour for each node. Leaves: what `esep` does with them, and the bytes of the frozen report and its tables. The month has a plain payout, one
inside a contract's call, a token's, one that failed, a deposit from a contract.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.app.app import App
from pipeline.chains.evm.address import to_checksum
from pipeline.log.events import decode
from pipeline.log.events.chain import ChainEvent
from pipeline.log.read import batches
from pipeline.model.months import ALMATY
from pipeline.render import render_all
from pipeline.settings import load_settings

from ..simulation.evm_world import BATCH, CHAIN_ID, TOKEN, Spend, World, address
from .example_month import LOOKED_AT, esep
from .raw_server import Behaviour
from .scripted_node import ScriptedAccountNode, listening

MONTH, CHAIN, FINALITY = "2026-10", "eth", 6
TABLES = ("report.csv", "transfers.csv", "outflows.csv", "balances.csv")
HOT, STRANGER = address(1), address(21)
MINERS = {"201040334324": (address(30), "a"), "240440639442": (address(31), "b")}
A, B = (place for place, _ in MINERS.values())
OWED = {("a", "ETH"): 1_000_000, ("a", "USDT"): 40_000, ("b", "ETH"): 700_000, ("b", "USDT"): 2_500}
PAID_AT = (20, 41, 63, 64, 90)
"""Heights of the blocks with something of the pool's that is paid."""


def at(text: str) -> int:
    """`10-05 12:00` in Almaty, Unix seconds."""
    return int(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ALMATY).timestamp())


def october() -> World:
    """The pool's month, a block every six hours, and two days of November."""
    world = World(3, time=at("09-30 20:00"))
    spends: dict[int, list[Spend]] = {
        20: [Spend(HOT, A, 400_000), Spend(STRANGER, HOT, 12)],
        41: [Spend(HOT, BATCH, 1_000_000, calls=[(BATCH, A, 500_000), (BATCH, B, 500_000)]), Spend(STRANGER, BATCH, 5, calls=[(BATCH, address(35), 5)])],
        55: [Spend(HOT, A, 77, is_failed=True)],
        63: [Spend(HOT, TOKEN, tokens=[(HOT, A, 40_000)])],
        64: [Spend(HOT, TOKEN, tokens=[(HOT, B, 2_500)]), Spend(STRANGER, TOKEN, tokens=[(STRANGER, HOT, 0)])],
        77: [Spend(STRANGER, BATCH, 9, calls=[(BATCH, HOT, 9)])],
        90: [Spend(HOT, BATCH, 300_000, calls=[(BATCH, A, 100_000), (BATCH, B, 200_000)])],
    }  # fmt: skip
    while world.now < at("11-02 23:00"):
        world.mine(spends.get(world.height + 1, []), after_s=6 * 3600)
    return world


CONFIG = """
var = "var"
[pool]
key = "pool"
bin = "201040000013"
name = "Pool"
address = "x"
telephone = "x"
email = "x@example.kz"
executor_name = "x"
executor_telephone = "x"
head_name = "x"
[chains.{chain}]
network = "evm:{chain_id}"
asset = "ETH"
rpc_url = {urls}
finality = {finality}
start_height = 1
blocks_a_step = 16
timeout_s = 5
witness_wait_s = 0
[[chains.{chain}.wallets]]
name = "hot"
addresses = ["{hot}"]
[assets.ETH]
chain = "{chain}"
decimals = 18
[assets.USDT]
chain = "{chain}"
decimals = 6
contract = "{token}"
[ledger]
payments = false
"""


@contextmanager
def tables_alone() -> Iterator[None]:
    """Within it a freeze writes no forms and no database: none of the report's tables depends on them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.freeze.bundle.render_all", functools.partial(render_all, formats=("json",)))
        patched.setattr("pipeline.store.publish.export_month", lambda connection, month, path: path.touch() or path)
        yield


class AccountPool:
    """The pool in a folder. `behaves` says what each node does, and may be changed at any time."""

    def __init__(self, folder: Path, held: ExitStack, world: World, n_nodes: int = 2) -> None:
        self.folder, self.world = folder, world
        folder.mkdir(parents=True, exist_ok=True)
        self.nodes = [ScriptedAccountNode(world) for _ in range(n_nodes)]
        self.behaves: list[Behaviour] = [node.behave for node in self.nodes]
        self.urls = [held.enter_context(listening(self._behave(place))) for place in range(n_nodes)]
        self.config = folder / "esep.toml"
        self.name_nodes(self.urls)

    def _behave(self, place: int) -> Behaviour:
        return lambda client, request: self.behaves[place](client, request)

    def name_nodes(self, urls: Sequence[str]) -> None:
        """Write the settings with these nodes."""
        self.config.write_text(
            CONFIG.format(
                chain=CHAIN, chain_id=CHAIN_ID, urls=json.dumps(list(urls)), finality=FINALITY, hot=to_checksum(HOT), token=to_checksum(TOKEN)
            ),
            encoding="utf-8",
        )  # fmt: skip

    def esep(self, *arguments: object) -> int:
        return esep(*arguments, "--config", self.config)

    def import_books(self) -> None:
        """The registry, the ledger and its declaration."""
        files = {
            "miners": ["miner_id,name", *(f"{miner},Miner {account}" for miner, (_, account) in MINERS.items())],
            "licences": [
                "miner_id,licence_number,issue_date,valid_from,valid_to,suspended_from,suspended_to",
                *(f"{miner},KZ{account},2025-01-01,2025-01-01,,," for miner, (_, account) in MINERS.items()),
            ],
            "accounts": [
                "account,miner_id,valid_from,valid_to",
                *(f"{account},{miner},2025-01-01," for miner, (_, account) in MINERS.items()),
            ],
            "wallets": [
                "address,chain,miner_id,valid_from,valid_to",
                *(f"{to_checksum(place)},{CHAIN},{miner},2025-01-01," for miner, (place, _) in MINERS.items()),
            ],
        }
        registry = self.folder / "registry"
        registry.mkdir(exist_ok=True)
        for name, lines in files.items():
            (registry / f"{name}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
        decimals = {"ETH": 18, "USDT": 6}
        head = "allocation_id,account,asset,allocated_at,amount,commission_asset,commission_amount,commission_currency,commission_currency_amount"
        rows = [
            f"L{n},{account},{asset},2026-10-02T10:00:00+05:00,{amount / 10 ** decimals[asset]:.{decimals[asset]}f},,,,"
            for n, ((account, asset), amount) in enumerate(OWED.items())
        ]
        ledger = self.folder / "allocations.csv"
        ledger.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
        assert self.esep("import", "registry", registry) == 0
        assert self.esep("import", "allocations", ledger) == 0
        assert self.esep("import", "complete", "2026-10-31") == 0

    def events(self) -> list[ChainEvent]:
        """What the log says of the chain."""
        with App(load_settings(self.config, {}), lambda: LOOKED_AT) as app:
            return [decode(record.value) for records in batches(app.log, {}) for record in records if record.topic == "chain"]  # type: ignore[misc]

    def issues(self, read_out: Callable[[], str]) -> dict[str, list[Mapping[str, Any]]]:
        """The open blocking issues of the month by code. `read_out`: what was printed since it was last called."""
        read_out()
        assert self.esep("issues", MONTH, "--blocking", "--json") == 0
        found: dict[str, list[Mapping[str, Any]]] = {}
        for issue in json.loads(read_out()):
            found.setdefault(issue["code"], []).append(issue)
        return found

    def nodes_told(self, read_out: Callable[[], str]) -> list[dict[str, Any]]:
        """What `esep nodes` says of each node."""
        read_out()
        assert self.esep("nodes", "--json") == 0
        (chain,) = json.loads(read_out())
        told: list[dict[str, Any]] = chain["nodes"]
        return told

    def freeze(self) -> dict[str, bytes]:
        """The frozen report and its tables; every open blocking issue is waived by a person before."""
        assert self.esep("ingest") == 0
        assert self.esep("freeze", MONTH, "--by", "A. Person") == 0
        bundle = self.folder / "var" / "months" / MONTH / "v1"
        return {name: (bundle / name).read_bytes() for name in TABLES}
