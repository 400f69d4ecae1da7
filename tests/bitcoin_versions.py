"""What Bitcoin Core answers in other words from version to version: as the replay node words it (as 31.99 does), and as an older one does.

Enters: a version, the answer of a node of that version, the replay node's. Leaves: whether they say the same; or the replay node's answer in the older words. What was added or renamed stands in tables here, with the version
that brought it, from Bitcoin Core's history (pull requests by number); anything else must be equal, numbers to their last digit.
"""

from __future__ import annotations

import json
import re
from typing import Any

REPLAYED = 31
"""The version whose words the replay node speaks."""
ADDED = {
    "completed": 26,  # of scanblocks: 26780
    "target": 29,  # of blocks, headers and getblockchaininfo: 31583
    "coinbase_tx": 31,  # of getblock: 34512
}
"""Fields, by the version that brought them."""
NAMED_ANCHORS = 28
"""Before it pay-to-anchor is a witness program like any other: 30352."""
SPEAKS_JSON_RPC_2 = 28
"""Before it `jsonrpc` in a request is passed over, and an absent id is answered by null: 27101."""
LISTS_WARNINGS = 28
"""Before it the warnings are one text: 29845."""
REFUSES_NEGATIVE_TIMES = 29
"""Before it `waitfornewblock -1` waits for no time: 30409."""
INFERS_VALID_KEYS = 26
"""Before it a descriptor was inferred of a key that none takes (a hybrid one): 28602."""
HAS_SPENT_OUTPUTS = 30
"""Since it there is `/rest/spenttxouts`: 32540."""
HYBRID = ("4106", "4107")


def is_same(version: int, theirs: str, ours: str) -> bool:
    """Whether a node of this version says what the replay node says."""
    if theirs == ours:
        return True
    if version >= REPLAYED and '"warnings"' not in theirs:
        return False
    try:
        told, replayed = (json.loads(text, parse_float=str) for text in (theirs, ours))
    except ValueError:
        return False
    if version < SPEAKS_JSON_RPC_2 and isinstance(replayed, dict) and {"result", "error"} <= set(replayed):
        replayed.setdefault("id", None)
    return bool(_compared(version, told) == as_before(version, _compared(version, replayed)))


def as_before(version: int, answer: Any) -> Any:
    """An answer of the replay node's as that version words it."""
    if isinstance(answer, list):
        return [as_before(version, each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {key: as_before(version, value) for key, value in answer.items() if version >= ADDED.get(key, 0)}
    if version < NAMED_ANCHORS and kept.get("type") == "anchor":
        kept["type"] = "witness_unknown"
    if version < ADDED["target"] and "chainwork" in kept and "pruned" in kept:
        kept.pop("bits", None)  # getblockchaininfo: headers always had them
    return kept


def worded(version: int, answer: str) -> str:
    """The replay node's answer as that version words it, numbers as they stand."""
    marked = as_before(version, json.loads(answer, parse_float=lambda number: f"number:{number}"))
    for each in marked if isinstance(marked, list) else [marked]:
        result = each.get("result") if isinstance(each, dict) else None
        if version < LISTS_WARNINGS and isinstance(result, dict) and "warnings" in result:
            result["warnings"] = " ".join(result["warnings"])
        if isinstance(result, dict) and "subversion" in result:
            result |= {"version": version * 10_000, "subversion": f"/Satoshi:{version}.0.0/"}
    return re.sub(r'"number:([^"]*)"', r"\1", json.dumps(marked, separators=(",", ":"))) + "\n"


def _compared(version: int, answer: Any) -> Any:
    """What is compared of either side's answer: not its warnings, which say of a build whether it is a release."""
    if isinstance(answer, list):
        return [_compared(version, each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    left_out = {"warnings"}
    if version < INFERS_VALID_KEYS and str(answer.get("hex", "")).startswith(HYBRID):
        left_out.add("desc")
    return {key: _compared(version, value) for key, value in answer.items() if key not in left_out}
