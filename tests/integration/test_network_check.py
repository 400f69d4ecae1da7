"""`esep network check`: facts that hold, facts that are wrong, and what a node does not show; each is a line."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.app.try_network import try_network
from pipeline.chains.networks import OURS, AnyNetwork, networks_over
from pipeline.chains.tried import Tried
from pipeline.model.errors import SourceError

from ..simulation.bitcoin_world import World
from ..simulation.evm_world import CHAIN_ID, NOBODY, Answer, Served
from ..simulation.evm_world import World as AccountWorld
from ..unit.chains.bitcoin.test_cash_blocks import FIRST, HEADERS
from .raw_server import Behaviour, answer
from .scripted_node import Reply, ScriptedNode, listening
from .test_bitcoin_fuzz import MISSING, ODD, places, replaced
from .test_cli import esep


def own(name: str, **keys: Any) -> AnyNetwork:
    """Our network with other facts."""
    known, faults = networks_over({name: keys}, "own")
    assert faults == []
    return known.of(name)


REGTEST = own("regtest", pow="unchecked")
"""The headers of the tests' chain have no work."""


def by_name(found: list[Tried]) -> dict[str, bool | None]:
    return {tried.what: tried.holds for tried in found}


def answered(addresses: Mapping[str, str], world: World) -> ScriptedNode:
    """A node of Core's kind that prints these addresses."""
    node = ScriptedNode(world, has_rest=False)

    def alter(method: str, reply: Reply) -> Reply:
        if method == "getblockstats":
            return {**reply, "error": None, "result": {"subsidy": 50 * 10**8}}
        return reply

    node.alter = alter
    node._decodescript = lambda script: {"address": addresses[script]} if script in addresses else {}  # type: ignore[attr-defined]
    return node


@pytest.fixture
def world() -> World:
    made = World(3)
    made.extend(20)
    return made


def test_what_a_node_shows_and_what_it_does_not(world: World) -> None:
    from connectors.bitcoin.try_network import SCRIPTS
    from pipeline.chains.bitcoin.networks import network
    from pipeline.chains.bitcoin.script import address_of

    printed = {script.hex(): str(address_of(script, network("regtest"))) for kind, script in SCRIPTS.items() if kind != "P2TR"}
    with listening(answered(printed, world).behave) as url:
        honest = try_network(REGTEST, url, None)
        assert by_name(honest) == {
            "chain": True, "genesis": True, "forks": None, "address P2PKH": True, "address P2SH": True, "address P2WPKH": True, "address P2WSH": True,
            "address P2TR": None, "checkpoint": None, "work": None, "difficulty": None, "block": True, "reward": True,
        }  # fmt: skip
        wrong = own("regtest", p2sh_prefix="05", pow="sha256d", reward={"schedule": "fixed", "reward": "7"})
        assert {name for name, holds in by_name(try_network(wrong, url, None)).items() if holds is False} == {
            "address P2SH",
            "work",
            "reward",
        }
        scrypt = try_network(own("regtest", pow="scrypt"), url, None)
        assert by_name(scrypt)["work"] is False and "by scrypt" in next(tried.detail for tried in scrypt if tried.what == "work")


def test_a_node_that_lacks_calls_leaves_facts_undecided(world: World) -> None:
    with listening(ScriptedNode(world, has_rest=False).behave) as url:
        found = try_network(REGTEST, url, None)
    assert by_name(found)["addresses"] is None and "decodescript" in next(tried.detail for tried in found if tried.what == "addresses")
    assert not any(tried.holds is False for tried in found)


def published(chain_work: str) -> Behaviour:
    """A node of Bitcoin Cash whose newest blocks are published ones."""
    raw = {FIRST + place: header.hex() for place, header in enumerate(HEADERS)}
    cash = OURS.of("bitcoincash").facts
    hashes = {0: str(cash.genesis)} | {fork.height: str(fork.hash) for fork in cash.forks}

    def result(method: str, params: list[Any]) -> Any:
        from pipeline.chains.bitcoin.wire import parse_header

        known = hashes | {height: parse_header(bytes.fromhex(text)).hash.hex() for height, text in raw.items()}
        heights = {block_hash: height for height, block_hash in known.items()}
        match method:
            case "getblockchaininfo":
                return {"chain": "main", "blocks": max(raw), "headers": max(raw), "bestblockhash": known[max(raw)]}
            case "getblockhash":
                return known.get(params[0], "0" * 60 + "cafe")
            case "getblockheader":
                return {"chainwork": chain_work} if params[1] else raw.get(heights.get(params[0], 0), raw[FIRST])
            case "getblockstats":
                return {"subsidy": 625_000_000}
            case "decodescript":
                return {"type": "pubkeyhash", "addresses": ["bitcoincash:qqqqzqsrqszsvpcgpy9qkrqdpc83qygjzvunkz6hfq"]}
        return None

    def behave(client: socket.socket, request: bytes) -> None:
        calls = json.loads(request.partition(b"\r\n\r\n")[2])
        replies = [
            {"result": result(call["method"], call["params"]), "error": None, "id": call["id"]}
            for call in (calls if isinstance(calls, list) else [calls])
        ]
        client.sendall(answer(json.dumps(replies if isinstance(calls, list) else replies[0]).encode()))

    return behave


def test_published_headers_of_bitcoin_cash_hold_against_its_facts_and_not_against_ecashs() -> None:
    with listening(published("15" + "0" * 21)) as url:
        cash = try_network(OURS.of("bitcoincash"), url, None)
        told = {tried.what: tried for tried in cash}
        assert all(told[f"block {height}"].holds for height in (478559, 556767, 661648))
        assert told["checkpoint's work"].holds is False and told["least work"].holds is True
        ecash = {tried.what: tried for tried in try_network(OURS.of("ecash"), url, None)}
        assert ecash["block 661648"].holds is False and "looks like a node of Bitcoin Cash" in ecash["block 661648"].detail
        assert ecash["block 949200"].holds is None


