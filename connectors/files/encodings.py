"""Text files' encodings: from bytes to UTF-8, as the settings say, or a sentence that says what the file looks like.

Nothing is read by guess. Where the bytes are not what the settings say, the Russian text that each known encoding would give is weighed by how
often its letters occur, each word once. The likeliest is named where it is clearly so; where the letters are too few to tell, every encoding that reads is named with
what it reads. Of the encodings named here only KZ-1048 has Kazakh letters.
"""

from __future__ import annotations

import math
import re

from pipeline.model.message import joined, message
from pipeline.validate.layout import Layout
from pipeline.validate.table import Fault, shown

_NAMES = {"windows-1251": "Windows-1251", "kz-1048": "KZ-1048", "koi8-r": "KOI8-R", "cp866": message("code page 866")}
_PERCENT = dict(zip("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё", (
    11.0, 8.5, 8.0, 7.4, 6.7, 6.3, 5.5, 4.7, 4.5, 4.4, 3.5, 3.2, 3.0, 2.8, 2.6, 2.0, 1.9, 1.7, 1.7, 1.65, 1.6, 1.4, 1.2, 1.0, 0.9, 0.7, 0.6,
    0.5, 0.4, 0.3, 0.3, 0.04, 0.3), strict=True))  # fmt: skip
"""How often each letter stands in Russian text, percent; those of Kazakh alone count as seldom ones."""
_KAZAKH = "әғқңөұүһі"
_PERCENT.update(dict.fromkeys(_KAZAKH, 1.0))
_STRANGE_PERCENT = 0.02
_CERTAIN = {"windows-1251": 8.0, "kz-1048": 3.5, "koi8-r": 8.0, "cp866": 8.0}
"""By how much (natural logarithm) an encoding must be likelier than another, to be taken for certain: one Kazakh letter is enough."""
_CERTAIN_A_LETTER = 0.9
"""By how much at least for each letter: a few words of seldom letters do not add up to certainty. KOI8-R in place of Windows-1251 has 1.2 and more."""
_ODD = 2.0
"""By how much an encoding must be likelier than the one set, for a person to be asked."""
_SAMPLE_BYTES = 1 << 20


def as_utf8(data: bytes, layout: Layout) -> tuple[bytes, list[Fault]]:
    """The file's bytes as UTF-8 without a mark; or what is wrong. What is read and may be another encoding is said by `odd_encoding`."""
    setting = message("in {place}", place=layout.place)
    if data.startswith(b"\xef\xbb\xbf"):  # the file says itself what it is
        data = data.removeprefix(b"\xef\xbb\xbf")
    elif layout.encoding != "utf-8":
        return _decoded(data, layout)
    elif _utf_16(data):
        return b"", [
            Fault(None, "", message('is UTF-16 text: save it as CSV UTF-8, or set encoding = "utf-16" {setting}', setting=setting))
        ]
    if b"\x00" in data:
        return b"", [Fault(None, "", message("is not UTF-8, or not text at all: save it as CSV UTF-8"))]
    if data.isascii():
        return data, []
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        begin = data.rfind(b"\n", 0, error.start) + 1
        names = _likeliest(data)
        if not names:
            return b"", [
                Fault(
                    line,
                    "",
                    message("is not UTF-8, nor Windows-1251: save the file as CSV UTF-8, or set encoding {setting}", setting=setting),
                )
            ]
        text_line = data[begin : begin + 4000].split(b"\n")[0]
        if len(names) > 1:
            return b"", [Fault(line, "", _several(text_line, names, setting))]
        name = names[0]
        word = _first_word(text_line, name)
        what = message(
            'is not UTF-8; as {names} it reads {word}: save it as CSV UTF-8, or set encoding = "{name}" {setting}',
            names=_NAMES[name],
            word=shown(word),
            name=name,
            setting=setting,
        )
        return b"", [Fault(line, "", what)]
    return data, []


def _decoded(data: bytes, layout: Layout) -> tuple[bytes, list[Fault]]:
    """The bytes of a file in another encoding than UTF-8, as UTF-8."""
    if layout.encoding != "utf-16" and not data.isascii() and _is_utf8(data):
        what = message(
            'reads as UTF-8, and {place} says encoding = {encoding}: set encoding = "utf-8", or save the file as said',
            place=layout.place,
            encoding=repr(layout.encoding),
        )
        return b"", [Fault(None, "", what)]
    if layout.encoding != "utf-16" and _utf_16(data):
        return b"", [
            Fault(
                None,
                "",
                message(
                    'is UTF-16 text, and {place} says encoding = {encoding}: set encoding = "utf-16"',
                    place=layout.place,
                    encoding=repr(layout.encoding),
                ),
            )
        ]
    encoding = (_utf_16(data) or "utf-8") if layout.encoding == "utf-16" else layout.encoding
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        line = data.count(b"\n", 0, error.start) + 1 if isinstance(error, UnicodeDecodeError) else None
        return b"", [
            Fault(
                line,
                "",
                message(
                    "is not {encoding}, as {place} says: set encoding to what the file is", encoding=layout.encoding, place=layout.place
                ),
            )
        ]
    if encoding == "utf-8" and not data.isascii():
        return b"", [Fault(None, "", message('is not UTF-16, as {place} says: set encoding = "utf-8"', place=layout.place))]
    name = next(iter(_likeliest(data)), "") if layout.encoding in _NAMES else ""
    if name and _is_certain(data, name, layout.encoding):
        line, bytes_of_line = next((n, part) for n, part in enumerate(data.split(b"\n"), 1) if not part.isascii())
        here, there = _first_word(bytes_of_line, layout.encoding), _first_word(bytes_of_line, name)
        what = message(
            'reads {here} as {place} says (encoding), and {there} as {names}: set encoding = "{name}"',
            here=shown(here),
            place=layout.place,
            there=shown(there),
            names=_NAMES[name],
            name=name,
        )
        return b"", [Fault(line, "", what)]
    return text.encode("utf-8"), []


