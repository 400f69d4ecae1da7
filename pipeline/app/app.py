"""The composition root: makes one pool's parts from the settings. Only this room knows which connector implements which protocol.

`App` makes each part at its first use. The clock is the `now` it is given; no environment variable is read. Left out: what commands print
(`cli`), the long-running loops (`service`) and the recorded example (`demo`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.closing.diary import Diary
from pipeline.settings import Settings

from .decisions import PoolDecisions
from .imports import Imports
from .months import PoolMonths
from .open_connector import open_connector
from .open_keys import log_keys
from .open_log import open_log
from .people import People
from .pool_sources import PoolSources
from .statements import Statements
from .stores import Stores
from .wallets import PoolWallets

if TYPE_CHECKING:
    from pipeline.closing.notices import Channel
    from pipeline.follow.connector import ChainConnector
    from pipeline.log.protocol import EventLog

    from .desk import ClosingDesk, DeskParts


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
        """Delete the private store and close the log."""
        if "stores" in self.__dict__:
            self.stores.close()
        if "log" in self.__dict__:
            self.log.close()

    @cached_property
    def log(self) -> EventLog:
        """The log, opened at first use; an embedded one is created if missing, a cluster's topics are checked. Raises LogError."""
        return open_log(self.settings, pool=self.pool, keys=log_keys(self.settings))

    @cached_property
    def diary(self) -> Diary:
        """The pool's part of the topic `months`, folded once for all readers."""
        return Diary(self.log, self.pool)

    @cached_property
    def stores(self) -> Stores:
        """The DuckDB stores that months are read from."""
        return Stores(self.settings, self.log)

    @cached_property
    def decisions(self) -> PoolDecisions:
        """Labels and waivers."""
        return PoolDecisions(self.settings, self.log, self.now, diary=self.diary)

    @cached_property
    def people(self) -> People:
        """Who acts, by the keys at hand."""
        return People(self.log, self.pool, self.diary)

    @cached_property
    def wallets(self) -> PoolWallets:
        """Messages signed with the keys of the pool's addresses."""
        return PoolWallets(self.settings, self.log, self.stores, self.now)

    @cached_property
    def imports(self) -> Imports:
        """Ledger and registry files into the log."""
        return Imports(self.settings, self.rules, self.log, self.now)

    @cached_property
    def sources(self) -> PoolSources:
        """Databases and services that the ledger is read from."""
        return PoolSources(self.settings, self.log, self.now)

    @cached_property
    def months(self) -> PoolMonths:
        """Months: assessed, frozen, restored, replayed."""
        return PoolMonths(self.settings, self.rules, self.log, self.stores, self.now, diary=self.diary)

    @cached_property
    def statements(self) -> Statements:
        """Statements of months for miners."""
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
        return open_connector(self.settings, self.log, chain, rpc_url=rpc_url, cookie_file=cookie_file)
