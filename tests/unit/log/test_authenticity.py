"""Who may write what at a place is read from the stream alone (ADR 14)."""

from __future__ import annotations

import pytest

from pipeline.log.events import encode
from pipeline.log.events.ledger import Complete
from pipeline.log.events.months import Answered, Approved
from pipeline.log.protocol import Record
from pipeline.log.signatures import event_digest, sign, unpack
from pipeline.model.errors import LogError

from .signing import (
    AIGUL,
    FILE,
    IMPORT,
    POOL,
    ROOT,
    STRANGER,
    WATCH,
    append,
    begun,
    granted,
    judged,
    key_of,
    keys,
    name_of,
    records,
    revoked,
    rooted,
    waived,
)

FORGED = Answered(
    id="answered:S1:1", month="2026-10", version=1, submission_id="S1", number=1, asked="status", outcome="accepted", receipt="FORGED",
    by="schedule", reason="it is said to be accepted", at=1_790_000_000,
)  # fmt: skip


def complete(n: int) -> Complete:
    return Complete(id=f"complete:{n}", through="2026-10-31")


def place(found: list[Record], value: bytes, id_: str, signature: bytes | None = None, at: int | None = None) -> list[Record]:
    """The records with a stranger's among them."""
    at = len(found) if at is None else at
    stranger = found[0]._replace(id=id_, value=value, signature=signature)
    return [record._replace(offset=n) for n, record in enumerate([*found[:at], stranger, *found[at:]])]


def test_what_stands_before_keys_counts_and_what_a_person_signed_counts():
    log = begun()
    append(log, "months", POOL, [waived(1), waived(2)], AIGUL, WATCH)
    assert judged(records(log)) == [(True, "")] * 8
    assert [record.signature is not None for record in records(log)] == [False, True, False, False, False, False, True, False]


def test_an_event_that_nobody_signed_counts_for_nothing_and_what_follows_counts():
    log = begun()
    append(log, "months", POOL, [waived(1)], AIGUL)
    forged = encode(FORGED)
    found = place(records(log), forged.value, forged.id, at=6)
    verdicts = judged(found)
    assert verdicts[6] == (False, "nobody signed it")
    assert verdicts[7] == (True, "")


def test_a_forger_within_an_append_breaks_nothing_of_it():
    log = begun()
    append(log, "months", POOL, [waived(1), waived(2), waived(3)], AIGUL)
    forged = encode(FORGED)
    verdicts = judged(place(records(log), forged.value, forged.id, at=7))
    assert [counts for counts, _ in verdicts[6:]] == [True, False, True, True]
    assert all(not fault for counts, fault in verdicts if counts)


def test_an_append_is_bound_to_its_topic_key_and_place():
    log = begun()
    append(log, "months", POOL, [waived(1)], AIGUL)
    found = records(log)
    elsewhere = [record._replace(key=f"{POOL}/other") for record in found]
    assert judged(elsewhere) == [(True, "")] * 7, "no root key is in force there: the stream is not signed, which is an issue of its own"
    again = judged([*found, found[-1]._replace(offset=len(found))])
    assert again[-1][0] is False
    assert "append 2, and append 2 was read before" in again[-1][1]


def test_an_event_changed_after_it_was_signed_counts_for_nothing():
    log = begun()
    append(log, "months", POOL, [waived(1), waived(2)], AIGUL)
    found = records(log)
    for n, fault in ((6, "it was changed after it was signed"), (7, "nobody signed it")):
        changed = found[:]
        changed[n] = found[n]._replace(value=found[n].value.replace(b"known", b"KNOWN"))
        verdicts = judged(changed)
        assert verdicts[n] == (False, fault)
        assert [counts for counts, _ in verdicts].count(False) == 1
    renamed = found[:]
    renamed[7] = found[7]._replace(id="waive:9")
    assert judged(renamed)[7] == (False, "nobody signed it")


def test_what_was_removed_is_told_by_what_follows_which_counts():
    log = begun()
    for n in range(1, 5):
        append(log, "months", POOL, [waived(n)], AIGUL)
    found = records(log)
    verdicts = judged([*found[:7], *found[9:]])
    assert verdicts[7] == (True, "what stood before it is missing: append 3 to 4")
    assert verdicts[:7] == [(True, "")] * 7
    without_its_start = judged([*found[:2], *found[3:]])
    assert without_its_start[2] == (True, "what stood before it is missing: 1 event(s) of append 1")


def test_what_was_put_out_of_order_is_told():
    log = begun()
    for n in range(1, 4):
        append(log, "months", POOL, [waived(n)], AIGUL)
    found = records(log)
    verdicts = judged([*found[:6], found[7], found[6], found[8]])
    assert verdicts[6] == (True, "what stood before it is missing: append 2")
    assert verdicts[7][0] is False
    assert verdicts[8] == (True, "")


def test_the_history_before_keys_is_vouched_for_by_the_root_key():
    found = records(begun())
    other = found[0]._replace(value=found[0].value.replace(b"known", b"other"))
    assert judged([other, *found[1:]])[1] == (True, "what stands before it is not what the root key's holder found there")
    assert judged(found[1:])[0][1] != ""


