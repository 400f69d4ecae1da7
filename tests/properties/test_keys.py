"""Keys of the log under random histories: writers in any order, rotations and revocations between them; and whatever a stranger does to what lies there (ADR 14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.log.events import encode
from pipeline.log.protocol import Record
from pipeline.log.signatures import public_of
from pipeline.model.errors import LogError
from pipeline.store.ingest import Ingest
from pipeline.store.queries import bad_events, streams
from tests.unit.log.signing import POOL, ROOT, STRANGER, append, begun, granted, key_of, keys, records, revoked, waived
from tests.unit.store.streams import Delivery, empty_store

PEOPLE = ("Aigul", "Berik", "Dana")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(PEOPLE), st.integers(1, 4)),
        st.tuples(st.just("rotate"), st.sampled_from(PEOPLE), st.just(0)),
        st.tuples(st.just("revoke"), st.sampled_from(PEOPLE), st.just(0)),
        st.tuples(st.just("grant"), st.sampled_from(PEOPLE), st.just(0)),
    ),
    max_size=14,
)


@dataclass
class History:
    """A stream that people wrote to, and what of it counts."""

    records: list[Record]
    owner: dict[str, str] = field(default_factory=dict)
    """Who wrote each waiver, by its id."""


def lived(drawn: list[tuple[str, str, int]]) -> History:
    """Carry the steps out, by the real writers; one that has no key in force is refused, and nothing of it is there."""
    log = begun()
    held: dict[str, Ed25519PrivateKey | None] = dict.fromkeys(PEOPLE)
    count, number, owner = 100, 0, {}
    for step, person, amount in drawn:
        now = held[person]
        if step in ("grant", "rotate") and (step == "grant") == (now is None):
            count += 1
            new = key_of(count)
            append(log, "months", POOL, [granted(new, person, "decide", replaces=now)], ROOT)
            held[person] = new
        elif step == "revoke" and now is not None:
            append(log, "months", POOL, [revoked(now)], ROOT)
            held[person] = None
        elif step == "write":
            events = [waived(1000 + number + n, person) for n in range(amount)]
            number += amount
            others = [private for private in held.values() if private is not None]
            try:
                append(log, "months", POOL, events, *(others or [STRANGER]))
            except LogError:
                assert now is None, "a person with a key in force may write"
            else:
                assert now is not None, "nobody writes in the name of somebody without a key"
                owner |= {event.id: person for event in events}
    return History(records(log), owner)


def told(found: list[Record], *, count: int = 10**9) -> tuple[set[str], list[tuple[str, str]], list[bytes]]:
    """What ingest makes of a stream in batches of `count`: the waivers that count, its issues, and the stream's state."""
    delivery = Delivery(("months",), count)
    delivery.keys = keys()
    delivery.records["months"] = [record._replace(offset=n) for n, record in enumerate(found)]
    with empty_store() as store:
        Ingest(delivery, store).catch_up()
        ids = {id_ for (id_,) in store.connection.execute("SELECT event_id FROM raw_waiver").fetchall()}
        states = [str(state).encode() for state in streams(store.connection)]
        return ids, [(issue.ref, issue.detail) for issue in bad_events(store.connection)], states


@settings(max_examples=30, deadline=None)
@given(drawn=steps, count=st.integers(1, 7))
def test_whoever_wrote_counts_in_batches_of_any_size(drawn, count: int):
    history = lived(drawn)
    ids, issues, state = told(history.records)
    assert ids == {"waive:0", *history.owner}
    assert issues == []
    assert told(history.records, count=count) == (ids, issues, state)


@settings(max_examples=60, deadline=None)
@given(drawn=steps, data=st.data())
def test_whatever_a_stranger_does_is_told_and_adds_nothing(drawn, data):
    """Forged, replayed, exchanged, changed, removed: what counts was signed by its owner, and something is told unless it was the very end that was cut."""
    history = lived([*drawn, ("grant", "Aigul", 0), ("write", "Aigul", 2)])
    found = list(history.records)
    deed = data.draw(st.sampled_from(["forge", "replay", "exchange", "change", "remove", "rename", "strip"]))
    at = data.draw(st.integers(2, len(found) - 1))
    other = data.draw(st.integers(2, len(found) - 1))
    match deed:
        case "forge":
            forged = encode(waived(9999))
            found.insert(at, found[at]._replace(id=forged.id, value=forged.value, signature=None))
        case "replay":
            found.insert(max(at, other) + 1, found[min(at, other)])
        case "exchange":
            found[at], found[other] = found[other], found[at]
        case "change":
            found[at] = found[at]._replace(
                value=found[at].value.replace(b"known", b"forged").replace(b"hired", b"fired").replace(b"left", b"gone")
            )
        case "remove":
            del found[at]
        case "rename":
            found[at] = found[at]._replace(id="waive:9999")
        case "strip":
            found[at] = found[at]._replace(signature=None)
    ids, issues, _ = told(found)
    assert ids <= {"waive:0", *history.owner}
    is_untouched = found == history.records
    is_cut_short = found == history.records[: len(found)]
    assert bool(issues) != (is_untouched or is_cut_short)
    assert told(found, count=1)[:2] == (ids, issues)


@settings(max_examples=30, deadline=None)
@given(drawn=steps, bit=st.integers(0, 10**9))
def test_no_bit_of_a_signature_can_be_changed(drawn, bit: int):
    history = lived([*drawn, ("grant", "Aigul", 0), ("write", "Aigul", 1)])
    signed = [n for n, record in enumerate(history.records) if record.signature is not None]
    at = signed[bit % len(signed)]
    content = bytearray(history.records[at].signature or b"")
    place = bit // len(signed) % (8 * len(content))
    content[place // 8] ^= 1 << place % 8
    found = list(history.records)
    found[at] = found[at]._replace(signature=bytes(content))
    ids, issues, _ = told(found)
    assert ids <= {"waive:0", *history.owner}
    assert issues


def test_the_strangers_key_is_nobodys():
    assert public_of(STRANGER) not in {public_of(key_of(number)) for number in range(100, 200)}
