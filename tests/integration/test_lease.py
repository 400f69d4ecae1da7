"""A lease that is lost stops its holder before the next commit, whenever it is lost; what another holder then makes is whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.log_sqlite.log import SqliteLog
from pipeline.app.app import App
from pipeline.log.lease import LocalLeases, PoolLease
from pipeline.log.protocol import Positions
from pipeline.model.errors import LeaseLost
from pipeline.service import loops
from pipeline.service.health import Health, Limits
from pipeline.service.loops import follow_log
from pipeline.service.metrics import Metrics
from pipeline.service.share import share_pools
from pipeline.settings import load_settings
from pipeline.store import Store
from pipeline.store.ingest import Ingest

from .pools import SmallPool, report_digest, small_pool

NOW = 1_793_000_000
"""A day in October 2026: the synthetic month is under way."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> SmallPool:
    return small_pool(tmp_path_factory.mktemp("made"), "alpha", seed=7)


def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), Health(time.monotonic, Limits()))


def value(of: Metrics, name: str, **labels: str) -> float | None:
    return of.registry.get_sample_value(name, labels)


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.02)


def tables(store: Store) -> dict[str, int]:
    """How many rows each raw table has."""
    names = [
        name for (name,) in store.connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'raw_%'").fetchall()
    ]
    return {name: store.connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}


@pytest.mark.parametrize("commits_before", [0, 1, 3])
@pytest.mark.parametrize("lost_when", ["before the batch is read", "as the commit begins"])
def test_a_loser_stops_before_its_next_commit(pool: SmallPool, tmp_path: Path, commits_before: int, lost_when: str) -> None:
    allowed = commits_before

    def confirm(lease: PoolLease) -> None:
        nonlocal allowed
        allowed -= 1
        if allowed < 0:
            lease.revoke()  # what the grantor says when it is asked right before the commit

    lease = PoolLease("alpha", confirm)
    with SqliteLog(tmp_path / "log.sqlite") as log:
        pool.append_to(log)
        with Store.open(tmp_path / "store.duckdb") as store:
            store.fence = lease.committing
            ingest = Ingest(log, store, limit_bytes=20_000)
            for _ in range(commits_before):
                assert not ingest.step().at_end
            before, rows = store.positions(), tables(store)
            assert (commits_before == 0) == (before == {})
            if lost_when == "before the batch is read":
                lease.revoke()
            with pytest.raises(LeaseLost, match="'alpha' was given to another process"):
                ingest.step()
            with pytest.raises(LeaseLost):
                ingest.step()
            assert (store.positions(), tables(store)) == (before, rows)
        with Store.open(tmp_path / "store.duckdb") as store:
            assert (store.positions(), tables(store)) == (before, rows), "nothing came in behind the check"
            store.fence = PoolLease("alpha").committing
            Ingest(log, store).catch_up()
            assert report_digest(store) == pool.digest


def test_a_commit_that_has_begun_ends_and_the_next_one_does_not_begin() -> None:
    lease = PoolLease("alpha")
    with lease.committing():
        assert lease.is_committing()
        lease.revoke()
        assert lease.is_committing(), "whoever takes the lease sees that a commit is under way"
    assert not lease.is_committing()
    with pytest.raises(LeaseLost), lease.committing():
        raise AssertionError("never within")
    assert not lease.is_committing() and not lease.released.is_set()
    lease.release()
    assert lease.released.is_set()


def test_the_loop_of_a_loser_commits_and_publishes_nothing_more(pool: SmallPool, tmp_path: Path) -> None:
    settings = load_settings(pool.write_settings(tmp_path), {})
    lease = PoolLease("alpha", lambda lease: lease.revoke())
    with App(settings, lambda: NOW) as app:
        pool.append_to(app.log)
        with pytest.raises(LeaseLost):
            follow_log(app, metrics(), lease)(lease.lost)
        assert not settings.store.published.exists()
        with app.stores.live() as store:
            assert store.positions() == {}


