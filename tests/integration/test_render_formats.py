"""Files side by side: names, languages, and nothing half-written."""

from pathlib import Path

import pytest

from pipeline.model.errors import EsepError
from pipeline.render import render_all
from tests.reports import render_one

from ..unit.render.documents import document


def test_kazakh_has_the_plain_names_and_others_their_own(tmp_path: Path) -> None:
    written = render_all(document([{}]), tmp_path, languages=("kk", "ru", "en"))
    names = ["report.json", "report.xlsx", "report.ru.xlsx", "report.en.xlsx", "report.pdf", "report.ru.pdf", "report.en.pdf"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert all(path.stat().st_size > 500 for path in written)


def test_what_fails_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.xlsx"
    path.write_bytes(b"as it was")
    with pytest.raises(EsepError):
        render_one(document([{"wallet": "x" * 40_000}]), path, format="xlsx")
    assert [found.name for found in tmp_path.iterdir()] == ["report.xlsx"]
    assert path.read_bytes() == b"as it was"


def test_unknown_formats_and_languages_are_named(tmp_path: Path) -> None:
    with pytest.raises(EsepError, match="'docx' is not a format"):
        render_all(document([]), tmp_path, formats=("docx",))  # type: ignore[arg-type]
    with pytest.raises(EsepError, match="'de' is not a language"):
        render_all(document([]), tmp_path, languages=("de",))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