@pytest.mark.parametrize(
    ("event", "ring", "said"),
    [
        (waived(1), (WATCH,), r"'waive' is written by decide, and the key of 'esep watch' is for watch"),
        (waived(1), (FILE,), r"'waive' is written by decide"),
        (waived(1, "Somebody"), (AIGUL,), r"in the name of 'Somebody', and signed by the key of 'Aigul'"),
        (waived(1, "schedule"), (AIGUL,), r"in the name of 'schedule'"),
        (waived(1), (STRANGER,), r"none at hand is granted anything there"),
        (FORGED, (AIGUL,), r"in the name of 'schedule'"),
        (granted(STRANGER, "Stranger", "decide"), (AIGUL,), r"only the root key writes 'key-granted'"),
    ],
)
def test_no_key_at_hand_means_nothing_is_appended(event, ring, said: str):
    log = begun()
    before = records(log)
    with pytest.raises(LogError, match=said):
        append(log, "months", POOL, [event], *ring)
    assert records(log) == before


def signed_anyway(log, event, private) -> list[Record]:
    """What somebody appends who has a key and another program than ours."""
    stream = keys().begin("months", POOL)
    for record in records(log):
        stream.judge(record)
    new = encode(event)
    signature = sign(private, "months", POOL, stream.state.number + 1, stream.state.digest, [event_digest(new)])
    return place(records(log), new.value, new.id, signature.pack())


@pytest.mark.parametrize(
    ("event", "private", "said"),
    [
        (FORGED, STRANGER, "no key"),
        (FORGED, WATCH, "is for watch, not for decide or file"),
        (FORGED, AIGUL, "in the name of 'schedule', and signed by the key of 'Aigul'"),
        (waived(1), FILE, "'waive' is written by decide"),
        (waived(1, "Somebody"), AIGUL, "in the name of 'Somebody'"),
        (granted(STRANGER, "Stranger", "decide"), AIGUL, "written by the root key"),
        (revoked(AIGUL), FILE, "written by the root key"),
        (waived(1, "Root"), ROOT, "the root key writes keys alone"),
        (granted(ROOT, "Root", "decide"), ROOT, "the root key can't be granted a role"),
        (rooted(STRANGER), STRANGER, "no key"),
    ],
)
def test_a_key_says_nothing_beyond_its_roles_whatever_program_signs(event, private, said: str):
    counts, fault = judged(signed_anyway(begun(), event, private))[-1]
    assert not counts
    assert said in fault


def test_a_revoked_key_and_a_replaced_one_say_nothing_more_and_what_they_said_stays():
    newer = key_of(70)
    log = begun()
    append(log, "months", POOL, [waived(1)], AIGUL)
    append(log, "months", POOL, [granted(newer, "Aigul", "decide", replaces=AIGUL)], ROOT)
    with pytest.raises(LogError, match="no key may write"):
        append(log, "months", POOL, [waived(2)], AIGUL)
    append(log, "months", POOL, [waived(2)], newer)
    append(log, "months", POOL, [revoked(newer)], ROOT)
    with pytest.raises(LogError, match="no key may write"):
        append(log, "months", POOL, [waived(3)], newer)
    assert judged(records(log)) == [(True, "")] * 10
    for private in (AIGUL, newer):
        counts, fault = judged(signed_anyway(log, waived(3), private))[-1]
        assert not counts
        assert "was revoked by append" in fault


def test_a_key_that_would_use_up_the_numbers_is_refused():
    log = begun()
    new = encode(waived(1))
    signature = sign(AIGUL, "months", POOL, 2**64 - 1, bytes(32), [event_digest(new)])
    assert judged(place(records(log), new.value, new.id, signature.pack()))[-1] == (
        False,
        "it is append 18446744073709551615, and append 1 was the last one",
    )


def test_bytes_that_are_no_signature_are_refused():
    log = begun()
    for content in (b"", b"\x01", b"\x02" + bytes(200), bytes(137)):
        assert judged(place(records(log), encode(waived(1)).value, "waive:1", content))[-1][0] is False


def test_a_long_append_is_signed_in_parts_that_stay_small():
    log = begun("ledger")
    append(log, "ledger", POOL, [complete(n) for n in range(2501)], IMPORT)
    found = records(log, "ledger")
    assert judged(found) == [(True, "")] * len(found)
    sizes = [len(record.signature) for record in found[6:] if record.signature is not None]
    assert len(sizes) == 3
    assert max(sizes) < 33_000


def test_a_large_event_is_signed_alone():
    small, after = encode(complete(1)), encode(complete(2))
    big = encode(complete(3))._replace(value=encode(complete(3)).value + b" " * (1 << 20))
    stream = keys().begin("ledger", POOL)
    log = begun("ledger")
    for record in records(log, "ledger"):
        stream.judge(record)
    signed = keys(IMPORT).signed(stream, [small, big, after])
    assert [len(unpack(event.signature).digests) for event in signed if event.signature is not None] == [1, 1, 1]


def test_another_root_key_begins_anew_and_the_old_one_still_judges_its_own():
    newer = key_of(90)
    log = begun()
    append(log, "months", POOL, [waived(1)], AIGUL)
    log.keys = keys(newer, root=newer)
    log._streams.clear()
    with log.writer("months", POOL) as writer:
        writer.append([encode(rooted(newer)), encode(granted(AIGUL, "Aigul", "decide", n=1))])
    found = records(log)
    assert judged(found, newer) == [(True, "")] * len(found)
    assert [counts for counts, _ in judged(found)] == [True] * 7 + [False] * 2


def test_an_approval_is_signed_by_the_persons_own_key():
    approved = Approved(id="approved:2026-10:1:Aigul", month="2026-10", version=1, digest="0" * 64, by="Aigul", reason="compared", at=1)
    log = begun()
    append(log, "months", POOL, [approved], FILE, AIGUL)
    (found,) = records(log)[6:]
    assert found.signature is not None
    assert unpack(found.signature).signer.hex() == name_of(AIGUL)
