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

import pytest

from pipeline.assess.wallets import WalletDescriptors
from pipeline.chains.bitcoin.filters import matches
from pipeline.chains.bitcoin.networks import Network
from pipeline.render import Format, Printer
from pipeline.render.form import Language
from pipeline.verify.descriptors import _derived
from pipeline.verify.files import digest_of
from pipeline.verify.workbook import workbook_seen

_documents: dict[str, bytes] = {}
_workbooks: dict[str, Any] = {}
_matches = functools.cache(matches)


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


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Within it verify remembers what it rendered, parsed, derived and looked for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.verify.documents.Printer", _Printer)
        patched.setattr("pipeline.verify.documents.workbook_seen", _seen)
        patched.setattr("pipeline.verify.filters.matches", lambda encoded, block, scripts: _matches(encoded, block, frozenset(scripts)))
        patched.setattr(
            "pipeline.verify.descriptors._derived", lambda one, network: _scripts(tuple(one.descriptors), one.descriptor_range, network)
        )
        yield
