"""Which sheet of a workbook is read, and what is asked about rows that it hides.

In: the sheets' names, and the one asked for or looked for. Out: the sheet's place, or the sentence that says what there is. Left out: reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.message import message
from pipeline.texts import N_
from pipeline.validate.layout import Layout
from pipeline.validate.table import shown

MAX_COLUMNS = 16_384
"""Of a sheet."""
SMALL_UNITS = r"(?i)\b(?:sats?|satoshis?|m(?:illi)?btc|[uµμ]btc|bits?|g?wei|[цс]атоши|мбтк)\b|сат(?:оши)?\b"
"""Units smaller than a coin, as a number's format writes them beside it."""
MAX_STRAY_FAULTS = 1_000
"""So many faults of one kind are told of a sheet."""
_SHOWN_LINES = 5

NO_SHEET = "has no sheet"
"""How the fault of a sheet that is not there begins."""


def choose_sheet(sheets: Sequence[tuple[str, bool]], expected: str | None, asked: str | None, layout: Layout) -> tuple[int, str]:
    """The place of the sheet to read, and what is wrong ("" for nothing).

    `sheets`: each one's name, and whether it is hidden. `asked`: the name that a person gave: it or none. `expected`: the name looked for
    otherwise; where no sheet has it, the only visible one.
    """
    seen = [place for place, (_, is_hidden) in enumerate(sheets) if not is_hidden]
    name = asked or expected or ""
    named = [place for place, (title, _) in enumerate(sheets) if title.casefold() == name.casefold()]
    if named:
        return named[0], ""
    if asked is None and len(seen) == 1:
        return seen[0], ""
    names = ", ".join(shown(sheets[place][0]) for place in seen) or message("none")
    is_registry = layout.place.startswith("[registry")
    if asked is not None:
        template = (
            N_("has no sheet {asked}; it has {names}: name the one to read {asked}")
            if is_registry
            else N_("has no sheet {asked}; it has {names}: say one of them with --sheet")
        )
        return 0, message(template, asked=repr(asked), names=names)
    template = (
        N_("which sheet? It has {names}: name the one to read {name}, or leave only that one")
        if is_registry
        else N_("which sheet? It has {names}: say one of them with --sheet, or name the one to read {name}, or leave only that one")
    )
    return 0, message(template, names=names, name=repr(name))


def said_hidden_sheet(sheets: Sequence[tuple[str, bool]], place: int, asked: str | None, layout: Layout) -> tuple[str, ...]:
    """The question that a hidden sheet raises which nobody asked for by its name; none for another."""
    name, is_hidden = sheets[place]
    if not is_hidden or (
        asked is not None and not layout.place.startswith("[registry")
    ):  # the registry's sheets are asked for by the program
        return ()
    names = ", ".join(shown(title) for title, hidden in sheets if not hidden) or message("none")
    return (message("the sheet {name} is hidden, and is the one that is read; those to be seen: {names}", name=shown(name), names=names),)


def said_hidden(lines: Sequence[int]) -> tuple[str, ...]:
    """The question that rows hidden in the sheet raise; none for none."""
    return _said(N_("{count} row(s) are hidden in the sheet (by hand or by a filter), and are read like the others: {listed}"), lines)


def said_struck(lines: Sequence[int]) -> tuple[str, ...]:
    """The question that rows with struck out cells raise; none for none."""
    return _said(N_("{count} row(s) have cells that are struck out, and are read like the others: {listed}"), lines)


def _said(template: str, lines: Sequence[int]) -> tuple[str, ...]:
    if not lines:
        return ()
    listed = ", ".join(str(line) for line in lines[:_SHOWN_LINES]) + (", …" if len(lines) > _SHOWN_LINES else "")
    return (message(template, count=len(lines), listed=listed),)
