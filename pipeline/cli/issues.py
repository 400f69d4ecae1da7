"""`esep issues`: what keeps a month from closing, alike ones together, each with its short name and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.app.app import App
from pipeline.app.issues import IssueGroup, IssueView
from pipeline.app.issues_kept import groups_of_month
from pipeline.app.month_facts import nothing_of
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import joined, message
from pipeline.model.months import Month

from .decisions import parse_month
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, MonthArgument, command_line, now, out, print_json, progress, say, settings_of
from .words import amount_words, day_words

SHOWN = 10
"""Issues of a group that are printed one by one, unless all are asked for."""


def issues(
    month: MonthArgument,
    blocking: Annotated[bool, typer.Option("--blocking", help="Only those that keep the month from closing.")] = False,
    code: Annotated[str | None, typer.Option("--code", help="Only those of one code, all of them one by one.", metavar="CODE")] = None,
    shows_all: Annotated[bool, typer.Option("--all", help="Every one, also where many are alike.")] = False,
    is_next: Annotated[
        bool, typer.Option("--next", help="Of a frozen month: as its further version would have them, by the newest rules.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List what is wrong or odd in a month, alike ones together: short name, day, amount, miner, ref, who waived it, and what to do.

    Blocking issues keep the month from closing until they are resolved (correct the ledger or registry and import again,
    label an address) or waived by name (`esep waive`). Warnings are for your information. A waiver lapses when the ids or amounts change that the
    issue rested on (rule 8.5). A frozen month is shown by the edition of the rules that it was frozen under; --next shows what its further version
    would have.

    [dim]esep issues 2026-10 --blocking[/dim]
    """
    named = parse_month(month)
    only = Severity.BLOCKING.value if blocking else IssueCode(code).value if code in {known.value for known in IssueCode} else code
    with App(settings_of(config), now) as app:
        app.decisions.record_settings_labels()
        with progress(message("reading the log")) as on_progress, app.stores.current(on_progress) as store:
            if app.decisions.record_settings_waivers(app.months, store, named):
                app.stores.fill(store)
            nothing = nothing_of(store, named)
            groups = groups_of_month(app, store, named, only=only, edition=app.rules.edition if is_next else None, asks_chain=not as_json)
    if as_json:
        print_json(_rows(groups))
        return
    print_issues(named, groups, config, limit=None if shows_all or code else SHOWN)
    if nothing:
        say(message("{nothing}: there are no facts in which an issue could show (esep status {month})", nothing=nothing, month=named))


def _rows(groups: list[IssueGroup]) -> list[dict[str, Any]]:
    rows = [
        {
            "code": view.code.value,
            "severity": view.code.severity.value,
            "ref": view.ref,
            "detail": view.detail,
            "waived_by": view.waived_by or None,
            "lapsed": view.lapsed or None,
        }
        for group in groups
        for view in group.issues
    ]
    return sorted(rows, key=lambda row: (row["severity"] != "blocking", row["code"], row["ref"]))


def print_issues(month: Month, groups: list[IssueGroup], config: Path, *, limit: int | None = SHOWN) -> None:
    """The issues, the first `limit` of each group one by one, and how many are open."""
    for group in groups:
        _print_group(month, group, config, limit)
    count = sum(len(group.issues) for group in groups)
    say(
        message(
            "{month}: {count} issue(s), {open} of them blocking and open",
            month=month,
            count=count,
            open=sum(group.open_count for group in groups),
        )
    )


def _print_group(month: Month, group: IssueGroup, config: Path, limit: int | None) -> None:
    is_blocking = group.code.severity is Severity.BLOCKING
    kind = (message("BLOCKING") if group.open_count else message("waived")) if is_blocking else message("warning")
    rule = message(" (esep rule {number})", number=group.advice.rule) if group.advice.rule else ""
    say(message("{kind}  {code}: {title}{rule}", kind=kind, code=group.code.value, title=group.advice.title, rule=rule), hang=2)
    if len(group.issues) > 1:
        sums = "".join(f", {amount_words(amount)} {asset}" for asset, amount in group.sums.items())
        say(message("  {count} of them{sums}", count=len(group.issues), sums=sums), hang=2)
    runs = _runs(group)
    for run in runs[:limit]:
        _print_issue(run)
    if limit is not None and len(runs) > limit:
        rest = sum(map(len, runs[limit:]))
        say(
            message(
                "  and {rest} more: {command}",
                rest=rest,
                command=command_line(f"esep issues {month} --code {group.code.value}", config),
            ),
            hang=2,
        )
    if group.open_count or not is_blocking:
        say(message("  {hint}", hint=group.advice.hint))
    for command in group.advice.commands if group.open_count else ():
        say(message("    {command_line}", command_line=command_line(command.replace("SHORT-NAME", _example(group)), config)), hang=4)
    say()


def _example(group: IssueGroup) -> str:
    """The short name of the group's one open issue; SHORT-NAME where it has several."""
    open_ones = [view.name for view in group.issues if view.is_blocking]
    return open_ones[0] if len(open_ones) == 1 else "SHORT-NAME"


def _runs(group: IssueGroup) -> list[list[IssueView]]:
    """The issues one by one; warnings that differ in nothing but their day together, as nobody has to name them."""
    if group.code.severity is Severity.BLOCKING:
        return [[view] for view in group.issues]
    runs: dict[tuple[str, ...], list[IssueView]] = {}
    for view in sorted(group.issues, key=lambda view: str(view.day or "")):
        key = (view.amount, view.about, view.miner_id, *_further(view))
        runs.setdefault(key, []).append(view)
    return list(runs.values())


def _print_issue(run: list[IssueView]) -> None:
    view = run[0]
    name = f"{view.name}  " if view.code.severity is Severity.BLOCKING else ""
    days = [day_words(one.day) for one in run if one.day]
    day = (
        days[0]
        if len(days) == 1
        else message("{first} … {last}, {count} days", first=days[0], last=days[-1], count=len(days))
        if days
        else ""
    )
    miner = f"{view.miner_id} {view.miner}".strip()
    amount, space, asset = view.amount.partition(" ")
    parts = [day, f"{amount_words(amount)}{space}{asset}", view.about, miner]
    say(message("  {name}{parts}", name=name, parts=joined("  ", [part for part in parts if part])), hang=6 if name else 2)
    for line in _ref_lines(":".join(_further(view))):
        say(f"        {line}" if name else f"    {line}")
    if view.waived_by:
        say(message("        waived by {waived_by}", waived_by=view.waived_by), hang=2)
    if view.lapsed:
        say(joined("", ["        ", view.lapsed]), hang=2)


def _further(view: IssueView) -> list[str]:
    """The parts of the ref that its line does not show already."""
    shown = {*view.about.replace(",", " ").split(), view.miner_id, str(view.day)}
    return [part for part in view.ref.split(":") if part not in shown]


def _ref_lines(ref: str) -> list[str]:
    """The ref; on a terminal that is too narrow for it broken behind its colons, never within a number or an address."""
    if not ref:
        return []
    if not out.is_terminal or len(ref) + 8 <= out.width:
        return [ref]
    lines = [""]
    for part in ref.replace(":", ":\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) + 8 > out.width:
            lines.append("")
        lines[-1] += part
    return lines
