"""Bring in: drop a registry or ledger file, see faults, sums and what it changes, then take it or leave it; and the sources that the ledger is read from."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Final, cast

from fastapi import APIRouter, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from pipeline.app.app import App
from pipeline.app.bring_in import FOLDER, KINDS, Brought, Kind, Taken, bring_in, leave, sweep, take
from pipeline.app.imports import day_to_come_fault
from pipeline.model.message import message
from pipeline.model.months import almaty_date
from pipeline.web.access import AsImporter, AsOperator, AsViewer
from pipeline.web.body_limit import FILES_BYTES
from pipeline.web.layout import environment, page
from pipeline.web.parts import Console, Viewer

from .months import masked_text
from .source_items import address_of
from .tasks import to_task

router = APIRouter()
MOST_FILES: Final = 8
_CHUNK: Final = 1 << 20
_LONGEST_STEM_BYTES: Final = 180
"""File systems take 255 bytes; suffixes of what is written on the way have room."""
_LONGEST_ENDING: Final = 12
SHOWN_FAULTS: Final = 500


def _moment(viewer: Viewer) -> Callable[[int | None], str]:
    """An instant in microseconds, in words."""
    instant = cast("Callable[[int], str]", environment(viewer.language).globals["instant"])
    return lambda micros: "–" if micros is None else instant(micros // 1_000_000)


@router.get("/bring-in")
def bring(
    request: Request, parts: Console, viewer: AsViewer, task: Annotated[str, Query(max_length=40)] = "", decided: bool = False
) -> Response:
    """What can be brought in; with a task, what it found."""
    tasks = parts.app.tasks
    settings = parts.app.settings.sources
    snapshot = parts.reading.snapshot()
    held, waiting = snapshot.sources.states, snapshot.sources.items
    return page(
        request, "bring_in.html", kinds=KINDS, decided=decided, address_of=address_of, masked_text=lambda text: masked_text(text, viewer), brought=tasks.result(task, Brought), taken=tasks.result(task, Taken), task=task, sources=held, waiting=waiting,
        moment=_moment(viewer), configured={name: one.kind for name, one in settings.items()}, snapshot=snapshot, may_decide="operator" in viewer.roles, most=SHOWN_FAULTS, today=almaty_date(parts.app.now()),
        lost_at={one.source: one.last_look // 1_000_000 + retention for one in held if (retention := getattr(settings.get(one.source), "retention_s", None))},
    )  # fmt: skip


@router.post("/bring-in")
def brought(parts: Console, viewer: AsOperator, kind: Annotated[Kind, Form()], files: Annotated[list[UploadFile], File()]) -> Response:
    """Keep the files for the review, and begin it."""
    if not 1 <= len(files) <= MOST_FILES or (kind != "registry" and len(files) != 1) or not all(one.filename for one in files):
        raise HTTPException(422, message("choose one file of the ledger, or the registry's files"))
    folder = _keep(parts.app, files)
    work = message("What {name} would change", name=", ".join(sorted(path.name for path in folder.iterdir())))
    return to_task(
        parts.app.tasks.start(work, lambda told: bring_in(parts.app, kind, folder, told), by=viewer.person, then="/bring-in?task={id}")
    )


def _keep(app: App, files: list[UploadFile]) -> Path:
    sweep(app.settings.var, app.now())
    names = [kept_name(one.filename or "") for one in files]
    for name in names:
        if names.count(name) > 1:
            raise HTTPException(422, message("two files are called {name}: choose each once, under names of their own", name=name))
    folder = app.settings.var / FOLDER / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    left = FILES_BYTES
    for one, name in zip(files, names, strict=True):
        with (folder / name).open("xb") as kept:
            while chunk := one.file.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    leave(folder)
                    raise HTTPException(413, message("the files are larger than {count} MiB", count=FILES_BYTES >> 20))
                kept.write(chunk)
    return folder


def kept_name(given: str) -> str:
    """A file's name as it is kept: without a path and what is odd in one, as short as every file system takes it, its ending whole."""
    name = re.sub(r"[^\w.() -]", "_", Path(given).name).lstrip(".") or "file"
    stem, ending = (name[:-length], name[-length:]) if 0 < (length := len(Path(name).suffix)) <= _LONGEST_ENDING else (name, "")
    return stem.encode()[:_LONGEST_STEM_BYTES].decode(errors="ignore") + ending


@router.post("/bring-in/{task}/take")
def taken(parts: Console, viewer: AsImporter, task: str, is_agreed: Annotated[bool, Form()] = False) -> Response:
    """Import what was reviewed, in the person's name."""
    found = parts.app.tasks.result(task, Brought)
    if found is None:
        raise HTTPException(
            404, message("This work is not kept any more: the console was started anew, or it is long done. Begin it again from its page.")
        )
    if is_agreed:
        parts.app.people.require_key(viewer.person, "agree")
    work = message("importing {name}", name=", ".join(found.names))
    return to_task(
        parts.app.tasks.start(
            work,
            lambda told: take(parts.app, found, told, by=viewer.person, is_agreed=is_agreed),
            by=viewer.person,
            then="/bring-in?task={id}",
        )
    )


@router.post("/bring-in/{task}/leave")
def left(parts: Console, _: AsOperator, task: str) -> Response:
    """Delete the files; nothing was imported."""
    found = parts.app.tasks.result(task, Brought)
    if found is not None:
        leave(found.folder)
    return RedirectResponse("/bring-in", 303)


@router.post("/bring-in/complete")
def complete(parts: Console, _: AsImporter, through: Annotated[date, Form()]) -> Response:
    """Declare that the ledger holds everything through a day (rule 8.1)."""
    if fault := day_to_come_fault(through, parts.app.now()):
        raise HTTPException(422, fault)
    known = parts.reading.snapshot().overview.ledger_complete_through
    if known is not None and through <= known:
        raise HTTPException(409, message("The ledger is declared complete through {day} already: nothing was declared.", day=known))
    parts.app.imports.declare_complete(through)
    parts.await_shown()
    return RedirectResponse("/bring-in", 303)
