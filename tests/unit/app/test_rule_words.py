"""Every rule of docs/rules.md has its title and a sentence in the catalogue, and nothing else has."""

import pytest

from pipeline.app.rule_words import RULES_IN_SHORT
from pipeline.app.rules_text import rules
from pipeline.texts import Language, texts


def test_numbers_and_titles_are_the_pages() -> None:
    assert [(number, title) for number, (title, _) in RULES_IN_SHORT.items()] == [(number, title) for number, (title, _) in rules().items()]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_each_is_said_in_the_language(language: Language) -> None:
    words = texts(language)
    for number, (title, short) in RULES_IN_SHORT.items():
        for said in (title, short):
            assert words.gettext_plain(said) != said, number
    assert (
        words.gettext_plain(RULES_IN_SHORT["5.3"][0])
        == {"kk": "Сомалар неге өзгеше болуы мүмкін", "ru": "Почему суммы могут отличаться"}[language]
    )
