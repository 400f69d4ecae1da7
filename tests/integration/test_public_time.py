"""Public time from a calendar of our own: promised, stamped, carried into the bundle, verified; and calendars that fail or lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.sign.calendar import Calendar
from connectors.standins.log_memory import MemoryLog
from pipeline.closing.diary import Diary
from pipeline.closing.stamping import ASK_AGAIN_S, Stamping
from pipeline.log.copying import check_log
from pipeline.log.events import encode
from pipeline.log.events.ledger import Complete
from pipeline.log.events.months import Frozen, Stamped
from pipeline.log.head import HeadReader, heads_at, stamp_faults
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import SettingsError, SigningError
from pipeline.model.months import Month
from pipeline.signing.public_time import InBlock, Promise, Timestamp, read_proof, write_proof, write_timestamp
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import Check
from pipeline.verify.given import load_headers

from .example_month import esep
from .ots_calendar import CalendarOfOurOwn, calendar

POOL, DAY = "pool", 86_400
AT = 1_793_800_000


class Folder:
    """Bundles as far as a stamp goes into them."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, int, str], bytes] = {}

    def renew(self, month: Month, version: int, name: str, content: bytes) -> None:
        self.files[str(month), version, name] = content


@pytest.fixture
def log() -> MemoryLog:
    """A pool's log with one frozen month, and another pool's beside it."""
    made = MemoryLog()
    frozen = Frozen(
        id="frozen:2026-10:1", month="2026-10", version=1, digest="ab" * 32, positions={}, rules={}, header={}, manifest_digest="cd" * 32, by="A", reason="r", at=AT,
    )  # fmt: skip
    for key in (POOL, "other"):
        with made.writer("ledger", key) as writer:
            writer.append([encode(Complete(id="complete:1", through="2026-10-31"))])
    with made.writer("months", POOL) as writer:
        writer.append([encode(frozen)])
    return made


def stamping(log: MemoryLog, calendars: list[str], folder: Folder) -> tuple[Stamping, Diary]:
    diary = Diary(log, POOL)
    return Stamping(diary, folder, [Calendar(url, timeout_s=5) for url in calendars], HeadReader(log, POOL).head, log_every_s=DAY), diary


def stamps(diary: Diary) -> list[tuple[str, int, list[int]]]:
    diary.refresh()
    return sorted((stamp.what, stamp.number, stamp.heights) for stamp in diary.stamps.values())


def test_a_manifest_is_stamped_once_the_logs_head_daily_and_promises_are_kept(log: MemoryLog) -> None:
    folder = Folder()
    with calendar() as ours:
        public, diary = stamping(log, [ours.url], folder)
        public.look(AT)
        assert stamps(diary) == [("log", 1, []), ("manifest", 1, [])]
        proof = read_proof(folder.files["2026-10", 1, "manifest.json.ots"])
        assert proof.message.hex() == "cd" * 32 and [end for _, end in proof.ends()] == [Promise(ours.url)]
        public.look(AT + 60)
        assert len(ours.asked) == 2, "nothing is asked again at once"
        public.look(AT + ASK_AGAIN_S)
        assert len(ours.asked) == 4 and stamps(diary) == [("log", 1, []), ("manifest", 1, [])], "it has not stamped yet"
        ours.mine(1_000, AT + 5_000)
        public.look(AT + 2 * ASK_AGAIN_S)
        assert stamps(diary) == [("log", 2, [1_001]), ("manifest", 2, [1_000])] or stamps(diary) == [
            ("log", 2, [1_000]),
            ("manifest", 2, [1_001]),
        ]
        proof = read_proof(folder.files["2026-10", 1, "manifest.json.ots"])
        ((message, end),) = proof.ends()
        assert isinstance(end, InBlock) and ours.headers[end.height].merkle_root[::-1] == message
        asked = len(ours.asked)
        public.look(AT + 3 * ASK_AGAIN_S)
        assert len(ours.asked) == asked, "what is stamped is asked for no more"
        public.look(AT + DAY)
        assert len([stamp for stamp in diary.stamps.values() if stamp.what == "log"]) == 2
        # Another process, from the log alone, does nothing twice.
        again, other = stamping(log, [ours.url], Folder())
        asked = len(ours.asked)
        again.look(AT + DAY + 60)
        assert len(ours.asked) == asked and stamps(other) == stamps(diary)


