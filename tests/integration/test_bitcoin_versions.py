"""Older versions of Bitcoin Core at the seam: the recorded node in their words (`tests/bitcoin_versions.py`) gives the same events, by every way that they offer.

Fields that came later are absent, warnings are a text, an anchor has no name, and there is no `/rest/spenttxouts`. The connector asks by JSON-RPC 1.0, which all of them answer alike.
That 25.0, 27.0 and 28.1 speak so was seen on their daemons (`tests/live/test_replay_against_bitcoind.py`).
"""

from __future__ import annotations

import pytest

from connectors.bitcoin.strategies import NAMES
from connectors.standins.bitcoin_node import ReplayNode
from connectors.standins.log_memory import MemoryLog
from connectors.transport.server import Request, Response

from ..bitcoin_versions import HAS_SPENT_OUTPUTS, worded
from .scripted_node import unwired
from .test_bitcoin_follow import EXAMPLE, connector, step_until_idle

EVENTS = 900
"""Of the recorded sequence: a reorganisation and payouts lie among them."""


class OlderNode(ReplayNode):
    """The recorded node as a version of Bitcoin Core words it."""

    version = 31

    def _respond(self, request: Request) -> Response:
        if request.target.startswith("/rest/spenttxouts") and self.version < HAS_SPENT_OUTPUTS:
            return Response(404, b"")
        assert b'"jsonrpc":"2.0"' not in request.body, "which is passed over before 28"
        response = super()._respond(request)
        if "json" not in response.content_type:
            return response
        return response._replace(body=worded(self.version, response.body.decode()).encode())


def told(version: int, strategy: str) -> list[tuple[str, bytes]]:
    """What is written of that version, asked without HTTP: its words are the subject."""
    log = MemoryLog()
    with OlderNode(EXAMPLE, events_per_poll=0) as node:
        node.version = version
        node.play(EVENTS)
        with connector(node, log, connection=unwired(node), strategy=strategy, blocks_a_step=1000) as following:
            step_until_idle(following)
            report = following.describe().nodes[0]
    assert report.version == f"/Satoshi:{version}.0.0/ ({version}0000)"
    return [(record.id, record.value) for record in log.read({})]


@pytest.fixture(scope="module")
def as_recorded() -> list[tuple[str, bytes]]:
    return told(31, "rest")


@pytest.mark.parametrize("strategy", [name for name in NAMES if name not in ("rest", "scanblocks-rest")])
def test_25_is_read_by_every_way_that_it_offers(strategy: str, as_recorded: list[tuple[str, bytes]]) -> None:
    assert told(25, strategy) == as_recorded


@pytest.mark.parametrize("version", range(26, 31))
def test_each_later_version_tells_the_same(version: int, as_recorded: list[tuple[str, bytes]]) -> None:
    assert told(version, "auto") == as_recorded
    assert any(b'"transactions":[{' in value for _, value in as_recorded)
