"""A recorded month, carried the whole way: the node served back, followed, files imported, issues, freeze, verify.

Enters: a directory of the capture's shape (`pool.json`, `chain.jsonl.gz`, `sequence.jsonl.gz`, registry and ledger files, perhaps
`openings.csv` and an `esep.toml` of its own). Leaves: `VAR/esep.toml`, with which every other command goes on, the log, the store and
the frozen month. Every step may be done again: what is done already is passed over. Left out: printing (`cli`).
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from pipeline.app.app import App
from pipeline.app.imports import counterparties_of_pool
from pipeline.app.issues import IssueGroup, issue_groups
from pipeline.app.months import FreezeOutcome
from pipeline.app.standins import ReplayNode
from pipeline.app.stores import Progress
from pipeline.app.summary import MonthSummary, month_summary
from pipeline.assess.condition import Condition
from pipeline.assess.month import Assessment
from pipeline.assess.waivers import blocking_issues, with_waivers
from pipeline.chains.bitcoin.networks import NETWORKS
from pipeline.enrich.frames import ISSUES
from pipeline.follow.connector import Idle, Waiting
from pipeline.log.events import decode
from pipeline.log.events.chain import Connect, Disconnect, Stretch
from pipeline.model.durable import write_atomically
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.issues import Severity
from pipeline.model.message import joined, message
from pipeline.model.miner_id import control_digit
from pipeline.model.months import Month
from pipeline.model.system_words import system_words
from pipeline.model.typed import decoder
from pipeline.render.totals import printed_totals
from pipeline.settings import load_settings, template_path
from pipeline.settings.toml_text import toml_lines
from pipeline.store import Store
from pipeline.texts import N_
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.review import Consent
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.finding import Check

EXAMPLE = "2026-10"
FINALITY = 6
PAYOUT_UNIT = 10_000
"""In base units; what the recorded pools round their payouts to (rule 5.3)."""
EVENTS_PER_POLL = 256
"""Of the recorded chain that the node goes on by each time it is asked: a month of 5,000 takes twenty steps of the connector, not hundreds."""
PERSON = "demo"
_BIN_DIGITS = "20104000002"
_NOBODY = "http://127.0.0.1:1"
_MARK = "# Recording: "


class _Wallet(msgspec.Struct):
    name: str
    addresses: list[str] = []
    descriptors: list[str] = []


class Pool(msgspec.Struct):
    """`pool.json`."""

    chain: str
    network: str
    month: str
    wallets: list[_Wallet]
    counterparties: list[dict[str, str]] = []
    payers: dict[str, dict[str, str]] = {}
    """As `[payers]` of the settings (rule 10.1)."""


def example_folder() -> Path:
    """The recorded month that comes with the program: among the documents in a checkout, in the package when installed."""
    package = Path(__file__).resolve().parents[1]
    beside = package.parent / "docs" / "example" / EXAMPLE
    return beside if beside.is_dir() else package / "example" / EXAMPLE


def read_pool(folder: Path) -> Pool:
    """What the recording says of its pool. Raises SourceError naming the file and what is wrong."""
    path = folder / "pool.json"
    try:
        pool = decoder(Pool).decode(path.read_bytes())
        Month.parse(pool.month)
    except OSError as error:
        raise SourceError(
            message(
                "{path}: {strerror}: a recorded month is a folder like {example_folder}",
                path=path,
                strerror=system_words(error),
                example_folder=example_folder(),
            )
        ) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise SourceError(message("{path}: {error}", path=path, error=error)) from error
    return pool


# --- settings ------------------------------------------------------------------------------------------------------


def write_settings(folder: Path, var: Path, pool: Pool) -> Path:
    """Write `VAR/esep.toml` for the recording, with what its own `esep.toml` says on top; the file.

    Raises SettingsError when VAR holds another recording's log, or the recording's own file has faults.
    """
    mark = _MARK + hashlib.sha256((folder / "pool.json").read_bytes()).hexdigest()
    path = var / "esep.toml"
    if path.exists() and mark not in path.read_text(encoding="utf-8", errors="replace"):
        raise SettingsError(
            [message("{var} holds something else already: give the demo a folder of its own with --var", var=var)], source="esep demo"
        )
    content = _defaults(pool)
    content["ledger"] = {"payments": _file_of(folder, "payments") is not None}  # rule 5.4
    own = folder / "esep.toml"
    if own.is_file():
        _overlay(content, _own_settings(own, pool, content))
    text = "\n".join(
        [
            "# Written by `esep demo`. The recorded node is served only while the demo runs: rpc_url leads nowhere afterwards.",
            f"# For a pool of your own begin with `esep init`; every key is explained in {template_path('esep.toml').name} that it writes.",
            mark,
            *toml_lines(content),
            "",
        ]
    )
    var.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, text.encode())
    return path


def _defaults(pool: Pool) -> dict[str, Any]:
    assets = tomllib.loads(template_path("assets.toml").read_text(encoding="utf-8"))
    asset = next((name for name, asset in assets.items() if asset["chain"] == pool.chain), None)
    if asset is None:
        raise SourceError(
            message("pool.json: no asset is known on chain {chain}: describe it in config/assets.toml", chain=repr(pool.chain))
        )
    return {
        "var": ".",
        "pool": {
            "key": "demo",
            "bin": f"{_BIN_DIGITS}{control_digit(_BIN_DIGITS)}",
            "name": "«Мысал» майнинг пулы",
            "address": "Алматы қ., Мысал көшесі, 1",
            "telephone": "+7 700 000 00 00",
            "email": "pool@example.kz",
            "executor_name": "Мысалова А.",
            "executor_telephone": "+7 700 000 00 01",
            "head_name": "Үлгібаев Б.",
        },
        "chains": {
            pool.chain: {
                "network": _network(pool.chain, pool.network),
                "asset": asset,
                "rpc_url": _NOBODY,
                "finality": FINALITY,
                "wallets": [_wallet(wallet) for wallet in pool.wallets],
            }
        },
        "report": {"languages": ["kk", "ru", "en"]},
        "payers": pool.payers,
        "payout_unit": {asset: PAYOUT_UNIT},
    }


def _wallet(wallet: _Wallet) -> dict[str, Any]:
    """Every address handed out is listed; descriptors stand in where none is."""
    if wallet.addresses:
        return {"name": wallet.name, "addresses": wallet.addresses}
    return {"name": wallet.name, "descriptors": wallet.descriptors}


def _network(chain: str, name: str) -> str:
    """Our name of the network: a node calls Litecoin's regtest just `regtest`."""
    candidates = [f"{chain}_{name}", chain if name in ("main", chain) else "", name if chain == "bitcoin" else ""]
    return next((candidate for candidate in candidates if candidate in NETWORKS), name)


