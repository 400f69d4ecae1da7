"""One chain's trouble never ends another's loop: it is told, shown in `esep status` and by the probes, and tried again."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.bitcoin.follow import BitcoinConnector
from pipeline.app.app import App
from pipeline.chains.bitcoin.script import address_of
from pipeline.cli.logs import configure_logs
from pipeline.log.events import encode
from pipeline.log.events.chain import Watch, WatchedWallet
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import FencedError
from pipeline.service.chain_notes import read_note
from pipeline.service.following import follow_chain
from pipeline.service.health import Health, Limits
from pipeline.service.loops import run_loops
from pipeline.service.metrics import Metrics
from pipeline.service.probes import serve_probes
from pipeline.settings import load_settings

from ..simulation.bitcoin_world import OURS, REGTEST, World
from .example_month import esep
from .raw_server import Behaviour, always, answer
from .scripted_node import Alter, Reply, ScriptedNode, listening, with_result

GOOD = ("first", "second")
BROKEN = "broken"
PATIENCE_S = 60
CHAIN = """
[chains.{name}]
network = "regtest"
asset = "{asset}"
rpc_url = "{url}"
user = "u"
password_file = "password"
poll_s = 1
start_height = 1
{further}
[[chains.{name}.wallets]]
name = "pool"
addresses = ["{address}"]
[assets.{asset}]
chain = "{name}"
decimals = 8
"""


class Three:
    """Three chains of one pool, each with a world and a node; the third is to be broken by the test."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self.worlds = {name: World(seed) for seed, name in enumerate((*GOOD, BROKEN))}
        self.nodes = {name: ScriptedNode(world) for name, world in self.worlds.items()}
        self.behaves: dict[str, Behaviour] = {name: node.behave for name, node in self.nodes.items()}
        self.urls = {name: held.enter_context(listening(self._behave(name))) for name in self.worlds}
        for world in self.worlds.values():
            world.extend(5)
        self.folder, self.further = folder, ""
        self.metrics = Metrics(CollectorRegistry(), Health(time.monotonic, Limits()))
        self.probes = held.enter_context(serve_probes("127.0.0.1:0", self.metrics))

    def _behave(self, name: str) -> Behaviour:
        return lambda client, request: self.behaves[name](client, request)

    def app(self) -> App:
        config = self.folder / "esep.toml"
        (self.folder / "password").write_text("hunter2")
        (self.folder / "password").chmod(0o600)
        text = 'var = "var"\n[pool]\nkey = "pool"\nbin = "201040000013"\nname = "Pool"\n'
        for n, name in enumerate(self.worlds):
            text += CHAIN.format(
                name=name, asset=f"C{n}", url=self.urls[name], address=address_of(OURS[n], REGTEST), further=self.further * (name == BROKEN)
            )
        config.write_text(text)
        return App(load_settings(config, {}), lambda: int(time.time()))

    def run(self, app: App, judge: Callable[[], None]) -> None:
        """Follow all three until the judge is done."""

        def judging(stop: threading.Event) -> None:
            judge()
            stop.set()

        run_loops(
            {name: follow_chain(app, name, self.metrics, first_pause_s=0.02) for name in self.worlds} | {"judge": judging},
            stop := threading.Event(),
        )
        assert stop.is_set()

    def is_at_tip(self, name: str) -> bool:
        height = self.metrics.registry.get_sample_value("esep_chain_height", {"pool": "pool", "chain": name})
        return height == self.worlds[name].tip.height

    def troubles(self) -> list[str]:
        return [words for words in self.metrics.health.troubles() if words.startswith(f"pool {BROKEN}: ")]

    def await_good(self) -> None:
        """The two good chains grow, and are followed."""
        for _ in range(2):
            for name in GOOD:
                self.worlds[name].extend(2)
            until(lambda: all(self.is_at_tip(name) for name in GOOD))


def until(holds: Callable[[], object]) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.02)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    configure_logs()  # to stderr: stdout is the commands'
    with ExitStack() as held:
        yield Three(tmp_path, held)


def of_method(name: str, **fields: object) -> Alter:
    return lambda method, reply: with_result(reply, **fields) if method == name else reply


def other_genesis(method: str, reply: Reply) -> Reply:
    return {**reply, "result": "00" * 32} if method == "getblockhash" else reply


BY_ANSWER: dict[str, tuple[Behaviour, str]] = {
    "forbidden": (always(answer(b"", "403 Forbidden")), "rpcwhitelist"),
    "wrong password": (always(answer(b"", "401 Unauthorized")), "does not accept the user and password"),
    "no JSON": (always(answer(b"<html>")), "is rpc_url the node's RPC port"),
}
BY_FIELD: dict[str, tuple[Alter, str]] = {
    "another network": (of_method("getblockchaininfo", chain="main"), "is on chain 'main'"),
    "another genesis": (other_genesis, "is on another network"),
    "pruned": (of_method("getblockchaininfo", pruned=True, pruneheight=4), "has pruned its blocks below 4"),
}


