"""The wallets' descriptors beside a frozen month's bundle, for its auditor (ADR 15): only where a chain's settings say `auditor_descriptors = true`.

Enters: the settings, the store as the month was frozen from, the bundle's folder. Leaves: `descriptors.jsonl` in it. Nothing that was frozen changes, and nothing that is filed has it.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.assess.wallets import DESCRIPTORS_JSONL, WalletDescriptors, encode_descriptors
from pipeline.model.durable import write_atomically
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.queries import watched_wallets


def lay_descriptors(settings: Settings, store: Store, bundle: Path) -> list[WalletDescriptors]:
    """The wallets of the chains whose settings want it, as the log's newest watch list has them; the file is written where there are any."""
    chains = {chain for chain, ours in settings.chains.items() if ours.auditor_descriptors}
    found = [
        WalletDescriptors(
            chain=chain, wallet=wallet.name, descriptors=wallet.descriptors, descriptor_range=wallet.descriptor_range, addresses=wallet.addresses
        )
        for chain, wallets in watched_wallets(store.connection).items()
        for wallet in wallets
        if chain in chains and wallet.descriptors
    ]  # fmt: skip
    if found:
        write_atomically(bundle / DESCRIPTORS_JSONL, encode_descriptors(found), mode=0o400)
    return found