def test_the_journal_hears_of_the_log_only_when_something_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = small_pool(tmp_path, "alpha", seed=1)
    told: list[dict[str, object]] = []
    monkeypatch.setattr(loops._journal, "info", lambda event, **values: told.append({"event": event, **values}), raising=False)
    with App(load_settings(pool.write_settings(tmp_path), {}), lambda: NOW) as app:
        stop = threading.Event()
        looks: list[float] = []
        wait = app.log.wait

        def counted(positions: Positions, timeout_s: float) -> bool:
            looks.append(timeout_s)
            return wait(positions, 0.05)

        app.log.wait = counted  # type: ignore[method-assign]
        following = threading.Thread(target=follow_log(app, metrics()), args=(stop,))
        following.start()
        try:
            wait_for(lambda: len(looks) > 3, "looks at an empty log")
            assert [line for line in told if line["event"] == "ingested"] == []
            pool.append_to(app.log)
            wait_for(lambda: any(line["event"] == "ingested" for line in told), "the log is read")
            seen = len(looks)
            wait_for(lambda: len(looks) > seen + 5, "looks at a log that was read")
        finally:
            stop.set()
            following.join()
    read = [line["records"] for line in told if line["event"] == "ingested"]
    assert read and len(read) == len(set(read))


def test_pools_of_one_process_are_filled_and_a_failing_one_disturbs_nobody(tmp_path: Path) -> None:
    pools = {name: small_pool(tmp_path, name, seed=seed) for seed, name in enumerate(("alpha", "beta", "gamma"), 1)}
    loaded = {name: load_settings(pool.write_settings(tmp_path / "pools"), {}) for name, pool in pools.items()}
    for name, pool in pools.items():
        with App(loaded[name], lambda: NOW) as app:
            pool.append_to(app.log)
    loaded["beta"].store.path.mkdir()  # a folder where the store should be
    seen, stop = metrics(), threading.Event()
    sharing = threading.Thread(
        target=share_pools,
        args=({name: partial(App, one, lambda: NOW) for name, one in loaded.items()}, LocalLeases(list(pools)), seen, stop),
    )
    sharing.start()
    try:
        wait_for(lambda: all(loaded[name].store.published.exists() for name in ("alpha", "gamma")), "two published copies")
        wait_for(lambda: value(seen, "esep_ingest_errors_total", pool="beta", kind="StoreError"), "the third pool's failure")
        assert any(fault.startswith("beta store: ") for fault in seen.health.behind())
        assert seen.health.stalled() == []
        loaded["beta"].store.path.rmdir()
        wait_for(loaded["beta"].store.published.exists, "the third pool is tried again")
        wait_for(lambda: seen.health.behind() == [], "all caught up")
        assert [value(seen, "esep_lease_held", pool=name) for name in pools] == [1, 1, 1]
    finally:
        stop.set()
        sharing.join(30)
    assert not sharing.is_alive()
    for name, pool in pools.items():
        with Store.open(loaded[name].store.path) as store:
            assert report_digest(store) == pool.digest, name
    assert [value(seen, "esep_lease_held", pool=name) for name in pools] == [0, 0, 0]


def test_a_defect_of_the_program_ends_the_process(pool: SmallPool, tmp_path: Path) -> None:
    settings = load_settings(pool.write_settings(tmp_path), {})

    def broken() -> int:
        raise ZeroDivisionError("a clock that fails")

    with App(settings, lambda: NOW) as app:
        pool.append_to(app.log)
    with pytest.raises(ZeroDivisionError):
        share_pools({"alpha": partial(App, settings, broken)}, LocalLeases(["alpha"]), metrics(), threading.Event())


def test_held_leases_grant_again_what_was_released() -> None:
    leases = LocalLeases(["alpha", "beta"])
    first, second = leases.poll(0)
    assert leases.poll(0) == [first, second]
    first.release()
    again, still = leases.poll(0)
    assert again.pool == "alpha" and again is not first and not again.lost.is_set() and still is second
    leases.close()
    with pytest.raises(LeaseLost):
        again.check()