def _utf_16(data: bytes) -> str:
    """The form of UTF-16 that text has, by its mark or by where its NUL bytes stand; "" for none."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = data[: 1 << 12]
    start = start[: len(start) // 2 * 2]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if len(start) < 4 or max(even, odd) * 4 < len(start) // 2:
        return ""
    form = "utf-16-le" if odd > even else "utf-16-be"
    return "" if re.search(r"[\x00-\x08\x0e-\x1f\ufffe\uffff]", start.decode(form, "ignore")) else form  # a database, an image


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def odd_encoding(data: bytes, layout: Layout) -> str:
    """What a person should look at: the file is read as the settings say, and another encoding gives likelier text, without being certain. Else ""."""
    if layout.encoding not in _NAMES or data.startswith(b"\xef\xbb\xbf"):
        return ""
    name = next(iter(_likeliest(data)), "")
    if not name or _weight(data, name) - _weight(data, layout.encoding) < _ODD or _text(data, name) == _text(data, layout.encoding):
        return ""
    text_line = next(part for part in data.split(b"\n") if not part.isascii())
    return message(
        '{here} is read as {encoding}, as {place} says; as {names} it would read {there}: look which it is, else set encoding = "{name}" there',
        here=shown(_first_word(text_line, layout.encoding)), encoding=_NAMES[layout.encoding], place=layout.place, names=_NAMES[name],
        there=shown(_first_word(text_line, name)), name=name,
    )  # fmt: skip


def _several(line: bytes, names: list[str], setting: str) -> str:
    """Of bytes that several encodings read: each with what it reads."""
    ways = [
        message('{word} as {names} (encoding = "{name}")', word=shown(_first_word(line, name)), names=_NAMES[name], name=name)
        for name in names
    ]
    return message(
        "is not UTF-8, and has too few letters to tell what it is: it reads {ways}: save it as CSV UTF-8, or set the encoding that reads right {setting}",
        ways=joined(", ", ways),
        setting=setting,
    )


def _likeliest(data: bytes) -> list[str]:
    """Which encodings give Russian text, the likeliest first, those left out that are clearly not it or read no other text; [] where none gives words of Cyrillic letters."""
    weights = {name: _weight(data, name) for name in _NAMES if _reads(data, name)}
    found: list[str] = []
    for name in sorted(weights, key=lambda name: -weights[name]):
        is_other = all(_text(data, name) != _text(data, taken) for taken in found)
        if is_other and not (found and _is_clear(data, found[0], name)):
            found.append(name)
    return found


def _is_clear(data: bytes, name: str, other: str) -> bool:
    """Whether the text is in the one encoding and not in the other: certainly, or because the other alone has small letters before capital ones within words."""
    is_spelt = _turned_words(data, other) > 0 == _turned_words(data, name) and _weight(data, name) - _weight(data, other) >= _ODD
    return is_spelt or _is_certain(data, name, other)


def _is_certain(data: bytes, name: str, other: str) -> bool:
    """Whether the text is certainly in the one encoding and not in the other."""
    if name == other:
        return False
    margin = _weight(data, name) - _weight(data, other)
    letters = sum(map(len, _words(data, name)))
    return margin >= _CERTAIN[name] and (name == "kz-1048" or margin >= _CERTAIN_A_LETTER * letters)


def _reads(data: bytes, name: str) -> bool:
    """Whether what is not ASCII gives Cyrillic letters and the signs that stand among them, in at least one word letters only."""
    strange = re.findall("[^\x00-\x7f]", _text(data, name))
    letters = [letter for letter in strange if re.match(rf"[А-яЁёІіҐґЄєЇїЎў{_KAZAKH}{_KAZAKH.upper()}]", letter)]
    signs = [letter for letter in strange if letter in "«»№–—’“”…°\u00a0§±·"]
    return bool(letters) and len(letters) + len(signs) == len(strange)


def _text(data: bytes, name: str) -> str:
    return data[:_SAMPLE_BYTES].decode(name, errors="replace")


def _words(data: bytes, name: str) -> list[str]:
    """Runs of what is not ASCII, each once: a word that stands in every row says no more than one that stands in a single row. A thousand letters at most."""
    words, letters = [], 0
    for word in dict.fromkeys(re.findall("[^\x00-\x7f]+", _text(data, name))):
        words.append(word)
        letters += len(word)
        if letters >= 1_000:
            break
    return words


def _weight(data: bytes, name: str) -> float:
    """How likely a text's words are as Russian: the sum of their letters' logarithms."""
    words = _words(data, name)
    weight = sum(math.log(_PERCENT.get(letter.lower(), _STRANGE_PERCENT)) for word in words for letter in word)
    return weight - 3.0 * _turned_words(data, name)


def _turned_words(data: bytes, name: str) -> int:
    """How often a small letter stands before a capital one within a word: hardly ever in what was written, all over in words read in the wrong half of KOI8."""
    return sum(len(re.findall("[а-яё][А-ЯЁ]", word)) for word in _words(data, name))


def _first_word(line: bytes, name: str) -> str:
    words = re.split(r"[\s,;\t\"]+", line.decode(name, errors="replace"))
    return next((word for word in words if re.search("[^\x00-\x7f]", word)), "")
