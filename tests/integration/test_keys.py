"""Keys of the log by command, on the recorded month: begun, granted, used, forged against, rotated; and what happens without them (ADR 14)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.log.events import encode
from pipeline.log.events.keys import KeyGranted
from pipeline.log.events.ledger import Allocations
from pipeline.log.events.months import Answered, Approved
from pipeline.log.protocol import NewEvent, Topic
from pipeline.log.read import events_of
from pipeline.log.signatures import unpack
from pipeline.settings import load_settings

from .example_month import OUTFLOW, esep

ROOT = ("--by", "B. Head", "--reason", "as decided")


def public(capsys: pytest.CaptureFixture[str]) -> str:
    (found,) = re.findall(r"public half is ([0-9a-f]{64})", capsys.readouterr().out)
    return str(found)


def printed(capsys: pytest.CaptureFixture[str], *words: Any) -> Any:
    capsys.readouterr()
    assert esep(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def pool(blocked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The recorded month, put under a root key; two people and a process have keys. Its esep.toml."""
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    capsys.readouterr()
    assert esep("keys", "make", "root", "--config", config) == 0
    root = public(capsys)
    text = config.read_text(encoding="utf-8")
    assert "[keys]" not in text
    config.write_text(f'{text}\n[keys]\nroot = "{root}"\n', encoding="utf-8")
    (var / "keys" / "root.pem").rename(tmp_path / "root.pem")
    return config


