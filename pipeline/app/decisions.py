"""Records people's decisions in a pool's log: labels and waivers, from commands and from the settings.

Enters: the settings, the log and a clock. Leaves: events of topic `months`, durable when a call returns. Left out: whether the waived
issue exists (the store knows).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.assess.issue_names import waiver_facts
from pipeline.closing.decisions import Decisions, label_event, labels_of_settings, waive_event, waivers_of_settings
from pipeline.closing.diary import Diary
from pipeline.log.events import content_digest, encode
from pipeline.log.events.months import Documented
from pipeline.log.events.parts import Event
from pipeline.log.protocol import EventLog, append_shared
from pipeline.model.errors import DiskError, SettingsError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.plain import plain_name
from pipeline.model.reason import require_reason
from pipeline.model.rules import NEWEST_EDITION
from pipeline.model.system_words import system_words

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store import Store

    from .months import PoolMonths


def _no_check() -> None:
    """Let every decision through."""


class PoolDecisions:
    """One pool's labels and waivers."""

    def __init__(self, settings: Settings, log: EventLog, now: Callable[[], int], *, diary: Diary) -> None:
        self._settings = settings
        self._log = log
        self._now = now
        self._diary = diary

    def held(self) -> Decisions:
        """The labels and waivers in the log now."""
        self._diary.refresh()
        return self._diary.decisions

    def record_settings_labels(self) -> int:
        """Append the settings' labels that are not in the log yet; their number. For waivers see `record_settings_waivers`."""
        held = self.held()
        events = labels_of_settings([label for label in self._settings.labels if self._may_decide(label.by)], held, at=self._now())
        if events:
            append_shared(self._log, "months", self._settings.pool.key, events)
        return len(events)

    def record_settings_waivers(self, months: PoolMonths, store: Store, month: Month) -> int:
        """Append the settings' waivers of the month that are not in the log and whose issue exists in `store` by the newest rules; their number."""
        wanted = [waiver for waiver in self._settings.waivers if waiver.month == str(month) and self._may_decide(waiver.by)]
        held = self.held() if wanted else Decisions()
        wanted = [waiver for waiver in wanted if (waiver.month, waiver.code, waiver.ref) not in held.waivers]
        if not wanted:
            return 0
        _, assessed = months.assess(store, month, edition=NEWEST_EDITION)
        events = waivers_of_settings(wanted, assessed.enriched.issues.to_dicts(), held, at=self._now())
        if events:
            append_shared(self._log, "months", self._settings.pool.key, events)
        return len(events)

    def _may_decide(self, by: str) -> bool:
        """Whether a decision in this name can be signed here; what the settings say in another one's name waits for their key (ADR 14)."""
        deciders = self._diary.deciders()
        return deciders is None or by in deciders

    def label(
        self, *, chain: str, address: str, outflow_class: str, name: str, by: str, reason: str, check: Callable[[], None] = _no_check
    ) -> None:
        """Record whose address it is (rule 3). `check`: as of `append_shared`; what it raises is the refusal. Raises SettingsError for no name and no reason."""
        require_reason(reason, "esep label")
        if not name.strip() or not name.isprintable():
            raise SettingsError([message("--name: say whose address it is, in one line")], source="esep label")
        at = self._now()
        self._append(label_event(chain=chain, address=address, outflow_class=outflow_class, name=name, by=by, reason=reason, at=at), check)

    def waive(self, *, month: Month, issue: Mapping[str, Any], by: str, reason: str, check: Callable[[], None] = _no_check) -> None:
        """Waive one blocking issue of a month in a person's name (rule 8.1). `issue`: code, ref and facts, as assessed. `check`: as of `append_shared`. Raises SettingsError for no reason."""
        require_reason(reason, "esep waive")
        facts, at = waiver_facts(issue["facts"]), self._now()
        self._append(waive_event(month=str(month), code=issue["code"], ref=issue["ref"], facts=facts, by=by, reason=reason, at=at), check)

    def document(
        self, path: Path, *, about: Literal["label", "waiver", "transfer"], ref: str, month: Month | None, by: str, reason: str
    ) -> str:
        """Record that a decision, or an off-chain transfer, rests on a document; its SHA-256. Raises DiskError for a file that can't be read, SettingsError for no reason.

        `ref`: CHAIN:ADDRESS of a label, CODE:REF of a waiver of `month`, PAYER:REFERENCE:ADDRESS of a transfer.
        """
        require_reason(reason, "esep document")
        try:
            with path.open("rb") as content:
                digest, size = hashlib.file_digest(content, "sha256").hexdigest(), path.stat().st_size
        except OSError as error:
            raise DiskError(message("{path} can't be read: {why}", path=str(path), why=system_words(error) or str(error))) from error
        at = self._now()
        called = plain_name(path.name)
        name = f"document:{content_digest([about, str(month), ref, called, digest, by, at])[:40]}"
        self._append(
            Documented(
                id=name, about=about, month=None if month is None else str(month), ref=ref, name=called, digest=digest, size=size, by=by,
                reason=reason, at=at,
            )
        )  # fmt: skip
        return digest

    def _append(self, event: Event, check: Callable[[], None] = _no_check) -> None:
        append_shared(self._log, "months", self._settings.pool.key, [encode(event)], check)
