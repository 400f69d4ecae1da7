"""Values of source rows: instants, amounts, transaction ids, from the source's own text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from pipeline.model.issues import IssueCode
from pipeline.model.message import message

from .. import details
from ..fees import Fee, rate_on
from ..outputs import Item, Unreadable, day_of, shown
from ..projection import Lookup
from ..seen import SeenRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGIN_US, _END_US = -62_135_510_400_000_000, 4_102_444_800_000_000
"""The second day of the year 1, and the end of 2099: what a database has in place of no date is no instant of a ledger."""
_MOST_DIGITS = 100
_TXID = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")


def units(text: str | None, decimals: int) -> Fraction:
    """An amount in base units, exact. `text`: as the source prints it, also 1.2e-05. Raises Unreadable."""
    value = _exact(text)
    if value is None:
        raise Unreadable(message("{text} is no amount", text=repr(text)))
    return value * Fraction(10**decimals)


def _exact(text: str | None) -> Fraction | None:
    """A decimal number, also 1.2e-05; None for anything else, and for one with more than a hundred digits, which would be written out."""
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return None
    is_plain = value.is_finite() and "_" not in (text or "") and (text or "").isascii()
    return Fraction(value) if is_plain and -_MOST_DIGITS < value.adjusted() < _MOST_DIGITS and len(text or "") < 2 * _MOST_DIGITS else None


def instant(text: str | None) -> int:
    """An instant of the ledger in microseconds: as `moment`, up to the year 2099. Raises Unreadable."""
    found = moment(text)
    if not _BEGIN_US <= found < _END_US:
        raise Unreadable(message("{text} is no instant", text=repr(text)))
    return found


def moment(text: str | None) -> int:
    """An instant in microseconds: ISO 8601 or `YYYY-MM-DD HH:MM:SS[.ffffff]`; UTC where it names no zone. Raises Unreadable."""
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise Unreadable(message("{text} is no instant", text=repr(text))) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return (found - EPOCH) // timedelta(microseconds=1)


def unix_instant(text: str | None) -> int:
    """An instant of the ledger in microseconds, from Unix seconds, a fraction allowed; up to the year 2099, which milliseconds are beyond. Raises Unreadable."""
    seconds = _exact(text)
    if seconds is None or not _BEGIN_US <= (found := int(seconds * 1_000_000)) < _END_US:
        raise Unreadable(message("{text} is no Unix time", text=repr(text)))
    return found


def txid(text: str | None) -> str | None:
    """A transaction id as the ledger has it: 64 hexadecimal digits, lower case, no 0x; None for anything else."""
    text = (text or "").strip()
    return text.lower().removeprefix("0x") if _TXID.fullmatch(text) else None


def vanished(row: SeenRow, why: str, lookup: Lookup) -> Iterator[Item]:
    """An item for a row that is gone though its software deletes none, until a person accepts it, or refuses it (`is_refused`)."""
    name = f"gone:{row.table}:{row.row_id}"
    if row.is_gone and lookup.decision(name) is None:
        detail = details.GONE.format(table=row.table, row_id=row.row_id, why=why)
        yield Item(name, IssueCode.SOURCE_UNEXPLAINED, day_of(row.changed_at), detail)


def is_refused(row: SeenRow, lookup: Lookup) -> bool:
    """Whether a person refused a row that is gone: then it counts no more."""
    decided = lookup.decision(f"gone:{row.table}:{row.row_id}") if row.is_gone else None
    return decided is not None and decided.outcome == "refuse"


def outcome(name: str, lookup: Lookup, *, is_off_chain: bool = False) -> tuple[bool, str | None]:
    """Whether a person ended a payment's unknown outcome, and under which transaction id (`is_off_chain`: payer's reference) it was paid; None: it was not.

    What is no transaction id ends nothing where one is needed.
    """
    decided = lookup.decision(name)
    if decided is None or decided.outcome != "paid":
        return decided is not None, None
    found = decided.txid if is_off_chain else txid(decided.txid)
    return found is not None, found


def against_table(fees: Sequence[Fee], name: str, what: str, at: int, gross: Fraction, fee: Fraction, *, slack: int) -> Iterator[Item]:
    """An item where a commission that the source keeps is not what the dated table of fees says of its day, by more than `slack` base units; none without a table."""
    rate = rate_on(fees, day_of(at))
    if rate is not None and abs(fee - gross * rate) > slack:
        detail = details.COMMISSION_DIFFERS.format(what=what, fee=shown(fee), gross=shown(gross), rate=shown(rate * 100))
        yield Item(f"fee:{name}", IssueCode.SOURCE_DOES_NOT_RECONCILE, day_of(at), detail)
