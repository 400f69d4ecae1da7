"""`esep import …`: ledger and registry files into the log, first shown, then taken.

Enters: files. Leaves: what an import does, or would do (`--dry-run`): rows, instants, sums by asset and month, restatements, what is odd,
and what changes in the report of each open month.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.app.app import App
from pipeline.app.imports import RegistryContent, day_to_come_fault
from pipeline.closing.causes import change_word
from pipeline.closing.preview import MonthChange
from pipeline.model.errors import ConsentNeeded, EsepError, InputRefused, SettingsError
from pipeline.model.message import joined, message
from pipeline.model.plain import plain_name
from pipeline.texts import N_
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.review import Consent, Review, review_lines

from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, err, now, print_json, progress, say, settings_of
from .words import amount_words

FileArgument = Annotated[Path, typer.Argument(help="CSV, XLSX, ODS or Parquet.", metavar="FILE")]
SheetOption = Annotated[str | None, typer.Option("--sheet", help="The sheet of a workbook that has several.", metavar="NAME")]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="How the file is written: a ready profile, instead of the settings' one.", metavar="NAME")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what the import would do, and import nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Import although something in the file is odd.")]
RestateOption = Annotated[bool, typer.Option("--restate", help="Rows in the log already may move to another account, asset or month.")]
ByOption = Annotated[
    str, typer.Option("--by", help="Who agrees to what is odd (--yes) or moves (--restate): stands in the log.", metavar="PERSON")
]
SHOWN_ROWS = 20
ACCOUNTANTS_PROFILES = ("excel-kk", "excel-ru")
"""Profiles that a refused file is tried by, to tell the person of them."""


def _ledger(
    path: Path, kind: LedgerKind, how: tuple[str | None, str | None], config: Path, *, consent: Consent, is_dry: bool, as_json: bool
) -> None:
    """`how`: the sheet and the profile."""
    with App(settings_of(config), now) as app:
        try:
            _import_ledger(app, path, kind, how, consent=consent, is_dry=is_dry, as_json=as_json)
        except InputRefused as error:
            if how[1] is None and (fitting := _fitting_profile(app, path, kind, how[0])):
                hint = message("with --profile {name} the file is read whole: try it with --dry-run", name=fitting)
                raise InputRefused(error.source, error.faults, hint=hint) from None
            raise


def _fitting_profile(app: App, path: Path, kind: LedgerKind, sheet: str | None) -> str:
    """The profile of an accountant's spreadsheet by which the refused file would be read without a fault; "" for none. It is told, never taken by itself."""
    for name in ACCOUNTANTS_PROFILES:
        try:
            if not app.imports.review(path, kind, sheet=sheet, profile=name)[0].faults:
                return name
        except EsepError:
            continue
    return ""


def _import_ledger(
    app: App, path: Path, kind: LedgerKind, how: tuple[str | None, str | None], *, consent: Consent, is_dry: bool, as_json: bool
) -> None:
    (sheet, profile), name = how, plain_name(path.name)
    asks = not consent.to_oddities and sys.stdin.isatty() and err.is_terminal
    if is_dry or asks:
        with progress(message("reading {name}", name=name)):
            found, rows = app.imports.review(path, kind, sheet=sheet, profile=profile, may_move=consent.to_moves)
    if is_dry:
        changes = []
        if not found.faults:
            with progress(message("working out the open months")) as on_progress:
                changes = app.months.preview(kind, rows, on_progress)
        _print_review(name, found, changes, as_json=as_json, is_dry=True)
        if found.faults:
            raise InputRefused(name, [fault.at(name) for fault in found.faults])
        if found.questions and not consent.to_oddities:
            raise ConsentNeeded(name, found.questions)
        return
    if asks and found.questions and not found.faults:
        consent = replace(consent, to_oddities=_asked(name, found))
    if consent.to_oddities or consent.to_moves:
        consent = replace(consent, by=app.people.importer(consent.by, is_needed=False))
    with progress(message("importing {name}", name=name)):
        done = app.imports.ledger(path, kind, sheet=sheet, profile=profile, consent=consent)

    _print_review(name, done.review, [], as_json=as_json, is_dry=False)


