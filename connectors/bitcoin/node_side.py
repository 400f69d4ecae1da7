"""What is kept of one node of a chain: its connection, its features, the strategy of reading that it allows, its last status.

Enters: the chain's settings. Leaves: a `BitcoinSide` for each node, in the order of the settings. Left out: which of them is followed
(`pipeline.follow.nodes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.chains.bitcoin.networks import Network
from pipeline.follow.connector import NodeLogin
from pipeline.follow.nodes import Look, PendingWay
from pipeline.model.message import message

from .errors import AnswerUnreadable
from .fetch import Fetcher
from .node import Node, NodeFeatures, NodeStatus
from .rpc import Credentials, NodeConnection
from .settings import BitcoinChain
from .strategies import NAMES, Choice, choose, missing_features


class BitcoinSide:
    """One node. Not thread-safe."""

    def __init__(self, connection: NodeConnection, settings: BitcoinChain, network: Network) -> None:
        self._settings = settings
        self.node = Node(connection, network, rest=settings.rest, with_proofs=settings.merged_mining_proofs)
        self.fetcher = Fetcher(connection, network)
        self.features: NodeFeatures | None = None
        self.choice: Choice | None = None
        self.status: NodeStatus | None = None
        self._logged: tuple[str, str] | None = None
        self._tried_on: str | None = None
        """The tip at the last look."""
        self._is_told_apart = False
        """Whether the node's chain was seen to be no fork's of the network."""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def version(self) -> str | None:
        return f"{self.features.subversion} ({self.features.version})" if self.features else None

    @property
    def ways(self) -> Sequence[str]:
        if self.features is None:
            return ()
        offered = [name for name in NAMES if missing_features(name, self.features, has_all_history=self._has_all_history()) is None]
        used = [self.choice.strategy.name] if self.choice else []
        return [*used, *(name for name in offered if name not in used)]

    @property
    def pending(self) -> Sequence[PendingWay]:
        if self.features is None:
            return ()
        tip = self.status.blocks if self.status is not None else None
        undo = [PendingWay(way="rest")] if self.features.lacks_undo_data else []
        return [*undo, *(PendingWay(way=each.name, height=each.height, of_height=tip) for each in self.features.building)]

    @property
    def unproved(self) -> Sequence[str]:
        return ()

    def look(self) -> Look:
        """The node's tip. At the first look the node is checked to be of the network, and its features are tried; again at new tips until they are final."""
        self.status = status = self.node.read_status()
        is_new_tip, self._tried_on = self._tried_on != status.bestblockhash, status.bestblockhash
        if self.features is not None and is_new_tip and not self.features.are_final:
            tried = self.node.probe_features(status.bestblockhash)
            is_as_before = tried._replace(building=()) == self.features._replace(building=())
            self.features, self.choice = tried, self.choice if is_as_before else None
        if self.features is None:
            self.node.check_genesis()
            self._is_told_apart = self.node.check_forks(status.blocks)
            self.features = self.node.probe_features(status.bestblockhash)
            self.choice = None
        elif not self._is_told_apart:
            self._is_told_apart = self.node.check_forks(status.blocks)
        try:
            work = int(status.chainwork, 16) if status.chainwork is not None else None
        except ValueError as error:
            raise AnswerUnreadable(
                message("getblockchaininfo at {name}: its chainwork is no hexadecimal number", name=self.name)
            ) from error
        return Look(status.blocks, status.bestblockhash, work)

    def choose(self, start_height: int) -> tuple[Choice, bool]:
        """The strategy that the node allows, and whether it is another one than before. Raises NotOffered."""
        assert self.features is not None
        if self.choice is None:
            self.choice = choose(
                self._settings.strategy,
                self._settings.rest,
                self.features,
                self.node,
                self.fetcher,
                has_all_history=self._has_all_history(start_height),
            )
        now = self.choice.strategy.name, self.choice.why
        is_new, self._logged = now != self._logged, now
        return self.choice, is_new

    def _has_all_history(self, start_height: int | None = None) -> bool:
        first = self._settings.start_height if start_height is None else start_height
        return first <= max(1, self._settings.first_used_height or 0)

    def forget(self) -> None:
        self.features = None

    def close(self) -> None:
        self.fetcher.close()
        self.node.connection.close()


def open_sides(settings: BitcoinChain, network: Network, connection: NodeConnection | None) -> list[BitcoinSide]:
    """A side for each node of the settings. `connection`: used instead of one to the settings' `rpc_url`."""
    first = NodeLogin(rpc_url=settings.rpc_url, cookie_path=settings.cookie_path, user=settings.user, password=settings.password)
    connections = [connection or _connect(first, settings.timeout_s)]
    connections += [_connect(login, settings.timeout_s) for login in settings.further_nodes]
    return [BitcoinSide(each, settings, network) for each in connections]


def _connect(login: NodeLogin, timeout_s: float) -> NodeConnection:
    cookie_path = Path(login.cookie_path) if login.cookie_path else None
    credentials = Credentials(cookie_path=cookie_path, user=login.user, password=login.password)
    return NodeConnection(login.rpc_url, credentials, timeout_s=timeout_s)
