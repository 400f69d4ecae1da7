"""Makes a source's follower: the only module that knows which connector each kind of source has, and how its rows are read.

Enters: the settings, the opened log, a source's name. Leaves: a follower that looks at the source and appends what changed (ADR 22).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from pipeline.capture.fees import Fee
from pipeline.capture.follow_source import SourceFollower, SourcePlan
from pipeline.capture.kinds.miningcore import MiningcoreReading
from pipeline.capture.kinds.mpos import MposReading
from pipeline.capture.kinds.table import TableReading
from pipeline.capture.kinds.yiimp import YiimpReading
from pipeline.model.months import ALMATY
from pipeline.settings import Settings
from pipeline.settings.sources import (
    AnySource,
    DatabaseSettings,
    MiningcoreSettings,
    MposSettings,
    SelectSettings,
    SqlSettings,
    YiimpSettings,
    ledger_of,
    recorded,
)

if TYPE_CHECKING:
    from connectors.sources.sql_text import DatabaseAddress
    from pipeline.capture.projection import Reading
    from pipeline.capture.source import Source
    from pipeline.log.protocol import EventLog


def open_source(settings: Settings, log: EventLog, name: str, now_us: Callable[[], int]) -> SourceFollower:
    """The follower of a configured source. Raises SettingsError, LogError."""
    ours = settings.sources[name]
    return SourceFollower(log, settings.pool.key, _connector(name, ours), source_plan(settings, name), now_us)


def source_plan(settings: Settings, name: str) -> SourcePlan:
    """How a configured source is followed."""
    ours = settings.sources[name]
    since = datetime.combine(date.fromisoformat(ours.since), datetime.min.time(), ALMATY)
    return SourcePlan(
        name=name,
        kind=ours.kind,
        settings=recorded(ours),
        reading=_reading(settings, name, ours),
        retention_s=getattr(ours, "retention_s", None),
        since_us=int(since.timestamp()) * 1_000_000,
        settle_s=ours.settle_s,
        completes=ours.completes,
        others=[other for other in settings.sources if other != name],
    )


def _reading(settings: Settings, name: str, ours: AnySource) -> Reading:
    fees = [Fee(date.fromisoformat(fee.since), Fraction(fee.percent) / 100) for fee in ours.fees]
    decimals = {asset: described.decimals for asset, described in settings.assets.items()}
    match ours:
        case MiningcoreSettings():
            return MiningcoreReading(ours.pool_id, ours.asset, decimals[ours.asset], frozenset(ours.recipients), fees)
        case MposSettings():
            return MposReading(ours.coin, ours.asset, decimals[ours.asset], ours.confirmations, ours.account == "username")
        case YiimpSettings():
            return YiimpReading(ours.coin, ours.asset, decimals[ours.asset], fees)
    payer = ours.payer
    return TableReading(ledger_of(name, ours), decimals, fees, payer, payer is not None and settings.payers[payer].way == "off-chain")


def _connector(name: str, ours: AnySource) -> Source:
    # The drivers are imported where they work: most processes read no database.
    match ours:
        case MiningcoreSettings():
            from connectors.sources.postgres import MiningcoreSource

            return MiningcoreSource(_address(name, ours, 5432), ours.pool_id, lookback_s=ours.lookback_s, reconcile_s=ours.reconcile_s)
        case MposSettings():
            from connectors.sources.mysql import MposSource

            return MposSource(_address(name, ours, 3306), confirmations=ours.confirmations, lookback_s=ours.lookback_s)
        case YiimpSettings():
            from connectors.sources.mysql import YiimpSource

            return YiimpSource(_address(name, ours, 3306), ours.coin_id)
    return _sql(name, ours)


def _sql(name: str, ours: SqlSettings) -> Source:
    from connectors.sources.mysql import MysqlConnection
    from connectors.sources.postgres import PostgresConnection
    from connectors.sources.sql import Select, SqlSource

    def select(described: SelectSettings) -> Select:
        return Select(described.statement, described.cursor, described.cursor_is == "time", described.lookback)

    is_postgres = ours.engine == "postgresql"
    database = PostgresConnection(_address(name, ours, 5432)) if is_postgres else MysqlConnection(_address(name, ours, 3306))
    given = {"allocations": ours.allocations, "payments": ours.payments}
    return SqlSource(database, {table: select(described) for table, described in given.items() if described is not None})


def _address(name: str, ours: DatabaseSettings, port: int) -> DatabaseAddress:
    from connectors.sources.sql_text import DatabaseAddress

    ca_file = str(ours.ca_file) if ours.ca_file else None
    return DatabaseAddress(name, ours.host, ours.port or port, ours.database, ours.user, ours.password, ours.timeout_s, ours.tls, ca_file)
