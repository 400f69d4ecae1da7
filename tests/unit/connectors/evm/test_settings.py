"""What an operator may write, every fault named at once."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.evm.call_tracing import choose
from connectors.evm.errors import NotOffered
from connectors.evm.features import NodeFeatures
from connectors.evm.settings import EvmChain
from connectors.evm.watch import union, watch_list
from pipeline.log.events.chain import WatchedWallet
from pipeline.model.errors import SettingsError

GOOD = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def wallet(name: str, *addresses: str) -> WatchedWallet:
    return WatchedWallet(name=name, addresses=list(addresses))


def test_addresses_are_brought_to_their_checksum() -> None:
    found = watch_list([wallet("hot", GOOD.lower(), GOOD)])
    assert found.wallets[0].addresses == [GOOD] and found.addresses == {GOOD: "hot"}
    assert found.spellings == {GOOD, GOOD.lower()}


def test_faulty_wallets_are_all_named() -> None:
    with pytest.raises(SettingsError) as raised:
        watch_list(
            [
                wallet("a", GOOD.replace("f3", "F3")),
                wallet("b", "0x12"),
                wallet("c"),
                wallet("c", GOOD),
                wallet("d", GOOD),
                WatchedWallet(name="e", addresses=[GOOD], descriptors=["wpkh()"]),
            ]
        )
    for part in ("checksum", "not an address", "no address", "twice", "belongs to one wallet", "no descriptors"):
        assert part in str(raised.value)


def test_what_was_once_watched_stays_watched() -> None:
    both, warnings = union([wallet("hot", "A")], [wallet("hot", "B"), wallet("old", "C", "A")])
    assert [(w.name, w.addresses) for w in both] == [("hot", ["A", "B"]), ("old", ["C"])]
    assert len(warnings) == 2 and "stay watched" in warnings[0]


def chain(**changes: Any) -> EvmChain:
    good = {
        "pool_id": "p",
        "chain": "eth",
        "asset": "ETH",
        "network": "evm:1",
        "rpc_url": "",
        "wallets": [],
        "start_height": 1,
        "finality": 1,
    }
    return EvmChain(**(good | changes))


def test_faulty_settings_are_all_named() -> None:
    with pytest.raises(SettingsError) as raised:
        chain(
            network="regtest",
            tokens={"0x1": "T", GOOD: "ETH"},
            start_height=0,
            finality=0,
            internal_calls="some",
            blocks_a_step=0,
        ).checked()
    for part in (
        "evm:1",
        "start_height",
        "finality",
        "internal_calls",
        "blocks_a_step",
        "contract's address",
        "chain's own asset",
    ):
        assert part in str(raised.value)
    with pytest.raises(SettingsError, match="two token contracts"):
        chain(tokens={GOOD: "T", "0x" + 40 * "1": "T"}).checked()
    assert chain(network="evm:61", tokens={GOOD.lower(): "T"}).checked() == (61, {GOOD: "T"})


def test_the_way_to_see_calls_is_chosen_by_offer() -> None:
    def offer(*traces: str) -> NodeFeatures:
        return NodeFeatures("node/1", traces, True, True, True, True)  # type: ignore[arg-type]

    assert choose("auto", offer("trace_block", "debug_trace"), "n").traces == "trace_block"
    assert choose("auto", offer("debug_trace"), "n").name == "debug_trace"
    assert choose("auto", offer(), "n").name == "not-offered" and not choose("auto", offer(), "n").is_untraced_accepted
    assert choose("ignore", offer("trace_block"), "n").is_untraced_accepted
    with pytest.raises(NotOffered, match="it offers trace_block"):
        choose("debug_trace", offer("trace_block"), "n")


def test_secrets_are_not_shown() -> None:
    shown = repr(chain(user="u", password="hunter2", headers={"Authorization": "Bearer abc"}))
    assert "hunter2" not in shown and "abc" not in shown


@pytest.mark.parametrize("chain_id", [10, 8453, 137])
def test_a_chain_whose_fees_and_system_transactions_are_not_counted_is_refused(chain_id: int) -> None:
    chain = EvmChain(
        pool_id="p", chain="c", asset="ETH", network=f"evm:{chain_id}", rpc_url="http://127.0.0.1:9", wallets=[], start_height=1, finality=1
    )
    with pytest.raises(SettingsError, match="not counted yet"):
        chain.checked()
