"""Building blocks of the settings: a table in which unknown keys are faults, and conversions of TOML's paths and lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def as_path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


FilePath = Annotated[Path, BeforeValidator(as_path)]
Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


class Section(BaseModel):
    """A table of the settings: unknown keys are faults, values are not converted, nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
