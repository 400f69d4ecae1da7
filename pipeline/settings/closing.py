"""Settings of closing a month: calendar, signing, filing, how answers are read, notices. Every default is the careful one.

Shapes and limits of single keys; what must be together is `closing_faults`.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from pipeline.model.address import host_of, is_this_machine, parse_address
from pipeline.model.message import message
from pipeline.model.months import Month

from .parts import FilePath, Section, Texts, as_tuple

_CONTENT_TYPE = re.compile(r"[\x20-\x7e]{1,200}")
Statuses = Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], BeforeValidator(as_tuple)]


def _days(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        date.fromisoformat(value)
    return values


def _month(value: str) -> str:
    return str(Month.parse(value))


Days = Annotated[Texts, AfterValidator(_days)]


class ClosingSettings(Section):
    """When a month is frozen, approved and filed. These settings do not change that the report is due by the 25th."""

    first_month: Annotated[str, AfterValidator(_month)] | None = Field(
        default=None,
        description="the first month that Esep files; without it nothing is frozen, signed or filed automatically; months before it never are",
    )
    most_apart_percent: int = Field(
        default=25, ge=0, le=10_000,
        description="percent of a month's allocations by which its transfers may differ from them before a person must let it go by name",
    )  # fmt: skip
    freezes_by_itself: bool = Field(default=True, description="whether a month is frozen as soon as it can close")
    file_day: int = Field(default=15, ge=1, le=24, description="day of the month after on which a month is filed")
    file_hour: int = Field(default=10, ge=0, le=23, description="hour of that day in Almaty")
    hold_hours: int = Field(
        default=24, ge=0, le=480, description="hours that a frozen month is held for review; never past the 24th for its sake"
    )
    approvals: int = Field(default=0, ge=0, le=2, description="how many named people must let a month go")
    approvers: Texts = Field(default=(), description="who they may be; anybody when empty")
    four_eyes: bool = Field(default=False, description="whether who froze a version can't approve it: another person does")
    escalate_days: Annotated[tuple[Annotated[int, Field(ge=0, le=24)], ...], BeforeValidator(as_tuple)] = Field(
        default=(10, 5, 2, 1), description="days before the 25th on which people are called while a month is not filed"
    )
    retry_s: int = Field(default=60, ge=1, le=3600, description="seconds before the first further attempt; doubled with each one")
    retry_max_s: int = Field(default=3600, ge=1, le=86_400, description="the most that becomes")
    look_every_minutes: int = Field(default=15, ge=1, le=1440, description="minutes between two checks of what is due")
    in_run: bool = Field(default=False, description="whether `esep run` closes months, too; else `esep schedule` or `esep close` does")
    days_off: Days = Field(default=(), description="days made free by decree, as 2026-05-11; information only")
    days_on: Days = Field(default=(), description="days made working days by decree; information only")


class SigningSettings(Section):
    """The key that signs a frozen month. It must name the pool's BIN."""

    way: Literal["none", "pkcs12", "ncanode"] = Field(default="none", description="none, pkcs12 (RSA and EC keys), ncanode (GOST keys)")
    pkcs12_file: FilePath | None = Field(default=None, description="the key's .p12 file; relative to this file")
    password_file: FilePath | None = Field(default=None, description="a file with nothing but its password; or ESEP_SIGNING_PASSWORD")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_SIGNING_PASSWORD or password_file")
    ncanode_url: str = Field(default="http://127.0.0.1:14579", description="NCANode 3; on this machine, or https")
    key_alias: str = Field(default="", description="the key's alias within the file, for ncanode")
    with_tsp: bool = Field(default=False, description="whether ncanode adds a time stamp")
    tsa_policy: Literal["TSA_GOST_POLICY", "TSA_GOSTGT_POLICY", "TSA_GOST2015_POLICY"] | None = Field(
        default=None, description="the time stamp's policy, for ncanode; its own choice when not given"
    )
    tsa_url: str = Field(default="", description="time stamp authority (RFC 3161), for pkcs12; no time stamp without it")
    timeout_s: int = Field(default=30, ge=1, le=600, description="seconds before a request to ncanode counts as failed")
    warn_days: int = Field(default=30, ge=1, le=365, description="days before the certificate expires from which notices are sent")


