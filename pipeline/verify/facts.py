"""The facts against the chain's bytes: every proved transaction is compared whole, every block by its header (rules 3, 9.5).

Enters: a bundle's facts, and what its evidence proves. Leaves: faults, what was seen, and what no bytes in the bundle show. A transaction's outputs, its
outpoints, its place and its kind stand in its own bytes; what an input was worth and to which wallet it paid stands in the transaction before it,
where the bundle proves that one, too. Which addresses are the pool's is its own word; but it must be one word in all of the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import polars as pl

from pipeline.chains.bitcoin.auxpow import bare_header
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of, script_type
from pipeline.chains.bitcoin.wire import Tx, time_of
from pipeline.chains.bitcoin.work import median_times
from pipeline.chains.evm.headers import parse_header as parse_account_header
from pipeline.enrich.frames import Facts
from pipeline.model.message import counted, message

from .evidence import ProvenTransaction
from .finding import Finding
from .opened import OpenBundle

_Row = TypeVar("_Row")
Key = tuple[str, str]
"""Chain and txid."""
_OP_RETURN = b"\x6a"
_OF_TRANSACTION = ("chain", "txid", "block_hash")
_OF_OUTPUT = ("vout", "value", "address", "script_type", "is_unspendable", "asset")
_ROWS_AT_ONCE = 20_000
"""Rows of inputs or outputs in memory as Python values at a time: those of a million payouts would take more than a gigabyte."""
_MAY_BE_EMPTY: dict[str, tuple[str, ...]] = {
    "pool_wallets": (),
    "blocks": (),
    "transactions": ("fee_wallet",),
    "inputs": ("address", "held", "held_after", "signed_by"),
    "outputs": ("address", "wallet"),
    "observations": ("value",),
    "doubts": ("txid",),
    "witnesses": (),
    "disagreements": (),
}
"""The frames that come from chains, each with the columns that may have no value."""


@dataclass(frozen=True)
class _Claimed:
    """What the facts say of one transaction."""

    row: dict[str, Any]
    inputs: list[dict[str, Any]]
    outputs: list[tuple[int, int, str, str, bool, str]]
    """_OF_OUTPUT of each; of one without an address an empty text."""


@dataclass(frozen=True)
class _Known:
    """What the facts say of all transactions, as far as it is looked up."""

    rows: dict[Key, dict[str, Any]]
    """By transaction, in the facts' order."""
    wallets: dict[tuple[str, str, int], str]
    """The pool's outputs by chain, txid and vout: whose each is."""


def check_facts(bundle: OpenBundle) -> Finding:
    """Blocks and their times agree with the proven headers, transactions with their bytes."""
    empty = _empty_faults(bundle.facts)
    if empty:
        return Finding(empty, "")
    faults, seen, on_word = _blocks(bundle)
    faults += _observation_faults(bundle)
    found, transactions, words = _transactions(bundle)
    return Finding(faults + found, message("{seen}; {transactions}", seen=seen, transactions=transactions), on_word=tuple(on_word + words))


def _empty_faults(facts: Facts) -> list[str]:
    """Every column of what a chain says has a value in every row, but for the few that may have none."""
    faults = []
    for name, may_be_empty in _MAY_BE_EMPTY.items():
        frame: pl.DataFrame = getattr(facts, name)
        empty = [column for column in frame.columns if column not in may_be_empty and frame[column].null_count()]
        faults += [message("the facts' {name} have rows without {empty}", name=name, empty=", ".join(empty))] if empty else []
    return faults


def _observation_faults(bundle: OpenBundle) -> list[str]:
    """Balances are observed on account chains only: elsewhere outputs say what a wallet has, and nothing may overrule them."""
    chains = set(bundle.facts.observations["chain"]) | set(bundle.facts.doubts["chain"])
    odd = sorted(chain for chain in chains if isinstance(bundle.networks.get(chain), Network))
    return [message("the facts hold observed balances or doubts of {chain}, where there are none (ADR 7)", chain=chain) for chain in odd]


