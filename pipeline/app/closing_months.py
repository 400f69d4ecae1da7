"""The pool's months for closing: implements `pipeline.closing.advance.Months` with the log, the stores and the bundles."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.closing.advance import signature_of
from pipeline.closing.calendar import months_until
from pipeline.closing.diary import Diary
from pipeline.closing.frozen_files import read_frozen
from pipeline.log.events import encode
from pipeline.log.events.months import Submitting
from pipeline.log.protocol import EventLog
from pipeline.model.durable import write_atomically
from pipeline.model.errors import FilingError, MonthError
from pipeline.model.message import message, text_of
from pipeline.model.months import Month, almaty_date
from pipeline.model.paths import path_within

from .beyond_log import told_beyond_log
from .unread_wallets import unread_wallets

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store import Store

    from .decisions import PoolDecisions
    from .months import PoolMonths
    from .stores import Stores

SHOWN_FAULTS = 5
"""Of events of the months that are not authentic."""


class ClosingMonths:
    """The months to close, their unmet conditions, and their bundles."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        now: Callable[[], int],
        *,
        diary: Diary,
        stores: Stores,
        decisions: PoolDecisions,
        months: PoolMonths,
    ) -> None:
        self._settings = settings
        self._log = log
        self._now = now
        self._diary = diary
        self._stores = stores
        self._decisions = decisions
        self._months = months
        self.progress: Callable[[str], None] = lambda _: None
        """Called with the name of each part of a bundle while a month is frozen."""
        self._unmet: dict[str, tuple[dict[str, int], list[str]]] = {}
        self._records = True

    @contextlib.contextmanager
    def recording_nothing(self) -> Iterator[None]:
        """Within it the settings' labels and waivers are not appended to the log: those that the log lacks don't count."""
        self._records = False
        try:
            yield
        finally:
            self._records = True

    def known(self, now: int) -> list[Month]:
        """From the first month to file up to the month that `now` is in."""
        today = almaty_date(now)
        return list(months_until(self.first(), Month(today.year, today.month)))

    def first(self) -> Month:
        """The first month to look at: `closing.first_month`.

        Without that setting: the first month that a person froze, else the month before the current one; these are shown, and nothing is done
        with them. The ledger's rows are not used: a mistyped year must not create months to file.
        """
        if self._settings.closing.first_month:
            return Month.parse(self._settings.closing.first_month)
        self._diary.refresh()
        frozen = [life.month for life in self._diary.lives.values() if life.frozen]
        if frozen:
            return min(frozen, key=str)
        today = almaty_date(self._now())
        return Month(today.year, today.month).previous

    def unmet(self, month: Month) -> list[str]:
        """The conditions of rule 8.1 that do not hold, and wallets that no chain was read for yet, as text; computed again only when the log has grown."""
        end = self._log.end()
        held = self._unmet.get(str(month))
        if held is None or held[0] != end:
            if self._records:
                self._decisions.record_settings_labels()
            with self._stores.current() as store:
                if self._records and self._decisions.record_settings_waivers(self._months, store, month):
                    self._stores.fill(store)
                _, assessed = self._months.assess(store, month)
                unread = self._unread_wallets(store)
            conditions = [message("{name}: {detail}", name=condition.name, detail=condition.detail) for condition in assessed.unmet]
            held = end, [*conditions, *unread]
            self._unmet[str(month)] = held
        return held[1]

    def review_reasons(self, month: Month, version: int) -> list[str]:
        """Why a frozen version is not filed without a person's name, by the facts as they are now: nothing is filed while they give another report."""
        from pipeline.closing.review import review_reasons

        with self._stores.current() as store:
            state, assessed = self._months.assess(store, month, is_whole=True)
            unread = self._unread_wallets(store)
        strange = [
            message("{place} is not authentic and counts for nothing: {fault}", place=place, fault=fault)
            for place, fault in self._diary.faults[:SHOWN_FAULTS]
        ]
        return strange + unread + review_reasons(state.facts, assessed.enriched, month, self._settings.closing.most_apart_percent)

    def _unread_wallets(self, store: Store) -> list[str]:
        from pipeline.store.queries import watched_wallets

        return unread_wallets(self._settings, watched_wallets(store.connection))

    def beyond_log(self, month: Month) -> str:
        """Why nothing may be done with the month, in words: its bundles show what the log does not have; "" where it has all."""
        return told_beyond_log(self._settings.months_path, self._diary, month)

    def freeze(self, month: Month, *, now: int, by: str, reason: str) -> None:
        """Freeze the month's first version; does nothing if it has one. Raises MonthError."""
        with self._stores.current() as store:
            self._months.freeze(store, month, by=by, reason=reason, is_first=True, progress=self.progress)

    def read(self, month: Month, version: int, name: str) -> bytes:
        """A file of a bundle; a bundle that is missing is rebuilt from the log first."""
        return self._path(month, version, name).read_bytes()

    def digest(self, month: Month, version: int, name: str) -> str:
        """SHA-256 of a file of a bundle, hex; a bundle that is missing is rebuilt first."""
        from pipeline.verify.files import digest_of

        return digest_of(self._path(month, version, name))

    def papers(self, submission: Submitting) -> dict[str, bytes]:
        """What goes with a submission that a person hands in: the printed form, the report, and the signatures there are; each as it was frozen.

        Raises FilingError for a file that is not, MonthError and VerifyError for a bundle that is missing and can't be rebuilt.
        """
        month, version = Month.parse(submission.month), submission.version
        self._diary.refresh()
        life = self._diary.life(month)
        frozen = life.frozen[version]
        marks = ["" if language == "kk" else f".{language}" for language in frozen.languages]
        names = ["report.json", *(f"report{mark}.{kind}" for mark in marks for kind in ("pdf", "xlsx"))]
        found = read_frozen(self, frozen, names, failure=FilingError)
        signed = life.signed.get(version)
        if signed is not None:
            found |= {f"{name}.p7s": signature_of(signed, name) for name in signed.signatures}
        return found

    def keep(self, month: Month, version: int, name: str, content: bytes) -> None:
        """Put a file beside a bundle's own, whole or not at all; one that is there stays. Raises MonthError for a name that is no file's within the bundle."""
        path = self._path(month, version, name)
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, content, mode=0o400)

    def keep_approvals(self, month: Month) -> None:
        """Lay each version's approvals by passkey beside its bundle, as the log has them (ADR 24): `esep verify` checks them there."""
        from pipeline.verify.shapes import APPROVALS

        life = self._diary.life(month)
        for version in life.approvals:
            said = self._diary.users.approvals_of(str(month), version)
            if said:
                self.renew(month, version, APPROVALS, b"".join(encode(event).value + b"\n" for event in said))

    def renew(self, month: Month, version: int, name: str, content: bytes) -> None:
        """Put a file beside a bundle's own in place of one that is there. Raises MonthError as `keep`."""
        path = self._path(month, version, name)
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content, mode=0o400)

    def _path(self, month: Month, version: int, name: str) -> Path:
        """Where a file of a bundle lies. Raises MonthError for a name that leads out of the bundle."""
        try:
            return path_within(self.folder(month, version), name)
        except ValueError as error:
            raise MonthError(
                message("{month} v{version}: nothing was read or written: {error}", month=month, version=version, error=text_of(error))
            ) from error

    def folder(self, month: Month, version: int) -> Path:
        """A bundle's folder; restored from the log if missing. Raises MonthError, VerifyError."""
        folder = self._months.folder_of(month, version)
        if folder.exists():
            return folder
        event = next((event for event in self._months.frozen(month) if event.version == version), None)
        if event is None:
            raise MonthError(message("{month} has no frozen version {version}", month=month, version=version))
        return self._months.restore(event)
