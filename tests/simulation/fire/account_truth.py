"""What is true of an account chain, by the world's own records: who moved what, who paid for gas, what everybody held.

Enters: a life. Leaves: facts as lists of dictionaries, which the oracle of `tests.reference` judges. Read from ADR 7, and shared with nothing
of the connector: a transaction is taken from what it was meant to do and whether it went through, a balance from the books after a block. Of what
the node said twice, or could not say any more, only the node can know: those rows are taken from the log once its node is found to have done so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline.model.months import almaty_date

from ...reference.accounts import checksummed
from ...reference.registry import Row, Tables
from .account_chain import GWEI, OWN, WALLETS, AccountBlock, Mined
from .truth import facts_of_office, shaped

if TYPE_CHECKING:
    from .account_life import AccountLife

CHAIN, COIN, UNIT_TOKEN = "ethereum", "ETH", "USDT"
MOST = 10**38 - 1
"""An unknown contract may claim more: it is told as this."""
DEAD_TOKEN = "USDC"
"""A token that the settings know and that nobody has."""


@dataclass(frozen=True)
class Moved:
    """So much of an asset went from somebody (None: it came into being) to somebody."""

    asset: str
    giver: str | None
    taker: str
    value: int


def moves_of(mined: Mined, *, shows_calls: bool) -> list[Moved]:
    """What a transaction moved, in the order value, calls, logs; nothing where it failed, and no movement of nothing."""
    if mined.is_failed:
        return []
    spend = mined.tx.spend
    found = [Moved(COIN, spend.sender, spend.to, spend.value)]
    found += [Moved(COIN, *call) for call in spend.calls] if shows_calls else []
    found += [Moved(UNIT_TOKEN, *move) for move in spend.tokens]
    found += [Moved(checksummed(contract), giver, taker, min(value, MOST)) for contract, (giver, taker, value) in spend.logs]
    return [moved for moved in found if moved.value]


def credits_of(block: AccountBlock) -> list[Moved]:
    """What the block itself credits: priority fees to its miner, then withdrawals."""
    tips = sum(mined.gas_used * (mined.price_wei - block.base_fee_wei) for mined in block.mined)
    found = [Moved(COIN, None, block.miner, tips)]
    return [moved for moved in [*found, *(Moved(COIN, None, where, gwei * GWEI) for where, gwei in block.withdrawals)] if moved.value]


def told_whole(moves: Sequence[Moved], wallets: Mapping[str, str], *, is_sought: bool) -> set[str]:
    """The assets of which a transaction tells everybody's share: those that left the pool; of a payer's transaction that takes nothing from the pool, all (rule 10.2)."""
    left_pool = {moved.asset for moved in moves if moved.giver in wallets}
    return {moved.asset for moved in moves} if is_sought and not left_pool else left_pool


def told_outputs(moves: Sequence[Moved], wallets: Mapping[str, str], *, is_sought: bool = False) -> Iterator[Moved]:
    """The outputs by ADR 7: all that comes to the pool; and of an asset that left the pool, or a payer's that a payment names, what each stranger keeps."""
    left_pool = told_whole(moves, wallets, is_sought=is_sought)
    givers = {(moved.asset, moved.giver) for moved in moves}
    done: set[tuple[str, str]] = set()
    for moved in moves:
        place = (moved.asset, moved.taker)
        # What comes to the pool; what comes to one that only receives.
        if moved.taker in wallets or (moved.asset in left_pool and place not in givers):
            yield moved
        elif moved.asset in left_pool and place not in done:  # one that passes on: what it gains on balance, at its first movement in
            done.add(place)
            gain = gain_of(moves, *place)
            if gain > 0:
                yield Moved(moved.asset, moved.giver, moved.taker, gain)


def gain_of(moves: Sequence[Moved], asset: str, who: str) -> int:
    """What somebody has more of an asset after the movements."""
    return sum(m.value * ((m.taker == who) - (m.giver == who)) for m in moves if m.asset == asset)


def other_givers(moves: Sequence[Moved], wallets: Mapping[str, str], *, is_sought: bool = False) -> dict[tuple[str, str], int]:
    """Strangers among the inputs and what they gave: of an asset that left the pool who lost on balance, of others who paid the pool."""
    left_pool = told_whole(moves, wallets, is_sought=is_sought)
    found: dict[tuple[str, str], int] = defaultdict(int)
    for moved in moves:
        if moved.giver is None:
            continue
        if moved.asset in left_pool:
            for who in {moved.giver, moved.taker} - wallets.keys():
                loss = -gain_of(moves, moved.asset, who)
                if loss > 0:
                    found[moved.asset, who] = loss
        elif moved.taker in wallets:
            found[moved.asset, moved.giver] += moved.value
    return dict(found)


