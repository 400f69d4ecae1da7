"""What people write into forms: reasons, names, days. And what is wrong with a request, in words.

Enters: a field as a browser sends it. Leaves: the text with line feeds alone and no white space around it, or a refusal; a request's faults as messages in the reader's language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Form, HTTPException
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from pipeline.model.message import joined, message
from pipeline.model.reason import LEAST_CHARACTERS, MOST_CHARACTERS, is_reason

_NO_REASON: Final = "no_reason"
_NO_NAME: Final = "no_name"
MOST_NAME: Final = 200
_ROOM: Final = 8 * MOST_CHARACTERS
"""What a field may bring before it is looked at: browsers count a line's end as one character and send two."""


def written(text: str) -> str:
    """The text as it was typed: browsers send a line's end as two characters. Raises PydanticCustomError for one that is too long."""
    typed = text.replace("\r\n", "\n").strip()
    if len(typed) > MOST_CHARACTERS:
        raise PydanticCustomError("string_too_long", "too long", {"max_length": MOST_CHARACTERS})
    return typed


def _reasoned(text: str) -> str:
    typed = written(text)
    if not is_reason(typed):
        raise PydanticCustomError(_NO_REASON, "no reason")
    return typed


def _named(text: str) -> str:
    name = text.strip()
    if not name or not name.isprintable():
        raise PydanticCustomError(_NO_NAME, "no name")
    return name


def no_reason() -> str:
    """Why a decision without a reason is refused."""
    return message("Give a reason that an auditor can follow: {least} to {most} characters.", least=LEAST_CHARACTERS, most=MOST_CHARACTERS)


def checked_reason(text: str) -> str:
    """The reason of a form that does not always need one. An answer 422 where there is none."""
    if not is_reason(text):
        raise HTTPException(422, no_reason())
    return text


def day_of(text: str) -> date | None:
    """A day of an address; None for no text. An answer 422 for anything else."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise HTTPException(422, message("{text} is no day: a day is written like 2026-10-31.", text=repr(text[:20]))) from None


ReasonText = Annotated[str, AfterValidator(_reasoned)]
Reason = Annotated[str, Form(max_length=_ROOM), AfterValidator(_reasoned)]
PerhapsReason = Annotated[str, Form(max_length=_ROOM), AfterValidator(written)]
Name = Annotated[str, Form(max_length=MOST_NAME), AfterValidator(_named)]


def faults_of(errors: Iterable[Mapping[str, Any]]) -> str:
    """What is wrong with a request, field by field."""
    return joined("; ", [_fault(one) for one in errors])


def _fault(error: Mapping[str, Any]) -> str:
    kind, context, place = error["type"], error.get("ctx", {}), [str(one) for one in error["loc"][1:]]
    field = ".".join(place)
    if kind == _NO_REASON or (kind == "missing" and place[-1:] == ["reason"]):
        return no_reason()
    if kind == _NO_NAME or (kind == "missing" and place[-1:] in (["whose"], ["user"])):
        return message("Give a name, in one line.")
    if kind == "missing" and place[:1] != ["files"]:
        return message("{field}: is missing", field=field)
    if kind == "string_too_long":
        return message("{field}: has more than {most} characters", field=field, most=context["max_length"])
    if kind == "string_too_short":
        return message("{field}: has fewer than {least} characters", field=field, least=context["min_length"])
    if place[:1] == ["files"]:
        return message("choose one file of the ledger, or the registry's files")
    return message("{field}: this value is not one that is taken here", field=field)
