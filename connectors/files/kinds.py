"""Detects a file's format from its first bytes, and an archive's from its entries.

In: the file's bytes. Out: `csv`, `xlsx`, `ods` or `parquet`; or a message that says what it is instead and what to do. Left out: reading.
"""

from __future__ import annotations

import io
import re
import zipfile

from pipeline.model.message import message

_TO_CSV = message("save it as .xlsx, .ods or CSV")
_MAGIC = (
    (
        bytes.fromhex("d0cf11e0a1b11ae1"),
        message("is an old .xls workbook, or one with a password: save it as .xlsx without a password, or as CSV"),
    ),
    (b"%PDF", message("is a PDF document: ask for the table itself, as CSV or .xlsx")),
    (b"\x1f\x8b", message("is packed with gzip: unpack it")),
    (b"7z\xbc\xaf", message("is a 7-Zip archive: unpack it")),
    (b"Rar!", message("is a RAR archive: unpack it")),
    (b"{\\rtf", message("is an RTF document: open it and {to_csv}", to_csv=_TO_CSV)),
)


def kind_of(data: bytes) -> tuple[str, str]:
    """The format, and what is wrong with it: `("csv", "")`, or `("", "is a PDF document: …")`."""
    if data[:4] == b"PK\x03\x04":
        return _kind_of_archive(data)
    if data[:4] == b"PAR1":
        return "parquet", ""
    for magic, what in _MAGIC:
        if data.startswith(magic):
            return "", what
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if re.match(rb"(?:<!doctype html|<html|<head|<meta|<table|<style)", start) or (start.startswith(b"<") and b"<html" in start):
        return "", message("is a web page (HTML), whatever its name says: open it in a spreadsheet and {to_csv}", to_csv=_TO_CSV)
    if start.startswith(b"<?xml") and b"urn:schemas-microsoft-com:office:spreadsheet" in start:
        return "", message("is an XML spreadsheet of 2003: open it in a spreadsheet and {to_csv}", to_csv=_TO_CSV)
    if start.startswith(b"<?xml"):
        return "", message("is an XML document, not a table: {to_csv}", to_csv=_TO_CSV)
    if start.startswith((b'{"', b"[{", b"{\n", b"{\r", b"[\n")):
        return "", message("is JSON, not a table: export it as CSV")
    return "csv", ""


def _kind_of_archive(data: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [part.filename for part in archive.infolist()[:1000]]
            is_ods = "mimetype" in names and archive.getinfo("mimetype").file_size < 200
            mimetype = archive.read("mimetype") if is_ods else b""
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RuntimeError):
        return "xlsx", ""  # the reader says how it is broken
    lower = {name.lower() for name in names}
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return "ods", ""
    if mimetype:
        return "", message("is an OpenDocument file, and no spreadsheet: {to_csv}", to_csv=_TO_CSV)
    if "xl/workbook.bin" in lower:
        return "", message("is an Excel binary workbook (.xlsb): {to_csv}", to_csv=_TO_CSV)
    if "[content_types].xml" in lower or "_rels/.rels" in lower:
        if any(name.startswith("word/") for name in lower):
            return "", message("is a Word document, not a workbook: copy the table into a workbook, or save it as CSV")
        return "xlsx", ""
    if any(name.startswith("index/") and name.endswith(".iwa") for name in lower):
        return "", message("is a Numbers document: export it as .xlsx or CSV")
    inside = [name for name in names if not name.endswith("/")]
    what = repr(inside[0][:60]) if len(inside) == 1 else message("{count} files", count=len(inside))
    return "", message("is a zip archive that holds {what}: unpack it, and import the file inside", what=what)
