"""The PDF: everything on it, nothing over the edges, the same bytes whatever the environment."""

import io
import re
from array import array
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from reportlab.pdfbase.pdfdoc import PDFDocument

from pipeline.render import Document, pdf, pdf_page, pdf_table
from pipeline.render.form import LANGUAGES, Language, form
from pipeline.render.pdf import FormPdfs, write_pdf
from pipeline.render.pdf_page import INNER, Paper
from pipeline.render.pdf_table import Table, page_breaks, shown
from pipeline.render.pdf_text import printable, width_pt

from .documents import FROZEN_AT, HARD_ROWS, ROW, CountedRows, document, example, hard, of_rows


def pdf_bytes(made: Document, language: Language = "kk") -> bytes:
    file = io.BytesIO()
    write_pdf(made, file, language=language)
    return file.getvalue()


def opened(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content))


def bare(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_on_the_pages_in_order(language: Language) -> None:
    made = hard()
    text = bare("".join(page.extract_text() for page in opened(pdf_bytes(made, language)).pages))
    assert_in_order(text, made, language)
    for value in ("9" * 38, "123.000000000000000001"):
        assert bare(value) in text


def assert_in_order(text: str, made: Document, language: Language) -> None:
    """All of the form is in the text: its words, and every row's values one after another."""
    at = 0
    for row in made.rows.iter_rows():
        for column, value in zip(form().column, row, strict=True):
            if value:
                place = text.find(bare(printable(shown(column, value))), at)
                assert place >= at, f"{column.name} {value!r} is not after what comes before it"
                at = place
    words = form().text[language]
    for one in (words.title, words.note, words.executor, words.head, words.full_name, words.translation_note, words.totals):
        assert bare(one) in text
    for value in made.header.values():
        assert bare(value) in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_form_too_long_for_paper_says_where_its_rows_are(language: Language) -> None:
    made = replace(example(), pdf_rows=1_000)
    (page,) = opened(pdf_bytes(made, language)).pages
    text, words = bare(page.extract_text()), form().text[language]
    name = "report.xlsx" if language == "kk" else f"report.{language}.xlsx"
    assert bare(words.rows_elsewhere.format(rows=made.rows.height, xlsx=name)) in text and made.digest in text
    for one in (words.title, words.note, words.executor, words.head, words.totals, *made.header.values()):
        assert bare(one) in text
    assert not any(wallet in text for wallet in made.rows["wallet"].unique())


@pytest.mark.parametrize("limit", [1, 999, 1_437, 5_000])
def test_a_limit_that_leaves_nothing_out_or_too_much_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="leaves rows out only beyond a limit"):
        replace(example(), pdf_rows=limit)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_page_says_which_of_how_many_and_of_what(language: Language) -> None:
    made = of_rows(example().rows.head(90))
    pages = opened(pdf_bytes(made, language)).pages
    assert len(pages) >= 3
    for number, page in enumerate(pages, 1):
        text = page.extract_text()
        assert form().text[language].page.format(page=number, pages=len(pages)) in text
        assert made.digest in text
        assert [float(side) for side in page.mediabox[2:]] == pytest.approx([841.89, 595.28], abs=0.1)
    # The numbered columns are repeated on every page that has rows.
    for page in pages[:-1]:
        assert re.search(r"\b" + r"\s+".join(map(str, range(1, 16))) + r"\b", page.extract_text())


def test_metadata_names_the_form_its_language_and_the_day_it_was_frozen() -> None:
    reader = opened(pdf_bytes(document([{}]), "ru"))
    assert reader.metadata is not None
    assert reader.metadata.title == f"ЦМПМ1 2026-10: {form().text['ru'].title}"
    assert reader.metadata.author == "ЖШС «Мысал пул»"
    assert reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.timestamp() == FROZEN_AT
    assert reader.trailer["/Root"]["/Lang"] == "ru-KZ"
    assert document([{}]).digest in str(reader.metadata.get("/Keywords"))


def test_fonts_are_embedded() -> None:
    fonts = [font.get_object() for font in opened(pdf_bytes(document([{}]))).pages[0]["/Resources"]["/Font"].values()]
    described = [font["/FontDescriptor"] for font in fonts if "/FontDescriptor" in font]
    assert described
    assert all("/FontFile2" in descriptor for descriptor in described)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_rows_is_an_empty_form_that_says_so(language: Language) -> None:
    pages = opened(pdf_bytes(document([]), language)).pages
    assert len(pages) == 1
    text = bare(pages[0].extract_text())
    assert bare(form().text[language].no_rows) in text
    assert bare(form().text[language].head) in text