def account_chain(**keys: Any) -> AnyNetwork:
    known, faults = networks_over({f"evm:{CHAIN_ID}": {"family": "evm", **keys}}, "own")
    assert faults == []
    return known.of(f"evm:{CHAIN_ID}")


def test_an_account_chain() -> None:
    world = AccountWorld(1)
    for _ in range(3):
        world.mine(miner=NOBODY)
    first = world.blocks[0].hash.removeprefix("0x")
    with Served(world) as served:
        found = try_network(account_chain(genesis=first, reward={"schedule": "fixed", "reward": "0"}), served.url, None)
        assert by_name(found) == {"chain id": True, "genesis": True, "forks": None, "headers": True, "reward": True}
        forks = [{"height": 2, "hash": "11" * 32, "others": {world.blocks[2].hash.removeprefix("0x"): "Another"}}, {"height": 99}]
        wrong = try_network(account_chain(genesis="22" * 32, forks=forks, reward={"schedule": "fixed", "reward": "5"}), served.url, None)
        assert by_name(wrong) == {"chain id": True, "genesis": False, "block 2": False, "block 99": None, "headers": True, "reward": False}
        assert "looks like a node of Another" in next(tried.detail for tried in wrong if tried.what == "block 2")
        (other,) = try_network(OURS.of("evm:1"), served.url, None)
        assert (other.what, other.holds) == ("chain id", False)


def test_no_field_of_any_answer_raises_another_error_of_a_node_of_coins(world: World) -> None:
    """One answer of each method is altered at a time, at each place of it: facts are told as wrong or undecided, or an error of the source is raised."""
    node = answered({}, world)
    honest, seen = node.alter, dict[str, Any]()
    with listening(node.behave) as url:

        def look(method: str, reply: Reply) -> Reply:
            said = honest(method, reply)
            if not said["error"]:
                seen[method] = said
            return said

        node.alter = look
        try_network(REGTEST, url, None)
        for method, reply in seen.items():
            for path, odd in altered(reply["result"]):
                node.alter = lambda asked, reply, method=method, path=path, odd=odd: (  # type: ignore[misc]
                    with_odd(honest(asked, reply), path, odd) if asked == method else honest(asked, reply)
                )
                with contextlib.suppress(SourceError):
                    try_network(REGTEST, url, None)
    assert seen.keys() >= {"getblockchaininfo", "getblockhash", "getblockheader", "getblockstats", "decodescript"}


def test_no_field_of_any_answer_raises_another_error_of_an_account_chains_node() -> None:
    world = AccountWorld(1)
    for _ in range(3):
        world.mine(miner=NOBODY)
    network = account_chain(
        genesis=world.blocks[0].hash.removeprefix("0x"), forks=[{"height": 2, "hash": world.blocks[2].hash.removeprefix("0x")}],
        reward={"schedule": "fixed", "reward": "0"},
    )  # fmt: skip
    seen: dict[str, Any] = {}
    with Served(world) as served:

        def look(method: str, params: list[Any], answers: Answer) -> Any:
            seen[method] = answers(method, params)
            return seen[method]

        served.between = look
        try_network(network, served.url, None)
        for method, result in list(seen.items()):
            for path, odd in altered(result):

                def between(
                    asked: str, params: list[Any], answers: Answer, method: str = method, path: tuple[Any, ...] = path, odd: Any = odd
                ) -> Any:
                    said = answers(asked, params)
                    return with_odd({"result": said, "error": None}, path, odd)["result"] if asked == method else said

                served.between = between
                with contextlib.suppress(SourceError):
                    try_network(network, served.url, None)
    assert seen.keys() >= {"eth_chainId", "eth_syncing", "eth_getBlockByNumber", "eth_getBalance"}


def altered(result: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place of an answer, and what does not belong there."""
    for path in places(result):
        for odd in ODD:
            if not (odd is MISSING and path and isinstance(path[-1], int)):
                yield path, odd


def with_odd(reply: Reply, path: tuple[Any, ...], odd: Any) -> Reply:
    try:
        return reply if reply["error"] else {**reply, "result": replaced(reply["result"], path, odd)}
    except (LookupError, TypeError):
        return reply


def test_by_command(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_text('[regtest]\npow = "unchecked"\n', encoding="utf-8")
    with listening(answered({}, world).behave) as url:
        assert esep("network", "check", "regtest", "--node", url, "--networks", tmp_path / "own.toml") == 0
        out = capsys.readouterr().out
        assert "[ok]  genesis: " in out and "[ ? ] checkpoint: " in out and "0 are wrong" in out
        assert esep("network", "check", "regtest", "--node", url, "--json") == 8
        assert any(tried["what"] == "work" and tried["holds"] is False for tried in json.loads(capsys.readouterr().out))
    assert esep("network", "check", "regtset", "--node", "http://127.0.0.1:1") == 2
    assert "no network is named 'regtset'" in capsys.readouterr().err
    assert esep("network", "show", "ecash") == 0
    assert json.loads(capsys.readouterr().out)["coin"] == "XEC"
    (tmp_path / "own.toml").write_text("[x]\n", encoding="utf-8")
    assert esep("network", "show", "ecash", "--networks", tmp_path / "own.toml") == 2
    assert "x.family: is missing" in capsys.readouterr().err