def _asked(name: str, found: Review) -> bool:
    """Whether the person at the terminal agrees to what is odd."""
    say(f"{name}:")
    for question in found.questions:
        say(message("  - {line}", line=question), hang=2)
    return typer.confirm("Import it all the same?", default=False)


def _print_review(name: str, found: Review, changes: list[MonthChange], *, as_json: bool, is_dry: bool) -> None:
    if as_json:
        content: dict[str, Any] = asdict(found) | {"source": name, "is_dry_run": is_dry}
        content["faults"] = [fault.at(name) for fault in found.faults]
        if is_dry:
            content["open_months"] = [asdict(change) for change in changes]
        print_json(content)
        return
    for line in review_lines(name, found):
        say(line)
    if is_dry:
        say(message("  dry run: nothing was imported"))
    for change in changes:
        _print_change(change)


def _print_change(change: MonthChange) -> None:
    """What the report of one open month would become, and which issues would come and go: also where no row of the report differs."""
    if not change.row_count:
        say(message("  {month}: the report stays as it is ({rows_before} rows)", month=change.month, rows_before=change.rows_before))
    else:
        _print_rows(change)
    for word, issues in ((N_("    new issue: {issue}"), change.issues_new), (N_("    issue gone: {issue}"), change.issues_gone)):
        for issue in issues[:SHOWN_ROWS]:
            say(message(word, issue=issue))
        if len(issues) > SHOWN_ROWS:
            say(message("    … and {count} more", count=len(issues) - SHOWN_ROWS))


def _print_rows(change: MonthChange) -> None:
    """The rows of one month's report that would differ."""
    say(
        message(
            "  {month}: {rows_before} rows become {rows_after}; {row_count} row(s) differ",
            month=change.month,
            rows_before=change.rows_before,
            rows_after=change.rows_after,
            row_count=change.row_count,
        )
    )
    for asset, (before, after) in change.allocated.items():
        say(message("    allocated {asset}: {before} becomes {after}", asset=asset, before=amount_words(before), after=amount_words(after)))
    for row in change.rows[:SHOWN_ROWS]:
        say(message("    {change}: {id} {told}", change=change_word(row.change), id=row.allocation_id, told=row.told), hang=2)
    if change.row_count > SHOWN_ROWS:
        say(
            message(
                "    … and {row_count} more (--json has up to {count})", row_count=change.row_count - SHOWN_ROWS, count=len(change.rows)
            )
        )


def allocations(  # noqa: PLR0913 - a command's options are its parameters
    file: FileArgument, sheet: SheetOption = None, profile: ProfileOption = None, dry_run: DryRunOption = False, yes: YesOption = False, restate: RestateOption = False,
    by: ByOption = "", as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG,
) -> None:  # fmt: skip
    """What the pool credited to its miners.

    A file is taken whole or refused whole, with every fault by line (exit code 4). A row that is in the log already is passed
    over, a changed one restates it, and both versions stay. --dry-run shows it all, and what changes in the report of each open
    month, and imports nothing. Other headings than ours: the table's settings in docs/import.md.

    [dim]esep import allocations october.csv --dry-run[/dim]
    """
    _ledger(file, "allocations", (sheet, profile), config, consent=Consent(yes, restate, by.strip()), is_dry=dry_run, as_json=as_json)


def payments(  # noqa: PLR0913 - a command's options are its parameters
    file: FileArgument, sheet: SheetOption = None, profile: ProfileOption = None, dry_run: DryRunOption = False, yes: YesOption = False, restate: RestateOption = False,
    by: ByOption = "", as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG,
) -> None:  # fmt: skip
    """What the pool's ledger believes it paid.

    As with allocations: whole or not at all, again and again without harm.

    [dim]esep import payments october.xlsx --sheet Payouts[/dim]
    """
    _ledger(file, "payments", (sheet, profile), config, consent=Consent(yes, restate, by.strip()), is_dry=dry_run, as_json=as_json)


