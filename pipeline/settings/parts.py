"""Building blocks of the settings: a table in which unknown keys are faults, and conversions of TOML's paths and lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from pipeline.model.message import message


def as_path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _explorer(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s\"'<>]+", value) or "{txid}" not in value or set("{}") & set(value.replace("{txid}", "")):
        example = "https://explorer.example/tx/{txid}"
        raise ValueError(message("{value} is no page of a transaction: write it like {example}", value=repr(value), example=example))
    return value


FilePath = Annotated[Path, BeforeValidator(as_path)]
Explorer = Annotated[str, AfterValidator(_explorer)]
"""A block explorer's page of a transaction, with `{txid}` in it."""
Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


class Section(BaseModel):
    """A table of the settings: unknown keys are faults, values are not converted, nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    """`defer_build`: a table's checks are built when the settings are first loaded, once, not again for each table that holds it."""
