"""Keeps the catalogues in step with the program: `make texts`.

Enters: the sources, and each language's `esep.po`. Leaves: the same .po files with the messages that the program has now, and an `esep.mo`
beside each. A translation whose message has gone is dropped; a new message stands there empty, and a test fails until it is filled in.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from .catalogue import DOMAIN, LANGUAGES, Language

TRANSLATED: Final[tuple[Language, ...]] = tuple(language for language in LANGUAGES if language != "en")
KEYWORDS: Final = {"gettext": None, "ngettext": (1, 2), "N_": None}
"""The functions whose arguments are messages."""


def po_path(package: Path, language: Language) -> Path:
    """Where a language's catalogue lies; the compiled one beside it."""
    return package / "texts" / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def messages_of(package: Path) -> Catalog:
    """Every message in the sources below `package`, with the files that it stands in."""
    found = Catalog(charset="utf-8")
    for name, _, message, comments, context in extract_from_dir(package, [("**.py", "python")], keywords=KEYWORDS):
        found.add(message, locations=[(f"{package.name}/{name}", 0)], auto_comments=comments, context=context)
    return found


def read_catalogue(path: Path, language: Language) -> Catalog:
    """A catalogue as it stands in its file. Raises OSError, or PoFileError for one that can't be read."""
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)


def as_po(catalogue: Catalog) -> bytes:
    """The text of a catalogue: the same for the same messages, with no date and no name in it."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=120, omit_header=True, ignore_obsolete=True, sort_output=True, include_lineno=False)
    lines = ['msgid ""', 'msgstr ""', *(f'"{name}: {value}\\n"' for name, value in _head(catalogue)), "", ""]
    return "\n".join(lines).encode() + buffer.getvalue().strip() + b"\n"


def compiled(catalogue: Catalog) -> bytes:
    """What the program reads: the catalogue's bytes as .mo, with no date in them either."""
    plain = _Undated(locale=catalogue.locale, domain=DOMAIN)
    for message in catalogue:
        if message.id:
            plain[message.id] = message
    buffer = io.BytesIO()
    write_mo(buffer, plain)
    return buffer.getvalue()


class _Undated(Catalog):
    """A catalogue whose head says what a reader needs, and neither when nor with which version of what it was written."""

    def _get_mime_headers(self) -> list[tuple[str, str]]:
        return _head(self)

    mime_headers = property(_get_mime_headers, Catalog._set_mime_headers)


def _head(catalogue: Catalog) -> list[tuple[str, str]]:
    return [
        ("Language", str(catalogue.locale)),
        ("Plural-Forms", catalogue.plural_forms),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ]


def bring_up_to_date(package: Path) -> list[Path]:
    """Write every language's .po and .mo anew; the files written."""
    written = []
    messages = messages_of(package)
    for language in TRANSLATED:
        path = po_path(package, language)
        catalogue = read_catalogue(path, language) if path.exists() else Catalog(locale=language, domain=DOMAIN)
        catalogue.update(messages, no_fuzzy_matching=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_po(catalogue))
        path.with_suffix(".mo").write_bytes(compiled(read_catalogue(path, language)))
        written += [path, path.with_suffix(".mo")]
    return written


if __name__ == "__main__":
    for one in bring_up_to_date(Path(sys.argv[1])):
        print(one)
