"""A life of a pool on an account chain: the same office, people, log, store, clock and filing; another chain, its node, the real EVM connector.

Enters: what every life enters. Leaves: a life at rest, to be judged by `account_judge`. Each life draws what its node offers (calls by one
method, the other, both or none), whether the pool accepts not to see them, and whether its treasury is a contract. What can't be followed is
not done: where no calls are seen, and that is not accepted, the pool pays no coin into contracts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import connectors.evm.scan
from connectors.evm import EvmChain, EvmConnector
from pipeline.app.payees import NamedTransactions
from pipeline.follow.connector import ChainConnector, Idle, Waiting
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.protocol import EventLog
from pipeline.model.errors import EsepError

from ...reference.accounts import checksummed
from ..evm_blocks import CHAIN_ID
from .account_chain import OWN, PAYERS, VENDORS, WALLETS, AccountChain
from .account_node import Offer, TroubledAccountNode
from .account_office import EXCHANGE, UNIT, AccountOffice
from .account_truth import CHAIN, COIN, UNIT_TOKEN, moves_of, told_outputs
from .life import Life
from .node import InLine
from .process import MOST_STEPS, Process, SimApp

SETTINGS = """\
[chains.{chain}]
network = "evm:{chain_id}"
asset = "{coin}"
rpc_url = "http://127.0.0.1:1"
start_height = {start_height}
finality = 6
internal_calls = "{internal_calls}"
{wallets}
[payout_unit]
{coin} = {coin_unit}
{token} = {token_unit}
{payers}"""


class AccountProcess(Process):
    """The program, following an account chain."""

    def follow(self, troubles: Any) -> bool:
        """Follow the chain until nothing is new, there is something to wait for, or troubles do not pass; whether it came to rest."""
        failures = 0
        for _ in range(MOST_STEPS):
            try:
                step = self.connector.step()
            except EsepError as error:
                troubles(error)
                failures += 1
                if failures > 4:
                    return False
                continue
            if isinstance(step, Idle | Waiting):
                return isinstance(step, Idle)
        return False


class AccountLife(Life):
    """The world and our program in it."""

    chain_name: ClassVar[str] = CHAIN
    process_type: ClassVar[type[Process]] = AccountProcess
    chain: AccountChain
    node: TroubledAccountNode

    def make_chain(self, start_s: int) -> AccountChain:
        rng = self.dice.stream("account-pool")
        self.offer = Offer.draw(rng)
        self.internal_calls = "ignore" if rng.random() < (0.08 if self.offer.shows_calls else 0.5) else "auto"
        if self.internal_calls == "auto" and self.offer.debug_trace and rng.random() < 0.3:
            self.internal_calls = "debug_trace"
        self.shows_calls = self.offer.shows_calls and self.internal_calls != "ignore"
        has_safe = self.shows_calls and rng.random() < 0.3
        return AccountChain(self.dice.stream("chain"), start_s, has_safe=has_safe, is_treasury_new=rng.random() < 0.5)

    def make_office(self, start_s: int) -> AccountOffice:
        return AccountOffice(self.dice, self.chain, start_s, may_batch=self.shows_calls or self.internal_calls == "ignore")

    def make_node(self, *, has_rest: bool) -> TroubledAccountNode:
        return TroubledAccountNode(self.chain, self.dice, self.offer)

    def write_settings(self, folder: Any, **settings: Any) -> Any:  # type: ignore[override]
        return Life.write_settings(folder, **settings, chain=self._chain_settings)

    def _chain_settings(self, start_height: int, names: Collection[str]) -> str:
        wallets = "".join(
            f'[[chains.{CHAIN}.wallets]]\nname = "{name}"\naddresses = [{", ".join(repr(checksummed(where)) for where in addresses)}]\n'
            for name, addresses in WALLETS.items()
            if name in names
        )
        payers = "".join(f'[payers.{name}]\nway = "on-chain"\nchain = "{CHAIN}"\n' for name in PAYERS)
        payers += f'[payers.{EXCHANGE}]\nway = "off-chain"\n'
        return SETTINGS.format(
            chain=CHAIN, chain_id=CHAIN_ID, coin=COIN, token=UNIT_TOKEN, coin_unit=UNIT[COIN], token_unit=UNIT[UNIT_TOKEN],
            start_height=start_height, internal_calls=self.internal_calls, wallets=wallets, payers=payers,
        )  # fmt: skip

    def open_connector(self, app: SimApp, log: EventLog) -> ChainConnector:
        settings = app.settings
        ours = settings.chains[CHAIN]
        return EvmConnector(
            log,
            EvmChain(
                pool_id=app.pool,
                chain=CHAIN,
                asset=ours.asset,
                network=ours.network,
                rpc_url=ours.rpc_url,
                wallets=[WatchedWallet(name=one.name, addresses=list(one.addresses)) for one in ours.wallets],
                tokens={a.contract: name for name, a in settings.assets.items() if a.chain == CHAIN and a.contract is not None},
                start_height=ours.start_height,
                finality=ours.finality,
                internal_calls=ours.internal_calls,
            ),
            connection=self.node,
            named=NamedTransactions(self.log, app.pool, CHAIN, app.rules),
            now_s=lambda: float(self.now_true),
        )

    def vendor_paid(self, ref: str) -> str | None:
        txid, _, vout = ref.rpartition(":")
        found = (mined for block in self.chain.chain() for mined in block.mined if mined.tx.txid == txid)
        for mined in found:
            outputs = list(told_outputs(moves_of(mined, shows_calls=self.shows_calls), OWN))
            if int(vout) < len(outputs) and outputs[int(vout)].taker in VENDORS:
                return checksummed(outputs[int(vout)].taker)
        return None

    def in_line(self) -> AbstractContextManager[object]:
        return in_line()


@contextlib.contextmanager
def in_line() -> Iterator[None]:
    """While it lasts blocks are fetched one request after another, in this thread."""
    scan: Any = connectors.evm.scan
    pool = scan.ThreadPoolExecutor
    scan.ThreadPoolExecutor = InLine
    try:
        yield
    finally:
        scan.ThreadPoolExecutor = pool
