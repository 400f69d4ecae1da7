"""MPOS (MySQL, MariaDB): tables `transactions`, `blocks`, `accounts`.

A credit is written when its block is found, gross, with the fee and the donation in rows of their own; it counts once the block has its confirmations, and not at all when
the block is an orphan (nothing in `transactions` says so). A debit is written before the coins are sent, and its transaction id filled in later: without one its outcome is
unknown. MPOS deletes no transaction.

What a payout cost (`TXFee`) is taken off the miner's balance and never sent. It is a set-off: a payment of an off-chain payer (rule 10), so that nothing stays owed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.model.issues import IssueCode
from pipeline.model.message import message

from .. import details
from ..fees import Fee
from ..outputs import Credit, Item, Output, Paid, Unreadable, day_of, shown
from ..projection import Lookup
from ..seen import SeenRow
from ..source import Content
from .values import against_table, instant, is_refused, outcome, txid, units, vanished

_GROSS = ("Credit", "Bonus")
_TAKEN = ("Fee", "Donation")
_GROSS_PPS, _TAKEN_PPS = "Credit_PPS", ("Fee_PPS", "Donation_PPS")
_DEBITS = ("Debit_AP", "Debit_MP")
_PAYOUT_FEE = "TXFee"
"""What a payout cost its miner: no allocation, and no part of what was sent. Written right after its debit."""


@dataclass(frozen=True)
class MposReading:
    """How MPOS's rows are read."""

    coin: str
    asset: str
    decimals: int
    confirmations: int
    """`$config['confirmations']`: from how many on a block's credits are confirmed."""
    by_username: bool = True
    """Whether the ledger's account is the account's name; else its number."""
    fee_payer: str | None = None
    """The off-chain payer in whose name payouts' costs are set off; None: each waits for a person."""
    fees: Sequence[Fee] = ()
    """What each credit's fee is compared with; empty: with nothing."""

    @property
    def prefix(self) -> str:
        return f"mpos:{self.coin}:"

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        if table != "transactions":
            return []
        kind, block = content.get("type") or "", content.get("block_id")
        if kind in (*_GROSS, *_TAKEN) and block:
            return [f"block:{block}:{content.get('account_id')}"]
        if kind == _GROSS_PPS or kind in _TAKEN_PPS:
            return [f"pps:{content.get('account_id')}"]
        return [f"row:{row_id}"]

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        kind, _, rest = group.partition(":")
        for row in rows:
            yield from vanished(row, "MPOS never deletes a transaction", lookup)
        rows = [row for row in rows if not is_refused(row, lookup)]
        match kind if rows else "":
            case "block":
                yield from self._of_block(rest.partition(":")[0], rows, lookup)
            case "pps":
                yield from self._pps(rows, lookup)
            case "row":
                yield from self._row(rows[0], lookup)

    def _of_block(self, block_id: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterator[Output]:
        """What one account has of one block."""
        gross = [row for row in rows if row.content.get("type") in _GROSS]
        if not gross:
            names = ", ".join(row.row_id for row in rows)
            at = instant(rows[0].content.get("timestamp"))
            yield Item(
                f"fees:{rows[0].row_id}",
                IssueCode.SOURCE_UNEXPLAINED,
                day_of(at),
                details.FEES_WITHOUT_CREDIT.format(names=names),
            )
            return
        first = next((row for row in gross if row.content.get("type") == "Credit"), gross[0])
        at = instant(first.content.get("timestamp"))
        total = sum((self._amount(row) for row in gross), Fraction(0))
        taken = sum((self._amount(row) for row in rows if row not in gross), Fraction(0))
        allocation_id, account = f"{self.prefix}{first.row_id}", self._account(first, lookup)
        block = lookup.row("blocks", block_id)
        confirmations = _whole(block.content.get("confirmations")) if block is not None else 0
        if confirmations < 0:
            cause = f"block {block.content.get('height') if block else block_id} became an orphan"
            yield Credit(allocation_id, account, self.asset, at, Fraction(0), cause=cause)
        elif confirmations < self.confirmations and (decided := lookup.decision(f"block:{first.row_id}")) is None:
            is_gone = block is not None and block.is_gone
            detail = (details.BLOCK_GONE if is_gone else details.IMMATURE_CONFIRMATIONS).format(
                row_id=first.row_id, amount=shown(total - taken), account=account, confirmations=confirmations, needed=self.confirmations
            )
            code, kind = (IssueCode.SOURCE_UNEXPLAINED, "block") if is_gone else (IssueCode.SOURCE_UNCERTAIN, "immature")
            yield Item(f"{kind}:{first.row_id}", code, day_of(at), detail)
        elif confirmations < self.confirmations and decided is not None and decided.outcome != "accept":
            yield Credit(allocation_id, account, self.asset, at, Fraction(0), cause=f"refused by {decided.by}: {decided.reason}")
        else:
            yield Credit(allocation_id, account, self.asset, at, total - taken, taken)
            yield from self._compared(first, account, at, total, [row for row in rows if row not in gross])

    def _compared(self, credit: SeenRow, account: str, at: int, gross: Fraction, taken: Sequence[SeenRow]) -> Iterator[Output]:
        """The fee beside the table's. An account that pays none has no such row; what a miner donates is the miner's own choice."""
        fees = [self._amount(row) for row in taken if row.content.get("type") in ("Fee", "Fee_PPS")]
        if fees:
            yield from against_table(self.fees, credit.row_id, f"{account} {credit.row_id}", at, gross, sum(fees, Fraction(0)), slack=2)

    def _pps(self, rows: Sequence[SeenRow], lookup: Lookup) -> Iterator[Output]:
        """Pay per share: no block; the fee and the donation follow their credit, by id, within one account."""
        pairs: list[tuple[SeenRow, list[SeenRow]]] = []
        for row in rows:
            if row.content.get("type") == _GROSS_PPS:
                pairs.append((row, []))
            elif pairs:
                pairs[-1][1].append(row)
            else:
                detail = details.FEE_BEFORE_CREDIT.format(row_id=row.row_id)
                yield Item(f"fees:{row.row_id}", IssueCode.SOURCE_UNEXPLAINED, day_of(row.changed_at), detail)
        for credit, fees in pairs:
            # The group is all that an account was ever credited: a value that can't be read holds back its own credit alone.
            try:
                at, gross = instant(credit.content.get("timestamp")), self._amount(credit)
                taken = sum((self._amount(fee) for fee in fees), Fraction(0))
            except Unreadable as error:
                detail = details.UNREADABLE_WITH_FEES.format(row_id=credit.row_id, error=error)
                yield Item(f"unreadable:transactions:{credit.row_id}", IssueCode.SOURCE_UNEXPLAINED, day_of(credit.changed_at), detail)
                continue
            account = self._account(credit, lookup)
            yield Credit(f"{self.prefix}{credit.row_id}", account, self.asset, at, gross - taken, taken)
            yield from self._compared(credit, account, at, gross, fees)

    def _row(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        kind, at, name = row.content.get("type") or "", instant(row.content.get("timestamp")), f"payment:{row.row_id}"
        if kind == _PAYOUT_FEE:
            yield from self._payout_fee(row, at, lookup)
            return
        if kind not in _DEBITS:
            account = self._account(row, lookup)
            decided = lookup.decision(f"row:{row.row_id}")
            if decided is None:
                detail = details.OF_NO_BLOCK.format(row_id=row.row_id, amount=shown(self._amount(row)), account=account, kind=repr(kind))
                yield Item(f"row:{row.row_id}", IssueCode.SOURCE_UNEXPLAINED, day_of(at), detail)
            elif decided.outcome == "accept":
                yield Credit(f"{self.prefix}{row.row_id}", account, self.asset, at, self._amount(row))
            return
        found = txid(row.content.get("txid"))
        if found is None:
            is_decided, found = outcome(name, lookup)
            if found is None:
                if not is_decided:
                    detail = details.PAYOUT_NOT_SENT.format(
                        row_id=row.row_id, amount=shown(self._amount(row)), address=row.content.get("coin_address")
                    )
                    yield Item(name, IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
                return
        address = row.content.get("coin_address") or ""
        yield Paid(f"{self.prefix}{row.row_id}", self._account(row, lookup), self.asset, address, self._amount(row), found, at)

    def _payout_fee(self, row: SeenRow, at: int, lookup: Lookup) -> Iterator[Output]:
        """A set-off, once the payout that it belongs to is known to have been paid."""
        amount = self._amount(row)
        before = lookup.row("transactions", str(int(row.row_id) - 1)) if row.row_id.isdecimal() else None
        if (
            before is not None
            and before.content.get("type") in _DEBITS
            and before.content.get("account_id") == row.content.get("account_id")
        ):
            _, paid = outcome(f"payment:{before.row_id}", lookup)
            if txid(before.content.get("txid")) is None and paid is None:
                return  # the payout waits, or was not paid: then nothing was taken off for it
        if not amount:
            return
        account, name = self._account(row, lookup), f"row:{row.row_id}"
        if self.fee_payer is not None:
            address = row.content.get("coin_address") or account
            yield Paid(f"{self.prefix}{row.row_id}", account, self.asset, address, amount, f"TXFee {row.row_id}", at, self.fee_payer)
        elif lookup.decision(name) is None:
            detail = details.PAYOUT_COST.format(row_id=row.row_id, account=account, amount=shown(amount))
            yield Item(name, IssueCode.SOURCE_UNEXPLAINED, day_of(at), detail)

    def _amount(self, row: SeenRow) -> Fraction:
        return units(row.content.get("amount"), self.decimals)

    def _account(self, row: SeenRow, lookup: Lookup) -> str:
        number = row.content.get("account_id") or ""
        if not self.by_username:
            return number
        account = lookup.row("accounts", number)
        name = account.content.get("username") if account is not None else None
        if not name:
            raise Unreadable(message("account {number} is not in `accounts`", number=number))
        return name


def _whole(text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise Unreadable(message("{text} is no number of confirmations", text=repr(text))) from None
