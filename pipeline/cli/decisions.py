"""`esep label`, `esep waive`: a person's decisions, appended to the log with a name and a reason."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from pipeline.app.app import App
from pipeline.assess.issue_names import short_name
from pipeline.model.errors import MonthError, SettingsError
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import message, text_of
from pipeline.model.months import Month
from pipeline.model.reason import is_reason

from .frame import DEFAULT_CONFIG, ConfigOption, MonthArgument, now, progress, say, settings_of

ByOption = Annotated[
    str, typer.Option("--by", help="Who decides: a person's name. With keys in force, the owner of the key at hand.", metavar="NAME")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in words that an auditor will read.", metavar="TEXT")]


def label(
    address: Annotated[str, typer.Argument(help="The address.", metavar="ADDRESS")],
    outflow_class: Annotated[str, typer.Argument(help="What it is: vendor, exchange, … a word of a-z, 0-9 and -.", metavar="CLASS")],
    name: Annotated[str, typer.Option("--name", help="Whose it is.", metavar="NAME")],
    reason: ReasonOption,
    by: ByOption = "",
    chain: Annotated[str | None, typer.Option("--chain", help="The chain it is on; needed only where there are several.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say whose address it is.

    Money that the pool sends to an address that is neither the pool's nor a miner's is an unknown outflow, and blocks the
    month (rule 3.5). A label gives it a class: it holds for every month, and the newest one counts.

    [dim]esep label bc1q… vendor --name "Power company" --by "A. Person" --reason "contract 17"[/dim]
    """
    from pydantic import TypeAdapter, ValidationError

    from pipeline.chains.networks import strict_address_on
    from pipeline.settings.models import ClassName

    settings = settings_of(config)
    chain = chain or (next(iter(settings.chains)) if len(settings.chains) == 1 else None)
    if chain not in settings.chains:
        raise SettingsError([message("--chain: say which one: {chains}", chains=", ".join(sorted(settings.chains)))], source="esep label")
    faults = _reason_faults(reason)
    try:
        TypeAdapter(ClassName).validate_python(outflow_class)
    except ValidationError as error:
        [fault] = error.errors()
        no_class = message("{name} is no class: write a word of a-z, 0-9 and -, such as vendor or exchange", name=repr(outflow_class))
        faults.append(message("CLASS: {fault}", fault=text_of(fault["ctx"]["error"]) if fault["type"] == "value_error" else no_class))
    try:
        address = strict_address_on(settings.network_of(chain), address)
    except ValueError as error:
        faults.append(message("ADDRESS: {error}", error=text_of(error)))
    if faults:
        raise SettingsError(faults, source="esep label")
    with App(settings, now) as app:
        by = app.people.decider(by)
        held = app.decisions.held().labels.get((chain, address))
        if held and (held.outflow_class, held.name, held.by, held.reason) == (outflow_class, name, by, reason):
            say(
                message(
                    "already labelled: {address} is {outflow_class} ({name})",
                    address=address,
                    outflow_class=held.outflow_class,
                    name=held.name,
                )
            )
            return
        app.decisions.label(chain=chain, address=address, outflow_class=outflow_class, name=name, by=by, reason=reason)
    say(
        message(
            "labelled: {address} on {chain} is {outflow_class} ({name})",
            address=address,
            chain=chain,
            outflow_class=outflow_class,
            name=name,
        )
    )


def waive(
    month: MonthArgument,
    code: Annotated[str, typer.Argument(help="The issue's code; or its short name alone, as `esep issues` prints it.", metavar="CODE")],
    reason: ReasonOption,
    by: ByOption = "",
    ref: Annotated[str | None, typer.Argument(help="The issue's ref; not needed after a short name.", metavar="[REF]")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take one blocking issue of one month upon yourself, by name and with a reason.

    A waiver does not change what the report says: it lets the month close although the issue stands (rule 8.1), and is
    printed in the frozen month's manifest. Only issues that the month has now can be waived; `esep issues` lists them, and with --next those that
    a further version of a frozen month would have. A waiver records the ids and amounts that the issue rests on, and lapses when they change (rule 8.5).

    [dim]esep waive 2026-10 k7qf --by "A. Person" --reason "refund, letter of 2 November"[/dim]

    [dim]esep waive 2026-10 unknown-outflow d4dc…dfd9:1 --by "A. Person" --reason "refund, letter of 2 November"[/dim]
    """
    import polars as pl

    from pipeline.assess.waivers import with_waivers

    settings = settings_of(config)
    named = parse_month(month)
    faults = _reason_faults(reason)
    if ref is not None and code not in {known.value for known in IssueCode if known.severity is Severity.BLOCKING}:
        near = difflib.get_close_matches(code, [known.value for known in IssueCode], n=1)
        faults.append(
            message(
                "CODE: {code} is no blocking issue{more}",
                code=repr(code),
                more=message(": did you mean {near}?", near=near[0]) if near else "",
            )
        )
    if faults:
        raise SettingsError(faults, source="esep waive")
    with App(settings, now) as app:
        by = app.people.decider(by)
        with progress(message("reading the log")) as on_progress, app.stores.current(on_progress) as store:
            state, assessed = app.months.assess(store, named, edition=app.rules.edition)
        issues = with_waivers(assessed.enriched.issues, state.waivers).filter(pl.col("severity") == "blocking")
        if ref is None:
            code, ref = _named(named, code, issues.select("code", "ref").rows())
        judged = issues.filter(pl.col("code") == code).to_dicts()
        found = next((row for row in judged if row["ref"] == ref), None)
        if found is not None and found["waived_by"]:
            say(
                message(
                    "already waived by {waived_by}: {code} {ref} ({waiver_reason})",
                    waived_by=found["waived_by"],
                    code=code,
                    ref=ref,
                    waiver_reason=found["waiver_reason"],
                )
            )
            return
        if found is None:
            near = difflib.get_close_matches(ref, [row["ref"] for row in judged if not row["waived_by"]], n=1, cutoff=0.8)
            listed = f"esep issues {named}{' --next' if app.months.frozen(named) else ''}"
            raise MonthError(
                message(
                    "{named} has no open issue {code} {ref}{more}",
                    named=named,
                    code=code,
                    ref=ref,
                    more=message(": did you mean {near}?", near=near[0]) if near else message(": {listed} lists them", listed=listed),
                )
            )
        app.decisions.waive(month=named, issue=found, by=by, reason=reason)
    say(message("waived: {named} {code} {ref}", named=named, code=code, ref=ref))


def _named(month: Month, name: str, issues: list[tuple[str, str]]) -> tuple[str, str]:
    """Code and ref of the blocking issue with this short name. Raises MonthError if none or several have it."""
    found = sorted({(code, ref) for code, ref in issues if short_name(code, ref) == name.lower()})
    if not found:
        raise MonthError(
            message(
                "{month} has no blocking issue with the short name {name}: esep issues {month} --blocking lists them; after a CODE the REF is needed",
                month=month,
                name=repr(name),
            )
        )
    if len(found) > 1:
        both = "; ".join(f"{code} {ref}" for code, ref in found)
        raise MonthError(
            message("{name} is the short name of several issues: {both}. Give CODE and REF, nothing was waived", name=name, both=both)
        )
    return found[0]


def parse_month(text: str) -> Month:
    """The month of an argument. Raises SettingsError that says the expected form."""
    try:
        return Month.parse(text)
    except ValueError as error:
        raise SettingsError([message("MONTH: {error}", error=text_of(error))], source="") from None


def _reason_faults(reason: str) -> list[str]:
    return [] if is_reason(reason) else [message("--reason: give a reason that an auditor can follow")]