def begin(config: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Start the root key and grant a person's, an importer's and the scheduler's; their public halves."""
    root_key = config.parent.parent / "root.pem"
    assert esep("keys", "start", "--root-key", root_key, *ROOT, "--config", config) == 0
    found = {}
    for name, owner, role in (
        ("person", "A. Person", "decide"),
        ("schedule", "esep schedule", "file"),
        ("import", "Importer", "import"),
        ("watch", "Watcher", "watch"),
    ):
        capsys.readouterr()
        assert esep("keys", "make", name, "--config", config) == 0
        found[name] = public(capsys)
        assert esep("keys", "grant", name, "--owner", owner, "--role", role, "--root-key", root_key, *ROOT, "--config", config) == 0
    return found


def forge(config: Path, topic: Topic, key: str, event: NewEvent) -> None:
    """What anybody does who may write the file: the log's own digests are made anew."""
    with SqliteLog(load_settings(config, {}).log_path) as log, log.writer(topic, key) as writer:
        assert writer.append([event]) == 1


def test_a_month_of_before_goes_on_under_keys_and_only_what_keys_signed_counts(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waive = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--config", pool)
    assert esep(*waive, "--by", "A. Person") == 6, "a root key is named, and counts nowhere yet"
    assert "esep keys start" in capsys.readouterr().err
    begin(pool, capsys)
    key = load_settings(pool, {}).pool.key
    assert esep(*waive, "--by", "C. Other") == 6
    assert "--by: 'C. Other' has no key at hand for the role decide: the keys here are of A. Person" in capsys.readouterr().err
    assert esep(*waive) == 0
    assert [row["waived_by"] for row in printed(capsys, "issues", "2026-10", "--config", pool) if row["ref"] == OUTFLOW] == ["A. Person"], (
        "whose key it is"
    )
    status = printed(capsys, "status", "2026-10", "--config", pool)
    assert status["not_authentic"] == 0 and status["unsigned"] == []
    assert all(condition["is_met"] for condition in status["months"][0]["conditions"]), "what stood before counts, what was signed counts"

    forged = Answered(
        id="answered:S1:1", month="2026-10", version=1, submission_id="S1", number=1, asked="status", outcome="accepted", receipt="FORGED",
        by="schedule", reason="it is said to be accepted", at=1_795_000_000,
    )  # fmt: skip
    forge(pool, "months", key, encode(forged))
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", pool) == 3, "a forged event blocks the month"
    capsys.readouterr()
    (issue,) = [row for row in printed(capsys, "issues", "2026-10", "--config", pool) if row["code"] == "event-not-authentic"]
    assert re.fullmatch(r"months/0@\d+", issue["ref"]) and issue["detail"] == "nobody signed it"
    checked = printed(capsys, "log", "check", "--config", pool)
    assert checked["not_authentic"] == [f"{issue['ref']}: nobody signed it"] and checked["is_signed"]
    assert (
        esep("waive", "2026-10", issue["code"], issue["ref"], "--reason", "known, police told", "--by", "A. Person", "--config", pool) == 0
    )
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", pool) == 0, "the stream goes on after it"
    assert esep("replay", "2026-10", "--config", pool) == 0


def test_forged_facts_count_for_nothing_whatever_the_topic(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(pool, capsys)
    key = load_settings(pool, {}).pool.key
    before = printed(capsys, "status", "2026-10", "--config", pool)
    forge(pool, "ledger", key, NewEvent("complete:forged", b'{"type":"complete","id":"complete:forged","through":"2030-01-01"}'))
    forge(pool, "chain", f"{key}/bitcoin", NewEvent("x", b'{"type":"disconnect"}'))
    forge(
        pool,
        "months",
        "another",
        NewEvent(
            "waive:x", b'{"type":"waive","id":"waive:x","month":"2026-10","code":"unknown-outflow","ref":"x","by":"A","reason":"B","at":1}'
        ),
    )
    after = printed(capsys, "status", "2026-10", "--config", pool)
    assert after["ledger_complete_through"] == before["ledger_complete_through"]
    assert after["not_authentic"] == 2
    found = [row["detail"] for row in printed(capsys, "issues", "2026-10", "--config", pool) if row["code"] == "event-not-authentic"]
    assert found == ["nobody signed it", "nobody signed it", f"it is in no stream of the pool {key!r}: 'another'"]


def test_keys_are_listed_rotated_and_revoked(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = begin(pool, capsys)
    root_key = pool.parent.parent / "root.pem"
    label = ("label", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "vendor", "--name", "Power", "--by", "A. Person", "--config", pool)
    assert esep("keys", "make", "newer", "--config", pool) == 0
    newer = public(capsys)
    rotate = ("keys", "rotate", "person", newer, "--root-key", root_key, *ROOT, "--config", pool)
    assert esep(*rotate) == 0
    assert "rotated in months" in capsys.readouterr().out
    listed = {row["public"]: row for row in printed(capsys, "keys", "list", "--config", pool)["keys"]}
    assert listed[newer]["is_in_force"] and listed[newer]["owner"] == "A. Person" and listed[newer]["file"] == "newer"
    assert not listed[made["person"]]["is_in_force"]
    assert esep("keys", "revoke", newer, "--root-key", root_key, *ROOT, "--config", pool) == 0
    assert esep("keys", "revoke", newer, "--root-key", root_key, *ROOT, "--config", pool) == 0
    assert "it is so already" in capsys.readouterr().out
    assert esep(*label, "--reason", "contract") in (2, 6)
    assert esep("keys", "start", "--root-key", root_key, *ROOT, "--config", pool) == 0
    assert "counts in every stream already" in capsys.readouterr().out


def test_another_key_than_the_root_grants_nothing(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(pool, capsys)
    key = load_settings(pool, {}).pool.key
    person = pool.parent / "keys" / "person.pem"
    assert esep("keys", "grant", "watch", "--owner", "X", "--role", "decide", "--root-key", person, *ROOT, "--config", pool) == 2
    assert "is not the root key" in capsys.readouterr().err
    forged = KeyGranted(id="key-granted:x", key="1" * 64, owner="A. Person", roles=["decide"], by="B. Head", reason="forged", at=1)
    forge(pool, "months", key, encode(forged))
    assert "1" * 64 not in [row["public"] for row in printed(capsys, "keys", "list", "--config", pool)["keys"]]


def test_without_a_root_key_all_is_as_it_was_and_says_so(blocked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(blocked, tmp_path / "var")
    config = tmp_path / "var" / "esep.toml"
    assert esep("status", "--config", config) == 0
    assert "not authenticated: no root key" in " ".join(capsys.readouterr().out.split())
    assert esep("log", "check", "--config", config) == 0
    assert "events are not authenticated" in capsys.readouterr().out
    assert esep("keys", "list", "--config", config) == 2
    assert "esep keys make root" in capsys.readouterr().err


def test_private_keys_are_their_owners_alone_and_kept_under_a_password(
    pool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESEP_KEYS_PASSWORD", "a password of keys")
    assert esep("keys", "make", "locked", "--config", pool) == 0
    path = pool.parent / "keys" / "locked.pem"
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert b"ENCRYPTED" in path.read_bytes() and b"a password" not in path.read_bytes()
    assert esep("keys", "make", "locked", "--config", pool) == 2, "a key is never written over"
    monkeypatch.delenv("ESEP_KEYS_PASSWORD")
    root_key = pool.parent.parent / "root.pem"
    assert esep("keys", "start", "--root-key", root_key, *ROOT, "--config", pool) == 0
    assert printed(capsys, "keys", "list", "--config", pool)["locked"] == ["locked.pem"]
    assert esep("keys", "make", "../escape", "--config", pool) == 2


def test_each_decision_is_signed_by_the_key_of_the_person_it_names(pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = begin(pool, capsys)
    root_key = pool.parent.parent / "root.pem"
    assert esep("keys", "make", "second", "--config", pool) == 0
    made["second"] = public(capsys)
    assert esep("keys", "grant", "second", "--owner", "D. Second", "--role", "decide", "--root-key", root_key, *ROOT, "--config", pool) == 0
    waive = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--config", pool)
    assert esep(*waive) == 6
    assert "several people's keys are at hand: say whose decision it is: A. Person, D. Second" in capsys.readouterr().err
    assert esep(*waive, "--by", "A. Person") == 0
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", pool) == 0
    for name in ("A. Person", "D. Second"):
        assert esep("approve", "2026-10", "--by", name, "--reason", "compared", "--config", pool) == 0
    assert esep("approve", "2026-10", "--by", "Importer", "--reason", "compared", "--config", pool) == 6
    with SqliteLog(load_settings(pool, {}).log_path) as log:
        signed = {
            event.by: unpack(record.signature).signer.hex()
            for record, event in events_of(log, "months", load_settings(pool, {}).pool.key, [Approved])
            if record.signature
        }
    assert signed == {"A. Person": made["person"], "D. Second": made["second"]}

    odd = tmp_path / "odd.csv"
    odd.write_text("allocation_id,account,asset,amount,allocated_at\nodd-1,acc-9999,BTC,0.5,2031-01-01 10:00:00\n", encoding="utf-8")
    take = ("import", "allocations", odd, "--yes", "--config", pool)
    assert esep(*take, "--by", "A. Person") == 6, "no key of A. Person's imports"
    assert "'A. Person' has no key at hand for the role import: the keys here are of Importer" in capsys.readouterr().err
    assert esep(*take) == 0
    with SqliteLog(load_settings(pool, {}).log_path) as log:
        agreed = [event.agreed for _, event in events_of(log, "ledger", load_settings(pool, {}).pool.key, [Allocations]) if event.agreed]
    assert [said.by for said in agreed] == ["Importer"]
