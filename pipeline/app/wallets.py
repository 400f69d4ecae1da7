"""Messages signed with the keys of the pool's addresses, in its log (ADR 15).

Enters: the settings, the log, signatures from a file. Leaves: the messages to be signed, and an event for each signature that holds. One that does not is never
taken: what a bundle carries has been checked before it is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.assess.wallets import ListedAddress, listed_addresses, ownership_message, pool_addresses
from pipeline.chains.messages import signature_fault
from pipeline.chains.networks import address_on
from pipeline.log.events import content_digest, encode
from pipeline.log.events.months import WalletSigned
from pipeline.log.protocol import EventLog, append_shared
from pipeline.model.message import message, text_of
from pipeline.settings import Settings
from pipeline.store.facts import read_facts
from pipeline.store.queries import wallet_signatures

from .stores import Progress, Stores, no_progress


class GivenSignature(NamedTuple):
    """A row of a file of signatures."""

    line: int
    chain: str
    address: str
    signature: str


class PoolWallets:
    """One pool's addresses, and what their owners signed."""

    def __init__(self, settings: Settings, log: EventLog, stores: Stores, now: Callable[[], int]) -> None:
        self._settings = settings
        self._log = log
        self._stores = stores
        self._now = now

    def message(self, chain: str, address: str) -> str:
        """What the key of the address signs."""
        return ownership_message(chain, address, self._settings.pool.bin)

    def listed(self, on_progress: Progress = no_progress) -> list[ListedAddress]:
        """The addresses of the pool's that were used so far, as a bundle would list them now; then those of the settings that were not."""
        with self._stores.current(on_progress) as store:
            facts, signatures = read_facts(store.connection), wallet_signatures(store.connection)
        used = listed_addresses(facts, signatures, self._settings.pool.bin)
        known = set(pool_addresses(facts).select("chain", "address").rows())
        newest = {(s.chain, s.address): s for s in signatures if s.message == self.message(s.chain, s.address)}
        unused = [
            ListedAddress(chain=chain, wallet=wallet.name, address=address, signature=signed.signature if signed else None, signed_at=signed.at if signed else None)
            for chain, ours in sorted(self._settings.chains.items())
            for wallet in ours.wallets
            for address in wallet.addresses
            if (chain, address) not in known
            for signed in [newest.get((chain, address))]
        ]  # fmt: skip
        return used + unused

    def take(self, given: Sequence[GivenSignature], *, by: str, on_progress: Progress = no_progress) -> tuple[int, list[str]]:
        """Append an event for each signature that the log does not hold yet; how many. With any fault nothing is appended."""
        listed = {(line.chain, line.address): line for line in self.listed(on_progress)}
        faults: list[str] = []
        events: list[WalletSigned] = []
        for number, chain, written, signature in given:
            if chain not in self._settings.chains:
                faults.append(message("line {number}: there is no [chains.{chain}]", number=number, chain=chain))
                continue
            network = self._settings.network_of(chain)
            try:
                address = address_on(network, written)
            except ValueError as error:
                faults.append(message("line {number}: {error}", number=number, error=text_of(error)))
                continue
            line, text = listed.get((chain, address)), self.message(chain, address)
            if line is None:
                faults.append(
                    message(
                        "line {number}: {address} is none of the pool's addresses on {chain}: esep wallets messages lists them",
                        number=number,
                        address=address,
                        chain=chain,
                    )
                )
            elif fault := signature_fault(network, address, text, signature):
                faults.append(
                    message(
                        "line {number}: the signature for {address} does not hold: {fault}; what is signed is {text}, word for word",
                        number=number,
                        address=address,
                        fault=fault,
                        text=repr(text),
                    )
                )
            elif line.signature != signature:
                digest = content_digest([chain, address, text, signature])
                events.append(
                    WalletSigned(id=f"wallet-signed:{digest[:40]}", chain=chain, address=address, message=text, signature=signature, by=by, at=self._now())
                )  # fmt: skip
        if events and not faults:
            append_shared(self._log, "months", self._settings.pool.key, [encode(event) for event in events])
        return len(events), faults
