"""What a frozen month came to, where its papers lie, and who acts next: the end of `freeze`, `approve`, `close` and of the demo.

Enters: a month's newest version in the log and its bundle. Leaves: `MonthSummary`, as stated in the bundle's manifest. Left out: printing (`cli`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.model.errors import EsepError, MonthError
from pipeline.model.message import message, text_of
from pipeline.model.months import Month

from .app import App
from .overview import Move, move_of_step, outbox_of


@dataclass(frozen=True)
class MonthSummary:
    """A frozen month."""

    month: Month
    version: int
    state: str
    folder: Path
    digest: str
    rows: int
    totals: dict[str, Any]
    """Amounts by asset as the manifest has them (`printed_totals`)."""
    papers: list[Path]
    """The printed form: PDF and XLSX in each language."""
    signer: str
    outbox: Path | None
    submission_id: str
    receipt: str
    next: Move


def month_summary(app: App, month: Month) -> MonthSummary:
    """The month's newest version. Raises MonthError for a month that is not frozen, VerifyError for a bundle that can't be read or rebuilt."""
    app.diary.refresh()
    life = app.diary.life(month)
    if not life.frozen:
        raise MonthError(message("{month} is not frozen yet: esep freeze {month} --by NAME", month=month))
    event = life.frozen[life.version]
    folder = app.months.restore(event)
    from pipeline.verify.shapes import read_manifest

    manifest = read_manifest(folder)
    last = life.submission if life.submission is not None and life.submission.event.version == life.version else None
    try:
        move = move_of_step(app.desk.closing.foresee_month(month, app.now(), unmet=[]))
    except EsepError as error:
        move = Move("you", text_of(error), "esep doctor")
    return MonthSummary(
        month=month,
        version=life.version,
        state=str(life.state()),
        folder=folder,
        digest=event.digest,
        rows=manifest["rows"],
        totals=manifest["totals"],
        papers=sorted(path for kind in ("pdf", "xlsx") for path in folder.glob(f"report*.{kind}")),
        signer=life.signed[life.version].signer if life.version in life.signed else "",
        outbox=outbox_of(app, life),
        submission_id=last.event.submission_id if last is not None else "",
        receipt=(last.receipt or "") if last is not None else "",
        next=move,
    )