@pytest.mark.parametrize("way", [*BY_ANSWER, *BY_FIELD])
def test_a_node_in_trouble_is_tried_again_and_the_others_are_followed(three: Three, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    node = three.nodes[BROKEN]
    if way in BY_ANSWER:
        three.behaves[BROKEN], says = BY_ANSWER[way]
    else:
        node.alter, says = BY_FIELD[way]

    def judge() -> None:
        until(three.troubles)
        three.await_good()
        (trouble,) = three.troubles()
        assert says in trouble
        with urllib.request.urlopen(f"http://{three.probes}/healthz", timeout=10) as probe:
            assert probe.read().decode() == f"ok\n{trouble}\n", "alive, and says it: a restart would stop the others"
        assert esep("status", "--json", "--config", three.folder / "esep.toml") == 0
        told: dict[str, Any] = {chain["chain"]: chain["trouble"] for chain in json.loads(capsys.readouterr().out)["chains"]}
        assert says in told[BROKEN]["words"] and [told[name] for name in GOOD] == [None, None]
        assert esep("status", "--config", three.folder / "esep.toml") == 0
        assert "trouble for 0 min" in capsys.readouterr().out
        three.behaves[BROKEN], node.alter = node.behave, lambda _, reply: reply
        until(lambda: three.is_at_tip(BROKEN))
        assert not three.troubles()

    with three.app() as app:
        three.run(app, judge)
        assert all((note := read_note(app.settings.var, name)) and note.trouble is None for name in three.worlds)


def of_testnet(app: App) -> None:
    watch = Watch(
        id=f"{BROKEN}:0", seq=0, chain=BROKEN, network="testnet", start_height=1, wallets=[WatchedWallet(name="pool", addresses=["a"])]
    )
    with app.log.writer("chain", f"pool/{BROKEN}") as writer:
        writer.append([encode(watch)])


def unreadable(app: App) -> None:
    with app.log.writer("chain", f"pool/{BROKEN}") as writer:
        writer.append([NewEvent(f"{BROKEN}:0", b'{"kind": "connect"}')])


@pytest.mark.parametrize(
    ("further", "breaks", "says"),
    [
        ('rest = "on"\n', None, "does not answer by REST"),
        ('strategy = "scanblocks-rest"\n', None, "there is no block filter index"),
        ("", of_testnet, "is of network testnet, not regtest"),
        ("", unreadable, "can't be continued"),
    ],
    ids=["not offered", "a strategy not offered", "settings that the log contradicts", "a history that can't be read"],
)
def test_settings_or_a_history_that_one_chain_alone_has(
    three: Three, further: str, breaks: Callable[[App], None] | None, says: str
) -> None:
    three.further = further
    three.nodes[BROKEN].has_rest = False

    def judge() -> None:
        until(three.troubles)
        three.await_good()
        assert says in three.troubles()[0]

    with three.app() as app:
        if breaks is not None:
            breaks(app)
        three.run(app, judge)
        note = read_note(app.settings.var, BROKEN)
        assert note is not None and note.trouble is not None and says in note.trouble


def test_a_defect_met_on_one_chain_is_told_and_does_not_end_the_others(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = BitcoinConnector._follow

    def defective(self: BitcoinConnector, *args: Any) -> Any:
        if self.key == f"pool/{BROKEN}":
            raise ZeroDivisionError("a defect")
        return follow(self, *args)

    monkeypatch.setattr(BitcoinConnector, "_follow", defective)

    def judge() -> None:
        until(three.troubles)
        three.await_good()
        assert "a defect of the program, ZeroDivisionError: a defect" in three.troubles()[0]
        monkeypatch.undo()
        until(lambda: three.is_at_tip(BROKEN))

    with three.app() as app:
        three.run(app, judge)


def test_a_second_writer_ends_the_process(three: Three) -> None:
    def takes_over(stop: threading.Event) -> None:
        until(lambda: three.is_at_tip(BROKEN))
        app.log.writer("chain", f"pool/{BROKEN}").close()
        three.worlds[BROKEN].extend(1)
        stop.wait(PATIENCE_S)

    with three.app() as app, pytest.raises(FencedError, match="only one may run"):
        loops = {name: follow_chain(app, name, three.metrics, first_pause_s=0.02) for name in three.worlds}
        run_loops(loops | {"second writer": takes_over}, threading.Event())
