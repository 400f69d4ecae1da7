"""The settings as frozen objects: every key of `esep.toml`, with its unit, limits and default.

Shapes and limits of single keys only; what keys must be together is in `checks.py`. Paths are still as written: `load.py`
makes them absolute. The descriptions here are the reference: `docs/settings.md` is printed from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr

from pipeline.chains.bitcoin.networks import NETWORKS
from pipeline.chains.evm.address import canonical, has_wrong_checksum, is_account_address
from pipeline.chains.networks import OURS, AnyNetwork, Networks
from pipeline.chains.rewards import RewardFacts
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import message
from pipeline.model.miner_id import miner_id_fault
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Payer, Rules

from .closing import AnswersSettings, ClosingSettings, FilingSettings, NoticesSettings, PublicTimeSettings, SigningSettings
from .console import ConsoleSettings
from .files import LedgerColumns, LedgerFiles, RegistryColumns, RegistryFiles
from .inbox import InboxSettings
from .kafka import KafkaLogSettings
from .keys import KeysSettings
from .nodes import NodeSettings, Urls, secret_headers
from .parts import Explorer, FilePath, Section, Texts, as_tuple
from .sources import AnySource

RESERVED_CLASSES = ("data", "internal", "change", "payout", "unknown", "reward", "fee", "network-share")
"""Classes that the rules give (rule 3): no label may carry one."""

LANGUAGES = ("kk", "ru", "en")


def _month(value: str) -> str:
    return str(Month.parse(value))


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError) as error:  # no such zone; the name of a folder of zones; a path that leaves them
        raise ValueError(message("{value} is no time zone: write it like Asia/Almaty", value=repr(value))) from error
    return value


def _contract(value: str) -> str:
    if not is_account_address(value):
        raise ValueError(message("{value} is not a contract's address: 0x and 40 hexadecimal digits", value=repr(value)))
    if has_wrong_checksum(value):
        raise ValueError(message("{value} has a wrong checksum (EIP-55): copy it anew, it may have been mistyped", value=repr(value)))
    return canonical(value)


def _label_class(value: str) -> str:
    if value in RESERVED_CLASSES:
        raise ValueError(message("{value} is a class that the rules give themselves: name what the address is, like vendor or exchange", value=repr(value)))  # fmt: skip
    return value


def _blocking_code(value: str) -> str:
    codes = [code.value for code in IssueCode if code.severity is Severity.BLOCKING]
    if value not in codes:
        raise ValueError(message("{value} is no blocking issue: use one of {codes}", value=repr(value), codes=", ".join(codes)))
    return value


def _bin(value: str) -> str:
    if fault := miner_id_fault(value):
        raise ValueError(message("{fault}: look it up in the pool's registration", fault=fault))
    return value


Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
ClassName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$"), AfterValidator(_label_class)]
Reason = Annotated[str, Field(min_length=3, max_length=1000)]
PayerName = Annotated[str, Field(min_length=1, max_length=100)]
Person = Annotated[str, Field(min_length=1, max_length=200)]


class PoolSettings(Section):
    """Whose month it is: the form's header (rule 7.6) and the name of the pool in the log."""

    key: Slug = Field(description="names the pool in the log: a-z, 0-9 and -, at most 40 characters; never change it")
    bin: Annotated[str, AfterValidator(_bin)] = Field(description="the pool's IIN/BIN: 12 digits, as text")
    name: str = Field(min_length=1, max_length=300, description="the pool's name")
    address: str = Field(default="", max_length=300, description="the pool's address")
    telephone: str = Field(default="", max_length=100, description="the pool's telephone")
    email: str = Field(default="", max_length=200, description="the pool's e-mail address")
    executor_name: str = Field(default="", max_length=200, description="who prepared the form: full name")
    executor_telephone: str = Field(default="", max_length=100, description="who prepared the form: telephone")
    head_name: str = Field(default="", max_length=200, description="the head, or who acts as head: full name")


