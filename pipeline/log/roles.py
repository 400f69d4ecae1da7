"""Which roles may write which type of event, and in whose name: a table, and the one question that is asked of it (ADR 14). Pure.

Enters: an event's type, the name in its `by`, the owner and roles of the key that signed it. Leaves: why the key may not write it, or "".
All types of `chain`, and of `ledger` and `registry`, have the same roles each: so there the topic alone decides (a test holds the table to it).
"""

from __future__ import annotations

from collections.abc import Collection

from pipeline.model.message import joined, message

from .events.chain import (
    Accounts,
    Balances,
    Connect,
    Disagreed,
    Disconnect,
    Doubt,
    NotTraced,
    Retold,
    Searched,
    Sought,
    Stretch,
    Watch,
    Witnessed,
)
from .events.keys import KeyEvent, KeyGranted, KeyRevoked, KeysRoot, Role
from .events.ledger import Allocations, Complete, Openings, PayerPayments, Payments
from .events.months import (
    Answered,
    Approved,
    AsFrozen,
    Documented,
    Drafted,
    Frozen,
    Labelled,
    Notified,
    Sending,
    Signed,
    Stamped,
    Submitting,
    Waived,
    WalletSigned,
)
from .events.parts import Event
from .events.registry import Registry
from .events.sources import SourceComplete, SourceConfigured, SourceDecided, SourceItems, SourcePolled, SourceRows
from .events.users import PasskeyAdded, PasskeyRevoked, UserRevoked, UserSet
from .records import Topic

ROLES: tuple[Role, ...] = ("watch", "capture", "import", "decide", "file")
MACHINE = "schedule"
"""The name in `by` of what the program does by itself."""

ROLES_OF: dict[type[Event], tuple[Role, ...]] = {
    Watch: ("watch",), Connect: ("watch",), Stretch: ("watch",), Disconnect: ("watch",), Balances: ("watch",), Doubt: ("watch",),
    Witnessed: ("watch",), Disagreed: ("watch",), Retold: ("watch",), Sought: ("watch",), NotTraced: ("watch",),
    Accounts: ("watch",), Searched: ("watch",),
    Allocations: ("capture", "import"), Payments: ("capture", "import"), PayerPayments: ("capture", "import"), Openings: ("capture", "import"), Complete: ("capture", "import"),
    SourceConfigured: ("capture", "import"), SourceRows: ("capture", "import"), SourcePolled: ("capture", "import"), SourceItems: ("capture", "import"), SourceComplete: ("capture", "import"),
    Registry: ("capture", "import"),
    Labelled: ("decide",), Waived: ("decide",), WalletSigned: ("decide",), Documented: ("decide",), SourceDecided: ("decide",), Approved: ("decide",), AsFrozen: ("decide",),
    UserSet: ("decide",), UserRevoked: ("decide",), PasskeyAdded: ("decide",), PasskeyRevoked: ("decide",),
    Frozen: ("decide", "file"), Drafted: ("decide", "file"), Submitting: ("decide", "file"), Answered: ("decide", "file"),
    Signed: ("file",), Sending: ("file",), Notified: ("file",), Stamped: ("file",),
    KeysRoot: (), KeyGranted: (), KeyRevoked: (),
}  # fmt: skip
"""The roles that may write each type of event; none of them writes keys, only the root key does."""

ROLES_IN: dict[Topic, tuple[Role, ...]] = {
    "chain": ("watch",), "ledger": ("capture", "import"), "registry": ("capture", "import"), "months": ("decide", "file"),
}  # fmt: skip
"""The roles that may write to each topic at all: where a new key is made known."""

_BY_TAG = {str(kind.__struct_config__.tag): roles for kind, roles in ROLES_OF.items()}
KEY_TAGS = frozenset(str(kind.__struct_config__.tag) for kind in KeyEvent.__args__)


def why_not(topic: str, tag: str, by: str, owner: str, roles: Collection[str]) -> str:
    """Why a key of `owner` with `roles` may not write an event of type `tag` in the name of `by`; "" when it may."""
    wanted = _BY_TAG.get(tag)
    if wanted is None:
        return message("no role writes events of type {tag}", tag=repr(tag))
    held = [role for role in wanted if role in roles]
    if not held:
        return message(
            "{tag} is written by {wanted}, and the key of {owner} is for {roles}",
            tag=repr(tag),
            wanted=joined(message(" or "), wanted) or message("the root key"),
            owner=repr(owner),
            roles=", ".join(sorted(roles)),
        )
    if topic != "months" or by == owner or ("file" in held and by == MACHINE):
        return ""
    return message("it is in the name of {by}, and signed by the key of {owner}", by=repr(by), owner=repr(owner))
