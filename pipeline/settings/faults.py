"""Faults of a settings file in words: where, what is wrong, and what to write instead.

Enters: pydantic's list of errors. Leaves: one line a fault, `chains.bitcoin.finality: …`. A key that the settings don't have
names its successor: from `REMOVED` when it was one once or is often looked for, else the nearest key by spelling.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import ErrorDetails

from pipeline.model.message import message, text_of
from pipeline.texts import N_

REMOVED: Mapping[str, str] = {
    "chains.*.password": message("is not kept in the settings: use password_file, or the environment variable ESEP_CHAINS_<NAME>_PASSWORD"),
    "chains.*.rpc_password": message(
        "is not kept in the settings: use password_file, or the environment variable ESEP_CHAINS_<NAME>_PASSWORD"
    ),
    "chains.*.rpc_user": message("is now chains.<name>.user"),
    "chains.*.url": message("is now chains.<name>.rpc_url"),
    "chains.*.cookie": message("is now chains.<name>.cookie_file"),
    "chains.*.confirmations": message("is now chains.<name>.finality"),
    "chains.*.poll": message("is now chains.<name>.poll_s"),
    "chains.*.timeout": message("is now chains.<name>.timeout_s"),
    "chains.*.payout_unit": message("is now the table [payout_unit], by asset: BTC = 10000"),
    "chains.*.wallets.*.xpub": message("is now chains.<name>.wallets.descriptors"),
    "pool.phone": message("is now pool.telephone"),
    "pool.iin": message("is now pool.bin"),
    "pool.head": message("is now pool.head_name"),
    "pool.executor": message("is now pool.executor_name"),
    "finality": message("is now chains.<name>.finality"),
    "report.formats": message("is no setting: a frozen month has every format"),
    "store.publish_interval": message("is now store.publish_every_s"),
    "labels.*.outflow_class": message("is now labels.class"),
}


def explain(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> list[str]:
    """One line a fault, in the order of the settings. A list's own fault is left out where its entries have theirs."""
    places = [error["loc"] for error in errors]
    return [
        message("{place}: {words}", place=_place(error["loc"]), words=_words(error, model))
        for error in errors
        if not any(len(place) > len(error["loc"]) and place[: len(error["loc"])] == error["loc"] for place in places)
    ]


def _place(loc: Sequence[int | str]) -> str:
    """`("chains", "bitcoin", "wallets", 0, "name")` as `chains.bitcoin.wallets[1].name`: entries count from 1."""
    text = ""
    if len(loc) > 2 and loc[0] == "sources":  # the third names the kind of source, which is no key
        loc = (*loc[:2], *loc[3:])
    for part in loc:
        text += f"[{part + 1}]" if isinstance(part, int) else ("" if part == "[key]" else f".{part}" if text else part)
    return text


def _words(error: ErrorDetails, model: type[BaseModel]) -> str:
    loc, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return _successor(loc, model)
    if kind == "missing":
        return message("is missing")
    if kind == "union_tag_not_found":
        return message(
            "has no kind: say which software or service it is, {discriminator} = …", discriminator=error["ctx"].get("discriminator")
        )
    if kind == "union_tag_invalid":
        return message(
            "kind {tag} is none of {expected_tags}", tag=repr(error["ctx"].get("tag")), expected_tags=error["ctx"].get("expected_tags")
        )
    if kind == "too_short":
        return message("needs at least one entry")
    if kind == "value_error":
        return text_of(error["ctx"]["error"]) if "ctx" in error else error["msg"]
    if kind == "string_pattern_mismatch":
        return message("{input} does not have the form {pattern}", input=repr(error["input"]), pattern=error["ctx"]["pattern"])
    said = _pydantic_words(error["msg"])
    return message("{said}, not {shown}", said=said, shown=_shown(error["input"]))


def _pydantic_words(said: str) -> str:
    """What pydantic says of a value in the words of this house, so that it can be translated; what is not known here stays as it is."""
    wanted = said.removeprefix("Input should be ")
    if wanted == said:
        return said
    if bound := re.fullmatch(r"(.+ than(?: or equal to)?) (.+)", wanted):
        return message(_BOUNDS[bound[1]], bound=bound[2]) if bound[1] in _BOUNDS else message("must be {wanted}", wanted=wanted)
    return message("must be {wanted}", wanted=message(_KINDS.get(wanted, "{wanted}"), wanted=wanted))


_KINDS: Final = {
    "a valid string": N_("a valid string"), "a valid integer": N_("a valid integer"), "a valid boolean": N_("a valid boolean"),
    "a valid dictionary": N_("a valid dictionary"), "a valid list": N_("a valid list"), "a valid tuple": N_("a valid tuple"),
}  # fmt: skip
_BOUNDS: Final = {
    "greater than or equal to": N_("must be greater than or equal to {bound}"), "less than or equal to": N_("must be less than or equal to {bound}"),
    "greater than": N_("must be greater than {bound}"), "less than": N_("must be less than {bound}"),
}  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return message("a secret")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _successor(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    for pattern, words in REMOVED.items():
        parts = pattern.split(".")
        if len(parts) == len(loc) and all(wanted in ("*", str(part)) for wanted, part in zip(parts, loc, strict=True)):
            return words
    section = section_at(model, loc[:-1])
    names = [field.alias or name for name, field in section.model_fields.items() if not field.exclude] if section else []
    near = difflib.get_close_matches(str(loc[-1]), names, n=1, cutoff=0.6)
    if near:
        return message("no such key: did you mean {near}?", near=near[0])
    return message("no such key: here stand {names}", names=", ".join(names))


def section_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The table that `loc` names in the settings, past names of dictionaries and numbers of lists."""
    current: Any = model
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = next((f for name, f in current.model_fields.items() if part in (name, f.alias)), None)
            if field is None:
                return None
            current = field.annotation
        elif tagged := [one for one in variants(current) if _kind_of(one) == part]:
            current = tagged[0]
        else:
            current = next(_inner(current), None)
    while not (isinstance(current, type) and issubclass(current, BaseModel)):
        current = next(_inner(current), None)
        if current is None:
            return None
    return current


def variants(annotation: Any) -> list[type[BaseModel]]:
    """The tables of which a key names one by its `kind`; empty for anything else."""
    while get_origin(annotation) is dict or hasattr(annotation, "__metadata__"):
        annotation = next(_inner(annotation))
    if get_origin(annotation) not in (Union, types.UnionType):
        return []
    found = [one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel) and "kind" in one.model_fields]
    return found if len(found) > 1 else []


def _kind_of(model: type[BaseModel]) -> object:
    return get_args(model.model_fields["kind"].annotation)[0]


def _inner(annotation: Any) -> Iterator[Any]:
    """The value's type within `dict[K, V]`, `tuple[V, ...]`, `V | None`, `Annotated[V, …]`; nothing for plain types."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        yield arguments[1]
    elif origin in (tuple, list, Union, types.UnionType):
        yield arguments[0]
    elif hasattr(annotation, "__metadata__"):
        yield annotation.__origin__