class StoreSettings(Section):
    """The DuckDB store, derived from the log, and the copy that analysts read."""

    path: FilePath = Field(default=Path("store.duckdb"), description="the live store, below var")
    published: FilePath = Field(default=Path("published.duckdb"), description="the read-only copy for analysts, below var")
    publish_every_s: int = Field(default=60, ge=1, le=86_400, description="at most one copy in so many seconds")
    published_mode: str = Field(default="0640", pattern=r"^0[0-7]{3}$", description="the copy's file mode, octal, as text")


class WalletSettings(Section):
    """One wallet of the pool. Every address it ever paid from, received on or took change on belongs here."""

    name: Slug = Field(description="names the wallet in balances and issues")
    addresses: Texts = Field(default=(), description="addresses, as the node prints them")
    addresses_file: FilePath | None = Field(default=None, description="a text file with one address a line; # begins a comment")
    descriptors: Texts = Field(default=(), description="public output descriptors")
    descriptor_range: int = Field(default=1000, ge=1, le=1_000_000, description="ranged descriptors are watched at indexes 0 to this - 1")


class ChainSettings(Section):
    """One chain and the node that tells about it."""

    network: str = Field(
        description=f"one of {', '.join(NETWORKS)}; or evm:CHAIN_ID for an EVM chain, such as evm:1 for Ethereum, evm:61 for Ethereum Classic; or one of your own (`networks`)"
    )
    asset: str = Field(description="the chain's own asset, a name from assets.toml")
    rpc_url: Urls = Field(
        description="the node's JSON-RPC address, without user and password; or a list of the addresses of several nodes with one login"
    )
    nodes: Annotated[tuple[NodeSettings, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=8, description="further nodes, each with a login of its own"
    )
    witnesses: int | None = Field(
        default=None,
        ge=1,
        le=2,
        description="how many nodes have to say the same of a block before a month closes on it; 2 where there are several nodes",
    )
    witness_wait_s: int = Field(
        default=21_600,
        ge=0,
        le=2_592_000,
        description="seconds without a second node after which a month may close on one, by a person's waiver",
    )
    cookie_file: FilePath | None = Field(default=None, description="the node's cookie file; instead of user and password")
    user: str | None = Field(default=None, description="the node's rpcuser; also ESEP_CHAINS_NAME_USER")
    password_file: FilePath | None = Field(default=None, description="a file with nothing but the node's rpcpassword")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_CHAINS_NAME_PASSWORD or password_file")
    bearer_file: FilePath | None = Field(default=None, description="EVM: a file with nothing but the token of `Authorization: Bearer`")
    bearer: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_CHAINS_NAME_BEARER or bearer_file")
    header_name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9-]{1,100}$", description="EVM: a further header that the node asks for, such as X-API-Key"
    )
    header_file: FilePath | None = Field(default=None, description="EVM: a file with nothing but that header's value")
    header: SecretStr | None = Field(default=None, exclude=True, description="only from ESEP_CHAINS_NAME_HEADER or header_file")
    internal_calls: Literal["auto", "trace_block", "debug_trace", "ignore"] = Field(
        default="auto",
        description="EVM: how calls inside transactions are seen; auto takes what the node offers, ignore accepts not to see them, and the manifest says so",
    )
    block_reward: Literal["network", "none", "ecip1017"] = Field(
        default="network",
        description="EVM: the reward of a block that a pool wallet mined: by the network's schedule, if it has one; none, not to count it; ecip1017, by Ethereum Classic's",
    )
    calls_a_request: int = Field(default=100, ge=1, le=1000, description="EVM: the most calls in one request; fewer where it takes fewer")
    blocks_a_step: int | None = Field(default=None, ge=1, le=5000, description="blocks read at once; not given: the connector's choice")
    rest: Literal["auto", "on", "off"] = Field(default="auto", description="whether to use the node's REST interface: auto, on, off")
    strategy: Literal["auto", "scanblocks-rest", "rest", "scanblocks-rpc", "rpc-raw", "rpc-verbose", "own-outputs", "txindex"] = Field(
        default="auto", description="how blocks are read; auto takes the fastest that the node offers, and all give the same events"
    )
    finality: int = Field(default=6, ge=1, le=100_000, description="confirmations before a month closes on a block (rule 8.1)")
    start_height: int = Field(default=0, ge=0, description="the first block read: before the first output a pool wallet ever had")
    first_used_height: int | None = Field(
        default=None,
        ge=0,
        description="no pool wallet was paid below it, to your knowledge: lets reading begin late without knowing older outputs",
    )
    gap: int | None = Field(
        default=None, ge=1, description="unused indexes kept ahead in a ranged descriptor; a fifth of its range when not given"
    )
    merged_mining_proofs: bool = Field(
        default=False,
        description="dogecoin: keep merged mining's proof with each header, so that bundles show the chain's work: about 1 kB a block in the log and in each bundle",
    )
    explorer: Explorer | None = Field(
        default=None,
        description="a block explorer's page of a transaction, for links: https://… with {txid} in it. Nothing is fetched from it",
    )
    headers_from_checkpoint: bool | None = Field(
        default=None,
        description="lay the headers since the network's checkpoint beside each bundle, so that its chain is tied to it (ADR 4): 80 bytes a block, with merged mining about 1 kB. When not given: wherever there is no merged mining",
    )
    compact_filters: bool = Field(default=False, description="lay the month's compact block filters beside each bundle (ADR 19)")
    auditor_descriptors: bool = Field(
        default=False,
        description="lay the wallets' descriptors beside each bundle, for its auditor: they reveal addresses to come, and are in nothing that is filed",
    )
    timeout_s: int = Field(default=30, ge=1, le=3600, description="seconds before a request to the node counts as failed")
    poll_s: int = Field(default=5, ge=1, le=3600, description="seconds between looks at the tip when the node doesn't wake us")
    wallets: Annotated[tuple[WalletSettings, ...], BeforeValidator(as_tuple)] = Field(default=(), description="the pool's wallets")

    def needed_witnesses(self) -> int:
        """How many nodes have to say the same of a final block (ADR 20)."""
        return self.witnesses or min(2, len(self.rpc_url) + len(self.nodes))

    def secret_headers(self) -> dict[str, str]:
        """The headers that log in: for the connector alone, never to be printed."""
        return secret_headers(self.bearer, self.header_name, self.header)