def _own_settings(path: Path, pool: Pool, base: Mapping[str, Any]) -> dict[str, Any]:
    """The recording's own settings in the layout of ours; `finality`, `payout_unit` and the like may stand plainly at the top."""
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SettingsError([message("can't be read: {error}", error=error)], source=str(path)) from None
    chain = own.setdefault("chains", {}).setdefault(pool.chain, {})
    asset = chain.get("asset", base["chains"][pool.chain]["asset"])
    if "finality" in own:
        finality = own.pop("finality")
        chain.setdefault("finality", finality[pool.chain] if isinstance(finality, dict) and pool.chain in finality else finality)
    if "payout_unit" in own and not isinstance(own["payout_unit"], dict):
        own["payout_unit"] = {asset: own["payout_unit"]}
    for label in own.get("labels", []):
        if isinstance(label, dict):
            label.setdefault("chain", pool.chain)
            label.setdefault("name", label.get("class", "labelled"))
            label.setdefault("reason", "labelled in the recording's esep.toml")
    for waiver in own.get("waivers", []):
        if isinstance(waiver, dict):
            waiver.setdefault("month", pool.month)
            waiver.setdefault("reason", "waived in the recording's esep.toml")
    # Where things lie and what is served is the demo's business; and who the pool is in the log.
    for key in ("var", "log", "store"):
        own.pop(key, None)
    if isinstance(own.get("pool"), dict):
        own["pool"].pop("key", None)
    for key in ("rpc_url", "cookie_file", "user", "password_file"):
        chain.pop(key, None)
    return own


