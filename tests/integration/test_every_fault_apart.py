"""`esep run` with three chains: a Bitcoin-like one and an account chain are followed while a third one, of either kind, has a node with any fault of the
list, as bytes of its HTTP answers. What ends with the fault is followed to the tip then."""

from __future__ import annotations

import copy
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from pipeline.app.app import App
from pipeline.chains.bitcoin.script import address_of
from pipeline.chains.evm.address import to_checksum
from pipeline.cli.logs import configure_logs
from pipeline.service.following import follow_chain
from pipeline.service.health import Health, Limits
from pipeline.service.loops import run_loops
from pipeline.service.metrics import Metrics
from pipeline.settings import load_settings
from pipeline.settings.load import packaged_path

from ..simulation import bitcoin_world, evm_world
from ..simulation.bitcoin_world import OURS, REGTEST
from ..simulation.evm_world import BATCH, CHAIN_ID, TOKEN, Answer, NodeFault, Spend, address
from .example_month import esep
from .raw_server import Behaviour, always, answer, hang_up
from .scripted_node import Reply, ScriptedAccountNode, ScriptedNode, error_reply, listening, with_result
from .test_bitcoin_fuzz import FullNode
from .test_bitcoin_node_troubles import half_an_answer

COIN, ACCOUNT, BROKEN = "coin", "account", "broken"
PATIENCE_S = 60
HOT, STRANGER = address(1), address(21)
OF_COIN = """
[chains.{name}]
network = "{network}"
asset = "{asset}"
rpc_url = "{url}"
user = "u"
password_file = "password"
timeout_s = 1
poll_s = 1
start_height = 1
[[chains.{name}.wallets]]
name = "pool"
addresses = ["{address}"]
[assets.{asset}]
chain = "{name}"
decimals = 8
"""
OF_ACCOUNTS = """
[chains.{name}]
network = "evm:{chain_id}"
asset = "{asset}"
rpc_url = "{url}"
finality = 5
timeout_s = 1
poll_s = 1
start_height = 1
[[chains.{name}.wallets]]
name = "hot"
addresses = ["{address}"]
[assets.{asset}]
chain = "{name}"
decimals = 18
"""
WRAPPED = """
[assets.CW]
chain = "{name}"
decimals = 18
contract = "{contract}"
wrapped = true
"""
FORK_AT = 3
NETWORKS = """
[[kin.forks]]
height = {at}
hash = "{coins}"
[kin.forks.others]
{other_coins} = "Kin Cash"
["evm:{chain_id}"]
family = "evm"
[["evm:{chain_id}".forks]]
height = {at}
hash = "{accounts}"
["evm:{chain_id}".forks.others]
{other_accounts} = "Kin Classic"
["evm:{chain_id}".reward]
schedule = "fixed"
reward = "2000000000000000000"
["evm:{chain_id}".reward.uncles]
including = [1, 32]
"""
"""A network as a person describes it who adds a relative of Bitcoin, or the account chain's own facts (ADR 21)."""


def coin_world(seed: int) -> bitcoin_world.World:
    world = bitcoin_world.World(seed)
    world.extend(5)
    return world


def account_world(seed: int) -> evm_world.World:
    """Blocks with something of every kind, the pool's and strangers'."""
    world = evm_world.World(seed)
    world.mine_some([HOT], 6)
    world.mine(
        [
            Spend(STRANGER, BATCH, 5, calls=[(BATCH, address(35), 5)]),
            Spend(HOT, BATCH, 6, calls=[(BATCH, address(31), 2), (BATCH, address(32), 4)]),
        ],
        withdrawals=[(HOT, 3)],
    )
    world.mine([Spend(HOT, TOKEN, tokens=[(HOT, address(32), 5)])])
    stale = world.mine(miner=STRANGER)
    world.replace(1)
    world.mine()
    world.mine(miner=STRANGER, uncles=[stale.body])
    return world


