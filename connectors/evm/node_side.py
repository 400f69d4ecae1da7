"""What is kept of one node of a chain: its connection, its features, how it traces calls, and the readers that ask it.

Enters: the chain's settings. Leaves: an `EvmSide` for each node, in the order of the settings. Left out: which of them is followed
(`pipeline.follow.nodes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.networks import network_of
from pipeline.follow.connector import NodeLogin
from pipeline.follow.nodes import Look, PendingWay
from pipeline.model.journal import Journal

from .account_proofs import AccountProver
from .call_tracing import CallTracing, choose
from .features import BLOCKS_TRIED, NodeFeatures, NodeStatus, Way
from .internal_transfers import InternalTransferFinder
from .node import Node
from .read_block import BlockReader
from .rpc import NodeConnection
from .scan import Scanner
from .settings import EvmChain
from .state import StateReader
from .token_claims import TokenClaims
from .trace_check import TraceCheck

_journal = Journal("evm")
_NAMES: Mapping[Way, str] = {
    "receipts": "receipts of a block", "account_proofs": "proofs of accounts", "state_by_hash": "state by a block's hash",
}  # fmt: skip
"""The ways of reading that people are told by another name than the method's."""


class EvmSide:
    """One node. Not thread-safe."""

    def __init__(self, connection: NodeConnection, settings: EvmChain, chain_id: int) -> None:
        self._settings = settings
        self.node = Node(connection, chain_id)
        self.reader = BlockReader(self.node)
        self.state_reader = StateReader(self.node)
        self.prover = AccountProver(self.node)
        self.scanner = Scanner(self.node, self.reader)
        self.internal_transfers = InternalTransferFinder(self.node, self.scanner, self.state_reader)
        self.trace_check = TraceCheck(self.reader, self.state_reader)
        self.claims = TokenClaims(self.node)
        self.call_tracing: CallTracing | None = None
        self._is_chosen = False
        known = settings.known or network_of(f"evm:{chain_id}")
        assert isinstance(known, AccountNetwork)
        self._network = known
        self._is_told_apart = False
        self._probed_at = 0
        """The tip's height when the node's features were tried."""
        self._wait_blocks = 1
        """So many blocks later those that stayed undecided are tried again."""
        self.status: NodeStatus | None = None

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def version(self) -> str | None:
        return self.node.features.version if self.node.features else None

    @property
    def ways(self) -> Sequence[str]:
        features = self.node.features
        if features is None:
            return ()
        used = [self.call_tracing.traces] if self.call_tracing and self.call_tracing.traces else []
        offered = {
            _NAMES["receipts"]: features.has_block_receipts,
            "trace_filter": features.has_trace_filter,
            _NAMES["account_proofs"]: features.has_account_proofs,
        }
        return [*used, *(way for way in features.traces if way not in used), *(name for name, has_it in offered.items() if has_it)]

    @property
    def pending(self) -> Sequence[PendingWay]:
        features = self.node.features
        return [PendingWay(way=_NAMES.get(way, way)) for way in features.undecided] if features is not None else ()

    @property
    def unproved(self) -> Sequence[str]:
        return tuple(self.node.told_untraced.values())

    def look(self) -> Look:
        """The node's tip. At the first look the node is checked to be of the network, and its features are tried; those again that could not be.

        The work of the chain is known where blocks have some and the node tells it; else heights are compared. Raises WrongChain.
        """
        self.status = status = self.node.read_status()
        if not self._is_told_apart:
            self._is_told_apart = self.node.check_forks(self._network, status.height)
        features = self.node.features
        if features is None or self._is_time_to_try(features, status.height):
            self._wait_blocks = 1 if features is None else min(BLOCKS_TRIED, 2 * self._wait_blocks)
            tried = self.node.probe_features(status)
            self._probed_at, self._is_chosen = status.height, self._is_chosen and features is not None and tried.traces == features.traces
        return Look(status.height, status.hash, status.work)

    def _is_time_to_try(self, features: NodeFeatures, height: int) -> bool:
        """Whether to try again what stayed undecided: at each look where it is how calls are traced, else after 1, 2, 4 blocks and so on."""
        if not features.undecided:
            return False
        return (bool(features.undecided_traces) and not features.traces) or not 0 <= height - self._probed_at < self._wait_blocks

    def choose_call_tracing(self) -> CallTracing:
        """How calls inside transactions are traced; chosen again after each reconnection, since the node may be another one."""
        assert self.node.features is not None
        if self.call_tracing is None or not self._is_chosen:
            call_tracing = choose(self._settings.internal_calls, self.node.features, self.node.name)
            if call_tracing != self.call_tracing:
                _journal.info("internal-calls", chain=self._settings.chain, node=self.name, way=call_tracing.name, why=call_tracing.why)
            self.call_tracing, self._is_chosen = call_tracing, True
        return self.call_tracing

    def forget(self) -> None:
        self._is_told_apart = False
        self.node.features = None

    def close(self) -> None:
        self.scanner.close()
        self.node.connection.close()


def open_sides(settings: EvmChain, chain_id: int, connection: NodeConnection | None) -> list[EvmSide]:
    """A side for each node of the settings. `connection`: used instead of one to the settings' `rpc_url`."""
    first = NodeLogin(rpc_url=settings.rpc_url, user=settings.user, password=settings.password, headers=settings.headers)
    connections = [connection or _connect(first, settings)]
    connections += [_connect(login, settings) for login in settings.further_nodes]
    return [EvmSide(each, settings, chain_id) for each in connections]


def _connect(login: NodeLogin, settings: EvmChain) -> NodeConnection:
    return NodeConnection(
        login.rpc_url,
        user=login.user,
        password=login.password,
        headers=login.headers,
        timeout_s=settings.timeout_s,
        batch_size=settings.calls_a_request,
    )
