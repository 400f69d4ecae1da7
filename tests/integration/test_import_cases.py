"""Files as accountants and pools have them, by the command line: what is read, under which settings, and the sentence that refuses the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from pipeline.cli.commands import build
from pipeline.cli.frame import run as run_command

FILES = Path(__file__).parent / "files"
CASES = FILES / "cases"
SETTINGS = """
[pool]
key = "try"
bin = "201040334324"
name = "TOO Try"
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "http://127.0.0.1:1"
cookie_file = "none"
[[chains.bitcoin.wallets]]
name = "payouts"
addresses = ["bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"]
"""


class Ran:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def faults(self) -> list[str]:
        return [line.removeprefix("  - ") for line in self.err.splitlines() if line.startswith("  - ")]


@pytest.fixture
def esep(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(file: Path, settings: str = "", *arguments: str, kind: str = "allocations") -> Ran:
        config = tmp_path / "esep.toml"
        config.write_text(SETTINGS + settings, encoding="utf-8")
        code = run_command(typer.main.get_command(build()), ["import", kind, str(file), "--config", str(config), "--yes", *arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("xw_alloc.xlsx", ["xw_alloc.xlsx:2: amount: the cell E2 is a formula, and the workbook asks to be calculated"]),
        ("ids18_excel.xlsx", [f"ids18_excel.xlsx:{line}: allocation_id: '158291753387" for line in (2, 3)]),
        ("sci_id.csv", None),
        ("spacequote2.csv", ["spacequote2.csv:2: allocation_id: has a space before its quote", "spacequote2.csv:3: account"]),
        ("cp1251.csv", ["cp1251.csv:2: is not UTF-8; as Windows-1251 it reads 'счёт1'"]),
        ("sep.csv", ["sep.csv:1: is 'sep=;', a line for Excel alone: remove the line, or set delimiter"]),
        ("semicolon_comma.csv", ["semicolon_comma.csv:2: amount: '0,01234' has a comma"]),
        (
            "title.xlsx",
            ["title.xlsx: the headings stand in row 3, with a title above them: remove the 2 rows above, or set rows_above = 2"],
        ),
        ("total.xlsx", ["total.xlsx:3: looks like a row of totals: remove it, or set rows_below = 1 in [ledger.files.allocations]"]),
        ("zw2.csv", [f"zw2.csv:{line}: account: has a" for line in (3, 4)]),
    ],
)
def test_a_case_is_refused_by_one_fitting_sentence_for_each_fault(esep, name: str, faults: list[str] | None) -> None:  # type: ignore[no-untyped-def]
    ran = esep(CASES / name)
    assert ran.code == 4, ran.out
    if faults is None:
        assert {fault.split(":")[1] for fault in ran.faults} == {"2", "3", "4", "5", "6", "7"} or len(ran.faults) >= 8
        return
    assert len(ran.faults) == len(faults) and all(found.startswith(wanted) for found, wanted in zip(ran.faults, faults, strict=True)), (
        ran.err
    )


def test_a_merged_suspension_is_refused_with_the_range(tmp_path: Path) -> None:
    from connectors.files.tables import parse_table
    from pipeline.validate.columns import CellContext
    from pipeline.validate.registry import check_registry_table, headings

    table = parse_table((CASES / "merged_susp.xlsx").read_bytes(), "m.xlsx", headings("licences", {}))
    _, faults, _ = check_registry_table(table, "licences", terms=CellContext(), mapping={})
    assert [fault.at("m.xlsx").split(", so")[0] for fault in faults] == [
        "m.xlsx:2: suspended_from: the cells F2:F3 are merged",
        "m.xlsx:2: suspended_to: the cells G2:G3 are merged",
    ]


@pytest.mark.parametrize(
    ("name", "settings", "amounts"),
    [
        ("case_1c.xlsx", "", 1),
        ("ids18.csv", "", 2),
        ("cp1251.csv", '[ledger.files.allocations]\nencoding = "windows-1251"\n', 1),
        ("sep.csv", '[ledger.files.allocations]\ndelimiter = ";"\n', 1),
        ("semicolon_comma.csv", '[ledger.files.allocations]\ndecimal = ","\n', 1),
        ("title.xlsx", "[ledger.files.allocations]\nrows_above = 2\n", 1),
        ("total.xlsx", "[ledger.files.allocations]\nrows_below = 1\n", 1),
        ("sats.csv", "[ledger.files.allocations]\nbase_units = true\n", 1),
    ],
)
def test_a_case_is_read_with_its_settings(esep, name: str, settings: str, amounts: int) -> None:  # type: ignore[no-untyped-def]
    ran = esep(CASES / name, settings, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["new"] == amounts


def test_excels_own_csv_of_a_kazakh_accountant_is_read_with_four_lines(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "октябрь.csv"
    text = "allocation_id;account;asset;allocated_at;amount\r\nН-1;счёт1;BTC;05.10.2026 0:30;1\u00a0234,56\r\n"
    file.write_bytes(text.encode("cp1251"))
    four = '[ledger.files.allocations]\nencoding = "windows-1251"\ndecimal = ","\ngrouping = " "\ndays = ["dd.mm.yyyy"]\n'
    ran = esep(file, four)
    assert ran.code == 0 and "1 new" in ran.out and "1 instant(s) read in Asia/Almaty" in ran.out, ran.err
    ran = esep(file, '[ledger.files.allocations]\nprofile = "excel-kk"\n')
    assert ran.code == 0 and "1 known already" in ran.out, ran.err
    ran = esep(file, "", "--profile", "excel-ru")
    assert ran.code == 0 and "1 known already" in ran.out, ran.err


def test_a_heading_that_names_a_zone_is_obeyed_and_told(esep) -> None:  # type: ignore[no-untyped-def]
    columns = (
        '[ledger.columns.allocations]\nallocation_id = "id"\naccount = "acc"\nasset = "coin"\nallocated_at = "Time (UTC)"\namount = "amt"\n'
    )
    ran = esep(CASES / "utc_head.csv", columns)
    assert ran.code == 0 and "1 instant(s) read in UTC (heading)" in ran.out, ran.err
    ran = esep(CASES / "utc_head.csv", columns + '[ledger.files.allocations]\nzone = "Asia/Almaty"\n')
    assert ran.code == 4 and ran.faults == [
        "utc_head.csv:1: Time (UTC): the heading names UTC, and [ledger.files.allocations] says zone = 'Asia/Almaty': leave one"
    ]


PAID = "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"


@pytest.mark.parametrize(
    ("profile", "text", "told"),
    [
        (
            "miningcore-payments",
            f"id,poolid,coin,address,amount,transactionconfirmationdata,created\n7,btc1,BTC,{PAID},0.123456789012,{'ab' * 32},2026-10-05 00:30:00.123456+00\n",
            "1 amount(s) of amount finer than the asset",
        ),
        (
            "braiins-payouts",
            (
                "financial_account_name,requested_at_ts,resolved_at_ts,status,amount_sats,fee_sats,destination,tx_id,trigger_type\n"
                f"acct,1790796000,1790796600,confirmed,5000,10,{PAID},{'cd' * 32},x\nacct,1790796000,,queued,5000,10,{PAID},,x\n"
            ),
            "1 row(s) passed over",
        ),
    ],
)
def test_a_ready_profile_reads_its_pools_export(esep, tmp_path: Path, profile: str, text: str, told: str) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "export.csv"
    file.write_text(text, encoding="utf-8")
    ran = esep(file, "", "--profile", profile, kind="payments")
    assert ran.code == 0 and "1 new" in ran.out and told in ran.out, ran.err


def test_mpos_debits_are_payments_and_credits_with_fees_are_refused(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "transactions.csv"
    head = "id,account_id,type,coin_address,amount,block_id,timestamp,txid,archived\n"
    credit, fee = "1,5,Credit,,0.5,9,2026-10-05 00:30:00,,0\n", "2,5,Fee,,0.005,9,2026-10-05 00:30:00,,0\n"
    file.write_text(head + credit + f"3,5,Debit_AP,{PAID},0.495,,2026-10-05 01:30:00,{'ef' * 32},0\n", encoding="utf-8")
    constant = '[ledger.files.{}]\nprofile = "mpos-transactions"\nconstants = {{ asset = "BTC" }}\n'
    ran = esep(file, constant.format("payments"), kind="payments")
    assert ran.code == 0 and "1 new" in ran.out and "1 row(s) passed over" in ran.out and "read in UTC" in ran.out, ran.err
    ran = esep(file, constant.format("allocations"))
    assert ran.code == 0 and "1 new" in ran.out, ran.err
    file.write_text(head + credit + fee, encoding="utf-8")
    ran = esep(file, constant.format("allocations"))
    assert ran.code == 4 and ran.faults[0].startswith("transactions.csv:3: type: is 'Fee': [ledger.files.allocations] can't read files")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<html><table></table></html>", "is a web page (HTML)"),
        (b"%PDF-1.7", "is a PDF document"),
        (b'{"a": 1}', "is JSON"),
        (b"\x1f\x8b\x08", "is packed with gzip"),
    ],
)
def test_what_is_no_table_is_named(esep, tmp_path: Path, data: bytes, what: str) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "table.xls"
    file.write_bytes(data)
    ran = esep(file)
    assert ran.code == 4 and len(ran.faults) == 1 and what in ran.faults[0]


@pytest.mark.parametrize(
    ("part", "what"), [("xl/workbook.bin", "Excel binary workbook"), ("october.csv", "is a zip archive that holds 'october.csv'")]
)
def test_an_archive_is_named_by_what_it_holds(esep, tmp_path: Path, part: str, what: str) -> None:  # type: ignore[no-untyped-def]
    import zipfile

    file = tmp_path / "table.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(part, "x")
    ran = esep(file)
    assert ran.code == 4 and len(ran.faults) == 1 and what in ran.faults[0]


def test_a_stray_pair_of_quotes_does_not_swallow_a_row(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "f.csv"
    head = "allocation_id,account,asset,allocated_at,amount,note\n"
    row = "A{},acct,BTC,2026-10-05T00:30:00+05:00,0.5,{}\n"
    file.write_text(head + row.format(1, '"x') + row.format(2, 'y"'), encoding="utf-8")
    ran = esep(file, '[ledger]\nignored = ["note"]\n')
    assert ran.code == 4 and ran.faults[0].startswith("f.csv:2: note: a pair of quotes holds the end of this row"), ran.err


@pytest.mark.parametrize("locale", ["ru", "kk"])
def test_what_libreoffice_wrote_is_read_alike(esep, locale: str) -> None:  # type: ignore[no-untyped-def]
    profile = f'[ledger.files.allocations]\nprofile = "excel-{locale}"\n'
    ran = esep(FILES / "libreoffice" / f"allocations.{locale}.csv", profile)
    assert ran.code == 0 and "2 new" in ran.out, ran.err
    for suffix in ("ods", "xlsx"):
        ran = esep(FILES / "libreoffice" / f"allocations.{locale}.{suffix}", profile)
        assert ran.code == 0 and "2 known already" in ran.out, ran.err
    ran = esep(FILES / "libreoffice" / f"bad.{locale}.ods")
    assert ran.code == 4 and {fault.split(":")[1] + fault.split(":")[2] for fault in ran.faults} >= {
        "2 allocation_id",
        "3 amount",
        "4 account",
    }, ran.err
