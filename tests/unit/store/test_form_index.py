"""The form in memory gives the rows, order and sums that a plain walk over all rows gives."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from pipeline.enrich.frames import REPORT
from pipeline.store.form_index import SORTS, FormIndex, FormQuery

FIRST = date(2026, 10, 1)


def rows_of(seed: int, count: int) -> list[dict[str, Any]]:
    """Rows with many equal values and many gaps, amounts beyond 64 bits among them."""
    rng = random.Random(seed)
    names = ["ЖШС «Қазына»", "ТОО Заря", "alpha", "Alpha B", "%_", None]
    rows = []
    for n in range(1, count + 1):
        is_settled = rng.random() < 0.7
        who = rng.randrange(len(names))
        rows.append(
            {
                "n": n, "miner_id": f"00000000{who:04}" if names[who] else None, "miner_name": names[who], "licence_number": rng.choice(["KZ1", "KZ2", None]),
                "licence_issue_date": rng.choice([FIRST, None]), "wallet": rng.choice(["bc1QX", "bc1qy", None]), "allocation_date": FIRST + timedelta(rng.randrange(31)),
                "asset": rng.choice(["BTC", "LTC"]), "amount": rng.choice([5, 7, 10**25 + seed if seed % 2 else 12]), "transfer_amount": rng.choice([1, 2, 3]) if is_settled else None,
                "transfer_date": FIRST + timedelta(rng.randrange(31)) if is_settled else None, "commission_asset": rng.choice(["BTC", None]), "commission_asset_amount": 1,
                "commission_currency": None, "commission_currency_amount": None, "allocation_id": f"A{n % 7}x{n}", "txid": rng.choice(["ab", "cd"]) * 32 if is_settled else None,
                "is_carried": rng.random() < 0.3, "payer": rng.choice(["front", None]),
            }
        )  # fmt: skip
    return rows


def expected(rows: list[dict[str, Any]], query: FormQuery) -> list[dict[str, Any]]:
    """The rows that fit, in order: written down a second time, as the words say it."""
    words = query.search.strip().lower()
    searched = ["miner_name", "licence_number", "wallet", "allocation_id", "txid", *(["miner_id"] if query.has_numbers else [])]
    states = {"": True, "settled": "txid", "unsettled": "txid", "carried": "is_carried", "new": "is_carried"}

    def fits(row: dict[str, Any]) -> bool:
        state = states[query.state]
        value = True if state is True else bool(row[str(state)])
        return (
            (value if query.state not in ("unsettled", "new") else not value)
            and (not words or any(words in (row[name] or "").lower() for name in searched))
            and query.miner_id in ("", row["miner_id"])
            and query.asset in ("", row["asset"])
            and query.payer in (None, row["payer"] or "")
            and (query.first is None or row["allocation_date"] >= query.first)
            and (query.last is None or row["allocation_date"] <= query.last)
        )

    found = [row for row in rows if fits(row)]
    known = [row for row in found if row[query.sort] is not None]
    known.sort(key=lambda row: row[query.sort], reverse=query.is_descending)
    if query.is_descending:  # of equal ones the form's own order, here too
        known.sort(key=lambda row: row["n"])
        known.sort(key=lambda row: row[query.sort], reverse=True)
    return known + [row for row in found if row[query.sort] is None]


QUERIES = [
    FormQuery(),
    FormQuery(search=" ҚАЗЫНА "),
    FormQuery(search="alpha b"),
    FormQuery(search="%_"),
    FormQuery(search="CDCD"),
    FormQuery(search="BC1q"),
    FormQuery(search="a3X"),
    FormQuery(search="0000"),
    FormQuery(search="0000", has_numbers=False),
    FormQuery(search="nothing of the kind"),
    FormQuery(miner_id="000000000002"),
    FormQuery(miner_id="000000000099"),
    FormQuery(asset="LTC", state="unsettled"),
    FormQuery(state="settled", first=FIRST + timedelta(3), last=FIRST + timedelta(9)),
    FormQuery(state="carried", payer=""),
    FormQuery(state="new", payer="front"),
    FormQuery(payer="nobody"),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_pages_are_those_of_a_plain_walk(seed: int, query: FormQuery) -> None:
    rows = rows_of(seed, 97)
    frame = pl.DataFrame(rows, schema=REPORT)
    index = FormIndex(frame.iter_slices(10))
    for sort in SORTS:
        for is_descending in (False, True):
            asked = FormQuery(**{**query.__dict__, "sort": sort, "is_descending": is_descending})
            wanted = expected(rows, asked)
            for limit, offset in ((10, 0), (10, 20), (500, 0), (10, 95), (10, 1000)):
                page = index.page(asked, limit=limit, offset=offset)
                assert page.rows == wanted[offset : offset + limit], (sort, is_descending, limit, offset)
                assert page.count == len(wanted)
                for one in page.sums:
                    own = [row for row in wanted if row["asset"] == one["asset"]]
                    assert one["n_rows"] == len(own) and one["amount"] == sum(row["amount"] for row in own)
                    assert one["settled"] == sum(row["amount"] for row in own if row["txid"])
                assert {one["asset"] for one in page.sums} == {row["asset"] for row in wanted}


def test_a_form_without_rows_has_pages_without_rows() -> None:
    index = FormIndex([pl.DataFrame(schema=REPORT)])
    for query in (FormQuery(), FormQuery(search="x"), FormQuery(sort="amount", is_descending=True)):
        page = index.page(query, limit=50, offset=0)
        assert (page.rows, page.count, page.sums) == ([], 0, [])


def test_rows_with_a_gap_and_a_column_that_is_none_are_refused() -> None:
    rows = rows_of(0, 5)
    with pytest.raises(AssertionError, match="numbered from 1"):
        FormIndex([pl.DataFrame(rows[1:], schema=REPORT)])
    with pytest.raises(ValueError, match="not sorted by"):
        FormIndex([pl.DataFrame(rows, schema=REPORT)]).page(FormQuery(sort="1; drop"), limit=1, offset=0)  # type: ignore[arg-type]
