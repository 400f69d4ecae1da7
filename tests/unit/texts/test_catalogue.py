"""Each language's months, days, amounts and plurals; every message translated; the compiled catalogues are what the .po files say."""

import string
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.app.kept import _packed, _unpacked
from pipeline.cli.commands import build
from pipeline.cli.help_texts import help_messages
from pipeline.model.message import Amount, Instant, counted, grouped, joined, message
from pipeline.model.months import Month, almaty_words
from pipeline.texts import LANGUAGES, Language, terminal_language, texts
from pipeline.texts.collect import TRANSLATED, as_po, compiled, messages_of, po_path, read_catalogue

PACKAGE = Path(pipeline.__file__).parent


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_is_what_the_program_says_and_what_is_shipped(language: Language) -> None:
    path = po_path(PACKAGE, language)
    catalogue = read_catalogue(path, language)
    said = messages_of(PACKAGE, help_messages(build()))
    assert {message.id for message in catalogue if message.id} == {message.id for message in said if message.id}, "run: make texts"
    catalogue.update(said, no_fuzzy_matching=True)
    assert path.read_bytes() == as_po(catalogue), "run: make texts"
    assert path.with_suffix(".mo").read_bytes() == compiled(read_catalogue(path, language)), "run: make texts"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated_with_its_placeholders(language: Language) -> None:
    messages = [one for one in read_catalogue(po_path(PACKAGE, language), language) if one.id]
    assert messages
    for one in messages:
        forms = one.string if isinstance(one.string, tuple) else (one.string,)
        sources = one.id if isinstance(one.id, tuple) else (one.id,)
        assert all(forms), f"{language} has no translation of {one.id!r}"
        assert "fuzzy" not in one.flags, one.id
        for form in forms:
            assert placeholders(str(form)) == placeholders(sources[-1]), one.id
    plural = [one for one in messages if isinstance(one.id, tuple)]
    assert all(len(one.string) == {"kk": 2, "ru": 3}[language] for one in plural)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_months_stand_as_a_sentence_wants_them() -> None:
    names = {language: texts(language).month(Month(2026, 10)) for language in LANGUAGES}
    assert names == {"kk": "қазан", "ru": "октябрь", "en": "October"}
    title = "Statement for {month} {year}"
    assert texts("kk").gettext(title, month="қазан", year=2026) == "2026 жылғы қазан айы бойынша салыстыру актісі"
    assert texts("ru").gettext(title, month="октябрь", year=2026) == "Акт сверки за октябрь 2026 года"
    assert texts("en").gettext(title, month="October", year=2026) == "Statement for October 2026"


def test_days_are_written_as_each_language_does() -> None:
    assert {language: texts(language).day("2026-10-05") for language in LANGUAGES} == {
        "kk": "05.10.2026",
        "ru": "05.10.2026",
        "en": "5 Oct 2026",
    }
    assert [texts(language).day("2026-13-05") for language in LANGUAGES] == ["2026-13-05"] * 3


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 строка"), (2, "2 строки"), (5, "5 строк"), (11, "11 строк"), (21, "21 строка"), (104, "104 строки")]
)
def test_russian_has_three_plurals(count: int, said: str) -> None:
    assert texts("ru").ngettext("{count} row", "{count} rows", count) == said


def test_kazakh_nouns_keep_their_form_after_a_number() -> None:
    assert [texts("kk").ngettext("{count} row", "{count} rows", count) for count in (1, 2, 5)] == ["1 жол", "2 жол", "5 жол"]
    assert [texts("en").ngettext("{count} row", "{count} rows", count) for count in (1, 2)] == ["1 row", "2 rows"]


def test_amounts_have_the_marks_of_the_language() -> None:
    assert texts("ru").amount("1234567.50") == "1\u00a0234\u00a0567,50"
    assert texts("kk").amount("0.00010000") == "0,00010000"
    assert texts("en").amount("1234567.50") == "1,234,567.50"
    assert texts("ru").amount("100") == "100"
    assert texts("ru").amount("1 000,50") == "1 000,50"


