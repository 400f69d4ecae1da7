"""Faults of a settings file in words: where, what is wrong, and what to write instead.

Enters: pydantic's list of errors. Leaves: one line a fault, `chains.bitcoin.finality: …`. A key that the settings don't have
names its successor: from `REMOVED` when it was one once or is often looked for, else the nearest key by spelling.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import ErrorDetails

REMOVED: Mapping[str, str] = {
    "chains.*.password": "is not kept in the settings: use password_file, or the environment variable ESEP_CHAINS_<NAME>_PASSWORD",
    "chains.*.rpc_password": "is not kept in the settings: use password_file, or the environment variable ESEP_CHAINS_<NAME>_PASSWORD",
    "chains.*.rpc_user": "is now chains.<name>.user",
    "chains.*.url": "is now chains.<name>.rpc_url",
    "chains.*.cookie": "is now chains.<name>.cookie_file",
    "chains.*.confirmations": "is now chains.<name>.finality",
    "chains.*.poll": "is now chains.<name>.poll_s",
    "chains.*.timeout": "is now chains.<name>.timeout_s",
    "chains.*.payout_unit": "is now the table [payout_unit], by asset: BTC = 10000",
    "chains.*.wallets.*.xpub": "is now chains.<name>.wallets.descriptors",
    "pool.phone": "is now pool.telephone",
    "pool.iin": "is now pool.bin",
    "pool.head": "is now pool.head_name",
    "pool.executor": "is now pool.executor_name",
    "finality": "is now chains.<name>.finality",
    "report.formats": "is no setting: a frozen month has every format",
    "store.publish_interval": "is now store.publish_every_s",
    "labels.*.outflow_class": "is now labels.class",
}


def explain(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> list[str]:
    """One line a fault, in the order of the settings. A list's own fault is left out where its entries have theirs."""
    places = [error["loc"] for error in errors]
    return [
        f"{_place(error['loc'])}: {_words(error, model)}"
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
        return "is missing"
    if kind == "union_tag_not_found":
        return f"has no kind: say which software or service it is, {error['ctx'].get('discriminator')} = …"
    if kind == "union_tag_invalid":
        return f"kind {error['ctx'].get('tag')!r} is none of {error['ctx'].get('expected_tags')}"
    if kind == "too_short":
        return "needs at least one entry"
    if kind == "value_error":
        return str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
    if kind == "string_pattern_mismatch":
        return f"{error['input']!r} does not have the form {error['ctx']['pattern']}"
    message = error["msg"].replace("Input should be", "must be")
    return f"{message}, not {_shown(error['input'])}"


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "a secret"
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
        return f"no such key: did you mean {near[0]}?"
    return f"no such key: here stand {', '.join(names)}"


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
