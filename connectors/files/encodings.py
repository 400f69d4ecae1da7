"""Text files' encodings: from bytes to UTF-8, as the settings say, or a sentence that says what the file looks like.

Nothing is read by guess. Where the bytes are not what the settings say, the Russian text that each known encoding would give is weighed by how
often its letters occur, and the likeliest is named. Of the encodings named here only KZ-1048 has Kazakh letters.
"""

from __future__ import annotations

import math
import re

from pipeline.model.message import message
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
_CERTAIN = {"windows-1251": 5.0, "kz-1048": 3.5, "koi8-r": 5.0, "cp866": 5.0}
"""By how much (natural logarithm) an encoding must be likelier than the one set, to refuse the file: one Kazakh letter is enough."""
_SAMPLE_BYTES = 1 << 20


def as_utf8(data: bytes, layout: Layout) -> tuple[bytes, list[Fault]]:
    """The file's bytes as UTF-8 without a mark; or what is wrong."""
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
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        begin = data.rfind(b"\n", 0, error.start) + 1
        name = _likeliest(data)
        if not name:
            return b"", [
                Fault(
                    line,
                    "",
                    message("is not UTF-8, nor Windows-1251: save the file as CSV UTF-8, or set encoding {setting}", setting=setting),
                )
            ]
        word = _first_word(data[begin : begin + 4000].split(b"\n")[0], name)
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
    name = _likeliest(data) if layout.encoding in _NAMES else ""
    if name and name != layout.encoding and _weight(data, name) - _weight(data, layout.encoding) >= _CERTAIN[name]:
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
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _likeliest(data: bytes) -> str:
    """Which encoding gives the likeliest Russian text; "" where none gives words of Cyrillic letters."""
    weights = {name: _weight(data, name) for name in _NAMES if _reads(data, name)}
    return max(weights, key=lambda name: weights[name]) if weights else ""


def _reads(data: bytes, name: str) -> bool:
    """Whether what is not ASCII gives Cyrillic letters and the signs that stand among them, in at least one word letters only."""
    text = data[:_SAMPLE_BYTES].decode(name, errors="replace")
    strange = re.findall("[^\x00-\x7f]", text)
    letters = [letter for letter in strange if re.match(rf"[А-яЁёІіҐґЄєЇїЎў{_KAZAKH}{_KAZAKH.upper()}]", letter)]
    signs = [letter for letter in strange if letter in "«»№–—’“”…°\u00a0§±·"]
    return bool(letters) and len(letters) + len(signs) == len(strange)


def _weight(data: bytes, name: str) -> float:
    """How likely a text's letters are as Russian: the sum of their logarithms, a thousand letters at most."""
    text = data[:_SAMPLE_BYTES].decode(name, errors="replace")
    strange = re.findall("[^\x00-\x7f]", text)[:1_000]
    weight = sum(math.log(_PERCENT.get(letter.lower(), _STRANGE_PERCENT)) for letter in strange)
    # A small letter before a capital one hardly ever stands within a word; it does all over one read in the wrong half of KOI8.
    return weight - 3.0 * len(re.findall("[а-яё][А-ЯЁ]", text)[:1_000])


def _first_word(line: bytes, name: str) -> str:
    words = re.split(r"[\s,;\t\"]+", line.decode(name, errors="replace"))
    return next((word for word in words if re.search("[^\x00-\x7f]", word)), "")
