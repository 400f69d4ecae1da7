"""The composition root: makes one pool's parts from the settings. Only this room knows which connector implements which protocol.

`App` makes each part at its first use, and imports it then. The clock is the `now` it is given; no environment variable is read. Left out: what commands print
(`cli`), the long-running loops (`service`) and the recorded example (`demo`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.closing.diary import Diary
    from pipeline.closing.notices import Channel
    from pipeline.follow.connector import ChainConnector
    from pipeline.log.protocol import EventLog
    from pipeline.settings import Settings

    from .audit_log import AuditLog
    from .books import Books
    from .decisions import PoolDecisions
    from .deeds import Deeds
    from .desk import ClosingDesk, DeskParts
    from .imports import Imports
    from .kept import Kept
    from .months import PoolMonths
    from .people import People
    from .pool_sources import PoolSources
    from .statements import Statements
    from .stores import Stores
    from .tasks import Tasks
    from .wallets import PoolWallets


class App:
    """One pool's Esep. Use as a context manager."""

    def __init__(self, settings: Settings, now: Callable[[], int], *, log: EventLog | None = None) -> None:
        """`now`: the clock, Unix seconds. `log`: used instead of the one in the settings."""
        self.settings = settings
        self.now = now
        self.rules = settings.rules()
        self.pool = settings.pool.key
        if log is not None:
            self.log = log

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the books, delete the private store and close the log."""
        if "tasks" in self.__dict__:
            self.tasks.close()
        if "books" in self.__dict__:
            self.books.close()
        if "stores" in self.__dict__:
            self.stores.close()
        if "log" in self.__dict__:
            self.log.close()

    @cached_property
    def log(self) -> EventLog:
        """The log, opened at first use; an embedded one is created if missing, a cluster's topics are checked. Raises LogError."""
        from .open_keys import log_keys
        from .open_log import open_log

        return open_log(self.settings, pool=self.pool, keys=log_keys(self.settings))

    @cached_property
    def diary(self) -> Diary:
        """The pool's part of the topic `months`, folded once for all readers."""
        from pipeline.closing.diary import Diary

        return Diary(self.log, self.pool)

    @cached_property
    def audit(self) -> AuditLog:
        """Who signed in to the console, and who saw what."""
        from .audit_log import AuditLog

        return AuditLog(self.log, self.pool, self.now)

    @cached_property
    def stores(self) -> Stores:
        """The DuckDB stores that months are read from."""
        from .stores import Stores

        return Stores(self.settings, self.log)

    @cached_property
    def decisions(self) -> PoolDecisions:
        """Labels and waivers."""
        from .decisions import PoolDecisions

        return PoolDecisions(self.settings, self.log, self.now, diary=self.diary)

    @cached_property
    def people(self) -> People:
        """Who acts, by the keys at hand."""
        from .people import People

        return People(self.log, self.pool, self.diary)

    @cached_property
    def wallets(self) -> PoolWallets:
        """Messages signed with the keys of the pool's addresses."""
        from .wallets import PoolWallets

        return PoolWallets(self.settings, self.log, self.stores, self.now)

    @cached_property
    def imports(self) -> Imports:
        """Ledger and registry files into the log."""
        from .imports import Imports

        return Imports(self.settings, self.rules, self.log, self.now, kept=self.kept)

    @cached_property
    def sources(self) -> PoolSources:
        """Databases and services that the ledger is read from."""
        from .pool_sources import PoolSources

        return PoolSources(self.settings, self.log, self.now)

    @cached_property
    def months(self) -> PoolMonths:
        """Months: assessed, frozen, restored, replayed."""
        from .months import PoolMonths

        return PoolMonths(self.settings, self.rules, self.log, self.stores, self.now, diary=self.diary)

    @cached_property
    def kept(self) -> Kept:
        """What looks at months came to, until something that they rest on changes."""
        from .kept import Kept

        return Kept(self.settings.var / "kept", self.settings.keys.root)

    @cached_property
    def books(self) -> Books:
        """The months' books: what pages and `esep explain` read."""
        from .books import Books

        return Books(self.settings, self.rules, self.stores, self.months)

    @cached_property
    def deeds(self) -> Deeds:
        """Who did what, by the log."""
        from .deeds import Deeds

        return Deeds(self.log, self.pool)

    @cached_property
    def tasks(self) -> Tasks:
        """Long work that a console follows, one at a time."""
        from .tasks import Tasks

        return Tasks(self.now)

    @cached_property
    def statements(self) -> Statements:
        """Statements of months for miners."""
        from .statements import Statements

        return Statements(self.settings, self.rules, self.stores, self.months, self.now)

    @cached_property
    def desk(self) -> ClosingDesk:
        """The closing desk. Raises SettingsError for keys, certificates and templates that can't be used."""
        from .desk import ClosingDesk

        return ClosingDesk(self.desk_parts())

    def desk_parts(self) -> DeskParts:
        """The parts of the closing desk, made from the settings. Raises SettingsError as `desk`."""
        from .closing_months import ClosingMonths
        from .desk import DeskParts
        from .drafts import Drafts
        from .open_closing import open_channels, open_filing, open_signer, open_stamping

        diary = self.diary
        bundles = ClosingMonths(
            self.settings, self.log, self.now, diary=diary, stores=self.stores, decisions=self.decisions, months=self.months
        )  # fmt: skip
        drafts = Drafts(self.rules, self.log, self.now, diary=diary, stores=self.stores, months=self.months, bundles=bundles)
        return DeskParts(
            settings=self.settings, now=self.now, diary=diary, months=bundles, drafts=drafts,
            filing=open_filing(self.settings, bundles.papers), signer=open_signer(self.settings), channels=open_channels(self.settings), stamping=open_stamping(self.settings, self.log, diary, bundles),
        )  # fmt: skip

    def channels(self) -> list[Channel]:
        """The configured channels for notices. Raises SettingsError."""
        from .open_closing import open_channels

        return open_channels(self.settings)

    def connector(self, chain: str, *, rpc_url: str | None = None, cookie_file: Path | None = None) -> ChainConnector:
        """The connector of a configured chain; `rpc_url` and `cookie_file` instead of the settings'. Raises SettingsError, LogError."""
        from .open_connector import open_connector

        return open_connector(self.settings, self.log, chain, rpc_url=rpc_url, cookie_file=cookie_file)
