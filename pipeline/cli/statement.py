"""`esep statement`: a month's statement for each miner, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer

from pipeline.app.app import App
from pipeline.assess.statement import statements_of
from pipeline.model.errors import MonthError, SettingsError
from pipeline.model.message import message
from pipeline.render.statement_formats import RECEIPT, STATEMENT_FORMATS, StatementFormat, write_receipt, write_statement
from pipeline.texts import LANGUAGES, Language

from .decisions import parse_month
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, MonthArgument, now, print_json, progress, say, settings_of, shown
from .months import LanguageName

FORMATS = (*STATEMENT_FORMATS, RECEIPT)


def statement(
    month: MonthArgument,
    miner: Annotated[str | None, typer.Option("--miner", help="One miner's IIN/BIN; every miner's when not given.", metavar="BIN")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Which frozen version; the newest when not given.", min=1)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write into.", show_default="statements/MONTH in `var`", metavar="DIR")
    ] = None,
    languages: Annotated[list[LanguageName] | None, typer.Option("--language", "-l", help="Say it several times for several.")] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help=f"{', '.join(FORMATS)}: several with commas; all when not given.", metavar="FORMATS"),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write each miner's statement of a month: the act of reconciliation (салыстыру актісі, акт сверки).

    Opening, allocated, settled and closing debt by asset, then each row with its allocation, transaction, combined sum and commission; rows of
    earlier months are marked. A frozen month's statement is made of its bundle's own files and says what was filed. A month that is not
    frozen gives a draft, marked so. A file holds one miner's rows and nobody else's.

    A receipt (BIN-v1.receipt.json) proves to the miner that its rows stand in the report that was filed: esep verify --receipt FILE checks it
    offline against the root in the filed manifest, and shows nothing of others' rows. Drafts have none.

    [dim]esep statement 2026-10 --miner 180141952211 --language ru --format pdf[/dim]
    """
    settings = settings_of(config)
    named = parse_month(month)
    wanted = parse_formats(formats or [])
    printed = [cast("StatementFormat", name) for name in wanted if name != RECEIPT]
    chosen = [cast("Language", name.value) for name in languages or []] or [LANGUAGES[0]]
    with App(settings, now) as app:
        with progress(message("reading the month")) as on_progress:
            tables = app.statements.tables(named, version, on_progress)
            receipts = app.statements.receipts(tables) if RECEIPT in wanted else None
        if receipts is None and wanted == [RECEIPT]:
            raise MonthError(message("{named}: there are receipts of frozen months only, from edition 3 of the rules on", named=named))
        folder = out or app.statements.folder(named)
        written: list[Path] = []
        count = 0
        with progress(message("writing"), total=1 if miner else len(tables.miners)) as on_progress:
            for count, one in enumerate(statements_of(tables, miner), 1):
                folder.mkdir(parents=True, exist_ok=True)
                written += write_statement(one, folder, languages=chosen, formats=printed)
                receipt = receipts.of(one.miner_id) if receipts is not None else None
                if receipt is not None:
                    written.append(write_receipt(one, msgspec.json.encode(receipt), folder))
                on_progress(count)
    what = message("draft") if tables.version is None else message("version {version}", version=tables.version)
    if as_json:
        print_json(
            {
                "month": str(named),
                "version": tables.version,
                "digest": tables.digest or None,
                "miners": count,
                "folder": folder,
                "files": written,
            }
        )
    else:
        say(
            message(
                "{named} {what}: {count} miner(s), {count2} file(s) in {folder}",
                named=named,
                what=what,
                count=count,
                count2=len(written),
                folder=shown(folder),
            )
        )


def parse_formats(said: list[str]) -> list[str]:
    """The formats of `--format csv,pdf`, said once or several times; all when none is said. Raises SettingsError."""
    names = [name.strip() for one in said for name in one.split(",")]
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise SettingsError(
            [message("--format: {name} is none of {FORMATS}", name=repr(name), FORMATS=", ".join(FORMATS)) for name in unknown],
            source="esep statement",
        )
    return list(dict.fromkeys(names)) or list(FORMATS)
