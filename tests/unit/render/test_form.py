"""The form's words: fifteen columns, three languages, nothing missing, the order's own text where it is official."""

import pytest

from pipeline.model.months import Month
from pipeline.render.form import COLUMNS, LANGUAGES, Language, form

from .documents import EXPECTED


def test_columns_are_the_canonical_reports() -> None:
    header = (EXPECTED / "report.csv").read_text(encoding="utf-8").split("\n", 1)[0]
    assert ",".join(COLUMNS) == header


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there(language: Language) -> None:
    text = form().text[language]
    blank = {name for name in text.__struct_fields__ if not getattr(text, name)}
    assert blank == ({"translation_note"} if language == "kk" else set())
    assert all(column.heading(language) for column in form().column)
    assert all(total.label(language) for total in form().total)


def test_kazakh_is_official_and_the_rest_says_that_it_is_not() -> None:
    columns = form().column
    assert [column.heading("kk").endswith("*") for column in columns] == [False] * 15
    assert [column.heading("ru").endswith("*") for column in columns] == [False] * 7 + [True] * 8
    assert "Неофициальный перевод" in form().text["ru"].translation_note
    assert "Unofficial translation" in form().text["en"].translation_note


@pytest.mark.parametrize(
    ("language", "month", "words"),
    [("kk", 10, "2026 жылдың қазан айы"), ("kk", 1, "2026 жылдың қаңтар айы"), ("ru", 12, "декабрь 2026 года"), ("en", 5, "May 2026")],
)
def test_reporting_period_in_words(language: Language, month: int, words: str) -> None:
    assert form().text[language].reporting_period(Month(2026, month)) == words


def test_statements_are_the_orders() -> None:
    assert form().statements("kk", Month(2026, 10))[1:4] == [
        ("Әкімшілік деректерді өтеусіз негізде жинауға арналған нысанның индексі", "ЦМПМ1"),
        ("Кезеңділігі", "ай сайын"),
        ("Есепті кезең", "2026 жылдың қазан айы"),
    ]


def test_totals_print_in_the_forms_order_whatever_the_order_given() -> None:
    totals = {"z_new": 3, "distinct_transfers_count": 2, "left_unsettled": {}, "allocated_in_month": {"LTC": "1.0", "BTC": "2.0"}}
    assert form().printed_totals(totals, "en") == [
        ("Allocated in the month", "BTC", "2.0"),
        ("Allocated in the month", "LTC", "1.0"),
        ("Of the month's allocations, not transferred by its end", "", "–"),
        ("Number of transfers", "", "2"),
        ("z_new", "", "3"),
    ]
