"""Makes a chain's connector: the only module that knows which connector each family of chains has.

Enters: the settings, the opened log, a chain's name. Leaves: a connector that follows the node from the log's last event on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from connectors.bitcoin import BitcoinChain, BitcoinConnector
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.follow.connector import NodeLogin
from pipeline.log.events.chain import WatchedWallet
from pipeline.settings import Settings
from pipeline.settings.models import ChainSettings

from .payees import NamedTransactions, Payees

if TYPE_CHECKING:
    from pipeline.follow.connector import ChainConnector
    from pipeline.log.protocol import EventLog


def open_connector(
    settings: Settings, log: EventLog, chain: str, *, rpc_url: str | None = None, cookie_file: Path | None = None
) -> ChainConnector:
    """The connector of a configured chain; `rpc_url` and `cookie_file` override the settings. Raises SettingsError, LogError."""
    ours = settings.chains[chain]
    wallets = [
        WatchedWallet(
            name=wallet.name,
            addresses=list(wallet.addresses),
            descriptors=list(wallet.descriptors),
            descriptor_range=wallet.descriptor_range if wallet.descriptors else 0,
        )
        for wallet in ours.wallets
    ]
    password = ours.password.get_secret_value() if ours.password else None
    first, further = rpc_url or ours.rpc_url[0], [] if rpc_url else further_nodes(ours)
    known = settings.network_of(chain)
    if isinstance(known, AccountNetwork):
        # Importing web3 takes seconds, so only processes that follow such a chain import it.
        from connectors.evm import EvmChain, EvmConnector

        return EvmConnector(
            log,
            EvmChain(
                pool_id=settings.pool.key,
                chain=chain,
                asset=ours.asset,
                network=ours.network,
                rpc_url=first,
                further_nodes=further,
                witnesses=ours.needed_witnesses() if not rpc_url else 1,
                witness_wait_s=float(ours.witness_wait_s),
                wallets=wallets,
                tokens={a.contract: name for name, a in settings.assets.items() if a.chain == chain and a.contract is not None},
                wrapped=frozenset(
                    a.contract for a in settings.assets.values() if a.chain == chain and a.contract is not None and a.wrapped
                ),
                start_height=ours.start_height,
                finality=ours.finality,
                internal_calls=ours.internal_calls,
                block_reward=settings.block_reward_of(chain),
                known=known,
                calls_a_request=ours.calls_a_request,
                blocks_a_step=ours.blocks_a_step,
                user=ours.user,
                password=password,
                headers=ours.secret_headers(),
                timeout_s=float(ours.timeout_s),
            ),
            named=NamedTransactions(log, settings.pool.key, chain, settings.rules()),
        )
    return BitcoinConnector(
        log,
        BitcoinChain(
            pool_id=settings.pool.key,
            chain=chain,
            asset=ours.asset,
            network=ours.network,
            rpc_url=first,
            further_nodes=further,
            witnesses=ours.needed_witnesses() if not rpc_url else 1,
            witness_wait_s=float(ours.witness_wait_s),
            finality=ours.finality,
            wallets=wallets,
            start_height=ours.start_height,
            blocks_a_step=ours.blocks_a_step,
            cookie_path=cookie_file or ours.cookie_file,
            user=ours.user,
            password=password,
            rest=ours.rest,
            strategy=ours.strategy,
            gap=ours.gap,
            known=known,
            merged_mining_proofs=ours.merged_mining_proofs,
            first_used_height=ours.first_used_height,
            timeout_s=float(ours.timeout_s),
        ),
        payees=Payees(log, settings.pool.key, chain, settings.rules()),
    )


def further_nodes(ours: ChainSettings) -> list[NodeLogin]:
    """The chain's nodes after the first one: those of `rpc_url` with the chain's login, then those with logins of their own."""
    password = ours.password.get_secret_value() if ours.password else None
    shared = [
        NodeLogin(rpc_url=url, cookie_path=ours.cookie_file, user=ours.user, password=password, headers=ours.secret_headers())
        for url in ours.rpc_url[1:]
    ]
    return shared + [
        NodeLogin(
            rpc_url=node.rpc_url,
            cookie_path=node.cookie_file,
            user=node.user,
            password=node.password.get_secret_value() if node.password else None,
            headers=node.secret_headers(),
        )
        for node in ours.nodes
    ]
