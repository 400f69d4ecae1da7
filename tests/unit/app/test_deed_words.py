"""Every deed, its details, and every role and way has a name that people read."""

from __future__ import annotations

from typing import get_args

from pipeline.app.deed_words import DEED_WORDS, ROLE_WORDS, WAYS, deed_word, detail_words
from pipeline.app.deeds import DETAILS
from pipeline.log.events import TOPIC_OF
from pipeline.log.events.audit import AuditEvent
from pipeline.log.events.months import Notified, Stamped
from pipeline.model.message import Message
from pipeline.texts import texts


def test_every_kind_of_deed_and_every_detail_has_words() -> None:
    decided = [kind for kind, topic in TOPIC_OF.items() if topic == "months" and "by" in kind.__struct_fields__]
    kinds = {kind.__struct_config__.tag for kind in [*decided, *get_args(AuditEvent)] if kind not in (Notified, Stamped)}
    assert kinds <= set(DEED_WORDS), kinds - set(DEED_WORDS)
    assert all(isinstance(detail_words(name, ["admin"] if name == "roles" else "x"), Message) for name in DETAILS)
    assert deed_word("of-tomorrow") == "of-tomorrow"


def test_details_are_told_in_the_readers_language() -> None:
    russian = texts("ru")
    assert russian.tell(detail_words("roles", ["viewer", "admin"])) == "роли: смотрит, управляет пользователями"
    assert russian.tell(detail_words("outcome", "accepted")) == "исход: принят"
    for words in (*ROLE_WORDS.values(), *WAYS.values(), *DEED_WORDS.values()):
        for language in ("kk", "ru"):
            assert texts(language).gettext(words) != words, (language, words)