@given(st.integers(0, 10**38), st.integers(0, 18), st.sampled_from(LANGUAGES))
def test_no_digit_of_an_amount_is_lost(units: int, decimals: int, language: Language) -> None:
    digits = str(units).rjust(decimals + 1, "0")
    printed = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    shown = texts(language).amount(printed)
    group = "," if language == "en" else "\u00a0"
    assert shown.replace(group, "").replace(texts(language).decimal_mark, ".") == printed


def test_what_is_filled_in_is_not_looked_into() -> None:
    assert texts("en").gettext("Statement for {month} {year}", month="{year}", year="%s") == "Statement for {year} %s"


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "kk_KZ.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "ru_KZ.UTF-8", "LC_MESSAGES": "kk_KZ"}, "kk"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "ESEP_LANG": "kk"}, "kk"),
        ({"LANG": "ru_RU.UTF-8", "ESEP_LANG": "en"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "ESEP_LANG": ""}, "ru"),
    ],
)
def test_the_terminal_speaks_what_it_is_told_else_what_its_locale_says(environ: dict[str, str], language: Language) -> None:
    assert terminal_language(environ) == language


def test_a_language_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="ESEP_LANG: 'de': say one of kk, ru, en"):
        terminal_language({"ESEP_LANG": "de"})


def test_a_message_is_told_with_the_messages_in_it() -> None:
    said = message("Statement for {month} {year}", month=message("Address"), year=2026)
    assert texts("ru").tell(said) == "Акт сверки за Адрес 2026 года"
    assert texts("en").tell(said) == "Statement for Address 2026"
    assert texts("ru").tell(joined(": ", ["a", counted("{count} row", "{count} rows", 3)])) == "a: 3 строки"
    assert texts("ru").tell("Address") == "Address", "what is no message is data"
    # A day that is a day is written as the language writes it; text is not looked into.
    by_day = message("By version {version} of the report, frozen on {day}.", version=1, day=date(2026, 11, 3))
    assert "03.11.2026" in texts("ru").tell(by_day) and "2026-11-03" in texts("en").tell(by_day)


def test_english_text_of_others_is_known_by_its_template() -> None:
    templates = ["Invalid value for {name}: {why}", "Invalid value: {why}"]
    assert texts("ru").recognised("Invalid value for '--x': 7 {y}", templates) == "Недопустимое значение '--x': 7 {y}"
    assert texts("ru").recognised("quite another thing", templates) == "quite another thing"
    assert texts("en").recognised("Invalid value: 7", templates) == "Invalid value: 7"


def test_instants_are_almatys_with_their_offset_in_every_language() -> None:
    """Data keeps UTC; people read the clocks by which the form's days go (rule 1.2)."""
    at = Instant("2026-10-01 19:30:05.25 UTC")
    assert str(at) == "2026-10-01 19:30:05.25 UTC", "data and JSON"
    assert texts("ru").tell(at) == "02.10.2026 00:30:05.25 UTC+5"
    assert texts("en").tell(message("at {at}", at=at)) == "at 2026-10-02 00:30:05.25 UTC+5"
    assert texts("en").tell(Instant("2023-10-01 19:30 UTC")) == "2023-10-02 01:30 UTC+6", "before 2024-03-01"
    assert texts("kk").tell(almaty_words(1_793_500_000)) == "01.11.2026 07:26 UTC+5"
    assert texts("en").tell(message("on {day}", day=date(2026, 10, 31))) == "on 2026-10-31"


@pytest.mark.parametrize(("language", "said"), [("en", "1,437 of 1.5"), ("ru", "1\u00a0437 of 1,5"), ("kk", "1\u00a0437 of 1,5")])
def test_counts_and_sizes_have_the_marks_of_the_language(language: Language, said: str) -> None:
    assert texts(language).tell(message("{count} of {size}", count=grouped(1437), size=Amount("1.5"))) == said


def test_what_is_kept_of_a_look_keeps_how_its_values_are_read() -> None:
    kept = _unpacked(_packed(message("{at} {count}", at=Instant("2026-10-01 19:30 UTC"), count=grouped(1437))))
    assert texts("ru").tell(kept) == "02.10.2026 00:30 UTC+5 1\u00a0437"
