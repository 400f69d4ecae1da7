"""Breaking texts into lines: nothing is lost, nothing runs over."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from pipeline.render.form import LANGUAGES, Language, form
from pipeline.render.pdf_page import CellTexts, EncodedTexts
from pipeline.render.pdf_text import BOLD, REGULAR, Wrapper, fonts, printable, width_pt

WRAPPER = Wrapper(REGULAR, 6.2)
SOME_HYPHENS = Wrapper(REGULAR, 6.2, ["необеспе-ченного", "сәй-кестен-діру"])


def bare(text: str) -> str:
    return "".join(text.split())


@given(st.text(max_size=60) | st.text(alphabet="аәб -/«»=[]1\n", max_size=60), st.floats(8, 200))
def test_lines_hold_the_whole_text_and_fit(text: str, room: float) -> None:
    lines = WRAPPER.lines(text, room)
    assert bare("".join(lines)) == bare(printable(text))
    assert all(len(line) == 1 or WRAPPER.width(line) <= room + 1e-6 for line in lines)


@given(
    st.lists(st.sampled_from(["необеспеченного", "(необеспеченного,", "сәйкестендіру", "а", "«б»", "ЖСН/сәйкестендіру"])), st.floats(12, 90)
)
def test_hyphenated_words_lose_nothing_but_gain_hyphens_at_line_ends(words: list[str], room: float) -> None:
    text = " ".join(words)
    lines = SOME_HYPHENS.lines(text, room)
    # These texts have no hyphens of their own.
    assert bare("".join(line.removesuffix("-") for line in lines)) == bare(text)
    assert all(len(line) == 1 or SOME_HYPHENS.width(line) <= room + 1e-6 for line in lines)


def test_words_break_where_the_form_says_before_anywhere_else() -> None:
    room = SOME_HYPHENS.width("необеспе-") + 0.1
    assert SOME_HYPHENS.lines("необеспеченного", room) == ["необеспе-", "ченного"]
    assert WRAPPER.lines("ЖСН/БСН", WRAPPER.width("ЖСН/") + 0.1) == ["ЖСН/", "БСН"]


def test_balanced_lines_are_no_more_than_needed_and_leave_no_orphan() -> None:
    text = form().text["ru"].title
    wrapper = Wrapper(BOLD, 11)
    greedy, balanced = wrapper.lines(text, 630), wrapper.balanced(text, 630)
    assert len(greedy) == len(balanced)
    assert " ".join(balanced) == text
    assert min(map(wrapper.width, balanced)) > 0.6 * max(map(wrapper.width, balanced))


def test_characters_without_a_picture_are_spelt_out() -> None:
    assert printable("金a\x00\u200e🚀") == "[U+91D1]a[U+0000][U+200E][U+1F680]"
    assert printable("a\r\nb\tc\u00a0d") == "a b c d"


@pytest.mark.parametrize("font", [REGULAR, BOLD])
def test_the_fonts_have_every_letter_of_the_form(font: str) -> None:
    glyphs = fonts()[font].face.charToGlyph
    words = "".join(str(getattr(form().text[language], name)) for language in LANGUAGES for name in form().text[language].__struct_fields__)
    letters = "ӘәҒғҚқҢңӨөҰұҮүҺһІіЁё₸№«»–—…" + words
    assert {char for char in letters if ord(char) not in glyphs} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_hyphenation_is_of_words_that_the_headings_have(language: Language) -> None:
    headings = " ".join(column.heading(language) for column in form().column)
    assert [word for word in form().hyphenation[language] if word.replace("-", "") not in headings] == []


@given(st.text(max_size=60) | st.text(alphabet="аәбіқ -/«»=[]1₸\n", max_size=60), st.floats(1, 40), st.sampled_from([REGULAR, BOLD]))
def test_widths_are_the_librarys(text: str, size: float, font: str) -> None:
    assert width_pt(text, size, font) == fonts()[font].stringWidth(text, size)


@pytest.mark.parametrize("font", [REGULAR, BOLD])
def test_digits_are_equally_wide(font: str) -> None:
    """On which the layout of amounts rests."""
    assert len({width_pt(digit, 6.2, font) for digit in "0123456789"}) == 1


@given(st.lists(st.text(alphabet=st.characters(max_codepoint=0x4FF), min_size=1, max_size=20).map(printable), max_size=20))
def test_texts_by_their_characters_codes_are_the_librarys(texts: list[str]) -> None:
    fonts()
    canvas = Canvas(io.BytesIO(), initialFontName=REGULAR)
    cells = CellTexts(canvas, REGULAR, 6.2, EncodedTexts())
    for text in texts:
        assert cells.shown(text) == cells._by_library(text)
