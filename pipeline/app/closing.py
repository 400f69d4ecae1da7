"""Joins the closing of months: the app's months, the configured key, the configured way of filing, the channels of notices.

Enters: an `App`. Leaves: a `Closing` ready to advance, and one look that advances, watches frozen months and tells people.
Of the keys, ways and channels only those configured are loaded: every command waits for what is imported here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.closing.advance import Closing, Filing, Standing
from pipeline.closing.amend import CAUSES, MOST_ROWS, differences, mixed
from pipeline.closing.calendar import Plan, months_until, plan_of, points
from pipeline.closing.diary import Diary, Taken
from pipeline.closing.filing import AnswerMap, BodyMap, Envelope
from pipeline.closing.notices import Channel, deliver, notices_of, notices_of_key
from pipeline.enrich.month import enrich_month
from pipeline.log.events.months import Drafted, DraftedRow, Frozen
from pipeline.model.errors import MonthError, SettingsError
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Rules
from pipeline.signing.signer import Signer
from pipeline.verify.files import read_facts

from .app import App, allocated_months, report_digest

WATCHED_MONTHS = 3
"""How many of the newest frozen months are looked at for facts that changed."""
AHEAD_MONTHS = 3


@dataclass
class AppMonths:
    """`pipeline.closing.advance.Months` over the app's log, store and bundles."""

    app: App
    diary: Diary
    _unmet: dict[str, tuple[dict[str, int], list[str]]] = field(default_factory=dict)

    def known(self, now: int) -> list[Month]:
        """From the first month to file up to the one that runs."""
        first = self.first()
        today = almaty_date(now)
        return list(months_until(first, Month(today.year, today.month))) if first else []

    def first(self) -> Month | None:
        """The first month that is filed here: the settings', the first that was ever frozen, or the first with allocations."""
        if self.app.settings.closing.first_month:
            return Month.parse(self.app.settings.closing.first_month)
        self.diary.refresh()
        frozen = [life.month for life in self.diary.lives.values() if life.frozen]
        if frozen:
            return min(frozen, key=str)
        with self.app.current_store() as store:
            months = allocated_months(store.connection)
        return months[0] if months else None

    def unmet(self, month: Month) -> list[str]:
        """The conditions of rule 8.1 that do not hold; worked out anew only when the log has grown."""
        end = self.app.log.end()
        held = self._unmet.get(str(month))
        if held is None or held[0] != end:
            self.app.bring_settings_decisions()
            with self.app.current_store() as store:
                _, assessed = self.app.assess(store, month)
            held = end, [f"{condition.name}: {condition.detail}" for condition in assessed.unmet]
            self._unmet[str(month)] = held
        return held[1]

    def freeze(self, month: Month, *, now: int, by: str, reason: str) -> None:
        with self.app.current_store() as store:
            self.app.freeze(store, month, by=by, reason=reason, is_first=True)

    def read(self, month: Month, version: int, name: str) -> bytes:
        """A file of a bundle; a bundle that is missing is rebuilt from the log first."""
        return (self.folder(month, version) / name).read_bytes()

    def keep(self, month: Month, version: int, name: str, content: bytes) -> None:
        """Put a file beside a bundle's own; one that is there stays. Whole or not at all."""
        path = self.folder(month, version) / name
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o400)
        part.replace(path)

    def folder(self, month: Month, version: int) -> Path:
        """A bundle's folder; brought back when it is missing. Raises MonthError, VerifyError."""
        folder = self.app.folder_of(month, version)
        if folder.exists():
            return folder
        event = next((event for event in self.app.frozen(month) if event.version == version), None)
        if event is None:
            raise MonthError(f"{month} has no frozen version {version}")
        return self.app.bring_back(event)


