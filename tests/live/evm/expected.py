"""What the script's month must come out as, by the rules, in plain whole numbers: outflows, balances, transfers, the form's rows.

Enters: the chronicle and the books. Leaves: tables of texts in the bundle's columns. Nothing of the program is used: settlement is a
loop over two queues, days are read off a clock in Almaty.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .books import LICENSED, Allocation, Books, Payment, printed
from .cast import Stage
from .chronicle import ALMATY, Chronicle, Mined, Sent

MONTH = "2025-10"
Row = dict[str, str]


def day_of(at: int) -> str:
    """The day in Almaty of an instant."""
    return datetime.fromtimestamp(at, UTC).astimezone(ALMATY).date().isoformat()


def is_of_month(at: int) -> bool:
    return day_of(at).startswith(MONTH)


def plain(tx_hash: str) -> str:
    return tx_hash.removeprefix("0x")


# --- outflows and balances -----------------------------------------------------------------------------------------


def outflows(chronicle: Chronicle) -> Counter[tuple[str, str, str, int, str, int, str]]:
    """Everything that left the pool in the month: txid, address, asset, amount, class, height, day; each with how often."""
    rows: Counter[tuple[str, str, str, int, str, int, str]] = Counter()
    for mined in chronicle.chain:
        if not is_of_month(mined.block.at):
            continue
        where = (mined.block.number, day_of(mined.block.at))
        for one in mined.sent:
            if not one.is_failing:
                rows.update((plain(one.hash), move.address, move.asset, move.amount, move.outflow_class, *where) for move in one.pays)
            if one.sender in chronicle.pool or (one.spends and not one.is_failing):
                fee = one.fee if one.sender in chronicle.pool else 0  # whoever sends it bears the fee
                rows[plain(one.hash), "", chronicle.native, fee, "fee", *where] += 1
        rows.update((plain(mined.block.hash), reward.address, reward.asset, reward.amount, "reward", *where) for reward in mined.rewards)
    return rows


@dataclass
class Balance:
    """One wallet and asset over the month (rule 3.4)."""

    opening: int = 0
    into: int = 0
    out: int = 0
    fee: int = 0
    closing: int = 0


def balances(stage: Stage) -> dict[tuple[str, str], Balance]:
    """By wallet and asset, for what was held or moved. The script's own sums must close."""
    pen = stage.chronicle
    wallet_of = {address: name for name, addresses in stage.wallets.items() for address in addresses}
    before = [mined for mined in pen.chain if day_of(mined.block.at) < f"{MONTH}-01"]
    during = [mined for mined in pen.chain if is_of_month(mined.block.at)]
    found: dict[tuple[str, str], Balance] = defaultdict(Balance)
    for moment, name in ((before[-1], "opening"), (during[-1], "closing")):
        for (address, asset), amount in moment.holds.items():
            row = found[wallet_of[address], asset]
            setattr(row, name, getattr(row, name) + amount)
    for mined in during:
        _add_moves(found, mined, wallet_of, pen.native)
    for key, row in found.items():
        assert row.opening + row.into - row.out - row.fee == row.closing, f"the script's own books do not close: {key} {row}"
    return dict(found)


def _add_moves(found: dict[tuple[str, str], Balance], mined: Mined, wallet_of: dict[str, str], native: str) -> None:
    for reward in mined.rewards:
        found[wallet_of[reward.address], native].into += reward.amount
    for one in mined.sent:
        if one.sender in wallet_of:
            found[wallet_of[one.sender], native].fee += one.fee
        if one.is_failing:
            continue
        for move in one.spends:
            found[wallet_of[move.address], move.asset].out += move.amount
        for move in [*one.pays, *one.deposits]:
            if move.address in wallet_of:
                found[wallet_of[move.address], move.asset].into += move.amount


# --- transfers and the report --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Credit:
    """A payment of the ledger, with what paid it on the main chain."""

    payment: Payment
    sent: Sent
    at: int


def credits_of(books: Books, chronicle: Chronicle) -> list[Credit]:
    """Every payment as the main chain has it, in the order in which it settles."""
    paid_at = {one.hash: mined.block.at for mined in chronicle.chain for one in mined.sent}
    found = []
    for payment in books.payments:
        sent = payment.sent if payment.sent.hash in paid_at else payment.mined_as
        assert sent is not None and sent.hash in paid_at, f"nothing on the main chain pays {payment.payment_id}"
        found.append(Credit(payment, sent, paid_at[sent.hash]))
    return sorted(found, key=lambda c: (c.at, plain(c.sent.hash), c.payment.address, c.payment.payment_id))