def _overlay(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _overlay(base[key], value)
        else:
            base[key] = value


# --- the way ---------------------------------------------------------------------------------------------------------


@dataclass
class DemoRun:
    """The demo's progress and results."""

    month: Month
    settings_path: Path
    events: int = 0
    imported: list[str] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    blocking: list[IssueGroup] = field(default_factory=list)
    """The blocking ones, as people read them."""
    unmet: list[Condition] = field(default_factory=list)
    outcome: FreezeOutcome | None = None
    totals: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    summary: MonthSummary | None = None


_COUNTS: Final = {
    "miners": N_("{count} miners"), "licences": N_("{count} licences"), "accounts": N_("{count} accounts"), "wallets": N_("{count} wallets"),
    "counterparties": N_("{count} counterparties"),
}  # fmt: skip


def import_recording(app: App, folder: Path, pool: Pool, *, say: Callable[[str], None], on_progress: Progress) -> None:
    """Import the recording into the log: chain, registry, ledger, and the declaration that the ledger is complete."""
    with ReplayNode(folder, events_per_poll=EVENTS_PER_POLL) as node:
        say(message("node     {count} recorded events served at {url}", count=node.progress[1], url=node.rpc_url))
        height = _follow(app, pool.chain, node, on_progress)
    say(message("chain    followed to height {height}", height=height))
    done = app.imports.registry(folder, counterparties=counterparties_of_pool(msgspec.json.decode((folder / "pool.json").read_bytes())))
    say(
        message(
            "registry version {version}: {names}",
            version=done.version,
            names=joined(", ", [message(_COUNTS[kind], count=count) for kind, count in done.rows.items()]),
        )
    )
    for warning in done.warnings:
        say(message("         warning: {warning}", warning=warning))
    kinds: tuple[LedgerKind, ...] = ("openings", "allocations", "payments")
    for kind in kinds:
        path = _file_of(folder, kind)
        if path is not None:
            imported = app.imports.ledger(path, kind, consent=Consent(to_oddities=True))
            say(
                message(
                    "ledger   {line}",
                    line=message(
                        "{source}: {new} new, {restated} restated, {known} known already",
                        source=path.name,
                        new=imported.new,
                        restated=imported.restated,
                        known=imported.unchanged,
                    ),
                )
            )
    if app.rules.on_chain_payers(pool.chain):
        names = ", ".join(f"{name} ({payer.way})" for name, payer in app.rules.payers.items())
        say(message("payers   {names}: looking for their transactions", names=names))
        with ReplayNode(folder, events_per_poll=EVENTS_PER_POLL) as node:
            _follow(app, pool.chain, node, on_progress)
    app.imports.declare_complete(Month.parse(pool.month).last)
    say(message("ledger   declared complete through {day}", day=Month.parse(pool.month).last))
    app.decisions.record_settings_labels()


def _file_of(folder: Path, kind: str) -> Path | None:
    return next((path for suffix in (".csv", ".xlsx", ".parquet") if (path := folder / f"{kind}{suffix}").is_file()), None)


def _follow(app: App, chain: str, node: ReplayNode, on_progress: Progress) -> int:
    """Follow the recorded node, event by event, until its recording is played to the end; the height reached.

    A recorded node starts at its first block each time it is served. It is first advanced to the log's tip: a node that is behind the log would
    look like a reorganisation.
    """
    seen = _logged_tip(app, chain)
    while seen is not None and node.tip != seen and node.play(1):
        continue
    with app.connector(chain, rpc_url=node.rpc_url, cookie_file=node.cookie_path) as connector:
        while True:
            was_finished = node.is_finished
            step = connector.step()
            on_progress(*node.progress)
            if isinstance(step, Waiting):
                if was_finished:
                    raise SourceError(
                        message("the recording was played to its end, and the connector still waits: {reason}", reason=step.reason)
                    )
            elif isinstance(step, Idle) and was_finished:
                return step.height


def _logged_tip(app: App, chain: str) -> str | None:
    """The main chain's last block by the log; None before the first."""
    record = app.log.last("chain", f"{app.pool}/{chain}")
    event = decode(record.value) if record is not None else None
    if isinstance(event, Connect):
        return event.hash
    if isinstance(event, Stretch):
        return event.hash[-1]
    return event.prev if isinstance(event, Disconnect) else None


def assess(app: App, store: Store, run: DemoRun) -> Assessment:
    """Assess the month; its issues, unmet conditions and totals are stored in `run`."""
    if app.decisions.record_settings_waivers(app.months, store, run.month):
        app.stores.fill(store)
    state, assessed = app.months.assess(store, run.month)
    app.months.write_enriched(store, run.month, assessed)
    run.issues = with_waivers(assessed.enriched.issues, state.waivers).select([*ISSUES, "waived_by", "lapsed"]).to_dicts()
    run.blocking = issue_groups(run.month, state, assessed, app.rules, only=Severity.BLOCKING.value)
    run.unmet = assessed.unmet
    run.totals = printed_totals(assessed.enriched.totals, app.rules.assets)
    return assessed


def waive_all(app: App, store: Store, run: DemoRun, reason: str) -> int:
    """Waive each remaining blocking issue of the month, one by one; their number."""
    state, assessed = app.months.assess(store, run.month)
    left = blocking_issues(assessed.enriched.issues, state.waivers)
    for row in left.iter_rows(named=True):
        app.decisions.waive(month=run.month, issue=row, by=PERSON, reason=reason)
    app.stores.fill(store)
    return left.height


def finish(app: App, store: Store, run: DemoRun, progress: Callable[[str], None]) -> None:
    """Freeze the month (or take the version there is, when nothing changed), publish the analysts' copy, verify the bundle."""
    run.outcome = app.months.freeze(store, run.month, by=PERSON, reason="the recorded month, carried through", progress=progress)
    app.stores.fill(store)
    if not run.outcome.folder.exists():
        frozen = next(event for event in app.months.frozen(run.month) if event.version == run.outcome.version)
        app.months.replay(frozen, progress=progress)
    app.stores.publish(store)
    run.checks = verify_bundle(run.outcome.folder, progress)
    run.summary = month_summary(app, run.month)


def open_demo(folder: Path, var: Path, environ: Mapping[str, str], now: Callable[[], int]) -> tuple[App, DemoRun, Pool]:
    """Write the settings, load them, and open the app."""
    pool = read_pool(folder)
    path = write_settings(folder, var, pool)
    return App(load_settings(path, environ), now), DemoRun(Month.parse(pool.month), path), pool