def test_the_logs_head_is_one_pools_and_the_log_still_gives_it_later(log: MemoryLog) -> None:
    with calendar() as ours:
        public, diary = stamping(log, [ours.url], Folder())
        public.look(AT)
        (head,) = [stamp for stamp in diary.stamps.values() if stamp.what == "log"]
        assert head.events == {"ledger/pool": 1, "months/pool": 2}, "with the manifest's stamp, and nothing of the other pool's"
        with log.writer("ledger", POOL) as writer:
            writer.append([encode(Complete(id="complete:2", through="2026-11-30"))])
        assert heads_at(log, [head.events]) == [head.digest]
        assert heads_at(log, [head.events | {"ledger/pool": 7}]) == [None]
        forged = MemoryLog()
        with forged.writer("ledger", POOL) as writer:
            writer.append([encode(Complete(id="complete:1", through="2026-10-30"))])
        with forged.writer("months", POOL) as writer:
            writer.append([NewEvent(record.id, record.value) for record in log.read({}) if record.topic == "months"])
        assert heads_at(forged, [head.events]) != [head.digest]
        assert check_log(log).stamps == [head] and stamp_faults(log, [head]) == []
        assert f"the head that {ours.url} stamped is {head.digest}" in stamp_faults(forged, [head])[0]


def test_calendars_stand_together_in_one_proof_and_one_that_is_away_stops_nothing(log: MemoryLog) -> None:
    folder = Folder()
    with calendar() as one, calendar() as two:
        public, diary = stamping(log, ["http://127.0.0.1:1", one.url, two.url], folder)
        public.look(AT)
        assert len(stamps(diary)) == 4
        ends = {end for _, end in read_proof(folder.files["2026-10", 1, "manifest.json.ots"]).ends()}
        assert ends == {Promise(one.url), Promise(two.url)}
        one.mine(5, AT)
        public.look(AT + ASK_AGAIN_S)
        ends = {type(end) for _, end in read_proof(folder.files["2026-10", 1, "manifest.json.ots"]).ends()}
        assert ends == {InBlock, Promise}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, b"x"), "HTTP 500"),
        ((302, b"x"), "HTTP 302"),
        ((200, b""), "no answer of a calendar"),
        ((200, b"<html>"), "no answer of a calendar"),
        ((200, b"\0" * (1 << 17)), "longer than 65536 bytes"),
        ((200, b"\x08" * 5000), "no answer of a calendar"),
    ],
)
def test_a_calendar_that_answers_wrongly_stamps_nothing(log: MemoryLog, answer: tuple[int, bytes], said: str) -> None:
    with calendar() as ours:
        ours.answer = answer
        with pytest.raises(SigningError, match=said):
            Calendar(ours.url, timeout_s=5).stamp(b"\1" * 32)
        public, diary = stamping(log, [ours.url], Folder())
        public.look(AT)
        assert stamps(diary) == []


def test_what_another_calendar_promised_is_not_asked_of_this_one() -> None:
    with calendar() as ours:
        stamp = Timestamp(b"\1" * 32, [Promise("http://127.0.0.1:1")])
        assert Calendar(ours.url).upgrade(stamp) is False and ours.asked == []
    with pytest.raises(SettingsError, match="must begin with"):
        Calendar("ftp://calendar.example")


def test_a_calendar_that_promises_by_another_address_is_refused_with_that_address() -> None:
    with calendar() as ours:
        asked, ours.url = ours.url, "https://alice.calendar.example"
        with pytest.raises(SigningError, match=r"the promise is by https://alice\.calendar\.example: name that one"):
            Calendar(asked).stamp(b"\1" * 32)


def test_a_calendar_is_known_by_its_address_however_it_is_written() -> None:
    own = Calendar("HTTPS://Alice.Calendar.example/")
    assert own._is_own("https://alice.calendar.example") and own._is_own("https://alice.calendar.example:443/")
    assert not own._is_own("http://alice.calendar.example") and not own._is_own("https://bob.calendar.example") and not own._is_own("alice")


# --- in a bundle ------------------------------------------------------------------------------------------------------


@pytest.fixture
def var(frozen: Path, tmp_path: Path) -> Path:
    shutil.copytree(frozen, tmp_path / "var")
    return tmp_path / "var"


