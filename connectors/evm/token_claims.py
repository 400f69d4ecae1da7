"""What stands behind logs by which tokens that no settings name claim to leave a pool wallet ("poisoning").

Enters: a range as read. Leaves: the same range; each such input says who signed the transaction, and what the contract says that the address held before the block and after it. Anybody can
deploy a contract that logs `Transfer(from = pool)`. Asked only where no pool wallet signed the transaction. Left out: what that means (`pipeline.enrich.assets`).
"""

from __future__ import annotations

import msgspec

from pipeline.chains.evm.address import to_checksum
from pipeline.log.events.chain import Input, Transaction
from pipeline.model.journal import Journal

from .abi import amount, balance_of
from .errors import RpcError
from .netting import MAX_UNITS
from .node import Node
from .read_block import Watching
from .rpc import Call
from .scan import Scanned

_journal = Journal("evm")
_FAILED = "0x"
"""In place of the answer of a contract that itself failed at the question: it keeps no balances."""


class TokenClaims:
    """Completes ranges of one chain."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def complete(self, scanned: Scanned, watching: Watching) -> None:
        """Say of each input in a token that no settings name, in a stranger's transaction, who signed and what was held."""
        for height, transactions in scanned.found.items():
            claiming = [told for told in transactions if _is_claiming(told, watching)]
            if not claiming:
                continue
            block = scanned.read_whole[height]
            held = self._held(block.header.height - 1, block.header.prev, claiming, watching)
            after = self._held(block.header.height, block.header.hash, claiming, watching)
            done = {told.txid: _with_claims(told, block.light.transactions[told.position].sender, held, after) for told in claiming}
            scanned.found[height] = [done.get(told.txid, told) for told in transactions]

    def _held(self, height: int, block_hash: str, claiming: list[Transaction], watching: Watching) -> dict[tuple[str, str], str | None]:
        """By contract and address, what the contract says that the address held after the block; None where the node does not have that state, or refuses to say."""
        places = sorted(
            {
                (spent.asset, spent.address)
                for told in claiming
                for spent in told.inputs
                if spent.asset not in watching.known and spent.address
            }
        )
        at = self._node.at(height, block_hash)
        calls: list[Call] = [("eth_call", ({"to": contract.lower(), "data": balance_of(address)}, at)) for contract, address in places]
        try:
            answers = self._node.state(calls, height, block_hash, failed=_FAILED)
        except RpcError:
            answers = [self._alone(call, height, block_hash) for call in calls]
        return {place: None if answer is None else _units(answer) for place, answer in zip(places, answers, strict=True)}

    def _alone(self, call: Call, height: int, block_hash: str) -> str | None:
        """The answer to one of the questions, asked again. None where the node refuses this one, which a stranger's contract may bring about."""
        try:
            answer: str | None = self._node.state([call], height, block_hash, failed=_FAILED)[0]
        except RpcError as error:
            _journal.warning("claim-not-compared", node=self._node.name, height=height, detail=str(error))
            return None
        return answer


def _units(answer: str) -> str:
    """The balance in a contract's answer; 0 where there is none in it."""
    try:
        return str(min(amount(answer), MAX_UNITS))
    except ValueError:
        return "0"


def _is_claiming(told: Transaction, watching: Watching) -> bool:
    return not told.is_coinbase and told.fee_wallet is None and any(spent.asset not in watching.known for spent in told.inputs)


def _with_claims(
    told: Transaction, sender: str, held: dict[tuple[str, str], str | None], after: dict[tuple[str, str], str | None]
) -> Transaction:
    signer = to_checksum(sender)

    def claimed(spent: Input) -> Input:
        place = (spent.asset, spent.address or "")
        return msgspec.structs.replace(spent, held=held[place], held_after=after[place], signed_by=signer) if place in held else spent

    return msgspec.structs.replace(told, inputs=[claimed(spent) for spent in told.inputs])
