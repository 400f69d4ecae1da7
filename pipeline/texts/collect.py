"""Keeps the catalogues in step with the program: `make texts`.

Enters: the sources and the pages' templates, messages that are known only when the program runs (the help of its commands), and each language's `esep.po`. Leaves: the same .po files with the messages that the program has now, and an `esep.mo`
beside each. A translation whose message has gone is dropped; a new message stands there empty, and a test fails until it is filled in.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from .catalogue import DOMAIN, LANGUAGES, Language

TRANSLATED: Final[tuple[Language, ...]] = tuple(language for language in LANGUAGES if language != "en")
KEYWORDS: Final = {"gettext": 1, "N_": 1, "message": 1, "ngettext": 2, "counted": 2}
"""The functions whose first one or two arguments are messages."""


def po_path(package: Path, language: Language) -> Path:
    """Where a language's catalogue lies; the compiled one beside it."""
    return package / "texts" / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def messages_of(package: Path, further: Mapping[str, str] | None = None) -> Catalog:
    """Every message in the sources of `package` and of the connectors beside it, with the files that it stands in; and the `further` ones with theirs."""
    found = Catalog(charset="utf-8")
    for folder in (package, package.parent / "connectors"):
        for path in sorted(folder.rglob("*.py")):
            for said in messages_in(ast.parse(path.read_text(encoding="utf-8"))):
                found.add(said, locations=[(str(path.relative_to(package.parent)), 0)])
    for path in sorted((package / "web" / "templates").rglob("*.html")):
        for said in messages_in_template(path.read_text(encoding="utf-8")):
            found.add(said, locations=[(str(path.relative_to(package.parent)), 0)])
    for text, place in (further or {}).items():
        found.add(text, locations=[(place, 0)])
    return found


def messages_in(tree: ast.Module) -> Iterator[str | tuple[str, str]]:
    """The messages of one source file: what `KEYWORDS` are called with, where it stands there in full."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            continue
        count = KEYWORDS.get(node.func.id if isinstance(node.func, ast.Name) else node.func.attr)
        texts = [one.value for one in node.args[:count] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if count is not None and len(texts) == count and any(has_words(text) for text in texts):
            yield texts[0] if count == 1 else (texts[0], texts[1])


def messages_in_template(source: str) -> Iterator[str | tuple[str, str]]:
    """The messages of one template: as `messages_in`."""
    for call in Environment(autoescape=True).parse(source).find_all(nodes.Call):
        if not isinstance(call.node, nodes.Name) or (count := KEYWORDS.get(call.node.name)) is None:
            continue
        texts = [one.value for one in call.args[:count] if isinstance(one, nodes.Const) and isinstance(one.value, str)]
        if len(texts) == count and any(has_words(text) for text in texts):
            yield texts[0] if count == 1 else (texts[0], texts[1])


def untranslated_in_template(source: str) -> list[str]:
    """Words of a template that stand outside any message: what no catalogue would ever translate. `Esep` and tags' own words are none."""
    tree = Environment(autoescape=True).parse(source)
    texts = "".join(
        one.data if isinstance(one, nodes.TemplateData) else "\0" for output in tree.find_all(nodes.Output) for one in output.nodes
    )
    visible = re.sub(r"<(code|script)\b.*?</\1>|<[^<>]*>|<[^<>]*$|^[^<>]*>", "\n", texts, flags=re.DOTALL)
    spoken = re.findall(r"""(?:alt|title|placeholder|aria-label)=(?:"([^"\0]*)"|'([^'\0]*)')""", texts)
    found = [*re.split(r"[\0\n]", visible), *(one or other for one, other in spoken)]
    return [text.strip() for text in found if any(letter.isalpha() for letter in text.replace("Esep", ""))]


def has_words(template: str) -> bool:
    """Whether anything in the template wants translating: a letter outside its placeholders."""
    return any(letter.isalpha() for letter in re.sub(r"\{\w+[^}]*\}", "", template))


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


def bring_up_to_date(package: Path, further: Mapping[str, str] | None = None) -> list[Path]:
    """Write every language's .po and .mo anew; the files written."""
    written = []
    messages = messages_of(package, further)
    for language in TRANSLATED:
        path = po_path(package, language)
        catalogue = read_catalogue(path, language) if path.exists() else Catalog(locale=language, domain=DOMAIN)
        catalogue.update(messages, no_fuzzy_matching=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_po(catalogue))
        path.with_suffix(".mo").write_bytes(compiled(read_catalogue(path, language)))
        written += [path, path.with_suffix(".mo")]
    return written
