"""A month whose chain is followed at two nodes (ADR 20): one of them killed, stale, limited or wrong changes no byte of the report, and is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from connectors.standins.bitcoin_node import ReplayNode
from connectors.transport.server import Request
from pipeline.app.app import App
from pipeline.app.imports import counterparties_of_pool
from pipeline.app.months import report_digest
from pipeline.log.events import decode
from pipeline.log.events.chain import Disconnect, Witnessed
from pipeline.log.read import batches
from pipeline.model.months import Month as MonthOf
from pipeline.settings import load_settings
from pipeline.validate.review import Consent

from .example_month import DIGEST, LOOKED_AT, OUTFLOW, RECORDED, esep
from .raw_server import Behaviour, always, answer, hang_up
from .scripted_node import listening
from .two_node_pool import tables_alone

Alter = Callable[[str, bytes], bytes]
"""The first line of a request and the answer's body; what is answered instead."""


def relay(node: ReplayNode, alter: Alter) -> Behaviour:
    """What the node answers, asked without a connection of its own, and altered."""

    def behave(client: Any, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        verb, path, _ = first.split(" ", 2)
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        response = node._respond(Request(verb, path, headers, body))
        content = alter(f"{first} {body[:300].decode(errors='replace')}", response.body)
        client.sendall(answer(content, f"{response.status} Said"))

    return behave


def after(n_requests: int, then: Behaviour, before: Behaviour) -> Behaviour:
    """Behaves like `before` for so many requests, then like `then`."""
    seen = 0

    def behave(client: Any, request: bytes) -> None:
        nonlocal seen
        seen += 1
        (before if seen <= n_requests else then)(client, request)

    return behave


def same(_first: str, body: bytes) -> bytes:
    return body


def wrong_blocks(first: str, body: bytes) -> bytes:
    """Every block is one of another transaction."""
    return body[:-1] + bytes([body[-1] ^ 1]) if "/rest/block/" in first else body


def tables(var: Path) -> dict[str, bytes]:
    """The frozen report and its tables."""
    return {
        name: (var / "months" / "2026-10" / "v1" / f"{name}.csv").read_bytes() for name in ("report", "transfers", "outflows", "balances")
    }


class Assessed(NamedTuple):
    digest: str
    blocking: list[str]


class Month:
    """The recorded month in a folder of its own, with two nodes in its settings."""

    def __init__(self, var: Path, held: ExitStack) -> None:
        self.config = var / "esep.toml"
        self.nodes = [held.enter_context(ReplayNode(RECORDED, events_per_poll=0)) for _ in range(2)]
        self.behaves = [relay(node, same) for node in self.nodes]
        self.urls = [held.enter_context(listening(self._behave(place))) for place in (0, 1)]
        text = self.config.read_text(encoding="utf-8").replace(
            '"http://127.0.0.1:1"', f'"{self.urls[0]}"\ncookie_file = "{self.nodes[0].cookie_path}"\nwitness_wait_s = 0\ntimeout_s = 5'
        )
        text += f'\n[[chains.bitcoin.nodes]]\nrpc_url = "{self.urls[1]}"\ncookie_file = "{self.nodes[1].cookie_path}"\n'
        self.config.write_text(text, encoding="utf-8")
        self.var, self.is_imported = var, False

    def _behave(self, place: int) -> Behaviour:
        return lambda client, request: self.behaves[place](client, request)

    def esep(self, *arguments: object) -> int:
        return esep(*arguments, "--config", self.config)

    def events(self) -> list[Any]:
        with App(load_settings(self.config, {}), lambda: LOOKED_AT) as app:
            return [decode(record.value) for records in batches(app.log, {}) for record in records if record.topic == "chain"]

    def assess(self) -> Assessed:
        """The month as it stands, with the recording's ledger and registry imported."""
        with App(load_settings(self.config, {}), lambda: LOOKED_AT) as app:
            if not self.is_imported:
                self.is_imported = True
                pool = json.loads((RECORDED / "pool.json").read_bytes())
                app.imports.registry(RECORDED, counterparties=counterparties_of_pool(pool))
                for kind in ("allocations", "payments"):
                    app.imports.ledger(RECORDED / f"{kind}.csv", kind, consent=Consent(to_oddities=True))
                app.imports.declare_complete(date(2026, 10, 31))
            with app.stores.current() as store:
                _, assessed = app.months.assess(store, MonthOf.parse("2026-10"))
            blocking = assessed.enriched.issues.filter(pl.col("severity") == "blocking").select("code", "ref").rows()
            return Assessed(report_digest(assessed, app.rules), sorted(" ".join(row) for row in blocking))

    def freeze_all(self, found: Assessed) -> dict[str, bytes]:
        """Waive what was found to block, freeze; the report and its tables."""
        for code, ref in (issue.split(" ") for issue in found.blocking):
            assert self.esep("waive", "2026-10", code, ref, "--reason", "known", "--by", "A. Person") == 0
        assert self.esep("freeze", "2026-10", "--by", "A. Person") == 0
        return tables(self.var)

    def close(self) -> dict[str, Any]:
        """Waive the outflow, freeze, verify; the manifest."""
        assert self.esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund", "--by", "A. Person") == 0
        assert self.esep("freeze", "2026-10", "--by", "A. Person") == 0
        (bundle,) = (self.var / "months" / "2026-10").glob("v*")
        assert esep("verify", bundle, "--test-network") == 0
        manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
        return manifest


@pytest.fixture
def month(blocked: Path, tmp_path: Path) -> Iterator[Month]:
    """The month, its chain followed at one node before."""
    shutil.copytree(blocked, tmp_path / "var")
    with ExitStack() as held:
        month = Month(tmp_path / "var", held)
        for node in month.nodes:
            node.play_all()
        yield month


@pytest.fixture
def fresh(blocked: Path, frozen: Path, tmp_path: Path) -> Iterator[Month]:
    """The month's settings and files, and nothing in the log; the nodes are at the chain's beginning."""
    (tmp_path / "var").mkdir()
    shutil.copy(blocked / "esep.toml", tmp_path / "var")
    with ExitStack() as held, tables_alone():
        yield Month(tmp_path / "var", held)


def test_a_second_node_is_asked_about_all_that_was_read_before_the_month_closes(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    assert month.esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund", "--by", "A. Person") == 0
    assert month.esep("freeze", "2026-10", "--by", "A. Person") != 0
    assert "were not read from a second node yet" in capsys.readouterr().err
    n_before = len(month.events())
    assert month.esep("watch", "--once") == 0
    new = month.events()[n_before:]
    assert {type(event) for event in new} == {Witnessed} and all(len(event.nodes) == 2 for event in new)
    assert len(new) < 30, "ranges, not blocks"
    month.behaves[1] = hang_up
    capsys.readouterr()
    assert month.esep("nodes", "--json") == 0
    ((first, second),) = [chain["nodes"] for chain in json.loads(capsys.readouterr().out)]
    assert (first["node"], first["height"], first["lag_blocks"], first["is_in_trouble"]) == (month.urls[0], 5113, 0, False)
    assert first["ways"] and first["version"] and first["answers_in_ms"] is not None
    assert (second["node"], second["height"], second["is_in_trouble"]) == (month.urls[1], None, True) and "closed" in second["trouble"]
    assert month.esep("nodes") == 0
    assert month.urls[0] in capsys.readouterr().out.replace("\n", "")
    manifest = month.close()
    assert manifest["digest"] == DIGEST
    assert manifest["rules"]["witnesses"] == {"bitcoin": 2}
    told = manifest["witnesses"]["bitcoin"]
    assert told["needed"] == 2 and list(told["transactions"]) == ["2"] and told["by_fewer"] == {}
    assert "bitcoin was read from 2 nodes" in [condition["name"] for condition in manifest["conditions"]]
    assert "2 nodes" in capsys.readouterr().out


STALE_AT = 4865
"""Events of the recording after which its node still is on a branch that loses, minutes before the month's end."""
FAULTS: dict[str, Callable[[Month, int], None]] = {
    "killed": lambda month, place: month.behaves.__setitem__(place, after(40, hang_up, relay(month.nodes[place], same))),
    "limited": lambda month, place: month.behaves.__setitem__(
        place, after(40, always(answer(b"slow down", "429 Too Many Requests")), relay(month.nodes[place], same))
    ),
    "wrong bytes": lambda month, place: month.behaves.__setitem__(place, relay(month.nodes[place], wrong_blocks)),
}


@pytest.mark.parametrize("place", [0, 1], ids=["the first", "the second"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_node_changes_no_byte_of_what_is_frozen(
    fresh: Month, frozen: Path, fault: str, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for node in fresh.nodes:
        node.play_all()
    FAULTS[fault](fresh, place)
    assert fresh.esep("watch", "--once") == 0
    events = [event for event in fresh.events() if isinstance(event, Witnessed)]
    alone = [event for event in events if len(event.nodes) == 1]
    assert alone and all(fresh.urls[place] in event.reason for event in alone)
    found = fresh.assess()
    assert found.digest == DIGEST
    assert sorted(found.blocking) == ["one-node-only bitcoin", f"unknown-outflow {OUTFLOW}"]
    capsys.readouterr()
    assert fresh.esep("nodes", "--json") == 0
    (chain,) = json.loads(capsys.readouterr().out)
    assert chain["nodes"][1 - place]["trouble"] is None
    assert chain["nodes"][place]["is_in_trouble"] or fault == "wrong bytes", "its tip is right"
    assert fresh.freeze_all(found) == tables(frozen)


@pytest.mark.parametrize("place", [0, 1], ids=["the first", "the second"])
def test_a_node_on_a_stale_branch_changes_no_byte_of_what_is_frozen(
    fresh: Month, frozen: Path, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It never heard of the reorganisation at the month's end, and stands on the branch that lost, on which it went on alone."""
    fresh.nodes[1 - place].play_all()
    fresh.nodes[place].play(STALE_AT)
    assert fresh.esep("watch", "--once") == 0
    assert [event for event in fresh.events() if isinstance(event, Disconnect)] == [], "the branch that lost was never followed"
    capsys.readouterr()
    assert fresh.esep("nodes", "--json") == 0
    (chain,) = json.loads(capsys.readouterr().out)
    assert chain["nodes"][place]["lag_blocks"] > 200 and chain["nodes"][place]["height"] is not None
    found = fresh.assess()
    assert found.digest == DIGEST
    assert fresh.freeze_all(found) == tables(frozen)


def test_the_month_is_read_from_the_second_node_when_it_is_back(fresh: Month) -> None:
    for node in fresh.nodes:
        node.play_all()
    FAULTS["limited"](fresh, 1)
    assert fresh.esep("watch", "--once") == 0
    fresh.behaves[1] = relay(fresh.nodes[1], same)
    assert fresh.esep("watch", "--once") == 0
    found = fresh.assess()
    assert found.digest == DIGEST and found.blocking == [f"unknown-outflow {OUTFLOW}"], "read from the second node since"


def test_a_node_restored_from_an_older_copy_makes_nothing_to_amend(
    frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its best block is one of the log's: it is waited for, and no frozen row is listed as removed."""
    shutil.copytree(frozen, tmp_path / "var")
    config = tmp_path / "var" / "esep.toml"

    def written() -> int:
        with App(load_settings(config, {}), lambda: LOOKED_AT) as app:
            return sum(record.topic == "chain" for records in batches(app.log, {}) for record in records)

    before = written()
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play(node.progress[1] - 40)
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace('"http://127.0.0.1:1"', f'"{node.rpc_url}"\ncookie_file = "{node.cookie_path}"'), encoding="utf-8")
        assert esep("watch", "--once", "--config", config) != 0, "the node lags"
        said = capsys.readouterr()
        assert "it lags" in said.out + said.err
        assert written() == before
        assert esep("amend", "2026-10", "--config", config) == 0
        assert "nothing to amend" in capsys.readouterr().out
