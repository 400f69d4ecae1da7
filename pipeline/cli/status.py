"""`esep status` and `issues`: the state of log, store and months, and what keeps a month from closing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import polars as pl
import typer

from pipeline.app.app import App
from pipeline.app.months import allocated_months
from pipeline.assess.waivers import short_name, with_waivers
from pipeline.closing.steps import what_changed
from pipeline.enrich.frames import ISSUES
from pipeline.log.protocol import EventLog, Positions
from pipeline.log.read import batches
from pipeline.model.errors import StoreError
from pipeline.model.months import Month
from pipeline.service.chain_notes import read_note
from pipeline.store import Store
from pipeline.store.copies import published_positions
from pipeline.store.queries import chain_state, complete_through, frozen_months, internal_calls, registry, streams

from .decisions import parse_month
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, MonthArgument, now, progress, say, settings_of, table
from .months import print_json


def issues(
    month: MonthArgument,
    blocking: Annotated[bool, typer.Option("--blocking", help="Only those that keep the month from closing.")] = False,
    is_next: Annotated[
        bool, typer.Option("--next", help="Of a frozen month: as its further version would have them, by the newest rules.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List what is wrong or odd in a month: code, severity, ref, detail, who waived it, and why a waiver of it counts no longer.

    Blocking issues keep the month from closing until they are resolved (correct the ledger or registry and import again,
    label an address) or waived by name (`esep waive`). Warnings are for your information. A waiver lapses when the ids or amounts change that the
    issue rested on (rule 8.5). A frozen month is shown by the edition of the rules that it was frozen under; --next shows what its further version
    would have.

    [dim]esep issues 2026-10 --blocking[/dim]
    """
    named = parse_month(month)
    with App(settings_of(config), now) as app:
        app.decisions.record_settings_labels()
        with progress("reading the log") as on_progress, app.stores.current(on_progress) as store:
            if app.decisions.record_settings_waivers(app.months, store, named):
                app.stores.fill(store)
            state, assessed = app.months.assess(store, named, edition=app.rules.edition if is_next else None)
    found = assessed.enriched.issues.filter((pl.col("severity") == "blocking") | pl.lit(not blocking))
    rows: list[dict[str, Any]] = with_waivers(found, state.waivers).select([*ISSUES, "waived_by", "lapsed"]).to_dicts()
    rows.sort(key=lambda row: (row["severity"] != "blocking", row["code"], row["ref"]))
    if as_json:
        print_json(rows)
        return
    print_issues(named, rows)


def print_issues(month: Month, rows: list[dict[str, Any]], *, limit: int | None = None) -> None:
    """The issues as a table (the first `limit` of them), and how many are open."""
    rows = [{"name": short_name(row["code"], row["ref"]) if row["severity"] == "blocking" else "", **row} for row in rows]
    shown = ["name", "severity", "code", "ref", "detail", "waived_by"]
    shown += ["lapsed"] if any(row["lapsed"] for row in rows) else []
    if rows:
        table(f"Issues of {month}", [name.replace("_", " ") for name in shown], [[row[name] for name in shown] for row in rows[:limit]])
    if limit is not None and len(rows) > limit:
        say(f"... and {len(rows) - limit} more: esep issues {month}")
    left = sum(row["severity"] == "blocking" and not row["waived_by"] for row in rows)
    say(f"{month}: {len(rows)} issue(s), {left} of them blocking and open")


