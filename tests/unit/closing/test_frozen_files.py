"""What is signed and filed is what was frozen: digests are compared before, and a difference stops with both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.calendar import Plan
from pipeline.closing.diary import Diary
from pipeline.closing.filing import AnswerMap, interpret
from pipeline.closing.frozen_files import read_frozen
from pipeline.log.events import decode
from pipeline.log.events.months import Sending, Signed, Submitting
from pipeline.model.errors import FilingError, SigningError
from pipeline.model.months import Month
from tests.simulation.closing_world import POOL, Bundles, FilingService, Key, make_closing

MONTH = Month(2026, 10)
AT = MONTH.end_at + 86_400


class Watched(Key):
    """Keeps what it was asked to sign."""

    def __init__(self) -> None:
        self.asked: list[dict[str, bytes]] = []

    def sign(self, files: dict[str, bytes], *, now: int):
        self.asked.append(files)
        return super().sign(files, now=now)


@pytest.fixture
def world() -> tuple[MemoryLog, Bundles, FilingService]:
    log = MemoryLog()
    bundles = Bundles(log, MONTH)
    bundles.freeze(MONTH, now=AT, by="A. Person", reason="r")
    return log, bundles, FilingService()


def kinds(log: MemoryLog) -> list[type]:
    return [type(decode(record.value)) for record in log.read({})]


def altered(bundles: Bundles, name: str) -> tuple[str, str]:
    """A file changed on the disk; the digests of before and after."""
    key = (str(MONTH), 1, name)
    before, after = bundles.files[key], bundles.files[key].replace(b"rows", b"sums").replace(b"month", b"Month")
    assert before != after
    bundles.files[key] = after
    return hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest()


def advance_to_the_end(closing) -> str:
    """Far past every hold: whatever can be done is done; the trouble that the month stands with."""
    for day in range(20):
        statuses = closing.advance(AT + 86_400 * day)
    return statuses[0].trouble


@pytest.mark.parametrize("name", ["report.json", "manifest.json"])
def test_a_file_altered_on_the_disk_is_not_signed_and_both_digests_are_said(
    world: tuple[MemoryLog, Bundles, FilingService], name: str
) -> None:
    log, bundles, side = world
    frozen, found = altered(bundles, name)
    closing = make_closing(log, Plan(has_signer=True), bundles, side)
    key = closing._signer = Watched()
    trouble = advance_to_the_end(closing)
    assert name in trouble and f"its SHA-256 is {found}, frozen was {frozen}" in trouble and "Nothing was signed" in trouble
    assert key.asked == [] and Signed not in kinds(log) and Submitting not in kinds(log) and side.books == {}


def test_a_report_altered_after_it_was_signed_is_not_sent(world: tuple[MemoryLog, Bundles, FilingService]) -> None:
    log, bundles, side = world
    closing = make_closing(log, Plan(has_signer=False), bundles, side)
    original = type(closing)._send
    digests: list[tuple[str, str]] = []

    def send(*given, **named):  # between the submission's event and its transmission
        if not digests:
            digests.append(altered(bundles, "report.json"))
        return original(closing, *given, **named)

    closing._send = send  # type: ignore[method-assign]
    trouble = advance_to_the_end(closing)
    ((frozen, found),) = digests
    assert f"its SHA-256 is {found}, frozen was {frozen}" in trouble
    assert Submitting in kinds(log) and Sending not in kinds(log) and side.books == {}


def test_every_file_of_the_bundle_is_compared_before_it_is_signed(world: tuple[MemoryLog, Bundles, FilingService]) -> None:
    log, bundles, _ = world
    event = Diary(log, POOL).frozen(MONTH)[0]
    assert read_frozen(bundles, event, ["report.json"], failure=FilingError).keys() == {"manifest.json", "report.json"}
    with pytest.raises(FilingError, match=r"report\.csv on the disk is not the one that was frozen: .* frozen was no digest"):
        bundles.files[str(MONTH), 1, "report.csv"] = b"x"
        read_frozen(bundles, event, ["report.csv"], failure=FilingError)


def manifests() -> list[tuple[bytes, str]]:
    return [
        (b"{}", "names no files"),
        (b"\xff", "names no files"),
        (json.dumps({"files": {"report.csv": "ab"}}).encode(), "report.csv on the disk"),
    ]


@pytest.mark.parametrize(("manifest", "said"), manifests())
def test_a_manifest_that_vouches_for_nothing_stops_too(world: tuple[MemoryLog, Bundles, FilingService], manifest: bytes, said: str) -> None:
    from msgspec.structs import replace

    log, bundles, _ = world
    event = replace(Diary(log, POOL).frozen(MONTH)[0], manifest_digest=hashlib.sha256(manifest).hexdigest())
    bundles.files[str(MONTH), 1, "manifest.json"] = manifest
    bundles.files[str(MONTH), 1, "report.csv"] = b"x"
    with pytest.raises(SigningError, match=said):
        read_frozen(bundles, event, [], failure=SigningError, whole=True)


# --- receipts -------------------------------------------------------------------------------------------------------


def as_json(value: object) -> bytes:
    return json.dumps({"status": "accepted", "receipt": value}).encode()


def as_xml(value: object) -> bytes:
    return f"<r><status>accepted</status><receipt>{json.dumps(value).strip(chr(34))}</receipt></r>".encode()


@pytest.mark.parametrize("write", [as_json, as_xml])
@pytest.mark.parametrize("value", [False, True, None, 0, "", " ", "false", "False", "null", "none", "-", "N/A", "0", [], {}, ["R"], 1.5])
def test_what_is_no_receipt_accepts_nothing(write: Callable[[object], bytes], value: object) -> None:
    if write is as_xml and value in ([], {}, ["R"], 1.5):
        pytest.skip("text, in XML")
    how = AnswerMap() if write is as_json else AnswerMap(state="r.status", receipt="r.receipt")
    told = interpret(how, asked="send", status=200, content=write(value))
    assert told.receipt is None and told.outcome == "received" and "no receipt came with it" in told.message


@pytest.mark.parametrize(("value", "receipt"), [("R-1", "R-1"), (17, "17"), (" R ", "R"), ("00", "00")])
def test_a_receipt_is_a_text_or_a_number(value: object, receipt: str) -> None:
    told = interpret(AnswerMap(), asked="send", status=200, content=as_json(value))
    assert (told.outcome, told.receipt) == ("accepted", receipt)
