"""Finds the transactions of a block that spend from a pool's script, and those that pay one or a payee's.

Enters: a parsed block, the outputs its transactions spend, the watched scripts. Leaves: `events.Transaction`s in the block's order, each
with its Merkle branch, checked against the header. Pure. No judgement (law 3): an input or output is the pool's when its script is
watched. Left out: where the bytes come from (`strategies.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.chains.bitcoin.merkle import MerkleTree, root_of_branch
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import address_of, script_type
from pipeline.chains.bitcoin.wire import Block, Tx, TxOutput, parse_block
from pipeline.log.events.chain import Input, Output, Transaction

from .errors import AnswerUnreadable

_OP_RETURN = b"\x6a"
PAYEE = ""
"""What stands for the wallet of a script that is watched only because other payers pay it (rule 10.2): it is not the pool's."""

Spent = Mapping[int, Sequence[TxOutput]]
"""The outputs that each transaction spends, in the order of its inputs, by position in the block. A transaction without an entry is
known to spend no watched output."""


def parsed_block(raw: bytes, block_hash: str, network: Network) -> Block:
    """The block in `raw`, which must be the one with that hash, whole. Raises AnswerUnreadable."""
    try:
        block = parse_block(raw, network)
        root = MerkleTree(block.txids).root
    except ValueError as error:
        raise AnswerUnreadable(f"block {block_hash}: the node's answer is no block: {error}") from error
    if block.header.hash.hex() != block_hash:
        raise AnswerUnreadable(f"the node was asked for block {block_hash} and answered with {block.header.hash.hex()}")
    if root != block.header.merkle_root:
        raise AnswerUnreadable(f"block {block_hash}: its transactions do not hash to the root in its header")
    return block


def read_transactions(block: Block, spent: Spent, scripts: Mapping[bytes, str], network: Network, asset: str) -> list[Transaction]:
    """The block's transactions that pay a watched script or spend from a pool's. `scripts` has each one's wallet, or PAYEE. Values in base units.

    What strangers' inputs were worth is asked for only where an input is the pool's: of any other transaction the value of the inputs and the fee are
    stated as 0, whether the node would know them or not.
    """
    found = []
    tree: MerkleTree | None = None
    for position, tx in enumerate(block.transactions):
        pays = any(output.script in scripts for output in tx.outputs)
        if not pays and not _spends_ours(spent.get(position, ()), scripts):
            continue
        tree = tree or MerkleTree(block.txids)
        branch = tree.branch(position)
        if root_of_branch(tx.txid, position, branch) != block.header.merkle_root:
            raise AssertionError(f"the branch of {tx.txid.hex()} does not lead to the root of block {block.header.hash.hex()}")
        found.append(_transaction(tx, position, spent, scripts, network, asset, [neighbour.hex() for neighbour in branch]))
    return found


def _spends_ours(spent: Sequence[TxOutput], scripts: Mapping[bytes, str]) -> bool:
    return any(scripts.get(output.script, PAYEE) != PAYEE for output in spent)


def _transaction(
    tx: Tx, position: int, spent: Spent, scripts: Mapping[bytes, str], network: Network, asset: str, branch: list[str]
) -> Transaction:
    outputs = [
        Output(
            vout=vout,
            value=str(output.value),
            address=address_of(output.script, network),
            wallet=scripts.get(output.script) or None,
            asset=asset,
            script_type=script_type(output.script),
            is_unspendable=output.script[:1] == _OP_RETURN,
            ref=f"vout:{vout}",
        )
        for vout, output in enumerate(tx.outputs)
    ]
    inputs: list[Input] = []
    others, others_value, fee = 0 if tx.is_coinbase else len(tx.inputs), 0, 0
    if not tx.is_coinbase and _spends_ours(spent.get(position, ()), scripts):
        spends, others = spent[position], 0
        if len(spends) != len(tx.inputs):
            raise AnswerUnreadable(
                f"transaction {tx.txid.hex()} has {len(tx.inputs)} inputs, and the node gave {len(spends)} outputs that it spends"
            )
        for source, output in zip(tx.inputs, spends, strict=True):
            wallet = scripts.get(output.script)
            if not wallet:
                others += 1
                others_value += output.value
            else:
                address = address_of(output.script, network)
                inputs.append(
                    Input(txid=source.txid.hex(), vout=source.vout, value=str(output.value), address=address, wallet=wallet, asset=asset)
                )
        fee = sum(output.value for output in spends) - sum(output.value for output in tx.outputs)
        if fee < 0:
            raise AnswerUnreadable(
                f"transaction {tx.txid.hex()} pays {-fee} more than it spends: what the node gave as spent is not what it spends"
            )
    return Transaction(
        txid=tx.txid.hex(),
        position=position,
        is_coinbase=tx.is_coinbase,
        inputs=inputs,
        other_inputs=others,
        other_inputs_value=str(others_value),
        outputs=outputs,
        fee=str(fee),
        fee_asset=asset,
        raw=tx.raw_stripped.hex(),
        branch=branch,
    )