class PublicTimeSettings(Section):
    """Public time stamps by OpenTimestamps: only digests travel."""

    calendars: Texts = Field(
        default=(), description="addresses of calendars themselves, not of pools that pass on to them; no public time stamps without one"
    )
    log_every_hours: int = Field(
        default=24, ge=1, le=744, description="how often the log's head is stamped; each frozen month's manifest is once"
    )
    timeout_s: int = Field(default=30, ge=1, le=600, description="seconds before a request to a calendar counts as failed")


class FilingSettings(Section):
    """How a month is handed in. Nobody has published the interface: every name in it is a key here."""

    way: Literal["outbox", "http"] = Field(default="outbox", description="outbox (a folder, handed in by a person) or http")
    outbox: FilePath = Field(default=Path("outbox"), description="the folder, below var")
    url: str = Field(default="", description="where submissions go; {submission_id}, {month}, {version} are filled in")
    method: Literal["POST", "PUT"] = Field(default="POST", description="of a submission")
    status_url: str = Field(default="", description="where a submission's status is asked; without it a person must find out")
    status_method: Literal["GET", "POST"] = Field(default="GET", description="of that question")
    auth: Literal["none", "bearer", "basic", "api-key", "mtls"] = Field(default="none", description="how to log in")
    user: str = Field(default="", description="for basic")
    password_file: FilePath | None = Field(
        default=None, description="a file with nothing but the token, password or key; or ESEP_FILING_PASSWORD"
    )
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_FILING_PASSWORD or password_file")
    api_key_header: str = Field(default="X-API-Key", description="the header of an API key")
    client_cert_file: FilePath | None = Field(default=None, description="our certificate for mutual TLS, PEM")
    client_key_file: FilePath | None = Field(default=None, description="its key, PEM")
    ca_file: FilePath | None = Field(
        default=None, description="certificate of the filing service's authority, PEM; the system's authorities when not given"
    )
    id_header: str = Field(default="Idempotency-Key", description="header that carries the submission's id; empty for none")
    headers: dict[str, str] = Field(default_factory=dict, description="further headers, by name")
    fields: dict[str, str] = Field(
        default_factory=dict, description='the body by mapping: place in the JSON = "what"; "=word" is the word itself'
    )
    template_file: FilePath | None = Field(default=None, description="the body as a Jinja template instead")
    content_type: str = Field(default="application/json", description="of the body")
    envelope: Literal["none", "smartbridge"] = Field(default="none", description="smartbridge puts a SOAP envelope around the body")
    service_id: str = Field(default="", description="the envelope's serviceId")
    sender: str = Field(default="", description="the envelope's senderId")
    timeout_s: int = Field(default=60, ge=1, le=3600, description="seconds before a transmission counts as unanswered")
    most_sends: int = Field(
        default=5,
        ge=1,
        le=100,
        description="how often one submission is sent at most; then a person is called. Failed connections do not count",
    )


class AnswersSettings(Section):
    """Where an answer says what: dotted paths into its JSON or XML, and the words that stand there."""

    state: str = Field(default="status", description="path of the word that says what became of it")
    receipt: str = Field(default="receipt", description="path of the receipt")
    has_receipts: bool = Field(default=True, description="whether an acceptance brings a receipt; without it one is only a reception")
    message: str = Field(default="message", description="path of the message for people")
    rows: str = Field(default="rows", description="path of the rejected rows")
    row_number: str = Field(default="n", description="path of the number within a rejected row")
    row_message: str = Field(default="message", description="path of the reason within a rejected row")
    accepted: Texts = Field(default=("accepted",), description="words for accepted")
    received: Texts = Field(default=("received",), description="words for received, not judged yet")
    rejected: Texts = Field(default=("rejected",), description="words for rejected")
    duplicate: Texts = Field(default=("duplicate",), description="words for known already")
    missing: Texts = Field(default=("not-found",), description="words for not known: only such a word says that a submission never arrived")
    duplicate_statuses: Statuses = Field(default=(409,), description="HTTP statuses for known already")
    missing_statuses: Statuses = Field(
        default=(404,), description="HTTP statuses, besides 2xx, with which a word for not known counts; a status alone never does"
    )


