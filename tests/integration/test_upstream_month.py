"""A recorded month of a pool that is paid by a bigger one (rule 10), the whole way from node to bundle, beside what an independent program computed."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from pipeline.model.amounts import from_units

from .example_month import esep

CAPTURE = Path(__file__).resolve().parents[1] / "captures" / "2026-11-upstream"
MONTH = "2026-11"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("upstream") / "var"
    assert esep("demo", CAPTURE, "--var", var, "--waive-all", "a recorded month") == 0
    return var / "months" / MONTH / "v1"


@pytest.mark.parametrize("name", ["report.csv", "outflows.csv", "transfers.csv", "balances.csv"])
def test_the_month_comes_out_byte_for_byte(bundle: Path, name: str) -> None:
    assert (bundle / name).read_bytes() == (CAPTURE / "expected" / name).read_bytes()


def test_its_issues_are_the_expected_ones(bundle: Path) -> None:
    def keys(path: Path) -> list[tuple[str, str, str]]:
        with path.open(newline="", encoding="utf-8") as lines:
            return sorted((row["code"], row["severity"], row["ref"]) for row in csv.DictReader(lines))

    assert keys(bundle / "issues.csv") == keys(CAPTURE / "expected" / "issues.csv")


def test_the_manifest_counts_by_payer_and_says_that_all_payments_were_looked_for(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    expected = json.loads((CAPTURE / "expected" / "summary.json").read_text())["by_payer"]
    for name, sums in expected.items():
        told = manifest["by_payer"][name]
        assert {key: told[key] for key in ("transfers", "distinct_transfers", "distinct_transfers_count")} == {
            key: sums[key] for key in ("transfers", "distinct_transfers", "distinct_transfers_count")
        }
        assert told["amount"] == {"BTC": from_units(sums["amount_sat"], 8)}
    assert {
        "name": "bitcoin: payers' transactions looked for",
        "is_met": True,
        "detail": "all 968 payments of on-chain payers were looked for",
    } in manifest["conditions"]
    paid = manifest["by_payer"]["luxor"]["distinct_transfers"]
    assert manifest["rests_on"]["luxor"] == {"proof": paid} and all(set(found) == {"proof"} for found in manifest["rests_on"].values())
    assert manifest["rules"]["payers"] == {"luxor": {"way": "on-chain", "chain": "bitcoin"}}


def test_a_replay_gives_the_same_month(bundle: Path) -> None:
    var = bundle.parents[2]
    assert esep("replay", MONTH, "--config", var / "esep.toml") == 0


TRAPS = [
    # payment, account, address, satoshi, transaction or reference, paid at, payer: and the issues that rule 10 makes of it
    ("X01", "acct000", "vendor", 31_000_000, "2c98b4d9", "2026-11-06T09:00:00+05:00", "Luxor", "unknown-payer"),  # names compare exactly
    ("X21", "nobody9", "any where", 5, "INV 7", "2026-11-06T09:00:00+05:00", "ghost", "unknown-payer"),  # and nothing else
    ("000", "acct000", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 77, "1b35c3af", "2026-11-10T12:40:00+05:00", "nobody", "unknown-payer"),
    ("X22", "acct001", "acct001", 5, "ab" * 32, "2026-11-06T09:00:00+05:00", "doge", "unknown-payer"),  # another chain's
    ("X02", "acct000", "treasury", 1_999_738, "cfbd48cb", "2026-11-23T09:00:00+05:00", "luxor", "payer-differs payment-not-on-chain"),
    ("X03", "acct001", "acct001", 7, "2c98b4d9", "2026-11-06T09:00:00+05:00", "luxor", "payer-differs payment-not-on-chain"),
    ("X04", "acct004", "vendor", 31_000_000, "2c98b4d9", "2026-11-06T08:30:00+05:00", "f2", "payer-differs wallet-holder-differs"),
    ("XD1", "acct003", "2N11Fzebo4MUt3Ngimja5wGJs1rLgGrDjjp", 1, "f21e837f", "2026-10-31T23:59:00+05:00", "luxor", "payment-amount-differs"),
    ("X05", "acct006", "batch treasury", 3_418_545, "dae7d477", "2026-11-21T06:10:00+05:00", "luxor", "payment-not-on-chain"),
    ("N01", "acct002", "acct002", 222_222, "05661579", "2026-11-05T13:00:00+05:00", "", "payment-not-on-chain"),  # another payer's transfer
    ("N02", "acct018", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 1_660_112, "dd" * 32, "2026-11-13T06:00:00+05:00", "", "payment-not-on-chain"),
    ("X13", "nobody3", "acct002", 222_222, "05661579", "2026-11-05T13:00:00+05:00", "luxor", "unknown-account wallet-holder-differs"),
    # Two payers, a satoshi too much; a fee explains nothing; a unit too much; a satoshi less than that is rounding.
    ("A0001", "acct000", "acct026", 1, "dae7d477", "2026-11-21T06:10:00+05:00", "f2", "payment-amount-differs wallet-holder-differs"),
    ("X20", "acct018", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 1_431, "1b35c3af", "2026-11-10T12:40:00+05:00", "luxor", "payment-amount-differs"),
    ("R1", "acct002", "acct002", 12_225, "fb89a4fa", "2026-11-08T06:10:00+05:00", "luxor", ""),
    ("R2", "acct019", "mmgFgUendtrHPyFjj2KBrZ5UGLV5jc3REK", 14_835, "fb89a4fa", "2026-11-08T06:10:00+05:00", "luxor", "payment-amount-differs"),
    ("X09", "acct018", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 324_022, "cdc1591d", "2026-11-10T12:00:00+05:00", "luxor", "payment-not-on-chain"),
    ("X10", "acct018", "acct031", 5, "1b35c3af", "2026-11-10T12:00:00+05:00", "luxor", "payment-not-on-chain"),
    ("X12a", "acct018", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 5, "ee" * 32, "2026-10-31T18:59:59Z", "luxor", ""),
    ("X12b", "acct018", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 5, "ee" * 32, "2026-11-30T18:59:59.999999Z", "luxor", "payment-not-on-chain"),
    ("X12c", "acct018", "2NGLGBUwiDQaaaQ971AHPNUfxcxUF8F4XoK", 5, "ee" * 32, "2026-11-30T19:00:00Z", "luxor", ""),
    # Off chain: a reference that reads like a txid is none; a reference begun in October, or whole in November though paid on in December.
    ("O1", "acct000", "unknown", 1, "a4df2846", "2026-11-21T12:00:00+05:00", "Биржа 1", "transfer-not-proven"),
    ("O2a", "acct001", "шот 7", 10_000, "set-off №1", "2026-10-31T23:59:59+05:00", "Биржа 1", ""),
    ("O2b", "acct001", "шот 7", 20_000, "set-off №1", "2026-11-02T10:00:00+05:00", "Биржа 1", ""),
    ("O3a", "acct002", "x", 3, "S", "2026-11-30T23:59:59+05:00", "lightning", "transfer-not-proven"),
    ("O3b", "acct005", "x", 4, "S", "2026-12-01T00:00:00+05:00", "lightning", ""),
    ("O4", "acct003", "x", 9, "S", "2026-11-30T23:59:59+05:00", "Биржа 1", "transfer-not-proven"),
    # The wallet passes from acct007's miner to acct008's on 15 November; what counts is the day of the transfer.
    ("O5a", "acct007", "passing", 11, "W", "2026-11-14T23:59:59+05:00", "Биржа 1", "transfer-not-proven"),
    ("O5b", "acct008", "passing", 12, "W", "2026-11-15T08:00:00+05:00", "Биржа 1", "wallet-holder-differs"),
    ("O5c", "acct008", "passing", 13, "W2", "2026-11-15T00:00:00+05:00", "Биржа 1", "transfer-not-proven"),
    ("O5d", "acct007", "passing", 14, "W2", "2026-11-15T00:00:00+05:00", "Биржа 1", "wallet-holder-differs"),
    ("O6", "nobody1", "user", 15, "U", "2026-11-16T00:00:00+05:00", "lightning", "unknown-account transfer-not-proven"),
    ("O7", "acct000", "y", 17, "Z", "2026-12-01T00:00:00+05:00", "lightning", ""),
]  # fmt: skip
NAMED = {
    "vendor": "bcrt1qfvnyu5895lg9n3a3p59sse3las9mqwmtlq5dkp", "unknown": "2MyWmnxpYDu6ZodLsy8uj1PB68K4LRqgW4j",
    "treasury": "bcrt1qm03fyp6t4vym5nxt749qjkk5md7z3avfvxg53v",
    "batch treasury": "bcrt1plyvx0yukgu3qw8l5tmywaxtrwfzm20cd4kqjj72lle65jh7e67aq7rxsx2",
    "acct001": "bcrt1qc2j6kd9zhujt5hruj4nkdqleuamahmztc7alxm", "acct002": "bcrt1pt8rfcxck8d4z5kr4avcp7tl8lpymgyfc43vg22r4486t8z3hpssskkazgv",
    "acct026": "bcrt1qq0d833c0ffsgpxenfs9z38m3zfjcwpu5028m66", "acct031": "bcrt1ql2jajct548r5ehh6reu84n5c8w4csv3e0njtt4",
    "passing": "bcrt1psq9z437ekz6z6r6jqhfmxtrn8z365cskjtn7cd7ma47cspnuqt9shwvlgq",
}  # fmt: skip
OF_AMOUNTS = ("transfer-before-allocation", "transfer-exceeds-allocations")
"""What more payments make of the miners' debts (rule 6.2), which these traps are not about."""
PAYERS = """
[payers.f2]
way = "on-chain"
chain = "bitcoin"
[payers.doge]
way = "on-chain"
chain = "dogecoin"
[payers."Биржа 1"]
way = "off-chain"
[payers.lightning]
way = "off-chain"
"""