cells = (
    st.none() | st.text(max_size=80) | st.sampled_from(["9" * 38, "0." + "1" * 37, "2026-10-31", "1234567.123456", "слово " * 9, "W" * 90])
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(document([]).rows.columns)), cells), min_size=1, max_size=4), st.sampled_from(LANGUAGES)
)
def test_no_cell_runs_over_and_none_loses_a_character(rows: list[dict[str, str | None]], language: Language) -> None:
    made = document(rows)
    table = FormPdfs(made).table(language)
    assert table.geometry.edges[-1] == pytest.approx(INNER)
    assert all(right - left > 12 for left, right in pairwise(table.geometry.edges))
    for number, lines in enumerate(table.geometry.headings):
        assert all(width_pt(line, table.look.heading_size) <= table.geometry.room(number) + 0.01 for line in lines)
    for values in made.rows.iter_rows():
        for number, value in enumerate(values):
            if value:
                cell = table.cell(number, value)
                assert bare("".join(line for line, _ in cell.lines)) == bare(printable(shown(form().column[number], value)))
                assert all(len(line) == 1 or width + cell.off_right <= table.geometry.room(number) + 0.01 for line, width in cell.lines)


def test_decimal_points_of_a_column_stand_in_line() -> None:
    made = document([{"amount": "12.5"}, {"amount": "0.12345678"}, {"amount": "1000"}])
    table = FormPdfs(made).table("kk")
    points = []
    for value in ("12.5", "0.12345678", "1000"):
        cell = table.cell(8, value)
        whole = table.body.width(value.partition(".")[0])
        points.append(-cell.off_right - cell.lines[0][1] + whole)
    assert points == pytest.approx([points[0]] * 3)


@given(st.lists(st.floats(1, 700), max_size=40), st.floats(-50, 400), st.floats(300, 500))
def test_page_breaks_keep_every_row_once_and_in_its_page(heights: list[float], first_room: float, room: float) -> None:
    pages = page_breaks(array("d", heights), first_room, room)
    assert [number for start, end in pages for number in range(start, end)] == list(range(len(heights)))
    for page, (start, end) in enumerate(pages):
        used, limit = sum(heights[start:end]), room if page else first_room
        assert used <= limit + 1e-6 or end - start <= 1, "only a row that is higher than a page may run over"


LONG_NAMES = (
    "Товарищество с ограниченной ответственностью «Цифровой майнинг Казахстан — Павлодарский дата-центр № 39»",
    "«Қазақстан Цифрлық Майнинг Технологиялары» жауапкершілігі шектеулі серіктестігінің Екібастұз қаласындағы филиалы және оның өкілдігі",
)


def test_long_names_have_three_lines_at_most() -> None:
    taproot = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
    made = document([{"miner_name": name, "wallet": taproot} for name in LONG_NAMES])
    table, former = FormPdfs(made).table("kk"), FormPdfs(replace(made, layout=1)).table("kk")
    for values in made.rows.iter_rows():
        assert max(len(table.cell(number, value).lines) for number, value in enumerate(values) if value) <= 3
        assert len(former.cell(2, values[2]).lines) > 3


@pytest.mark.parametrize("rows", range(14, 60, 3))
def test_signatures_are_never_on_a_page_without_the_totals(rows: int) -> None:
    made = document([{}] * rows)
    pages = [bare(page.extract_text()) for page in opened(pdf_bytes(made, "ru")).pages]
    signed = [page for page in pages if bare(form().text["ru"].executor) in page]
    assert len(signed) == 1 and bare(form().text["ru"].totals) in signed[0]


def test_totals_that_fill_more_than_a_page_leave_the_last_ones_with_the_signatures() -> None:
    totals = {"allocated_in_month": {f"ASSET{number}": "1.5" for number in range(70)}}
    pages = [bare(page.extract_text()) for page in opened(pdf_bytes(document([{}], totals=totals), "ru")).pages]
    assert bare(form().text["ru"].executor) in pages[-1] and "ASSET69" in pages[-1] and "ASSET0" not in pages[-1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_made_once_is_the_same_bytes(language: Language) -> None:
    """Plain numbers by their shape, and what stands on every page at the same place, beside each made by itself."""
    amounts = [
        "0",
        "7",
        "12.5",
        "1.25",
        "1234",
        "98.25",
        "1.",
        "٣.5",
        "0.00000001",
        "12345678.90123456",
        "1" * 70,
        "2" * 70,
        "." + "4" * 60,
        None,
    ]
    numbers = [{"amount": one, "transfer_amount": one, "miner_id": one, "wallet": one, "transfer_date": one} for one in amounts]
    made = of_rows(pl.concat([document([*HARD_ROWS, *numbers]).rows.slice(0), example().rows.slice(0, 250)] * 2))
    quick = pdf_bytes(made, language)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "shape", lambda *_: None)
        patch.setattr(Table, "_without_numbers_of_one_line", lambda _, __, distinct: distinct)
        patch.setattr(Paper, "repeat", lambda _, __, draw: draw())
        assert pdf_bytes(made, language) == quick
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf_table, "KNOWN_LIMIT", 2)
        patch.setattr(pdf_table, "ROWS_AT_ONCE", 7)
        assert pdf_bytes(made, language) == quick


