"""The same ledger file again: what was found out about it stands in for reading it, until anything changes that the outcome depends on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.files import ImportResult, ReadOptions, import_ledger
from connectors.log_sqlite.log import SqliteLog
from pipeline.app.kept import Kept
from pipeline.log.events import encode
from pipeline.log.events.months import Labelled
from pipeline.log.events.registry import Registry
from pipeline.log.protocol import EventLog
from pipeline.model.rules import Asset
from pipeline.validate.layout import Layout
from pipeline.validate.review import Consent, ReviewContext

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
READING = ReadOptions({"BTC": Asset("BTC", "bitcoin", 8)}, {"bitcoin": "regtest"}, timezone="Asia/Almaty")
AT_US = 1_795_000_000_000_000
HEAD = "allocation_id,account,asset,allocated_at,amount\n"
ROWS = "a,anna,BTC,2026-10-02T00:00:00+05:00,0.5\nb,bela,BTC,2026-10-03T00:00:00,0.25\n"
Take = Callable[..., ImportResult]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with SqliteLog(tmp_path / "log.sqlite") as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "october.csv"
    place.write_text(HEAD + ROWS)
    return place


@pytest.fixture
def take(log: EventLog, path: Path, tmp_path: Path) -> Take:
    def work(
        file: Path = path,
        reading: ReadOptions = READING,
        *,
        now_us: int = AT_US,
        supplies: dict[str, int] | None = None,
        is_seen: bool = True,
        root: str | None = None,
    ) -> ImportResult:
        seen = Kept(tmp_path / "kept", root) if is_seen else None
        known = ReviewContext(now_us, supplies=supplies or {})
        return import_ledger(log, "pool", file, "allocations", reading, known=known, consent=Consent(True, True), seen=seen)

    return work


def mark(tmp_path: Path) -> None:
    """Change what was kept, so that it shows where it is read."""
    for place in (tmp_path / "kept").iterdir():
        kept: dict[str, Any] = json.loads(place.read_bytes())
        kept["content"]["review"]["days"] = 77
        place.write_text(json.dumps(kept))


def was_read(found: ImportResult) -> bool:
    return found.review.days != 77


def test_the_same_file_again_is_not_read_and_comes_to_the_same(take: Take, log: EventLog, tmp_path: Path) -> None:
    first = take()
    assert (first.new, first.unchanged, first.events) == (2, 0, 1)
    end = log.end()
    assert take() == take(is_seen=False)
    mark(tmp_path)
    assert not was_read(take())
    assert log.end() == end


def test_the_example_again_comes_to_the_same(take: Take, tmp_path: Path) -> None:
    for name in ("allocations.csv",):
        take(EXAMPLE / name)
        assert take(EXAMPLE / name) == take(EXAMPLE / name, is_seen=False)


def test_a_repeat_without_questions_is_kept_though_the_first_import_had_one(take: Take, path: Path, tmp_path: Path) -> None:
    """The rows of the first import lie in the future then, and do no more when the file comes again; a clock that goes back makes it be read."""
    early = AT_US - 10_000_000_000_000
    assert take(now_us=early).review.questions
    assert not take().review.questions
    mark(tmp_path)
    assert not was_read(take(now_us=AT_US + 1))
    assert was_read(take(now_us=early))


@pytest.mark.parametrize(
    "reading",
    [
        replace(READING, timezone="UTC"),
        replace(READING, columns={"amount": "amount", "account": "account"}),
        replace(READING, ignored=["note"]),
        replace(READING, layout=Layout(place="[ledger.files.allocations]", rounding="half-up")),
        replace(READING, assets={"BTC": Asset("BTC", "bitcoin", 9)}),
        replace(READING, networks={"bitcoin": "bitcoin"}),
        replace(READING, on_chain_payers=["front"]),
    ],
)
def test_another_way_of_reading_is_read(take: Take, tmp_path: Path, reading: ReadOptions) -> None:
    take()
    mark(tmp_path)
    assert was_read(take(reading=reading))


def test_other_supplies_other_keys_another_name_or_other_bytes_are_read(take: Take, path: Path, tmp_path: Path) -> None:
    take()
    mark(tmp_path)
    assert was_read(take(supplies={"BTC": 21 * 10**14}))
    assert was_read(take(root="0" * 64))
    other = tmp_path / "other.csv"
    other.write_bytes(path.read_bytes())
    assert was_read(take(other))
    path.write_text(HEAD + ROWS.replace("0.25", "0.75"))
    restated = take()
    assert (was_read(restated), restated.restated) == (True, 1)


def test_what_another_file_restated_is_restated_again(take: Take, path: Path, tmp_path: Path) -> None:
    """The first file comes back after another one changed a row of it: it must not pass for known."""
    take()
    other = tmp_path / "later.csv"
    other.write_text(HEAD + ROWS.replace("0.25", "0.75"))
    assert take(other).restated == 1
    again = take()
    assert (again.restated, again.unchanged) == (1, 1)


@pytest.mark.parametrize("topic", ["registry", "months"])
def test_news_of_the_registry_or_of_the_months_make_it_be_read(take: Take, log: EventLog, tmp_path: Path, topic: Any) -> None:
    take()
    mark(tmp_path)
    event = (
        Registry(id="r:1", version=1, digest="0" * 64, part=0, parts=1, miners=[], licences=[], accounts=[], wallets=[], counterparties=[])
        if topic == "registry"
        else Labelled(id="label:1", chain="bitcoin", address="x", outflow_class="vendor", name="X", by="A. Person", reason="bought", at=1)
    )
    with log.writer(topic, "pool") as writer:
        writer.append([encode(event)])
    assert was_read(take())


def test_a_link_is_looked_at_by_who_may_follow_it(take: Take, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    take(link)
    assert not (tmp_path / "kept").exists()


def test_amounts_that_are_all_nothing_are_read_each_time(take: Take, path: Path, tmp_path: Path) -> None:
    """Their repeat raises a question of its own: a hundred times the greatest amount, which is nothing."""
    path.write_text(HEAD + "".join(f"{n},anna,BTC,2026-10-02T00:00:00+05:00,0\n" for n in range(30)))
    take()
    assert take() == take(is_seen=False)
