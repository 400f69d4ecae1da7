"""Checks names and ids: spreadsheet errors and placeholders, invisible characters, look-alike letters.

In: texts of cells. Out: patterns of texts to refuse, and explanations of what is wrong with one. Left out: amounts, instants and addresses
(`cells`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import polars as pl

from pipeline.model.message import joined, message

from .table import Fault, shown

_ERROR_VALUES = (
    r"#[\p{Lu}0-9_/ ]{2,30}[!?]",  # #REF!, #ССЫЛКА!, #DIV/0!, #ИМЯ?: the same form in every language of a spreadsheet
    r"#\p{Lu}{1,12}/\p{Lu}{1,12}",  # #N/A, #Н/Д
    r"#\p{Lu}{2,}_[\p{Lu}_]+",  # #GETTING_DATA, #ОЖИДАНИЕ_ДАННЫХ
    r"#+",  # a column too narrow
    r"(?:Err|Ошибка|Қате): ?[0-9]{3}",  # LibreOffice
)
_NOTHINGS = r"(?i:nan|-nan|null|\(null\)|<null>|none|nil|nat|<na>|n/a|na|н/д|undefined|inf|-inf|нет данных|дерек жоқ|#)"
_TRUTHS = r"TRUE|FALSE|ИСТИНА|ЛОЖЬ|АҚИҚАТ|ЖАЛҒАН"
_EXPONENT = r"[0-9](?:[.,][0-9]+)?[eEеЕ][+-][0-9]{1,3}|[0-9][.,][0-9]+[eEеЕ][0-9]{1,3}"
_POINT_ZERO = r"[0-9]+[.,]0+"
_QUOTED = '"[^"]*"'
NOT_A_VALUE = rf"^(?:{'|'.join(_ERROR_VALUES)}|{_NOTHINGS}|{_TRUTHS}|{_EXPONENT}|={_QUOTED})$"
"""Spreadsheet errors, placeholders for empty values, and the like, in place of a name or an id."""
NOT_AN_ID = rf"{NOT_A_VALUE}|^{_POINT_ZERO}$|^['=]"
"""For ids also: ids ending in `.0`, formulas, and the spreadsheet's leading text mark; a name may begin with these."""

_IGNORABLE = r"\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u2800\u3164\uFE00-\uFE0F\uFFA0\x{E0000}-\x{E0FFF}"
INVISIBLE_IN_ID = rf"[\p{{Cc}}\p{{Cf}}\p{{Zl}}\p{{Zp}}{_IGNORABLE}]|[^\P{{Zs}} ]"
"""Invisible characters in an id, and spaces other than U+0020."""
INVISIBLE_IN_NAME = rf"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\u200b\u2060\ufeff\u00ad{_IGNORABLE}]"
"""In a name: line ends, control characters, bidirectional controls, zero-width characters."""

_ALIKE = dict(zip("АВЕЅІЈКМНОРСТУХҮҺаеіјорсухһѕԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABESIJKMHOPCTYXYhaeijopcyxhsdqwABEZHIKMNOPTYXo", strict=True))
_FOLD = str.maketrans(_ALIKE)
_STRANGE = rf"[{''.join(_ALIKE)}]"
TOTAL = re.compile(r"(?i)^(?:итого|всего|общий итог|сумма|баланс|жиыны|барлығы|жалпы|қорытынды|(?:grand )?totals?|sum|subtotal)(?![\w-])")
"""How the first text of a row of totals begins, in Russian, Kazakh and English."""


_WORDS = (
    (r"#+", message("is what a spreadsheet shows for a column too narrow: widen it and save the file anew")),
    (r"=.*", message("is a formula written out as text: write the bare value")),
    (r"'.*", message("begins with the mark by which a spreadsheet keeps text: write the value without it")),
    (_EXPONENT, message("is a number that a spreadsheet cut short: take the id from its source, with the column formatted as text")),
    (_POINT_ZERO, message("is an id that a program took for a number: take it from its source, as text")),
    (_TRUTHS, message("is a spreadsheet's truth value: write the name or id itself")),
    (_NOTHINGS, message("is a program's word for nothing: write the value, or leave the cell empty where it may be")),
    (r"(?:#|Err:|Ошибка:|Қате:).*", message("is a spreadsheet's error: mend the formula and save the file anew")),
)


def why_not_a_value(text: str, *, is_id: bool) -> str:
    """What is wrong with a text that matches `NOT_A_VALUE` (or `NOT_AN_ID`), and what to do; "" for any other."""
    if not pl.Series([text]).str.contains(NOT_AN_ID if is_id else NOT_A_VALUE).item():
        return ""
    return next(joined(" ", [shown(text), words]) for pattern, words in _WORDS if re.fullmatch(pattern, text, re.DOTALL))


