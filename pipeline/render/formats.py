"""A month's document into files: JSON, XLSX and PDF side by side.

What enters: a `Document`, a directory, languages and formats. What leaves: `report.json`, `report.xlsx`, `report.pdf`
(Kazakh, the form's own language) and `report.LANGUAGE.xlsx`, `report.LANGUAGE.pdf` for the others. JSON has no language.
The canonical CSV is not among them: its bytes are the digest, and the bundle already has it (`canonical.write_report_csv`).
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from pipeline.model.durable import atomic_file
from pipeline.model.message import grouped, message

from .document import Document
from .file_names import FORMATS, Format, check_format, file_name
from .form import Language


def render_all(
    document: Document,
    directory: Path,
    *,
    languages: Sequence[Language] = ("kk",),
    formats: Sequence[Format] = FORMATS,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write every format in every language; the files written, in that order. `progress` is told each file, and how many of its rows are done.

    Raises EsepError for a format or language that is not one of ours, or a text that a workbook's cell can't hold.
    """
    written: list[Path] = []
    for one in formats:
        for language in languages:
            path = directory / file_name(one, language)
            if path not in written:
                progress(path.name)
                render_one(
                    document,
                    path,
                    format=one,
                    language=language,
                    on_progress=functools.partial(_say, progress, path.name, document.rows.height),
                )
                written.append(path)
    return written


def _say(progress: Callable[[str], None], name: str, total: int, done: int) -> None:
    progress(message("{name}: {done} of {total} rows", name=name, done=grouped(done), total=grouped(total)))


def render_one(
    document: Document, path: Path, *, format: Format, language: Language = "kk", on_progress: Callable[[int], None] = lambda _: None
) -> None:
    """Write one file; it appears under its name only when it is whole. `language` says nothing to JSON. `on_progress`: how many rows are done."""
    check_format(format, language)
    with atomic_file(path, mode=None) as file:
        _write(document, file, path, format, language, on_progress)


def _write(document: Document, file: IO[bytes], path: Path, format: Format, language: Language, on_progress: Callable[[int], None]) -> None:
    # Each library is loaded only when its format is asked for: the command line starts quicker.
    if format == "json":
        from .json_report import write_report_json

        write_report_json(document, file, on_progress=on_progress)
    elif format == "xlsx":
        from .xlsx import write_xlsx

        # The rows take a gigabyte per million before compression: in the target's folder, not in the system's temporary one.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            write_xlsx(document, file, language=language, folder=Path(folder), on_progress=on_progress)
    else:
        from .pdf import write_pdf

        write_pdf(document, file, language=language, on_progress=on_progress)
