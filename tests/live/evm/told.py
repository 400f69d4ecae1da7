"""The log's chain events against the chronicle: every block of the main chain, every transaction, every balance.

Enters: events as they were appended, the chronicle. Leaves: a sentence for each thing that is told otherwise than it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.log.events import AnyEvent
from pipeline.log.events.chain import (
    Balances,
    Connect,
    Disconnect,
    Stretch,
    Transaction,
)

from .chronicle import Chronicle, Mined, Sent
from .expected import plain

Amounts = Counter[tuple[str | None, str]]


def faults(events: Sequence[AnyEvent], chronicle: Chronicle, pool: Sequence[str] = ()) -> list[str]:
    """What the log tells otherwise than the script has it. `pool` are the addresses watched, when those are not all."""
    pool = pool or chronicle.pool
    main: list[tuple[str, Connect | None]] = []
    found: list[str] = []
    for event in events:
        if isinstance(event, Connect):
            main.append((event.hash, event))
        elif isinstance(event, Stretch):
            main += [(block_hash, None) for block_hash in event.hash]
        elif isinstance(event, Disconnect):
            if main.pop()[0] != event.hash:
                found.append(f"disconnects {event.hash}, which is not the tip")
        elif isinstance(event, Balances):
            found += _balance_faults(event, chronicle, pool)
    mined = [one for one in chronicle.chain if plain(one.block.hash) in {block_hash for block_hash, _ in main}]
    if [plain(one.block.hash) for one in mined] != [block_hash for block_hash, _ in main]:
        found.append("the main chain's blocks are not the script's")
    for one, (_, connected) in zip(mined, main, strict=False):
        found += _block_faults(one, connected, chronicle.native, pool)
    return found


def _balance_faults(event: Balances, chronicle: Chronicle, pool: Sequence[str]) -> Iterator[str]:
    """Every pool address in every asset, as the script has it after that block, which may have been undone since."""
    holds = next(mined.holds for mined in [*chronicle.chain, *chronicle.undone] if plain(mined.block.hash) == event.hash)
    rows = event.rows
    told = {
        (address, asset): None if value is None else int(value)
        for address, asset, value in zip(rows.address, rows.asset, rows.value, strict=True)
    }
    assets = [chronicle.native, *chronicle.tokens]
    wanted = {(address, asset): holds.get((address, asset), 0) for address in pool for asset in assets}
    if told != wanted:
        yield f"balances at {event.height}: told {told}, the script has {wanted}"


def _block_faults(mined: Mined, event: Connect | None, native: str, pool: Sequence[str]) -> Iterator[str]:
    told = {transaction.txid: transaction for transaction in event.transactions} if event else {}
    for position, sent in enumerate(mined.sent):
        one = _seen_by(sent, pool)
        transaction = told.pop(plain(one.hash), None)
        if transaction is None:
            if _concerns(one, pool):
                yield f"block {mined.block.number}: {one.hash} is not told"
        elif not _concerns(one, pool):
            yield f"block {mined.block.number}: {one.hash} is told, and is nobody's business"
        else:
            yield from _transaction_faults(one, position, transaction, native, pool)
    if mined.rewards:
        coinbase = told.pop(plain(mined.block.hash), None)
        wanted: Amounts = Counter()
        for reward in mined.rewards:
            wanted[reward.address, native] += reward.amount
        if coinbase is None or not coinbase.is_coinbase or _outputs(coinbase) != wanted or coinbase.inputs:
            yield f"block {mined.block.number}: what the block credits to the pool is told as {coinbase}"
    for txid in told:
        yield f"block {mined.block.number}: tells {txid}, which the script does not know"


def _shown(claimed: int) -> int:
    """What a liar's claim is told as: no amount has more than 38 digits."""
    return min(claimed, 10**38 - 1)


def _seen_by(one: Sent, pool: Sequence[str]) -> Sent:
    """What the transaction is to a pool of these addresses: where it spends nothing of theirs, what it pays them is a deposit."""
    spends = [move for move in one.spends if move.address in pool]
    pays = [move for move in one.pays if spends or move.address in pool]
    return replace(one, spends=spends, pays=pays, deposits=[move for move in one.deposits if move.address in pool])


def _concerns(one: Sent, pool: Sequence[str]) -> bool:
    if one.is_failing:
        return one.sender in pool or any(address in pool for address in one.authorizes)
    moves = one.pays or one.spends or one.deposits or one.forged or one.gifts
    return one.sender in pool or bool(moves) or any(address in pool for address in one.authorizes)


def _transaction_faults(one: Sent, position: int, transaction: Transaction, native: str, pool: Sequence[str]) -> Iterator[str]:
    fee = one.fee if one.sender in pool else 0
    spent: Amounts = Counter()
    paid: list[tuple[str | None, str, int]] = []
    if not one.is_failing:
        for move in one.spends:
            spent[move.address, move.asset] += move.amount
        paid += [(move.address, move.asset, move.amount) for move in [*one.pays, *one.deposits]]
        paid += [(move.address, move.asset, _shown(move.amount)) for move in [*one.forged, *one.gifts]]
    if fee:
        spent[one.sender, native] += fee
    told: Amounts = Counter()
    for entry in transaction.inputs:
        told[entry.address, entry.asset] += int(entry.value)
    if not one.forged and told != spent:  # of a forged payment the script does not say whom it names
        yield f"{one.hash} spends {spent}, told {told}"
    outputs = [(output.address, output.asset, int(output.value)) for output in transaction.outputs]
    if Counter(outputs) != Counter(paid):
        yield f"{one.hash} pays {paid}, told {outputs}"
    if (int(transaction.fee), transaction.fee_asset, transaction.position) != (fee, native, position):
        yield f"{one.hash}: fee {fee} at position {position}, told {transaction.fee} {transaction.fee_asset} at {transaction.position}"
    if transaction.raw != plain(one.raw):
        yield f"{one.hash}: the bytes told are not those that were signed"
    wallet = any(entry.address == one.sender and entry.wallet == transaction.fee_wallet for entry in transaction.inputs)
    if bool(fee) != wallet:
        yield f"{one.hash}: the fee is borne by {transaction.fee_wallet}"


def _outputs(transaction: Transaction) -> Amounts:
    amounts: Amounts = Counter()
    for output in transaction.outputs:
        amounts[output.address, output.asset] += int(output.value)
    return amounts
