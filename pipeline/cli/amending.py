"""`esep amend`: what a further version of a frozen month would change, and the freeze of it."""

from __future__ import annotations

from pipeline.app.app import App
from pipeline.app.previews import drafted_rows
from pipeline.app.summary import month_summary
from pipeline.closing.causes import change_word
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.reason import require_reason

from .decisions import ByOption, ReasonOption, parse_month
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, MonthArgument, now, print_json, progress, say, settings_of, table
from .months import print_step
from .summary import print_summary
from .words import cause_of_row

_SHOWN_ROWS = 50


def amend(
    month: MonthArgument,
    by: ByOption = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show what changed since a month was frozen, row by row with its cause; with a name and a reason, freeze the further version.

    Causes: reorganisation, chain (blocks that came later), ledger (a restated row), registry (a late row), label, watch (the pool's wallets),
    rules (parameters in the settings, or a newer edition of the rules: rule 8.4); and where a row's own facts are the same, the row that it follows from.
    The further version is signed and filed as its own submission that names the one before (rule 8.3); the frozen one is never changed.

    [dim]esep amend 2026-10 --by "A. Person" --reason "licence 77 came late"[/dim]
    """
    named = parse_month(month)
    if by.strip() and not reason.strip():
        raise SettingsError(
            [message("--by and --reason: give both to freeze the further version, or none to look at it")], source="esep amend"
        )
    if reason.strip():
        require_reason(reason, "esep amend")
    with App(settings_of(config), now) as app:
        by = app.people.decider(by) if reason.strip() else ""
        with progress(message("comparing with the frozen version")) as on_progress:
            draft = app.desk.drafts.draft(
                named,
                by=by or "esep amend",
                reason=reason or message("looked at"),
                is_amendment=True,
                is_named=bool(by),
                on_progress=on_progress,
            )
        if draft is None:
            say(message("{named}: the report comes out as it was frozen: there is nothing to amend", named=named))
            return
        if as_json:
            print_json([{name: getattr(row, name) for name in row.__struct_fields__} for row in draft.rows])
        else:
            rows = draft.rows[:_SHOWN_ROWS]
            shown = [
                (change_word(row.change), cause_of_row(row), row.allocation_id, row.txid[:16], change.told)
                for row, change in zip(rows, drafted_rows(app, rows), strict=True)
            ]
            table(
                message("{named} v{version}: {row_count} row(s) differ", named=named, version=draft.version, row_count=draft.row_count),
                [message("change"), message("cause"), message("allocation"), message("transaction"), message("what")],
                shown,
            )
            if draft.row_count > _SHOWN_ROWS:
                say(
                    message(
                        "    … and {row_count} more (--json has up to {count})",
                        row_count=draft.row_count - _SHOWN_ROWS,
                        count=len(draft.rows),
                    )
                )
        if by:
            with app.stores.current() as store:
                outcome = app.months.freeze(store, named, by=by, reason=reason, is_amendment=True, progress=print_step)
            say(message("version {version} is frozen", version=outcome.version))
            print_summary(month_summary(app, named), config)
