"""Approvals of a frozen version by passkeys, checked with nothing but the bundle (ADR 24).

Enters: a bundle with `approvals.jsonl`: what the log says of the people who approved (their roles, their passkeys, what was revoked), then their approvals, each an event of the log as it
stands there. Leaves: faults, what is proved, what is on the signer's word. Proved: that a passkey which was that person's, and not revoked, answered a challenge that is the digest of
this approval of this report, for its own host, with its holder verified. On the signer's word: that the passkeys are those people's, and that no revocation is left out.
"""

from __future__ import annotations

from pipeline.log.events import decode
from pipeline.log.events.months import Approved
from pipeline.log.events.users import UserEvent
from pipeline.model.message import counted, message
from pipeline.signing.users import Users

from .finding import Finding
from .opened import OpenBundle
from .shapes import APPROVALS, read_plain

MAX_BYTES = 16 << 20


def check_approvals(bundle: OpenBundle) -> Finding:
    """Approvals by passkey, where the bundle has any; there is nothing to check where none joined it."""
    if not (bundle.folder / APPROVALS).exists():
        return Finding([], "")
    manifest, users = bundle.manifest, Users()
    faults: list[str] = []
    approved: dict[str, Approved] = {}
    for number, line in enumerate(read_plain(bundle.folder / APPROVALS, MAX_BYTES).splitlines(), start=1):
        place = f"{APPROVALS}:{number}"
        try:
            event = decode(line)
        except (ValueError, RecursionError) as error:
            faults.append(message("{place}: {error}", place=place, error=error))
            continue
        if isinstance(event, UserEvent):
            users.apply(event)
            continue
        if not isinstance(event, Approved):
            faults.append(message("{place}: is no approval, and says nothing of a user", place=place))
            continue
        fault = _fault(event, manifest, users)
        if fault:
            faults.append(message("{place}: {fault}", place=place, fault=fault))
        approved[event.by] = event
    proved = counted("{count} person approved this report by passkey: {people}", "{count} people approved this report by passkey: {people}", len(approved), people=", ".join(sorted(approved)))  # fmt: skip
    words = (message("that these passkeys are those people's, and that no revocation is left out"),) if approved else ()
    return Finding(faults, proved if approved else "", on_word=words)


def _fault(event: Approved, manifest: dict[str, object], users: Users) -> str:
    """Why an approval does not approve this report by a passkey; "" when it does."""
    told = (manifest["month"], manifest["version"], manifest["digest"])
    if (event.month, event.version, event.digest) != told:
        return message("it approves {month} v{version} with the digest {digest}, not this report", month=event.month, version=event.version, digest=event.digest)  # fmt: skip
    if event.assertion is None:
        return message("it carries no assertion of a passkey")
    return users.approval_fault(event)
