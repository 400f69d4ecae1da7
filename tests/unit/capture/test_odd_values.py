"""Values that no ledger has, as databases and services give them: what is told of one row never stops the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.capture.addresses import AddressSpelling
from pipeline.capture.kinds.table import TableReading
from pipeline.capture.kinds.values import instant, moment, units, unix_instant
from pipeline.capture.outputs import Unreadable, day_of
from pipeline.log.events.ledger import PayerPayments, Payments
from pipeline.model.errors import SourceError

from .test_follow_source import Bench

TXID = "ab" * 32
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # the first example of EIP-55
BECH32 = "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"


@pytest.mark.parametrize("text", ["9999-12-31 23:59:59", "9999-12-31", "2100-01-01 00:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_day_in_place_of_none_is_no_instant_of_a_ledger(text: str) -> None:
    with pytest.raises(Unreadable):
        instant(text)
    assert isinstance(moment(text), int), "a cursor may stand there"


@pytest.mark.parametrize("text", ["1790796600000", "9e15", "1e999999999", "-1e12", "1/3", "1_0", "٥", "nan"])
def test_milliseconds_and_other_numbers_are_no_unix_time(text: str) -> None:
    with pytest.raises(Unreadable):
        unix_instant(text)


@pytest.mark.parametrize(("text", "us"), [("1790796600", 1_790_796_600_000_000), ("1790796600.25", 1_790_796_600_250_000), ("0", 0)])
def test_unix_times_of_a_ledger_have_a_day(text: str, us: int) -> None:
    assert unix_instant(text) == us
    day_of(us)


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "1_000", "٥", "9" * 300])
def test_a_number_that_would_be_written_out_without_end_is_no_amount(text: str) -> None:
    with pytest.raises(Unreadable):
        units(text, 8)
    assert units("1.2e-05", 8) == 1_200


@pytest.mark.parametrize("changes", [{"allocated_at": "9999-12-31 23:59:59"}, {"amount": "1e999999999"}])
def test_a_row_that_can_not_be_read_waits_and_the_others_go_on(changes: dict[str, str | None]) -> None:
    bench = Bench()
    bench.allocate("x", **changes)
    bench.allocate("y")
    bench.step()
    assert list(bench.held.rows) == ["books:y"] and list(bench.held.open_items()) == ["unreadable:allocations:x"]
    bench.allocate("x")
    bench.step()
    assert sorted(bench.held.rows) == ["books:x", "books:y"] and not bench.held.open_items()


@pytest.mark.parametrize(
    ("changes", "units"),
    [({"amount": "-0.5"}, "-50000000"), ({"commission_amount": "-0.5"}, "-50000000"), ({"amount": "1" + "0" * 30}, "1" + "0" * 38)],
)
def test_an_amount_that_no_event_holds_is_no_row_of_the_ledger(changes: dict[str, str | None], units: str) -> None:
    bench = Bench()
    bench.allocate("x", **changes)
    bench.allocate("zero", "0")
    bench.step()
    assert list(bench.held.rows) == ["books:zero"]
    assert bench.held.open_items()["amount:books:x"].detail.startswith(f"books:x: {units} base units")
    bench.allocate("x")
    bench.step()
    assert sorted(bench.held.rows) == ["books:x", "books:zero"] and not bench.held.open_items()


@pytest.mark.parametrize(
    ("asset", "written", "payer", "address"),
    [
        ("ETH", CHECKSUMMED.lower(), None, CHECKSUMMED),
        ("ETH", "0x" + CHECKSUMMED[2:].upper(), "upstream", CHECKSUMMED),
        ("ETH", CHECKSUMMED.lower(), "exchange", CHECKSUMMED.lower()),
        ("ETH", CHECKSUMMED.lower(), "undeclared", CHECKSUMMED.lower()),
        ("ETH", "somebody", None, "somebody"),
        ("BTC", BECH32.upper(), None, BECH32),
        ("LTC", BECH32.upper(), None, BECH32.upper()),
    ],
)
def test_an_address_is_spelt_as_its_network_writes_it(asset: str, written: str, payer: str | None, address: str) -> None:
    """As in files: payments are linked by it to what the chain holds."""
    bench = Bench()
    reading = TableReading("books:", {"BTC": 8, "ETH": 18, "LTC": 8}, off_chain=frozenset({"exchange", "undeclared"}))
    spelling = AddressSpelling({"BTC": "regtest", "ETH": "evm:1"}, frozenset({"upstream"}))
    bench.plan = replace(bench.plan, reading=reading, addresses=spelling)
    bench.restart()
    row = {"account": "a", "asset": asset, "paid_at": "2026-10-05T10:00:00+00:00", "amount": "1", "address": written, "txid": TXID}
    bench.books.tables["payments"] = {"p": row | {"payer": payer}}
    bench.step()
    assert [event.rows.address for event in bench.events(Payments, PayerPayments)] == [[address]]  # type: ignore[union-attr]


@pytest.mark.parametrize("changes", [{"txid": "r" * 129}, {"address": "ә" * 129}])
def test_an_off_chain_payers_texts_are_as_long_as_in_a_file(changes: dict[str, str | None]) -> None:
    """1 to 128 characters (rule 10.5)."""
    bench = Bench()
    bench.plan = replace(bench.plan, reading=TableReading("books:", {"BTC": 8}, payer="exchange", off_chain=frozenset({"exchange"})))
    bench.restart()
    row = {"account": "a", "asset": "BTC", "paid_at": "2026-10-05T10:00:00+00:00", "amount": "1", "address": "ә" * 128, "txid": "r" * 128}
    bench.books.tables["payments"] = {"whole": row, "long": row | changes}
    bench.step()
    assert [event.rows.payment_id for event in bench.events(PayerPayments)] == [["books:payment:whole"]]
    assert "is too long, 129 characters: at most 128" in bench.held.open_items()["unreadable:payments:long"].detail


def test_a_row_that_the_log_can_not_hold_stops_the_source_and_not_the_log() -> None:
    """A statement that selects a document: nobody could read the event, and the other row would be lost with it."""
    bench = Bench()
    bench.allocate("x", document="x" * 70_000)
    bench.allocate("y")
    with pytest.raises(SourceError, match=r"source books: gives what the log can't hold \(allocations x\).*leave the column out"):
        bench.step()
    assert bench.held.rows == {}
    bench.allocate("x")
    bench.books.tables["allocations"]["x"].pop("document", None)
    bench.step()
    assert sorted(bench.held.rows) == ["books:x", "books:y"]


def test_white_space_around_a_value_is_no_part_of_it() -> None:
    """A column of CHAR(40) is filled up with it; the registry's accounts, and files', are without."""
    bench = Bench()
    bench.allocate("x", " 1.5 ", account="acct".ljust(40), asset="BTC     ", state="final   ")
    bench.step()
    assert [(row.row.account, row.row.asset, row.row.amount) for row in bench.held.rows.values()] == [("acct", "BTC", 150_000_000)]