class LedgerSettings(Section):
    """The pool's ledger: what it credited and what it believes it paid."""

    payments: bool = Field(default=True, description="whether the ledger lists payments; false turns rule 5.4 off")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        default="Asia/Almaty", description="zone of instants in the files that name none"
    )
    ignored: Texts = Field(default=(), description="headings of columns to pass over; any other heading that is not known refuses the file")
    columns: LedgerColumns = Field(default_factory=LedgerColumns, description="headings, by kind of file")
    files: LedgerFiles = Field(default_factory=LedgerFiles, description="how the files are written, by kind of file")


class RegistrySettings(Section):
    """The registry of miners, licences, accounts and wallets."""

    ignored: Texts = Field(default=(), description="headings of columns to pass over; any other heading that is not known refuses the file")
    columns: RegistryColumns = Field(default_factory=RegistryColumns, description="headings, by kind of file")
    files: RegistryFiles = Field(default_factory=RegistryFiles, description="how the files are written, by kind of file")


class ReportSettings(Section):
    """How a frozen month is printed."""

    languages: Annotated[tuple[Literal["kk", "ru", "en"], ...], BeforeValidator(as_tuple)] = Field(
        default=("kk",), min_length=1, description="kk, ru, en: the languages that a frozen month is printed in; kk is the form itself"
    )
    pdf_rows: int = Field(
        default=100_000, ge=1_000, le=2**31 - 1, description="beyond so many rows the PDF has head, totals and signatures, and names the files of the rows"
    )  # fmt: skip
    whole_ledger: bool = Field(default=False, description="bundles carry all allocations, not only the month's and its opening line")


