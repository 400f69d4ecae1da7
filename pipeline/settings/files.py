"""How each table's files are written, and ready profiles of it: `[ledger.files.…]`, `[registry.files.…]`, `config/profiles/*.toml`.

In: the settings' tables and the profiles, kept as data. Out: a table's settings, those of its profile put below them (`table_settings`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .faults import explain
from .parts import Section, Texts, as_tuple

DayFormat = Literal["yyyy-mm-dd", "dd.mm.yyyy", "dd/mm/yyyy", "mm/dd/yyyy", "yyyy/mm/dd"]


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(message("{value} is no time zone: write it like Asia/Almaty, or UTC", value=repr(value))) from error
    return value


class NetSettings(Section):
    """Rows that are taken off other rows of the file, so that the amount of these is net."""

    column: str = Field(min_length=1, description="the heading whose texts say what a row is")
    of: dict[str, str] = Field(min_length=1, description='rows taken off, each with what it is taken off: Fee = "Credit"')
    same: Texts = Field(min_length=1, description="headings whose texts both rows share; the first says whose they are")
    order: str = Field(
        min_length=1, description="a heading of whole numbers: a row with nothing under one of same is taken off the nearest before it"
    )
    commission: Texts = Field(default=(), description="rows taken off that are the pool's commission")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if both := sorted(set(self.of) & set(self.of.values())):
            raise ValueError(message("of: {both} is taken off, and taken from", both=repr(both[0])))
        if strange := sorted(set(self.commission) - set(self.of)):
            raise ValueError(message("commission: {strange} is not taken off anything", strange=repr(strange[0])))
        return self


class FileSettings(Section):
    """How one table's files are written, where they differ from ours."""

    profile: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9-]{0,60})?$",
        description="a ready profile, below which these keys stand: a file of config/profiles",
    )
    encoding: Literal["utf-8", "windows-1251", "kz-1048", "koi8-r", "cp866", "utf-16"] = Field(
        default="utf-8", description="of CSV files; one that begins with the mark of UTF-8 is read as UTF-8 all the same"
    )
    delimiter: Literal["", ",", ";", "\t", "|"] = Field(
        default="", description="between the fields of a CSV file; found by the headings when empty"
    )
    decimal: Literal[".", ",", "either"] = Field(
        default=".",
        description="what stands before the decimals of amounts written as text; either takes both signs, and refuses what could be thousands (1.234)",
    )
    grouping: Literal["", " ", ".", ",", "'"] = Field(
        default="", description="what stands between groups of three digits; a space stands for the no-break ones, too"
    )
    days: Annotated[tuple[DayFormat, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="forms of days beside 2026-10-31: dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy, yyyy/mm/dd; perhaps with hh:mm or hh:mm:ss; "
        "instants may then be days alone, read as 00:00, and told",
    )
    epoch: Literal["", "s", "ms"] = Field(default="", description="instants are numbers: s or ms since 1970-01-01T00:00:00Z")
    zone: Annotated[str, AfterValidator(_zone)] | None = Field(
        default=None, description="zone of this table's instants that name none; a heading that names another is refused"
    )
    rows_above: int = Field(default=0, ge=0, le=1000, description="rows above the headings to pass over, by the file's own count")
    rows_below: int = Field(
        default=0, ge=0, le=1000, description="rows of totals below to pass over; one that is full like the others is refused"
    )
    constants: dict[str, str] = Field(default_factory=dict, description='a column that the file lacks: asset = "BTC"')
    joined: dict[str, Texts] = Field(default_factory=dict, description='a column made of several: allocation_id = ["Block", "Worker"]')
    join_by: str = Field(default=":", min_length=1, max_length=5, description="what stands between the parts of a joined column")
    only: dict[str, Texts] = Field(
        default_factory=dict, description='rows to read, by heading: type = ["Credit"]; the others are passed over, and counted'
    )
    refused: dict[str, Texts] = Field(default_factory=dict, description="texts under a heading that refuse the whole file")
    base_units: bool = Field(default=False, description="amounts are whole base units (satoshi, wei)")
    factor: str = Field(
        default="",
        pattern=r"^([0-9]{1,20}(\.[0-9]{1,30})?)?$",
        description='amounts are multiplied by it, exactly: "0.001" for thousandths',
    )
    rounding: Literal["none", "down", "half-up", "half-even"] = Field(
        default="none", description="of amounts finer than the asset, told with their count; none refuses them"
    )

    ids: Literal["ledger", "month", "source"] = Field(
        default="ledger",
        description="where an id names one row: in the whole ledger, in a month, or in files of one name; the month or the name is put before it",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.grouping and self.grouping == self.decimal:
            raise ValueError(message("grouping and decimal are the same sign: one of them stands before the decimals"))
        if {"dd/mm/yyyy", "mm/dd/yyyy"} <= set(self.days):
            raise ValueError(message("days: dd/mm/yyyy and mm/dd/yyyy read 05/10/2026 as two different days: keep one"))
        if self.decimal == "either" and self.grouping in (".", ","):
            raise ValueError(message('decimal = "either" takes dot and comma for decimal signs: neither can be grouping, too'))
        if self.base_units and self.factor:
            raise ValueError(message("base_units and factor are both given: keep one"))
        if self.factor and not self.factor.strip("0."):
            raise ValueError(message("factor is 0: every amount would be 0"))
        return self


class AllocationFileSettings(FileSettings):
    """How allocation files are written, where they differ from ours."""

    net: NetSettings | None = Field(default=None, description="rows that are taken off other rows: a credit's fees")


class LedgerFiles(Section):
    """How the pool's ledger files are written, by kind of file."""

    allocations: AllocationFileSettings = Field(default_factory=AllocationFileSettings, description="allocation files")
    payments: FileSettings = Field(default_factory=FileSettings, description="payment files")
    openings: FileSettings = Field(default_factory=FileSettings, description="opening files")


class RegistryFiles(Section):
    """How the registry's files are written, by table."""

    miners: FileSettings = Field(default_factory=FileSettings, description="the miners' file")
    licences: FileSettings = Field(default_factory=FileSettings, description="the licences' file")
    accounts: FileSettings = Field(default_factory=FileSettings, description="the accounts' file")
    wallets: FileSettings = Field(default_factory=FileSettings, description="the wallets' file")
    counterparties: FileSettings = Field(default_factory=FileSettings, description="the counterparties' file")


class TableProfile(AllocationFileSettings):
    """A profile's settings for a table, with its headings."""

    columns: dict[str, str] = Field(default_factory=dict)
    ignored: Texts = ()
    warning: str = ""
    """What exports of this kind lack: shown at each import."""


class Profile(Section):
    """A file of config/profiles: what it is of, and a table for each kind of file, or `any` for all."""

    about: str
    tables: dict[str, TableProfile]


def profile_names(folder: Path) -> list[str]:
    """The names of the profiles."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def read_profile(folder: Path, name: str, kind: str) -> TableProfile:
    """Profile `name` for tables of `kind`. Raises SettingsError for a profile that does not exist, is not for the kind, or is invalid."""
    names = profile_names(folder)
    if name not in names:
        raise SettingsError(
            [message("profile {name}: there is none of that name; there are {names}", name=repr(name), names=", ".join(names))], source=kind
        )
    path = folder / f"{name}.toml"
    try:
        profile = Profile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise SettingsError(explain(error.errors(), Profile), source=str(path)) from None
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError([message("is no profile: {error}", error=error)], source=str(path)) from None
    found = profile.tables.get(kind) or profile.tables.get("any")
    if found is None:
        raise SettingsError(
            [message("profile {name}: is for {tables}, not for {kind}", name=repr(name), tables=", ".join(profile.tables), kind=kind)],
            source=kind,
        )
    return found


def table_settings(folder: Path, kind: str, own: FileSettings, columns: Mapping[str, str], profile: str | None = None) -> TableProfile:
    """A table's settings with its profile's below them, and the headings of both. `profile`: instead of the one in the settings."""
    name = profile or own.profile
    below = read_profile(folder, name, kind) if name else TableProfile()
    keys = {key: getattr(own, key) for key in own.model_fields_set if key != "profile"}
    merged = {key: getattr(below, key) for key in below.model_fields_set} | keys
    try:
        return TableProfile.model_validate(merged | {"columns": {**below.columns, **columns}})
    except ValidationError as error:
        raise SettingsError(
            [message("with profile {name}: {fault}", name=repr(name), fault=fault) for fault in explain(error.errors(), TableProfile)],
            source=kind,
        ) from None


class LedgerColumns(Section):
    """Headings of the pool's ledger files where they differ from ours: `our_column = "Their heading"`."""

    allocations: dict[str, str] = Field(default_factory=dict, description="of allocation files")
    payments: dict[str, str] = Field(default_factory=dict, description="of payment files")
    openings: dict[str, str] = Field(default_factory=dict, description="of opening files")


class RegistryColumns(Section):
    """Headings of the registry's files where they differ from ours: `our_column = "Their heading"`."""

    miners: dict[str, str] = Field(default_factory=dict, description="of the miners' file")
    licences: dict[str, str] = Field(default_factory=dict, description="of the licences' file")
    accounts: dict[str, str] = Field(default_factory=dict, description="of the accounts' file")
    wallets: dict[str, str] = Field(default_factory=dict, description="of the wallets' file")
    counterparties: dict[str, str] = Field(default_factory=dict, description="of the counterparties' file")
