"""Payments that name a payer: what their files may hold (rule 10.5), and what becomes of them in the log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.files.ledger import ReadOptions, import_ledger, read_ledger, review_ledger
from connectors.log_sqlite import SqliteLog
from pipeline.log.events import encode
from pipeline.log.events.ledger import PayerPayments, Payments
from pipeline.log.events.months import Frozen
from pipeline.log.read import events_of
from pipeline.model.errors import ConsentNeeded, InputRefused
from pipeline.model.rules import Asset
from pipeline.validate.review import Consent

from ..unit.chains.test_invoice import DONATION, HASH

READ = ReadOptions(assets={"BTC": Asset("BTC", "bitcoin", 8)}, networks={"bitcoin": "regtest"}, on_chain_payers=["big"])
ADDRESS, TXID = "2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg", "ab" * 32
HEAD = "payment_id,account,asset,address,amount,txid,paid_at,payer\n"


def ledger(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "payments.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_lightning_invoice_is_named_by_its_payment_hash(tmp_path: Path) -> None:
    row = "P1,a,BTC,node,1,{},2026-10-01T00:00:00+05:00,lightning"
    assert read_ledger(ledger(tmp_path, row.format(DONATION.upper())), "payments", READ).rows["txid"].to_list() == [HASH]
    with pytest.raises(InputRefused, match="wrong checksum: a character is mistyped"):
        read_ledger(ledger(tmp_path, row.format(DONATION.replace("pvj", "pvv"))), "payments", READ)


def test_an_off_chain_payers_reference_and_address_are_any_text(tmp_path: Path) -> None:
    path = ledger(
        tmp_path,
        f"P1,a,BTC,{ADDRESS},1,{TXID.upper()},2026-10-01T00:00:00+05:00,",
        f"P2,a,BTC,{ADDRESS},1,0x{TXID.upper()},2026-10-01T00:00:00+05:00,big",
        f"P3,a,BTC,user@exchange.example,1,{TXID.upper()},2026-10-01T00:00:00+05:00,exchange",
        "P4,a,BTC,Қазына шот 7,1,INV 2026/11 №7,2026-10-01T00:00:00+05:00,exchange",
    )
    rows = read_ledger(path, "payments", READ).rows
    assert rows["txid"].to_list() == [TXID, TXID, TXID.upper(), "INV 2026/11 №7"]
    assert rows["address"].to_list()[2:] == ["user@exchange.example", "Қазына шот 7"]
    assert rows["payer"].to_list() == [None, "big", "exchange", "exchange"]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f"P1,a,BTC,{ADDRESS},1,INV 7,2026-10-01T00:00:00+05:00,", "is not a transaction id"),
        (f"P1,a,BTC,{ADDRESS},1,INV 7,2026-10-01T00:00:00+05:00,big", "is not a transaction id"),
        (f"P1,a,BTC,nowhere,1,{TXID},2026-10-01T00:00:00+05:00,big", "address"),
        (f"P1,a,BTC,x,1,{'r' * 129},2026-10-01T00:00:00+05:00,exchange", "is too long, 129 characters: at most 128"),
        (f"P1,a,BTC,{'a' * 129},1,r,2026-10-01T00:00:00+05:00,exchange", "is too long, 129 characters: at most 128"),
        ("P1,a,BTC,,1,r,2026-10-01T00:00:00+05:00,exchange", "is missing"),
        ("P1,a,BTC,x,1,,2026-10-01T00:00:00+05:00,exchange", "is missing"),
    ],
)
def test_what_is_outside_of_that_is_refused(tmp_path: Path, row: str, fault: str) -> None:
    with pytest.raises(InputRefused) as caught:
        read_ledger(ledger(tmp_path, row), "payments", READ)
    assert fault in str(caught.value)


def test_adding_to_a_reference_that_began_in_a_frozen_month_wants_consent(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    begun = "P1,a,BTC,x,1,ref,2026-10-31T23:00:00+05:00,exchange"
    import_ledger(log, "p", ledger(tmp_path, begun), "payments", READ)
    later = ledger(
        tmp_path, begun, "P2,a,BTC,x,1,ref,2026-11-01T00:30:00+05:00,exchange", "P3,a,BTC,x,1,new,2026-11-01T00:30:00+05:00,exchange"
    )
    assert review_ledger(log, "p", later, "payments", READ)[0].questions == []
    frozen = Frozen(
        id="frozen:2026-10:1", month="2026-10", version=1, digest="ab" * 32, positions={}, newest={}, rules={}, header={}, manifest_digest="ab" * 32,
        previous_digest=None, languages=[], closing_debts={}, closing_debts_digest="ab" * 32, by="A", reason="due", at=1_762_000_000,
    )  # fmt: skip
    with log.writer("months", "p") as writer:
        writer.append([encode(frozen)])
    (question,) = review_ledger(log, "p", later, "payments", READ)[0].questions
    assert "1 row(s) add to a reference of an off-chain payer that began in a frozen month" in question
    with pytest.raises(ConsentNeeded):
        import_ledger(log, "p", later, "payments", READ)
    assert import_ledger(log, "p", later, "payments", READ, consent=Consent(True, False)).new == 2
    log.close()


def test_rows_of_both_kinds_are_one_table_of_versions(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    own = f"P1,a,BTC,{ADDRESS},1,{TXID},2026-10-01T00:00:00+05:00,"
    first = ledger(tmp_path, own, f"P2,a,BTC,{ADDRESS},1,{TXID},2026-10-01T00:00:00+05:00,big")
    assert import_ledger(log, "p", first, "payments", READ).new == 2
    again = import_ledger(log, "p", first, "payments", READ)
    assert (again.new, again.restated, again.unchanged, again.events) == (0, 0, 2, 0)
    named = import_ledger(log, "p", ledger(tmp_path, own + "big"), "payments", READ, consent=Consent(True, True))
    assert (named.new, named.restated) == (0, 1)
    events = [event for _, event in events_of(log, "ledger", "p", [Payments, PayerPayments])]
    assert [(type(e).__name__, e.rows.payment_id, e.rows.version) for e in events] == [
        ("Payments", ["P1"], [1]),
        ("PayerPayments", ["P2"], [1]),
        ("PayerPayments", ["P1"], [2]),
    ]
    log.close()


def test_a_payer_declared_after_the_import_is_read_as_one_of_a_chain_when_the_file_comes_again(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    path = ledger(tmp_path, f"P1,a,BTC,{ADDRESS}, 1 ,0x{TXID.upper()},2026-10-01T00:00:00+05:00,late")
    import_ledger(log, "p", path, "payments", READ)
    declared = replace(READ, on_chain_payers=["big", "late"])
    again = import_ledger(log, "p", path, "payments", declared, consent=Consent(True, True))
    assert (again.new, again.restated, again.unchanged) == (0, 1, 0)
    rows = [event.rows.txid for _, event in events_of(log, "ledger", "p", [PayerPayments])]
    assert rows == [[f"0x{TXID.upper()}"], [TXID]]
    log.close()