def _blocks(bundle: OpenBundle) -> tuple[list[str], str, list[str]]:
    """Hash, time and median time of every block among the facts, from the oldest header on."""
    headers, blocks = bundle.evidence.headers, bundle.facts.blocks
    faults: list[str] = []
    on_word: list[str] = []
    compared = 0
    if twice := blocks.filter(pl.struct("chain", "height").is_duplicated()).height:
        faults.append(message("{twice} blocks of the facts share a height with another one", twice=twice))
    unknown = set(blocks["chain"].unique()) | set(headers["chain"].unique())
    faults += [
        message("the rules name no network for the chain {chain}", chain=repr(chain)) for chain in sorted(unknown - set(bundle.networks))
    ]
    for chain in sorted(unknown & set(bundle.networks)):
        proven = headers.filter(pl.col("chain") == chain).sort("height")
        told = blocks.filter(pl.col("chain") == chain)
        first = int(proven["height"][0]) if proven.height else None
        times = _times(bundle, chain, proven)
        shown = proven.select("height", proven_hash="hash", stated="mediantime").with_columns(times)
        within = told.filter(pl.col("height") >= first) if first is not None else told.clear()
        both = within.join(shown, on="height", how="full", coalesce=True).sort("height")
        has_other_median = pl.col("shown_median").is_not_null() & pl.col("mediantime").ne_missing(pl.col("shown_median"))
        pairs = (("hash", "proven_hash"), ("time", "shown_time"), ("mediantime", "stated"))
        differs = pl.any_horizontal(has_other_median, *(pl.col(told).ne_missing(pl.col(shown)) for told, shown in pairs))
        for height, hash_, time, median, proven_hash, stated, shown_time, shown_median in (
            both.filter(differs)
            .select("height", "hash", "time", "mediantime", "proven_hash", "stated", "shown_time", "shown_median")
            .iter_rows()
        ):
            if hash_ != proven_hash:
                faults.append(message("{chain} block {height} is not the one proven", chain=chain, height=height))
            elif time != shown_time:
                faults.append(
                    message(
                        "{chain} block {height} has the time {shown_time}, the facts say {time}",
                        chain=chain,
                        height=height,
                        shown_time=shown_time,
                        time=time,
                    )
                )
            else:
                faults.append(
                    message(
                        "{chain} block {height} has the median time {shown_median}, the facts say {median}",
                        chain=chain,
                        height=height,
                        shown_median=shown_median or stated,
                        median=median,
                    )
                )
        compared += within.height
        if below := told.height - within.height:
            on_word.append(
                counted(
                    "{count} {chain} block before the oldest header, in which nothing of the pool's is reported",
                    "{count} {chain} blocks before the oldest header, in which nothing of the pool's is reported",
                    below,
                    chain=chain,
                )
            )
    return faults, message("{compared} blocks agree with their headers", compared=compared), on_word


def _times(bundle: OpenBundle, chain: str, proven: pl.DataFrame) -> list[pl.Series]:
    """What the headers say of their time and median time; an account chain has no median: its node's is the time itself."""
    raws = [bytes.fromhex(text) for text in proven["header"]]
    network = bundle.networks[chain]
    if not isinstance(network, Network):
        own = [parse_account_header(raw).time for raw in raws]
        return [pl.Series("shown_time", own, pl.Int64), pl.Series("shown_median", [None] * len(own), pl.Int64)]
    times = [time_of(bare_header(raw, network)) for raw in raws]
    medians = median_times(times, int(proven["height"][0])) if times else []
    return [pl.Series("shown_time", times, pl.Int64), pl.Series("shown_median", medians, pl.Int64)]


def _transactions(bundle: OpenBundle) -> tuple[list[str], str, list[str]]:
    """Every transaction of the facts, whole."""
    facts, proven = bundle.facts, bundle.proven[0]
    known = _Known(*_looked_up(facts))
    told, faults = _claimed(facts, known)
    native = {asset.chain: asset.name for asset in bundle.rules.assets.values() if asset.contract is None}
    bitcoin = {chain for chain, network in bundle.networks.items() if isinstance(network, Network)}
    faults += _wallet_faults(facts.outputs, facts.inputs)
    spent: set[tuple[str, str, int]] = set()
    unproved = strangers = first_seen = whole = 0
    for key, each in zip(known.rows, told, strict=True):
        chain, txid = key
        network = bundle.networks.get(chain)
        transaction = proven.get(key)
        if not isinstance(network, Network):
            continue
        if transaction is None or transaction.tx is None:
            unproved += 1
            if bundle.rules.edition > 1:
                faults.append(message("{chain} transaction {txid}: nothing proves it", chain=chain, txid=txid))
            continue
        wrong = _own_faults(each, transaction, transaction.tx, network, native.get(chain))
        more, counted = _input_faults(each, chain, transaction.tx, known, proven, network)
        faults += [message("{chain} transaction {txid}: {what}", chain=chain, txid=txid, what=what) for what in wrong + more]
        strangers, first_seen, whole = strangers + counted[0], first_seen + counted[1], whole + 1
        for source in transaction.tx.inputs if not transaction.tx.is_coinbase else ():
            if (place := (chain, source.txid.hex(), source.vout)) in spent:
                faults.append(
                    message(
                        "{chain} transaction {txid}: spends {txid_2}:{vout}, which another one of the facts spends, too",
                        chain=chain,
                        txid=txid,
                        txid_2=source.txid.hex(),
                        vout=source.vout,
                    )
                )
            spent.add(place)
    faults += [
        message("{chain} transaction {txid} is proved, but the facts leave it out", chain=chain, txid=txid)
        for chain, txid in sorted(set(proven) - set(known.rows))
    ]
    words = []
    if unproved:
        words.append(
            message(
                "{unproved} transactions of the facts that the month does not report: nothing in the bundle proves them", unproved=unproved
            )
        )
    if first_seen:
        words.append(
            message(
                "what {first_seen} inputs of the pool's were worth: the transactions before them are not carried", first_seen=first_seen
            )
        )
    if strangers:
        words.append(
            message("what {strangers} inputs of strangers were worth: the transactions before them are not carried", strangers=strangers)
        )
    if others := sorted({chain for chain, _ in known.rows} - bitcoin):
        words.append(
            message("what the transactions of {others} moved, but for the sums reported: the node's word (ADR 7)", others=", ".join(others))
        )
    return faults, message("{whole} transactions are whole what their bytes say", whole=whole), words


