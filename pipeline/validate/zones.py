"""The time zone of instants without an offset: the heading's, the table's, or the common one in the settings.

In: a heading and the settings' zones. Out: the zone, where it was found, or what is wrong. Left out: the reading itself (`cells`).
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from pipeline.model.message import message

_OFFSET = re.compile(r"(?i)(?<![a-zа-я])(?:utc|gmt)? ?([+-])([0-9]{1,2})(?::?([0-9]{2}))?(?![0-9])")
_UTC = re.compile(r"(?i)(?<![a-zа-я])(?:utc|gmt)(?![a-zа-я+-])")
_REGION = re.compile(r"\b(?:Africa|America|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[A-Za-z_]+(?:/[A-Za-z_]+)?")
_PLACES = {
    r"алматы|almaty|астана|astana|қазақстан|казахстан|kazakhstan": "Asia/Almaty",
    r"мск|msk|москва|moscow": "Europe/Moscow",
}
_ABBREVIATION = re.compile(r"(?<![A-Za-z])(?:[ECMP][SD]T|CET|CEST|EET|EEST|BST|IST|JST|HKT|SGT|ALMT|QYZT)(?![A-Za-z])")


def heading_zone(heading: str) -> tuple[str | None, str]:
    """The time zone in a heading (None for none), and what is wrong with it ("" for nothing)."""
    if found := _REGION.search(heading):
        return (found[0], "") if _is_zone(found[0]) else (None, message("names the zone {found}, which is none", found=found[0]))
    if found := _OFFSET.search(heading):
        sign, hours, minutes = found[1], int(found[2]), int(found[3] or 0)
        if "utc" in found[0].lower() or "gmt" in found[0].lower() or re.search(r"\(\s*[+-][0-9:]+\s*\)", heading):
            if minutes or hours > 14:
                return None, message("names an offset, {found}, that is no whole hours from UTC", found=found[0].strip())
            # The zone database counts these westward.
            return ("UTC" if hours == 0 else f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"), ""
    if _UTC.search(heading):
        return "UTC", ""
    for words, zone in _PLACES.items():
        if re.search(rf"(?i)(?<![a-zа-яәғқңөұүһі])(?:{words})(?![a-zа-яәғқңөұүһі])", heading):
            return zone, ""
    if found := _ABBREVIATION.search(heading):
        return None, message("names a zone by {found}, which several zones are called", found=found[0])
    return None, ""


def zone_for(heading: str, table_zone: str | None, common_zone: str | None, place: str) -> tuple[str | None, str, str]:
    """The zone of a column's instants that carry no offset; which that is, for the import's summary; and a fault ("" for none)."""
    named, wrong = heading_zone(heading)
    if wrong and table_zone is None:
        return None, "", message("{wrong}: set zone in {place}", wrong=wrong, place=place)
    if named is None:
        zone = table_zone or common_zone
        return zone, f"{zone} ({place if table_zone else 'ledger.timezone'})", ""
    if table_zone is not None and table_zone != named:
        return (
            None,
            "",
            message(
                "names {said}, and {place} says zone = {table_zone}: leave one", said=said(named), place=place, table_zone=repr(table_zone)
            ),
        )
    return named, message("{zone} (the column's heading)", zone=said(named)), ""


def said(zone: str) -> str:
    """A time zone for messages: `Etc/GMT-5` is UTC+5."""
    if found := re.fullmatch(r"Etc/GMT([+-])([0-9]+)", zone):
        return f"UTC{'-' if found[1] == '+' else '+'}{found[2]}"
    return zone


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True
