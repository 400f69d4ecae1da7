"""What a month's manifest says of the keys that it was frozen under (ADR 14). Pure.

Enters: the state of each of the pool's streams at the month's positions. Leaves: the manifest's section `keys`: the root key, and of each stream how far it is signed, by its running
digest, and which keys were granted what. Absent where no root key is in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.log.authenticity import StreamState


def describe_keys(streams: Sequence[StreamState]) -> dict[str, Any] | None:
    """The section, as JSON has it; None where no root key is in force."""
    if not streams:
        return None
    return {
        "root": streams[0].root,
        "streams": {
            f"{state.topic}/{state.key}": {
                "is_in_force": state.is_in_force,
                "appends": state.number,
                "digest": state.digest.hex(),
                "before_keys": state.before_keys,
                "refused": state.refused,
                "keys": [
                    {"key": key, "owner": grant.owner, "roles": sorted(grant.roles), "since": grant.since, "until": grant.until}
                    for key, grant in sorted(state.grants.items())
                ],
            }
            for state in streams
        },
    }