class MetricsSettings(Section):
    """What a running process tells Prometheus and a supervisor: `/metrics`, `/healthz`, `/readyz` over HTTP."""

    listen: str = Field(
        default="",
        pattern=r"^$|^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$",
        description="HOST:PORT to serve them on; empty serves nothing. Each process needs a port of its own: --listen says it for one",
    )
    stalled_after_s: int = Field(default=900, ge=10, le=86_400, description="/healthz fails when a loop gave no heartbeat for so long")
    ready_lag_events: int = Field(default=1000, ge=0, description="/readyz fails when the store is more events behind the log")
    ready_lag_blocks: int = Field(default=3, ge=0, description="/readyz fails when the log is more blocks behind a node")


class AssetSettings(Section):
    """An asset that is allocated and paid."""

    chain: Slug = Field(description="the chain that carries it")
    decimals: int = Field(ge=0, le=38, description="decimals between the printed unit and the base unit")
    contract: Annotated[str, AfterValidator(_contract)] | None = Field(
        default=None, description="a token's contract on an EVM chain; tokens are known by it alone, never by their symbol"
    )
    wrapped: bool = Field(
        default=False,
        description="the token is the chain's own coin, wrapped (WETH9): its contract's `Deposit` and `Withdrawal` logs are a mint and a burn",
    )
    supply: int | None = Field(
        default=None, ge=1, lt=10**38, description="the most that ever exists, whole coins: an import of more is refused"
    )


class PayerSettings(Section):
    """Somebody other than the pool who pays its miners: a bigger pool, a custodian, an exchange (rule 10.1)."""

    way: Literal["on-chain", "off-chain"] = Field(
        description="on-chain: its own transactions carry the payouts, named by their txids; off-chain: its reference alone says that it paid"
    )
    chain: Slug | None = Field(default=None, description="of an on-chain payer: the chain that its transactions are on")


class LabelSettings(Section):
    """Whose address it is, when it is neither the pool's nor a miner's (rule 3)."""

    address: str = Field(min_length=1, description="the address")
    chain: Slug = Field(default="bitcoin", description="the chain it is on")
    outflow_class: ClassName = Field(alias="class", description="what it is: vendor, exchange, … but none that the rules give")
    name: str = Field(min_length=1, max_length=200, description="whose it is")
    reason: Reason = Field(description="why you know")
    by: Person = Field(default="esep.toml", description="who says so")


class WaiverSettings(Section):
    """One blocking issue of one month that a person takes upon themselves (rule 8.1)."""

    month: Annotated[str, AfterValidator(_month)] = Field(description="the month: 2026-10")
    code: Annotated[str, AfterValidator(_blocking_code)] = Field(description="the issue's code")
    ref: str = Field(min_length=1, description="the issue's ref, as `esep issues` prints it")
    reason: Reason = Field(description="why the month may close all the same")
    by: Person = Field(default="esep.toml", description="who says so")


