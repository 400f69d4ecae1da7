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
from pipeline.model.message import Amount, joined, message
from pipeline.model.system_words import system_words, trouble_text
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
    checks: list[tuple[str, Callable[[App], Iterator[Finding]]]] = [
        (message("nodes"), _nodes), (message("log"), _log), (message("disk"), _disk), (message("keys"), _keys), (message("filing"), _filing), (message("backup"), _backup),
    ]  # fmt: skip
    found: list[Finding] = []
    for name, check in checks:
        try:
            found += check(app)
        except (EsepError, OSError) as error:
            found.append(Finding(name, "ill", trouble_text(error)))
    return found


def _nodes(app: App) -> Iterator[Finding]:
    for name, chain in app.settings.chains.items():
        password, is_clock_told = chain.password.get_secret_value() if chain.password else None, False
        for url in chain.rpc_url:
            login = NodeLogin(url, chain.cookie_file, chain.user, password, chain.secret_headers())
            label = (
                message("node of {name}", name=name)
                if len(chain.rpc_url) == 1
                else message(
                    "node of {name} at {hostname}:{port}", name=name, hostname=urlsplit(url).hostname, port=urlsplit(url).port or ""
                )
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
                yield Finding(
                    label, "ill", trouble_text(error), message("start it, or correct [chains.{name}] rpc_url and its login", name=name)
                )
                continue
            yield _node(app, name, node, label)
            if not is_clock_told:
                is_clock_told = True
                yield from _clock(app, name, node)


def _node(app: App, name: str, node: FoundNode, label: str) -> Finding:
    chain = app.settings.chains[name]
    told = message("{program}, {network}, block {height}", program=node.program, network=node.network, height=node.height)
    age_h = max(0, app.now() - node.tip_time) // 3600
    if node.network != chain.network:
        return Finding(
            label,
            "ill",
            message("{told}, but the settings say {network}", told=told, network=chain.network),
            message("correct [chains.{name}] rpc_url or network", name=name),
        )
    if node.pruned_below > chain.start_height:
        return Finding(
            label,
            "ill",
            message("{told}; it has deleted the blocks below {pruned_below}", told=told, pruned_below=node.pruned_below),
            message("a node with prune=0, or a later start_height"),
        )
    if node.is_syncing:
        return Finding(label, "look", message("{told}; it is still syncing", told=told), message("wait for it"))
    if node.building:
        far = [
            message("{index} up to block {height}", index=each.name, height="?" if each.height is None else each.height)
            for each in node.building
        ]
        return Finding(
            label,
            "look",
            message("{told}; it is still building its indexes: {far}", told=told, far=joined(", ", far)),
            message("wait for it; it is read by its other ways till then, or waited for where there is none"),
        )
    if age_h >= TIP_HOURS and "regtest" not in node.network:
        return Finding(
            label,
            "look",
            message("{told}; its newest block is {age_h} h old", told=told, age_h=age_h),
            message("look whether the node has peers"),
        )
    return Finding(label, "well", told)


def _clock(app: App, name: str, node: FoundNode) -> Iterator[Finding]:
    """Our clock against those of the node's peers, of the node's machine, and of its newest block."""
    label, mend = message("clock"), message("set this machine's clock by NTP: days in the report go by it")
    if node.clock_offset_s is not None and abs(node.clock_offset_s) > CLOCK_S:
        yield Finding(
            label,
            "ill",
            message(
                "the peers of {name}'s node have clocks that differ by {clock_offset_s} s", name=name, clock_offset_s=node.clock_offset_s
            ),
            mend,
        )
        return
    at = server_time(node.login.url)
    if at is not None and abs(app.now() - at) > CLOCK_S:
        yield Finding(
            label, "ill", message("it differs by {now} s from that of the machine of {name}'s node", now=app.now() - at, name=name), mend
        )
        return
    if node.tip_time > app.now() + 2 * 3600:
        yield Finding(
            label,
            "ill",
            message("it is before the newest block of {name} by {tip_time} s", name=name, tip_time=node.tip_time - app.now()),
            mend,
        )
        return
    yield Finding(
        label,
        "well",
        message("as that of {name}'s node", name=name) + (message(" and its peers") if node.clock_offset_s is not None else ""),
    )


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
    yield Finding(message("log"), "well", message("{where}: {events} events; esep log check reads every one", where=where, events=events))
    with app.stores.current() as store:
        known = streams(store.connection)
    if app.settings.keys.root is None:
        yield Finding(
            message("log's keys"),
            "look",
            message("events are not authenticated: who can write to the log can write anything"),
            message("esep keys make root (docs/security.md)"),
        )
        return
    refused = sum(state.refused for state in known)
    if refused:
        yield Finding(
            message("log's keys"),
            "ill",
            message("{refused} event(s) are not authentic", refused=refused),
            message("esep issues MONTH, esep log check"),
        )
    else:
        yield Finding(message("log's keys"), "well", message("root {root}…", root=app.settings.keys.root[:16]))


def _disk(app: App) -> Iterator[Finding]:
    var = app.settings.var
    free = shutil.disk_usage(var if var.is_dir() else var.parent).free
    told, mend = (
        message("{free} GiB free below {var}", free=Amount(format(free / (1 << 30), ".1f")), var=var),
        message("free disk space, or move var"),
    )
    if var.is_dir() and not os.access(var, os.W_OK):
        yield Finding(message("disk"), "ill", message("{var} can't be written", var=var), message("give this user the right to it"))
    else:
        yield Finding(
            message("disk"),
            "ill" if free < FREE_BYTES // 10 else "look" if free < FREE_BYTES else "well",
            told,
            mend if free < FREE_BYTES else "",
        )


def _keys(app: App) -> Iterator[Finding]:
    signer = open_signer(app.settings)
    if signer is None:
        yield Finding(message("signing key"), "look", message("none: months are filed unsigned"), message("[signing] way and pkcs12_file"))
        return
    key, now = signer.certificate(), app.now()
    fault, left = key_fault(key, app.settings.pool.bin, now), days_left(key.not_after, now)
    if fault:
        yield Finding(message("signing key"), "ill", fault, message("configure the right one in [signing]"))
    elif left < app.settings.signing.warn_days:
        yield Finding(
            message("signing key"),
            "look",
            message("its certificate ends in {left} day(s)", left=left),
            message("get a new one and configure it in [signing]"),
        )
    else:
        yield Finding(message("signing key"), "well", message("its certificate holds for {left} days", left=left))


def _filing(app: App) -> Iterator[Finding]:
    filing = app.settings.filing
    if filing.way == "outbox":
        above = next(path for path in (filing.outbox, *filing.outbox.parents) if path.is_dir())
        is_ours = os.access(above, os.W_OK)
        yield Finding(
            message("filing"),
            "well" if is_ours else "ill",
            message("outbox {outbox}: a person hands in", outbox=filing.outbox),
            "" if is_ours else message("give this user the right to {above}", above=above),
        )
        return
    parts = urlsplit(filing.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=10).close()
    except OSError as error:
        yield Finding(
            message("filing"),
            "ill",
            message("{hostname}:{port}: {strerror}", hostname=parts.hostname, port=port, strerror=system_words(error) or error),
            message("correct [filing] url, or the network; nothing was sent"),
        )
        return
    yield Finding(message("filing"), "well", message("{hostname}:{port} answers; nothing was sent", hostname=parts.hostname, port=port))


def _backup(app: App) -> Iterator[Finding]:
    note = last_backup(app.settings.var)
    if note is None:
        yield Finding(message("backup"), "look", message("none was made of this pool here"), message("esep backup DIR, on another disk"))
        return
    days = max(0, app.now() - note.at) // 86_400
    is_old = days >= BACKUP_DAYS
    yield Finding(
        message("backup"),
        "look" if is_old else "well",
        message("{days} day(s) old: {place}", days=days, place=note.place),
        "esep backup DIR" if is_old else "",
    )
