"""The registry from a source that keeps only the present: what becomes a dated row, what waits for a person, and what stands beside an import."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.held import Held
from pipeline.capture.kinds.table import TableReading
from pipeline.capture.outputs import Item
from pipeline.capture.registry_keeper import RegistryPlan
from pipeline.capture.source import Content, Known, Look, TableLook
from pipeline.capture.source_state import SourcePlan
from pipeline.enrich.undated import doubt_of
from pipeline.log.events import decode, encode
from pipeline.log.events.registry import Registry
from pipeline.log.events.sources import SourceDecided, SourceItems, SourcePolled
from pipeline.log.registry_versions import RegistryVersions, digest_of

MINER, OTHER = "201040334324", "201040000013"
OLD, NEW = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"
HOLDER = {"account": "acct", "miner_id": MINER, "valid_from": "2024-06-14", "valid_to": None}


def at(text: str) -> int:
    """An instant of Almaty, in microseconds."""
    return int(datetime.fromisoformat(f"{text}+05:00").timestamp()) * 1_000_000


class Books:
    """A database that keeps only the present, its follower, a log and a clock."""

    def __init__(self, *tables: str) -> None:
        self.log, self.now = MemoryLog(), at("2026-10-05T10:00")
        self.tables: dict[str, dict[str, Content]] = {table: {} for table in tables or ("wallets",)}
        self.while_read: list[Callable[[], None]] = []
        """What happens after a look has begun, and before it reads."""
        self.restart()

    def restart(self) -> None:
        """As after a kill: nothing is left but the log."""
        settings = {"since": "2026-10-01", **{table: {"statement": "SELECT …"} for table in self.tables}}
        since = at("2026-10-01T00:00")
        registry = RegistryPlan(tuple(self.tables), date(2026, 10, 1), {"bitcoin": "bitcoin"})
        plan = SourcePlan("people", "sql", settings, TableReading("people:", {"BTC": 8}), None, since, 3600, True, registry=registry)
        self.follower = SourceFollower(self.log, "pool", self, plan, lambda: self.now)

    def look(self, known: Known, now_us: int) -> Look:
        if self.while_read:
            self.while_read.pop(0)()
        return Look(now_us, {name: TableLook(dict(rows)) for name, rows in self.tables.items()})

    def close(self) -> None: ...

    def step(self, when: str) -> None:
        self.now = at(when)
        self.follower.step()

    def wallet(self, address: str, row_id: str = "7", **more: str | None) -> None:
        self.tables["wallets"][row_id] = {"account": "acct", "address": address, "chain": "bitcoin", **more}

    def importing(self, **tables: list[dict[str, str | None]]) -> None:
        """A person imports a registry."""
        versions = self.versions
        with self.log.writer("registry", "pool") as writer:
            writer.append(list(versions.next(tables, digest_of(tables))))

    @property
    def versions(self) -> RegistryVersions:
        found = RegistryVersions()
        for record in self.log.read({}, topics=["registry"]):
            event = decode(record.value)
            assert isinstance(event, Registry)
            found.take(event)
        return found

    def periods(self, table: str = "wallets") -> list[tuple[str | None, ...]]:
        """Key, miner, first day, end of the registry in force."""
        key = "address" if table == "wallets" else "account"
        return [(row[key], row["miner_id"], row["valid_from"], row["valid_to"]) for row in self.versions.newest.content()[table]]

    @property
    def items(self) -> dict[str, Item]:
        found = Held("people", "")
        for record in self.log.read({}, topics=["ledger"]):
            if isinstance(event := decode(record.value), SourceItems):
                found.apply(event)
        return found.open_items()

    def decide(self, item: str, outcome: str, day: str | None = None) -> None:
        said = SourceDecided(id=f"d{item}", source="people", item=item, outcome=outcome, day=day, by="A. Person", reason="asked", at=0)  # type: ignore[arg-type]
        with self.log.writer("months", "pool") as writer:
            writer.append([encode(said)])


def test_what_was_there_at_the_first_look_counts_from_the_source_s_first_day() -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    assert books.periods() == [(OLD, MINER, "2026-10-01", None)]
    assert books.versions.newest.source == "people" and books.versions.imported.version == 1
    assert books.periods("accounts") == [("acct", MINER, "2024-06-14", None)]


def test_a_wallet_that_changes_between_two_looks_of_one_day_becomes_a_dated_row() -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    books.step("2026-10-12T09:00")
    books.wallet(NEW)
    books.step("2026-10-12T09:10")
    dated = [(NEW, MINER, "2026-10-12", None), (OLD, MINER, "2026-10-01", "2026-10-12")]
    assert books.periods() == dated and not books.items
    version = books.versions.newest.version
    books.restart()
    books.step("2026-10-12T09:20")
    assert books.periods() == dated and books.versions.newest.version == version, "the log read again gives nothing more to say"


def test_a_change_after_midnight_in_a_look_that_began_before_it_is_not_of_the_day_before() -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD)
    books.step("2026-10-11T23:50")

    def midnight() -> None:
        books.now = at("2026-10-12T00:00:01")
        books.wallet(NEW)

    books.while_read = [midnight]
    books.step("2026-10-11T23:59:59")
    assert [row[2] for row in books.periods()] == ["2026-10-12", "2026-10-01"]
    (item,) = books.items.values()
    doubt = doubt_of(item.item)
    assert doubt is not None and (str(doubt.first), str(doubt.last)) == ("2026-10-11", "2026-10-12"), "the look before was of the 11th"


def test_a_change_over_midnight_waits_until_a_person_dates_it() -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    books.step("2026-10-11T23:58")
    books.wallet(NEW)
    books.step("2026-10-12T00:01")
    (item,) = books.items.values()
    assert item.code.value == "registry-undated" and item.day.isoformat() == "2026-10-11"
    doubt = doubt_of(item.item)
    assert doubt is not None and (str(doubt.first), str(doubt.last), doubt.subjects) == ("2026-10-11", "2026-10-12", (OLD, NEW))
    assert books.periods() == [(NEW, MINER, "2026-10-12", None), (OLD, MINER, "2026-10-01", "2026-10-12")]
    books.decide(item.item, "dated", "2026-10-11")
    books.step("2026-10-12T00:02")
    assert books.periods() == [(NEW, MINER, "2026-10-11", None), (OLD, MINER, "2026-10-01", "2026-10-11")]
    assert not books.items


def test_the_look_before_a_change_is_in_the_log_though_looks_that_find_nothing_are_merged() -> None:
    books = Books()
    books.wallet(OLD)
    for when in ("2026-10-11T23:50", "2026-10-11T23:55", "2026-10-12T00:00:30"):
        books.step(when)
    books.wallet(NEW)
    books.step("2026-10-12T00:01")
    assert not books.items, "the look before was of the same day"
    looks = [event.at for record in books.log.read({}, topics=["ledger"]) if isinstance(event := decode(record.value), SourcePolled)]
    assert at("2026-10-12T00:00:30") in looks


@pytest.mark.parametrize("own", [{"changed_at": "2026-10-09 20:30:00+00"}, {"valid_from": "2026-10-10"}])
def test_the_source_s_own_time_of_a_change_dates_it(own: dict[str, str | None]) -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD, **dict.fromkeys(own))
    books.step("2026-10-05T10:00")
    books.wallet(NEW, **own)
    books.step("2026-10-12T09:10")
    assert books.periods() == [(NEW, MINER, "2026-10-10", None), (OLD, MINER, "2026-10-01", "2026-10-10")] and not books.items


def test_a_row_that_is_gone_ends_and_one_that_comes_back_begins_again() -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    row = books.tables["wallets"].pop("7")
    books.step("2026-10-05T11:00")
    books.tables["wallets"]["7"] = row
    books.step("2026-10-07T10:00")
    assert books.periods() == [(OLD, MINER, "2026-10-01", "2026-10-05"), (OLD, MINER, "2026-10-07", None)]
    assert [item.code.value for item in books.items.values()] == ["registry-undated"], "it came back some day from the 5th to the 7th"


def test_an_account_that_passes_to_another_miner_takes_its_wallet_along() -> None:
    books = Books("accounts", "wallets")
    books.tables["accounts"]["1"] = {"account": "acct", "miner_id": MINER}
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    books.step("2026-10-09T10:00")
    books.tables["accounts"]["1"] = {"account": "acct", "miner_id": OTHER}
    books.step("2026-10-09T10:05")
    assert books.periods("accounts") == [("acct", OTHER, "2026-10-09", None), ("acct", MINER, "2026-10-01", "2026-10-09")]
    assert sorted(books.periods()) == sorted([(OLD, MINER, "2026-10-01", "2026-10-09"), (OLD, OTHER, "2026-10-09", None)])


def test_an_imported_row_without_an_end_ends_where_the_source_shows_it_and_keeps_its_beginning() -> None:
    books = Books()
    books.importing(
        accounts=[HOLDER], wallets=[{"address": OLD, "chain": "bitcoin", "miner_id": MINER, "valid_from": "2024-06-14", "valid_to": None}]
    )
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    assert books.versions.newest.source == "", "the source says nothing new"
    books.wallet(NEW)
    books.step("2026-10-05T10:05")
    assert books.periods() == [(NEW, MINER, "2026-10-05", None), (OLD, MINER, "2024-06-14", "2026-10-05")] and not books.items


def test_what_contradicts_an_import_is_told_and_the_import_stands_until_a_person_accepts() -> None:
    books = Books()
    theirs = {"address": OLD, "chain": "bitcoin", "miner_id": OTHER, "valid_from": "2026-01-01", "valid_to": None}
    books.importing(accounts=[HOLDER], wallets=[theirs])
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    assert books.periods() == [(OLD, OTHER, "2026-01-01", None)]
    (item,) = books.items.values()
    assert item.code.value == "source-restatement" and MINER not in item.detail and OTHER not in item.detail
    books.restart()
    books.step("2026-10-06T10:00")
    assert list(books.items) == [item.item]
    books.decide(item.item, "accept")
    books.step("2026-10-06T10:05")
    assert (
        sorted(books.periods()) == sorted([(OLD, OTHER, "2026-01-01", "2026-10-01"), (OLD, MINER, "2026-10-01", None)]) and not books.items
    )


def test_the_same_import_again_is_no_new_version_and_another_one_gets_the_source_s_rows() -> None:
    books = Books()
    books.importing(accounts=[HOLDER])
    books.wallet(OLD)
    books.step("2026-10-05T10:00")
    held = books.versions.holds(digest_of({"accounts": [HOLDER]}))
    assert held is not None and held.version == 1
    books.importing(accounts=[HOLDER, HOLDER | {"account": "b"}])
    assert not books.periods()
    books.step("2026-10-05T10:05")
    assert books.periods() == [(OLD, MINER, "2026-10-01", None)] and len(books.periods("accounts")) == 2


def test_a_row_that_can_t_stand_in_a_registry_is_left_out_and_told() -> None:
    books = Books("miners", "licences", "wallets")
    books.tables["miners"]["1"] = {"miner_id": MINER, "name": "Miner"}
    books.tables["licences"]["1"] = {
        "miner_id": MINER,
        "licence_number": "KZ1",
        "issue_date": "2024-06-14",
        "valid_from": "2024-06-14",
        "valid_to": None,
    }
    books.tables["licences"]["2"] = {
        "miner_id": MINER,
        "licence_number": "KZ2",
        "issue_date": "14.06.2024",
        "valid_from": "2024-06-14",
        "valid_to": None,
    }
    books.wallet(OLD[:-1] + "5", miner_id=MINER)
    books.step("2026-10-05T10:00")
    assert sorted(books.items) == ["unreadable:licences:2", "unreadable:wallets:7"]
    content = books.versions.newest.content()
    assert [row["licence_number"] for row in content["licences"]] == ["KZ1"] and len(content["miners"]) == 1 and not content["wallets"]