def _looked_up(facts: Facts) -> tuple[dict[Key, dict[str, Any]], dict[tuple[str, str, int], str]]:
    """`_Known`'s parts."""
    rows = {(row["chain"], row["txid"]): row for row in facts.transactions.iter_rows(named=True)}
    ours = facts.outputs.filter(pl.col("wallet").is_not_null()).select("chain", "txid", "vout", "wallet")
    return rows, {(chain, txid, vout): wallet for chain, txid, vout, wallet in ours.iter_rows()}


def _claimed(facts: Facts, known: _Known) -> tuple[Iterator[_Claimed], list[str]]:
    """The facts by transaction, in the order of `known.rows`, made one after another; a transaction told twice, and inputs or outputs without a transaction, are faults."""
    twice = facts.transactions.filter(~pl.struct("chain", "txid").is_first_distinct()).select("chain", "txid")
    faults: list[str] = [
        message("{chain} transaction {txid} stands in the facts twice", chain=chain, txid=txid) for chain, txid in twice.iter_rows()
    ]
    keys = [(chain, txid, row["block_hash"]) for (chain, txid), row in known.rows.items()]
    places = pl.DataFrame(keys, schema=dict.fromkeys(_OF_TRANSACTION, pl.String), orient="row").with_row_index("place")
    inputs, no_inputs = _by_transaction(facts.inputs, places, lambda part: part.iter_rows(named=True))
    # A transaction pays thousands: plain tuples, a fifth of what dictionaries cost.
    outputs = facts.outputs.with_columns(pl.col("address").fill_null(""))
    paid, no_outputs = _by_transaction(outputs, places, lambda part: part.select(_OF_OUTPUT).rows())
    faults += [
        message("{chain} transaction {txid}: its {name} stand in the facts, itself not", chain=chain, txid=txid, name=name)
        for name, homeless in (("inputs", no_inputs), ("outputs", no_outputs))
        for chain, txid in homeless
    ]
    return (_Claimed(*each) for each in zip(known.rows.values(), inputs, paid, strict=True)), faults


def _by_transaction(
    frame: pl.DataFrame, places: pl.DataFrame, values: Callable[[pl.DataFrame], Iterable[_Row]]
) -> tuple[Iterator[list[_Row]], list[Key]]:
    """For each transaction of `places` (_OF_TRANSACTION, place) its rows in the frame's order, as `values` makes them; and of rows that are of none, chain and txid."""
    of = frame.select(_OF_TRANSACTION).with_row_index("row").join(places, on=_OF_TRANSACTION, how="left", maintain_order="left")
    homeless = of.filter(pl.col("place").is_null()).select("chain", "txid").rows()
    of = of.select("row", "place").drop_nulls().sort("place", "row")
    counts = places.select("place").join(of.group_by("place").len(), on="place", how="left", maintain_order="left")["len"].fill_null(0)
    rows = (row for part in of.iter_slices(_ROWS_AT_ONCE) for row in values(frame[part["row"]]))
    return (list(islice(rows, count)) for count in counts), homeless


