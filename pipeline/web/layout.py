"""Pages as HTML: the templates, one environment a language, with the words and marks of that language.

Enters: a template's name and what it lays out (frozen dataclasses of `pipeline.app`). Leaves: an HTML answer. Everything that is filled in is escaped; a name that a template
asks for and nobody gave is an error. In templates: `gettext`, `ngettext` (messages, with named values), `tell` (a `Message` of the program), `amount`, `with_asset`, `day`, `instant`, `month_name`, `state_word`, `cause_word`, `change_word`, `explanation_words`, `deed_word`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.app.change_words import changed_issue, table_word
from pipeline.app.deed_words import ROLE_WORDS, WAYS, deed_word
from pipeline.app.people import KeyRole
from pipeline.app.story import explanation_words
from pipeline.closing.causes import cause_word, cause_words, change_word
from pipeline.closing.submission import STATE_WORDS, State
from pipeline.model.months import ALMATY, Month
from pipeline.texts import LANGUAGES, Language, texts

from .access import FORGERY_FIELD, viewer_of
from .assets import assets
from .numbers import guarded
from .parts import parts_of

LANGUAGE_NAMES: Final = {"kk": "Қазақша", "ru": "Русский", "en": "English"}


@cache
def environment(language: Language) -> Environment:
    """The templates in a language."""
    words = texts(language)
    made = Environment(
        loader=PackageLoader(__package__, "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def instant(at: int | None) -> str:
        """An instant in Almaty, to the minute."""
        if at is None:
            return ""
        local = datetime.fromtimestamp(at, UTC).astimezone(ALMATY)
        return f"{words.day(local.strftime('%Y-%m-%d'))} {local:%H:%M}"

    def month_name(month: Month | str) -> str:
        """A month as a heading has it: `Қазан 2026`."""
        known = Month.parse(str(month))
        name = words.month(known)
        return f"{name[:1].upper()}{name[1:]} {known.year}"

    def with_asset(text: str) -> str:
        """A printed amount with its asset's name, `0.07770000 BTC`; any other text as it is."""
        number, space, asset = text.partition(" ")
        return f"{words.amount(number)}{space}{asset}"

    def ngettext(one: str, many: str, count: int, **values: object) -> str:
        """The form that `count` takes, the number with the language's marks: `1 437 жол`."""
        return words.ngettext(one, many, count, **({"count": words.amount(str(count))} | values))

    made.globals |= {
        "gettext": words.gettext,
        "ngettext": ngettext,
        "tell": words.tell,
        "amount": words.amount,
        "with_asset": with_asset,
        "day": lambda value: words.day(str(value)),
        "instant": instant,
        "month_name": month_name,
        "cause_word": cause_word,
        "cause_words": cause_words,
        "change_word": change_word,
        "table_word": table_word,
        "changed_issue": changed_issue,
        "explanation_words": explanation_words,
        "state_word": lambda state: words.gettext(STATE_WORDS[State(state)]),
        "role_word": lambda role: words.gettext(ROLE_WORDS[role]),
        "way_word": lambda way: words.gettext(WAYS[way]),
        "deed_word": lambda kind: words.tell(deed_word(kind)),
        "language": language,
        "language_tag": words.tag,
        "languages": {name: LANGUAGE_NAMES[name] for name in LANGUAGES},
        "asset": lambda name: assets()[name].address,
        "forgery_field": FORGERY_FIELD,
    }
    return made


def page(request: Request, template: str, *, status: int = 200, at: str = "", **content: Any) -> HTMLResponse:
    """The template filled in, in the language of who asks. `content` must not name `viewer`, `hindered`, `request_path` or `forgery_token`. `at`: the page's own address, where the request was a form's."""
    viewer = viewer_of(request)

    def hindered(role: KeyRole = "decide") -> str:
        """Why the viewer can do nothing here that needs a key of the role (`People.hindrance`)."""
        return parts_of(request).app.people.hindrance(viewer.person, role) if viewer.session else ""

    html = (
        environment(viewer.language)
        .get_template(template)
        .render(
            viewer=viewer,
            hindered=hindered,
            theme=viewer.theme,
            request_path=at or request.url.path,
            forgery_token=viewer.session.forgery_token if viewer.session else "",
            **content,
        )
    )
    return HTMLResponse(guarded(parts_of(request), viewer, request.url.path, html) if viewer.session else html, status)
