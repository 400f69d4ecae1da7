"""Is everything as it should be: nodes, log, disk, clock, keys, the filing address, the last backup; and how to mend what is not.

Enters: a pool's `App`. Leaves: `Finding`s. Asks nodes and opens a connection to the filing address; sends nothing there, and changes nothing.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

from pipeline.chains.networks import is_account_network
from pipeline.model.errors import EsepError
from pipeline.signing.certificate import days_left, key_fault
from pipeline.store.queries import streams

from .app import App
from .backup import last_backup
from .begin import FoundNode, NodeLogin, ask_node
from .open_closing import open_signer

Health = Literal["well", "look", "ill"]
"""As it should be; worth a look; to be mended."""

FREE_BYTES = 2 << 30
"""Less free disk space is worth a look; a tenth of it is to be mended."""
CLOCK_S = 60
"""A clock may be so many seconds off."""
BACKUP_DAYS = 7
TIP_HOURS = 6
"""A node whose newest block is older is worth a look."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    health: Health
    detail: str
    mend: str = ""


def examine(app: App) -> list[Finding]:
    """Look at everything. A check that fails is a finding and hinders no other."""
    checks: list[Callable[[App], Iterator[Finding]]] = [_nodes, _log, _disk, _keys, _filing, _backup]
    found: list[Finding] = []
    for check in checks:
        try:
            found += check(app)
        except (EsepError, OSError) as error:
            found.append(Finding(check.__name__.strip("_"), "ill", str(error)))
    return found


def _nodes(app: App) -> Iterator[Finding]:
    for name, chain in app.settings.chains.items():
        password, is_clock_told = chain.password.get_secret_value() if chain.password else None, False
        for url in chain.rpc_url:
            login = NodeLogin(url, chain.cookie_file, chain.user, password, chain.secret_headers())
            label = (
                f"node of {name}" if len(chain.rpc_url) == 1 else f"node of {name} at {urlsplit(url).hostname}:{urlsplit(url).port or ''}"
            )
            try:
                node = ask_node(
                    login,
                    timeout_s=10.0,
                    is_evm=is_account_network(chain.network),
                    known=app.settings.known_networks,
                    expected=chain.network,
                )
            except (EsepError, OSError) as error:
                yield Finding(label, "ill", str(error), f"start it, or correct [chains.{name}] rpc_url and its login")
                continue
            yield _node(app, name, node, label)
            if not is_clock_told:
                is_clock_told = True
                yield from _clock(app, name, node)


def _node(app: App, name: str, node: FoundNode, label: str) -> Finding:
    chain = app.settings.chains[name]
    told = f"{node.program}, {node.network}, block {node.height}"
    age_h = max(0, app.now() - node.tip_time) // 3600
    if node.network != chain.network:
        return Finding(label, "ill", f"{told}, but the settings say {chain.network}", f"correct [chains.{name}] rpc_url or network")
    if node.pruned_below > chain.start_height:
        return Finding(
            label, "ill", f"{told}; it has deleted the blocks below {node.pruned_below}", "a node with prune=0, or a later start_height"
        )
    if node.is_syncing:
        return Finding(label, "look", f"{told}; it is still syncing", "wait for it")
    if age_h >= TIP_HOURS and "regtest" not in node.network:
        return Finding(label, "look", f"{told}; its newest block is {age_h} h old", "look whether the node has peers")
    return Finding(label, "well", told)


def _clock(app: App, name: str, node: FoundNode) -> Iterator[Finding]:
    """Our clock against those of the node's peers, of the node's machine, and of its newest block."""
    label, mend = "clock", "set this machine's clock by NTP: days in the report go by it"
    if node.clock_offset_s is not None and abs(node.clock_offset_s) > CLOCK_S:
        yield Finding(label, "ill", f"the peers of {name}'s node have clocks that differ by {node.clock_offset_s} s", mend)
        return
    at = server_time(node.login.url)
    if at is not None and abs(app.now() - at) > CLOCK_S:
        yield Finding(label, "ill", f"it differs by {app.now() - at} s from that of the machine of {name}'s node", mend)
        return
    if node.tip_time > app.now() + 2 * 3600:
        yield Finding(label, "ill", f"it is before the newest block of {name} by {node.tip_time - app.now()} s", mend)
        return
    yield Finding(label, "well", f"as that of {name}'s node" + (" and its peers" if node.clock_offset_s is not None else ""))


