"""Compact block filters asked of a node over HTTP, and laid beside a bundle (ADR 19)."""

from __future__ import annotations

from pathlib import Path

from connectors.bitcoin.coins import NodeOfCoins
from connectors.standins.bitcoin_node import ReplayNode
from pipeline.app.filters import add_filters
from pipeline.chains.bitcoin.networks import network
from pipeline.settings import load_settings
from pipeline.verify.filters import check_filters, filter_spans
from pipeline.verify.opened import OpenBundle

from ..forgery.filters import PATH, honest_filters, recorded
from ..forgery.forger import own_copy
from .example_month import RECORDED


def test_a_month_s_filters_come_from_the_settings_node_and_hold(frozen: Path, tmp_path: Path) -> None:
    bundle = own_copy(frozen / "months" / "2026-10" / "v1", tmp_path)
    settings = load_settings(frozen / "esep.toml", {})
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play_all()
        ours = settings.chains["bitcoin"].model_copy(
            update={"rpc_url": (node.rpc_url,), "cookie_file": node.cookie_path, "user": None, "password": None}
        )
        (added,) = add_filters(settings.model_copy(update={"chains": {"bitcoin": ours}}), bundle)
    (span,) = filter_spans(OpenBundle(bundle, ()))
    assert (added.chain, added.blocks) == ("bitcoin", span.last - span.first + 1) and added.matched > 100
    assert not check_filters(OpenBundle(bundle, ())).faults
    asked = (bundle / PATH).read_bytes()
    (bundle / PATH).unlink()
    assert (honest_filters(bundle) / PATH).read_bytes() == asked


def test_a_node_says_the_header_of_a_filter_and_that_it_has_no_block_beyond_its_tip() -> None:
    with ReplayNode(RECORDED, events_per_poll=0) as node:
        node.play_all()
        asked = NodeOfCoins(node.rpc_url, node.cookie_path, [network("regtest")])
        try:
            assert asked.filter_header(asked.hash_at(77)) == recorded().filter_header(asked.hash_at(77))
            assert asked.filter_header("11" * 32) is None
        finally:
            asked.close()