def networks(coins: bitcoin_world.World, accounts: evm_world.World) -> str:
    """The file of networks: `kin`, of the regtest's facts, has Litecoin's outputs without address; both have forks that share the first blocks."""
    packaged = packaged_path("networks.toml").read_text()
    kin = packaged[packaged.index("[regtest]") :].partition("[litecoin]")[0].replace("[regtest", "[kin")
    return kin.replace("rpc_port", "has_mweb = true\nrpc_port", 1) + NETWORKS.format(
        at=FORK_AT, chain_id=CHAIN_ID, coins=coins.chain()[FORK_AT].hash, other_coins=forked_coins().chain()[FORK_AT].hash,
        accounts=accounts.blocks[FORK_AT].hash[2:], other_accounts=forked_accounts().blocks[FORK_AT].hash[2:],
    )  # fmt: skip


def forked_coins() -> bitcoin_world.World:
    return coin_world(9)


def forked_accounts() -> evm_world.World:
    return account_world(9)


class Trio:
    """The pool's three chains. What the broken one's node does is the test's."""

    def __init__(self, folder: Path, held: ExitStack, *, is_broken_account: bool) -> None:
        self.folder = folder
        self.coin, self.account = coin_world(1), account_world(2)
        self.broken: Any = account_world(2) if is_broken_account else coin_world(3)
        self.node: Any = ScriptedAccountNode(self.broken) if is_broken_account else ScriptedNode(self.broken)
        self.behave: Behaviour = self.node.behave
        good = ScriptedNode(self.coin).behave, ScriptedAccountNode(self.account).behave
        urls = [held.enter_context(listening(behave)) for behave in (*good, lambda client, request: self.behave(client, request))]
        mine = {"address": address_of(OURS[0], REGTEST)}, {"address": to_checksum(HOT), "chain_id": CHAIN_ID}
        (folder / "networks.toml").write_text(networks(coin_world(3), self.account))
        text = 'var = "var"\nnetworks = "networks.toml"\n[pool]\nkey = "pool"\nbin = "201040000013"\nname = "Pool"\n'
        text += OF_COIN.format(name=COIN, network="regtest", asset="CA", url=urls[0], **mine[0]) + OF_ACCOUNTS.format(
            name=ACCOUNT, asset="CB", url=urls[1], **mine[1]
        )
        text += (OF_ACCOUNTS + WRAPPED if is_broken_account else OF_COIN).format(
            name=BROKEN, network="kin", asset="CC", url=urls[2], contract=to_checksum(TOKEN), **mine[is_broken_account]
        )
        (folder / "password").write_text("hunter2")
        (folder / "password").chmod(0o600)
        (folder / "esep.toml").write_text(text)
        self.metrics = Metrics(CollectorRegistry(), Health(time.monotonic, Limits()))

    def run(self, judge: Callable[[], None]) -> None:
        """The loops of `esep run` until the judge is done."""

        def judging(stop: threading.Event) -> None:
            judge()
            stop.set()

        with App(load_settings(self.folder / "esep.toml", {}), lambda: int(time.time())) as app:
            loops = {name: follow_chain(app, name, self.metrics, first_pause_s=0.05) for name in (COIN, ACCOUNT, BROKEN)}
            run_loops(loops | {"judge": judging}, stop := threading.Event())
            assert stop.is_set()

    def height(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value("esep_chain_height", {"pool": "pool", "chain": name})

    def is_at_tip(self, name: str) -> bool:
        tip = {COIN: self.coin.tip.height, ACCOUNT: self.account.height}
        return self.height(name) == tip[name]

    def trouble(self) -> str:
        return "; ".join(words for words in self.metrics.health.troubles() if words.startswith(f"pool {BROKEN}: "))

    def await_good(self) -> None:
        """The good chains grow, and are followed."""
        for _ in range(2):
            self.coin.extend(1)
            self.account.mine([Spend(HOT, address(33), 5)])
            until(lambda: self.is_at_tip(COIN) and self.is_at_tip(ACCOUNT))


def until(holds: Callable[[], object]) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.02)


