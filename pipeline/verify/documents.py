"""The printed documents say what `report.csv` says: each is rendered anew and compared (rule 8.2).

Enters: a bundle. Leaves: faults, what was seen, what could not be compared. With the writers' same versions the bytes must be equal. With others they
may differ, and what a reader sees is compared: all of `report.json`, every cell of a workbook, everything that a PDF draws. A PDF or a workbook with the same text that is drawn
otherwise may be another version's layout, or hide something: it is named as undecided. Where the writers are the same and only Python's zlib is another one, the unpacked contents must be equal.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version as version_of
from pathlib import Path
from typing import cast

from pipeline.model.errors import VerifyError
from pipeline.model.message import joined, message
from pipeline.render import Document, Printer
from pipeline.render.file_names import FORMATS, Format, file_name
from pipeline.render.form import LANGUAGES, Language

from .files import digest_of
from .finding import Finding
from .opened import OpenBundle
from .pdf_seen import MAX_PDF_BYTES, pdf_seen, same_pdf
from .repacked import is_repacked
from .shapes import strict_json
from .workbook import same_workbook, workbook_seen

WRITERS: dict[str, tuple[str, ...]] = {"json": ("esep",), "xlsx": ("esep", "xlsxwriter"), "pdf": ("esep", "reportlab")}
"""The programs whose versions decide a document's bytes, besides zlib."""
ZLIB_NAMED_SINCE = 4
"""The first layout whose manifests name zlib (`zlib_here`)."""
MAX_DOCUMENT_BYTES = 4 << 30


def check_documents(bundle: OpenBundle) -> Finding:
    """Every document in every language that the manifest names."""
    languages = cast("list[Language]", bundle.manifest["languages"])
    if not languages or set(languages) - set(LANGUAGES) or len(set(languages)) != len(languages):
        raise VerifyError(message("the manifest names the languages {languages}", languages=languages))
    software, document = bundle.manifest["software"], Document.load(bundle.folder)
    named_writers = {name for names in WRITERS.values() for name in names} | ({"zlib"} if document.layout >= ZLIB_NAMED_SINCE else set())
    unnamed = sorted(named_writers - set(software))
    expected = {file_name(format, language): (format, language) for format in FORMATS for language in languages}
    named = {name for name in bundle.manifest["files"] if name.startswith("report.") and name != "report.csv"}
    faults = [message("{name} is no document of this version", name=name) for name in sorted(named - set(expected))]
    faults += [message("{name} is missing", name=name) for name in sorted(set(expected) - named)]
    faults += [message("the manifest names no version of {name}, which writes documents", name=name) for name in unnamed]
    undecided = []
    with tempfile.TemporaryDirectory(prefix="esep-verify-") as folder, Printer(document, Path(folder)) as printer:
        for name, (format, language) in expected.items():
            if name not in named:
                continue
            again = Path(folder) / name
            printer.print(again, format=format, language=language)
            if digest_of(again) == digest_of(bundle.folder / name):
                continue
            writers, is_same = _other_writers(software, format), same_document(again, bundle.folder / name, format, software)
            if is_same is None:
                undecided.append(
                    message(
                        "{name} was written by {writers}: it has the same text, or none that can be read here, and is drawn otherwise",
                        name=name,
                        writers=writers or f"zlib {software.get('zlib', 'unknown')}",
                    )
                )
            elif not is_same and writers:
                faults.append(message("{name} says something else than report.csv", name=name))
            elif not is_same:
                faults.append(message("{name} says something else than report.csv: rendered anew it comes out different", name=name))
    return Finding(
        faults,
        message("{expected} say what report.csv says, rendered anew", expected=", ".join(sorted(expected))),
        undecided=joined("; ", undecided),
    )


def same_document(ours: Path, theirs: Path, format: Format, software: dict[str, str]) -> bool | None:
    """Whether two files that differ are the same document. `software`: what wrote theirs, as its manifest says; None where that can't be told here.

    Raises what `_says_the_same` and `is_repacked` do, for a file that is no sound document.
    """
    return _says_the_same(ours, theirs, format) if _other_writers(software, format) else is_repacked(ours, theirs, format, software)


def _other_writers(software: dict[str, str], format: Format) -> str:
    """The programs that wrote the document in versions that are not here, in words; "" when all are the same."""
    others = [f"{name} {software.get(name, 'unknown')}" for name in WRITERS[format] if software.get(name) != version_of(name)]
    return joined(" and ", others)


def _says_the_same(ours: Path, theirs: Path, format: Format) -> bool | None:
    """Whether a reader sees the same in both; None where that can't be told here."""
    if format == "json":
        return cast("bool", strict_json(ours.read_bytes()) == strict_json(theirs.read_bytes()))
    if format == "xlsx":
        return same_workbook(workbook_seen(ours), workbook_seen(theirs))
    if max(ours.stat().st_size, theirs.stat().st_size) > MAX_PDF_BYTES:
        return None
    return same_pdf(pdf_seen(ours), pdf_seen(theirs))
