"""The catalogue: English sentences of the program in the reader's language, with plurals, dates and amounts as that language has them.

Enters: an English message (the source of every translation), a day, a month, a printed amount. Leaves: text. Translations are gettext
catalogues, `locale/LANGUAGE/LC_MESSAGES/esep.po`, shipped compiled; month names and number marks are those of CLDR, by Babel. The form's
own words are the order's and are not here (`render/form.toml`). No number is computed: amounts stay the strings they are (rule 2.2).

Texts that were made before their language was known are `pipeline.model.message.Message`s. Those that come from elsewhere as English text (a library's
errors, a detail stored with an issue) are found again by their template: `recognised`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from typing import Final, Literal, get_args

from pipeline.model.message import Amount, Grouped, Instant, Message, message
from pipeline.model.months import ALMATY, Month, utc_offset

Language = Literal["kk", "ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DOMAIN: Final = "esep"

_TAGS: Final = {"kk": "kk-KZ", "ru": "ru-KZ", "en": "en-GB"}
_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_INSTANT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)? UTC")
_AMOUNT: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def terminal_language(environ: Mapping[str, str]) -> Language:
    """The reader's language: `ESEP_LANG`, else the first of LC_ALL, LC_MESSAGES and LANG that says something, if it is Kazakh or Russian; else English.

    Raises ValueError for an `ESEP_LANG` that Esep does not speak.
    """
    wanted = environ.get("ESEP_LANG", "").strip()
    locale = wanted or next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name, "").strip())), "")
    found = re.split(r"[_.@-]", locale.lower(), maxsplit=1)[0]
    for language in LANGUAGES:
        if found == language:
            return language
    if wanted:
        raise ValueError(message("ESEP_LANG: {value}: say one of {languages}", value=repr(wanted), languages=", ".join(LANGUAGES)))
    return "en"


def N_(message: str) -> str:
    """Mark a message that is translated later, where its language is known; the message itself."""
    return message


class Texts:
    """One language's words. Placeholders in messages are `{name}`; what is filled in is never looked into."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.tag = _TAGS[language]
        """As documents name their language (BCP 47)."""
        self._translations = _translations(language)

    def gettext(self, message: str, /, **values: object) -> str:
        """The message in this language; one that nobody translated is English, and the tests fail."""
        return self._translations.gettext(message).format(**values)

    def gettext_plain(self, message: str) -> str:
        """The message in this language, with nothing filled in: braces in it are text."""
        return self._translations.gettext(message)

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        """The message in the form that `count` takes in this language; `{count}` in it is the number, or what `values` have for it."""
        return self._translations.ngettext(one, many, count).format(**({"count": count} | values))

    def tell(self, text: str) -> str:
        """A message in this language, with the messages in its values; any other text is data, and stays as it is."""
        if isinstance(text, Amount) and self.language != "en":
            return self.amount(text)
        if isinstance(text, Grouped) and self.language != "en":
            return self.amount(text.replace(",", ""))
        if isinstance(text, Instant):
            return self.instant(text)
        if not isinstance(text, Message):
            return str(text)
        if text.parts is not None:
            return self.tell(text.template).join(map(self.tell, text.parts))
        values = {name: self._value(value) for name, value in text.values.items()}
        if text.many is not None:
            count = text.values["count"]
            assert isinstance(count, int)
            return self._translations.ngettext(text.template, text.many, count).format(**values)
        return self._translations.gettext(text.template).format(**values)

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.tell(value)
        # A moment (datetime) is data of its own form; a day stands as the language writes it.
        return self.day(str(value)) if type(value) is date and self.language != "en" else value

    def recognised(self, text: str, templates: Iterable[str]) -> str:
        """An English text in this language by the first of the templates that it was made of; as it is where none fits."""
        if self.language == "en":
            return text
        for template in templates:
            found = _pattern(template).fullmatch(text)
            if found is not None:
                return self._translations.gettext(template).format(**found.groupdict())
        return text

    def month(self, month: Month) -> str:
        """The month's name, nominative, as it stands within a sentence: `қазан`, `октябрь`, `October`."""
        name = str(_month_names(self.tag, "wide", "stand-alone")[month.number])
        return name if self.language == "en" else name.lower()

    def day(self, day: str) -> str:
        """A day written YYYY-MM-DD as the language writes it: `31.10.2026`, `31 Oct 2026`; any other text as it is."""
        match = _DAY.fullmatch(day)
        if not match or not 1 <= int(match[2]) <= 12:
            return day
        if self.language != "en":
            return f"{match[3]}.{match[2]}.{match[1]}"
        return f"{int(match[3])} {_month_names(self.tag, 'abbreviated', 'format')[int(match[2])]} {match[1]}"

    def instant(self, instant: str) -> str:
        """An `Instant` by Almaty's clocks (rule 1.2), the offset named: `04.10.2026 12:00:30 UTC+5`, in English `2026-10-04 …`; any other text as it is."""
        match = _INSTANT.fullmatch(instant)
        if not match:
            return str(instant)
        here = datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00").astimezone(ALMATY)
        day = here.date().isoformat() if self.language == "en" else self.day(here.date().isoformat())
        return f"{day} {here:%H:%M}{match[3] or ''} UTC{utc_offset(here)}"

    @property
    def decimal_mark(self) -> str:
        """What stands before an amount's decimals: a comma in Kazakh and Russian, a dot in English."""
        return _marks(self.tag)[0]

    def amount(self, printed: str) -> str:
        """A printed amount (rule 2.2) with this language's marks, every digit kept: `1 234,50`; a text that is no such amount as it is.

        Thousands are parted by what may not be broken over lines, decimals by nothing.
        """
        match = _AMOUNT.fullmatch(printed)
        if not match:
            return printed
        whole, fraction = match[1], match[2]
        first = len(whole) % 3
        parts = [whole[:first]] * bool(first) + [whole[start : start + 3] for start in range(first, len(whole), 3)]
        grouped = _marks(self.tag)[1].join(parts)
        return grouped if fraction is None else f"{grouped}{self.decimal_mark}{fraction}"


