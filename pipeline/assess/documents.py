"""The documents that a month rests on, for its manifest: those of its waivers, of labels that its outflows show, of its off-chain transfers.

Enters: every document named in the log, the month's outflows and transfers. Leaves: what each is about, its name, digest and size, and who named it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from pipeline.log.events.months import Documented
from pipeline.model.months import Month


def describe_documents(
    documents: Sequence[Documented], month: Month, outflows: pl.DataFrame, transfers: pl.DataFrame
) -> list[dict[str, Any]]:
    """The manifest's `documents`, in the order in which they were named; empty where the month has none."""
    labelled = set(outflows.select(pl.concat_str("chain", "address", separator=":")).to_series()) if documents else set()
    paid = transfers.filter(pl.col("payer").is_not_null())
    moved = set(paid.select(pl.concat_str("payer", "txid", "address", separator=":")).to_series()) if documents else set()
    ours = {"label": labelled, "transfer": moved}
    return [
        {
            "about": one.about, "ref": one.ref, "name": one.name, "digest": one.digest, "size": one.size, "by": one.by, "reason": one.reason, "at": one.at,
        }
        for one in documents
        if (one.month == str(month) if one.about == "waiver" else one.ref in ours[one.about])
    ]  # fmt: skip