class Settings(Section):
    """The whole of `esep.toml`."""

    var: FilePath = Field(default=Path("var"), description="folder of everything Esep writes; relative to this file")
    log: str = Field(
        default="sqlite:log.sqlite",
        pattern=r"^(sqlite:.+|kafka://.+)$",
        description="the log: sqlite:FILE, the file relative to var, or kafka://HOST:PORT,HOST:PORT/PREFIX. All else is rebuilt from it",
    )
    kafka: KafkaLogSettings = Field(default_factory=KafkaLogSettings, description="a log on Apache Kafka")
    keys: KeysSettings = Field(default_factory=KeysSettings, description="who may write to the log")
    pool: PoolSettings = Field(description="whose month it is")
    store: StoreSettings = Field(default_factory=StoreSettings, description="the DuckDB store")
    chains: dict[Slug, ChainSettings] = Field(min_length=1, description="the chains, by the name that registry and log know them by")
    ledger: LedgerSettings = Field(default_factory=LedgerSettings, description="the pool's ledger")
    registry: RegistrySettings = Field(default_factory=RegistrySettings, description="the registry")
    inbox: InboxSettings = Field(default_factory=InboxSettings, description="a folder from which files are imported as they arrive")
    report: ReportSettings = Field(default_factory=ReportSettings, description="the printed month")
    console: ConsoleSettings = Field(default_factory=ConsoleSettings, description="pages in a browser")
    metrics: MetricsSettings = Field(default_factory=MetricsSettings, description="metrics and health over HTTP")
    closing: ClosingSettings = Field(default_factory=ClosingSettings, description="when a month is frozen and filed")
    signing: SigningSettings = Field(default_factory=SigningSettings, description="the key that signs")
    filing: FilingSettings = Field(default_factory=FilingSettings, description="how a month is handed in")
    public_time: PublicTimeSettings = Field(default_factory=PublicTimeSettings, description="public time stamps")
    answers: AnswersSettings = Field(default_factory=AnswersSettings, description="how the filing service's answers are read")
    notices: NoticesSettings = Field(default_factory=NoticesSettings, description="who gets notices")
    networks: FilePath | None = Field(
        default=None,
        description="a file of networks of your own, laid over those that Esep knows (docs/networks.md); relative to this file",
    )
    assets: dict[str, AssetSettings] = Field(default_factory=dict, description="assets beyond those in assets.toml, by name")
    payout_unit: dict[str, Annotated[int, Field(ge=1, lt=10**38)]] = Field(
        default_factory=dict, description="base units that payouts are rounded to (rule 5.3), by asset; 1 for assets not named"
    )
    payers: dict[PayerName, PayerSettings] = Field(
        default_factory=dict, description="who else pays the miners, by the name that the ledger's column `payer` has (rule 10.1)"
    )
    sources: dict[Slug, AnySource] = Field(
        default_factory=dict, description="databases and services that the ledger is read from, by a name of yours"
    )
    labels: Annotated[tuple[LabelSettings, ...], BeforeValidator(as_tuple)] = Field(default=(), description="whose address it is")
    waivers: Annotated[tuple[WaiverSettings, ...], BeforeValidator(as_tuple)] = Field(default=(), description="issues waived by name")

    _known_networks: Networks = PrivateAttr(default=OURS)

    @property
    def known_networks(self) -> Networks:
        """Every network that may be named: ours, and those of the file `networks`."""
        return self._known_networks

    def block_reward_of(self, chain: str) -> RewardFacts | None:
        """What a block of the chain creates; None where that is not known or not to be counted."""
        match self.chains[chain].block_reward:
            case "none":
                return None
            case "ecip1017":
                return OURS.of("evm:61").facts.reward
        return self.network_of(chain).facts.reward

    def with_networks(self, known: Networks) -> Settings:
        """The same settings, with other networks to be named."""
        settings = self.model_copy()
        settings._known_networks = known
        return settings

    def network_of(self, chain: str) -> AnyNetwork:
        """The network of a configured chain."""
        return self.known_networks.of(self.chains[chain].network)

    @property
    def log_path(self) -> Path:
        """The SQLite file of an embedded log."""
        return self.var / self.log.removeprefix("sqlite:")

    @property
    def months_path(self) -> Path:
        """The folder of frozen months."""
        return self.var / "months"

    def rules(self) -> Rules:
        """The rules' parameters in force."""
        return Rules(
            assets={name: Asset(name, asset.chain, asset.decimals, asset.contract) for name, asset in self.assets.items()},
            finality={name: chain.finality for name, chain in self.chains.items()},
            payout_unit={name: self.payout_unit.get(name, 1) for name in self.assets},
            has_payments_ledger=self.ledger.payments,
            network={name: chain.network for name, chain in self.chains.items()},
            network_facts={name: self.known_networks.of(name).facts.to_json() for name in {c.network for c in self.chains.values()}},
            payers={name: Payer(payer.way, payer.chain) for name, payer in self.payers.items()},
            witnesses={name: chain.needed_witnesses() for name, chain in self.chains.items() if chain.needed_witnesses() > 1},
        )

    def supplies(self) -> dict[str, int]:
        """The greatest supply of each asset that has one, base units."""
        return {name: asset.supply * 10**asset.decimals for name, asset in self.assets.items() if asset.supply is not None}

    def header(self) -> dict[str, str]:
        """The form's header (rule 7.6): bin, name, address, telephone, email, executor_name, executor_telephone, head_name."""
        return {name: str(value) for name, value in self.pool.model_dump(exclude={"key"}).items()}