def test_traps_of_each_sentence_of_rule_10_in_the_recorded_month(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger with what a front's books get wrong, imported beside the recorded one: the issues by hand, from the rules."""
    var = tmp_path / "var"
    shutil.copytree(bundle.parents[2], var)
    with (var / "esep.toml").open("a", encoding="utf-8") as settings:
        settings.write(PAYERS)
    known = set(re.findall(r"\b[0-9a-f]{64}\b", (CAPTURE / "truth.json").read_text()))

    def txid(text: str) -> str:
        found = [one for one in known if re.fullmatch("[0-9a-f]{8}", text) and one.startswith(text)]
        return found[0] if found else text

    rows, expected = [], set()
    for payment, account, where, units, reference, at, payer, codes in TRAPS:
        address, named = NAMED.get(where, where), txid(reference)
        rows.append([payment, account, "BTC", address, from_units(units, 8), named, at, payer])
        refs = {"transfer-not-proven": f"{payer}:{named}:{address}", "payment-amount-differs": f"{named}:{address}"}
        expected |= {(code, refs.get(code, payment)) for code in codes.split()}
    with (tmp_path / "traps.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["payment_id", "account", "asset", "address", "amount", "txid", "paid_at", "payer"], *rows])
    config = ("--config", var / "esep.toml")
    assert esep("import", "payments", tmp_path / "traps.csv", "--yes", "--by", "B.", *config) == 0
    capsys.readouterr()
    esep("issues", MONTH, "--json", *config)
    told = {(row["code"], row["ref"]) for row in json.loads(capsys.readouterr().out) if row["code"] not in OF_AMOUNTS}
    with (CAPTURE / "expected" / "issues.csv").open(newline="", encoding="utf-8") as lines:
        recorded = {(row["code"], row["ref"]) for row in csv.DictReader(lines)}
    assert told - recorded == expected
    assert recorded <= told