def server_time(url: str) -> int | None:
    """The clock of an HTTP server by its header Date, Unix seconds; None where it tells none."""
    parts = urlsplit(url)
    if not parts.hostname:
        return None
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=5)
    try:
        connection.request("GET", "/")
        date = connection.getresponse().getheader("Date")
        return int(parsedate_to_datetime(date).timestamp()) if date else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _log(app: App) -> Iterator[Finding]:
    events = sum(app.log.end().values())
    where = app.settings.log if app.settings.log.startswith("kafka:") else str(app.settings.log_path)
    yield Finding("log", "well", f"{where}: {events} events; esep log check reads every one")
    with app.stores.current() as store:
        known = streams(store.connection)
    if app.settings.keys.root is None:
        yield Finding(
            "log's keys",
            "look",
            "events are not authenticated: who can write to the log can write anything",
            "esep keys make root (docs/security.md)",
        )
        return
    refused = sum(state.refused for state in known)
    if refused:
        yield Finding("log's keys", "ill", f"{refused} event(s) are not authentic", "esep issues MONTH, esep log check")
    else:
        yield Finding("log's keys", "well", f"root {app.settings.keys.root[:16]}…")


def _disk(app: App) -> Iterator[Finding]:
    var = app.settings.var
    free = shutil.disk_usage(var if var.is_dir() else var.parent).free
    told, mend = f"{free / (1 << 30):.1f} GiB free below {var}", "free disk space, or move var"
    if var.is_dir() and not os.access(var, os.W_OK):
        yield Finding("disk", "ill", f"{var} can't be written", "give this user the right to it")
    else:
        yield Finding(
            "disk", "ill" if free < FREE_BYTES // 10 else "look" if free < FREE_BYTES else "well", told, mend if free < FREE_BYTES else ""
        )


def _keys(app: App) -> Iterator[Finding]:
    signer = open_signer(app.settings)
    if signer is None:
        yield Finding("signing key", "look", "none: months are filed unsigned", "[signing] way and pkcs12_file")
        return
    key, now = signer.certificate(), app.now()
    fault, left = key_fault(key, app.settings.pool.bin, now), days_left(key.not_after, now)
    if fault:
        yield Finding("signing key", "ill", fault, "configure the right one in [signing]")
    elif left < app.settings.signing.warn_days:
        yield Finding("signing key", "look", f"its certificate ends in {left} day(s)", "get a new one and configure it in [signing]")
    else:
        yield Finding("signing key", "well", f"its certificate holds for {left} days")


def _filing(app: App) -> Iterator[Finding]:
    filing = app.settings.filing
    if filing.way == "outbox":
        above = next(path for path in (filing.outbox, *filing.outbox.parents) if path.is_dir())
        is_ours = os.access(above, os.W_OK)
        yield Finding(
            "filing",
            "well" if is_ours else "ill",
            f"outbox {filing.outbox}: a person hands in",
            "" if is_ours else f"give this user the right to {above}",
        )
        return
    parts = urlsplit(filing.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=10).close()
    except OSError as error:
        yield Finding(
            "filing", "ill", f"{parts.hostname}:{port}: {error.strerror or error}", "correct [filing] url, or the network; nothing was sent"
        )
        return
    yield Finding("filing", "well", f"{parts.hostname}:{port} answers; nothing was sent")


def _backup(app: App) -> Iterator[Finding]:
    note = last_backup(app.settings.var)
    if note is None:
        yield Finding("backup", "look", "none was made of this pool here", "esep backup DIR, on another disk")
        return
    days = max(0, app.now() - note.at) // 86_400
    is_old = days >= BACKUP_DAYS
    yield Finding("backup", "look" if is_old else "well", f"{days} day(s) old: {note.place}", "esep backup DIR" if is_old else "")
