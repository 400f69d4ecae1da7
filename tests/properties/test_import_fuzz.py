"""Files of any bytes: an import either stands whole or is refused with `InputRefused`, and a refused one leaves the log as it was."""

from __future__ import annotations

import functools
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.files import ReadOptions, import_ledger, import_registry, read_ledger, read_registry
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events import decode
from pipeline.log.events.ledger import Allocations
from pipeline.log.events.registry import Registry
from pipeline.model.amounts import to_units
from pipeline.model.errors import InputRefused
from pipeline.model.rules import Asset
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.review import Consent

ASSETS = {"BTC": Asset("BTC", "bitcoin", 8), "ETH": Asset("ETH", "ethereum", 18)}
CONSENT = Consent(to_oddities=True, to_moves=True)
NETWORKS = {"bitcoin": "regtest"}
READING = ReadOptions(ASSETS, NETWORKS)
ADDRESS = "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"
HEADINGS = ("allocation_id", "account", "asset", "allocated_at", "amount")
ROWS = [(f"A{number}", "acct", "BTC", "2026-10-01T00:30:00+05:00", f"0.{number}") for number in range(1, 4)]
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@functools.cache
def sound(kind: str) -> bytes:
    data = io.BytesIO()
    if kind == "csv":
        return "\n".join(
            ",".join(f'"{cell}"' if place == 1 else cell for place, cell in enumerate(row)) for row in [HEADINGS, *ROWS]
        ).encode()
    if kind == "parquet":
        pl.DataFrame(ROWS, schema=list(HEADINGS), orient="row").write_parquet(data)
        return data.getvalue()
    book = xlsxwriter.Workbook(data)
    page = book.add_worksheet()
    for number, row in enumerate([HEADINGS, *ROWS]):
        page.write_row(number, 0, row)
    page.write_number(2, 4, 0.25, book.add_format({"num_format": "0.00000000"}))
    book.close()
    return data.getvalue()


def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A few bytes of `data` changed, removed, repeated, or everything after some byte cut."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(changed) - 1, 0)))
        stop = start + draw(st.integers(1, 20))
        match draw(st.sampled_from(["bytes", "remove", "repeat", "cut"])):
            case "bytes":
                changed[start:stop] = draw(st.binary(min_size=1, max_size=20))
            case "remove":
                del changed[start:stop]
            case "repeat":
                changed[start:start] = changed[start:stop] * draw(st.integers(1, 5))
            case _:
                del changed[start:]
    return bytes(changed)


def take(data: bytes, kind: LedgerKind = "allocations") -> MemoryLog | None:
    """The log after the import; None when it was refused, and then the log is empty."""
    log = MemoryLog()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        try:
            found = import_ledger(log, "pool", path, kind, READING, consent=CONSENT)
        except InputRefused as refused:
            assert refused.faults and all(fault.startswith("file") for fault in refused.faults)
            assert not any(log.end().values())
            return None
        assert sum(log.end().values()) == found.events
        again = import_ledger(log, "pool", path, kind, READING, consent=CONSENT)
        assert (again.new, again.restated, again.events, again.unchanged) == (0, 0, 0, found.new)
    for record in log.read({}):
        decode(record.value)
    return log


@FUZZ
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"PAR1", "\ufeff".encode(), ",".join(HEADINGS).encode() + b"\n"]))
def test_any_bytes(data: bytes, start: bytes) -> None:
    take(start + data)


@FUZZ
@given(st.data(), st.sampled_from(["csv", "xlsx", "parquet"]))
def test_damaged_files(data: st.DataObject, kind: str) -> None:
    @st.composite
    def some(draw: st.DrawFn) -> bytes:
        return damaged(draw, sound(kind))

    take(data.draw(some()))


@FUZZ
@given(st.data())
def test_damaged_parts_of_a_workbook(data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(sound("xlsx"))) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    name = data.draw(st.sampled_from(sorted(parts)))

    @st.composite
    def some(draw: st.DrawFn) -> bytes:
        return damaged(draw, parts[name])

    parts[name] = data.draw(some())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    take(out.getvalue())


CELLS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="0123456789.,-+eE \u00a0TZ:\"';\t", max_size=30),
    st.sampled_from(
        ["BTC", "ETH", "acct", "0.1", ADDRESS, "2026-10-01T00:30:00+05:00", "ab" * 32, "", '"', "\r", "\ufeff", "٣", "=1+1", "0" * 60]
    ),
)