def status(
    month: Annotated[
        str | None, typer.Argument(help="One month; the newest that are not frozen when not given.", metavar="[MONTH]")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show where everything stands: log, the lag of the analysts' copy by partition, chains and theirs, ledger, registry, and what each month still needs to close.

    [dim]esep status[/dim]

    [dim]esep status 2026-10 --json[/dim]
    """
    with App(settings_of(config), now) as app:
        app.decisions.record_settings_labels()
        with progress("reading the log") as on_progress, app.stores.current(on_progress) as store:
            found = survey(app, store, [parse_month(month)] if month else None)
    if as_json:
        print_json(found)
        return
    say(
        f"log     {app.settings.log if app.settings.log.startswith('kafka:') else app.settings.log_path}: "
        + ", ".join(f"{place} {offset}" for place, offset in sorted(found["log"].items()))
    )
    say(f"keys    {_keys_words(found)}")
    say(f"copy    {found['copy_fault'] or _lag_words(app, found['lag'])}")
    for chain in found["chains"]:
        say(f"chain   {chain['chain']} ({chain['network']}): {_chain_words(chain)}")
        if chain["trouble"]:
            since, told = _span(chain["trouble"]["since_s"]), _span(chain["trouble"]["told_s"])
            say(f"  trouble for {since}, last told {told} ago: {chain['trouble']['words']}")
    say(
        f"ledger  {'complete through ' + found['ledger_complete_through'] if found['ledger_complete_through'] else 'never declared complete'}"
    )
    say(f"registry {'version ' + str(found['registry_version']) if found['registry_version'] else 'none imported'}")
    for each in found["months"]:
        versions = ", ".join(f"v{v['version']} {v['digest'][:12]}…" for v in each["versions"])
        say(f"\nmonth   {each['month']}: {each['state']}" + (f" ({versions})" if versions else "") + f"; due by {each['due']}")
        if each["submission"]:
            told = each["submission"]
            say(f"  submission {told['id']} of v{told['version']}: {told['state']}" + (f": {told['words']}" if told["words"] else ""))
        if each["changed"]:
            say(f"  {each['changed']}")
        for condition in each["conditions"]:
            say(f"  {'[x]' if condition['is_met'] else '[ ]'} {condition['name']}: {condition['detail']}")


def _keys_words(found: dict[str, Any]) -> str:
    if found["root"] is None:
        return "events are not authenticated: no root key is set ([keys] root)"
    unsigned = f"; not signed yet: {', '.join(found['unsigned'])} (esep keys start)" if found["unsigned"] else ""
    strange = f"; {found['not_authentic']} event(s) are not authentic and count for nothing (esep issues)" if found["not_authentic"] else ""
    return f"only what keys under {found['root'][:16]}… signed counts{unsigned}{strange}"


def _lag_words(app: App, lag: dict[str, int] | None) -> str:
    if lag is None:
        return f"{app.settings.store.published}: none was published yet"
    behind = ", ".join(f"{place} {events}" for place, events in sorted(lag.items()) if events)
    return f"{app.settings.store.published}: " + (f"behind the log by so many events: {behind}" if behind else "up to the log's end")


def _chain_words(chain: dict[str, Any]) -> str:
    if chain["height"] is None:
        return "no block was read yet"
    at = datetime.fromtimestamp(chain["time"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    calls = f"; calls inside transactions: {chain['internal_calls']}" if chain["internal_calls"] else ""
    return f"height {chain['height']}, its block is of {at}, {_span(chain['lag_s'])} ago{calls}"


def _span(seconds: int) -> str:
    """A length of time in its two greatest units."""
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3600, seconds % 3600 // 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"


def survey(app: App, store: Store, months: list[Month] | None) -> dict[str, Any]:
    """The state of everything, as JSON. A copy that can't be read is said and hides nothing else."""
    if sum(app.decisions.record_settings_waivers(app.months, store, month) for month in months or _months_shown(app, store)):
        app.stores.fill(store)
    try:
        published, copy_fault = published_positions(app.settings.store.published), None
    except StoreError as error:
        published, copy_fault = None, str(error)
    connection = store.connection
    through = complete_through(connection)
    version = registry(connection)
    tips, calls = chain_state(connection), internal_calls(connection)
    chains = []
    for name, chain in app.settings.chains.items():
        tip = tips.get(name)
        time = tip.time if tip else None
        chains.append(
            {
                "chain": name, "network": chain.network, "height": tip.height if tip else None, "hash": tip.hash if tip else None,
                "time": time, "lag_s": max(0, app.now() - time) if time is not None else None,
                "internal_calls": calls.get(name), "trouble": _trouble(app, name),
            }
        )  # fmt: skip
    return {
        "log": app.log.end(),
        "root": app.settings.keys.root,
        "unsigned": [f"{state.topic}/{state.key}" for state in streams(connection) if not state.is_in_force],
        "not_authentic": sum(state.refused for state in streams(connection)),
        "published": published,
        "lag": lag_events(app.log, published) if published is not None else None,
        "copy_fault": copy_fault,
        "chains": chains,
        "ledger_complete_through": str(through) if through else None,
        "registry_version": version[0] if version else None,
        "months": [_month_state(app, store, month) for month in (months or _months_shown(app, store))],
    }


def _trouble(app: App, chain: str) -> dict[str, Any] | None:
    """What keeps the chain from being followed, by the process that follows it on this machine; None where it told nothing."""
    note = read_note(app.settings.var, chain)
    if note is None or note.trouble is None:
        return None
    now = app.now()
    return {"words": note.trouble, "since_s": max(0, now - (note.since or note.at)), "told_s": max(0, now - note.at)}


def lag_events(log: EventLog, positions: Positions, until: Positions | None = None) -> dict[str, int]:
    """How many events of each partition lie past `positions` (and before `until`). Counted, because offsets on Kafka have gaps."""
    behind = dict.fromkeys(log.end(), 0)
    for records in batches(log, positions, until=until):
        for record in records:
            behind[f"{record.topic}/{record.partition}"] += 1
    return behind


def _month_state(app: App, store: Store, month: Month) -> dict[str, Any]:
    _, assessed = app.months.assess(store, month)
    versions = [{"version": event.version, "digest": event.digest, "at": event.at, "by": event.by} for event in app.months.frozen(month)]
    life = app.diary.life(month)
    last, draft = life.submission, life.draft
    told = (
        {"id": last.event.submission_id, "version": last.event.version, "state": str(last.state), "words": last.summary} if last else None
    )
    return {
        "month": str(month), "state": str(life.state(is_closable=not assessed.unmet)), "submission": told,
        "changed": what_changed(life, draft) if draft else None, "due": str(month.deadline), "versions": versions,
        "conditions": [{"name": c.name, "is_met": c.is_met, "detail": c.detail} for c in assessed.conditions],
    }  # fmt: skip


def _months_shown(app: App, store: Store) -> list[Month]:
    """The open months, and the newest frozen one."""
    are_frozen = set(frozen_months(store.connection))
    frozen = [month for month in allocated_months(store.connection) if str(month) in are_frozen]
    return sorted([*app.months.open_months(store), *frozen[-1:]], key=str)