def transfers(books: Books, chronicle: Chronicle) -> set[tuple[str, str, str, str, int, int, str, str]]:
    """Txid, address, miner, asset, amount, credited, explanation, day (rules 5.1 to 5.5): here every difference is 0."""
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    about: dict[tuple[str, str, str], Credit] = {}
    for credit in credits_of(books, chronicle):
        key = (plain(credit.sent.hash), credit.payment.address, credit.payment.asset)
        sums[key] += credit.payment.amount
        about[key] = credit
    return {
        (
            txid,
            address,
            about[key].payment.miner.miner_id,
            asset,
            amount,
            amount,
            "exact" if about[key].sent is about[key].payment.sent else "replaced+exact",
            day_of(about[key].at),
        )
        for key, amount in sums.items()
        for txid, address, asset in [key]
    }


@dataclass
class Line:
    """A row of the form before it is printed: an allocation and what of it travelled with which transfer."""

    allocation: Allocation
    credit: Credit | None
    amount: int


def report(books: Books, chronicle: Chronicle) -> list[Row]:
    """The month's rows in order, as the form prints them (rules 6 and 7)."""
    end = f"{MONTH}-99"
    seen = [credit for credit in credits_of(books, chronicle) if day_of(credit.at) < end]
    allocations = sorted((a for a in books.allocations if day_of(a.allocated_at) < end), key=lambda a: (a.allocated_at, a.allocation_id))
    lines = [line for line in _settled(allocations, seen) if _belongs(line)]
    lines.sort(key=_place)
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for credit in seen:
        sums[credit.sent.hash, credit.payment.address, credit.payment.asset] += credit.payment.amount
    rows, charged = [], set()
    for number, line in enumerate(lines, 1):
        is_charged = is_of_month(line.allocation.allocated_at) and line.allocation.allocation_id not in charged
        charged.add(line.allocation.allocation_id)
        rows.append(_printed(number, line, sums, is_charged=is_charged))
    return rows


def _settled(allocations: list[Allocation], credits: list[Credit]) -> Iterator[Line]:
    """First in, first out for each miner and asset; portions of one allocation and transfer are one line (rules 6.1, 7.3)."""
    waiting: dict[tuple[int, str], deque[int]] = defaultdict(deque)
    left = {}
    for place, allocation in enumerate(allocations):
        left[place] = allocation.amount
        waiting[allocation.miner.number, allocation.asset].append(place)
    lines: dict[tuple[int, str, str], Line] = {}
    for credit in credits:
        amount, queue = credit.payment.amount, waiting[credit.payment.miner.number, credit.payment.asset]
        while amount:
            assert queue, f"{credit.payment.payment_id} pays more than was owed"
            place = queue[0]
            portion = min(amount, left[place])
            if portion:
                key = (place, credit.sent.hash, credit.payment.address)
                lines.setdefault(key, Line(allocations[place], credit, 0)).amount += portion
            amount, left[place] = amount - portion, left[place] - portion
            if not left[place]:
                queue.popleft()
    yield from lines.values()
    for place, allocation in enumerate(allocations):
        if left[place] or not allocation.amount:
            yield Line(allocation, None, left[place])


def _belongs(line: Line) -> bool:
    """Rule 7.2."""
    return is_of_month(line.allocation.allocated_at) or (line.credit is not None and is_of_month(line.credit.at))


def _place(line: Line) -> tuple[str, str, str, int, str, str]:
    """Rule 7.5; the unsettled come last."""
    a, c = line.allocation, line.credit
    where = (c.at, plain(c.sent.hash), c.payment.address) if c else (2**62, "", "")
    return (a.miner.miner_id, day_of(a.allocated_at), a.allocation_id, *where)


def _printed(number: int, line: Line, sums: dict[tuple[str, str, str], int], *, is_charged: bool) -> Row:
    a, c = line.allocation, line.credit
    commission = a.commission if is_charged else None
    in_kzt = a.commission_kzt if is_charged else None
    return {
        "n": str(number),
        "miner_id": a.miner.miner_id,
        "miner_name": a.miner.name,
        "licence_number": a.miner.licence,
        "licence_issue_date": LICENSED,
        "wallet": c.payment.address if c else a.miner.address,
        "allocation_date": day_of(a.allocated_at),
        "asset": a.asset,
        "amount": printed(line.amount, a.asset),
        "transfer_amount": printed(sums[c.sent.hash, c.payment.address, a.asset], a.asset) if c else "",
        "transfer_date": day_of(c.at) if c else "",
        "commission_asset": commission[0] if commission else "",
        "commission_asset_amount": printed(commission[1], commission[0]) if commission else "",
        "commission_currency": "KZT" if in_kzt else "",
        "commission_currency_amount": in_kzt or "",
    }
