"""An import shown before it is taken: `--dry-run`, consent to what is odd, and the report's change beside what a real import makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.app.app import App
from pipeline.closing.preview import with_ledger_rows, with_registry
from pipeline.enrich.frames import SHAPES
from pipeline.log.events import decode
from pipeline.log.events.ledger import AllocationColumns, Allocations
from pipeline.log.read import events_of
from pipeline.settings import load_settings
from pipeline.store.facts import read_facts
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.review import Consent

from .example_month import RECORDED, esep

HEAD = "allocation_id,account,asset,allocated_at,amount"
NOW = 1_795_200_000
"""20 November 2026."""


@pytest.fixture
def pool(frozen: Path, tmp_path: Path) -> Path:
    """The example's var, October frozen, with its settings; a copy of our own."""
    shutil.copytree(frozen, tmp_path / "var")
    return tmp_path / "var"


def written(tmp_path: Path, *rows: str, name: str = "file.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    return path


def dry(pool: Path, kind: str, path: Path, *options: str) -> int:
    return esep("import", kind, path, "--dry-run", "--config", pool / "esep.toml", *options)


def test_satoshi_given_as_coins_are_refused_by_line(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "A1,acct000,BTC,2026-10-05T00:30:00+05:00,66319800")
    for options in ((), ("--dry-run",), ("--yes",), ("--restate",)):
        assert esep("import", "allocations", path, "--config", pool / "esep.toml", *options) == 4
        assert "file.csv:2: amount: 66319800.00000000 BTC is more than ever exists (21000000.00000000)" in capsys.readouterr().err


def test_ids_that_begin_anew_each_month_are_refused_and_restated_only_when_asked(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, *(f"A{n:06},acct{n - 1:03},BTC,2026-11-05T00:30:00+05:00,0.001" for n in range(1, 13)))
    assert esep("import", "allocations", path, "--config", pool / "esep.toml", "--yes") == 4
    assert "12 row(s) would move to another month" in capsys.readouterr().err
    assert esep("import", "allocations", path, "--config", pool / "esep.toml", "--yes", "--restate", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["restated"] == 12 and told["restated_by"]["month"] == 12 and told["new"] == 0


def test_who_agreed_on_the_command_line_stands_in_the_log_where_a_name_was_given(pool: Path, tmp_path: Path) -> None:
    path = written(tmp_path, *(f"A{n:06},acct{n - 1:03},BTC,2026-11-05T00:30:00+05:00,0.001" for n in range(1, 13)), name="again.csv")
    options = ("--yes", "--restate", "--by", "A. Person", "--config", pool / "esep.toml")
    assert esep("import", "allocations", path, *options) == 0
    with App(load_settings(pool / "esep.toml", {}), lambda: NOW) as app:
        (agreed,) = [e.agreed for _, e in events_of(app.log, "ledger", app.pool, [Allocations]) if e.source == "again.csv"]
    assert agreed is not None and agreed.by == "A. Person" and "12 row(s) move to another month" in agreed.to


def test_an_event_of_before_agreements_were_recorded_decodes() -> None:
    rows = {name: [] for name in AllocationColumns.__struct_fields__}
    event = decode(json.dumps({"type": "allocations", "id": "allocations:1", "schema": 1, "source": "a.csv", "rows": rows}).encode())
    assert isinstance(event, Allocations) and event.agreed is None


def test_an_odd_file_wants_consent_and_a_dry_run_imports_nothing(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "TYPO1,acct000,BTC,2025-10-05T00:30:00+05:00,0.00000001")
    assert dry(pool, "allocations", path) == 4 and dry(pool, "allocations", path, "--yes") == 0
    assert esep("import", "allocations", path, "--config", pool / "esep.toml") == 4
    assert "say --yes" in capsys.readouterr().err
    assert esep("import", "allocations", path, "--config", pool / "esep.toml", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["new"] == 1
    assert esep("import", "allocations", path, "--config", pool / "esep.toml") == 0  # known already: nothing is asked twice


def test_a_dry_run_tells_the_reports_change_and_prints_no_id_of_a_person_to_stderr(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "NEW1,acct000,BTC,2026-11-05T00:30:00+05:00,0.001")
    assert dry(pool, "allocations", path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    november = next(change for change in told["open_months"] if change["month"] == "2026-11")
    assert november["rows_after"] == november["rows_before"] + 1
    assert november["allocated"] == {"BTC": ["1.27155080", "1.27255080"]}
    assert [(row["change"], row["allocation_id"]) for row in november["rows"]] == [("added", "NEW1")]
    assert "0.00100000 BTC, not transferred" in november["rows"][0]["words"]
    assert all(change["month"] != "2026-10" for change in told["open_months"])  # frozen: an amendment's business


def test_a_dry_run_tells_new_issues_where_no_row_of_the_report_differs(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "payments.csv"
    row = "P-X,acct000,BTC,bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7,0.001,{},2026-11-01T12:00:00+05:00,{}"
    for payer, code in (("", "payment-not-on-chain"), ("Big", "unknown-payer")):
        path.write_text(
            "payment_id,account,asset,address,amount,txid,paid_at,payer\n" + row.format("ab" * 32, payer) + "\n", encoding="utf-8"
        )
        capsys.readouterr()
        assert dry(pool, "payments", path, "--yes") == 0
        told = capsys.readouterr().out
        assert "2026-11: the report stays as it is" in told and f"new issue: {code} (blocking) P-X" in told


def test_the_same_credits_under_new_ids_are_told_with_their_count(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = (RECORDED / "allocations.csv").read_text(encoding="utf-8").splitlines()
    renumbered = tmp_path / "again.csv"
    renumbered.write_text("\n".join([head, *("Z" + row for row in rows[:279])]) + "\n", encoding="utf-8")
    assert dry(pool, "allocations", renumbered, "--json") == 4
    assert json.loads(capsys.readouterr().out)["repeated"] == 279


@pytest.mark.parametrize(
    ("kind", "head", "row"),
    [
        ("allocations", HEAD, "A000001,acct000,BTC,2026-09-28T00:30:00+05:00,0.00663190"),
        (
            "payments",
            "payment_id,account,asset,address,amount,txid,paid_at",
            f"PX,acct000,BTC,bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7,0.001,{'ab' * 32},2026-10-20T12:00:00+05:00",
        ),
    ],
)
def test_the_facts_shown_are_those_that_the_import_makes(pool: Path, tmp_path: Path, kind: LedgerKind, head: str, row: str) -> None:
    path = tmp_path / "one.csv"
    path.write_text(f"{head}\n{row}\n", encoding="utf-8")
    with App(load_settings(pool / "esep.toml", {}), lambda: NOW) as app:
        _, rows = app.imports.review(path, kind)
        with app.stores.current() as store:
            shown = with_ledger_rows(read_facts(store.connection), kind, rows)
        app.imports.ledger(path, kind, consent=Consent(to_oddities=True))
        with app.stores.current() as store:
            made = read_facts(store.connection)
    for name in SHAPES:
        assert getattr(shown, name).equals(getattr(made, name)), name


def test_an_inbox_imports_what_arrives_asks_about_what_is_odd_and_imports_nothing_twice(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pool / "esep.toml"
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    rule = '\n[[inbox.files]]\npattern = "credits*.csv"\nkind = "allocations"\n[[inbox.files]]\npattern = "reg*"\nkind = "registry"\n'
    config.write_text(config.read_text() + f'\n[inbox]\nfolder = "{arriving}"\nsettle_s = 0\n' + rule)
    written(arriving, "IN1,acct000,BTC,2026-11-05T00:30:00+05:00,0.001", name="credits-1.csv")
    written(arriving, "IN2,acct000,BTC,2031-11-05T00:30:00+05:00,0.001", name="credits-2.csv")
    written(arriving, "IN3,acct000,BTC,2026-11-05T00:30:00+05:00,many", name="credits-3.csv")
    shutil.copytree(
        RECORDED, arriving / "registry", ignore=shutil.ignore_patterns("*.gz", "*.json*", "expected", "allocations*", "payments*")
    )
    assert esep("inbox", "look", "--config", config) == 0
    told = capsys.readouterr().out
    assert "done/credits-1.csv" in told and "waiting/credits-2.csv" in told and "refused/credits-3.csv" in told and "done/registry" in told
    assert esep("inbox", "waiting", "--config", config) == 0 and capsys.readouterr().out == "credits-2.csv\n"
    assert esep("inbox", "take", "credits-2.csv", "--by", "A. Person", "--config", config) == 0
    with App(load_settings(config, {}), lambda: NOW) as app:
        events = {e.source: e.agreed for _, e in events_of(app.log, "ledger", app.pool, [Allocations]) if e.source.startswith("credits")}
    agreed = events["credits-2.csv"]
    assert events["credits-1.csv"] is None and agreed is not None and agreed.by == "A. Person" and agreed.at > NOW * 1_000_000
    assert any("lie in the future" in asked for asked in agreed.to)
    assert esep("inbox", "take", "credits-2.csv", "--by", " ", "--config", config) == 2
    capsys.readouterr()
    # As if the program had been killed between import and move: the file lies there again.
    (arriving / "done" / "credits-1.csv").rename(arriving / "credits-1.csv")
    assert esep("inbox", "look", "--config", config) == 0
    assert "0 new, 0 restated, 1 known already" in capsys.readouterr().out
    assert sorted(path.name for path in (arriving / "done").glob("credits*")) == [
        "credits-1.csv", "credits-1.csv.report.txt", "credits-2.csv", "credits-2.csv.report.txt",
    ]  # fmt: skip


def test_ids_that_begin_anew_each_month_name_a_row_each_where_the_settings_say_so(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pool / "esep.toml"
    config.write_text(config.read_text() + '\n[ledger.files.allocations]\nids = "month"\n')
    twice = written(tmp_path, "1,acct000,BTC,2026-11-05T00:30:00+05:00,0.001", "1,acct000,BTC,2026-12-05T00:30:00+05:00,0.001")
    assert esep("import", "allocations", twice, "--config", config, "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["new"] == 2
    assert esep("import", "allocations", twice, "--config", config, "--json") == 0
    assert json.loads(capsys.readouterr().out)["known"] == 2


def test_a_registry_is_shown_before_it_is_taken(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, folder = pool / "esep.toml", tmp_path / "registry"
    shutil.copytree(RECORDED, folder, ignore=shutil.ignore_patterns("*.gz", "*.json*", "expected", "allocations*", "payments*"))
    content = json.loads((RECORDED / "pool.json").read_text(encoding="utf-8"))
    rows = [f"{one['address']},bitcoin,{one['class']},{one['name']}" for one in content["counterparties"]]
    (folder / "counterparties.csv").write_text("\n".join(["address,chain,class,name", *rows]) + "\n", encoding="utf-8")
    assert esep("import", "registry", folder, "--dry-run", "--json", "--config", config) == 0
    assert json.loads(capsys.readouterr().out)["differ"] == {}
    miners = folder / "miners.csv"
    miners.write_text(miners.read_text(encoding="utf-8").replace("ЖШС «Ертіс Компьют 0»", "ЖШС «Ертіс 0»"), encoding="utf-8")
    assert esep("import", "registry", folder, "--dry-run", "--json", "--config", config) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["differ"] == {"miners": {"added": 1, "gone": 1}}
    november = next(change for change in told["open_months"] if change["month"] == "2026-11")
    assert november["row_count"] == 3 and november["rows"][0]["values"] == [["miner_name", "ЖШС «Ертіс Компьют 0»", "ЖШС «Ертіс 0»"]]
    with App(load_settings(config, {}), lambda: NOW) as app:
        read = app.imports.read_registry(folder)
        with app.stores.current() as store:
            shown = with_registry(read_facts(store.connection), read.content, set())
        assert app.imports.registry(folder).is_new
        with app.stores.current() as store:
            made = read_facts(store.connection)
    for name in SHAPES:
        assert getattr(shown, name).equals(getattr(made, name)), name