@cache
def texts(language: Language) -> Texts:
    """The words of a language, read once."""
    return Texts(language)


# Babel is imported where a month's name or an amount's marks are needed: most commands print neither.


def _month_names(tag: str, width: Literal["wide", "abbreviated"], context: Literal["format", "stand-alone"]) -> Mapping[int, str]:
    from babel import Locale
    from babel.dates import get_month_names

    return get_month_names(width, context, Locale.parse(tag, sep="-"))


@cache
def _marks(tag: str) -> tuple[str, str]:
    """What stands before decimals, and between thousands."""
    from babel import Locale
    from babel.numbers import get_decimal_symbol, get_group_symbol

    locale = Locale.parse(tag, sep="-")
    return str(get_decimal_symbol(locale)), str(get_group_symbol(locale))


def _translations(language: Language) -> NullTranslations:
    """The packaged catalogue; English is the messages themselves. A catalogue that is not there is a broken installation: OSError."""
    if language == "en":
        return NullTranslations()
    place = resources.files(__package__) / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    with place.open("rb") as file:
        return GNUTranslations(file)


def matched(text: str, template: str) -> dict[str, str] | None:
    """The named values of a text that was made of the template; None for another text."""
    found = _pattern(template).fullmatch(text)
    return found.groupdict() if found is not None else None


@lru_cache(maxsize=1024)
def _pattern(template: str) -> re.Pattern[str]:
    """What matches a text made of the template; the names of its placeholders are the groups."""
    parts = _PLACEHOLDER.split(template)
    seen: set[str] = set()
    pattern = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.+?)"
            seen.add(part)
    return re.compile(pattern, re.DOTALL)
