"""Payment hashes of Lightning invoices. The examples are those of BOLT 11 (lightning/bolts, 11-payment-encoding.md)."""

from __future__ import annotations

import pytest

from pipeline.chains.bitcoin.invoice import looks_like_invoice, payment_hash

HASH = "0001020304050607080900010203040506070809000102030405060708090102"
DONATION = (
    "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g"
    "6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
)


@pytest.mark.parametrize("text", [DONATION, DONATION.upper(), f"lightning:{DONATION}", f" {DONATION}\n"])
def test_an_invoice_is_named_by_its_payment_hash(text: str) -> None:
    assert looks_like_invoice(text) and payment_hash(text) == HASH


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DONATION.replace("pvjluez", "pvjluex"), "wrong checksum"),
        (DONATION[:-1], "wrong checksum"),
        (DONATION[:100] + DONATION[100:].upper(), "copy it whole"),
        (DONATION.replace("lnbc1", "lnbc1b"), "copy it whole"),
    ],
)
def test_a_mistyped_invoice_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        payment_hash(text)


@pytest.mark.parametrize("text", ["lnbc", "transfer 17", HASH, "lnbc is our bank"])
def test_other_texts_are_no_invoices(text: str) -> None:
    assert not looks_like_invoice(text)
