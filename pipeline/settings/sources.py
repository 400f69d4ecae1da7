"""The `[sources.NAME]` tables: databases and services that the ledger is read from (ADR 22). What they mean together is in `checks`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from pipeline.model.address import parse_address
from pipeline.model.message import message

from .parts import FilePath, Section, Texts, as_tuple


def _day(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(message("{value} is no day: write it like 2026-10-01", value=repr(value))) from None
    return value


def _identifier(value: str) -> str:
    if not value.replace("_", "a").isalnum() or value[:1].isdigit():
        raise ValueError(message("{value} is no column's name", value=repr(value)))
    return value


def _url(value: str) -> str:
    try:
        parse_address(value, carries_secret=True, default_port=443)
    except ValueError as error:
        raise ValueError(message("{error}; write it like https://api.example.com", error=error)) from None
    return value


Day = Annotated[str, AfterValidator(_day)]
Percent = Annotated[str, Field(pattern=r"^(\d{1,2})(\.\d{1,6})?$")]


class FeeSettings(Section):
    """The pool's rate of commission from a day on."""

    since: Day = Field(description="the first day, in Almaty")
    percent: Percent = Field(description="of the gross amount, as text: 1.5")


class SourceSettings(Section):
    """What every source has."""

    since: Day = Field(
        description="the first day (Almaty) of which this source is the ledger; earlier rows are passed over: they were imported"
    )
    poll_s: int = Field(default=60, ge=1, le=86_400, description="seconds between two looks")
    settle_s: int = Field(
        default=3600, ge=0, le=864_000, description="seconds after a month's end from which on a look shows that the month is complete"
    )
    completes: bool = Field(
        default=True, description="whether the source declares the ledger complete by itself; false leaves it to a person"
    )
    fees: Annotated[tuple[FeeSettings, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="the pool's commission by day, where the source does not keep it; what Miningcore, MPOS, SBI Crypto and OCEAN keep is compared with it",
    )


class DatabaseSettings(SourceSettings):
    """What every database has. The user needs SELECT on the tables, and nothing else."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255, description="the database server")
    port: int | None = Field(default=None, ge=1, le=65_535, description="its port; 5432 or 3306 when not given")
    database: str = Field(min_length=1, max_length=128, description="the database's name")
    user: str = Field(min_length=1, max_length=128, description="a user that can only read")
    password_file: FilePath | None = Field(default=None, description="a file with nothing but the user's password")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_SOURCES_NAME_PASSWORD or password_file")
    tls: Literal["off", "prefer", "verify"] = Field(
        default="prefer", description="off; prefer: TLS where the server offers it; verify: the server's certificate is checked"
    )
    ca_file: FilePath | None = Field(default=None, description="of verify: the authority's certificates; the system's when not given")
    timeout_s: int = Field(default=30, ge=1, le=3600, description="seconds before a statement counts as failed")


class MiningcoreSettings(DatabaseSettings):
    """Miningcore's PostgreSQL database."""

    kind: Literal["miningcore"] = Field(description="miningcore")
    pool_id: str = Field(min_length=1, max_length=64, description="the pool's id in Miningcore's settings")
    asset: str = Field(min_length=1, description="the asset that the pool pays, a name from assets.toml")
    recipients: Texts = Field(default=(), description="addresses of Miningcore's rewardRecipients: what they are credited is commission")
    lookback_s: int = Field(
        default=3600, ge=60, le=864_000, description="rows that came within so many seconds are read again, since ids commit out of order"
    )
    reconcile_s: int = Field(
        default=3600, ge=0, le=864_000, description="seconds between two comparisons of balances with the sums of their changes"
    )


class MposSettings(DatabaseSettings):
    """MPOS's MySQL or MariaDB database."""

    kind: Literal["mpos"] = Field(description="mpos")
    asset: str = Field(min_length=1, description="the asset that the pool pays, a name from assets.toml")
    coin: str = Field(pattern=r"^[A-Za-z0-9-]{1,20}$", description="names the coin in ids: mpos:COIN:ID")
    confirmations: int = Field(
        default=120, ge=1, le=100_000, description="MPOS's own $config['confirmations']: from how many on a credit is confirmed"
    )
    account: Literal["username", "id"] = Field(default="username", description="which of MPOS's names of an account the registry has")
    lookback_s: int = Field(
        default=3600, ge=60, le=864_000, description="rows that came within so many seconds are read again, since ids commit out of order"
    )
    fee_payer: str | None = Field(
        default=None, min_length=1, max_length=100,
        description="an off-chain payer, a name from payers, in whose name the costs of payouts (TXFee) are set off; none: each waits for a person",
    )  # fmt: skip


class YiimpSettings(DatabaseSettings):
    """yiimp's MySQL or MariaDB database. It deletes earnings within hours: look often."""

    kind: Literal["yiimp"] = Field(description="yiimp")
    asset: str = Field(min_length=1, description="the asset that the pool pays, a name from assets.toml")
    coin: str = Field(pattern=r"^[A-Za-z0-9-]{1,20}$", description="names the coin in ids: yiimp:COIN:ID")
    coin_id: int = Field(ge=1, description="the coin's id in yiimp's table coins")
    retention_s: int = Field(
        default=43_200, ge=60, le=8_640_000, description="for how many seconds yiimp keeps a cleared earning: 12 hours in its code"
    )


class SelectSettings(Section):
    """A SELECT of the pool's own, whose columns are named as the ledger's (docs/sources.md)."""

    statement: str = Field(
        min_length=6, max_length=20_000, description="the SELECT, without a semicolon and without ORDER BY or LIMIT at its end"
    )
    cursor: Annotated[str, AfterValidator(_identifier)] = Field(
        description="the column of the statement that grows with new and changed rows"
    )
    cursor_is: Literal["time", "number"] = Field(default="time", description="what the cursor is")
    lookback: int = Field(default=3600, ge=0, description="how far below the greatest cursor rows are read again: seconds, or numbers")


class RegistrySelectSettings(Section):
    """A SELECT of a table of the registry, read whole at every look; its column `row_id` names a row for ever (docs/sources.md)."""

    statement: str = Field(min_length=6, max_length=20_000, description="the SELECT, without a semicolon; with a column row_id")


class SqlSettings(DatabaseSettings):
    """Any PostgreSQL, MySQL or MariaDB database, by the pool's own statements: of the ledger, of the registry, or of both."""

    kind: Literal["sql"] = Field(description="sql")
    engine: Literal["postgresql", "mysql"] = Field(description="postgresql, or mysql (MariaDB, too)")
    allocations: SelectSettings | None = Field(default=None, description="the SELECT of allocations")
    payments: SelectSettings | None = Field(default=None, description="the SELECT of payments")
    miners: RegistrySelectSettings | None = Field(default=None, description="the SELECT of the registry's miners")
    licences: RegistrySelectSettings | None = Field(default=None, description="the SELECT of licences")
    accounts: RegistrySelectSettings | None = Field(default=None, description="the SELECT of accounts and who holds them")
    wallets: RegistrySelectSettings | None = Field(default=None, description="the SELECT of wallets, of miners or of accounts")
    payer: str | None = Field(
        default=None, min_length=1, max_length=100, description="who pays, where the rows do not say it: a name from payers"
    )
    retention_s: int | None = Field(default=None, ge=60, description="for how many seconds a row stays at least; none: for good")


class UpstreamSettings(SourceSettings):
    """What every upstream pool's API has. The upstream pays, so it is a payer, too (rule 10.1)."""

    asset: str = Field(min_length=1, description="the asset that the upstream pays, a name from assets.toml")
    payer: str = Field(min_length=1, max_length=100, description="who pays: a name from payers")
    poll_s: int = Field(default=900, ge=10, le=86_400, description="seconds between two looks")
    window_days: int = Field(
        default=40, ge=3, le=400, description="how many days back every look reads, whole: earnings are restated for days"
    )
    retention_s: int = Field(default=2_592_000, ge=86_400, description="for how many seconds the service keeps a row at least")
    pace_ms: int = Field(default=1000, ge=0, le=60_000, description="least milliseconds between two requests")
    timeout_s: int = Field(default=30, ge=1, le=3600, description="seconds for one whole request")
    earned_days_before: int = Field(
        default=0, ge=0, le=3, description="by how many days an earning's date is later than the day it was earned"
    )
    addresses: dict[str, str] = Field(
        default_factory=dict, description='the payout address of each sub-account, where the service does not tell it: name = "bc1…"'
    )


class _WithToken(UpstreamSettings):
    token_file: FilePath | None = Field(default=None, description="a file with nothing but the service's token")
    token: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_SOURCES_NAME_TOKEN or token_file")


class LuxorSettings(_WithToken):
    """Luxor's API, v2."""

    kind: Literal["luxor"] = Field(description="luxor")
    url: Annotated[str, AfterValidator(_url)] = Field(default="https://app.luxor.tech/api", description="the API's address")
    path: str = Field(default="/v2/pool/transactions", pattern=r"^/[A-Za-z0-9/_-]{1,100}$", description="of the transactions, below url")
    currency: str = Field(default="BTC", pattern=r"^[A-Z_]{2,12}$", description="the currency, as Luxor names it")
    subaccounts: Texts = Field(min_length=1, description="the sub-accounts, by name; they are the ledger's accounts")
    revenue: Texts = Field(default=("Miner Revenue",), description="categories of credits that are earnings")
    passed: Texts = Field(default=("Transaction Fee",), description="categories that are passed over")


class F2PoolSettings(_WithToken):
    """F2Pool's API, v2."""

    kind: Literal["f2pool"] = Field(description="f2pool")
    url: Annotated[str, AfterValidator(_url)] = Field(default="https://api.f2pool.com", description="the API's address")
    currency: str = Field(default="bitcoin", pattern=r"^[a-z-]{2,30}$", description="the currency, as F2Pool names it")
    subaccounts: Texts = Field(min_length=1, description="the mining users, by name; they are the ledger's accounts")
    day: Literal["mined", "settled", "created"] = Field(default="mined", description="which of a row's times is the day it was earned")


class SbiSettings(_WithToken):
    """SBI Crypto's API."""

    kind: Literal["sbi"] = Field(description="sbi")
    url: Annotated[str, AfterValidator(_url)] = Field(default="https://pool-api.sbicrypto.com", description="the API's address")
    secret_file: FilePath | None = Field(default=None, description="a file with nothing but the key's secret")
    secret: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_SOURCES_NAME_SECRET or secret_file")
    pools: Texts = Field(default=(), description="the virtual sub-accounts that are the pool's own: what they earn is commission")


class BraiinsSettings(_WithToken):
    """Braiins Pool's API: one account a token."""

    kind: Literal["braiins"] = Field(description="braiins")
    url: Annotated[str, AfterValidator(_url)] = Field(default="https://pool.braiins.com", description="the API's address")
    pace_ms: int = Field(default=5000, ge=0, le=60_000, description="least milliseconds between two requests")
    account: str = Field(min_length=1, max_length=200, description="the ledger's account that the token's account is")


class OceanSettings(UpstreamSettings):
    """OCEAN's API. It asks for no login."""

    kind: Literal["ocean"] = Field(description="ocean")
    url: Annotated[str, AfterValidator(_url)] = Field(default="https://api.ocean.xyz", description="the API's address")
    subaccounts: Texts = Field(min_length=1, description="the users, by name; they are the ledger's accounts")


class PushSettings(SourceSettings):
    """An API of ours that the pool's own software hands its ledger in by (docs/sources.md)."""

    kind: Literal["push"] = Field(description="push")
    listen: str = Field(
        default="127.0.0.1:8436", pattern=r"^(127(\.[0-9]{1,3}){3}|localhost|\[::1\]):[0-9]{1,5}$",
        description="HOST:PORT of this machine to serve it on; a proxy with TLS brings it elsewhere",
    )  # fmt: skip
    token_file: FilePath | None = Field(default=None, description="a file with nothing but the token that callers send")
    token: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_SOURCES_NAME_TOKEN or token_file")
    completes: Literal[False] = Field(default=False, description="always false: who hands the ledger in declares it complete")


AnySource = Annotated[
    MiningcoreSettings
    | MposSettings
    | YiimpSettings
    | SqlSettings
    | LuxorSettings
    | F2PoolSettings
    | SbiSettings
    | BraiinsSettings
    | OceanSettings
    | PushSettings,
    Field(discriminator="kind"),
]


def recorded(source: SourceSettings) -> dict[str, Any]:
    """The settings that the reading of rows depends on, as they are recorded in the log: neither addresses nor secrets."""
    passed = {
        "host",
        "port",
        "database",
        "user",
        "password_file",
        "password",
        "tls",
        "ca_file",
        "timeout_s",
        "poll_s",
        "kind",
        "url",
        "token_file",
        "listen",
        "secret_file",
        "pace_ms",
    }
    return source.model_dump(mode="json", exclude=passed)


def registry_tables(source: AnySource) -> list[str]:
    """The tables of the registry that a source keeps."""
    return [table for table in ("miners", "licences", "accounts", "wallets") if getattr(source, table, None) is not None]


def ledger_of(name: str, source: AnySource) -> str:
    """With which the ids of a source's allocations and payments begin."""
    match source:
        case MiningcoreSettings():
            return f"mc:{source.pool_id}:"
        case MposSettings():
            return f"mpos:{source.coin}:"
        case YiimpSettings():
            return f"yiimp:{source.coin}:"
    return f"{name}:"
