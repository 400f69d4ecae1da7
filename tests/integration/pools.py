"""Small pools for tests of sharing: a synthetic month each, as events that any log takes, and the digest it must come to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from connectors.log_sqlite.log import SqliteLog
from pipeline.assess.printed import printed_report
from pipeline.enrich.month import enrich_month
from pipeline.log.protocol import EventLog, NewEvent, Topic, advance
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest

from ..bench.synthetic import CHAIN_SETTINGS, MONTH, RULES, Size, write_month
from ..reports import report_csv

SETTINGS = """\
log = "{log}"
var = "{var}"
[pool]
key = "{pool}"
bin = "201040000013"
name = "Pool {pool}"
[store]
publish_every_s = {publish_every_s}
"""


@dataclass(frozen=True)
class SmallPool:
    """A pool's whole month: its events by topic and key, in order, and the SHA-256 of the report they make."""

    name: str
    events: dict[tuple[Topic, str], list[NewEvent]]
    digest: str

    def append_to(self, log: EventLog, part: int = 0, parts: int = 1) -> None:
        """Append one part of the month, of so many, in each key's order."""
        for (topic, key), events in self.events.items():
            share = events[len(events) * part // parts : len(events) * (part + 1) // parts]
            if share:
                with log.writer(topic, key) as writer:
                    writer.append(share)

    def write_settings(self, folder: Path, *, publish_every_s: int = 1, log: str = "sqlite:log.sqlite", further: str = "") -> Path:
        """The pool's settings file in the folder, its var beside it; `further` tables of it as TOML."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.toml"
        content = (
            SETTINGS.format(pool=self.name, var=folder / f"var-{self.name}", publish_every_s=publish_every_s, log=log) + CHAIN_SETTINGS
        )
        path.write_text(content + further)
        return path


def small_pool(folder: Path, name: str, *, seed: int, rounds: int = 4, miners: int = 10) -> SmallPool:
    """A pool with `rounds` times ten allocations of each miner; `folder` is for a log that is thrown away."""
    path = folder / f"{name}.sqlite"
    events: dict[tuple[Topic, str], list[NewEvent]] = {}
    with SqliteLog(path) as log:
        write_month(log, Size(rounds * 10 * miners, miners=miners, seed=seed))
        positions: dict[str, int] = {}
        while records := log.read(positions):
            positions = advance(positions, records)
            for record in records:
                key = record.key.replace("pool", name, 1)
                events.setdefault((record.topic, key), []).append(NewEvent(record.id, record.value))  # type: ignore[arg-type]
        with Store.memory() as store:
            Ingest(log, store).catch_up()
            digest = report_digest(store)
    path.unlink()
    return SmallPool(name, events, digest)


def report_digest(store: Store) -> str:
    """SHA-256 of the month's report as the store's facts make it."""
    enriched = enrich_month(read_facts(store.connection), MONTH, RULES)
    assert enriched.report.height > 0, "a report without a row has nothing to compare"
    return hashlib.sha256(report_csv(printed_report(enriched, RULES))).hexdigest()