def look(config: Path) -> None:
    assert esep("close", "--config", config) == 0


def check(bundle: Path, ours: CalendarOfOurOwn | None = None) -> Check:
    (found,) = [check for check in verify_bundle(bundle, headers=ours.headers if ours else {}) if check.name == "public time"]
    return found


def test_esep_close_stamps_and_the_bundle_shows_it_and_what_was_frozen_stays(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, bundle = var / "esep.toml", var / "months" / "2026-10" / "v1"
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    with calendar() as ours:
        config.write_text(config.read_text(encoding="utf-8") + f'\n[public_time]\ncalendars = ["{ours.url}"]\n', encoding="utf-8")
        look(config)
        assert (bundle / "manifest.json.ots").exists()
        assert {path: path.read_bytes() for path in before} == before
        promised = check(bundle)
        assert promised.holds and promised.detail == "" and f"on the word of the calendar {ours.url}" in promised.on_word[0]
        ours.mine(900_000, AT)
        monkeypatch.setattr("pipeline.closing.stamping.ASK_AGAIN_S", 0)
        look(config)
        unknown = check(bundle)
        assert unknown.holds and "its header is not at hand (--headers)" in unknown.not_checked and not unknown.on_word
        shown = check(bundle, ours)
        assert shown.holds and "the manifest was there before Bitcoin block 900" in shown.detail and "by the headers given" in shown.detail
        everything = verify_bundle(bundle, headers=ours.headers)
        assert all(one.holds for one in everything), [one for one in everything if not one.holds]
    capsys.readouterr()
    assert esep("log", "check", "--config", config) == 0
    assert "it gives the heads of all 1 public time stamps" in capsys.readouterr().out.replace("\n", " ")
    (bundle / "manifest.json.ots").unlink()
    look(config)
    assert (bundle / "manifest.json.ots").exists(), "it is made anew from the log"


@pytest.mark.parametrize(
    ("forge", "named"),
    [
        (lambda proof: write_proof(Timestamp(b"\7" * 32, proof.attestations, proof.operations)), "it is of another manifest"),
        (lambda proof: write_proof(Timestamp(proof.message, [InBlock(900_000)])), "Bitcoin block 900000 does not have it"),
        (lambda proof: write_proof(proof)[:-1], "it ends too early"),
        (lambda proof: b"", "it ends too early"),
        (lambda proof: b"x" * (1 << 17), "more than"),
    ],
    ids=["another manifest's", "another block", "cut short", "empty", "huge"],
)
def test_a_forged_proof_of_public_time_is_caught(frozen: Path, tmp_path: Path, forge: Callable[[Timestamp], bytes], named: str) -> None:
    import hashlib

    bundle = tmp_path / "v1"
    shutil.copytree(frozen / "months" / "2026-10" / "v1", bundle)
    bundle.chmod(0o700)
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).digest()
    with calendar() as ours:
        stamp = Calendar(ours.url).stamp(digest)
        ours.mine(900_000, AT)
        (bundle / "manifest.json.ots").write_bytes(forge(stamp))
        found = check(bundle, ours)
    assert not found.holds and named in found.detail


def test_headers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "headers.csv"
    for text in (
        "",
        "x",
        "chain,height,hash,mediantime,header\nbitcoin,1,ab,1,zz\n",
        f"chain,height,hash,mediantime,header\nbitcoin,1,ab,1,{'00' * 80}\n",
    ):
        path.write_text(text)
        with pytest.raises(SettingsError, match="--headers wants a file"):
            load_headers(path)
    from tests.unit.chains.bitcoin.chains import GENESIS_HEADER

    path.write_text(f"chain,height,hash,mediantime,header\nbitcoin,0,ab,1,{GENESIS_HEADER.hex()}\n")
    assert load_headers(path)[0].time == 1_231_006_505


def test_stamps_are_events_of_their_own_kind() -> None:
    with calendar() as ours:
        proof = write_proof(Calendar(ours.url).stamp(b"\1" * 32))
    assert write_timestamp(read_proof(proof))
    event = Stamped(id="s", what="log", digest="ab" * 32, calendar="c", number=1, proof="x", by="schedule", reason="r", at=1)
    assert json.loads(encode(event).value)["type"] == "stamped"
