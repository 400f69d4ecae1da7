"""Events of topic `months`: labels and waivers, freezes, and the steps by which a frozen month is approved, signed, filed, answered and corrected (ADR 5).

The ids of steps are made from the step, so that the same step can't be taken twice.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.log.events.parts import (
    ContentType,
    Count,
    Event,
    FrozenVersion,
    Hash,
    Height,
    Id,
    Language,
    MonthName,
    SubmissionId,
    Text,
    UnixSeconds,
)
from pipeline.log.events.users import Assertion
from pipeline.model.message import message

SignedFile = Literal["manifest.json", "report.json"]
Packed = Annotated[str, Meta(max_length=256 << 20, description="the exact bytes, gzip, base64")]


class Approved(Event, tag="approved", frozen=True, kw_only=True):
    """A person approved a frozen version for filing."""

    month: MonthName
    version: FrozenVersion
    digest: Annotated[Hash, Meta(description="of the report that was approved")]
    by: Text
    reason: Text
    at: UnixSeconds
    assertion: Annotated[
        Assertion | None, Meta(description="of a passkey of the person: its challenge is the SHA-256 of this event without it (ADR 24)")
    ] = None


class Signed(Event, tag="signed", frozen=True, kw_only=True):
    """A frozen version was signed, and each signature verified at once."""

    month: MonthName
    version: FrozenVersion
    signatures: Annotated[
        dict[SignedFile, Annotated[str, Meta(max_length=2 << 20)]],
        Meta(description="detached CMS signature (DER, base64) by the file it signs"),
    ]
    signer: Annotated[Text, Meta(description="the certificate's subject, RFC 4514")]
    certificate_digest: Annotated[Hash, Meta(description="SHA-256 of the certificate's DER")]
    not_after: Annotated[UnixSeconds, Meta(description="the certificate's end")]
    by: Text
    reason: Text
    at: UnixSeconds


class Submitting(Event, tag="submitting", frozen=True, kw_only=True):
    """A submission was prepared: its bytes and its id, recorded before anything is sent."""

    month: MonthName
    version: FrozenVersion
    attempt: Annotated[int, Meta(ge=1, le=2**31 - 1, description="counts the submissions of the month")]
    submission_id: SubmissionId
    amends: Annotated[SubmissionId | None, Meta(description="the submission that this one corrects")] = None
    amends_receipt: Annotated[
        Text | None, Meta(description="the receipt that the other side gave for that one, however it was handed in")
    ] = None
    target: Annotated[Text, Meta(description="where it goes: a folder, or an address without secrets")]
    content_type: ContentType
    body_gzip: Packed
    body_digest: Annotated[Hash, Meta(description="SHA-256 of the exact bytes")]
    by: Text
    reason: Text
    at: UnixSeconds


class Sending(Event, tag="sending", frozen=True, kw_only=True):
    """A transmission of a submission begins; its outcome is unknown until an `answered` event."""

    month: MonthName
    version: FrozenVersion
    submission_id: SubmissionId
    transmission: Annotated[int, Meta(ge=1, le=2**31 - 1, description="counts the transmissions of the submission")]
    target: Annotated[Text, Meta(description="where this transmission goes; empty: where the submission says")] = ""
    by: Text
    reason: Text
    at: UnixSeconds


class RejectedRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the report that the other side refused."""

    n: Annotated[Text, Meta(description="the row's number, as the answer gives it")]
    message: Text


Outcome = Literal["unreachable", "unknown", "refused", "missing", "duplicate", "placed", "received", "accepted", "rejected"]


class Answered(Event, tag="answered", frozen=True, kw_only=True):
    """What became known about a submission: an answer, a missing answer, or what a person found out."""

    month: MonthName
    version: FrozenVersion
    submission_id: SubmissionId
    number: Annotated[int, Meta(ge=1, le=2**31 - 1, description="counts the answers to the submission")]
    asked: Annotated[Literal["send", "status", "person"], Meta(description="what was answered: a transmission, a question, a person")]
    outcome: Outcome
    transmission: Annotated[
        Count | None,
        Meta(
            description="of a send: the one answered; else: how many had begun when the question was put. null: written before this was noted"
        ),
    ] = None
    receipt: Annotated[str, Meta(max_length=65_536)] | None = None
    message: Text = ""
    rows: list[RejectedRow] = msgspec.field(default_factory=list)
    http_status: int | None = None
    request: Annotated[
        str, Meta(max_length=1 << 20, description="what was sent: method, address, headers (secrets masked); the body is the submission's")
    ] = ""
    response: Annotated[
        str, Meta(max_length=1 << 20, description="status, headers and body, of a body at most 64 KiB; verbatim, but for our secrets")
    ] = ""
    by: Text
    reason: Text
    at: UnixSeconds


class DraftedRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row that a further version adds, removes or changes, and why."""

    change: Literal["added", "removed", "changed"]
    allocation_id: Id
    txid: Annotated[str, Meta(description="empty for an unsettled row")]
    cause: Annotated[
        str, Meta(description="reorganisation, chain, watch, ledger, registry, label, rules, or follows (from another row's change)")
    ]
    follows: Annotated[
        str, Meta(description="allocation and transaction of the row that this one follows from; empty when its own facts changed")
    ] = ""
    columns: Annotated[list[str], Meta(description="columns of the form that differ")] = []
    before: list[str] = []
    after: list[str] = []


class Drafted(Event, tag="drafted", frozen=True, kw_only=True):
    """Facts changed after a freeze: the rows that the next version would change (rule 8.3). A person decides whether to freeze it.

    A draft without rows and with the frozen version's digest means that the report equals the frozen one again; it cancels earlier drafts.
    """

    month: MonthName
    version: Annotated[int, Meta(ge=2, le=2**31 - 1, description="the version drafted")]
    digest: Annotated[Hash, Meta(description="SHA-256 that the canonical report would have")]
    rows: Annotated[list[DraftedRow], Meta(description="at most 1,000 of them")]
    row_count: Count
    causes: list[Text]
    by: Text
    reason: Text
    at: UnixSeconds


class AsFrozen(Event, tag="as-frozen", frozen=True, kw_only=True):
    """A person decided to file a frozen version although a draft of the next one exists. A later draft with other content needs a new decision."""

    month: MonthName
    version: FrozenVersion
    draft_digest: Annotated[Hash, Meta(description="of the report as the draft would have it, which the person decided not to wait for")]
    by: Text
    reason: Text
    at: UnixSeconds


class Notified(Event, tag="notified", frozen=True, kw_only=True):
    """A notice was delivered over one channel; it is not sent there again."""

    notice: Annotated[Text, Meta(description="id of the notice's subject, the same for every channel: `filed:2026-10:1`")]
    channel: Id
    subject: Text
    by: Text
    reason: Text
    at: UnixSeconds


class Stamped(Event, tag="stamped", frozen=True, kw_only=True):
    """A digest was handed to a calendar of OpenTimestamps, or its proof now leads to a Bitcoin block: of a frozen version's manifest, or of the log's head."""

    what: Literal["manifest", "log"]
    month: MonthName | None = None
    version: FrozenVersion | None = None
    digest: Annotated[
        Hash, Meta(description="what is stamped: SHA-256 of the manifest; of the log, one digest over the pool's events (`esep log check`)")
    ]
    events: Annotated[dict[str, Count], Meta(description="of the log: how many events of each `topic/key` the digest is over")] = (
        msgspec.field(default_factory=dict)
    )
    calendar: Annotated[Text, Meta(description="the calendar's address")]
    number: Annotated[int, Meta(ge=1, le=2**31 - 1, description="counts this digest's stamps of this calendar: the newest counts")]
    proof: Annotated[str, Meta(max_length=1 << 17, description="the .ots file, base64")]
    heights: Annotated[list[Height], Meta(description="blocks of Bitcoin that the proof leads to; empty: the calendar's promise")] = (
        msgspec.field(default_factory=list)
    )
    by: Text
    reason: Text
    at: UnixSeconds


ClosingEvent = Approved | Signed | Submitting | Sending | Answered | Drafted | AsFrozen | Notified | Stamped


class Labelled(Event, tag="label", frozen=True, kw_only=True):
    """A person named the owner of an address; the newest label of an address counts."""

    chain: Id
    address: Id
    outflow_class: Id
    name: Text
    by: Text
    reason: Text
    at: UnixSeconds


class Waived(Event, tag="waive", frozen=True, kw_only=True):
    """A person waived one blocking issue of one month (rule 8.1). The waiver lapses when the facts behind the issue change (rule 8.5)."""

    month: MonthName
    code: Id
    ref: Text
    facts: Annotated[
        list[str] | None, Meta(description="the ids and amounts that the issue rested on; absent: given before waivers recorded them")
    ] = None
    by: Text
    reason: Text
    at: UnixSeconds


class Documented(Event, tag="document", frozen=True, kw_only=True):
    """A document that a label, a waiver or an off-chain transfer rests on: a contract, the upstream's statement. The pool keeps the document; the log its digest."""

    about: Literal["label", "waiver", "transfer"]
    month: Annotated[MonthName | None, Meta(description="of a waiver")] = None
    ref: Annotated[
        Text,
        Meta(
            description="of a label CHAIN:ADDRESS; of a waiver CODE:REF, as the issue's; of a transfer PAYER:REFERENCE:ADDRESS (rule 9.8)"
        ),
    ]
    name: Annotated[Text, Meta(description="the file's name, without its folder")]
    digest: Annotated[Hash, Meta(description="SHA-256 of the file")]
    size: Annotated[int, Meta(ge=0, le=2**62, description="bytes")]
    by: Text
    reason: Text
    at: UnixSeconds


