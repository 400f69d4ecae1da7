"""What the pool's accounts held around its transactions, proved by the blocks' headers (`eth_getProof`, EIP-1186).

Enters: blocks as they were read, what in them is the pool's, months' last blocks. Leaves: for each block that is of interest the accounts' balances with the nodes that
prove them, every one walked here below the header's state root. Of interest are: of a block that moves the chain's own asset of a watched address, that block and the
one before it; of a month's last block all addresses. Where the node has no proofs, or the state is gone there, the block is left out: a bundle then names
its balances as the node's word. Left out: tokens, whose balances lie in their contracts' own storage, each in its own place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.chains.evm.headers import parse_header
from pipeline.chains.evm.trie import account_balance
from pipeline.log.events.chain import AccountColumns, Transaction
from pipeline.model.journal import Journal

from .answers import RawHeader, data_of
from .errors import RpcError
from .netting import MAX_UNITS
from .node import Node
from .watch import WatchList

_journal = Journal("evm")


@dataclass(frozen=True)
class ProvedAccounts:
    """What some accounts held after a block."""

    header: RawHeader
    rows: AccountColumns


class AccountProver:
    """Asks one node for proofs of accounts."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def around(
        self, headers: Sequence[RawHeader], found: Mapping[int, Sequence[Transaction]], ends: Mapping[int, str], watch_list: WatchList, asset: str, fork: tuple[int, str | None],
    ) -> dict[int, ProvedAccounts]:  # fmt: skip
        """By height. `found`: what is the pool's in the blocks; `ends`: hashes of months' last blocks; `fork`: the block that `headers` follow."""
        wanted: dict[int, dict[str, None]] = {height: dict.fromkeys(watch_list.addresses) for height in ends}
        for height, transactions in sorted(found.items()):
            moved = moved_addresses(transactions, asset)
            for place in (height - 1, height) if moved else ():
                wanted.setdefault(place, {}).update(dict.fromkeys(moved))
        hashes = {header.height: header.hash for header in headers}
        if fork[1] is not None:
            hashes[fork[0]] = fork[1]
        places = ((height, [a for a in addresses if a in watch_list.addresses]) for height, addresses in sorted(wanted.items()))
        asked = {(height, hashes[height]): addresses for height, addresses in places if addresses and height in hashes}
        known = {header.height: header for header in headers}
        told = self._node.account_proofs_at_once(asked) if self._is_asked() else {}
        made = {}
        for (height, block_hash), addresses in asked.items():
            proved = self.at(height, block_hash, addresses, watch_list, known.get(height), told.get(height))
            if proved is not None:
                made[height] = proved
        return made

    def _is_asked(self) -> bool:
        return self._node.features is not None and self._node.features.may_have("account_proofs")

    def at(
        self, height: int, block_hash: str, addresses: Iterable[str], watch_list: WatchList, header: RawHeader | None = None,
        told: Sequence[list[str] | None] | None = None,
    ) -> ProvedAccounts | None:  # fmt: skip
        """What the addresses held after one block; None where the node can't prove it. `told`: what it said already. Raises ChainMoved as every question about state."""
        places = [address for address in addresses if address in watch_list.addresses]
        if not self._is_asked() or not places:
            return None
        try:
            proofs = told or self._node.account_proofs(places, height, block_hash)
        except RpcError as error:  # some nodes prove the newest blocks only, and say so each in its own words
            _journal.warning("no-state-proof", node=self._node.name, height=height, detail=str(error))
            return None
        if None in proofs:
            return None
        header = header or self._node.block(block_hash).header
        root = parse_header(header.raw).state_root
        values = []
        try:
            nodes = [[data_of(node) for node in proof or ()] for proof in proofs]
            values = [account_balance(root, address, proof) for address, proof in zip(places, nodes, strict=True)]
        except ValueError as error:
            # The blocks themselves are sound, so they are followed; what is not proved is named as such wherever it is shown.
            _journal.warning("state-proof-unsound", node=self._node.name, height=height, detail=str(error))
            return None
        if any(value > MAX_UNITS for value in values):
            return None
        rows = AccountColumns(
            wallet=[watch_list.addresses[address] for address in places],
            address=places,
            value=[str(value) for value in values],
            proof=[[node.hex() for node in proof] for proof in nodes],
        )
        return ProvedAccounts(header, rows)


def moved_addresses(transactions: Sequence[Transaction], asset: str) -> list[str]:
    """The pool's addresses whose holding of the chain's own asset a block's transactions change, once each."""
    inputs = ((part.wallet, part.asset, part.address) for told in transactions for part in told.inputs)
    outputs = ((part.wallet, part.asset, part.address) for told in transactions for part in told.outputs)
    places = (*inputs, *outputs)
    return list(dict.fromkeys(address for wallet, of, address in places if wallet is not None and of == asset and address is not None))
