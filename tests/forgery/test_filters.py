"""Compact block filters beside a bundle (ADR 19): what they prove with a node, and what stays somebody's word without one. Their forgeries are in the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.verify.finding import Check

from .filters import changed, empty, honest_filters, recorded, rows_of, write_rows
from .forger import verified


def checks_of(bundle: Path, *, has_node: bool) -> dict[str, Check]:
    found = verified(bundle, left_out=["documents"], node=recorded() if has_node else None)  # type: ignore[arg-type]
    return {check.name: check for check in found}


def test_honest_filters_prove_with_a_node_that_says_the_same_header(bundle: Path) -> None:
    checks = checks_of(honest_filters(bundle), has_node=True)
    assert checks["filters"].holds and checks["files"].holds and checks["node"].holds, checks["node"].detail
    assert "the filters are the node's: blocks" in checks["node"].detail and not checks["node"].not_checked
    assert not checks["filters"].on_word


def test_without_a_node_they_are_somebody_s_word(bundle: Path) -> None:
    bundle = honest_filters(bundle)
    checks = checks_of(bundle, has_node=False)
    assert checks["filters"].holds and not checks["filters"].detail
    assert rows_of(bundle)[-1].filter_header in checks["filters"].on_word[0] and "--node asks a node" in checks["filters"].on_word[0]


def test_filters_made_anew_from_another_block_on_are_contradicted_by_the_node(bundle: Path) -> None:
    """Where nothing in the bundle speaks of a block, its filter can be any: only the header that a node says shows it."""

    def other(rows: list, place: int) -> None:
        quiet = next(number for number, row in enumerate(rows) if row.block is None)
        empty(rows, quiet)

    changed(other, relinked=True)(bundle)
    assert checks_of(bundle, has_node=False)["filters"].holds
    node = checks_of(bundle, has_node=True)["node"]
    assert not node.holds and "and are others" in node.detail


def test_a_bundle_without_filters_says_nothing_of_them(bundle: Path) -> None:
    check = checks_of(bundle, has_node=False)["filters"]
    assert check.holds and not (check.detail or check.not_checked or check.on_word or check.undecided)


def test_a_node_without_filters_decides_nothing(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest_filters(bundle)
    monkeypatch.setattr(type(recorded()), "filter_header", lambda *_: None)
    node = checks_of(bundle, has_node=True)["node"]
    assert node.holds and "keeps no filters" in " ".join(node.on_word) and "--node-blocks" in node.not_checked


def test_what_else_lies_there_is_named(bundle: Path) -> None:
    write_rows(bundle, [])
    (bundle / "filters" / "other.txt").write_text("x")
    files = checks_of(bundle, has_node=False)["files"]
    assert not files.holds and "'filters/other.txt' is not in the manifest" in files.detail
