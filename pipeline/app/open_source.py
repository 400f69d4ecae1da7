"""Makes a source's follower: the only module that knows which connector each kind of source has, and how its rows are read.

Enters: the settings, the opened log, a source's name. Leaves: a follower that looks at the source and appends what changed (ADR 22).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import date, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.capture.addresses import AddressSpelling
from pipeline.capture.fees import Fee
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.kinds.miningcore import MiningcoreReading
from pipeline.capture.kinds.mpos import MposReading
from pipeline.capture.kinds.table import TableReading
from pipeline.capture.kinds.upstreams import BraiinsReading, F2PoolReading, LuxorReading, OceanReading, SbiReading, Upstream
from pipeline.capture.kinds.yiimp import YiimpReading
from pipeline.capture.registry_keeper import RegistryPlan
from pipeline.capture.source_state import SourcePlan
from pipeline.model.address import parse_address
from pipeline.model.durable import write_atomically
from pipeline.model.errors import SettingsError
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.model.months import ALMATY
from pipeline.settings import Settings
from pipeline.settings.sources import (
    AnySource,
    BraiinsSettings,
    DatabaseSettings,
    F2PoolSettings,
    LuxorSettings,
    MiningcoreSettings,
    MposSettings,
    OceanSettings,
    PushSettings,
    SbiSettings,
    SelectSettings,
    SqlSettings,
    UpstreamSettings,
    YiimpSettings,
    ledger_of,
    recorded,
    registry_tables,
)

if TYPE_CHECKING:
    from connectors.sources.sql_text import DatabaseAddress
    from pipeline.capture.projection import Reading
    from pipeline.capture.source import Source
    from pipeline.log.protocol import EventLog


_journal = Journal("esep")
AnyUpstream = LuxorSettings | F2PoolSettings | SbiSettings | BraiinsSettings | OceanSettings


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
        registry=_registry(settings, ours),
        checkpoint=FileKeeper(settings.var / "sources" / f"{name}.checkpoint"),
        addresses=_addresses(settings),
        program=version("esep"),
    )


class FileKeeper:
    """A checkpoint in a file below `var`: derived, and of use to nobody else. A disk that fails costs a slow start, and nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> bytes | None:
        """See `pipeline.capture.checkpoint.Keeps`."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def save(self, content: bytes) -> None:
        """See `pipeline.capture.checkpoint.Keeps`."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path, content)
        except OSError as error:
            _journal.warning("checkpoint-not-kept", path=str(self._path), error=str(error))


def _registry(settings: Settings, ours: AnySource) -> RegistryPlan | None:
    tables = registry_tables(ours)
    networks = {chain: settings.network_of(chain) for chain in settings.chains}
    return RegistryPlan(tables, date.fromisoformat(ours.since), networks) if tables else None


def _addresses(settings: Settings) -> AddressSpelling:
    networks = {name: settings.network_of(asset.chain) for name, asset in settings.assets.items() if asset.chain in settings.chains}
    return AddressSpelling(networks, frozenset(name for name, described in settings.payers.items() if described.way == "on-chain"))


def _reading(settings: Settings, name: str, ours: AnySource) -> Reading:
    fees = [Fee(date.fromisoformat(fee.since), Fraction(fee.percent) / 100) for fee in ours.fees]
    decimals = {asset: described.decimals for asset, described in settings.assets.items()}
    match ours:
        case MiningcoreSettings():
            return MiningcoreReading(ours.pool_id, ours.asset, decimals[ours.asset], frozenset(ours.recipients), fees)
        case MposSettings():
            return MposReading(
                ours.coin, ours.asset, decimals[ours.asset], ours.confirmations, ours.account == "username", ours.fee_payer, fees
            )
        case YiimpSettings():
            return YiimpReading(ours.coin, ours.asset, decimals[ours.asset], fees)
        case UpstreamSettings():
            return _upstream_reading(name, ours, decimals[ours.asset], fees)
    payer = ours.payer if isinstance(ours, SqlSettings) else None
    off_chain = frozenset(name for name, described in settings.payers.items() if described.way == "off-chain")
    return TableReading(ledger_of(name, ours), decimals, fees, payer, off_chain, tells_ahead=isinstance(ours, SqlSettings))


def _upstream_reading(name: str, ours: AnyUpstream, decimals: int, fees: Sequence[Fee]) -> Reading:
    common = Upstream(ledger_of(name, ours), ours.asset, decimals, ours.payer, fees, ours.earned_days_before, ours.addresses)
    shared = {each.name: getattr(common, each.name) for each in fields(common)}
    match ours:
        case LuxorSettings():
            return LuxorReading(**shared, revenue=ours.revenue, passed=ours.passed)
        case F2PoolSettings():
            return F2PoolReading(**shared, day=ours.day)
        case SbiSettings():
            return SbiReading(**shared, pools=ours.pools)
        case BraiinsSettings():
            return BraiinsReading(**shared, account=ours.account)
    return OceanReading(**shared)


def _upstream(name: str, ours: AnyUpstream) -> Source:
    from connectors.sources.http_api import HttpApi
    from connectors.sources.upstreams import BraiinsSource, F2PoolSource, LuxorSource, OceanSource, SbiSource

    token = getattr(ours, "token", None)
    said = token.get_secret_value() if token is not None else ""
    headers = {"luxor": {"authorization": said}, "f2pool": {"F2P-API-SECRET": said}, "braiins": {"Pool-Auth-Token": said}, "ocean": {}}
    if isinstance(ours, SbiSettings):
        headers["sbi"] = {"x-api-key": said, "x-api-secret": ours.secret.get_secret_value() if ours.secret else ""}
    address = parse_address(ours.url, carries_secret=True, default_port=443)
    api = HttpApi(name, address, headers[ours.kind], timeout_s=float(ours.timeout_s), pace_s=ours.pace_ms / 1000)
    since = date.fromisoformat(ours.since)
    match ours:
        case LuxorSettings():
            return LuxorSource(api, ours.currency, ours.subaccounts, path=ours.path, window_days=ours.window_days, since=since)
        case F2PoolSettings():
            return F2PoolSource(api, ours.currency, ours.subaccounts, window_days=ours.window_days, since=since)
        case SbiSettings():
            return SbiSource(api, window_days=ours.window_days, since=since)
        case BraiinsSettings():
            return BraiinsSource(api, window_days=ours.window_days, since=since)
    return OceanSource(api, ours.subaccounts, window_days=ours.window_days, since=since)


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
        case UpstreamSettings():
            return _upstream(name, ours)
        case PushSettings():
            # Nobody could put rows there: `PoolSources.pushed` makes it, with the rows that its API fills.
            fault = message("sources.{name}: is pushed: nothing can be looked at; esep run and esep capture serve its API", name=name)
            raise SettingsError([fault], source="esep capture")
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
    registry = {table: getattr(ours, table).statement for table in registry_tables(ours)}
    selects = {table: select(described) for table, described in given.items() if described is not None}
    return SqlSource(database, selects, registry, forgets=ours.retention_s is not None)


def _address(name: str, ours: DatabaseSettings, port: int) -> DatabaseAddress:
    from connectors.sources.sql_text import DatabaseAddress

    ca_file = str(ours.ca_file) if ours.ca_file else None
    return DatabaseAddress(name, ours.host, ours.port or port, ours.database, ours.user, ours.password, ours.timeout_s, ours.tls, ca_file)