class WalletSigned(Event, tag="wallet-signed", frozen=True, kw_only=True):
    """The owner of a pool's address signed, with its key, that it is the pool's (ADR 15). The newest signature of an address counts."""

    chain: Text
    address: Text
    message: Annotated[Text, Meta(description="what was signed, word for word")]
    signature: Annotated[Text, Meta(description="base64 (BIP 137, BIP 322 simple); on account chains hex (EIP-191)")]
    by: Text
    at: UnixSeconds


class Frozen(Event, tag="frozen", frozen=True, kw_only=True):
    """A version of a month was frozen: everything needed to build its bytes again."""

    month: MonthName
    version: FrozenVersion
    digest: Annotated[Hash, Meta(description="SHA-256 of the canonical report")]
    positions: Annotated[dict[str, int], Meta(description="the log's positions that it is a function of")]
    newest: Annotated[
        dict[str, str],
        Meta(description="the newest event of each `topic/key` that it is a function of, by id: finds its place in a log that was copied"),
    ] = msgspec.field(default_factory=dict)
    edition: Annotated[int, Meta(ge=1, le=2**31 - 1, description="of the rules and of the bundle's format (rule 8.4)")] = 1
    rules: Annotated[dict[str, Any], Meta(description="the rules' parameters in force, their edition among them (`model.Rules`)")]
    header: Annotated[dict[str, Text], Meta(description="the form's header: the pool's BIN, name, …")]
    manifest_digest: Hash
    manifest_gzip: Annotated[
        Packed | None,
        Meta(
            description="the exact bytes of `manifest.json`, which is what is signed: a bundle that is rebuilt gets them back; null: frozen before events had them"
        ),
    ] = None
    previous_digest: Annotated[Hash | None, Meta(description="digest of the month before, if it was frozen")] = None
    languages: Annotated[list[Language], Meta(max_length=100, description="that the form was printed in")] = msgspec.field(
        default_factory=lambda: ["kk"]
    )
    layout: Annotated[int, Meta(ge=1, le=2**31 - 1, description="of the printed documents (ADR 26)")] = 1
    pdf_rows: Annotated[int, Meta(ge=0, le=2**31 - 1, description="the most rows that a PDF prints (`[report] pdf_rows`); 0: all")] = 0
    closing_debts: Annotated[dict[str, str] | None, Meta(description="what is owed to miners at the month's end, by asset, as printed")] = (
        None
    )
    closing_debts_digest: Annotated[
        Hash | None, Meta(description="SHA-256 of those debts, miner by miner: what the next month opens with")
    ] = None
    closing_line_digest: Annotated[
        Hash | None,
        Meta(
            description="SHA-256 of the unsettled allocations and unused credits at the month's end, one by one: what the next month's opening line has; null: frozen before bundles had that file"
        ),
    ] = None
    line_format: Annotated[int, Meta(ge=1, le=2**31 - 1, description="of that line, and of the opening line in the bundle (ADR 27)")] = 1
    begins_from_line: Annotated[
        bool,
        Meta(
            description="whether the bundle's allocations begin with the month, its opening line in place of those before it (ADR 27); false: it has all of them"
        ),
    ] = False
    closing_coins: Annotated[
        dict[str, Hash] | None, Meta(description="SHA-256 of the coins unspent after the month's last block, by chain (ADR 15)")
    ] = None
    root: Annotated[
        Hash | None, Meta(description="the root key under which the log was read (ADR 14); null: events were not authenticated")
    ] = None
    by: Text
    reason: Text
    at: UnixSeconds

    def __post_init__(self) -> None:
        """The edition in the event and the one among the parameters must agree."""
        if self.rules.get("edition", 1) != self.edition:
            raise ValueError(
                message(
                    "edition {edition}, but the rules in force are of edition {edition_2}",
                    edition=self.edition,
                    edition_2=self.rules.get("edition", 1),
                )
            )