def why_invisible(text: str, pattern: str) -> str:
    """The first invisible character of a text, by code point and position; "" for none."""
    for place, letter in enumerate(text, 1):
        if pl.Series([letter]).str.contains(pattern).item():
            if letter in "\n\r\x0b\x0c\x85\u2028\u2029":
                return message("has a line end in it, after {text}: write it on one line", text=shown(text[: place - 1]))
            kind = message("a space that is no plain one") if unicodedata.category(letter) == "Zs" else message("an invisible character")
            name = unicodedata.name(letter, message("a control character")).lower()
            return message(
                "has {kind} at place {place}, U+{ord} ({name}): remove it",
                kind=kind,
                place=place,
                ord=format(ord(letter), "04X"),
                name=name,
            )
    return ""


def is_ascii(texts: pl.Series) -> bool:
    """Whether every text has ASCII characters only: as many bytes as characters."""
    return bool((texts.str.len_bytes() == texts.str.len_chars()).all())


def look_alikes(ids: pl.Series, lines: pl.Series, heading: str, *, is_shown: bool = True) -> list[Fault]:
    """Ids with letters of another alphabet that look like Latin ones: within an id of Latin letters, or among ids of them.

    `ids`, `lines`: the cells of a column and their lines. `is_shown`: whether the id itself may be printed.
    """
    if is_ascii(ids):
        return []
    frame = pl.DataFrame({"id": ids, "line": lines}).drop_nulls("id")
    odd = frame.filter(pl.col("id").str.contains(_STRANGE))
    if odd.is_empty():
        return []
    odd = odd.unique("id", keep="first", maintain_order=True)
    folded = {text.translate(_FOLD) for text in odd["id"]}
    twins = dict(frame.filter(pl.col("id").is_in(sorted(folded))).unique("id", keep="first", maintain_order=True).iter_rows())
    has_latin_ids = bool(frame["id"].str.contains(r"\p{Latin}").any())
    found = []
    for text, line in odd.iter_rows():
        letters = [letter for letter in text if letter.isalpha()]
        is_mixed = bool(re.search("[A-Za-z]", text))
        is_disguised = has_latin_ids and all(letter in _ALIKE for letter in letters)
        twin = twins.get(text.translate(_FOLD))
        if not (is_mixed or is_disguised or twin):
            continue
        what = joined("; ", _letters(text))
        beside = message("; line {twin} has the same id in Latin letters", twin=twin) if twin is not None else ""
        named = message("{text} has ", text=shown(text)) if is_shown else message("has ")
        found.append(
            Fault(
                line,
                heading,
                message(
                    "{named}{what}, which looks like a Latin letter{beside}: compare it with the source",
                    named=named,
                    what=what,
                    beside=beside,
                ),
            )
        )
    return found


def _letters(text: str) -> Iterable[str]:
    seen = [(place, letter) for place, letter in enumerate(text, 1) if letter in _ALIKE]
    for place, letter in seen[:3]:
        yield message(
            "{name} (U+{ord}) at place {place}", name=unicodedata.name(letter).lower(), ord=format(ord(letter), "04X"), place=place
        )
    if len(seen) > 3:
        yield message("{count} more such letters", count=len(seen) - 3)


_TWICE = (
    ("cp1251", r"[\u0420\u0421\u0422\u0423][\u0400-\u045f\u0490\u0491\u00a0-\u00bb\u2013-\u2122]"),
    ("cp1252", r"[\u00c3\u00d0\u00d1\u00d2][\u0080-\u00bf\u0152-\u0192\u02c6-\u02dc\u2013-\u2122]"),
)
"""Two characters that stand for one Cyrillic (or accented) letter, where UTF-8 was read in one of these encodings."""


def garbled(texts: pl.Series, lines: pl.Series, heading: str, *, is_shown: bool = True) -> list[Fault]:
    """Names and ids whose letters were lost (U+FFFD), or that are UTF-8 read in another encoding, as `СЃС‡С‘С‚`.

    `is_shown`: whether the text itself may be printed.
    """
    if is_ascii(texts):
        return []
    pattern = "|".join(["\ufffd", *(pattern for _, pattern in _TWICE)])
    frame = pl.DataFrame({"text": texts, "line": lines})
    frame = frame.filter(pl.col("text").str.contains(pattern).fill_null(False)).unique("text", keep="first", maintain_order=True)
    faults = []
    for text, line in frame.iter_rows():
        named = f"{shown(text)} " if is_shown else ""
        if "\ufffd" in text:
            faults.append(
                Fault(
                    line,
                    heading,
                    message("{named}holds the mark of a lost letter (U+FFFD): take it from its source, saved as UTF-8", named=named),
                )
            )
        elif meant := _undone(text):
            said_meant = f" ({shown(meant)})" if is_shown else ""
            faults.append(
                Fault(
                    line,
                    heading,
                    message(
                        "{named}is UTF-8 that a program read in another encoding{said_meant}: save the source anew, as UTF-8",
                        named=named,
                        said_meant=said_meant,
                    ),
                )
            )
    return faults


def _undone(text: str) -> str:
    """What a text was before UTF-8 was read in another encoding; "" where it was not."""
    for encoding, _ in _TWICE:
        try:
            meant = text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if len(text) - len(meant) >= 2:  # one pair may be chance
            return meant
    return ""
