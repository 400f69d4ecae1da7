"""What verify works out of one honest month again and again, for one forgery after another, worked out once a process.

Pure functions only, each remembered by all that enters it: a forgery that changes anything of that has its own answer, worked out for it alone.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.assess.coins import MonthCoins, month_coins
from pipeline.assess.wallets import WalletDescriptors
from pipeline.chains.bitcoin.filters import matches
from pipeline.chains.bitcoin.networks import Network
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import Beginning
from pipeline.model.months import Month
from pipeline.model.packed import zlib_here
from pipeline.model.rules import Rules
from pipeline.render import Format, Printer
from pipeline.render.form import Language
from pipeline.verify.descriptors import _derived
from pipeline.verify.files import _read_frame, digest_of
from pipeline.verify.receipts import REPORT_CSV, ROWS_CSV, describe_folder
from pipeline.verify.workbook import workbook_seen

_documents: dict[str, bytes] = {}
_workbooks: dict[str, Any] = {}
_matches = functools.cache(matches)
_frames: dict[tuple[str, str], pl.DataFrame] = {}
_described: dict[tuple[str, str, str, int], str] = {}
_RECENT = 8
"""Months that are held beside the first, which is the honest one."""


class _Printer(Printer):
    """Prints what another one printed already from it: a document's digest is that of the rows that it was loaded with."""

    def print(self, path: Path, *, format: Format, language: Language = "kk", on_progress: Callable[[int], None] = lambda _: None) -> None:
        document = self._document
        entering = (
            document.month,
            document.version,
            document.digest,
            document.frozen_at,
            document.layout,
            document.pdf_rows,
            format,
            language,
            zlib_here(),
        )
        key = json.dumps([document.header, document.totals, *map(str, entering)], sort_keys=True)
        if key not in _documents:
            super().print(path, format=format, language=language, on_progress=on_progress)
            _documents[key] = path.read_bytes()
        path.write_bytes(_documents[key])


def _seen(path: Path) -> Any:
    digest = digest_of(path)
    if digest not in _workbooks:
        _workbooks[digest] = workbook_seen(path)
    return _workbooks[digest]


@functools.cache
def _scripts(descriptors: tuple[str, ...], below: int, network: Network) -> Sequence[tuple[int, bytes]]:
    named = WalletDescriptors(chain="", wallet="", descriptors=list(descriptors), descriptor_range=below, addresses=[])
    return list(_derived(named, network))


def _frame(path: Path, name: str) -> pl.DataFrame:
    """The frame of a file, the same object for the same bytes: by it the months below are told apart."""
    key = name, digest_of(path) if path.exists() else ""
    if key not in _frames:
        _frames[key] = _read_frame(path, name)
    return _frames[key]


def _describe(folder: Path, *, month: str, version: int) -> dict[str, Any]:
    key = digest_of(folder / REPORT_CSV), digest_of(folder / ROWS_CSV), month, version
    if key not in _described:
        _described[key] = json.dumps(describe_folder(folder, month=month, version=version))
    described: dict[str, Any] = json.loads(_described[key])
    return described


class _Months:
    """What a month of the same frames, by the same rules, came to. A month that begins with an opening line is worked out each time."""

    def __init__(self, work_out: Callable[..., Any]) -> None:
        self._work_out = work_out
        self._found: list[tuple[Facts, Month, Rules, Any]] = []

    def __call__(self, facts: Facts, month: Month, rules: Rules, opening: Beginning | None = None) -> Any:
        if opening is not None:
            return self._work_out(facts, month, rules, opening)
        for of, when, by, found in self._found:
            if (when, by) == (month, rules) and all(getattr(of, name) is frame for name, frame in vars(facts).items()):
                return found
        found = self._work_out(facts, month, rules)
        self._found = [*self._found[:1], *self._found[1:][1 - _RECENT :], (facts, month, rules, found)]
        return found


_enrich: Callable[..., Enriched] = _Months(enrich_month)
_coins: Callable[..., MonthCoins] = _Months(month_coins)


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Within it verify remembers what it rendered, parsed, derived and looked for, and what the months came to of facts that it read."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.verify.files._read_frame", _frame)
        for module in ("pipeline.verify.receipts", "pipeline.freeze.bundle", "tests.forgery.forger"):
            patched.setattr(f"{module}.describe_folder", _describe)
        for module in ("pipeline.verify.opened", "tests.forgery.forger"):
            patched.setattr(f"{module}.enrich_month", _enrich)
        for module in ("pipeline.verify.opened", "pipeline.verify.coins", "pipeline.freeze.bundle"):
            patched.setattr(f"{module}.month_coins", _coins)
        patched.setattr("pipeline.verify.documents.Printer", _Printer)
        patched.setattr("pipeline.verify.documents.workbook_seen", _seen)
        patched.setattr("pipeline.verify.filters.matches", lambda encoded, block, scripts: _matches(encoded, block, frozenset(scripts)))
        patched.setattr(
            "pipeline.verify.descriptors._derived", lambda one, network: _scripts(tuple(one.descriptors), one.descriptor_range, network)
        )
        yield
