"""A played month, followed and imported: by the connector alone, and by `esep` with its settings, log, store and bundle."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors.evm import EvmChain, EvmConnector, Idle
from connectors.standins.log_memory import MemoryLog
from pipeline.follow.connector import Step
from pipeline.log.events import AnyEvent, decode
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.protocol import advance

from ...integration.example_month import esep
from .books import CHAIN, write_files
from .cast import DECIMALS, NATIVE, Stage
from .last_night import LastNight
from .nodes import CHAIN_ID
from .played import Played, play

FINALITY = 12

SETTINGS = """\
[pool]
key = "pool"
bin = "201040000023"
name = "«Мысал» майнинг пулы"
address = "Алматы қ., Мысал көшесі, 1"
telephone = "+7 700 000 00 00"
email = "pool@example.kz"
executor_name = "Мысалова А."
executor_telephone = "+7 700 000 00 01"
head_name = "Үлгібаев Б."

[chains.{chain}]
network = "evm:{chain_id}"
asset = "{native}"
rpc_url = "{url}"
finality = {finality}
start_height = {start_height}
internal_calls = "{internal_calls}"
"""


@dataclass
class Followed:
    """What came of it; the node still runs."""

    played: Played
    config: Path
    log: MemoryLog = field(default_factory=MemoryLog)
    """Of the connector alone."""
    steps: list[Step] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        return self.played.stage

    @property
    def bundle(self) -> Path:
        return self.config.parent / "var" / "months" / "2025-10" / "v1"

    def esep(self, *arguments: object) -> int:
        return esep(*arguments, "--config", self.config)


def connector(log: MemoryLog, stage: Stage, wallets: Mapping[str, list[str]] | None = None, internal_calls: str = "auto") -> EvmConnector:
    """The connector of the script's pool, or of some of its wallets."""
    return EvmConnector(
        log,
        EvmChain(
            pool_id="pool",
            chain=CHAIN,
            asset=NATIVE,
            network=f"evm:{CHAIN_ID}",
            rpc_url=stage.chronicle.node.url,
            wallets=[WatchedWallet(name=name, addresses=addresses) for name, addresses in (wallets or stage.wallets).items()],
            tokens={place: name for name, (_, place) in stage.chronicle.tokens.items()},
            start_height=stage.start_height,
            finality=FINALITY,
            internal_calls=internal_calls,  # type: ignore[arg-type]
        ),
    )


def to_tip(followed: EvmConnector) -> list[Step]:
    """All steps up to the node's tip."""
    steps: list[Step] = []
    while not (steps and isinstance(steps[-1], Idle)):
        steps.append(followed.step())
        assert len(steps) < 100, steps
    return steps


def events_of(log: MemoryLog) -> list[AnyEvent]:
    positions: dict[str, int] = {}
    events: list[AnyEvent] = []
    while records := log.read(positions, topics=["chain"]):
        positions = advance(positions, records)
        events += [decode(record.value) for record in records]
    return events


def write_settings(
    stage: Stage, folder: Path, *, internal_calls: str = "auto", wallets: Sequence[str] = ("hot", "treasury", "safe")
) -> Path:
    """A settings file as an operator writes it: the chain, its wallets, the tokens by contract."""
    text = SETTINGS.format(
        chain=CHAIN,
        chain_id=CHAIN_ID,
        native=NATIVE,
        url=stage.chronicle.node.url,
        finality=FINALITY,
        start_height=stage.start_height,
        internal_calls=internal_calls,
    )
    for name in wallets:
        addresses = ", ".join(f'"{address}"' for address in stage.wallets[name])
        text += f'\n[[chains.{CHAIN}.wallets]]\nname = "{name}"\naddresses = [{addresses}]\n'
    for name, decimals in DECIMALS.items():
        contract = f'contract = "{stage.at[name]}"\n' if name != NATIVE else ""
        text += f'\n[assets.{name}]\nchain = "{CHAIN}"\ndecimals = {decimals}\n{contract}'
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "esep.toml"
    config.write_text(text, encoding="utf-8")
    return config


@contextlib.contextmanager
def follow(name: str, folder: Path) -> Iterator[Followed]:
    """The whole month on a node: followed up to the reorganisation and beyond it, the files imported. Raises Missing."""
    with play(name, folder / "node") as played:
        found = Followed(played, write_settings(played.stage, folder / "pool"))
        night = LastNight(played.month)
        night.first_branch()
        _watch(found)
        night.second_branch()
        night.morning(blocks=20)
        _watch(found)
        files = folder / "files"
        write_files(played.books, played.stage, files)
        for kind, what in (
            ("registry", files / "registry"),
            ("allocations", files / "allocations.csv"),
            ("payments", files / "payments.csv"),
            ("complete", "2025-10-31"),
        ):
            assert found.esep("import", kind, what) == 0
        assert found.esep("ingest") == 0
        yield found


def _watch(found: Followed) -> None:
    with connector(found.log, found.stage) as alone:
        found.steps += to_tip(alone)
    assert found.esep("watch", CHAIN, "--once") == 0
