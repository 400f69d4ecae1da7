"""Registry files into the log: versions by content, parts, warnings; whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from connectors.files import counterparties_of_pool, import_registry, read_registry
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events import decode
from pipeline.log.events.registry import Registry
from pipeline.log.protocol import EventLog
from pipeline.log.registry_versions import PART_BYTES
from pipeline.model.errors import InputRefused, SettingsError
from pipeline.validate.layout import Layout
from pipeline.validate.registry import REGISTRY_KINDS

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
NETWORKS = {"bitcoin": "regtest"}
POOL = json.loads((EXAMPLE / "pool.json").read_text(encoding="utf-8"))
TABLES = ("miners", "licences", "accounts", "wallets")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for table in TABLES:
        shutil.copy(EXAMPLE / f"{table}.csv", tmp_path)
    return tmp_path


def parts(log: EventLog) -> list[Registry]:
    found = [decode(record.value) for record in log.read({}, topics=["registry"], limit_bytes=1 << 30)]
    return [event for event in found if isinstance(event, Registry)]


def add(path: Path, *lines: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_the_example_is_one_version_until_it_says_something_else(folder: Path) -> None:
    log = MemoryLog()
    first = import_registry(log, "pool", read_registry(folder, networks=NETWORKS, counterparties=counterparties_of_pool(POOL)))
    assert (first.version, first.is_new, first.warnings) == (1, True, [])
    assert first.rows == {"miners": 45, "licences": 46, "accounts": 46, "wallets": 48, "counterparties": 2}
    (event,) = parts(log)
    assert event.id == "registry:1:0" and event.digest == first.digest and event.counterparties[0].chain == "bitcoin"
    for table in TABLES:  # another order, another format, some lines twice
        frame = pl.read_csv(folder / f"{table}.csv", infer_schema=False)
        (folder / f"{table}.csv").unlink()
        pl.concat([frame.reverse(), frame.head(3)]).write_parquet(folder / f"{table}.parquet")
    again = import_registry(log, "pool", read_registry(folder, networks=NETWORKS, counterparties=counterparties_of_pool(POOL)))
    assert (again.version, again.digest, again.is_new) == (1, first.digest, False)
    without = import_registry(log, "pool", read_registry(folder, networks=NETWORKS))
    assert (without.version, without.is_new) == (2, True)
    back = import_registry(log, "pool", read_registry(folder, networks=NETWORKS, counterparties=counterparties_of_pool(POOL)))
    assert (back.version, back.is_new, back.digest) == (3, True, first.digest)
    assert len(parts(log)) == 3


def test_counterparties_may_come_from_a_file_of_theirs(folder: Path) -> None:
    rows = "".join(f"{entry['address']},bitcoin,{entry['class']},{entry['name']}\n" for entry in POOL["counterparties"])
    (folder / "counterparties.csv").write_text("address,chain,class,name\n" + rows, encoding="utf-8")
    from_file = import_registry(MemoryLog(), "pool", read_registry(folder, networks=NETWORKS))
    from_pool = import_registry(MemoryLog(), "pool", read_registry(folder, networks=NETWORKS, counterparties=counterparties_of_pool(POOL)))
    assert from_file.digest == from_pool.digest


@pytest.mark.parametrize(
    "content",
    [{"counterparties": "x"}, {"counterparties": [1]}, {"counterparties": [{"address": 1}]}, {"chain": 1, "counterparties": [{}]}],
)
def test_a_pool_of_another_shape_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(InputRefused, match="counterparties: is not a list"):
        counterparties_of_pool(content)


def test_a_pool_may_say_more_of_its_counterparties_or_not_their_names(folder: Path) -> None:
    entries = [{"address": POOL["counterparties"][0]["address"], "class": "vendor", "since": 2024, "name": None}]
    log = MemoryLog()
    import_registry(
        log, "pool", read_registry(folder, networks=NETWORKS, counterparties=counterparties_of_pool(POOL | {"counterparties": entries}))
    )
    assert [(row.outflow_class, row.name) for row in parts(log)[0].counterparties] == [("vendor", "")]


def test_faults_of_all_files_are_told_and_nothing_is_appended(folder: Path) -> None:
    add(folder / "miners.csv", "201040334324,another name")
    add(folder / "wallets.csv", "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr8,bitcoin,201040334324,2024-06-14,")
    add(folder / "accounts.csv", "acct999,201040334324,2026-06-14,2026-06-13")
    log = MemoryLog()
    pool = POOL | {"counterparties": [{"address": "x y", "class": "vendor", "name": "n"}]}
    with pytest.raises(InputRefused) as refused:
        import_registry(log, "pool", read_registry(folder, networks=NETWORKS, counterparties=counterparties_of_pool(pool)))
    assert [fault.split(": ")[0] for fault in refused.value.faults] == ["miners.csv:47", "accounts.csv:48", "wallets.csv:50", "pool.json:1"]
    assert "201040334324" not in str(refused.value)
    assert log.end() == MemoryLog().end()


def test_what_the_rules_judge_is_let_through_with_a_warning(folder: Path) -> None:
    """Rules 4.1, 4.5, 9.1: overlaps, bad IIN/BIN and holders who are not registered are for enrichment to judge."""
    add(folder / "miners.csv", "201040334325,ЖШС «Қате»", "12345,ЖК")
    add(folder / "wallets.csv", "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7,bitcoin,240440639442,2026-01-01,")
    add(folder / "accounts.csv", "acct998,999999999999,2026-01-01,")
    add(folder / "licences.csv", "999999999999,KZ1,2026-01-01,2026-01-01,,,")
    found = import_registry(MemoryLog(), "pool", read_registry(folder, networks=NETWORKS))
    assert [warning.split(": ")[0] for warning in found.warnings] == [
        "miners.csv:47", "miners.csv:48", "wallets.csv:50", "licences.csv:48", "accounts.csv:48", "miners.csv:47", "miners.csv:48",
    ]  # fmt: skip
    assert not any(digits in warning for warning in found.warnings for digits in ("2010403343", "12345", "99999", "240440639442"))
    assert found.rows["miners"] == 47 and found.rows["accounts"] == 47


def test_a_large_registry_travels_in_parts(folder: Path) -> None:
    rows = [f"acct{number:07},201040334324,2026-01-01," for number in range(15_000)]
    add(folder / "accounts.csv", *rows)
    log = MemoryLog()
    first = import_registry(log, "pool", read_registry(folder, networks=NETWORKS))
    found = parts(log)
    assert [(event.id, event.part, event.parts) for event in found] == [(f"registry:1:{n}", n, len(found)) for n in range(len(found))]
    assert len(found) > 2 and all(len(record.value) < PART_BYTES * 1.1 for record in log.read({}, topics=["registry"], limit_bytes=1 << 30))
    assert sum(len(event.accounts) for event in found) == first.rows["accounts"] == 15_046
    assert not import_registry(log, "pool", read_registry(folder, networks=NETWORKS)).is_new


def test_missing_and_doubled_files_are_told(folder: Path) -> None:
    (folder / "miners.csv").unlink()
    shutil.copy(folder / "accounts.csv", folder / "accounts.tsv")
    with pytest.raises(InputRefused) as refused:
        import_registry(MemoryLog(), "pool", read_registry(folder, networks=NETWORKS))
    assert len(refused.value.faults) == 2 and "has no miners.csv" in refused.value.faults[0] and "both there" in refused.value.faults[1]
    with pytest.raises(SettingsError, match="minors: the registry has no such table"):
        import_registry(MemoryLog(), "pool", read_registry({"minors": folder / "x"}, networks=NETWORKS))  # type: ignore[dict-item]


def test_a_workbook_may_hold_all_tables(folder: Path) -> None:
    book = xlsxwriter.Workbook(folder / "registry.xlsx")
    for table in TABLES:
        page = book.add_worksheet(table.capitalize())
        for number, line in enumerate((folder / f"{table}.csv").read_text(encoding="utf-8").splitlines()):
            page.write_row(number, 0, line.split(","))
    book.close()
    from_folder = import_registry(MemoryLog(), "pool", read_registry(folder, networks=NETWORKS)).digest
    for where in (folder / "registry.xlsx", dict.fromkeys(TABLES, folder / "registry.xlsx")):
        assert import_registry(MemoryLog(), "pool", read_registry(where, networks=NETWORKS)).digest == from_folder  # type: ignore[arg-type]


def test_a_workbook_without_one_of_the_sheets_is_refused_by_its_name(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "registry.xlsx") as book:
        book.add_worksheet("Miners").write_row(0, 0, ["miner_id", "name"])
    with pytest.raises(InputRefused) as refused:
        layouts = {kind: Layout(place=f"[registry.files.{kind}]") for kind in REGISTRY_KINDS}
        read_registry(tmp_path / "registry.xlsx", networks=NETWORKS, layouts=layouts)
    assert refused.value.faults == [
        f"registry.xlsx: has no sheet '{kind}'; it has 'Miners': name the one to read '{kind}'"
        for kind in ("licences", "accounts", "wallets")
    ]
