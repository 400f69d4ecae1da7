"""A CSV file read at once, where every line has as many fields as there are headings, is the table that reading it line by line gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.files.csv_table import _even, _read_plain, _read_uneven
from pipeline.validate.layout import OWN

HEADINGS = ["account", "asset", "amount"]
HEADING = b"account,asset,amount\n"
CELLS = st.sampled_from(
    ["x", "", "  ", "é", "1.5", " y ", "\t", "\x0b", "\x00", "#", "'", "\u2028", "\u00a0", "-", "null", "N/A", "0" * 300]
)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=4) | st.lists(CELLS, min_size=3, max_size=3), max_size=6)


@given(rows=ROWS, separator=st.sampled_from(",;"), above=st.integers(0, 2), below=st.sampled_from(["", "\n", "\n\n", "\n \n"]))
def test_at_once_and_line_by_line_give_the_same_table(rows: list[list[str]], separator: str, above: int, below: str) -> None:
    data = ("\n" * above + "\n".join(separator.join(row) for row in [HEADINGS, *rows]) + below).encode()
    at_once, by_line = _read_plain(data, "f.csv", HEADINGS, OWN), _read_uneven(data, "f.csv", HEADINGS, OWN)
    assert (at_once.heading_line, at_once.faults) == (by_line.heading_line, by_line.faults)
    assert at_once.lines.to_list() == by_line.lines.to_list()
    assert [(one.heading, one.values.dtype, one.values.to_list()) for one in at_once.columns] == [
        (one.heading, one.values.dtype, one.values.to_list()) for one in by_line.columns
    ]


LONG = st.lists(st.lists(st.sampled_from(["x", "", " x", "x\t", "a b"]), min_size=3, max_size=3), min_size=1, max_size=4)


@given(rows=LONG, separator=st.sampled_from(",;\t"))
def test_cells_with_and_without_white_space_are_trimmed_alike(rows: list[list[str]], separator: str) -> None:
    rows = [[cell.replace("\t", " ") if separator == "\t" else cell for cell in row] for row in rows]
    data = "\n".join(separator.join(row) for row in [HEADINGS, *rows]).encode()
    read = _read_plain(data, "f.csv", HEADINGS, OWN)
    kept = [[cell.strip() or None for cell in row] for row in rows if "".join(row).strip()]
    assert [column.values.to_list() for column in read.columns] == [[row[place] for row in kept] for place in range(3)]
    assert read.lines.to_list() == [line for line, row in enumerate(rows, 2) if "".join(row).strip()]


def test_plain_files_are_read_at_once() -> None:
    """What the property is about does happen."""
    assert _even(HEADING + b"a,BTC,1\nb,BTC,2\n", 1, ",", 3) is not None
    assert _even(HEADING + b"a,BTC,1\nb,BTC,2", 1, ",", 3) is not None
    assert _even(HEADING + b"a,BTC,1\n\nb,BTC,2\n", 1, ",", 3) is None
    assert _even(HEADING + b"a,BTC\nb,BTC,2,\n", 1, ",", 3) is None
    assert _even(HEADING + b"a,,1\nb,,2\n,BTC,2\n", 1, ",", 3) is not None