class NoticesSettings(Section):
    """Who gets notices, by e-mail and by webhook."""

    smtp_host: str = Field(default="", description="the mail server; no e-mail without it")
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none only for a server on this machine")
    user: str = Field(default="", description="to log in with; none when empty")
    password_file: FilePath | None = Field(default=None, description="a file with nothing but its password; or ESEP_NOTICES_PASSWORD")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_NOTICES_PASSWORD or password_file")
    mail_from: str = Field(default="", description="the sender's address")
    mail_to: Texts = Field(default=(), description="the receivers' addresses")
    webhook_url: str = Field(default="", description="URL that gets each notice by POST, as JSON; none when empty")


def address_faults(place: str, url: str, *, carries_secret: bool) -> list[str]:
    """What is wrong with an address, as lines; none shows it."""
    try:
        parse_address(url, carries_secret=carries_secret)
    except ValueError as error:
        return [message("{place}: {error}", place=place, error=error)]
    return []


def _mail_server_faults(notices: NoticesSettings) -> list[str]:
    try:
        host = host_of(notices.smtp_host)
    except ValueError:
        return [message("notices.smtp_host: is no host: write its name or IP address, without a scheme or port")]
    if notices.smtp_security == "none" and not is_this_machine(host):
        return [message("notices.smtp_security: none is for a mail server on this machine, not {host}", host=host)]
    return []


def closing_faults(closing: ClosingSettings, signing: SigningSettings, filing: FilingSettings, notices: NoticesSettings) -> list[str]:
    """What must be together."""
    faults = []
    if closing.approvers and len(set(closing.approvers)) < closing.approvals:
        faults.append(message("closing.approvers: {approvals} approvals need as many different names", approvals=closing.approvals))
    faults += _signing_faults(signing)
    if filing.way == "http":
        faults += _http_faults(filing)
    if not _CONTENT_TYPE.fullmatch(filing.content_type):
        faults.append(message("filing.content_type: travels in a header: write one line of ASCII, like application/json"))
    if filing.fields and filing.template_file:
        faults.append(message("filing: has both fields and template_file: keep one way to make the body"))
    if notices.webhook_url:
        faults += address_faults("notices.webhook_url", notices.webhook_url, carries_secret=True)
    if notices.smtp_host:
        faults += _mail_server_faults(notices)
    if notices.smtp_host and not (notices.mail_from and notices.mail_to):
        faults.append(message("notices.mail_from, mail_to: are needed for e-mail"))
    return faults


def public_time_faults(public_time: PublicTimeSettings) -> list[str]:
    """What is wrong with the calendars."""
    faults = [fault for url in public_time.calendars for fault in address_faults("public_time.calendars", url, carries_secret=False)]
    if len(set(public_time.calendars)) < len(public_time.calendars):
        faults.append(message("public_time.calendars: one stands there twice"))
    return faults


def _signing_faults(signing: SigningSettings) -> list[str]:
    faults = []
    if signing.tsa_url:
        faults += address_faults("signing.tsa_url", signing.tsa_url, carries_secret=False)
    if signing.way == "ncanode":
        faults += address_faults("signing.ncanode_url", signing.ncanode_url, carries_secret=True)
        if signing.tsa_url:
            faults.append(message("signing.tsa_url: is for way = 'pkcs12'; for ncanode set with_tsp, and the address in NCANode itself"))
    if signing.way != "none" and signing.pkcs12_file is None:
        faults.append(message("signing.pkcs12_file: is needed for way = {way}", way=repr(signing.way)))
    return faults


def _http_faults(filing: FilingSettings) -> list[str]:
    faults = address_faults("filing.url", filing.url, carries_secret=True)
    if filing.status_url:
        faults += address_faults("filing.status_url", filing.status_url, carries_secret=True)
    if filing.auth in ("bearer", "basic", "api-key") and filing.password is None:
        faults.append(message("filing.password_file: is needed for auth = {auth}; or ESEP_FILING_PASSWORD", auth=repr(filing.auth)))
    if filing.auth == "mtls" and not (filing.client_cert_file and filing.client_key_file):
        faults.append(message("filing.client_cert_file, client_key_file: are needed for auth = 'mtls'"))
    if filing.envelope == "smartbridge" and not (filing.service_id and filing.sender):
        faults.append(message("filing.service_id, sender: are needed for envelope = 'smartbridge'"))
    return faults