class Desk:
    """Everything that closing needs, joined; one look after another."""

    def __init__(self, app: App) -> None:
        """Raises SettingsError for keys, certificates and templates that can't be used."""
        settings = app.settings
        self.app = app
        self.plan: Plan = plan_of(settings.closing, settings.signing)
        diary = Diary(app.log, app.pool)
        self.months = AppMonths(app, diary)
        self.filing = make_filing(app)
        self.signer = make_signer(app)
        self.closing = Closing(diary, app.pool, self.plan, self.months, self.filing, self.signer)
        self.channels = make_channels(app)
        self._watched: dict[str, int] | None = None
        self._retries: list[int] = []

    def look(self) -> list[Standing]:
        """Advance every month, watch the frozen ones, tell people; where the months stand."""
        now = self.app.now()
        standings = self.closing.advance(now)
        self.watch(standings)
        settings = self.app.settings
        notices = notices_of(standings, self.plan, now)
        notices += notices_of_key(self.signer, settings.pool.bin, now, warn_days=settings.signing.warn_days)
        deliver(self.closing.diary, self.channels, notices, now)
        self._retries = [standing.step.until for standing in standings if standing.step.until is not None]
        return standings

    def watch(self, standings: Iterable[Standing]) -> None:
        """Draft a further version of each newly frozen month whose report would come out different now (rule 8.3)."""
        end = {place: offset for place, offset in self.app.log.end().items() if not place.startswith("months/")}
        if end == self._watched:
            return
        for standing in [standing for standing in standings if standing.life.frozen][-WATCHED_MONTHS:]:
            self.draft(standing.month, by="schedule", reason="facts changed after the freeze")
        self._watched = end

    def draft(self, month: Month, *, by: str, reason: str) -> Drafted | None:
        """What a further version would change, logged once for what it would say; None when the report comes out the same."""
        frozen = self.app.frozen(month)
        if not frozen:
            raise MonthError(f"{month} is not frozen yet: there is nothing to amend")
        newest = frozen[-1]
        with self.app.current_store() as store:
            state, assessed = self.app.assess(store, month)
        digest = report_digest(assessed, self.app.rules)
        if digest == newest.digest:
            return None
        facts = read_facts(self.months.folder(month, newest.version) / "evidence" / "facts")
        rules = Rules.from_json(newest.rules)

        def report_with(classes: frozenset[str]) -> pl.DataFrame:
            in_force = self.app.rules if "rules" in classes else rules
            return enrich_month(mixed(facts, state.facts, classes), month, in_force).report

        was = report_with(frozenset())
        rows = differences(facts, state.facts, was, assessed.enriched.report, report_with, rules_changed=rules != self.app.rules)
        event = drafted(newest, digest, rows, by=by, reason=reason, at=self.app.now())
        self.closing.diary.refresh()
        try:
            self.closing.diary.append(event)
        except Taken:
            return event
        return event

    def wake_points(self) -> list[int]:
        """The calendar's instants of the months known and of the next ones, and those that steps wait for."""
        return self._retries + [
            point.at for month in self.calendar_months() for point in points(month, self.plan, frozen_at=self.frozen_at(month))
        ]

    def calendar_months(self) -> list[Month]:
        """The months that are not filed, the running one, and those after it: three at least."""
        now = self.app.now()
        self.closing.diary.refresh()
        today = almaty_date(now)
        month = Month(today.year, today.month)
        found = [m for m in self.months.known(now) if not self.closing.diary.life(m).is_filed]
        while len([m for m in found if m.end_at > now]) < AHEAD_MONTHS:
            found += [month] if month not in found else []
            month = month.next
        return found

    def frozen_at(self, month: Month) -> int | None:
        life = self.closing.diary.life(month)
        return life.frozen[life.version].at if life.frozen else None


def drafted(newest: Frozen, digest: str, rows: list[DraftedRow], *, by: str, reason: str, at: int) -> Drafted:
    """The event of a draft; the same content has the same id."""
    present = {row.cause for row in rows}
    return Drafted(
        id=f"drafted:{newest.month}:{newest.version + 1}:{digest[:32]}",
        month=newest.month,
        version=newest.version + 1,
        digest=digest,
        rows=rows[:MOST_ROWS],
        row_count=len(rows),
        causes=[cause for cause in CAUSES if cause in present],
        by=by,
        reason=reason,
        at=at,
    )


def make_signer(app: App) -> Signer | None:
    """The configured key. Raises SettingsError."""
    signing = app.settings.signing
    if signing.way == "none" or signing.pkcs12_file is None:
        return None
    password = signing.password.get_secret_value() if signing.password else None
    if signing.way == "pkcs12":
        from connectors.sign.pkcs12 import Pkcs12Signer
        from connectors.sign.timestamp import TimestampAuthority

        stamp = TimestampAuthority(signing.tsa_url, timeout_s=signing.timeout_s).stamp if signing.tsa_url else None
        return Pkcs12Signer(signing.pkcs12_file, password, app.settings.pool.bin, stamp=stamp)
    from connectors.sign.ncanode import NcanodeSigner

    return NcanodeSigner(
        signing.ncanode_url,
        signing.pkcs12_file,
        password,
        app.settings.pool.bin,
        key_alias=signing.key_alias or None,
        with_tsp=signing.with_tsp,
        tsa_policy=signing.tsa_policy,
        timeout_s=signing.timeout_s,
    )


def make_filing(app: App) -> Filing:
    """The configured way of filing. Raises SettingsError."""
    filing, answers = app.settings.filing, app.settings.answers
    template = None
    if filing.template_file is not None:
        try:
            template = filing.template_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"filing.template_file: {filing.template_file} can't be read: {error}"], source="filing") from None
    envelope = Envelope(filing.service_id, filing.sender) if filing.envelope == "smartbridge" else None
    body = BodyMap(filing.fields, template, filing.content_type, envelope)
    if filing.way == "outbox":
        from connectors.filing.outbox import Outbox

        return Outbox(filing.outbox, body)
    from connectors.filing.http import HttpFiling, HttpTarget

    target = HttpTarget(
        url=filing.url, method=filing.method, status_url=filing.status_url, status_method=filing.status_method, auth=filing.auth,
        user=filing.user, secret=filing.password.get_secret_value() if filing.password else "", api_key_header=filing.api_key_header,
        client_cert_file=filing.client_cert_file, client_key_file=filing.client_key_file, ca_file=filing.ca_file,
        id_header=filing.id_header, headers=filing.headers, timeout_s=float(filing.timeout_s),
    )  # fmt: skip
    return HttpFiling(target, body, AnswerMap(**answers.model_dump()))


def make_channels(app: App) -> list[Channel]:
    """The configured ways to people."""
    notices = app.settings.notices
    found: list[Channel] = []
    if notices.smtp_host:
        from connectors.notify.smtp import Mail

        password = notices.password.get_secret_value() if notices.password else ""
        found.append(
            Mail(
                notices.smtp_host, notices.smtp_port, security=notices.smtp_security, sender=notices.mail_from, receivers=notices.mail_to,
                user=notices.user, password=password,
            )
        )  # fmt: skip
    if notices.webhook_url:
        from connectors.notify.webhook import Webhook

        found.append(Webhook(notices.webhook_url))
    return found
