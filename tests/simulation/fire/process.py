"""Our process: the real program joined as its composition root joins it, over a log, a store and lines that fail.

Enters: the world's parts. Leaves: the program's own work: connector, imports, ingest, months, closing. A kill takes the store's files as they
lie on the disk at that moment; the next process opens those, or finds none and rebuilds them. Left out of most months are the PDF, the
workbook and `month.duckdb`, which no state depends on: one month of a life is printed whole.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import connectors.bitcoin.fetch
import pipeline.freeze.bundle
import pipeline.store.publish
from pipeline.app.app import App
from pipeline.app.desk import ClosingDesk
from pipeline.app.stores import Stores
from pipeline.closing.calendar import plan_of
from pipeline.follow.connector import ChainConnector, Idle
from pipeline.log.protocol import EventLog
from pipeline.model.errors import EsepError
from pipeline.model.months import Month
from pipeline.settings import Settings, load_settings
from pipeline.store import Store

from ..closing_world import Crash, Key
from .chain import WALLETS, address
from .dice import Dice
from .log import TroubledLog
from .node import InLine
from .service import Service, wire

CHAIN = "bitcoin"
SETTINGS = """\
log = "sqlite:none.sqlite"
var = "var"
[pool]
key = "pool"
bin = "201040000013"
name = "Simulated pool"
{chain}
[closing]
first_month = "{first_month}"
hold_hours = {hold_hours}
approvals = {approvals}
freezes_by_itself = {freezes_by_itself}
[filing]
way = "http"
url = "https://filing.invalid/submissions"
status_url = "https://filing.invalid/submissions/{{submission_id}}"
"""
BITCOIN = """\
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "http://127.0.0.1:1"
start_height = {start_height}
finality = 6
{wallets}
[payout_unit]
BTC = 10000
[payers.upstream]
way = "on-chain"
chain = "bitcoin"
[payers.second]
way = "on-chain"
chain = "bitcoin"
[payers.exchange]
way = "off-chain"
"""
MOST_STEPS = 400


def bitcoin_settings(start_height: int, names: Collection[str]) -> str:
    """The tables of a Bitcoin pool's chain."""
    wallets = "".join(
        f'[[chains.bitcoin.wallets]]\nname = "{name}"\naddresses = [{", ".join(repr(address(s)) for s in scripts)}]\n'
        for name, scripts in WALLETS.items()
        if name in names
    )
    return BITCOIN.format(start_height=start_height, wallets=wallets)


def write_settings(
    folder: Path, *, start_height: int, hold_hours: int, approvals: int, freezes_by_itself: bool, first_month: str, names: Collection[str] = tuple(WALLETS),
    chain: Callable[[int, Collection[str]], str] = bitcoin_settings,
) -> Path:  # fmt: skip
    """The pool's settings file; `names`: the wallets that it names; `chain`: its tables of the chain."""
    path = folder / "esep.toml"
    path.write_text(
        SETTINGS.format(
            chain=chain(start_height, names), first_month=first_month, hold_hours=hold_hours, approvals=approvals,
            freezes_by_itself=str(freezes_by_itself).lower(),
        )
    )  # fmt: skip
    return path


@functools.cache
def empty_store() -> bytes:
    """A store just made: making its tables and comments takes longer than a simulated week."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        Store.open(path, threads=1).close()
        return path.read_bytes()


class SimApp(App):
    """`App` over a given log and stores that can be killed."""

    def __init__(self, config: Path, log: TroubledLog, dice: Dice, now: Callable[[], int]) -> None:
        super().__init__(load_settings(config, {}), now, log=log)
        self.sim_stores = SimStores(self.settings, log, dice)
        self.stores = self.sim_stores


class SimStores(Stores):
    """One live store that stays open until it is killed, every commit of it watched."""

    def __init__(self, settings: Settings, log: EventLog, dice: Dice) -> None:
        super().__init__(settings, log)
        self._path = settings.store.path
        self._dice = dice
        self._store: Store | None = None

    @contextlib.contextmanager
    def live(self) -> Iterator[Store]:
        if self._store is None:
            path = self._path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(empty_store())
            self._store = Store.open(path, threads=1)
            self._store.fence = self._fence
        yield self._store

    @contextlib.contextmanager
    def _fence(self) -> Iterator[None]:
        if self._dice.happens("store-crash-before-commit"):
            raise Crash("before a commit")
        yield
        if self._dice.happens("store-crash-after-commit"):
            raise Crash("after a commit")

    def kill(self) -> None:
        """The process ends here and now: what is on the disk is what the next one finds."""
        if self._store is None:
            return
        path = self._path
        files = [path, path.with_name(path.name + ".wal")]
        kept = [(file, file.with_name(file.name + ".kept")) for file in files if file.exists()]
        for file, copy in kept:
            shutil.copyfile(file, copy)
        self.drop_store()
        for file in files:
            file.unlink(missing_ok=True)
        is_deleted = self._dice.happens("store-deleted")
        for file, copy in kept:
            if is_deleted:
                copy.unlink()
            else:
                copy.replace(file)

    def close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def drop_store(self) -> None:
        """Close it, where nobody opens what this writes: its log is not carried into the file."""
        if self._store is not None:
            self._store.connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            self.close_store()


class Process:
    """One life of the program, from start to kill."""

    def __init__(self, app: SimApp, connector: ChainConnector, dice: Dice, *, has_signer: bool) -> None:
        self.app, self.connector, self._dice = app, connector, dice
        parts = replace(app.desk_parts(), signer=Key() if has_signer else None)
        plan = replace(plan_of(app.settings.closing, app.settings.signing, app.settings.filing), has_signer=has_signer)
        self.desk = ClosingDesk(parts, plan=plan, step_done=self._step_done)

    def _step_done(self, name: str) -> None:
        if self._dice.happens("process-crash"):
            raise Crash(name)

    def follow(self, troubles: Callable[[EsepError], None]) -> bool:
        """Follow the chain until nothing is new, or troubles do not pass; whether it came to rest."""
        failures = 0
        for _ in range(MOST_STEPS):
            try:
                if isinstance(self.connector.step(), Idle):
                    return True
            except EsepError as error:
                troubles(error)
                failures += 1
                if failures > 4:
                    return False
        return False

    def end(self) -> None:
        self.connector.close()


@contextlib.contextmanager
def joined(service: Service, *, printed: Callable[[Month], bool]) -> Iterator[None]:
    """While it lasts: no thread, no wait, no socket; and only the months that `printed` names are printed whole."""
    fetch: Any = connectors.bitcoin.fetch
    pool, waits = fetch.ThreadPoolExecutor, fetch.BUSY_WAITS_S
    export, render = pipeline.store.publish.export_month, pipeline.freeze.bundle.render_all

    def render_some(document: Any, folder: Path, **how: Any) -> Any:
        if printed(document.month):
            return render(document, folder, **how)
        return render(document, folder, **how, formats=("json",))

    def export_some(connection: Any, month: str, path: Path) -> Path:
        if printed(Month.parse(month)):
            return export(connection, month, path)
        path.write_bytes(b"not printed in this life\n")
        return path

    fetch.ThreadPoolExecutor, fetch.BUSY_WAITS_S = InLine, ()
    pipeline.store.publish.export_month, pipeline.freeze.bundle.render_all = export_some, render_some  # type: ignore[assignment]
    undo = wire(service)
    try:
        yield
    finally:
        undo()
        fetch.ThreadPoolExecutor, fetch.BUSY_WAITS_S = pool, waits
        pipeline.store.publish.export_month, pipeline.freeze.bundle.render_all = export, render
