"""A bundle is checked where Python has another zlib than where it was frozen: the same documents in other bytes are no fault, whatever else differs is one."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.model.packed import zlib_here
from pipeline.render import Document, Printer
from pipeline.render.form import LANGUAGES

from ..other_zlib import another_zlib
from .forger import came_to, manifest_of, resealed, verdict_on
from .test_manifest import another_bin, another_cell, another_pdf, drawn_over, repacked, setting

CHANGED = "rendered anew it comes out different"


def test_which_zlib_it_is_is_said_by_what_it_makes() -> None:
    here = zlib_here()
    with another_zlib():
        there = zlib_here()
    assert here.split()[0] == there.split()[0] and here != there == there.strip() and zlib_here() == here


def test_the_same_documents_deflated_otherwise_are_no_fault(bundle: Path, tmp_path: Path) -> None:
    with another_zlib():
        for format in ("xlsx", "pdf"):
            with Printer(Document.load(bundle), tmp_path) as printer:
                printer.print(tmp_path / f"report.{format}", format=format, language="kk")  # type: ignore[arg-type]
            assert (tmp_path / f"report.{format}").read_bytes() != (bundle / f"report.{format}").read_bytes()
        assert verdict_on(bundle) == (set(), "", 0)


def test_a_manifest_of_before_that_names_no_zlib_is_none_either(bundle: Path) -> None:
    """Of layout 3; of layout 4 it is a fault."""
    former = dataclasses.replace(Document.load(bundle), layout=3)
    with Printer(former, bundle) as printer:
        for format in ("xlsx", "pdf"):
            for language in LANGUAGES:
                path = bundle / f"report.{format}" if language == "kk" else bundle / f"report.{language}.{format}"
                if path.exists():
                    printer.print(path, format=format, language=language)  # type: ignore[arg-type]

    def change(manifest: dict[str, object]) -> None:
        manifest["layout"] = 3
        del manifest["software"]["zlib"]  # type: ignore[attr-defined]

    resealed(bundle, change)
    with another_zlib():
        assert came_to(bundle, "documents") == (set(), "", 0)
    resealed(bundle, setting("layout", to=4))
    failing, said, code = came_to(bundle, "documents")
    assert (failing, code) == ({"documents"}, 8) and "the manifest names no version of zlib" in said


@pytest.mark.parametrize("forge", [another_bin, another_cell, another_pdf])
def test_what_says_something_else_is_a_fault_there_too(bundle: Path, forge: Callable[[Path], None]) -> None:
    forge(bundle)
    resealed(bundle)
    with another_zlib():
        failing, said, code = verdict_on(bundle)
    assert (failing, code) == ({"documents"}, 8) and CHANGED in said


def _between(bundle: Path) -> None:
    """Bytes behind the last part of the workbook, which no list of parts names."""
    path = bundle / "report.xlsx"
    with zipfile.ZipFile(path, "a") as archive:
        archive.fp.seek(archive.start_dir)  # type: ignore[union-attr]
        archive.fp.write(b"something hidden")  # type: ignore[union-attr]
        archive.start_dir += 16
        archive._didModify = True  # type: ignore[attr-defined]


def _another_date(bundle: Path) -> None:
    path = bundle / "report.xlsx"
    with zipfile.ZipFile(path) as archive:
        parts = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in parts:
            info.date_time = (2026, 11, 1, 0, 0, 0)
            archive.writestr(info, content)


def _drawn_over(bundle: Path) -> None:
    repacked(bundle / "report.pdf", lambda writer: drawn_over(writer, b"1 1 1 rg 0 0 900 300 re f"))


@pytest.mark.parametrize("forge", [_between, _another_date, _drawn_over])
def test_what_another_version_of_a_writer_might_do_no_zlib_does(bundle: Path, forge: Callable[[Path], None]) -> None:
    """Of another version of their writer these are undecided, or the same to a reader."""
    forge(bundle)
    resealed(bundle)
    with another_zlib():
        failing, said, code = came_to(bundle, "documents")
    assert (failing, code) == ({"documents"}, 8) and CHANGED in said


def test_where_the_manifest_names_the_zlib_of_here_bytes_count(bundle: Path) -> None:
    path = bundle / "report.xlsx"
    with another_zlib(), Printer(Document.load(bundle), bundle) as printer:
        printer.print(path, format="xlsx", language="kk")
    resealed(bundle)
    assert manifest_of(bundle)["software"]["zlib"] == zlib_here()
    failing, said, code = came_to(bundle, "documents")
    assert (failing, code) == ({"documents"}, 8) and f"report.xlsx says something else than report.csv: {CHANGED}" in said
    resealed(bundle, setting("software", "zlib", to="1.3.1.zlib-ng 00000000"))
    assert came_to(bundle, "documents") == (set(), "", 0)
