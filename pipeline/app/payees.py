"""What on-chain payers pay on a chain, as far as the ledger in the log says it (rule 10.2).

Enters: the log, the payers that the settings declare. Leaves: of every payment in any version that names one of them the address, or the id of its transaction, kept up
with the log. Chains like Bitcoin are searched for the addresses, account chains for the ids (ADR 18). Where a payer is declared for the chain, payments that name none
are read, too: a transaction of the payer's that such a one names is in the main chain, so the payment seeks no replacement (rule 5.2).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import ClassVar

from pipeline.log.events.ledger import PayerPaymentColumns, PayerPayments, PaymentColumns, Payments
from pipeline.log.protocol import EventLog
from pipeline.log.read import KeyReader
from pipeline.model.rules import Rules


class Payees:
    """The addresses that are paid on one chain. Each call reads what came since the last one; where no payer is declared for the chain nothing is read."""

    column: ClassVar[str] = "address"

    def __init__(self, log: EventLog, pool: str, chain: str, rules: Rules) -> None:
        self._payers: set[str | None] = set(rules.on_chain_payers(chain))
        self._assets = {name for name, asset in rules.assets.items() if asset.chain == chain}
        self._reader: KeyReader[PayerPayments | Payments] = KeyReader(log, "ledger", pool, [PayerPayments, Payments])
        self._found: set[str] = set()

    def __call__(self) -> Collection[str]:
        if self._payers:
            for _, event in self._reader.new():
                self._found.update(self._named_by(event.rows))
        return self._found

    def _named_by(self, rows: PayerPaymentColumns | PaymentColumns) -> Iterable[str]:
        named: list[str] = getattr(rows, self.column)
        payers = rows.payer if isinstance(rows, PayerPaymentColumns) else [None] * len(named)
        places = zip(payers, rows.asset, named, strict=True)
        return (name for payer, asset, name in places if (payer is None or payer in self._payers) and asset in self._assets)


class NamedTransactions(Payees):
    """The ids of the transactions; what is none can't be in a chain."""

    column = "txid"
    _ID = re.compile(r"[0-9a-f]{64}")

    def _named_by(self, rows: PayerPaymentColumns | PaymentColumns) -> Iterable[str]:
        return (txid for txid in super()._named_by(rows) if self._ID.fullmatch(txid))
