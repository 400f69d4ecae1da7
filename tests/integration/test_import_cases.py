"""Files as accountants and pools have them, by the command line: what is read, under which settings, and the sentence that refuses the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.app.app import App
from pipeline.cli.commands import build
from pipeline.cli.frame import run as run_command
from pipeline.log.events.ledger import Allocations, PayerPayments
from pipeline.log.read import events_of
from pipeline.settings import load_settings

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
        yes = [] if kind == "registry" else ["--yes"]
        code = run_command(build(), ["import", kind, str(file), "--config", str(config), *yes, *arguments])
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
        (
            "nbsp_thousand.csv",
            [
                "nbsp_thousand.csv:2: amount: '1 234,56' has thousands separators (1 more of the column is not plain, either): set decimal = \"either\" and",
            ],
        ),
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


def test_a_merged_suspension_is_refused_by_the_command_too(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "registry"
    folder.mkdir()
    for kind, head in (
        ("miners", "miner_id,name"),
        ("accounts", "account,miner_id,valid_from"),
        ("wallets", "address,chain,miner_id,valid_from"),
    ):
        (folder / f"{kind}.csv").write_text(head + "\n", encoding="utf-8")
    shutil.copy(CASES / "merged_susp.xlsx", folder / "licences.xlsx")
    for arguments in ((), ("--dry-run",)):
        ran = esep(folder, "", *arguments, kind="registry")
        assert ran.code == 4 and [fault.split(": ")[1] for fault in ran.faults] == ["suspended_from", "suspended_to"], ran.err


@pytest.mark.parametrize(
    ("name", "settings", "amounts"),
    [
        ("case_1c.xlsx", "", 1),
        ("ids18.csv", "", 2),
        ("cp1251.csv", '[ledger.files.allocations]\nencoding = "windows-1251"\n', 1),
        ("sep.csv", '[ledger.files.allocations]\ndelimiter = ";"\n', 1),
        ("nbsp_thousand.csv", '[ledger.files.allocations]\ndecimal = "either"\ngrouping = " "\n', 3),
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
    assert ran.code == 0 and "1 instant(s) read in UTC (the column's heading)" in ran.out, ran.err
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


MPOS = "id,account_id,type,coin_address,amount,block_id,timestamp,txid,archived\n"
MPOS_SETTINGS = '[ledger.files.{}]\nprofile = "mpos-transactions"\nconstants = {{ asset = "BTC" }}\n'


def mpos(number: int, account: int, kind: str, amount: str, block: str, rest: str = ",0") -> str:
    address = PAID if kind.startswith("Debit") else ""
    return f"{number},{account},{kind},{address},{amount},{block},2026-10-05 00:30:00{rest}\n".replace(":00,0", ":00,,0")


def test_mpos_debits_are_payments(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "transactions.csv"
    file.write_text(MPOS + mpos(1, 5, "Credit", "0.5", "9") + mpos(3, 5, "Debit_AP", "0.495", "", f",{'ef' * 32},0"), encoding="utf-8")
    ran = esep(file, MPOS_SETTINGS.format("payments"), kind="payments")
    assert ran.code == 0 and "1 new" in ran.out and "1 row(s) passed over" in ran.out and "read in UTC" in ran.out, ran.err


def test_mpos_fees_and_donations_are_taken_off_the_credit_of_their_account_and_block(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "transactions.csv"
    rows = [
        mpos(1, 5, "Credit", "0.500000000000000000000000000000", "9"),
        mpos(2, 5, "Fee", "0.005", "9"),
        mpos(3, 5, "Donation", "0.001", "9"),
        mpos(4, 6, "Credit", "0.25", "9"),  # an account without fees
        mpos(5, 5, "Bonus", "0.01", "9"),
        mpos(6, 5, "Credit", "0.3", "10"),
        mpos(7, 5, "Fee", "0.003", "10"),
        mpos(11, 5, "Credit_PPS", "0.1", ""),  # of PPS no row names a block: a fee follows its credit
        mpos(12, 5, "Fee_PPS", "0.002", "NULL"),
        mpos(13, 6, "Credit_PPS", "0.2", ""),
        mpos(14, 6, "Fee_PPS", "0.003", ""),
        mpos(15, 6, "Donation_PPS", "0.001", ""),
        mpos(16, 5, "TXFee", "0.0001", ""),
    ]
    file.write_text(MPOS + "".join(reversed(rows)), encoding="utf-8")  # a file's order says nothing
    ran = esep(file, MPOS_SETTINGS.format("allocations"))
    assert ran.code == 0 and "6 new" in ran.out and "2 row(s) Fee taken off" in ran.out and "1 row(s) passed over" in ran.out, ran.err
    assert "credits of orphaned and unconfirmed blocks" in ran.out
    with App(load_settings(tmp_path / "esep.toml", {}), lambda: 1_795_200_000) as app:
        (event,) = [event for _, event in events_of(app.log, "ledger", app.pool, [Allocations])]
    rows_of = event.rows
    assert list(zip(rows_of.allocation_id, rows_of.amount, rows_of.commission_asset, rows_of.commission_amount, strict=True)) == [
        ("1", "49400000", "BTC", "500000"),
        ("11", "9800000", "BTC", "200000"),
        ("13", "19600000", "BTC", "300000"),
        ("4", "25000000", None, None),
        ("5", "1000000", None, None),
        ("6", "29700000", "BTC", "300000"),
    ]


def test_what_mpos_payouts_cost_is_set_off(esep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "transactions.csv"
    file.write_text(
        MPOS
        + mpos(8, 5, "Debit_AP", "0.4999", "", f",{'ef' * 32},0")
        + mpos(9, 5, "TXFee", "0.0001", "").replace("TXFee,", f"TXFee,{PAID}"),
        encoding="utf-8",
    )
    profile = '[ledger.files.payments]\nprofile = "mpos-payout-fees"\nconstants = { asset = "BTC", payer = "payout-fees" }\n[payers.payout-fees]\nway = "off-chain"\n'
    ran = esep(file, profile, kind="payments")
    assert ran.code == 0 and "1 new" in ran.out and "1 row(s) passed over" in ran.out, ran.err
    with App(load_settings(tmp_path / "esep.toml", {}), lambda: 1_795_200_000) as app:
        (event,) = [event for _, event in events_of(app.log, "ledger", app.pool, [PayerPayments])]
    rows = event.rows
    assert (rows.payment_id, rows.amount, rows.txid, rows.payer) == (["9"], ["10000"], ["9"], ["payout-fees"])


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([mpos(2, 5, "Fee", "0.005", "9"), mpos(1, 5, "Credit", "0.5", "8")], "2: type: is 'Fee', and the file has no Credit of the same account_id and block_id"),
        ([mpos(1, 6, "Fee_PPS", "0.1", ""), mpos(2, 6, "Credit_PPS", "0.5", "")], "2: type: is 'Fee_PPS', and the file has no Credit_PPS before it by id"),
        ([mpos(1, 6, "Credit", "0.01", "9"), mpos(2, 6, "Fee", "0.1", "9")], "2: amount: is less than what line 3 takes off it: 0.01, and 0.1"),
        (
            [mpos(1, 6, "Credit", "0.5", "9"), mpos(2, 6, "Fee", "0.1", "9"), mpos(3, 6, "Fee", "0.1", "9")],
            "4: type: is a second Fee of line 2, beside line 3",
        ),
        ([mpos(1, 6, "Credit", "0.5", "9"), mpos(2, 6, "Credit", "0.5", "9"), mpos(3, 6, "Fee", "0.1", "9")], "4: type: is 'Fee', and the file has 2 Credit"),
        ([mpos(1, 6, "Credit", "0.5", "9"), mpos(2, 6, "Fee", "x", "9")], "3: amount: 'x' is no amount, and is taken off line 2"),
        ([mpos(1, 6, "Orphan_Credit", "0.5", "9")], "2: type: is 'Orphan_Credit'"),
    ],
)  # fmt: skip
def test_an_mpos_file_that_can_not_be_netted_surely_is_refused(esep, tmp_path: Path, rows: list[str], fault: str) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "t.csv"
    file.write_text(MPOS + "".join(rows), encoding="utf-8")
    ran = esep(file, MPOS_SETTINGS.format("allocations"))
    assert ran.code == 4 and ran.faults[0].startswith(f"t.csv:{fault}") and len(ran.faults) == 1, ran.err


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