def facts_of_world(life: AccountLife, *, observations: list[Row], doubts: list[Row], sought: list[Row]) -> Tables:
    """What the world knows of itself. The last three are the log's, held against the world by the judge."""
    facts = facts_of_office(life)
    facts["pool_wallets"] = [{"chain": CHAIN, "wallet": name} for name in WALLETS]
    facts["observations"], facts["doubts"], facts["sought"] = observations, doubts, sought
    ids = {row["txid"] for row in sought}
    add_blocks(facts, life.chain.chain()[life.start_height :], OWN, ids, shows_calls=life.shows_calls)
    return shaped(facts)


def add_blocks(
    facts: Tables, blocks: Iterable[AccountBlock], wallets: Mapping[str, str], sought: Collection[str] = (), *, shows_calls: bool
) -> None:
    """What blocks of whatever branch have of the pool's; `wallets` names the wallet of each of its addresses; `sought`: ids of payers' transactions."""
    for block in blocks:
        facts["blocks"].append(
            {"chain": CHAIN, "hash": block.hash[2:], "height": block.height, "time": block.time, "mediantime": block.time}
        )
        for position, mined in enumerate(block.mined):
            payer = wallets.get(mined.tx.spend.sender)
            place = {"chain": CHAIN, "block_hash": block.hash[2:], "txid": mined.tx.txid}
            head = {"position": position, "is_coinbase": False, "fee": mined.fee_wei if payer else 0, "fee_wallet": payer}
            gas = [Moved(COIN, mined.tx.spend.sender, "", mined.fee_wei)] if payer else []
            _add(facts, {**place, **head}, moves_of(mined, shows_calls=shows_calls), gas, wallets, "" if payer else mined.tx.spend.sender,
                 is_sought=mined.tx.txid in sought and payer is None)  # fmt: skip
        place = {"chain": CHAIN, "block_hash": block.hash[2:], "txid": block.hash[2:]}
        head = {"position": len(block.mined), "is_coinbase": True, "fee": 0, "fee_wallet": None}
        _add(facts, {**place, **head}, credits_of(block), [], wallets)


def _claimed(moved: Moved, signer: str) -> Row:
    """Of a token that nobody named, in a stranger's transaction: none of them keeps balances."""
    is_claim = moved.asset.startswith("0x") and signer != ""
    return (
        {"held": 0, "held_after": 0, "signed_by": checksummed(signer)}
        if is_claim
        else {"held": None, "held_after": None, "signed_by": None}
    )


def _add(
    facts: Tables,
    head: Row,
    moves: Sequence[Moved],
    gas: Sequence[Moved],
    wallets: Mapping[str, str],
    signer: str = "",
    *,
    is_sought: bool = False,
) -> None:
    """A transaction, if anything of the pool's is in it, or a payment names it."""
    if not gas and not is_sought and not any(moved.giver in wallets or moved.taker in wallets for moved in moves):
        return
    others = {} if head["is_coinbase"] else other_givers(moves, wallets, is_sought=is_sought)
    facts["transactions"].append(
        {**head, "other_inputs": len({who for _, who in others}), "fee_asset": COIN,
         "other_inputs_value": sum(value for (asset, _), value in others.items() if asset == COIN)}
    )  # fmt: skip
    place = {name: head[name] for name in ("chain", "block_hash", "txid")}
    given = [moved for moved in [*moves, *gas] if moved.giver in wallets]
    for number, moved in enumerate(given):
        assert moved.giver is not None
        facts["inputs"].append(
            {**place, "spent_txid": head["txid"], "spent_vout": number, "value": moved.value, "address": checksummed(moved.giver),
             "wallet": wallets[moved.giver], "asset": moved.asset, **_claimed(moved, signer)}
        )  # fmt: skip
    for number, moved in enumerate(told_outputs(moves, wallets, is_sought=is_sought)):
        facts["outputs"].append(
            {**place, "vout": number, "value": moved.value, "address": checksummed(moved.taker), "wallet": wallets.get(moved.taker),
             "asset": moved.asset, "script_type": "account", "is_unspendable": False}
        )  # fmt: skip


# --- balances --------------------------------------------------------------------------------------------------------


def held_after(block: AccountBlock, where: str, asset: str) -> int:
    """What an address holds of an asset after a block, by the world's books."""
    books = {COIN: block.wei, UNIT_TOKEN: block.units, DEAD_TOKEN: {}}
    return books[asset].get(where.lower(), 0)


def month_ends(life: AccountLife) -> list[AccountBlock]:
    """The block below the first that is read, and each month's last block that another month's follows."""
    chain = life.chain.chain()[life.start_height - 1 :]
    ends = [
        block for block, after in pairwise(chain[1:])
        if almaty_date(block.time).replace(day=1) != almaty_date(after.time).replace(day=1)
    ]  # fmt: skip
    return [chain[0], *ends]


def unseen_in(blocks: Sequence[AccountBlock], wallet: str, *, shows_calls: bool) -> int:
    """What calls inside transactions moved into a wallet (and not out of it) that a node without traces never shows."""
    if shows_calls:
        return 0
    calls = [call for block in blocks for mined in block.mined if not mined.is_failed for call in mined.tx.spend.calls]
    return sum(value * ((OWN.get(taker) == wallet) - (OWN.get(giver) == wallet)) for giver, taker, value in calls)
