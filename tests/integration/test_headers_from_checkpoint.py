"""Headers since a checkpoint asked of a node over HTTP, and laid beside a bundle (ADR 4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.standins.bitcoin_node import ReplayNode
from pipeline.app import headers
from pipeline.app.headers import add_headers, add_wanted_headers, are_wanted
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.networks import recorded
from pipeline.model.errors import SourceError
from pipeline.settings import Settings, load_settings
from pipeline.verify.checkpoint import headers_path
from pipeline.verify.opened import OpenBundle
from pipeline.verify.work import check_work

from ..forgery.forger import own_copy, resealed
from ..forgery.headers import CHAIN, CHECKPOINT, FIRST, easy_network, of_easy_network, real
from .example_month import RECORDED


@pytest.fixture
def bundle(frozen: Path, tmp_path: Path) -> Path:
    """The recorded month's, of a network with a checkpoint that its node fits; its own headers begin later."""
    return of_easy_network(own_copy(frozen / "months" / "2026-10" / "v1", tmp_path))


@pytest.fixture
def node() -> Iterator[ReplayNode]:
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play_all()
        yield node


@pytest.fixture
def settings(frozen: Path, node: ReplayNode, tmp_path: Path) -> Settings:
    found = load_settings(frozen / "esep.toml", {})
    ours = found.chains[CHAIN].model_copy(
        update={"rpc_url": (node.rpc_url,), "cookie_file": node.cookie_path, "user": None, "password": None}
    )
    return found.model_copy(update={"chains": {CHAIN: ours}, "var": tmp_path / "var"})


def parts(settings: Settings) -> list[Path]:
    return sorted((settings.var / "headers" / CHAIN / str(CHECKPOINT)).iterdir())


def test_they_come_from_the_settings_node_and_tie_the_chain(bundle: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "KEPT", 100)
    steps: list[str] = []
    (added,) = add_headers(settings, bundle, progress=steps.append)
    laid = headers_path(bundle, CHAIN)
    assert added == (CHAIN, CHECKPOINT, FIRST - 1 - CHECKPOINT, 80 * (FIRST - 1 - CHECKPOINT)) == (*added[:3], laid.stat().st_size)
    assert laid.read_bytes() == b"".join(real(CHECKPOINT + 1, FIRST - 1)) and laid.stat().st_mode & 0o377 == 0
    assert steps[-1] == f"bitcoin: {added.headers} of {added.headers} headers"
    finding = check_work(OpenBundle(bundle, []))
    assert not finding.faults and not finding.undecided and "they are tied to the checkpoint 40" in finding.proved


def test_an_interrupted_fetch_goes_on_and_a_damaged_part_is_fetched_again(
    bundle: Path, settings: Settings, node: ReplayNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "KEPT", 100)
    fetched: list[int] = []
    from connectors.bitcoin import headers as connector

    honest = connector.headers_since

    def counted(asked: object, after: int, *rest: object) -> object:
        fetched.append(after)
        if after == CHECKPOINT + 300 and len(fetched) == 4:
            raise SourceError("the node went away")
        return honest(asked, after, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(connector, "headers_since", counted)
    with pytest.raises(SourceError, match="went away"):
        add_headers(settings, bundle)
    assert not headers_path(bundle, CHAIN).exists() and len(parts(settings)) == 3
    parts(settings)[1].write_bytes(b"\0" * 8000)
    fetched.clear()
    add_headers(settings, bundle)
    assert fetched == [CHECKPOINT + 100, CHECKPOINT + 300, CHECKPOINT + 400, CHECKPOINT + 500]
    assert not check_work(OpenBundle(bundle, [])).undecided


def test_a_node_of_another_chain_is_refused_and_what_it_said_forgotten(
    bundle: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle's first header follows another block than the node has."""
    monkeypatch.setattr(headers, "KEPT", 100)
    path = bundle / "evidence" / "headers.csv"
    heading, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    path.write_text("\n".join([heading, ",".join([*cells[:4], cells[4][:8] + "ab" * 32 + cells[4][72:]]), *rest]) + "\n")
    resealed(bundle)
    with pytest.raises(SourceError, match=r"and the bundle's headers follow (ab){32}: ask again"):
        add_headers(settings, bundle)
    assert not headers_path(bundle, CHAIN).exists() and parts(settings) == []


def test_a_freeze_stands_whatever_the_node_says(bundle: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    gone = settings.chains[CHAIN].model_copy(update={"rpc_url": ("http://127.0.0.1:9",), "timeout_s": 1})
    add_wanted_headers(settings.model_copy(update={"chains": {CHAIN: gone}}), bundle)
    assert not headers_path(bundle, CHAIN).exists()
    unwanted = settings.chains[CHAIN].model_copy(update={"headers_from_checkpoint": False})
    add_wanted_headers(settings.model_copy(update={"chains": {CHAIN: unwanted}}), bundle)
    assert not headers_path(bundle, CHAIN).exists()
    add_wanted_headers(settings, bundle)
    assert headers_path(bundle, CHAIN).exists()


def test_merged_mining_and_test_networks_ask_for_none_by_themselves(frozen: Path, settings: Settings, tmp_path: Path) -> None:
    ours = settings.chains[CHAIN]
    assert not are_wanted(ours, network("dogecoin")) and are_wanted(ours, network("bitcoin")) and are_wanted(ours, network("litecoin"))
    assert are_wanted(ours.model_copy(update={"headers_from_checkpoint": True}), network("dogecoin"))
    assert add_headers(settings, own_copy(frozen / "months" / "2026-10" / "v1", tmp_path)) == []
    easy = recorded({"easycoin": easy_network()}).of("easycoin")
    assert are_wanted(ours, easy)  # type: ignore[arg-type]