class LibraryPages(PDFDocument):
    """reportlab's own document, in the place of ours."""

    def __init__(self, _file: IO[bytes] | None, _folder: Path | None, *, common: None, **settings: Any) -> None:
        super().__init__(**settings)

    def close(self) -> None:
        """Its pages go with it."""


@pytest.mark.parametrize("made", [document([]), hard(), example()], ids=["no rows", "hard rows", "the example month"])
def test_pages_put_aside_make_the_library_s_file(made: Document) -> None:
    """Until layout 2; since then a page with rows has its content in several streams."""
    made = replace(made, layout=2)
    ours = pdf_bytes(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf_page, "StoredPages", LibraryPages)
        assert pdf_bytes(made) == ours


def test_all_languages_of_a_document_are_the_bytes_of_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [pdf_bytes(hard(), language) for language in LANGUAGES]
    measured: list[object] = []
    monkeypatch.setattr(pdf, "measure", lambda *of: measured.append(pdf_table.measure(*of)) or measured[-1])
    files = []
    with closing(FormPdfs(hard())) as pdfs:
        for language in LANGUAGES:
            file = io.BytesIO()
            pdfs.write(file, language=language)
            files.append(file.getvalue())
    assert files == alone and len(measured) == 1


def long_names() -> Document:
    """A month of several pages, whose names and wallets take several lines."""
    wallets = ("bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", ROW["wallet"])
    return document([{"miner_name": f"{LONG_NAMES[number % 2]} {number % 7}", "wallet": wallets[number % 3 % 2]} for number in range(130)])


def rows_drawn(page: Any) -> bytes:
    """The stream that has the page's rows: the last but one."""
    streams = [one.get_object() for one in page["/Contents"]]
    return bytes(streams[-2]._data)  # as it lies in the file


@pytest.mark.parametrize("made", [hard(), example(), long_names()], ids=["hard rows", "the example month", "long names"])
def test_a_further_language_has_the_rows_of_the_first_and_reads_none(made: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = CountedRows(made.rows)
    alone = [pdf_bytes(made, language) for language in LANGUAGES]
    pdfs, files = FormPdfs(replace(made, rows=rows)), []
    with closing(pdfs):
        for language in LANGUAGES:
            file = io.BytesIO()
            pdfs.write(file, language=language)
            files.append(file.getvalue())
            if language == LANGUAGES[0]:
                read, rows.read = rows.read, 0
                monkeypatch.setattr("pipeline.render.pdf_grid._draw_rows", None)
    assert read > 0 and rows.read == 0
    assert files == alone, "whichever language is the first"
    readers = [opened(content) for content in files]
    with_rows = [[page for page in reader.pages if isinstance(page["/Contents"].get_object(), list)] for reader in readers]
    assert len(with_rows[0]) > 1 or made.rows.height < 20
    assert [len(pages) for pages in with_rows] == [len(with_rows[0])] * 3
    for pages in zip(*with_rows, strict=True):
        assert len({rows_drawn(page) for page in pages}) == 1
    fonts = {bytes(font["/FontDescriptor"]["/FontFile2"].get_data()) for reader in readers for font in fonts_of(reader, "-Rows")}
    assert len(fonts) == len(fonts_of(readers[0], "-Rows")), "the same shapes under the same codes"
    for language, reader in zip(LANGUAGES, readers, strict=True):
        assert_in_order(bare("".join(page.extract_text() for page in reader.pages)), made, language)


def fonts_of(reader: PdfReader, name: str) -> list[Any]:
    fonts = [font.get_object() for font in reader.pages[0]["/Resources"]["/Font"].values()]  # type: ignore[index]
    return [font for font in fonts if str(font["/BaseFont"]).endswith(name)]


def test_a_first_row_too_high_for_the_first_page_is_not_called_none() -> None:
    made = document([{"miner_name": "слово " * 400}] * 2)
    for language in LANGUAGES:
        pages = [bare(page.extract_text()) for page in opened(pdf_bytes(made, language)).pages]
        assert len(pages) > 2 and not any(bare(form().text[language].no_rows) in page for page in pages)
        assert not any("словослово" in page for page in pages[:1])


def test_a_pdf_after_one_that_failed_is_whole() -> None:
    with closing(FormPdfs(hard())) as pdfs:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="full"):
            patch.setattr("pipeline.render.pdf_common.CommonRows.add", lambda *_: (_ for _ in ()).throw(OSError("full")))
            pdfs.write(io.BytesIO(), language="ru")
        file = io.BytesIO()
        pdfs.write(file, language="ru")
    assert file.getvalue() == pdf_bytes(hard(), "ru")
