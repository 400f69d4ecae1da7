"""The addresses that on-chain payers pay on a chain, as far as the ledger in the log names them (rule 10.2).

Enters: the log, the payers that the settings declare. Leaves: the addresses of every payment in any version that names one of them, kept up with the log:
the chain's connector watches them, so that the payers' transactions are found.
"""

from __future__ import annotations

from collections.abc import Collection

from pipeline.log.events.ledger import PayerPayments
from pipeline.log.protocol import EventLog
from pipeline.log.read import KeyReader
from pipeline.model.rules import Rules


class Payees:
    """The payees of one chain. Each call reads what came since the last one; where no payer is declared for the chain nothing is read."""

    def __init__(self, log: EventLog, pool: str, chain: str, rules: Rules) -> None:
        self._payers = set(rules.on_chain_payers(chain))
        self._assets = {name for name, asset in rules.assets.items() if asset.chain == chain}
        self._reader = KeyReader(log, "ledger", pool, [PayerPayments])
        self._addresses: set[str] = set()

    def __call__(self) -> Collection[str]:
        if self._payers:
            for _, event in self._reader.new():
                rows = event.rows
                self._addresses.update(
                    address
                    for payer, asset, address in zip(rows.payer, rows.asset, rows.address, strict=True)
                    if payer in self._payers and asset in self._assets
                )
        return self._addresses
