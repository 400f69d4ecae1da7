"""A month's document into files: JSON, XLSX and PDF side by side.

What enters: a `Document`, a directory, languages and formats. What leaves: `report.json`, `report.xlsx`, `report.pdf`
(Kazakh, the form's own language) and `report.LANGUAGE.xlsx`, `report.LANGUAGE.pdf` for the others. JSON has no language.
The canonical CSV is not among them: its bytes are the digest, and the bundle already has it (`canonical.write_report_csv`).
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipeline.model.durable import atomic_file
from pipeline.model.message import grouped, message

from .document import Document
from .file_names import FORMATS, Format, check_format, file_name
from .form import Language

if TYPE_CHECKING:
    from .pdf import FormPdfs
    from .xlsx import Workbooks


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
    with Printer(document, directory) as printer:
        for one in formats:
            for language in languages:
                path = directory / file_name(one, language)
                if path not in written:
                    progress(path.name)
                    told = functools.partial(_say, progress, path.name, document.rows.height)
                    printer.print(path, format=one, language=language, on_progress=told)
                    written.append(path)
    return written


def _say(progress: Callable[[str], None], name: str, total: int, done: int) -> None:
    progress(message("{name}: {done} of {total} rows", name=name, done=grouped(done), total=grouped(total)))


class Printer:
    """Writes a document's files one after another; what the files of a format have in common in all languages is made for the first of them. To be used as a context."""

    def __init__(self, document: Document, folder: Path) -> None:
        """`folder`: where rows lie until they are packed: they take a gigabyte per million before compression, too much for the system's temporary one."""
        self._document, self._folder = document, folder
        self._kept, self._kept_books = ExitStack(), ExitStack()
        self._books: Workbooks | None = None
        self._pdfs: FormPdfs | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._kept:
            self._drop_workbooks()

    def print(self, path: Path, *, format: Format, language: Language = "kk", on_progress: Callable[[int], None] = lambda _: None) -> None:
        """Write one file; it appears under its name only when it is whole. `language` says nothing to JSON. `on_progress`: how many rows are done.

        Raises EsepError for a format or language that is not one of ours, or a text that a workbook's cell can't hold.
        """
        check_format(format, language)
        with atomic_file(path, mode=None) as file:
            # Each library is loaded only when its format is asked for: the command line starts quicker.
            if format == "json":
                from .json_report import write_report_json

                write_report_json(self._document, file, on_progress=on_progress)
            elif format == "xlsx":
                self._workbooks().write(file, language=language, on_progress=on_progress)
            else:
                self._drop_workbooks()
                self._form_pdfs().write(file, language=language, on_progress=on_progress)

    def _form_pdfs(self) -> FormPdfs:
        if self._pdfs is None:
            from .pdf import FormPdfs

            self._pdfs = self._kept.enter_context(closing(FormPdfs(self._document, folder=self._folder)))
        return self._pdfs

    def _workbooks(self) -> Workbooks:
        if self._books is None:
            from .xlsx import Workbooks

            folder = self._kept_books.enter_context(tempfile.TemporaryDirectory(prefix=".report.xlsx.", dir=self._folder))
            self._books = self._kept_books.enter_context(closing(Workbooks(self._document, folder=Path(folder))))
        return self._books

    def _drop_workbooks(self) -> None:
        self._kept_books.close()
        self._books = None
