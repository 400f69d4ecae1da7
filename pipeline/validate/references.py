"""References of off-chain payers in place of a transaction id (rule 10.5): any text; a Lightning invoice is named by its payment hash.

Enters: texts of the column, their values as plain references. Leaves: the values, with payment hashes for invoices, null for one that is wrong; and why.
"""

from __future__ import annotations

import polars as pl

from pipeline.chains.bitcoin.invoice import looks_like_invoice, payment_hash
from pipeline.model.message import joined, text_of

from .cells import Kind, why_invalid
from .table import shown


def with_payment_hashes(texts: pl.Series, references: pl.Series) -> pl.Series:
    """The references, where a text is an invoice its payment hash."""
    if not texts.str.to_lowercase().str.contains("^(lightning:)?ln(bc|tb|sb)").any():
        return references
    found = [_hash(text) if text is not None and looks_like_invoice(text) else value for text, value in zip(texts, references, strict=True)]
    return pl.Series(references.name, found, dtype=pl.String)


def why_no_reference(kind: Kind, text: str) -> str:
    """What is wrong with a cell of a column that holds an off-chain payer's texts."""
    if kind is Kind.TXID and looks_like_invoice(text):
        try:
            payment_hash(text)
        except ValueError as error:
            return joined(" ", [shown(text), text_of(error)])
    return why_invalid(Kind.REFERENCE, text)


def _hash(text: str) -> str | None:
    try:
        return payment_hash(text)
    except ValueError:
        return None
