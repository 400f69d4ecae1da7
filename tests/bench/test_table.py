"""The bench's table and plot say what was measured, and a part that can't run says why."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from . import parts, plot
from .__main__ import section
from .row import HEAD, CannotRun, Row, as_markdown


def test_a_row_has_a_cell_for_each_heading_and_its_ratio() -> None:
    line = as_markdown(Row("month", "ingest", 1_000, "rows", 4.0, "duckdb insert", 2.0, cpu_s=3.0))
    assert line.count("|") == HEAD[0].count("|") == HEAD[1].count("|")
    assert line == "| month | ingest | 1,000 rows | 4.00 | 250 | 3.00 |  | duckdb insert | 2.00 | 2.00 |"


def test_what_can_not_run_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ESEP_BITCOIND", raising=False)
    with pytest.raises(CannotRun, match="no bitcoind on PATH") as why:
        parts.run_bitcoin()
    text = section([Row("import", "a", 1, "rows", 1.0, "b", 1.0)], {"bitcoin": str(why.value)}, 2.0, 0.5)
    assert "Without a row: bitcoin: no bitcoind on PATH, and ESEP_BITCOIND does not name one." in text
    assert "load average 0.5 before" in text


def test_the_plot_is_one_svg_with_every_point_twice(tmp_path: Path) -> None:
    points = [plot.Point(step, n, n / 1e5, 100 + n / 1e3) for step in plot.SERIES for n in (10_000, 100_000, 1_000_000)]
    plot.draw(points, tmp_path / "b.svg")
    svg = ElementTree.fromstring((tmp_path / "b.svg").read_bytes())
    circles = [node for node in svg.iter("{http://www.w3.org/2000/svg}circle") if node.get("r") == "3"]
    assert len(circles) == 2 * len(points)
    for node in circles:
        assert 0 <= float(node.get("cx", "-1")) <= plot.WIDTH
        assert 0 <= float(node.get("cy", "-1")) <= plot.HEIGHT
    assert "| 1,000,000 | 10.00 | 1,100 |" in plot.table(points)