@pytest.fixture
def held() -> Iterator[ExitStack]:
    configure_logs()
    with ExitStack() as held:
        yield held


class Fault(NamedTuple):
    breaks: Callable[[Trio], None]
    says: str = ""
    """Words of the trouble; empty where the chain is followed all the same."""


# --- whatever speaks HTTP ----------------------------------------------------------------------------------------------


def bytes_of(behave: Behaviour) -> Callable[[Trio], None]:
    return lambda trio: setattr(trio, "behave", behave)


def cut(trio: Trio) -> None:
    """Each answer is cut in its middle, with its length announced right."""
    honest = trio.behave

    class Half(socket.socket):
        def __init__(self, client: socket.socket) -> None:
            self._client = client

        def sendall(self, data: Any, *_: Any) -> None:  # type: ignore[override]
            head, _, body = bytes(data).partition(b"\r\n\r\n")
            self._client.sendall(answer(body[: len(body) // 2], head.split(b" ", 1)[1].split(b"\r\n")[0].decode()))

        def close(self) -> None: ...

    trio.behave = lambda client, request: honest(Half(client), request)


BY_BYTES = {
    "hangs up": Fault(bytes_of(hang_up), "closed the connection"),
    "half an answer": Fault(bytes_of(half_an_answer), "broke off"),
    "silence": Fault(bytes_of(lambda client, request: None), "did not answer within 1 s"),
    "no HTTP": Fault(bytes_of(always(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")), "does not speak HTTP"),
    "a page": Fault(bytes_of(always(answer(b"<html>Hello</html>"))), "is rpc_url the node's RPC port"),
    "nesting": Fault(bytes_of(always(answer(b"[" * 100_000))), "no JSON-RPC reply"),
    "no text": Fault(bytes_of(always(answer(b"\xff\xfe\x00"))), "no JSON-RPC reply"),
    "endless": Fault(bytes_of(always(answer(b"", length=10**12))), "announced an answer"),
    "null": Fault(bytes_of(always(answer(b"null"))), "no JSON-RPC reply"),
    "cut": Fault(cut, "no JSON-RPC reply"),
    "401": Fault(bytes_of(always(answer(b"", "401 Unauthorized"))), "password"),
    "403": Fault(bytes_of(always(answer(b"", "403 Forbidden")))  , "403"),
    "429": Fault(bytes_of(always(answer(b"", "429 Too Many Requests\r\nRetry-After: 1"))), "overloaded"),
    "503": Fault(bytes_of(always(answer(b"", "503 Service Unavailable"))), "the node at"),
}  # fmt: skip


# --- of Bitcoin's list -------------------------------------------------------------------------------------------------


def altered(method: str, **fields: object) -> Callable[[Trio], None]:
    """One method's answer has other fields."""
    return by_reply(lambda asked, reply: with_result(reply, **fields) if asked == method else reply)


def refused(method: str, code: int, message: str) -> Callable[[Trio], None]:
    return by_reply(lambda asked, reply: error_reply(reply, code, message) if asked == method else reply)


def by_reply(alter: Callable[[str, Reply], Reply]) -> Callable[[Trio], None]:
    return lambda trio: setattr(trio.node, "alter", alter)


def by_full_node(alter: Callable[[str, Reply], Reply]) -> Callable[[Trio], None]:
    """A node without REST and filters, whose blocks are read by `getblock`."""

    def breaks(trio: Trio) -> None:
        node = FullNode(trio.broken, has_rest=False)
        node.alter = alter
        trio.behave = node.behave

    return breaks


def dust(trio: Trio) -> None:
    """Strangers pay the pool; the node has no txindex and no REST."""

    def alter(method: str, reply: Reply) -> Reply:
        if method == "getindexinfo":
            return {**reply, "result": {}}
        return error_reply(reply, -5, "No such mempool transaction. Use -txindex") if method == "getrawtransaction" else reply

    trio.node.has_rest, trio.node.alter = False, alter


def index_being_built(trio: Trio) -> None:
    """A node without REST that has only begun its index of transactions."""
    trio.node.has_rest = False
    altered("getindexinfo", txindex={"synced": False, "best_block_height": 2})(trio)


def without_prevouts(method: str, reply: Reply) -> Reply:
    if method == "getblock" and isinstance(reply["result"], dict):
        for tx in reply["result"].get("tx", []):
            for vin in tx["vin"]:
                vin.pop("prevout", None)
    return reply


def behind(trio: Trio) -> None:
    """Once followed, the node is restored from an older copy."""
    until(lambda: trio.height(BROKEN) == trio.broken.tip.height)
    trio.node.world = copy.copy(trio.broken)
    trio.node.world.tip = trio.broken.chain()[2]


def then_by_rest(change: Callable[[str, int, bytes], tuple[int, bytes]]) -> Callable[[Trio], None]:
    """Once followed by REST, the node's answers there are others, and a block comes."""

    def breaks(trio: Trio) -> None:
        until(lambda: trio.height(BROKEN) == trio.broken.tip.height)
        trio.node.alter_rest = change
        trio.broken.extend(1)

    return breaks


def peg_ins(trio: Trio) -> None:
    """Blocks whose payments to strangers go into Litecoin's extension blocks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bitcoin_world, "THEIRS", [bytes([0x50 + version, 32]) + b"\x07" * 32 for version in (8, 9)])
        trio.broken.extend(12)


def of_fork(world: Callable[[], Any]) -> Callable[[Trio], None]:
    """The node is of a chain that left the one that is followed some blocks ago."""
    return lambda trio: setattr(trio.node, "world", world())


OF_COINS = {
    "dust": Fault(dust),
    "an index being built": Fault(index_being_built),
    "another network": Fault(altered("getblockchaininfo", chain="main"), "is on chain 'main'"),
    "another chain's first block": Fault(
        by_reply(lambda asked, reply: {**reply, "result": "00" * 32} if asked == "getblockhash" else reply), "is on another network"
    ),
    "pruned": Fault(altered("getblockchaininfo", pruned=True, pruneheight=4), "has pruned its blocks below 4"),
    "starting": Fault(refused("getblockchaininfo", -28, "Loading block index…"), "is starting"),
    "a method missing": Fault(refused("getblockchaininfo", -32601, "Method not found"), "has no method"),
    "a field of null": Fault(altered("getblockchaininfo", blocks=None), "something unexpected"),
    "a field of words": Fault(altered("getblockchaininfo", headers="zz"), "something unexpected"),
    "blocks of a snapshot": Fault(
        by_full_node(lambda asked, reply: error_reply(reply, -1, "Block not available (not fully downloaded)") if asked == "getblock" else reply),
        "one that began from a snapshot",
    ),
    "undo data missing": Fault(by_full_node(without_prevouts), "its undo data is not there"),
    "a tip without undo data": Fault(
        lambda trio: setattr(trio.node, "alter_rest", lambda path, status, body: (404, f"{path[-68:-4]} undo not available\r\n".encode()) if "spenttxouts" in path else (status, body)),
    ),
    "undo data by REST": Fault(
        then_by_rest(lambda path, status, body: (404, b"Undo not available\r\n") if "spenttxouts" in path else (status, body)),
    ),
    "lags": Fault(behind, "below the log's"),
    "a fork that shares the first blocks": Fault(of_fork(forked_coins), "looks like a node of Kin Cash"),
    "peg-ins": Fault(peg_ins),
}  # fmt: skip


# --- of the account chains' list ---------------------------------------------------------------------------------------


def said(method: str, change: Callable[[Any], Any]) -> Callable[[Trio], None]:
    """One method's answers are others."""
    return by_answer(lambda asked, params, answers: change(answers(asked, params)) if asked == method else answers(asked, params))


def fails(*methods: str, code: int = -32000, message: str) -> Callable[[Trio], None]:
    def between(asked: str, params: list[Any], answers: Answer) -> Any:
        if asked in methods:
            raise NodeFault(code, message)
        return answers(asked, params)

    return by_answer(between)


def by_answer(between: Callable[[str, list[Any], Answer], Any]) -> Callable[[Trio], None]:
    return lambda trio: setattr(trio.node, "between", between)


def both(*breaks: Callable[[Trio], None]) -> Callable[[Trio], None]:
    """The first one's answers, altered by the next ones."""

    def together(trio: Trio) -> None:
        before: Answer = trio.broken.answer
        for each in breaks:
            each(trio)
            between, inner = trio.node.between, before
            before = lambda method, params, between=between, inner=inner: between(method, params, inner)  # noqa: E731 - bound at once
        trio.node.between = lambda method, params, _: before(method, params)

    return together


def frames_of(change: Callable[[dict[str, Any]], list[Any]], *, of_pool: bool = False) -> Callable[[Any], Any]:
    """The frames of `trace_block` with those of the stranger's transaction (or the pool's) beside another one changed."""

    def changed(frames: Any) -> Any:
        if {frame["transactionPosition"] for frame in frames} != {0, 1}:
            return frames
        return [made for frame in frames for made in (change(frame) if frame["transactionPosition"] == of_pool else [frame])]

    return changed


def undone(frames: Any) -> Any:
    """A call of the batch's that was undone, listed without its error."""
    batch = next((frame for frame in frames if frame["action"]["to"] == BATCH and frame["action"]["from"] == HOT), None)
    paid = batch and {**batch, "traceAddress": [9], "action": {**batch["action"], "from": BATCH, "to": address(33), "value": "0x4"}}
    return [*frames, paid] if paid else frames


def full(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Trio], None]:
    """Whole blocks are others."""
    return by_answer(
        lambda asked, params, answers: (
            change(answers(asked, params))
            if asked.startswith("eth_getBlockBy") and params[1] and answers(asked, params)
            else answers(asked, params)
        )
    )


def limited_inside(trio: Trio) -> None:
    """Each request's calls are counted, and the fourth is refused."""
    honest, count = trio.node.behave, [0]

    def between(asked: str, params: list[Any], answers: Answer) -> Any:
        count[0] += 1
        if count[0] > 3:
            raise NodeFault(-32005, "Your app has exceeded its compute units per second capacity")
        return answers(asked, params)

    def behave(client: socket.socket, request: bytes) -> None:
        count[0] = 0
        honest(client, request)

    trio.node.between, trio.behave = between, behave


def not_found_later(trio: Trio) -> None:
    """A way of tracing that was there when it was tried, and is told as no method afterwards."""
    asked_before: set[str] = set()

    def between(asked: str, params: list[Any], answers: Answer) -> Any:
        if asked == "trace_block" and asked in asked_before:
            raise NodeFault(-32601, "Method not found")
        asked_before.add(asked)
        return answers(asked, params)

    trio.node.between = between


def poisoned(trio: Trio) -> None:
    """Sixty contracts log that the pool paid."""
    forged = [address(950 + n) for n in range(60)]
    trio.broken.mine([Spend(STRANGER, contract, logs=[(contract, (HOT, address(30), 5))]) for contract in forged])


def poisoned_in_our_words(trio: Trio) -> None:
    """Their contracts revert with what a provider says that wants to be asked more slowly."""
    poisoned(trio)
    fails("eth_call", code=3, message="execution reverted: rate limit exceeded, retry in 600 s")(trio)


def wrapped(trio: Trio) -> None:
    """A contract of wrapped coins logs a deposit and a withdrawal of the pool's, and no transfer."""
    trio.broken.mine([Spend(HOT, TOKEN, 70, wraps=[(HOT, 70)])])
    trio.broken.mine([Spend(HOT, TOKEN, wraps=[(HOT, -40)], calls=[(TOKEN, HOT, 40)])])


def small_ranges(asked: str, params: list[Any], answers: Answer) -> Any:
    if asked == "eth_getLogs" and int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 2:
        raise NodeFault(-32701, "exceed maximum block range: 2")
    return answers(asked, params)


def account_behind(trio: Trio) -> None:
    until(lambda: trio.height(BROKEN) == trio.broken.height)
    trio.node.world = copy.copy(trio.broken)
    trio.node.world.blocks = trio.broken.blocks[:4]


def signed_otherwise(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "transactions": [{**t, "yParity": "0x1"} if t["from"] == STRANGER else t for t in block["transactions"]]}


TRACES = ("trace_block", "debug_traceBlockByHash")
OLD = {"eth_getBalance", "eth_getCode", "eth_call", "eth_getProof"}
OF_ACCOUNT_CHAINS = {
    "another chain's id": Fault(said("eth_chainId", lambda _: "0x3d"), "is of network evm:61"),
    "syncing of 0x": Fault(said("eth_syncing", lambda _: {"currentBlock": "0x", "highestBlock": "0x64"}), "eth_syncing.currentBlock"),
    "a tip of null": Fault(said("eth_getBlockByNumber", lambda _: None), "has no block yet"),
    "a number of words": Fault(said("eth_getBlockByNumber", lambda found: found and {**found, "number": "zz"}), "number"),
    "no traces on this plan": Fault(fails(*TRACES, code=-32600, message="trace_block is not available on the Free tier"), "shows no calls"),
    "one trace on this plan": Fault(fails("trace_block", code=-32604, message="Method not enabled")),
    "one trace no method later": Fault(not_found_later),
    "receipts of a block refused": Fault(fails("eth_getBlockReceipts", code=-32602, message="invalid argument 0: hex number > 64 bits")),
    "all but blocks refused": Fault(fails("eth_getLogs", code=403, message="access denied"), "access denied"),
    "state of null": Fault(
        by_answer(lambda asked, params, answers: None if asked in OLD else answers(asked, params))
    ),
    "traces of nothing": Fault(
        by_answer(lambda asked, params, answers: [] if asked in TRACES else answers(asked, params)), "can't be told yet whether it shows calls"
    ),
    "another yParity": Fault(full(signed_otherwise)),
    "frames missing": Fault(said("trace_block", frames_of(lambda frame: []))),
    "a frame of type null": Fault(said("trace_block", frames_of(lambda frame: [{**frame, "type": None}]))),
    "the pool's frames missing in the one way": Fault(
        both(said("trace_block", frames_of(lambda frame: [], of_pool=True)), fails("debug_traceBlockByHash", code=-32601, message="no method")),
        "the traces of block 7",
    ),
    "a reward without action": Fault(
        said("trace_block", lambda frames: [*frames, {"type": "reward", "traceAddress": [], "blockHash": None}])
    ),
    "execution timeout": Fault(
        both(
            fails("trace_block", code=-32601, message="no method"),
            said("debug_traceBlockByHash", lambda found: [{"txHash": found[0]["txHash"], "error": "execution timeout"}, *found[1:]] if found and found[0]["result"]["from"] == STRANGER else found),
        )
    ),
    "an undone call as paid": Fault(said("trace_block", undone)),
    "a limit inside a batch": Fault(limited_inside),
    "withdrawals left out": Fault(full(lambda block: {**block, "withdrawals": []}), "commits to withdrawals"),
    "transactions left out": Fault(full(lambda block: {**block, "transactions": block["transactions"][:-1]}), "commits to transactions"),
    "another header": Fault(full(lambda block: {**block, "stateRoot": "0x" + 64 * "9"}), "is said to have hash"),
    "receipts of another outcome": Fault(
        said("eth_getBlockReceipts", lambda found: [{**r, "status": "0x0"} for r in found] if found else found), "commits to receipts"
    ),
    "receipts cut": Fault(said("eth_getBlockReceipts", lambda found: found[1:] if found else found)),
    "poisoning": Fault(poisoned),
    "a stranger's contract with a provider's words": Fault(poisoned_in_our_words),
    "a newest block that is not there yet": Fault(
        fails("eth_getProof", "trace_filter", "eth_getBlockReceipts", "debug_traceBlockByHash", message="header not found")
    ),
    "small ranges of logs": Fault(by_answer(small_ranges)),
    "lags": Fault(account_behind, "below the log's"),
    "a fork that shares the first blocks": Fault(of_fork(forked_accounts), "looks like a node of Kin Classic"),
    "uncles left out": Fault(full(lambda block: {**block, "uncles": []}), "uncle"),
    "an uncle of null": Fault(said("eth_getUncleByBlockHashAndIndex", lambda _: None), "uncle"),
    "another uncle": Fault(said("eth_getUncleByBlockHashAndIndex", lambda found: {**found, "miner": HOT}), "is said to have hash"),
    "wrapped coins": Fault(wrapped),
}  # fmt: skip

LATER = ("lags", "undo data by REST")
"""Faults of a node that was followed before."""
CASES = {
    **{("coin", name): fault for name, fault in {**BY_BYTES, **OF_COINS}.items()},
    **{("account", name): fault for name, fault in {**BY_BYTES, **OF_ACCOUNT_CHAINS}.items()},
}


def test_what_no_way_of_tracing_shows_of_strangers_is_counted_and_named_once(
    tmp_path: Path, held: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """In `esep nodes`, by the running service and after it, and by the next one."""
    trio = Trio(tmp_path, held, is_broken_account=True)
    both(
        said("trace_block", frames_of(lambda frame: [])),
        fails("debug_traceBlockByHash", code=-32601, message="no method"),
    )(trio)

    def shown() -> dict[str, Any]:
        capsys.readouterr()
        assert esep("nodes", BROKEN, "--json", "--config", tmp_path / "esep.toml") == 0
        ((node,),) = [chain["nodes"] for chain in json.loads(capsys.readouterr().out)]
        return dict(node)

    def judge() -> None:
        until(lambda: trio.height(BROKEN) == trio.broken.height)
        assert not trio.trouble()

    trio.run(judge)
    after = shown()
    assert after["n_unproved"] == len(after["unproved"]) == 1
    assert trio.broken.blocks[7].body["transactions"][0]["hash"][2:] in after["unproved"][0] and "block 7" in after["unproved"][0]
    assert esep("nodes", BROKEN, "--config", tmp_path / "esep.toml") == 0
    assert "did not show 1 transaction(s) of strangers" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}: {name}" for family, name in CASES])
def test_the_two_others_are_followed_while_it_lasts(tmp_path: Path, held: ExitStack, family: str, name: str) -> None:
    fault = CASES[family, name]
    trio = Trio(tmp_path, held, is_broken_account=family == "account")
    at_first = name not in LATER
    if at_first:
        fault.breaks(trio)

    def judge() -> None:
        if not at_first:
            fault.breaks(trio)
        if fault.says:
            until(trio.trouble)
        trio.await_good()
        if fault.says:
            assert fault.says in trio.trouble()
            trio.behave = trio.node.behave
            trio.node.world = trio.broken
            if family == "account":
                trio.node.between = lambda method, params, answers: answers(method, params)
            else:
                trio.node.alter, trio.node.alter_rest = (lambda _, reply: reply), (lambda _, status, body: (status, body))
        tip = trio.broken.height if family == "account" else trio.broken.tip.height
        until(lambda: trio.height(BROKEN) == tip)
        until(lambda: not trio.trouble())

    trio.run(judge)