def _wallet_faults(outputs: pl.DataFrame, inputs: pl.DataFrame) -> list[str]:
    """An address is one wallet's, everywhere in the facts: also where it is paid by a transaction that names it nobody's."""
    columns = ["chain", "address", "wallet"]
    named = pl.concat([outputs.select(columns), inputs.select(columns)]).filter(pl.col("address").is_not_null()).unique()
    several = named.group_by("chain", "address").agg(pl.col("wallet").sort(nulls_last=True)).filter(pl.col("wallet").list.len() > 1)
    return [
        message(
            "the {chain} address {address} is the pool's in one place ({wallets}) and {wallets_2}'s in another",
            chain=chain,
            address=address,
            wallets=wallets[0],
            wallets_2=wallets[1] or message("a stranger"),
        )
        for chain, address, wallets in several.sort("chain", "address").iter_rows()
    ]


def _own_faults(told: _Claimed, transaction: ProvenTransaction, tx: Tx, network: Network, asset: str | None) -> list[str]:
    """Compare the facts about a transaction with its bytes and its position."""
    row, faults = told.row, []
    if (row["block_hash"], row["position"]) != (transaction.block_hash, transaction.position):
        faults.append(
            message(
                "stands at {position} in block {block_hash}, the facts say {position_2} in {block_hash_2}",
                position=transaction.position,
                block_hash=transaction.block_hash,
                position_2=row["position"],
                block_hash_2=row["block_hash"],
            )
        )
    if row["is_coinbase"] != tx.is_coinbase:
        faults.append(message("is {more} coinbase, the facts say otherwise", more="a" if tx.is_coinbase else "no"))
    shown = [
        (vout, output.value, address_of(output.script, network) or "", script_type(output.script), output.script[:1] == _OP_RETURN)
        for vout, output in enumerate(tx.outputs)
    ]
    if sorted(output[:-1] for output in told.outputs) != shown:
        faults.append(message("its outputs are others than the facts say"))
    assets = {output[-1] for output in told.outputs} | {spent["asset"] for spent in told.inputs} | {row["fee_asset"]}
    if assets != {asset} or row["fee_wallet"] is not None:
        faults.append(message("its asset is {asset}, the facts say otherwise", asset=asset))
    return faults


def _input_faults(
    told: _Claimed, chain: str, tx: Tx, known: _Known, proven: dict[Key, ProvenTransaction], network: Network
) -> tuple[list[str], tuple[int, int]]:
    """The pool's inputs against the outputs that they spend, and that what goes in comes out; inputs of strangers, and of the pool, unproved."""
    row, faults = told.row, []
    said = {(i["spent_txid"], i["spent_vout"]): i for i in told.inputs}
    if tx.is_coinbase:
        is_bare = not told.inputs and not row["other_inputs"] and not row["other_inputs_value"] and not row["fee"]
        return ([] if is_bare else [message("is a coinbase, and the facts give it inputs or a fee")]), (0, 0)
    spends = {(source.txid.hex(), source.vout) for source in tx.inputs}
    if len(said) != len(told.inputs) or not said.keys() <= spends or row["other_inputs"] != len(spends) - len(said):
        faults.append(message("its inputs are others than the facts say"))
    strangers = first_seen = 0
    for outpoint in sorted(spends):
        mine, before = said.get(outpoint), proven.get((chain, outpoint[0]))
        if before is None or before.tx is None or (chain, outpoint[0]) not in known.rows:
            strangers, first_seen = strangers + (mine is None), first_seen + (mine is not None)
            continue
        if outpoint[1] >= len(before.tx.outputs):
            faults.append(message("spends {outpoint}:{outpoint_2}, which does not exist", outpoint=outpoint[0], outpoint_2=outpoint[1]))
            continue
        output = before.tx.outputs[outpoint[1]]
        wallet = known.wallets.get((chain, *outpoint))
        shown = (output.value, address_of(output.script, network), wallet) if wallet is not None else None
        if shown != ((mine["value"], mine["address"], mine["wallet"]) if mine else None):
            faults.append(
                message("what it spends of {outpoint}:{outpoint_2} is not what that one pays", outpoint=outpoint[0], outpoint_2=outpoint[1])
            )
    if not row["other_inputs"] and row["other_inputs_value"]:
        faults.append(message("has no inputs of strangers, and the facts give them a value"))
    came, went = sum(i["value"] for i in told.inputs) + row["other_inputs_value"], sum(output.value for output in tx.outputs)
    if not told.inputs and not row["other_inputs_value"] and not row["fee"]:
        return faults, (strangers, first_seen)  # strangers pay: what they spend was not asked for, and the fee is not the pool's
    if row["fee"] < 0 or came != went + row["fee"]:
        faults.append(
            message("{came} go in, {went} come out, and the facts say that its fee is {fee}", came=came, went=went, fee=row["fee"])
        )
    return faults, (strangers, first_seen)
