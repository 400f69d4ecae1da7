"""Stand-ins for outside systems, for trials on one machine: the recorded node of the demo, the filing service of `esep sandbox`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from connectors.standins.bitcoin_node import ReplayNode
from connectors.standins.filing_service import FAULTS, Faults, ReceivedSubmissions, SandboxServer
from pipeline.model.errors import SettingsError
from pipeline.model.message import message, text_of

__all__ = ["FAULTS", "ReplayNode", "SandboxServer", "filing_sandbox"]


def filing_sandbox(
    now: Callable[[], int], *, port: int, seed: int | None, share: float, kinds: Sequence[str], keep: Path | None
) -> SandboxServer:
    """A filing service on 127.0.0.1; with a `seed` it misbehaves in `share` of the calls (0 to 1); without one (None) never.

    `kinds`: which faults; all if empty. `keep`: a file of JSON lines that records what it received. Raises SettingsError for an unknown fault.
    """
    try:
        faults = Faults(seed, share=share, kinds=tuple(kinds or FAULTS))
    except ValueError as error:
        raise SettingsError([message("--fault: {error}", error=text_of(error))], source="esep sandbox") from None
    return SandboxServer(ReceivedSubmissions(keep), faults, now, port=port)