def openings(  # noqa: PLR0913 - a command's options are its parameters
    file: FileArgument, sheet: SheetOption = None, profile: ProfileOption = None, dry_run: DryRunOption = False, yes: YesOption = False, restate: RestateOption = False,
    by: ByOption = "", as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG,
) -> None:  # fmt: skip
    """What the pool owed when its records begin (rule 6.4).

    [dim]esep import openings openings.csv[/dim]
    """
    _ledger(file, "openings", (sheet, profile), config, consent=Consent(yes, restate, by.strip()), is_dry=dry_run, as_json=as_json)


def registry(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A folder with miners, licences, accounts, wallets, perhaps counterparties; or a workbook with these sheets.",
            metavar="DIR|FILE",
        ),
    ],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """The registry of miners, licences, accounts and wallets: a whole version at a time.

    Each table is a CSV, XLSX or Parquet file of that name. What the rules will raise as issues is printed as warnings.

    [dim]esep import registry registry/[/dim]

    [dim]esep import registry registry.xlsx[/dim]
    """
    with App(settings_of(config), now) as app:
        if dry_run:
            with progress(message("reading {name}", name=plain_name(folder.name))):
                read = app.imports.read_registry(folder)
            with progress(message("working out the open months")) as on_progress:
                differ, changes = app.months.preview_registry(read.content, on_progress)
            _print_registry_review(read, differ, changes, as_json=as_json)
            return
        with progress(message("reading {name}", name=plain_name(folder.name))):
            done = app.imports.registry(folder)
    if as_json:
        print_json(asdict(done))
        return
    counts = _kinds(done.rows.items())
    say(
        message(
            "registry version {version} {more}: {counts}",
            version=done.version,
            more=message("imported") if done.is_new else message("is in force already"),
            counts=counts,
        )
    )
    for warning in done.warnings:
        say(message("  warning: {warning}", warning=warning))


_KINDS = {"miners": N_("{count} miners"), "licences": N_("{count} licences"), "accounts": N_("{count} accounts"), "wallets": N_("{count} wallets"), "counterparties": N_("{count} counterparties")}  # fmt: skip


def _kinds(rows: Iterable[tuple[str, int]]) -> str:
    """How many rows each table of a registry has."""
    return joined(", ", [message(_KINDS[kind], count=count) for kind, count in rows])


def _print_registry_review(read: RegistryContent, differ: dict[str, tuple[int, int]], changes: list[MonthChange], *, as_json: bool) -> None:
    """What importing a registry would do."""
    rows = {kind: len(rows) for kind, rows in read.content.items()}
    if as_json:
        tables = {kind: {"added": come, "gone": go} for kind, (come, go) in differ.items()}
        print_json(
            {
                "rows": rows,
                "differ": tables,
                "warnings": read.warnings,
                "is_dry_run": True,
                "open_months": [asdict(c) for c in changes],
            }
        )
        return
    say(message("registry: {names}", names=_kinds(rows.items())))
    for kind, (come, go) in differ.items():
        say(message("  {kind}: {come} row(s) new or changed, {go} gone or as they were before", kind=kind, come=come, go=go))
    if not differ:
        say(message("  says what is in force already"))
    for warning in read.warnings:
        say(message("  warning: {warning}", warning=warning))
    for change in changes:
        _print_change(change)
    say(message("  dry run: nothing was imported"))


def complete(
    through: Annotated[str, typer.Argument(help="The last day, as 2026-10-31 (Asia/Almaty).", metavar="DAY")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Declare that the ledger holds everything through a day: a month can't close before its last day is declared (rule 8.1).

    [dim]esep import complete 2026-10-31[/dim]
    """
    try:
        day = date.fromisoformat(through)
    except ValueError:
        raise SettingsError(
            [message("DAY: {through} is not a day: write it as 2026-10-31", through=repr(through))], source="esep import complete"
        ) from None
    if fault := day_to_come_fault(day, now()):
        raise SettingsError([message("DAY: {fault}", fault=fault)], source="esep import complete")
    with App(settings_of(config), now) as app:
        is_new = app.imports.declare_complete(day)
    say(message("the ledger is complete through {day}{more}", day=day, more="" if is_new else message(", as was declared before")))
