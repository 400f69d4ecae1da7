"""Pools shared by Kafka's group protocol: each has one holder at a time, and who lost one can't commit any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from connectors.log_kafka import KafkaSettings, partition_of
from connectors.log_kafka.lease import KafkaLeases
from pipeline.log.lease import PoolLease
from pipeline.model.errors import LeaseLost, LogError

from .kafka_protocol import fresh_log

POOLS = [f"pool-{number}" for number in range(8)]
PARTITIONS = 6


@pytest.fixture
def settings(servers: str) -> KafkaSettings:
    return fresh_log(servers, partitions=PARTITIONS)


class Member:
    """A process of the group, as a thread: holds what it is given, and lets go of what it loses once nobody commits in it."""

    def __init__(self, settings: KafkaSettings, pools: list[str] = POOLS) -> None:
        self.leases = KafkaLeases(settings, pools, session_s=6, handover_s=5)
        self.held: dict[str, PoolLease] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self) -> None:
        while not self._stop.is_set():
            self.held = {lease.pool: lease for lease in self.leases.poll(0.1) if not lease.lost.is_set()}

    def watch(self) -> None:
        """Let go of what is lost, as a worker does."""
        for lease in list(self.leases._leases.values()):
            if lease.lost.is_set() and not lease.released.is_set() and not lease.is_committing():
                self.held.pop(lease.pool, None)
                lease.release()

    def fall_silent(self) -> None:
        """Stop as a process that is stopped: nothing is asked of the group any more, the connections stay."""
        self._stop.set()
        self._thread.join()
        self.leases._consumer._coordinator._disable_heartbeat()

    def leave(self) -> None:
        self._stop.set()
        self._thread.join()
        for lease in self.leases._leases.values():
            lease.release()
        self.leases.close()


@contextmanager
def group(settings: KafkaSettings, count: int) -> Iterator[list[Member]]:
    """Members that live until the end."""
    members = [Member(settings) for _ in range(count)]
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            for member in members:
                member.watch()

    workers = threading.Thread(target=work)
    workers.start()
    try:
        yield members
    finally:
        over.set()
        workers.join()
        for member in members:
            member.leave()


def until(condition: Callable[[], object], what: str, timeout_s: float = 90) -> None:
    """Wait for it."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def are_divided(*members: Member) -> bool:
    """Whether every pool has a holder, and each of them some pool."""
    return all(member.held for member in members) and sorted(pool for member in members for pool in list(member.held)) == sorted(POOLS)


def commits(member: Member, pool: str) -> bool:
    """Whether it commits in the pool: not so where a machine under load let the member's session end, after which it is given the pool again."""
    try:
        with member.held[pool].committing():
            return True
    except (KeyError, LeaseLost):
        return False


def test_pools_are_divided_and_move_on_when_a_member_leaves(settings: KafkaSettings) -> None:
    with group(settings, 1) as (first,):
        until(lambda: are_divided(first), "one member holds all")
        kept = dict(first.held)
        with group(settings, 1) as (second,):
            until(lambda: are_divided(first, second), "two members divide them")
            for pool, lease in first.held.items():
                assert lease is kept[pool], "what stays is not disturbed"
            for member, other in ((first, second), (second, first)):
                for pool in member.held:
                    with member.held[pool].committing():
                        assert pool not in other.held
            mine = {partition_of(pool, PARTITIONS) for pool in first.held}
            assert not mine & {partition_of(pool, PARTITIONS) for pool in second.held}, "pools of a partition go together"
            for pool in set(kept) - set(first.held):
                with pytest.raises(LeaseLost, match="was given to another process"):
                    kept[pool].check()
        until(lambda: are_divided(first), "the one that stays holds all again")


def test_a_member_put_out_of_the_group_is_refused_by_the_cluster_before_it_knows(settings: KafkaSettings) -> None:
    with group(settings, 1) as (member,):
        until(lambda: commits(member, "pool-0"), "it holds the pool, and commits")
        lease = member.held["pool-0"]
        member.fall_silent()  # it hears nothing from now on, and believes that it holds
        admin = KafkaAdminClient(**settings.client())
        try:
            who = member.leases._consumer.group_metadata().member_id
            admin.remove_group_members(member.leases.group, [MemberToRemove(member_id=who)])
        finally:
            admin.close()
        assert not lease.lost.is_set()
        with pytest.raises(LeaseLost), lease.committing():
            raise AssertionError("nothing is committed after the member was put out")


def test_a_member_that_was_stopped_for_longer_than_its_session_finds_its_pools_taken(settings: KafkaSettings) -> None:
    with group(settings, 2) as (first, second):
        until(lambda: are_divided(first, second), "two members divide them")
        believed = dict(first.held)
        first.fall_silent()
        until(lambda: sorted(second.held) == sorted(POOLS), "the other one was given all")
        for lease in believed.values():
            with pytest.raises(LeaseLost), lease.committing():
                raise AssertionError("two holders of a pool")


def test_a_commit_that_has_begun_is_waited_for_before_the_pool_moves(settings: KafkaSettings) -> None:
    with group(settings, 1) as (first,):
        until(lambda: are_divided(first), "one member holds all")
        inside, ended, done = threading.Event(), threading.Event(), threading.Event()
        moving = dict(first.held)

        def commit_all() -> None:
            """A commit in every pool at once, so that whichever moves is in the midst of one."""
            with ExitStack() as stack:
                for lease in moving.values():
                    stack.enter_context(lease.committing())
                inside.set()
                done.wait(60)
                ended.set()

        committing = threading.Thread(target=commit_all)
        committing.start()
        inside.wait(60)
        with group(settings, 1) as (second,):
            until(lambda: any(lease.lost.is_set() for lease in moving.values()), "the first is told to let go")
            time.sleep(1)
            assert not second.held, "nobody was given a pool in which a commit is under way"
            done.set()
            until(lambda: are_divided(first, second), "then it moves")
            assert ended.is_set()
        committing.join()


def test_a_log_without_topics_is_refused(servers: str) -> None:
    with pytest.raises(LogError, match=r"there is no topic nothing\.ledger: make the topics with `esep topics`"):
        KafkaLeases(KafkaSettings((servers,), "nothing", timeout_s=10), POOLS)
