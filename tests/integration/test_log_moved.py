"""A month frozen in one log is replayed from another one that it was copied into: by what its events are, for the positions are others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from connectors.log_kafka import KafkaLog
from connectors.log_sqlite.log import SqliteLog
from connectors.standins.log_memory import MemoryLog
from pipeline.freeze.replay import positions_in_log
from pipeline.log.copying import copy_log
from pipeline.log.events import decode
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import EventLog, NewEvent, Topic
from pipeline.log.read import batches
from pipeline.model.errors import VerifyError

from ..contract.kafka_protocol import fresh_log, tansu
from .example_month import DIGEST, esep


def frozen_event(log: EventLog) -> Frozen:
    (record,) = (record for records in batches(log) for record in records if record.id.startswith("frozen:"))
    event = decode(record.value)
    assert isinstance(event, Frozen)
    return event


def test_a_month_frozen_on_sqlite_is_replayed_from_kafka_and_from_a_copy_of_that(
    frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    var = tmp_path / "var"
    shutil.copytree(frozen, var)
    config = var / "esep.toml"
    assert config.read_text().count('var = "."\n') == 1
    with tansu() as server:
        settings = fresh_log(server, partitions=3)
        table = "[kafka]\npartitions = 3\nreplication_factor = 1\nmin_insync_replicas = 1\n"
        config.write_text(config.read_text().replace('var = "."\n', f'var = "."\nlog = "{settings.place}"\n') + table)
        assert esep("log", "copy", "sqlite:log.sqlite", settings.place, "--config", config) == 0
        (var / "log.sqlite").rename(tmp_path / "old.sqlite")
        with SqliteLog(tmp_path / "old.sqlite") as old, KafkaLog(settings, pool="demo") as new:
            event = frozen_event(new)
            assert event == frozen_event(old)
            assert positions_in_log(event, old) == event.positions != positions_in_log(event, new)
        capsys.readouterr()
        assert esep("replay", "2026-10", "--json", "--config", config) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["digest"], told["is_same"], told["differences"]) == (DIGEST, True, [])
        assert told["compared"] > 10
        shutil.rmtree(var / "months")
        assert esep("log", "copy", settings.place, "sqlite:back.sqlite", "--config", config) == 0
    config.write_text(config.read_text().replace(settings.place, "sqlite:back.sqlite"))
    assert esep("replay", "2026-10", "--config", config) == 0
    assert esep("verify", "2026-10", "--config", config, "--test-network") == 0, "the bundle that was lost came back"


# --- the places themselves

PLAN: list[tuple[Topic, str, str]] = [
    ("chain", "p/bitcoin", "bitcoin:0"),
    ("chain", "p/litecoin", "litecoin:0"),
    ("ledger", "p", "a"),
    ("chain", "p/bitcoin", "bitcoin:1"),
    ("chain", "p/litecoin", "litecoin:1"),
]
NEWEST = {"chain/p/bitcoin": "bitcoin:1", "chain/p/litecoin": "litecoin:0", "ledger/p": "a"}


def log_of(plan: list[tuple[Topic, str, str]]) -> MemoryLog:
    log = MemoryLog()
    for topic, key, id_ in plan:
        with log.writer(topic, key) as writer:
            writer.append([NewEvent(id_, b"{}")])
    return log


def event_with(newest: dict[str, str]) -> Frozen:
    return Frozen(
        id="frozen:2026-10:1", month="2026-10", version=1, digest="0" * 64, positions={}, newest=newest, rules={}, header={},
        manifest_digest="0" * 64, by="a", reason="b", at=0,
    )  # fmt: skip


def test_places_lie_right_after_the_newest_event_of_every_key():
    assert positions_in_log(event_with(NEWEST), log_of(PLAN)) == {"chain/0": 3, "ledger/0": 1}


def test_a_log_that_lacks_an_event_is_refused():
    with pytest.raises(VerifyError, match=r"function of event 'b' of ledger/p, which the log does not hold"):
        positions_in_log(event_with({"ledger/p": "b"}), log_of(PLAN))


@pytest.mark.parametrize(
    "newest",
    [{"chain/p/bitcoin": "bitcoin:1"}, {"chain/p/bitcoin": "bitcoin:0", "chain/p/litecoin": "litecoin:1"}],
    ids=["another key", "a later event"],
)
def test_a_log_with_others_in_between_is_refused(newest: dict[str, str]):
    with pytest.raises(VerifyError, match="was not there when it was frozen"):
        positions_in_log(event_with(newest), log_of(PLAN))


def test_a_copy_that_is_resumed_keeps_the_places(tmp_path: Path):
    """Broken off and resumed, with more events meanwhile: what lay before a place still lies before it."""
    with SqliteLog(tmp_path / "target.sqlite") as target:
        copy_log(log_of(PLAN[:2]), target)
        copy_log(log_of(PLAN), target)
        assert positions_in_log(event_with(NEWEST), target) == {"chain/0": 3, "ledger/0": 1}
