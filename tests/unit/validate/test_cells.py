"""Texts of cells and their values: amounts, instants, days, addresses, and the words for what is none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.logs import mask
from pipeline.model.amounts import from_units, to_units
from pipeline.validate.cells import Kind, address_fault, canonical_addresses, column_units, instants, units, value_of, why_invalid
from pipeline.validate.layout import Rounding
from pipeline.validate.table import shown
from pipeline.validate.texts import look_alikes, why_not_a_value
from pipeline.validate.zones import heading_zone, zone_for

PLAIN = st.from_regex(r"\A[0-9]{1,41}(\.[0-9]{1,41})?\Z") | st.text(alphabet="0123456789.,-+eE ' ", max_size=12)


def one(kind: Kind, text: str) -> object:
    return pl.DataFrame({"x": [text]}).lazy().select(value_of(kind, "x")).collect().item()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(PLAIN, st.integers(0, 38)), min_size=1, max_size=20))
def test_units_are_those_of_the_scalar_function(cells: list[tuple[str, int]]) -> None:
    def scalar(text: str, decimals: int) -> int | None:
        try:
            return to_units(text, decimals)
        except ValueError:
            return None

    frame = pl.DataFrame(cells, schema={"text": pl.String, "decimals": pl.UInt32}, orient="row")
    found = frame.lazy().select(units(pl.col("text"), pl.col("decimals"))).collect().to_series().to_list()
    assert found == [scalar(*cell) for cell in cells]
    assert column_units(frame["text"], frame["decimals"]).to_list() == found


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.none() | PLAIN, st.sampled_from([None, 0, 2, 8, 18, 38])), max_size=20),
    st.sampled_from(["none", "half-up", "half-even"]),
)
def test_a_column_of_amounts_is_rounded_as_each_amount_is(cells: list[tuple[str | None, int | None]], rounding: Rounding) -> None:
    frame = pl.DataFrame(cells, schema={"text": pl.String, "decimals": pl.UInt32}, orient="row")
    expected = frame.lazy().select(units(pl.col("text"), pl.col("decimals"), rounding)).collect().to_series()
    assert column_units(frame["text"], frame["decimals"], rounding).to_list() == expected.to_list()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**38 - 1), st.integers(0, 38))
def test_a_printed_amount_reads_back(amount: int, decimals: int) -> None:
    frame = pl.DataFrame({"text": [from_units(amount, decimals)]})
    assert frame.lazy().select(units(pl.col("text"), pl.lit(decimals, pl.UInt32))).collect().item() == amount


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2009, 1, 2), datetime(2099, 12, 30)),  # noqa: DTZ001 - dates of files have no zone
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
    st.sampled_from(["auto", "microseconds"]),
)
def test_instants_are_those_of_the_standard_library(moment: datetime, offset_minutes: int, between: str, precision: str) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    expected = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    text = zoned.isoformat(between, timespec=precision)
    plain = f"{text[:-6]}{'Z' if offset_minutes == 0 else text[-6:].replace(':', '')}"
    assert instants(pl.Series([text, plain, None]), None).to_list() == [expected, expected, None]


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01",
        "2026-10-01T00:30:00",
        "2026-10-01T00:30:60Z",
        "2026-10-01T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-10-01T00:30:00.1234567Z",
        "2026-10-01T00:30:00+15:00",
        "2026-10-01T00:30:00+05:60",
        "2026-10-01T00:30Z",
        "01.10.2026 00:30:00+05:00",
        "1899-12-31T00:00:00Z",
        "2100-01-01T00:00:00Z",
        "2026-10-01T00:30:00Zx",
        "1759264200",
    ],
)
def test_what_is_no_instant_is_refused_with_what_to_write(text: str) -> None:
    assert instants(pl.Series([text]), None).to_list() == [None]
    assert shown(text) in (why := why_invalid(Kind.INSTANT, text)) and ("2026-10-31T23:59:59+05:00" in why or "2009" in why)


def test_digits_after_the_microsecond_may_be_zeros() -> None:
    assert instants(pl.Series(["2026-10-01T00:00:00.123456000Z"]), None).to_list() == [1790812800123456]


def test_a_wall_clock_is_read_in_the_timezone_that_is_set() -> None:
    # Kazakhstan put the clocks back on 2024-03-01 (rule 1.2): 23:30 on the day before came twice.
    texts = pl.Series(["2024-02-29T22:30:00", "2024-02-29T23:30:00", "2024-03-01 00:30:00.5", "2024-03-01T00:30:00+06:00"])
    at = instants(texts, "Asia/Almaty").to_list()
    expected = ["2024-02-29T16:30:00+00:00", None, "2024-02-29T19:30:00.500000+00:00", "2024-02-29T18:30:00+00:00"]
    assert [value and datetime.fromtimestamp(value / 1e6, UTC).isoformat() for value in at] == expected
    assert "twice or never" in why_invalid(Kind.INSTANT, texts[1], has_timezone=True)
    assert "no offset" in why_invalid(Kind.INSTANT, texts[1])


def test_days() -> None:
    assert one(Kind.DATE, "2026-10-31") == date(2026, 10, 31)
    assert one(Kind.DATE, "2026-10-31T00:00:00") == date(2026, 10, 31)
    assert one(Kind.DATE, "9999-12-31") == date(9999, 12, 31)
    for text in ("2026-02-30", "31.10.2026", "2026-10-31T00:00:01", "2026-10", "1899-12-31", "20261031"):
        assert one(Kind.DATE, text) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-1", "is negative"),
        ("−1", "is negative"),
        ("1e-8", "has an exponent"),
        ("1,5", "has a comma"),
        ("1 000.5", "has thousands separators"),
        ("1,000,000.5", "has thousands separators"),
        ("1'000", "has thousands separators"),
        ("0.123456789", "has 9 decimals, the asset has 8"),
        ("9" * 31, "more than 38 digits"),
        (".5", "is not an amount"),
        ("5.", "is not an amount"),
        ("+5", "is not an amount"),
        ("١", "is not an amount"),
        ("0x10", "is not an amount"),
        ("NaN", "is not an amount"),
    ],
)
def test_what_is_no_amount_is_refused_by_its_cause(text: str, what: str) -> None:
    frame = pl.DataFrame({"text": [text]})
    assert frame.lazy().select(units(pl.col("text"), pl.lit(8, pl.UInt32))).collect().item() is None
    assert what in why_invalid(Kind.AMOUNT, text, decimals=8)


def test_ids_hold_nothing_that_the_eye_can_not_see() -> None:
    assert one(Kind.ID, "A 001/Ә") == "A 001/Ә"
    for text in ("A\u200b1", "A\u00ad1", "\ufeffA", "A\x001", "A\ufe0f1", "A\u31641", "A" * 201):
        assert one(Kind.ID, text) is None
        assert "character" in why_invalid(Kind.ID, text)
    assert one(Kind.ID, "A\u00a01") is None
    assert why_invalid(Kind.ID, "A\u00a01").startswith("has a space that is no plain one at place 2, U+00A0 (no-break space)")
    assert one(Kind.ID, "A\n1") is None
    assert why_invalid(Kind.ID, "A\n1").startswith("has a line end in it, after 'A'")


def test_names_hold_any_letter_and_stand_on_one_line() -> None:
    assert one(Kind.NAME, "ЖШС «Ертіс\u00a0Компьют»\u200d") == "ЖШС «Ертіс\u00a0Компьют»\u200d"
    for text in ("a\x07b", "ЖШС «Ертіс\nКомпьют»", "a\u2028b", "a\u202eb"):
        assert one(Kind.NAME, text) is None
        assert why_invalid(Kind.NAME, text).startswith("has a")


NOT_A_VALUE = [
    "2,1E+15", "1.58292E+18", "1e+20", "2,02610Е+17", "#Н/Д", "#N/A", "#REF!", "#ССЫЛКА!", "#ДЕЛ/0!", "#DIV/0!", "#ИМЯ?", "#ЗНАЧ!",
    "#GETTING_DATA", "########", "##", "Err:502", "Ошибка:502", "Қате:502", "nan", "NaN", "NULL", "None", "<NA>", "н/д", "TRUE", "ЛОЖЬ",
    '="000123"',
]  # fmt: skip


def test_a_control_character_in_a_name_is_said_by_its_number_and_place() -> None:
    for code in (0x00, 0x09, 0x1B, 0x7F, 0x9B, 0x061C, 0x200E, 0x200F, 0x202E, 0x2066):
        said = why_invalid(Kind.NAME, f"A{chr(code)}B")
        assert said.startswith(f"has an invisible character at place 2, U+{code:04X} ("), (hex(code), said)


@pytest.mark.parametrize("kind", [Kind.ID, Kind.NAME, Kind.MINER, Kind.CLASS])
def test_what_a_spreadsheet_leaves_behind_is_no_name_and_no_id(kind: Kind) -> None:
    assert [text for text in NOT_A_VALUE if one(kind, text) is not None] == []
    assert all(why_not_a_value(text, is_id=True) for text in NOT_A_VALUE)
    for text in ("A1", "acct000", "KZ67RAA63383683", "1E10", "E+7", "Нина", "nano", "#5", "trueno", "x=1", "TOO «Null и Ко»"):
        assert one(kind, text) == text


def test_an_id_is_no_formula_and_has_no_mark_of_text() -> None:
    assert all(one(Kind.ID, text) is None and why_not_a_value(text, is_id=True) for text in ("=A1&B1", "'000123"))


def test_a_number_with_a_point_and_zeros_is_no_id_and_may_be_a_name() -> None:
    assert one(Kind.ID, "12345.0") is None and "took for a number" in why_invalid(Kind.ID, "12345.0")
    assert one(Kind.NAME, "2.0") == "2.0"


def test_letters_that_look_alike_are_told_with_their_names_and_places() -> None:
    ids = pl.Series(["acct000", "аcct001", "АВ7", "АВ7x", "KZ9", "жшс-1", None, "А1", "A1"])
    found = look_alikes(ids, pl.Series(range(2, 11)), "account")
    assert [fault.line for fault in found] == [3, 4, 5, 9]
    assert found[0].what.startswith("'аcct001' has cyrillic small letter a (U+0430) at place 1, which looks like a Latin letter")
    assert "line 10 has the same id in Latin letters" in found[3].what
    assert look_alikes(pl.Series(["АВ-1", "ЖШС-2"]), pl.Series([2, 3]), "account") == []
    assert "АВ" not in look_alikes(ids, pl.Series(range(2, 11)), "miner_id", is_shown=False)[1].what


@pytest.mark.parametrize(
    ("heading", "zone"),
    [
        ("Time (UTC)", "UTC"), ("created_utc", "UTC"), ("GMT time", "UTC"), ("Время UTC+5", "Etc/GMT-5"), ("Дата (+05:00)", "Etc/GMT-5"),
        ("Time (Almaty)", "Asia/Almaty"), ("Күні (Астана)", "Asia/Almaty"), ("Время, мск", "Europe/Moscow"), ("at Europe/Berlin", "Europe/Berlin"),
        ("allocated_at", None), ("Дата начисления", None), ("Time -1", None), ("Octave", None), ("UTC-03", "Etc/GMT+3"),
    ],
)  # fmt: skip
def test_a_heading_names_its_zone(heading: str, zone: str | None) -> None:
    assert heading_zone(heading) == (zone, "")


def test_a_heading_whose_zone_is_uncertain_or_denied_by_the_settings_is_refused() -> None:
    assert heading_zone("Time (EST)")[1] and heading_zone("UTC+5:30")[1] and heading_zone("Asia/Nowhere")[1]
    assert zone_for("Time (EST)", None, "Asia/Almaty", "P")[2].endswith("set zone in P")
    assert zone_for("Time (EST)", "America/New_York", None, "P") == ("America/New_York", "America/New_York (P)", "")
    assert zone_for("Time (UTC)", "Asia/Almaty", None, "P")[2] == "names UTC, and P says zone = 'Asia/Almaty': leave one"
    assert zone_for("Time (UTC)", None, "Asia/Almaty", "P") == ("UTC", "UTC (the column's heading)", "")


def test_messages_name_the_day_that_is_none_and_never_mask_an_amount() -> None:
    assert why_invalid(Kind.INSTANT, "2026-02-30T00:00:00Z").startswith("'2026-02-30T00:00:00Z' is not a day of the calendar")
    assert why_invalid(Kind.INSTANT, "2026-02-30 10:00:00", has_timezone=True).startswith(
        "'2026-02-30 10:00:00' is not a day of the calendar"
    )
    assert why_invalid(Kind.AMOUNT, "0.201040334324", decimals=8).startswith("'0.201040334324' has 12 decimals, the asset has 8")
    assert "'201 040 334 324'" in why_invalid(Kind.INSTANT, "201040334324")
    assert mask(why_invalid(Kind.AMOUNT, "201040334324,5")).startswith("'201040334324,5' has a comma")
    assert mask(why_invalid(Kind.AMOUNT, "0.201040334324", decimals=8)).startswith("'0.201040334324'")


def test_txids_are_put_in_small_letters() -> None:
    assert one(Kind.TXID, "AB" * 32) == "ab" * 32
    assert one(Kind.TXID, "0x" + "ab" * 32) == "ab" * 32
    assert one(Kind.TXID, "ab" * 31) is None


def test_a_counterparty_can_not_have_a_class_of_the_rules() -> None:
    assert one(Kind.CLASS, "vendor") == "vendor"
    assert one(Kind.CLASS, "payout") is None
    assert "rules give" in why_invalid(Kind.CLASS, "payout")


REGTEST = "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"


def test_addresses_are_written_as_their_network_writes_them() -> None:
    addresses = pl.Series("address", [REGTEST.upper(), REGTEST, REGTEST[:-1] + "8", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "anything", None])
    chains = pl.Series(["bitcoin", "bitcoin", "bitcoin", "bitcoin", "other", "bitcoin"])
    found = canonical_addresses(addresses, chains, {"bitcoin": "regtest"})
    assert found.to_list() == [REGTEST, REGTEST, None, None, "anything", None]


def test_accounts_are_written_in_eip_55_and_a_wrong_checksum_is_kept() -> None:
    right, wrong = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    for text in (right, right.lower(), "0x" + right[2:].upper()):
        assert address_fault(text, "evm:61") == (right, "")
    assert address_fault(wrong, "evm:61") == (wrong, "")
    for text in (right[2:], right[:-1], REGTEST):
        assert "0x and 40 hexadecimal digits" in address_fault(text, "evm:61")[1]
    assert one(Kind.TXID, "0x" + "AB" * 32) == "ab" * 32


def test_an_address_that_is_none_is_refused_by_its_cause() -> None:
    assert "checksum" in address_fault(REGTEST[:-1] + "8", "regtest")[1]
    assert "regtest" in address_fault("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "regtest")[1]
    assert address_fault("0x52908400098527886E0F7030069857D2E4169EE7", "mainnet") == ("0x52908400098527886E0F7030069857D2E4169EE7", "")
    assert address_fault("a b", None)[0] is None


def test_a_message_never_shows_what_may_be_an_iin() -> None:
    assert "201040334324" not in shown("201040334324")
    assert "201040334324" not in why_invalid(Kind.DATE, "201040334324")
    assert shown("x" * 100) == repr("x" * 40 + "…")
    assert "\n" not in shown("a\nb")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1899-12-30", "is before 1900"),
        ("1899-12-30T00:00:00", "is before 1900"),
        ("2026-10-01T13:45:00", "has a time, where a day is meant"),
        ("2026-10-01 13:45:00", "has a time, where a day is meant"),
        ("2026-02-30", "is not a day of the calendar"),
        ("2026-02-30T13:45:00", "is not a day of the calendar"),
        ("20261001", "is not a day of the calendar"),
    ],
)
def test_what_is_no_day_is_told_by_what_it_is(text: str, what: str) -> None:
    assert one(Kind.DATE, text) is None
    assert why_invalid(Kind.DATE, text).startswith(f"'{text}' {what}")