@FUZZ
@given(st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=5), st.sampled_from(["parquet", "xlsx", "csv"]))
def test_any_cells(rows: list[list[str]], kind: str) -> None:
    """What is taken is what the cells say, by the scalar reading of amounts; all else is refused."""
    out = io.BytesIO()
    frame = pl.DataFrame(rows, schema=dict.fromkeys(HEADINGS, pl.String), orient="row")
    if kind == "parquet":
        frame.write_parquet(out)
    elif kind == "csv":
        frame.write_csv(out, quote_style="always")
    else:
        book = xlsxwriter.Workbook(out, {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True})
        page = book.add_worksheet()
        for number, row in enumerate([list(HEADINGS), *rows]):
            for column, cell in enumerate(row):
                page.write_string(number, column, cell)
        book.close()
    log = take(out.getvalue())
    if log is None:
        return
    said = {
        row[0].strip(): str(to_units(row[4].strip(), ASSETS[row[2].strip()].decimals)) for row in rows if any(cell.strip() for cell in row)
    }
    found = {}
    for record in log.read({}):
        event = decode(record.value)
        assert isinstance(event, Allocations)
        found |= dict(zip(event.rows.allocation_id, event.rows.amount, strict=True))
    assert found == said


@FUZZ
@given(st.lists(st.lists(CELLS, min_size=7, max_size=7), max_size=4))
def test_any_cells_of_payments(rows: list[list[str]]) -> None:
    names = ["payment_id", "account", "asset", "address", "amount", "txid", "paid_at"]
    text = io.BytesIO()
    pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").write_csv(text, quote_style="always")
    take(text.getvalue(), "payments")


@FUZZ
@given(st.data())
def test_registries(data: st.DataObject) -> None:
    texts = {
        "miners": "miner_id,name\n201040334324,ЖШС\n",
        "licences": "miner_id,licence_number,issue_date,valid_from,valid_to,suspended_from,suspended_to\n201040334324,KZ,2026-01-01,2026-01-01,,,\n",
        "accounts": "account,miner_id,valid_from,valid_to\nacct,201040334324,2026-01-01,\n",
        "wallets": f"address,chain,miner_id,valid_from,valid_to\n{ADDRESS},bitcoin,201040334324,2026-01-01,\n",
        "counterparties": f"address,chain,class,name\n{ADDRESS},bitcoin,vendor,x\n",
    }
    table = data.draw(st.sampled_from(sorted(texts)))

    @st.composite
    def some(draw: st.DrawFn) -> bytes:
        return damaged(draw, texts[table].encode())

    broken = data.draw(some())
    log = MemoryLog()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / f"{name}.csv").write_bytes(broken if name == table else text.encode())
        try:
            found = import_registry(log, "pool", read_registry(Path(folder), networks=NETWORKS))
        except InputRefused:
            assert not any(log.end().values())
            return
        assert found.is_new and not import_registry(log, "pool", read_registry(Path(folder), networks=NETWORKS)).is_new
    (event,) = (decode(record.value) for record in log.read({}))
    assert isinstance(event, Registry) and event.digest == found.digest


def bits(data: bytes) -> Callable[[int], bytes]:
    return lambda place: data[: place // 8] + bytes([data[place // 8] ^ (1 << (place % 8))]) + data[place // 8 + 1 :]


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_a_flipped_bit_never_changes_an_amount_unseen_in_a_workbook(kind: str) -> None:
    """A workbook's parts carry checksums, so one flipped bit is refused or harmless; in Parquet it must at least end well."""
    data = sound(kind)
    flip = bits(data)
    plain = [record.value for record in (take(data) or MemoryLog()).read({})]
    assert plain
    seed = zlib.crc32(data)
    for step in range(60):
        log = take(flip((seed + step * 7919) % (len(data) * 8)))
        if log is not None and kind == "xlsx":
            assert [record.value for record in log.read({})] == plain


@settings(FUZZ, max_examples=15)
@given(st.lists(st.tuples(st.from_regex(r"\A[A-Za-z0-9]{1,6}\Z"), st.integers(0, 10**12)), unique_by=lambda row: row[0], max_size=30))
def test_formats_agree(rows: list[tuple[str, int]]) -> None:
    frame = pl.DataFrame(
        [(id_, "acct", "BTC", "2026-10-01T00:30:00+05:00", f"{amount // 10**8}.{amount % 10**8:08}") for id_, amount in rows],
        schema=dict.fromkeys(HEADINGS, pl.String),
        orient="row",
    )
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("plain.csv", "quoted.csv", "x.parquet", "x.xlsx")]
        frame.write_csv(files[0])
        frame.write_csv(files[1], quote_style="always", separator=";")
        frame.write_parquet(files[2])
        book = xlsxwriter.Workbook(files[3])
        page = book.add_worksheet()
        for number, row in enumerate([HEADINGS, *frame.rows()]):
            for column, cell in enumerate(row):
                page.write_string(number, column, cell)
        book.close()
        read = [read_ledger(path, "allocations", READING).rows.drop("line") for path in files]
    assert all(other.equals(read[0]) for other in read[1:])
    assert read[0]["amount"].to_list() == [amount for _, amount in rows]
