"""Makes the parts of closing that the settings name: the signer, the way of filing, the channels for notices.

Enters: the settings. Leaves: a `Signer`, a `Filing`, `Channel`s. Only what is configured is imported, so that commands start quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipeline.closing.filing import AnswerMap, BodyMap, Envelope
from pipeline.model.errors import SettingsError
from pipeline.model.message import message, text_of

if TYPE_CHECKING:
    from pipeline.closing.advance import Filing
    from pipeline.closing.diary import Diary
    from pipeline.closing.notices import Channel
    from pipeline.closing.stamping import Bundles, Stamping
    from pipeline.log.events.months import Submitting
    from pipeline.log.protocol import EventLog
    from pipeline.settings import Settings
    from pipeline.signing.signer import Signer


def open_signer(settings: Settings) -> Signer | None:
    """The configured signing key; None for `signing.way = "none"`. Raises SettingsError."""
    signing = settings.signing
    if signing.way == "none" or signing.pkcs12_file is None:
        return None
    password = signing.password.get_secret_value() if signing.password else None
    if signing.way == "pkcs12":
        from connectors.sign.pkcs12 import Pkcs12Signer
        from connectors.sign.timestamp import TimestampAuthority

        stamp = TimestampAuthority(signing.tsa_url, timeout_s=signing.timeout_s).stamp if signing.tsa_url else None
        return Pkcs12Signer(signing.pkcs12_file, password, settings.pool.bin, stamp=stamp)
    from connectors.sign.ncanode import NcanodeSigner

    return NcanodeSigner(
        signing.ncanode_url,
        signing.pkcs12_file,
        password,
        settings.pool.bin,
        key_alias=signing.key_alias or None,
        with_tsp=signing.with_tsp,
        tsa_policy=signing.tsa_policy,
        timeout_s=signing.timeout_s,
    )


def open_filing(settings: Settings, papers: Callable[[Submitting], Mapping[str, bytes]] = lambda _: {}) -> Filing:
    """The configured way of filing. `papers`: what an outbox holds beside a submission's body. Raises SettingsError."""
    filing, answers = settings.filing, settings.answers
    template = None
    if filing.template_file is not None:
        try:
            template = filing.template_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                [
                    message(
                        "filing.template_file: {template_file} can't be read: {error}",
                        template_file=filing.template_file,
                        error=text_of(error),
                    )
                ],
                source="filing",
            ) from None
    envelope = Envelope(filing.service_id, filing.sender) if filing.envelope == "smartbridge" else None
    body = BodyMap(filing.fields, template, filing.content_type, envelope)
    if filing.way == "outbox":
        from connectors.filing.outbox import Outbox

        return Outbox(filing.outbox, body, papers)
    from connectors.filing.http import HttpFiling, HttpTarget

    target = HttpTarget(
        url=filing.url, method=filing.method, status_url=filing.status_url, status_method=filing.status_method, auth=filing.auth,
        user=filing.user, secret=filing.password.get_secret_value() if filing.password else "", api_key_header=filing.api_key_header,
        client_cert_file=filing.client_cert_file, client_key_file=filing.client_key_file, ca_file=filing.ca_file,
        id_header=filing.id_header, headers=filing.headers, timeout_s=float(filing.timeout_s),
    )  # fmt: skip
    return HttpFiling(target, body, AnswerMap(**answers.model_dump()))


def open_channels(settings: Settings) -> list[Channel]:
    """The configured channels for notices: mail, webhook."""
    notices = settings.notices
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


def open_stamping(settings: Settings, log: EventLog, diary: Diary, bundles: Bundles) -> Stamping | None:
    """Public time, where calendars are configured. Raises SettingsError."""
    if not settings.public_time.calendars:
        return None
    from connectors.sign.calendar import Calendar
    from pipeline.closing.stamping import Stamping
    from pipeline.log.head import HeadReader

    calendars = [Calendar(url, timeout_s=settings.public_time.timeout_s) for url in settings.public_time.calendars]
    reader = HeadReader(log, settings.pool.key)
    return Stamping(diary, bundles, calendars, reader.head, log_every_s=settings.public_time.log_every_hours * 3600)
