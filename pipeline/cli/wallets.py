"""`esep wallets …`: what the keys of the pool's addresses should sign, and the signatures brought in (ADR 15).

Enters: a file of signatures. Leaves: CSV on stdout, or events in the log. No private key is ever asked for.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.app import App
from pipeline.app.wallets import GivenSignature
from pipeline.model.errors import InputRefused
from pipeline.model.message import grouped, message, text_of
from pipeline.model.system_words import system_words

from .decisions import ByOption
from .frame import DEFAULT_CONFIG, ConfigOption, now, progress, say, settings_of

COLUMNS = ("chain", "wallet", "address", "message", "signature")
COLUMNS_READ = ("chain", "address", "signature")
MAX_FILE_BYTES = 16 << 20


def messages(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the pool's addresses as CSV, each with the message that its key should sign; signatures that the log holds stand there already.

    Sign with the wallet that holds the keys: `signmessage` (addresses that begin with 1, L, D), BIP 322 "simple" (bc1q…, bc1p…), `personal_sign` (0x…).
    Outputs of several keys, and contracts, can't sign so: they stay on the pool's word.

    [dim]esep wallets messages > wallets.csv[/dim]
    """
    with App(settings_of(config), now) as app:
        with progress(message("reading the log")) as on_progress:
            listed = app.wallets.listed(on_progress)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for line in listed:
            writer.writerow([line.chain, line.wallet, line.address, app.wallets.message(line.chain, line.address), line.signature or ""])
    say(out.getvalue().rstrip("\n"))


def take(
    file: Annotated[Path, typer.Argument(help="CSV with the columns chain, address, signature; others are passed over.", metavar="FILE")],
    by: ByOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Bring signatures into the log, so that the months frozen from now on carry them: an auditor sees that the spending wallets are the pool's.

    Each one is checked first; with a fault in any none is taken. Rows without a signature are passed over.

    [dim]esep wallets import wallets.csv --by "A. Person"[/dim]
    """
    settings = settings_of(config)
    with App(settings, now) as app:
        by = app.people.decider(by)
        given = _read(file)
        with progress(message("reading the log")) as on_progress:
            count, faults = app.wallets.take(given, by=by, on_progress=on_progress)
    if faults:
        raise InputRefused(file.name, faults)
    say(message("{count} signatures taken", count=count) if count else message("nothing new: the log holds these signatures"))


def _read(file: Path) -> list[GivenSignature]:
    """The rows with a signature. Raises InputRefused."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(message("is larger than {max_file_bytes} bytes", max_file_bytes=grouped(MAX_FILE_BYTES)))
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        why = system_words(error) if isinstance(error, OSError) else text_of(error)
        raise InputRefused(file.name, [message("can't be read: {why}", why=why)]) from error
    lacking = [name for name in COLUMNS_READ if rows and name not in rows[0]]
    if lacking or not rows:
        raise InputRefused(
            file.name, [message("lacks the columns {lacking}", lacking=", ".join(lacking)) if lacking else message("has no rows")]
        )
    given = (GivenSignature(number, *((row[name] or "").strip() for name in COLUMNS_READ)) for number, row in enumerate(rows, 2))
    return [row for row in given if row.signature]
